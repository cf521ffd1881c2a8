"""float16 and bfloat16: each operation is computed in float32 and rounded once, as PyTorch does it.

What an operation of halves should give is known: what it gives for the same numbers in float32,
rounded. Where that is close to the middle between two halves a few may be rounded to the other one;
of what is rounded in between, a tenth to three quarters are. Gradients of functions that keep their
result are those at the rounded result, as in PyTorch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grad
import grad.nn.functional as F
from grad import Tensor
from grad.dtype import DType, dtypes
from grad.graph.node import pointwise
from grad.graph.primitives import ADD, MUL
from grad.ops.halves import Pointwise, rounded_once
from grad.ops.promotion import number

Call = Callable[..., Any]

HALVES = [dtypes.float16, dtypes.bfloat16]
# Which share of results may be the neighbour of the right one; of differences from float64.
RARELY, AT_CANCELLATION = 2e-4, 6e-3

ONE: dict[str, Call] = {
    "selu": F.selu,
    "hardswish": F.hardswish,
    "hardsigmoid": F.hardsigmoid,
    "mish": F.mish,
    "leaky_relu": F.leaky_relu,
    "gelu": F.gelu,
    "gelu tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
    "softplus": lambda x: F.softplus(x, 0.3, 5),
    "elu": lambda x: F.elu(x, 0.3),
    "celu": lambda x: F.celu(x, 0.3),
    "logsigmoid": F.logsigmoid,
    "softsign": F.softsign,
    "tanhshrink": F.tanhshrink,
    "softshrink": lambda x: F.softshrink(x, 0.3),
    "hardtanh": lambda x: F.hardtanh(x, -0.3, 0.7),
    "threshold": lambda x: F.threshold(x, 0.3, 0.7),
    "glu": lambda x: F.glu(x.reshape(2, -1), 0),
    "sinc": lambda x: x.sinc(),
    "logit": lambda x: x.logit(),
    "entr": grad.special.entr,
    "log2": lambda x: x.log2(),
    "log1p": lambda x: x.log1p(),
    "sin": lambda x: x.sin(),
    "atan": lambda x: x.atan(),
    "asinh": lambda x: x.asinh(),
    "erf": lambda x: x.erf(),
    "digamma": lambda x: x.digamma(),
    "cube": lambda x: x**3,
    "times a number": lambda x: x * 0.3,
    "a number by": lambda x: 0.3 / x,
    "by a number": lambda x: x / 0.3,
    "by a number, cut": lambda x: x.div(0.3, rounding_mode="trunc"),
    "deg2rad": lambda x: x.deg2rad(),
}

TWO: dict[str, Call] = {
    "logaddexp": grad.logaddexp,
    "logaddexp2": grad.logaddexp2,
    "xlogy": lambda x, y: x.xlogy(y.abs()),
    "div": lambda x, y: x / y,
    "cut": lambda x, y: x.div(y, rounding_mode="trunc"),
    "atan2": lambda x, y: x.atan2(y),
    "lerp": lambda x, y: x.lerp(y, 0.3),
    "addcmul": lambda x, y: grad.ones_like(x).addcmul(x, y, value=0.3),
    "addcdiv": lambda x, y: grad.ones_like(x).addcdiv(x, y, value=0.3),
    "ldexp": lambda x, y: x.ldexp(y),
    "prelu": lambda x, y: F.prelu(x.reshape(1, -1), y).reshape(-1),
    "smooth_l1_loss": lambda x, y: F.smooth_l1_loss(x, y, reduction="none", beta=0.7),
    "huber_loss": lambda x, y: F.huber_loss(x, y, reduction="none", delta=0.7),
}


def every(dtype: DType) -> Any:
    """Each of the 65,536 values."""
    return grad.tensor(np.arange(1 << 16, dtype=np.uint16).view(np.int16)).view(dtype)


def some(dtype: DType, count: int = 20_000) -> Any:
    return grad.tensor(np.random.default_rng().normal(size=count)).to(dtype)


def wrong(found: Any, exact: Any) -> float:
    """The share of `found` that is not `exact` rounded."""
    a, b = (value.detach().double().numpy() for value in (found, exact.detach().to(found.dtype)))
    return float(np.mean(~((a == b) | (np.isnan(a) & np.isnan(b)))))


def compare(function: Call, *given: Any) -> tuple[float, float]:
    """The shares of results and of gradients that are not rounded once; calls are new, seen once
    and remembered.
    """
    worst = [0.0, 0.0]
    exact = [value.float().requires_grad_() for value in given]
    expected = function(*exact)
    arriving = some(given[0].dtype, math.prod(expected.shape)).reshape(expected.shape)
    slopes = grad.autograd.grad(expected, exact, arriving.float(), allow_unused=True)
    for _ in range(4):
        operands = [value.clone().requires_grad_() for value in given]
        result = function(*operands)
        assert result.dtype is given[0].dtype
        worst[0] = max(worst[0], wrong(result, expected))
        found = grad.autograd.grad(result, operands, arriving, allow_unused=True)
        for gradient, slope in zip(found, slopes):
            if gradient is not None:
                assert gradient.dtype is given[0].dtype
                worst[1] = max(worst[1], wrong(gradient, slope))
    return worst[0], worst[1]


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("name", ONE)
def test_functions_of_one_operand_round_once(name: str, dtype: DType) -> None:
    results, gradients = compare(ONE[name], every(dtype))
    assert max(results, gradients) <= RARELY


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("name", TWO)
def test_functions_of_two_operands_round_once(name: str, dtype: DType) -> None:
    results, gradients = compare(TWO[name], some(dtype), some(dtype))
    assert max(results, gradients) <= RARELY


ADDED: dict[str, tuple[Call, tuple[tuple[int, ...], ...]]] = {
    "linear": (F.linear, ((20, 50), (70, 50), (70,))),
    "linear of a batch": (F.linear, ((3, 5, 50), (70, 50), (70,))),
    "linear of a vector": (F.linear, ((500,), (300, 500), (300,))),
    "addmm": (grad.addmm, ((70,), (20, 50), (50, 70))),
    "addmm with factors": (
        lambda x, a, b: grad.addmm(x, a, b, beta=0.3, alpha=0.7),
        ((20, 70), (20, 50), (50, 70)),
    ),
    "baddbmm": (grad.baddbmm, ((3, 20, 30), (3, 20, 50), (3, 50, 30))),
    "addbmm": (grad.addbmm, ((20, 30), (3, 20, 50), (3, 50, 30))),
    "addmv": (grad.addmv, ((300,), (300, 50), (50,))),
    "addr": (lambda x, a, b: grad.addr(x, a, b, alpha=0.7), ((30, 40), (30,), (40,))),
}


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("name", ADDED)
def test_what_is_added_to_a_product_is_added_before_rounding(name: str, dtype: DType) -> None:
    function, shapes = ADDED[name]
    given = [some(dtype, math.prod(shape)).reshape(shape) for shape in shapes]
    results, gradients = compare(function, *given)
    # Gradients are products: their sums may be of another order in float32.
    assert results == 0 and gradients <= AT_CANCELLATION


AT_RESULT: dict[str, Call] = {
    "sigmoid": lambda y: y * (1 - y),
    "tanh": lambda y: 1 - y * y,
    "exp": lambda y: y,
    "exp2": lambda y: y * math.log(2),
    "expm1": lambda y: y + 1,
    "sqrt": lambda y: 0.5 / y,
    "rsqrt": lambda y: -0.5 * y * y * y,
    "reciprocal": lambda y: -y * y,
    "tan": lambda y: y * y + 1,
}


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("name", AT_RESULT)
def test_gradients_at_a_result_that_was_kept_round_once(name: str, dtype: DType) -> None:
    x, arriving = every(dtype).requires_grad_(), some(dtype, 1 << 16)
    result = getattr(x, name)()
    (found,) = grad.autograd.grad(result, x, arriving)
    exact = AT_RESULT[name](result.detach().double()) * arriving.double()
    assert wrong(found, exact) <= AT_CANCELLATION


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_hypot_rounds_once(dtype: DType) -> None:
    x, y = some(dtype).requires_grad_(), some(dtype).requires_grad_()
    result, arriving = x.hypot(y), some(dtype)
    found = grad.autograd.grad(result, (x, y), arriving)
    wide = x.detach().double(), y.detach().double()
    assert wrong(result, wide[0].hypot(wide[1])) <= 1e-3
    for operand, gradient in zip(wide, found):
        exact = arriving.double() * operand / result.detach().double()
        assert wrong(gradient, exact) <= AT_CANCELLATION


def test_what_passes_the_largest_half_on_the_way() -> None:
    x = grad.tensor([11_000.0, 65_504.0], dtype=dtypes.float16)
    assert F.hardswish(x).tolist() == x.tolist()
    assert (x * 1e5).tolist() == [math.inf, math.inf] and (x / 1e5).dtype is dtypes.float16
    assert (x / 1e5).tolist() == (x.float() / 1e5).half().tolist()
    assert x.hypot(x).tolist() == [15_560.0, math.inf]


# -- numbers ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_factors_are_not_rounded_and_other_numbers_are(dtype: DType) -> None:
    x, y = every(dtype), some(dtype, 1 << 16)
    wide, other = x.float(), y.float()
    rounded = grad.tensor(0.3, dtype=dtype).float().item()
    for found, exact in [
        (x * 0.3, wide * 0.3),
        (0.3 * x, wide * 0.3),
        (x * grad.tensor(0.3), wide * 0.3),
        (x.clone().mul_(0.3), wide * 0.3),
        (x / 0.3, wide / 0.3),
        (0.3 / x, 0.3 / wide),
        (x // 0.3, wide // 0.3),
        (x + 0.3, wide + rounded),
        (0.3 - x, rounded - wide),
        (x % 0.3, wide % rounded),
        (x.add(y, alpha=0.3), wide + rounded * other),
        (x.sub(y, alpha=0.3), wide - rounded * other),
    ]:
        assert found.dtype is dtype
        assert wrong(found, exact) == 0
    assert (grad.tensor([7.0], dtype=dtypes.bfloat16) * 0.01).item() == 0.06982421875


def test_a_tensor_with_dimensions_takes_its_own_type() -> None:
    half = grad.ones(2, dtype=dtypes.float16)
    assert (half * grad.ones(2)).dtype is dtypes.float32
    assert (half * grad.tensor(2)).dtype is dtypes.float16
    assert (grad.ones((), dtype=dtypes.float16) * grad.ones(())).dtype is dtypes.float32


# -- how it is done --------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_compiled_as_eager(dtype: DType) -> None:
    def step(x: Any, y: Any) -> Any:
        mixed = F.mish(x) * 0.3 + F.gelu(y) / 0.7
        return F.hardswish(mixed).hypot(x.tanh()).logaddexp(y) * F.selu(y)

    x, y, arriving = some(dtype, 999), some(dtype, 999), some(dtype, 999)
    outcomes = []
    for function in (step, grad.compile(step)):
        for _ in range(3):
            a, b = x.clone().requires_grad_(), y.clone().requires_grad_()
            result = function(a, b)
            result.backward(arriving)
            outcomes.append([value.float().numpy() for value in (result.detach(), a.grad, b.grad)])
    for outcome in outcomes[1:]:
        for found, expected in zip(outcome, outcomes[0]):
            assert np.array_equal(found, expected)


@pytest.mark.parametrize("name", ["mish", "silu", "celu", "sinc", "softsign"])
def test_gradients_of_gradients(name: str) -> None:
    for _ in range(4):
        found = []
        x = some(dtypes.float16, 100)
        for kind in (dtypes.float16, dtypes.float64):
            leaf = x.to(kind).detach().requires_grad_()
            (slope,) = grad.autograd.grad(ONE[name](leaf).sum(), leaf, create_graph=True)
            assert slope.dtype is kind
            loss = (slope * slope).sum()
            loss.backward()
            found.append(leaf.grad.double().numpy())
        assert np.allclose(*found, rtol=0.02, atol=0.02)


@pytest.mark.parametrize("function", [F.mish, F.silu, F.hardswish, F.softplus, grad.sinc])
def test_what_is_saved_stays_half(function: Call) -> None:
    kept: list[DType] = []

    def pack(tensor: Any) -> Any:
        kept.append(tensor.dtype)
        return tensor

    with grad.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        function(some(dtypes.bfloat16, 10).requires_grad_())
    assert kept == [dtypes.bfloat16]


def test_hooks_see_halves() -> None:
    seen: list[Any] = []
    x = some(dtypes.bfloat16, 5).requires_grad_()
    result = x.silu()
    result.grad_fn.register_hook(lambda given, arrived: seen.extend((*given, *arrived)))
    result.sum().backward()
    assert {gradient.dtype for gradient in seen} == {dtypes.bfloat16}


def test_transforms_of_halves() -> None:
    x = some(dtypes.bfloat16, 12).reshape(3, 4)
    mapped = grad.func.vmap(grad.func.grad(lambda row: F.mish(row * 0.3).sum()))(x)
    leaf = x.clone().requires_grad_()
    F.mish(leaf * 0.3).sum().backward()
    assert mapped.dtype is dtypes.bfloat16 and mapped.tolist() == leaf.grad.tolist()


class _Quartic(Pointwise):
    """``x ** 4 + slope * x``, as somebody may write it."""

    @staticmethod
    def forward(ctx: Any, x: Any, slope: float) -> Any:
        ctx.save_for_backward(x)
        ctx.slope = slope
        square = pointwise(MUL, x.node, x.node)
        line = pointwise(MUL, x.node, number(slope, x.dtype))
        return Tensor._wrap(pointwise(ADD, pointwise(MUL, square, square), line))

    @staticmethod
    def backward(ctx: Any, gradient: Any) -> Any:
        (x,) = ctx.saved_tensors
        return gradient * (x * x * x * 4 + ctx.slope), None


@rounded_once
def _wave(x: Any, y: Any, *, length: float = 0.3) -> Any:
    return (x * length).sin() * y + x


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_new_functions_round_once_too(dtype: DType) -> None:
    operands = some(dtype), some(dtype)
    assert max(compare(lambda x, y: _Quartic.apply(x, 0.3), *operands)) <= RARELY
    assert max(compare(lambda x, y: _wave(x, y, length=0.7), *operands)) <= RARELY
