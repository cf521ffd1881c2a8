"""Operations of one operand: special values, integers, halves, rounding, reductions and what they
refuse.

The registry test compares every op with NumPy over its samples; here are the values outside: the
edges of domains, infinities, NaN, overflow, empty tensors. Accuracy over whole domains is in
tests/codegen, where the polynomials are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grad
from grad.dtype import dtypes
from grad.errors import ArgumentError, AxisError, DTypeError, ShapeError

SPECIAL = [0.0, -0.0, 0.5, 1.0, -1.0, 2.0, -2.5, 88.0, -104.0, 1e30, -1e30]
SPECIAL += [math.inf, -math.inf, math.nan, 1e-40, -1e-40, 1e-10]

NUMPY: dict[str, Callable[..., Any]] = {
    "exp": np.exp,
    "exp2": np.exp2,
    "expm1": np.expm1,
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "log1p": np.log1p,
    "sqrt": np.sqrt,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "signbit": np.signbit,
    "square": np.square,
    "reciprocal": np.reciprocal,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "abs": np.abs,
    "neg": np.negative,
    "floor": np.floor,
    "ceil": np.ceil,
    "trunc": np.trunc,
    "round": np.rint,
    "isnan": np.isnan,
    "isinf": np.isinf,
    "isfinite": np.isfinite,
}


@pytest.mark.parametrize("kind", ["float32", "float64", "float16"])
@pytest.mark.parametrize("name", NUMPY)
def test_special_values(name: str, kind: str) -> None:
    with np.errstate(all="ignore"):
        values = np.array(SPECIAL).astype(kind)
        exact = NUMPY[name](values.astype(np.float64))
        expected = exact if exact.dtype == bool else exact.astype(kind)
    actual = getattr(grad.tensor(values), name)().numpy()
    assert actual.dtype == expected.dtype
    if expected.dtype == bool:
        np.testing.assert_array_equal(actual, expected)
        return
    tolerance = {"float16": 2e-3, "float32": 5e-7, "float64": 1e-14}[kind]
    np.testing.assert_allclose(
        actual, expected, rtol=tolerance, atol=0 if kind != "float16" else 1e-7
    )
    zero = expected == 0
    np.testing.assert_array_equal(np.signbit(actual[zero]), np.signbit(expected[zero]))


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_angles_far_from_zero(name: str) -> None:
    values = np.array([0.0, 1.0, 3.0, 100.0, -1e4, 12345.678, 1e6], np.float32)
    expected = getattr(np, name)(values.astype(np.float64))
    actual = getattr(grad.tensor(values), name)().numpy()
    np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-7)
    lost = getattr(grad.tensor([math.inf, -math.inf, math.nan]), name)()
    assert all(math.isnan(value) for value in lost.tolist())


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("erf", [0.0, math.inf, -math.inf, math.nan, 10.0], [0.0, 1.0, -1.0, math.nan, 1.0]),
        ("sigmoid", [0.0, math.inf, -math.inf, -200.0, 200.0], [0.5, 1.0, 0.0, 0.0, 1.0]),
        ("rsqrt", [4.0, 0.0, math.inf, -1.0], [0.5, math.inf, 0.0, math.nan]),
        ("sign", [3.0, -0.5, 0.0, math.nan], [1.0, -1.0, 0.0, 0.0]),
        ("relu", [3.0, -0.5, math.nan, -math.inf, math.inf], [3.0, 0.0, math.nan, 0.0, math.inf]),
        ("silu", [0.0, 200.0, -200.0], [0.0, 200.0, 0.0]),
        ("softplus", [0.0, 200.0, -200.0], [math.log(2), 200.0, 0.0]),
        ("gelu", [0.0, 200.0, -200.0], [0.0, 200.0, 0.0]),
        ("logsigmoid", [0.0, 200.0, -200.0], [-math.log(2), 0.0, -200.0]),
        ("elu", [200.0, -200.0], [200.0, -1.0]),
        ("frac", [2.75, -2.75], [0.75, -0.75]),
        ("round", [0.5, 1.5, 2.5, -0.5], [0.0, 2.0, 2.0, 0.0]),
        ("nan_to_num", [math.nan, 1.0], [0.0, 1.0]),
    ],
)
def test_known_values(name: str, values: list[float], expected: list[float]) -> None:
    actual = getattr(grad.tensor(values), name)()
    np.testing.assert_allclose(actual.numpy(), expected, rtol=1e-6, atol=1e-30)


def test_integers_become_floating_where_values_are_not_whole() -> None:
    whole = grad.tensor([1, 4])
    for name in ("exp", "log", "sqrt", "sin", "sigmoid", "reciprocal", "tanh"):
        assert getattr(whole, name)().dtype is dtypes.float32
    for name in ("abs", "neg", "square", "sign", "floor", "ceil", "round", "trunc", "relu"):
        assert getattr(whole, name)().dtype is dtypes.int64
    assert grad.tensor([True]).exp().dtype is dtypes.float32


def test_smallest_integers_have_no_positive() -> None:
    lowest = grad.tensor(np.array([-128], np.int8))
    assert lowest.abs().tolist() == (-lowest).tolist() == [-128]
    assert (-grad.tensor(np.array([1], np.uint8))).tolist() == [255]


# -- reductions ------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["bool", "int8", "int32", "uint8", "uint32"])
def test_integers_are_summed_in_int64(kind: str) -> None:
    x = grad.tensor(np.array([1, 0, 1, 1]).astype(kind) * np.array(1).astype(kind))
    for result in (x.sum(), x.prod(), x.cumsum(0), x.cumprod(0)):
        assert result.dtype is dtypes.int64
    large = grad.full((1000,), 100, dtype=dtypes.int8)
    assert large.sum().item() == 100_000


def test_halves_are_summed_in_float32() -> None:
    ones = grad.ones(5000, dtype=dtypes.float16)
    assert ones.sum().item() == 5000.0 and ones.sum().dtype is dtypes.float16
    assert ones.mean().item() == 1.0
    assert grad.full((300,), 300.0, dtype=dtypes.float16).mean().item() == 300.0
    assert grad.ones(1000, dtype=dtypes.bfloat16).cumsum(0)[-1].item() == 1000.0
    assert grad.full((100,), 30000.0, dtype=dtypes.float16).sum(dtype=dtypes.float32).item() == 3e6


def test_reductions_of_nothing() -> None:
    empty = grad.zeros((0, 3))
    assert empty.sum().item() == 0 and empty.prod().item() == 1
    assert empty.sum(0).tolist() == [0.0] * 3 and empty.sum(1).shape == (0,)
    assert empty.any().item() is False and empty.all().item() is True
    assert empty.logsumexp(0).tolist() == [-math.inf] * 3
    assert math.isnan(empty.mean().item()) and math.isnan(empty.var().item())
    for name in ("max", "min", "amax", "amin", "argmax", "argmin"):
        with pytest.raises((ShapeError, AxisError), match="no elements"):
            getattr(empty, name)()
    assert empty.amax(1).shape == (0,)


def test_nan_comes_through_reductions() -> None:
    x = grad.tensor([[1.0, math.nan, 3.0], [4.0, 5.0, 6.0]])
    for name in ("sum", "prod", "mean", "amax", "amin", "logsumexp"):
        first, second = getattr(x, name)(1).tolist()
        assert math.isnan(first) and not math.isnan(second)
    assert x.argmax(1).tolist() == [1, 2] and x.argmin(1).tolist() == [1, 0]
    values, indices = x.max(1)
    assert math.isnan(values[0].item()) and indices.tolist() == [1, 2]


def test_equal_elements_the_first_index_wins() -> None:
    x = grad.tensor([[2.0, 7.0, 7.0], [1.0, 1.0, 0.0]])
    assert x.argmax(1).tolist() == [1, 0] and x.argmax().item() == 1
    result = x.max(dim=1)
    assert result.values.tolist() == [7.0, 1.0] and result.indices.tolist() == [1, 0]
    assert x.argmax(0, keepdim=True).shape == (1, 3) and x.argmax(keepdim=True).shape == (1, 1)


def test_axes_as_users_write_them() -> None:
    x = grad.ones((2, 3, 4))
    assert x.sum(-1).shape == (2, 3) and x.sum((0, -1)).shape == (3,)
    assert x.sum([0, 1], keepdim=True).shape == (1, 1, 4)
    assert x.sum(axis=1, keepdims=True).shape == (2, 1, 4)
    assert grad.tensor(3.0).sum(0).item() == grad.tensor(3.0).sum(-1).item() == 3.0
    with pytest.raises(AxisError, match="out of range") as error:
        x.sum(3)
    assert isinstance(error.value, IndexError)
    with pytest.raises(ShapeError, match="twice"):
        x.sum((0, -3))
    with pytest.raises(DTypeError, match="int"):
        x.sum("all")


def test_variance_does_not_cancel() -> None:
    x = np.random.default_rng(0).normal(1e4, 1e-2, 1000).astype(np.float32)
    expected = x.astype(np.float64).var(ddof=1)
    assert grad.tensor(x).var().item() == pytest.approx(expected, rel=2e-2)


def test_softmax_of_large_and_infinite_numbers() -> None:
    x = grad.tensor([[1e4, 1e4 - 1, -1e4], [-math.inf, 0.0, -math.inf]])
    rows = x.softmax(1).numpy()
    np.testing.assert_allclose(rows[0], [0.7310586, 0.2689414, 0], rtol=1e-5)
    np.testing.assert_allclose(rows[1], [0, 1, 0])
    assert x.logsumexp(1).tolist() == pytest.approx([1e4 + math.log1p(math.exp(-1)), 0.0])
    assert all(math.isnan(v) for v in grad.full((3,), -math.inf).softmax(0).tolist())


def test_floating_is_needed() -> None:
    whole = grad.tensor([1, 2])
    for name in ("mean", "var", "std", "norm", "gelu", "silu", "softplus"):
        with pytest.raises(DTypeError, match="float"):
            getattr(whole, name)()
    for name in ("softmax", "log_softmax"):
        with pytest.raises(DTypeError, match="float"):
            getattr(whole, name)(0)


@pytest.mark.parametrize("alpha", [3.0, 0.3, 1e-20, -1.0, -2.0])
def test_celu_leaves_what_is_positive_as_it_is(alpha: float) -> None:
    x = grad.tensor([0.1, 0.7, 1e30, math.inf, -0.5, -3.0, -0.0], requires_grad=True)
    result = x.celu(alpha)
    assert grad.equal(result[:4], x[:4])
    below = x[4:].detach().double()
    expected = (below / alpha).expm1() * alpha
    np.testing.assert_allclose(result[4:].detach().numpy(), expected.numpy(), rtol=1e-6)
    result.sum().backward()
    assert x.grad is not None and x.grad[:4].tolist() == [1.0] * 4
    np.testing.assert_allclose(x.grad[4:].numpy(), (below / alpha).exp().numpy(), rtol=1e-5)
    with pytest.raises(ArgumentError, match="alpha must not be 0"):
        x.celu(0)


# -- derivatives where they are a matter of choice -------------------------------------------------
CHOICES = [
    ("relu", 0.0, 0.0),
    ("abs", 0.0, 0.0),
    ("sign", 2.0, 0.0),
    ("floor", 2.5, 0.0),
    ("sqrt", 0.0, math.inf),
    ("leaky_relu", 0.0, 0.01),
    ("elu", 0.0, 1.0),
]


@pytest.mark.parametrize(("name", "point", "expected"), CHOICES)
def test_derivative_at_the_edge(name: str, point: float, expected: float) -> None:
    x = grad.tensor(point, requires_grad=True)
    getattr(x, name)().backward()
    assert x.grad.item() == pytest.approx(expected)


def test_where_keeps_nan_of_the_other_branch_out_of_gradients() -> None:
    x = grad.tensor([-1.0, 0.0, 4.0], requires_grad=True)
    safe = grad.where(x > 0, x, 1.0)
    grad.where(x > 0, safe.log(), 0.0).sum().backward()
    assert x.grad.tolist() == [0.0, 0.0, 0.25]


def test_product_has_a_gradient_at_zeros() -> None:
    for row, expected in (([2.0, 0.0, 5.0], [0.0, 10.0, 0.0]), ([0.0, 0.0, 5.0], [0.0, 0.0, 0.0])):
        x = grad.tensor(row, requires_grad=True)
        x.prod().backward()
        assert x.grad.tolist() == expected
    x = grad.tensor([2.0, 0.0, 5.0], dtype=dtypes.float64, requires_grad=True)
    assert grad.gradgradcheck(lambda t: t.prod(), (x,))
    assert grad.gradgradcheck(lambda t: t.cumprod(0), (x,))
