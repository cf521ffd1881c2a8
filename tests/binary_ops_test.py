"""Operations of two operands: operators, broadcasting, promotion, special values, refusals.

The registry test runs every op over its samples; here are the cases that someone would look up:
tables of operands and results, checked against NumPy or written out.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grad
import grad.nn.functional as F
from grad.dtype import ALL_DTYPES, dtypes
from grad.errors import BroadcastError, DTypeError, ShapeError

OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
BITWISE: dict[str, Callable[[Any, Any], Any]] = {
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
    "<<": operator.lshift,
    ">>": operator.rshift,
}
SHAPES = [
    ((), ()),
    ((3,), ()),
    ((), (3,)),
    ((2, 3), (3,)),
    ((2, 1), (1, 3)),
    ((4, 1, 3), (2, 1)),
    ((1,), (5,)),
    ((0, 3), (1, 3)),
    ((2, 0), (1,)),
]


def _floats(shape: tuple[int, ...], seed: int) -> np.ndarray:
    values = np.random.default_rng(seed).uniform(0.5, 3, shape)
    return np.asarray(values, np.float32)


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("symbol", OPERATORS)
def test_operators_broadcast_as_numpy(symbol: str, shapes: tuple[tuple[int, ...], ...]) -> None:
    x, y = (_floats(shape, seed) for seed, shape in enumerate(shapes))
    expected = np.asarray(OPERATORS[symbol](x, y))
    actual = OPERATORS[symbol](grad.tensor(x), grad.tensor(y))
    assert actual.shape == expected.shape
    assert actual.dtype is (dtypes.bool if expected.dtype == bool else dtypes.float32)
    np.testing.assert_allclose(actual.numpy(), expected, rtol=2e-6)


@pytest.mark.parametrize("symbol", OPERATORS)
def test_numbers_on_either_side(symbol: str) -> None:
    x = _floats((2, 3), 0)
    for left, right in ((x, 2.0), (2.0, x), (x, 2), (3, x)):
        ours = [grad.tensor(v) if isinstance(v, np.ndarray) else v for v in (left, right)]
        expected = OPERATORS[symbol](left, right)
        np.testing.assert_allclose(OPERATORS[symbol](*ours).numpy(), expected, rtol=2e-6)


@pytest.mark.parametrize("symbol", BITWISE)
@pytest.mark.parametrize(
    "kind", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
)
def test_bitwise_operators(symbol: str, kind: str) -> None:
    random = np.random.default_rng(0)
    x, y = random.integers(0, 100, (2, 3)).astype(kind), random.integers(0, 7, 3).astype(kind)
    actual = BITWISE[symbol](grad.tensor(x), grad.tensor(y))
    assert actual.dtype.name == kind
    np.testing.assert_array_equal(actual.numpy(), BITWISE[symbol](x, y))
    np.testing.assert_array_equal(
        BITWISE[symbol](5, grad.tensor(y)).numpy(), BITWISE[symbol](y * 0 + 5, y)
    )


@pytest.mark.parametrize("bits", [8, 16, 32, 64])
def test_shift_counts_outside_the_type_shift_everything_out(bits: int) -> None:
    kind = f"int{bits}"
    x = grad.tensor(np.array([-1, 5], kind))
    count = grad.tensor(np.array([bits, bits + 3], kind))
    assert (x << count).tolist() == [0, 0]
    assert (x >> count).tolist() == [-1, 0]


def test_in_place_operators_keep_the_memory() -> None:
    x = grad.tensor([1.0, 2.0, 4.0])
    alias = x.view(3, 1)
    x += 1
    x *= grad.tensor([1, 2, 3])
    x -= 0.5
    x /= 2
    x **= 2
    x //= 1
    x %= 4
    assert x.tolist() == [0.0, 3.0, 0.0]
    assert alias.flatten().tolist() == x.tolist()


def test_in_place_result_must_fit() -> None:
    whole = grad.tensor([1, 2, 3])
    with pytest.raises((DTypeError, RuntimeError), match="float"):
        whole += 0.5
    with pytest.raises((ShapeError, RuntimeError)):
        whole += grad.ones((2, 3), dtype=dtypes.int64)
    assert whole.tolist() == [1, 2, 3]


# -- promotion -------------------------------------------------------------------------------------
PROMOTIONS = [
    ("uint8", "int8", "int16"),
    ("int8", "int64", "int64"),
    ("uint32", "int32", "int64"),
    ("bool", "uint8", "uint8"),
    ("bool", "float16", "float16"),
    ("int64", "float16", "float16"),
    ("int64", "bfloat16", "bfloat16"),
    ("float16", "bfloat16", "float32"),
    ("float32", "float64", "float64"),
    ("float16", "float32", "float32"),
]


@pytest.mark.parametrize(("first", "second", "result"), PROMOTIONS)
def test_types_of_tensors_combine(first: str, second: str, result: str) -> None:
    x = grad.ones(2, dtype=getattr(dtypes, first))
    y = grad.ones(2, dtype=getattr(dtypes, second))
    assert (x * y).dtype.name == (y * x).dtype.name == result
    assert grad.result_type(x, y).name == result


@pytest.mark.parametrize("dtype", ALL_DTYPES, ids=lambda dtype: dtype.name)
def test_numbers_and_scalar_tensors_are_weak(dtype: Any) -> None:
    """They raise the type of a tensor with dimensions only to another category."""
    x = grad.ones(2, dtype=dtype)
    whole = dtypes.int64 if dtype is dtypes.bool else dtype
    real = dtype if dtype.is_floating_point else dtypes.float32
    assert (x * True).dtype is dtype
    assert (x * 2).dtype is whole
    assert (x * 2.5).dtype is real
    assert (2.5 * x).dtype is real
    scalar = grad.tensor(2.0, dtype=dtypes.float64)
    assert (x * scalar).dtype is (dtype if dtype.is_floating_point else dtypes.float64)
    assert (x * grad.tensor(2, dtype=dtypes.int8)).dtype is (
        dtypes.int8 if dtype is dtypes.bool else dtype
    )


def test_division_of_integers_is_floating_and_comparison_is_bool() -> None:
    x, y = grad.tensor([7, -7]), grad.tensor([2, 2])
    assert (x / y).dtype is dtypes.float32 and (x / y).tolist() == [3.5, -3.5]
    assert (x // y).tolist() == [3, -4]
    assert (x % y).tolist() == [1, 1]
    assert (x < y).dtype is dtypes.bool


# -- integers and special values -------------------------------------------------------------------
@pytest.mark.parametrize(
    "kind", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]
)
def test_integers_wrap(kind: str) -> None:
    limits = np.iinfo(kind)
    ends = np.array([limits.max, limits.min], kind)
    x = grad.tensor(ends)
    with np.errstate(over="ignore"):
        for symbol, number in (("+", 1), ("-", 1), ("*", 3)):
            expected = OPERATORS[symbol](ends, np.array(number, kind))
            np.testing.assert_array_equal(OPERATORS[symbol](x, number).numpy(), expected)
        np.testing.assert_array_equal((x**3).numpy(), ends**3)
        np.testing.assert_array_equal((-x).numpy(), -ends)


def test_python_numbers_outside_the_type_wrap() -> None:
    assert (grad.tensor([1], dtype=dtypes.uint8) + 300).tolist() == [45]
    assert (grad.tensor([1], dtype=dtypes.int8) + -200).tolist() == [57]


@pytest.mark.parametrize("number", [-1, 300, -129, 2**40])
@pytest.mark.parametrize("wrapped", [False, True], ids=["number", "0-dimensional tensor"])
def test_numbers_outside_the_type_are_themselves_where_results_are_floating(
    number: int, wrapped: bool
) -> None:
    operand = grad.tensor(number) if wrapped else number
    for dtype in (dtypes.uint8, dtypes.int8, dtypes.int16):
        x = grad.tensor([1, 2, 5], dtype=dtype)
        for name in ("div", "atan2", "hypot", "copysign", "xlogy", "logaddexp", "logaddexp2"):
            found, expected = (getattr(y, name)(operand) for y in (x, x.float()))
            assert found.dtype is dtypes.float32
            np.testing.assert_array_equal(found.numpy(), expected.numpy())
        np.testing.assert_array_equal((operand / x).numpy(), (operand / x.float()).numpy())
        found = grad.special.xlog1py(x, operand)
        np.testing.assert_array_equal(found.numpy(), grad.special.xlog1py(x.float(), operand))


@pytest.mark.parametrize("symbol", ["//", "%"])
def test_integer_division_by_zero_gives_zero(symbol: str) -> None:
    """As in NumPy, which warns; the values are not known when the operator is called."""
    assert OPERATORS[symbol](grad.tensor([5, -5, 0]), grad.tensor([0, 0, 0])).tolist() == [0, 0, 0]


SPECIAL = [0.0, -0.0, 1.0, -2.5, math.inf, -math.inf, math.nan, 1e-40, 3e38]


@pytest.mark.parametrize("symbol", ["+", "-", "*", "/", "%", "<", "<=", "==", "!="])
@pytest.mark.parametrize("kind", ["float32", "float64", "float16"])
def test_special_values_follow_ieee(symbol: str, kind: str) -> None:
    with np.errstate(all="ignore"):
        values = np.array(SPECIAL).astype(kind)
        expected = OPERATORS[symbol](values[:, None], values[None, :])
        actual = OPERATORS[symbol](grad.tensor(values)[:, None], grad.tensor(values)[None, :])
    np.testing.assert_array_equal(actual.numpy(), expected)
    if expected.dtype != bool:
        known = ~np.isnan(expected)
        np.testing.assert_array_equal(
            np.signbit(actual.numpy())[known], np.signbit(expected)[known]
        )


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_nan_comes_through_maximum_and_minimum(name: str) -> None:
    values = np.array(SPECIAL, np.float32)
    actual = getattr(grad, name)(grad.tensor(values)[:, None], grad.tensor(values))
    np.testing.assert_array_equal(actual.numpy(), getattr(np, name)(values[:, None], values))


@pytest.mark.parametrize("kind", ["float32", "bfloat16"])
@pytest.mark.parametrize("count", [1, 40])
def test_zeros_keep_their_sign_at_a_limit_of_zero(kind: str, count: int) -> None:
    zeros = grad.zeros(count, dtype=getattr(grad, kind))
    for zero, negative in ((zeros, False), (-zeros, True)):
        for clipped in (
            F.relu6(zero),
            F.hardtanh(zero, 0.0, 1.0),
            zero.clamp(min=0),
            zero.clamp(max=-0.0),
            zero.clamp(0, 6),
            zero.clamp(grad.zeros_like(zero), None),
        ):
            assert bool(grad.signbit(clipped).all()) is negative


def test_powers_of_integers() -> None:
    x = grad.tensor([2, -1, 1, 0])
    assert (x**3).tolist() == [8, -1, 1, 0]
    assert (x**0).tolist() == [1, 1, 1, 1]
    assert (2 ** grad.tensor([0, 1, 10])).tolist() == [1, 2, 1024]
    with pytest.raises(DTypeError, match="float"):
        x**-1


# -- refusals --------------------------------------------------------------------------------------
def test_shapes_that_do_not_broadcast() -> None:
    with pytest.raises(BroadcastError, match=r"\(2, 3\).*\(2,\)") as error:
        grad.ones(2, 3) + grad.ones(2)
    assert isinstance(error.value, RuntimeError) and isinstance(error.value, ValueError)


@pytest.mark.parametrize("symbol", ["+", "-", "*", "/", "**", "<"])
@pytest.mark.parametrize(
    "other", ["a", None, [1.0], object()], ids=["str", "None", "list", "object"]
)
def test_what_is_no_number_is_a_type_error(symbol: str, other: Any) -> None:
    with pytest.raises(TypeError):
        OPERATORS[symbol](grad.ones(2), other)
    with pytest.raises(TypeError):
        OPERATORS[symbol](other, grad.ones(2))


def test_equality_with_what_is_no_number_is_false() -> None:
    x = grad.ones(2)
    assert (x == None) is False  # noqa: E711  the comparison itself is what is tested
    assert (x != "a") is True


def test_another_class_may_take_the_operation_over() -> None:
    class Other:
        def __radd__(self, left: Any) -> str:
            return "taken"

    assert grad.ones(2) + Other() == "taken"


def test_numpy_arrays_are_operands() -> None:
    x = grad.tensor([1.0, 2.0], requires_grad=True)
    for result in (x * np.array([3.0, 4.0]), np.array([3.0, 4.0]) * x):
        assert result.dtype is dtypes.float64 and result.tolist() == [3.0, 8.0]
        result.sum().backward()
    assert x.grad.tolist() == [6.0, 8.0]
    assert (x < np.float32(1.5)).tolist() == [True, False]


def test_truth_values_are_no_numbers() -> None:
    mask = grad.tensor([True, False])
    for refused in (lambda: mask - mask, lambda: -mask, lambda: 1 - mask, lambda: mask // mask):
        with pytest.raises(DTypeError):
            refused()
    assert (mask + mask).tolist() == [True, False]
    assert (mask * ~mask).tolist() == [False, False]
    assert (mask + 1).tolist() == [2, 1]


def test_floating_operands_have_no_bits() -> None:
    for refused in (lambda x: x & 1, lambda x: ~x, lambda x: x << 1, lambda x: 1 | x):
        with pytest.raises(DTypeError, match=r"logical|int"):
            refused(grad.ones(2))


def test_numbers_that_the_integers_they_meet_cannot_hold():
    x = grad.tensor([10, 200], dtype=grad.uint8)
    y = grad.tensor([100, -100], dtype=grad.int8)
    assert (x / 256).tolist() == [0.0390625, 0.78125]
    assert (x / -1).tolist() == [-10, -200]
    assert (1000 / x).tolist() == [100, 5]
    assert (y / grad.tensor(200)).tolist() == [0.5, -0.5]
    assert grad.div(y, 1 << 40).tolist() == [100 / 2**40, -100 / 2**40]
    assert grad.copysign(x, -300).tolist() == [-10, -200]
    assert grad.logaddexp(y, 300).tolist() == [300, 300]
    for name in ("atan2", "hypot", "xlogy", "xlog1py"):
        function = getattr(grad.special, name, None) or getattr(grad, name)
        assert function(x, 300).tolist() == function(x.float(), 300.0).tolist()
        assert function(x, 300).dtype is grad.float32


def test_sums_and_differences_that_small_integers_cannot_hold():
    y = grad.tensor([100, -100, 100], dtype=grad.int8)
    assert grad.isclose(y, y.roll(1), rtol=0.6).tolist() == [True, False, False]
    places = grad.tensor([200, 10, 0], dtype=grad.uint8)
    assert grad.trapezoid(y.abs(), places).item() == -20000
    assert grad.cumulative_trapezoid(y.abs()).tolist() == [100, 200]
