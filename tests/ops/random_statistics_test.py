"""Each random function draws by the law it says: moments, Kolmogorov-Smirnov, chi-squared, SciPy's.

Seeds are fixed, so that answers are the same each time. A law is refused where what was drawn is
less likely than `RARE`; next to each right law stands a wrong one, ten percent or so away, which
must be refused: the samples are large enough to tell the two apart.
"""

from __future__ import annotations

import itertools
import math
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy import stats

import grad

RARE = 1e-4
COUNT = 20_000
FLOATING = (grad.float16, grad.bfloat16, grad.float32, grad.float64)
WIDE = (grad.float32, grad.float64)
Draw = Callable[[Any], Any]


def values_of(x: Any) -> np.ndarray:
    return x.detach().double().numpy().ravel()


# -- continuous laws -------------------------------------------------------------------------------
class Law(NamedTuple):
    """A name, how to draw for an element type, the law and a wrong one."""

    name: str
    draw: Draw
    right: Any
    wrong: Any


def empty(kind: Any) -> Any:
    return grad.empty(COUNT, dtype=kind)


def full(value: float, kind: Any) -> Any:
    return grad.full((COUNT,), value, dtype=kind)


NORMAL, WIDER = stats.norm(1, 2), stats.norm(1, 2.2)
UNIFORM, LONGER = stats.uniform(-2, 5), stats.uniform(-2, 5.3)
CONTINUOUS = [
    Law("rand", lambda kind: grad.rand(COUNT, dtype=kind), stats.uniform(), stats.uniform(0, 1.06)),
    Law("rand_like", lambda k: grad.rand_like(empty(k)), stats.uniform(), stats.uniform(0, 1.06)),
    Law("uniform_", lambda kind: empty(kind).uniform_(-2, 3), UNIFORM, LONGER),
    Law("randn", lambda kind: grad.randn(COUNT, dtype=kind), stats.norm(), stats.norm(0, 1.1)),
    Law("randn_like", lambda kind: grad.randn_like(empty(kind)), stats.norm(), stats.norm(0, 1.1)),
    Law("normal_", lambda kind: empty(kind).normal_(1, 2), NORMAL, WIDER),
    Law("normal", lambda kind: grad.normal(1, 2, (COUNT,), dtype=kind), NORMAL, WIDER),
    Law("normal of means", lambda kind: grad.normal(full(1, kind), 2.0), NORMAL, WIDER),
    Law("normal of stds", lambda kind: grad.normal(1.0, full(2, kind)), NORMAL, WIDER),
    Law("normal of both", lambda k: grad.normal(full(1, k), full(2, k)), NORMAL, WIDER),
    Law(
        "log_normal_",
        lambda kind: empty(kind).log_normal_(0.5, 0.7),
        stats.lognorm(0.7, scale=math.exp(0.5)),
        stats.lognorm(0.77, scale=math.exp(0.5)),
    ),
    Law(
        "exponential_",
        lambda kind: empty(kind).exponential_(1.5),
        stats.expon(scale=1 / 1.5),
        stats.expon(scale=1 / 1.35),
    ),
    Law(
        "cauchy_",
        lambda kind: empty(kind).cauchy_(1, 2),
        stats.cauchy(1, 2),
        stats.cauchy(1, 2.25),
    ),
]


def standard_errors(values: np.ndarray, law: Any) -> tuple[float, float]:
    """How far mean and variance are from those of the law, in standard errors."""
    mean, variance, _, kurtosis = (float(m) for m in law.stats("mvsk"))
    spread = variance * math.sqrt(kurtosis + 2)
    excess = ((values - mean) ** 2).mean() - variance
    scale = math.sqrt(len(values))
    # A fair coin has a variance that never varies.
    of_variance = scale * excess / spread if spread else 1e9 * excess
    return scale * (values.mean() - mean) / math.sqrt(variance), of_variance


@pytest.mark.parametrize("kind", FLOATING, ids=str)
@pytest.mark.parametrize("law", CONTINUOUS, ids=lambda law: law.name)
def test_continuous(law: Law, kind: Any) -> None:
    grad.manual_seed(11)
    values = values_of(law.draw(kind))
    assert stats.kstest(values, law.right.cdf).pvalue > RARE
    assert stats.kstest(values, law.wrong.cdf).pvalue < RARE
    if np.isfinite(law.right.var()):
        # Numbers of bfloat16 in [0, 1) are rounded down.
        allowed = 5 if kind in WIDE else 8
        assert max(map(abs, standard_errors(values, law.right))) < allowed


@pytest.mark.parametrize(("kind", "values"), [(grad.float16, 2048), (grad.bfloat16, 256)])
def test_each_number_of_a_half_type_is_equally_likely(kind: Any, values: int) -> None:
    grad.manual_seed(1)
    found = values_of(grad.rand(100 * values, dtype=kind)) * values
    assert (found == found.round()).all()
    counts = np.bincount(found.astype(int), minlength=values)
    assert len(counts) == values and stats.chisquare(counts).pvalue > RARE


@pytest.mark.parametrize("kind", WIDE, ids=str)
def test_tails(kind: Any) -> None:
    """A million numbers reach as far as they should, on both sides."""
    grad.manual_seed(2)
    many = 1_000_000
    for name, law, extreme in (
        ("normal_", stats.norm(), 4.0),
        ("exponential_", stats.expon(), 10.0),
        ("cauchy_", stats.cauchy(), 1e4),
    ):
        values = values_of(getattr(grad.empty(many, dtype=kind), name)())
        count = int((values > extreme).sum())
        assert stats.binomtest(count, many, float(law.sf(extreme))).pvalue > RARE, name
        assert np.isfinite(values).all()


# -- whole numbers ---------------------------------------------------------------------------------
def chi_squared(values: np.ndarray, law: Any) -> float:
    """How likely it is that whole numbers of `law` fit it no better; rare ones are put together."""
    cells = np.arange(int(values.min()) - 1, int(values.max()) + 2)
    expected = law.pmf(cells) * len(values)
    counts = np.array([(values == cell).sum() for cell in cells], float)
    # What is below, above or rare shares a cell.
    rare = expected < 10
    counts = np.append(counts[~rare], counts[rare].sum())
    expected = np.append(expected[~rare], len(values) - expected[~rare].sum())
    if expected[-1] < 5:
        if counts[-1] > 40:
            return 0.0
        counts, expected = counts[:-1], expected[:-1]
    return float(stats.chisquare(counts, expected * counts.sum() / expected.sum()).pvalue)


def whole(name: str, *args: Any, kind: Any = grad.int64) -> Draw:
    return lambda _: getattr(grad.empty(COUNT, dtype=kind), name)(*args)


DISCRETE = [
    Law(
        "randint",
        lambda _: grad.randint(-3, 7, (COUNT,)),
        stats.randint(-3, 7),
        stats.randint(-3, 8),
    ),
    Law(
        "randint_like",
        lambda k: grad.randint_like(empty(k), 9),
        stats.randint(0, 9),
        stats.randint(0, 10),
    ),
    Law("random_", whole("random_", 2, 13), stats.randint(2, 13), stats.randint(2, 14)),
    Law(
        "random_ of bool",
        whole("random_", kind=grad.bool),
        stats.randint(0, 2),
        stats.bernoulli(0.53),
    ),
    Law(
        "random_ of uint8",
        whole("random_", kind=grad.uint8),
        stats.randint(0, 256),
        stats.randint(0, 280),
    ),
    Law(
        "bernoulli",
        lambda k: grad.bernoulli(full(0.3, k)),
        stats.bernoulli(0.3),
        stats.bernoulli(0.33),
    ),
    Law(
        "bernoulli of a number",
        lambda k: empty(k).bernoulli(0.3),
        stats.bernoulli(0.3),
        stats.bernoulli(0.33),
    ),
    Law("bernoulli_", whole("bernoulli_", 0.3), stats.bernoulli(0.3), stats.bernoulli(0.33)),
    Law(
        "bernoulli_ of a tensor",
        lambda k: empty(k).bernoulli_(full(0.3, k)),
        stats.bernoulli(0.3),
        stats.bernoulli(0.33),
    ),
    Law("geometric_", whole("geometric_", 0.2), stats.geom(0.2), stats.geom(0.22)),
    Law("geometric_, nearly sure", whole("geometric_", 0.9), stats.geom(0.9), stats.geom(0.93)),
    *[
        Law(
            f"poisson of {rate}",
            lambda k, r=rate: grad.poisson(full(r, k)),
            stats.poisson(rate),
            stats.poisson(1.1 * rate),
        )
        for rate in (0.5, 4, 30, 1000)
    ],
    *[
        Law(
            f"binomial of {n} and {p}",
            lambda k, n=n, p=p: grad.binomial(full(n, k), full(p, k)),
            stats.binom(n, p),
            stats.binom(n, 0.93 * p),
        )
        for n, p in ((10, 0.3), (100, 0.5), (1000, 0.0625), (1000, 0.875))
    ],
]


@pytest.mark.parametrize("law", DISCRETE, ids=lambda law: law.name)
def test_discrete(law: Law) -> None:
    grad.manual_seed(5)
    values = values_of(law.draw(grad.float32))
    if law.name != "random_ of uint8":
        assert (values == values.round()).all()
    assert chi_squared(values, law.right) > RARE
    assert chi_squared(values, law.wrong) < RARE
    assert max(map(abs, standard_errors(values, law.right))) < 5


@pytest.mark.parametrize("kind", (grad.float16, grad.bfloat16, grad.float64), ids=str)
def test_counts_of_other_types(kind: Any) -> None:
    grad.manual_seed(6)
    assert chi_squared(values_of(grad.poisson(full(4, kind))), stats.poisson(4)) > RARE
    found = values_of(grad.binomial(full(16, kind), full(0.25, kind)))
    assert chi_squared(found, stats.binom(16, 0.25)) > RARE
    assert chi_squared(values_of(empty(kind).geometric_(0.25)), stats.geom(0.25)) > RARE
    chance = float(full(0.3, kind)[0])
    found = values_of(grad.bernoulli(full(0.3, kind)))
    assert chi_squared(found, stats.bernoulli(chance)) > RARE


def test_counts_of_large_parameters() -> None:
    """Where float64 has no whole numbers any more, as where it has."""
    grad.manual_seed(7)
    for rate in (1e6, 1e12, 1e20):
        values = values_of(grad.poisson(full(rate, grad.float64)))
        scaled = (values - rate) / math.sqrt(rate)
        assert stats.kstest(scaled, stats.norm.cdf).pvalue > RARE
        values = values_of(grad.binomial(full(rate, grad.float64), full(0.25, grad.float64)))
        scaled = (values - rate / 4) / math.sqrt(rate * 3 / 16)
        assert stats.kstest(scaled, stats.norm.cdf).pvalue > RARE
    rare = grad.binomial(full(1e20, grad.float64), full(4e-20, grad.float64))
    assert chi_squared(values_of(rare), stats.poisson(4)) > RARE
    assert grad.poisson(grad.tensor([math.inf, 0.0])).tolist() == [math.inf, 0.0]
    found = grad.binomial(grad.tensor([math.inf, -3.0, 2.0, 2.0]), grad.tensor([0.5, 0.5, 7, -7]))
    assert found.tolist() == [math.inf, 0.0, 2.0, 0.0]
    assert grad.binomial(grad.tensor([math.nan, 2.0]), grad.tensor([0.5, math.nan])).isnan().all()


# -- large ranges ----------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("low", "high", "kind"),
    [
        (0, 3 << 30, grad.int64),
        (-(2**31), 2**31, grad.int64),
        (0, 2**32 + 1, grad.int64),
        (0, 3 << 61, grad.int64),
        (-(2**62), 2**61, grad.int64),
        (-(2**63), 2**63 - 1, grad.int64),
        (-(2**63), 2**63, grad.int64),
        (5, 2**64, grad.uint64),
        (-(2**31), 2**31, grad.int32),
    ],
)
def test_large_ranges(low: int, high: int, kind: Any) -> None:
    grad.manual_seed(3)
    numbers = [int(n) for n in grad.randint(low, high, (COUNT,), dtype=kind).numpy()]
    assert low <= min(numbers) and max(numbers) < high
    place = np.array([(number - low) / (high - low) for number in numbers])
    assert stats.kstest(place, "uniform").pvalue > RARE
    for modulus in (2, 3, 7, 16):
        counts = np.bincount([(number - low) % modulus for number in numbers])
        assert stats.chisquare(counts).pvalue > RARE, modulus


@pytest.mark.parametrize(
    "kind", [grad.int8, grad.int16, grad.int32, grad.int64, grad.uint64], ids=str
)
def test_all_whole_numbers_of_a_type(kind: Any) -> None:
    grad.manual_seed(4)
    most = int(np.iinfo(kind.numpy).max)
    numbers = [int(n) for n in grad.empty(COUNT, dtype=kind).random_().numpy()]
    assert (
        stats.kstest(np.array([(n + 0.5) / (most + 1) for n in numbers]), "uniform").pvalue > RARE
    )
    counts = np.bincount([n % 4 for n in numbers])
    assert stats.chisquare(counts).pvalue > RARE


@pytest.mark.parametrize("kind", FLOATING, ids=str)
def test_all_whole_numbers_of_a_floating_type(kind: Any) -> None:
    grad.manual_seed(4)
    digits = {grad.float16: 11, grad.bfloat16: 8, grad.float32: 24, grad.float64: 53}[kind]
    numbers = values_of(empty(kind).random_())
    assert numbers.min() >= 0 and numbers.max() <= 2**digits
    assert stats.kstest((numbers + 0.5) / (2**digits + 1), "uniform").pvalue > RARE


# -- ends and repetitions --------------------------------------------------------------------------
def test_numbers_repeat_as_rarely_as_they_should() -> None:
    """Among 2**24 values there are about as many as of a fair urn; among 2**53 none."""
    grad.manual_seed(8)
    count, values = 1 << 18, 2.0**24
    found = len(np.unique(grad.rand(count).numpy()))
    expected = values * -math.expm1(count * math.log1p(-1 / values))
    deviation = math.sqrt(count**2 / (2 * values))
    assert abs(found - expected) < 5 * deviation
    assert len(np.unique(grad.rand(count, dtype=grad.float64).numpy())) == count
    assert len(np.unique(grad.empty(count, dtype=grad.int64).random_().numpy())) == count


@pytest.mark.parametrize("kind", FLOATING, ids=str)
def test_upper_bounds_are_never_reached(kind: Any) -> None:
    grad.manual_seed(9)
    digits = {grad.float16: 11, grad.bfloat16: 8, grad.float32: 24, grad.float64: 53}[kind]
    values = values_of(grad.rand(1 << 20, dtype=kind))
    assert values.min() >= 0 and values.max() <= 1 - 2.0**-digits
    if digits <= 11:
        assert values.min() == 0 and values.max() == 1 - 2.0**-digits
    for low, high in ((100, 101), (-1, 1), (0, 1 / 3), (-3, -1)):
        values = values_of(grad.empty(1 << 16, dtype=kind).uniform_(low, high))
        assert values.min() >= low
        assert values.max() < float(grad.tensor(high, dtype=kind))
    assert (values_of(empty(kind).exponential_()) > 0).all()


# -- of a row --------------------------------------------------------------------------------------
WEIGHTS = np.array([0.0, 1.0, 2.0, 0.0, 3.5, 0.5, 0.0])
CHANCES = WEIGHTS / WEIGHTS.sum()


@pytest.mark.parametrize("kind", FLOATING, ids=str)
def test_multinomial_with_replacement(kind: Any) -> None:
    grad.manual_seed(0)
    weights = grad.tensor(WEIGHTS, dtype=kind)
    found = weights.multinomial(COUNT, replacement=True).numpy()
    counts = np.bincount(found, minlength=7)
    assert not counts[WEIGHTS == 0].any()
    assert stats.chisquare(counts[WEIGHTS > 0], COUNT * CHANCES[WEIGHTS > 0]).pvalue > RARE
    wrong = np.roll(CHANCES[WEIGHTS > 0], 1)
    assert stats.chisquare(counts[WEIGHTS > 0], COUNT * wrong).pvalue < RARE


def test_multinomial_without_replacement() -> None:
    """All orders of three, each with the product of what is left at each step."""
    grad.manual_seed(0)
    rows = grad.tensor(WEIGHTS).expand(COUNT, 7).multinomial(3).numpy()
    places = np.flatnonzero(WEIGHTS)
    orders = list(itertools.permutations(places, 3))
    counts = [int((rows == order).all(1).sum()) for order in orders]
    assert sum(counts) == COUNT  # no zero is drawn, nor anything twice
    chances = []
    for order in orders:
        left, chance = WEIGHTS.sum(), 1.0
        for place in order:
            chance *= WEIGHTS[place] / left
            left -= WEIGHTS[place]
        chances.append(chance)
    assert stats.chisquare(counts, COUNT * np.array(chances)).pvalue > RARE


def test_multinomial_of_rows_is_that_of_each_row() -> None:
    grad.manual_seed(0)
    weights = grad.tensor([[1.0, 2.0, 3.0], [0.0, 1.0, 0.0], [5e-40, 5e-40, 0.0]])
    found = grad.multinomial(weights, COUNT, replacement=True).numpy()
    assert stats.chisquare(np.bincount(found[0]), COUNT * np.array([1, 2, 3]) / 6).pvalue > RARE
    assert (found[1] == 1).all()
    assert stats.chisquare(np.bincount(found[2])).pvalue > RARE
    one = grad.multinomial(grad.tensor(WEIGHTS).expand(COUNT, 7), 1).numpy().ravel()
    counts = np.bincount(one, minlength=7)
    assert stats.chisquare(counts[WEIGHTS > 0], COUNT * CHANCES[WEIGHTS > 0]).pvalue > RARE


def test_multinomial_of_many_never_draws_a_zero() -> None:
    grad.manual_seed(0)
    weights = grad.rand(100_000) * (grad.arange(100_000) % 3 == 0)
    found = grad.multinomial(weights, 300_000, replacement=True)
    assert (found % 3 == 0).all()
    some = grad.multinomial(weights, 30_000).numpy()
    assert (some % 3 == 0).all() and len(np.unique(some)) == 30_000


def test_permutations_are_equally_likely() -> None:
    grad.manual_seed(0)
    orders = dict.fromkeys(itertools.permutations(range(4)), 0)
    for _ in range(4800):
        orders[tuple(grad.randperm(4).tolist())] += 1
    assert stats.chisquare(list(orders.values())).pvalue > RARE


# -- independence ----------------------------------------------------------------------------------
def dependence(a: np.ndarray, b: np.ndarray) -> float:
    """How likely it is that independent uniform numbers fill 64 fields no more evenly."""
    fields = (a * 8).astype(int) * 8 + (b * 8).astype(int)
    return float(stats.chisquare(np.bincount(fields, minlength=64)).pvalue)


def check_independent(streams: Sequence[np.ndarray]) -> None:
    for a, b in itertools.combinations(streams, 2):
        assert dependence(a, b) > RARE
    assert dependence(streams[0], streams[0]) < RARE
    assert len(np.unique(np.stack(streams), axis=0)) == len(streams)


def test_successive_calls_are_independent() -> None:
    grad.manual_seed(0)
    check_independent([values_of(grad.rand(COUNT)) for _ in range(6)])


def test_neighbours_are_independent() -> None:
    grad.manual_seed(0)
    values = values_of(grad.rand(COUNT))
    for distance in (1, 2, 3, 4, 7, 8, 16, 64, 4096):
        assert dependence(values[:-distance], values[distance:]) > RARE


def test_seeds_and_generators_are_independent() -> None:
    seeds = (0, 1, 2, 3, 2**32, 2**63, -1)
    generators = [grad.Generator().manual_seed(seed) for seed in seeds]
    check_independent([values_of(grad.rand(COUNT, generator=g)) for g in generators])


def test_laws_of_one_seed_are_independent() -> None:
    """Different functions take different streams, even where they count elements alike."""
    grad.manual_seed(0)
    draws = [
        values_of(grad.rand(COUNT)),
        stats.norm.cdf(values_of(grad.randn(COUNT))),
        stats.expon.cdf(values_of(grad.empty(COUNT).exponential_())),
        stats.cauchy.cdf(values_of(grad.empty(COUNT).cauchy_())),
        values_of(grad.randint(0, 1 << 40, (COUNT,))) / 2.0**40,
    ]
    check_independent([np.minimum(u, 1 - 2.0**-53) for u in draws])


def test_threads_are_independent() -> None:
    grad.manual_seed(0)
    streams: list[np.ndarray] = []

    def draw() -> None:
        streams.extend([values_of(grad.rand(COUNT)) for _ in range(2)])

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(streams) == 8
    check_independent(streams)


def test_items_of_a_batch_are_independent() -> None:
    grad.manual_seed(0)

    def noise(x: Any) -> Any:
        return grad.rand(COUNT, dtype=x.dtype) + 0 * x

    items = grad.vmap(noise, randomness="different")(grad.zeros(5, dtype=grad.float64)).numpy()
    check_independent(list(items))
    counts = grad.vmap(grad.poisson, randomness="different")(grad.full((4, COUNT), 5.0))
    for row in counts.numpy():
        assert chi_squared(row, stats.poisson(5)) > RARE
    assert len(np.unique(counts.numpy(), axis=0)) == 4
    same = grad.vmap(grad.poisson, randomness="same")(grad.full((4, COUNT), 5.0))
    assert len(np.unique(same.numpy(), axis=0)) == 1


def test_blocks_of_counts_are_independent() -> None:
    grad.manual_seed(0)
    values = values_of(grad.poisson(grad.full((8, 4096), 1000.0)))
    spread = stats.poisson(1000).cdf(values).reshape(8, 4096)
    check_independent(list(np.minimum(spread, 1 - 2.0**-53)))
