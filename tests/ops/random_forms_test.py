"""The forms in which random numbers are asked for: arguments, types, errors, gradients, states.

Laws are in random_statistics_test.py; tests/peers/random_peer_test.py asks PyTorch for the same
forms.
"""

from __future__ import annotations

import copy
import math
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import pytest

import grad
from grad.errors import ArgumentError, DTypeError, ShapeError

T = grad.tensor
WHOLE = grad.int64


# -- what is refused -------------------------------------------------------------------------------
def fills(dtype: Any = grad.float32) -> Any:
    return grad.zeros(3, dtype=dtype)


REFUSED: list[tuple[type[Exception], Callable[[], Any]]] = [
    (ArgumentError, lambda: T([1.0, 2.0]).multinomial(0)),
    (ArgumentError, lambda: T([1.0, 2.0]).multinomial(3)),
    (ArgumentError, lambda: grad.zeros(3, 0).multinomial(1, True)),
    (DTypeError, lambda: T([1, 2]).multinomial(1)),
    (DTypeError, lambda: T([1.0, 2.0]).multinomial(1, out=grad.zeros(1))),
    (ShapeError, lambda: T(1.0).multinomial(1)),
    (ShapeError, lambda: grad.ones(1, 1, 1).multinomial(1)),
    *[
        (ArgumentError, lambda weights=weights, how=how: T(weights).multinomial(1, how))
        for weights in ([1.0, -1.0], [1.0, math.nan], [math.inf, 1.0], [[1.0, 1.0], [0.0, 0.0]])
        for how in (False, True)
    ],
    (ArgumentError, lambda: fills().exponential_(0)),
    (ArgumentError, lambda: fills().exponential_(math.nan)),
    (DTypeError, lambda: fills(WHOLE).exponential_()),
    (ArgumentError, lambda: fills().cauchy_(0, 0)),
    (DTypeError, lambda: fills(WHOLE).cauchy_()),
    (ArgumentError, lambda: fills().log_normal_(0, 0)),
    (DTypeError, lambda: fills(WHOLE).log_normal_()),
    (ArgumentError, lambda: fills().geometric_(0)),
    (ArgumentError, lambda: fills().geometric_(1)),
    (DTypeError, lambda: fills(grad.bool).geometric_(0.5)),
    (ArgumentError, lambda: fills().random_(0)),
    (ArgumentError, lambda: fills().random_(5, -5)),
    (TypeError, lambda: fills().random_(2.5)),
    (ArgumentError, lambda: fills(grad.uint8).random_(257)),
    (ArgumentError, lambda: fills(grad.uint8).random_(-1, 30)),
    (ArgumentError, lambda: fills(grad.bool).random_(3)),
    (ArgumentError, lambda: fills(grad.float16).random_(70000)),
    (ArgumentError, lambda: grad.randint(0, 2**63 + 1, (2,))),
    (ArgumentError, lambda: grad.randint(0, 300, (2,), dtype=grad.uint8)),
    (ArgumentError, lambda: grad.randint_like(fills(), 5, 5)),
    (TypeError, lambda: grad.randint(5.5, (2,))),
    (TypeError, lambda: grad.randint(5, 2)),
    (ArgumentError, lambda: grad.randperm(300, dtype=grad.uint8)),
    (ArgumentError, lambda: grad.randperm(3000, dtype=grad.float16)),
    (ShapeError, lambda: grad.randperm(-1)),
    (TypeError, lambda: grad.normal(0.0, 1.0)),
    (TypeError, lambda: grad.normal(T([1.0]), 1.0, (1,))),
    (ArgumentError, lambda: grad.normal(0.0, -1.0, (2,))),
    (ArgumentError, lambda: grad.normal(T([1.0]), math.nan)),
    (ArgumentError, lambda: grad.normal(0.0, T([1.0, -1.0]))),
    (DTypeError, lambda: grad.normal(T([1, 2]), 1.0)),
    (ShapeError, lambda: grad.normal(T([1.0, 2.0]), T([1.0, 2.0, 3.0]))),
    (DTypeError, lambda: grad.rand(2, dtype=WHOLE)),
    (DTypeError, lambda: grad.rand(2, out=grad.zeros(2), dtype=grad.float64)),
    (DTypeError, lambda: grad.rand_like(fills(WHOLE))),
    (ArgumentError, lambda: T([0.5, 1.2]).bernoulli()),
    (ArgumentError, lambda: fills().bernoulli_(math.nan)),
    (ArgumentError, lambda: fills().bernoulli_(T([0.5, 0.5, math.nan]))),
    (DTypeError, lambda: T([1, 0]).bernoulli()),
    (ArgumentError, lambda: grad.poisson(T([1.0, -1.0]))),
    (ArgumentError, lambda: grad.poisson(T([math.nan]))),
    (DTypeError, lambda: grad.poisson(T([1]))),
    (ArgumentError, lambda: grad.binomial(T([10]), T([0.5]))),
    (DTypeError, lambda: grad.binomial(T([10.0]), T([0.5]).double())),
    (ArgumentError, lambda: fills().uniform_(2, 1)),
    (ArgumentError, lambda: fills().uniform_(0, math.inf)),
    (ArgumentError, lambda: fills().uniform_(-3e38, 3e38)),
    (ArgumentError, lambda: fills(grad.float16).uniform_(0, 1e6)),
    (ArgumentError, lambda: fills().normal_(0, math.nan)),
    (DTypeError, lambda: fills(WHOLE).normal_()),
    (RuntimeError, lambda: fills().requires_grad_().exponential_()),
    (DTypeError, lambda: grad.dropout(T([1]), 0.5, True)),
    (ShapeError, lambda: grad.feature_dropout(T([1.0]), 0.5, True)),
    (ArgumentError, lambda: grad.dropout_(T([1.0]), 1.5, True)),
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_refused_at_the_call_and_nothing_is_drawn(number: int) -> None:
    error, call = REFUSED[number]
    before = grad.get_rng_state()
    with pytest.raises(error):
        call()
    assert grad.equal(grad.get_rng_state(), before)


# -- forms -----------------------------------------------------------------------------------------
FORMS: list[tuple[Callable[[], Any], tuple[int, ...], Any]] = [
    (lambda: grad.rand(size=(2, 3)), (2, 3), grad.float32),
    (lambda: grad.randn(2, 0, dtype=grad.float16), (2, 0), grad.float16),
    (lambda: grad.randint(high=5, size=(2,)), (2,), grad.int64),
    (lambda: grad.randint(T(3), (2,)), (2,), grad.int64),
    (lambda: grad.randint_like(fills(), high=5, dtype=grad.int8), (3,), grad.int8),
    (lambda: grad.randint_like(fills(), low=2, high=5), (3,), grad.float32),
    (lambda: grad.rand_like(fills(WHOLE), dtype=grad.float64), (3,), grad.float64),
    (lambda: grad.normal(T([1.0, 2.0]), T([[1.0], [2.0]])), (2, 2), grad.float32),
    (lambda: grad.normal(T([1.0]).half(), T([1.0, 1.0]).double()), (2,), grad.float16),
    (lambda: grad.normal(0.0, T([1.0]).double()), (1,), grad.float64),
    (lambda: grad.normal(mean=T([1.0])), (1,), grad.float32),
    (lambda: grad.normal(0, 1, size=(2,), dtype=grad.float64), (2,), grad.float64),
    (lambda: grad.bernoulli(T([5, 2]), 0.5), (2,), grad.int64),
    (lambda: fills(WHOLE).bernoulli_(T(0.5)), (3,), grad.int64),
    (lambda: fills().random_(to=5), (3,), grad.float32),
    (lambda: fills(WHOLE).random_(-(2**63), None), (3,), grad.int64),
    (lambda: fills().uniform_(to=3), (3,), grad.float32),
    (lambda: fills().geometric_(T(0.5)), (3,), grad.float32),
    (lambda: grad.multinomial(grad.zeros(0, 3), 2), (0, 2), grad.int64),
    (lambda: grad.multinomial(grad.ones(4, 3).half(), 2), (4, 2), grad.int64),
    (lambda: grad.poisson(grad.zeros(2, 0)), (2, 0), grad.float32),
    (lambda: grad.poisson(T(3.0)), (), grad.float32),
    (lambda: grad.binomial(T([10.0, 5.0]), T(0.5)), (2,), grad.float32),
    (lambda: grad.poisson(grad.ones(4, 6)[:, ::2].T), (3, 4), grad.float32),
    (lambda: grad.native_dropout(grad.ones(2), 0.5, True)[1], (2,), grad.bool),
]


@pytest.mark.parametrize("number", range(len(FORMS)))
def test_shapes_and_types(number: int) -> None:
    call, shape, dtype = FORMS[number]
    found = call()
    assert (found.shape, found.dtype) == (shape, dtype)
    found.numpy()


def test_ranges_by_other_names() -> None:
    values = grad.zeros(1000).random_(**{"from": 2, "to": 5})
    assert set(values.tolist()) == {2.0, 3.0, 4.0}
    values = grad.zeros(1000).uniform_(**{"from": 2, "to": 5})
    assert values.min() >= 2 and values.max() < 5
    assert (grad.zeros(1000, dtype=grad.int8).random_(100, None) >= 100).all()


def test_results_go_into_out() -> None:
    grad.manual_seed(0)
    weights, mean = T([1.0, 2.0, 3.0]), T([1.0, 2.0])
    for draw, out in (
        (lambda **o: grad.rand(4, **o), grad.zeros(4, dtype=grad.float64)),
        (lambda **o: grad.randn(4, **o), grad.zeros(4)),
        (lambda **o: grad.randint(100, (4,), **o), grad.zeros(4)),
        (lambda **o: grad.randperm(4, **o), grad.zeros(4, dtype=grad.int32)),
        (lambda **o: grad.normal(0, 1, (4,), **o), grad.zeros(4)),
        (lambda **o: grad.normal(mean, 2.0, **o), grad.zeros(2, dtype=grad.float64)),
        (lambda **o: weights.multinomial(2, **o), grad.zeros(2, dtype=WHOLE)),
        (lambda **o: grad.poisson(mean * 99, **o), grad.zeros(2)),
    ):
        dtype = out.dtype
        assert draw(out=out) is out and out.dtype is dtype
        assert out.count_nonzero() > 0


def test_whole_numbers_that_a_type_rounds_get_a_warning() -> None:
    with pytest.warns(UserWarning, match="out of bounds"):
        grad.zeros(3).random_(2**25)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        grad.zeros(3).random_(2**24)
        grad.zeros(3, dtype=grad.float16).random_()


def test_large_numbers_of_trials_are_the_largest_of_the_type() -> None:
    grad.manual_seed(0)
    assert grad.empty(100, dtype=grad.int8).geometric_(1e-6).tolist() == [127] * 100


# -- gradients -------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "draw",
    [
        grad.bernoulli,
        grad.poisson,
        lambda x: grad.binomial(grad.full((3,), 5.0), x),
        lambda x: grad.binomial(x, grad.full((3,), 0.5)),
        lambda x: grad.normal(x, 1.0),
        lambda x: grad.normal(0.0, x),
        lambda x: (x * 1).exponential_(),
        lambda x: (x * 1).cauchy_(),
        lambda x: (x * 1).geometric_(0.5),
        lambda x: (x * 1).log_normal_(),
        lambda x: (x * 1).random_(),
        lambda x: (x * 1).uniform_(),
        lambda x: (x * 1).normal_(),
        lambda x: (x * 1).bernoulli_(),
    ],
)
def test_gradients_are_zero(draw: Callable[[Any], Any]) -> None:
    x = grad.full((3,), 0.5).requires_grad_()
    result = draw(x)
    assert result.requires_grad
    (slope,) = grad.autograd.grad(result.sum(), x)
    assert slope.tolist() == [0.0, 0.0, 0.0]


def test_what_has_no_gradient() -> None:
    x = grad.full((3,), 0.5).requires_grad_()
    assert not x.multinomial(2).requires_grad
    assert not grad.rand_like(x).requires_grad
    assert grad.rand_like(x, requires_grad=True).requires_grad


# -- batches ---------------------------------------------------------------------------------------
BATCHED: list[Callable[[Any], Any]] = [
    lambda x: grad.bernoulli(x / 50),
    lambda x: grad.poisson(x),
    lambda x: grad.binomial(x, grad.full((40,), 0.5)),
    lambda x: grad.normal(x, 1.0),
    lambda x: x.multinomial(5),
    lambda x: x.multinomial(50, replacement=True),
    lambda x: x.clone().exponential_(),
    lambda x: x.clone().cauchy_(),
    lambda x: x.clone().log_normal_(),
    lambda x: x.clone().geometric_(0.1),
    lambda x: x.clone().random_(),
    lambda x: grad.randint_like(x, 1000),
    lambda x: grad.feature_dropout(x.reshape(20, 2), 0.5, True),
]


@pytest.mark.parametrize("number", range(len(BATCHED)))
def test_batches_draw_as_told(number: int) -> None:
    draw, x = BATCHED[number], grad.full((3, 40), 25.0)
    with pytest.raises(RuntimeError, match="randomness error mode"):
        grad.vmap(draw)(x)
    same = grad.vmap(draw, randomness="same")(x)
    assert grad.equal(same[0], same[1])
    different = grad.vmap(draw, randomness="different")(x)
    assert not grad.equal(different[0], different[1])
    assert not grad.equal(different[1], different[2])


def test_a_batch_is_looked_at() -> None:
    with pytest.raises(ValueError, match="Poisson"):
        grad.vmap(grad.poisson, randomness="same")(T([[1.0], [-1.0]]))


# -- generators ------------------------------------------------------------------------------------
def test_counts_do_not_depend_on_the_number_of_threads() -> None:
    before = grad.get_num_threads()
    found = set()
    try:
        for count in (1, 2, 3):
            grad.set_num_threads(count)
            grad.manual_seed(5)
            found.add(grad.poisson(grad.full((30_000,), 9.0)).numpy().tobytes())
    finally:
        grad.set_num_threads(before)
    assert len(found) == 1


def test_seeds() -> None:
    generator = grad.Generator()
    assert generator.device == "cpu" and generator.initial_seed() == 67280421310721
    for seed, expected in ((-1, 2**64 - 1), (2**64 - 1, 2**64 - 1), (-(2**63), 2**63), (5, 5)):
        assert generator.manual_seed(seed) is generator
        assert generator.initial_seed() == expected
    for seed in (2**64, -(2**63) - 1):
        with pytest.raises(ValueError, match="64 bits"):
            generator.manual_seed(seed)
    with pytest.raises(RuntimeError, match="float"):
        generator.manual_seed(1.5)  # type: ignore[arg-type]
    assert generator.initial_seed() == 5
    assert generator.seed() == generator.initial_seed() != 5
    assert grad.manual_seed(1.5) is grad.default_generator  # type: ignore[arg-type]
    assert grad.initial_seed() == 1
    with pytest.raises(RuntimeError, match="device"):
        grad.Generator("nowhere")


def test_states() -> None:
    generator = grad.Generator().manual_seed(3)
    grad.rand(2, generator=generator)
    state = generator.get_state()
    assert (state.dtype, state.shape) == (grad.uint8, (16,))
    others = [
        grad.Generator().set_state(state),
        generator.clone_state(),
        copy.deepcopy(generator),
        pickle.loads(pickle.dumps(generator)),
    ]
    expected = [grad.rand(3, generator=generator).tolist() for _ in range(2)]
    for other in others:
        assert [grad.rand(3, generator=other).tolist() for _ in range(2)] == expected
        assert other.initial_seed() == 3
    generator.set_state(state.clone())
    assert grad.rand(3, generator=generator).tolist() == expected[0]


@pytest.mark.parametrize(
    ("state", "error"),
    [(1, TypeError), (grad.zeros(16), TypeError), (grad.zeros(3).to(grad.uint8), RuntimeError)],
)
def test_other_states_are_refused(state: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        grad.Generator().set_state(state)
    with pytest.raises(error):
        grad.random.set_rng_state(state)


def test_forks() -> None:
    grad.random.manual_seed(0)
    before = grad.get_rng_state()
    with grad.random.fork_rng():
        first = grad.rand(3)
        grad.manual_seed(9)
    assert grad.equal(grad.random.get_rng_state(), before) and grad.initial_seed() == 0
    with pytest.raises(KeyError), grad.random.fork_rng():
        assert grad.equal(grad.rand(3), first)
        raise KeyError
    assert grad.equal(grad.get_rng_state(), before)
    with grad.random.fork_rng(enabled=False):
        grad.rand(3)
    assert not grad.equal(grad.get_rng_state(), before)
