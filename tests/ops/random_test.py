"""Random numbers: reproducible, independent of threads, and distributed as they say.

Seeds are fixed, so the statistical tests give the same answer each time; their bounds are five
standard errors.
"""

from __future__ import annotations

import math
import threading

import numpy as np
import pytest

import grad
from grad.dtype import dtypes
from grad.engine import cache
from grad.errors import ShapeError
from grad.graph import reference
from grad.ops.generator import Generator

COUNT = 50_000


def test_threefry_is_the_published_function() -> None:
    """Known answers of Random123 (kat_vectors, threefry2x32 20): zeros, ones, and digits of pi."""
    rows = [
        ((0, 0), (0, 0), (0x6B200159, 0x99BA4EFE)),
        ((0xFFFFFFFF, 0xFFFFFFFF), (0xFFFFFFFF, 0xFFFFFFFF), (0x1CB996FC, 0xBB002BE7)),
        ((0x13198A2E, 0x03707344), (0x243F6A88, 0x85A308D3), (0xC4923A9C, 0x483DF7A0)),
    ]
    for key, counter, expected in rows:
        words = [np.uint64(low | high << 32) for low, high in (key, counter)]
        bits = int(reference.threefry(*words))
        assert (bits & 0xFFFFFFFF, bits >> 32) == expected


def test_the_compiled_numbers_are_those_of_the_definition() -> None:
    generator = Generator().manual_seed(42)
    keys = reference.threefry(np.uint64(42), np.arange(2, dtype=np.uint64))
    for key in keys:
        bits = reference.threefry(key, np.arange(1000, dtype=np.uint64))
        expected = (bits >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)
        actual = grad.rand(10, 100, generator=generator)
        np.testing.assert_array_equal(actual.numpy().ravel(), expected)


def test_a_seed_repeats_and_streams_differ() -> None:
    grad.manual_seed(7)
    first, second = grad.rand(100), grad.rand(100)
    grad.manual_seed(7)
    again = grad.rand(100)
    assert first.tolist() == again.tolist() != second.tolist()
    assert grad.initial_seed() == 7
    grad.manual_seed(8)
    assert grad.rand(100).tolist() != first.tolist()


def test_generators_are_independent_of_the_default_one() -> None:
    grad.manual_seed(0)
    expected = grad.rand(5).tolist()
    grad.manual_seed(0)
    own = Generator().manual_seed(0)
    grad.rand(3, generator=own)
    assert grad.rand(5).tolist() == expected


def test_the_state_can_be_kept() -> None:
    grad.manual_seed(3)
    grad.rand(2)
    state = grad.get_rng_state()
    expected = grad.randn(4).tolist()
    grad.rand(1000)
    grad.set_rng_state(state)
    assert grad.randn(4).tolist() == expected


def test_numbers_do_not_depend_on_when_or_where_they_are_computed() -> None:
    """Not on the number of threads, nor on what else is in the graph, nor on the order of
    reading.
    """
    grad.manual_seed(1)
    a, b = grad.rand(100_000), grad.rand(100_000)
    later = (b.numpy().tobytes(), a.numpy().tobytes())
    grad.manual_seed(1)
    a, b = grad.rand(100_000), grad.rand(100_000)
    fused = (a + b).numpy()
    assert (b.numpy().tobytes(), a.numpy().tobytes()) == later
    np.testing.assert_array_equal(fused, a.numpy() + b.numpy())


def test_threads_never_get_the_same_key() -> None:
    generator = Generator().manual_seed(0)
    keys: list[int] = []

    def take() -> None:
        keys.extend([generator.next_key() for _ in range(1000)])

    threads = [threading.Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(keys)) == 4000


@pytest.mark.parametrize("kind", ["float16", "bfloat16", "float32", "float64"])
def test_uniform(kind: str) -> None:
    grad.manual_seed(0)
    x = grad.rand(COUNT, dtype=getattr(dtypes, kind))
    assert x.dtype.name == kind
    values = x.double().numpy()
    assert values.min() >= 0 and values.max() < 1
    # A multiple of 2 ** -bits rounds down: the mean of those is half a step below 1 / 2.
    step = {"float16": 2.0**-11, "bfloat16": 2.0**-8}.get(kind, 0.0)
    assert values.mean() == pytest.approx(0.5 - step / 2, abs=5 / math.sqrt(12 * COUNT))
    assert values.var() == pytest.approx(1 / 12, abs=5e-3)
    counts, _ = np.histogram(values, bins=64, range=(0, 1))
    chi_squared = ((counts - COUNT / 64) ** 2 / (COUNT / 64)).sum()
    assert chi_squared < 63 + 5 * math.sqrt(2 * 63)


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_normal(kind: str) -> None:
    grad.manual_seed(0)
    values = grad.randn(COUNT, dtype=getattr(dtypes, kind)).double().numpy()
    assert np.isfinite(values).all()
    assert values.mean() == pytest.approx(0, abs=5 / math.sqrt(COUNT))
    assert values.var() == pytest.approx(1, abs=5 * math.sqrt(2 / COUNT))
    assert (values**3).mean() == pytest.approx(0, abs=5 * math.sqrt(15 / COUNT))
    assert (values**4).mean() == pytest.approx(3, abs=5 * math.sqrt(96 / COUNT))
    inside = (np.abs(values) < 1.959964).mean()
    assert inside == pytest.approx(0.95, abs=5 * math.sqrt(0.95 * 0.05 / COUNT))
    neighbours = np.corrcoef(values[:-1], values[1:])[0, 1]
    assert abs(neighbours) < 5 / math.sqrt(COUNT)


@pytest.mark.parametrize(("low", "high"), [(0, 10), (-5, 3), (0, 2**32), (-(2**62), 2**62), (7, 8)])
def test_integers(low: int, high: int) -> None:
    grad.manual_seed(0)
    x = grad.randint(low, high, (COUNT,))
    assert x.dtype is dtypes.int64
    values = x.numpy()
    assert values.min() >= low and values.max() < high
    if high - low <= 10:
        counts = np.bincount(values - low, minlength=high - low)
        assert np.abs(counts - COUNT / (high - low)).max() <= 5 * math.sqrt(COUNT)


def test_forms_of_randint() -> None:
    assert grad.randint(5, (2, 3)).shape == (2, 3)
    assert grad.randint(1, 5, (2,), dtype=dtypes.uint8).dtype is dtypes.uint8
    with pytest.raises(ValueError, match="below"):
        grad.randint(5, 5, (2,))
    with pytest.raises(TypeError, match="size"):
        grad.randint(3)


def test_equal_keys_of_a_permutation_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """So it is the same on every machine, however rare they are."""
    keys = np.random.default_rng(0).integers(0, 9, 1000).astype(np.uint64)
    monkeypatch.setattr(reference, "threefry", lambda key, numbers: keys)
    np.testing.assert_array_equal(grad.randperm(1000).numpy(), np.argsort(keys, kind="stable"))


def test_permutation() -> None:
    grad.manual_seed(0)
    order = grad.randperm(1000)
    assert sorted(order.tolist()) == list(range(1000)) != order.tolist()
    assert grad.randperm(0).shape == (0,)


def test_bernoulli() -> None:
    grad.manual_seed(0)
    x = grad.full((COUNT,), 0.3).bernoulli()
    assert set(x.tolist()) == {0.0, 1.0}
    assert x.mean().item() == pytest.approx(0.3, abs=5 * math.sqrt(0.21 / COUNT))
    assert grad.zeros(100).bernoulli(1.0).sum().item() == 100
    assert grad.ones(100).bernoulli(0.0).sum().item() == 0
    with pytest.raises(ValueError, match="probability"):
        grad.ones(2).bernoulli(1.5)


def test_filling_in_place() -> None:
    grad.manual_seed(0)
    x = grad.zeros(COUNT)
    assert x.uniform_(-2, 4) is x
    assert -2 <= x.min().item() < -1.9 and 3.9 < x.max().item() < 4
    assert x.normal_(5, 2).mean().item() == pytest.approx(5, abs=0.05)
    assert set(x.bernoulli_(0.5).tolist()) == {0.0, 1.0}
    assert set(grad.zeros(1000).random_(3).tolist()) == {0.0, 1.0, 2.0}
    with pytest.raises(ValueError, match="above"):
        x.uniform_(2, 1)
    with pytest.raises(ValueError, match="negative"):
        x.normal_(0, -1)


def test_filling_writes_through_views() -> None:
    x = grad.zeros(2, 3)
    x[0].uniform_(1, 2)
    assert (x[0] >= 1).all().item() and x[1].tolist() == [0.0, 0.0, 0.0]


def test_shapes_and_types() -> None:
    assert (
        grad.rand(2, 3).shape == grad.rand((2, 3)).shape == grad.Tensor.rand(2, 3).shape == (2, 3)
    )
    assert grad.rand(()).shape == () and grad.randn(0, 4).numpy().shape == (0, 4)
    like = grad.zeros(2, 3, dtype=dtypes.float64)
    assert grad.rand_like(like).dtype is grad.randn_like(like).dtype is dtypes.float64
    assert grad.randint_like(grad.zeros(2, dtype=dtypes.int32), 5).dtype is dtypes.int32
    assert grad.normal(0.0, 1.0, (2, 2)).shape == grad.normal(grad.zeros(2, 2), 1.0).shape == (2, 2)
    assert grad.randn(2, requires_grad=True).requires_grad
    with pytest.raises((ShapeError, ValueError), match="negative"):
        grad.rand(-1)
    with pytest.raises(TypeError, match="floating"):
        grad.rand(2, dtype=dtypes.int64)


def test_new_numbers_compile_nothing() -> None:
    """The key is an argument of the kernel, so a training loop with dropout hits the cache."""
    x = grad.ones(50)

    def step() -> None:
        (x * (grad.rand(50) < 0.5)).sum().item()

    step()
    step()
    misses = cache.misses
    for _ in range(300):
        step()
    assert cache.misses == misses


def test_numbers_do_not_depend_on_the_number_of_threads() -> None:
    before = grad.get_num_threads()
    found = set()
    try:
        for count in (1, 2, 3):
            grad.set_num_threads(count)
            grad.manual_seed(5)
            found.add(grad.randn(300_000).numpy().tobytes())
    finally:
        grad.set_num_threads(before)
    assert len(found) == 1
