"""Formulas of the elementary functions, written so that they neither overflow nor cancel.

Each is computed as one fused expression of `unary.py`'s primitives, halves in float32 (halves.py).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from grad.autograd.function import Context, Function
from grad.autograd.rebuilt import rebuilt
from grad.dtype import DType, dtypes
from grad.graph.node import Node, bitcast, pointwise
from grad.graph.primitives import (
    ABS,
    ADD,
    DIV,
    EQ,
    LOG,
    LOG1P,
    LT,
    MAXIMUM,
    MINIMUM,
    MUL,
    OR,
    SQRT,
    SUB,
    WHERE,
)
from grad.ops.formulas import polynomial
from grad.ops.halves import Pointwise, rounded_once
from grad.ops.promotion import (
    floating,
    floating_pair,
    is_tensor,
    number,
    promote,
    unsupported,
    wrap,
)
from grad.ops.reduction import numpy_axes
from grad.ops.registry import FLOATING, SIGNED, op
from grad.ops.samples import operands, real
from grad.ops.select import Where

# Above it x * x + 1 is x * x in every type, and below it x * x is finite in float32.
_LARGE = 2.0**28


class _Inverse(Pointwise):
    """An inverse hyperbolic function: `formula` of the node, `derivative` of the tensor."""

    @classmethod
    def forward(cls, ctx: Context, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x._wrap(cls.formula(floating(x)))

    @classmethod
    def backward(cls, ctx: Context, grad: Any) -> Any:
        return grad * cls.derivative(*ctx.saved_tensors)

    @staticmethod
    def formula(x: Node) -> Node:
        raise NotImplementedError

    @staticmethod
    def derivative(x: Any) -> Any:
        raise NotImplementedError


def _of(x: Node, value: float) -> Node:
    return number(value, x.dtype)


def _with_sign_of(x: Node, size: Node) -> Node:
    """`size` where x is positive, ``-size`` where it is negative, else x: zero or NaN."""
    zero = _of(x, 0)
    positive = pointwise(WHERE, pointwise(LT, zero, x), size, x)
    return pointwise(WHERE, pointwise(LT, x, zero), pointwise(SUB, zero, size), positive)


def _log_twice(x: Node) -> Node:
    """``log(2 x)``, which asinh and acosh are of large x."""
    return pointwise(ADD, pointwise(LOG, x), _of(x, math.log(2)))


@op(
    method="asinh",
    aliases=("arcsinh",),
    inplace=True,
    reference=np.arcsinh,
    samples=real(-4, 4),
    dtypes=FLOATING,
)
class Asinh(_Inverse):
    """Inverse hyperbolic sine."""

    @staticmethod
    def formula(x: Node) -> Node:
        size = pointwise(ABS, x)
        one, squared = _of(x, 1), pointwise(MUL, x, x)
        root = pointwise(SQRT, pointwise(ADD, squared, one))
        tail = pointwise(DIV, squared, pointwise(ADD, root, one))
        near = pointwise(LOG1P, pointwise(ADD, size, tail))
        large = pointwise(LT, _of(x, _LARGE), size)
        return _with_sign_of(x, pointwise(WHERE, large, _log_twice(size), near))

    @staticmethod
    def derivative(x: Any) -> Any:
        return (x * x + 1).rsqrt()


@op(
    method="acosh",
    aliases=("arccosh",),
    inplace=True,
    reference=np.arccosh,
    samples=real(1.2, 5),
    dtypes=FLOATING,
)
class Acosh(_Inverse):
    """Inverse hyperbolic cosine; NaN below 1."""

    @staticmethod
    def formula(x: Node) -> Node:
        # With t = x - 1, x + sqrt(x * x - 1) is 1 + t + sqrt(t) * sqrt(t + 2), NaN below 1.
        above = pointwise(SUB, x, _of(x, 1))
        root = pointwise(
            MUL, pointwise(SQRT, above), pointwise(SQRT, pointwise(ADD, above, _of(x, 2)))
        )
        near = pointwise(LOG1P, pointwise(ADD, above, root))
        return pointwise(WHERE, pointwise(LT, _of(x, _LARGE), x), _log_twice(x), near)

    @staticmethod
    def derivative(x: Any) -> Any:
        return (x * x - 1).rsqrt()


@op(
    method="atanh",
    aliases=("arctanh",),
    inplace=True,
    reference=np.arctanh,
    samples=real(-0.9, 0.9),
    dtypes=FLOATING,
)
class Atanh(_Inverse):
    """Inverse hyperbolic tangent; infinite at 1 and -1, NaN outside."""

    @staticmethod
    def formula(x: Node) -> Node:
        size = pointwise(ABS, x)
        ratio = pointwise(DIV, pointwise(ADD, size, size), pointwise(SUB, _of(x, 1), size))
        return _with_sign_of(x, pointwise(MUL, pointwise(LOG1P, ratio), _of(x, 0.5)))

    @staticmethod
    def derivative(x: Any) -> Any:
        return (1 - x * x).reciprocal()


@op(
    method="hypot",
    inplace=True,
    reference=np.hypot,
    samples=operands(((3, 4), (4,)), low=0.5),
    dtypes=FLOATING,
)
class Hypot(Pointwise):
    """``sqrt(x * x + y * y)``, without overflow."""

    @staticmethod
    def forward(ctx: Context, x: Any, y: Any) -> Any:
        a, b = (pointwise(ABS, node) for node in floating_pair("hypot", x, y))
        large, small = pointwise(MAXIMUM, a, b), pointwise(MINIMUM, a, b)
        # Equal operands have ratio 1, also 0 with 0 and infinity with infinity.
        ratio = pointwise(
            WHERE, pointwise(EQ, large, small), _of(a, 1), pointwise(DIV, small, large)
        )
        root = pointwise(SQRT, pointwise(ADD, pointwise(MUL, ratio, ratio), _of(a, 1)))
        length = pointwise(MUL, large, root)
        # An infinite side makes an infinite length, whatever the other: C's hypot with NaN.
        infinity = _of(a, math.inf)
        infinite = pointwise(OR, pointwise(EQ, a, infinity), pointwise(EQ, b, infinity))
        result = wrap(pointwise(WHERE, infinite, infinity, length))
        ctx.save_for_backward(x, y, result)
        return result

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        x, y, result = ctx.saved_tensors
        scaled = grad / result
        return scaled * x, scaled * y


def _larger_and_difference(name: str, x: Any, y: Any) -> tuple[Any, Any]:
    """The larger of two operands as floating tensors, and their difference: 0, not NaN, of equal
    infinities.
    """
    if not (is_tensor(x) or is_tensor(y)):
        raise unsupported(name, x)
    x, y = promote(name, x, y, floating=True)
    return x.maximum(y), (x - y).masked_fill(x == y, 0)


@op(
    method="logaddexp",
    reference=np.logaddexp,
    samples=operands(((3, 4), (4,))),
    dtypes=FLOATING,
    composite=True,
)
class LogAddExp(Function):
    """``log(exp(x) + exp(y))``, without overflow."""

    @staticmethod
    @rebuilt
    @rounded_once
    def forward(x: Any, y: Any) -> Any:
        larger, difference = _larger_and_difference("logaddexp", x, y)
        return larger + (-difference.abs()).exp().log1p()


@op(
    method="logaddexp2",
    reference=np.logaddexp2,
    samples=operands(((3, 4), (4,))),
    dtypes=FLOATING,
    composite=True,
)
class LogAddExp2(Function):
    """``log2(2 ** x + 2 ** y)``, without overflow."""

    @staticmethod
    @rebuilt
    @rounded_once
    def forward(x: Any, y: Any) -> Any:
        larger, difference = _larger_and_difference("logaddexp2", x, y)
        return larger + (-difference.abs()).exp2().log1p() * (1 / math.log(2))


class _LogOdds(Function):
    """``log(x / (1 - x))``; outside of [0, 1] its gradient is NaN, as it is itself."""

    @staticmethod
    def forward(ctx: Context, x: Any) -> Any:
        ctx.save_for_backward(x)
        odds = pointwise(DIV, x.node, pointwise(SUB, number(1, x.dtype), x.node))
        return x._wrap(pointwise(LOG, odds))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        # A gradient that is infinite at 0 and 1: of the quotient it would be 0 times infinity.
        return grad / (x * (1 - x)).masked_fill((x < 0) | (x > 1), math.nan)


@op(
    method="logit",
    inplace=True,
    reference=lambda x, eps=None: np.log(x / (1 - x)),
    samples=real(0.1, 0.9),
    dtypes=FLOATING,
    composite=True,
)
class Logit(Function):
    """``log(x / (1 - x))``, of x limited to ``[eps, 1 - eps]`` if `eps` is given."""

    @staticmethod
    @rebuilt
    @rounded_once
    def forward(x: Any, eps: float | None = None) -> Any:
        x = x.to(floating(x).dtype)
        return _LogOdds.apply(x if eps is None else x.clamp(eps, 1 - eps))


# sin(u) / u by powers of u * u, from the constant on; enough of them for u up to pi / 2.
_SINC = [(-1) ** k / math.factorial(2 * k + 1) for k in range(11)]


@op(
    method="sinc",
    inplace=True,
    reference=np.sinc,
    samples=(*real(-0.6, 0.6), *real(-3, 3)),
    dtypes=FLOATING,
    composite=True,
)
class Sinc(Function):
    """``sin(pi * x) / (pi * x)``, 1 at 0."""

    @staticmethod
    @rebuilt
    @rounded_once
    def forward(x: Any) -> Any:
        x = x.to(floating(x).dtype)
        # The powers have exact derivatives near 0, where those of the quotient cancel.
        near = x.abs() < 0.5
        square = (x * math.pi).masked_fill(~near, 0).square()
        angle = x.masked_fill(near, 1) * math.pi
        return Where.apply(near, polynomial(square, _SINC), angle.sin() / angle)


@op(
    method="deg2rad",
    inplace=True,
    reference=np.deg2rad,
    samples=real(-180, 180),
    composite=True,
)
class Deg2Rad(Function):
    """Degrees as radians."""

    @staticmethod
    def forward(x: Any) -> Any:
        return x * (math.pi / 180)


@op(
    method="rad2deg",
    inplace=True,
    reference=np.rad2deg,
    samples=real(-4, 4),
    composite=True,
)
class Rad2Deg(Function):
    """Radians as degrees."""

    @staticmethod
    def forward(x: Any) -> Any:
        return x * (180 / math.pi)


_BITS: dict[DType, DType] = {
    dtypes.float16: dtypes.int16,
    dtypes.bfloat16: dtypes.int16,
    dtypes.float32: dtypes.int32,
    dtypes.float64: dtypes.int64,
}


@op(method="signbit", reference=np.signbit, samples=real(-4, 4), dtypes=SIGNED, gradient=False)
class SignBit(Function):
    """Whether the sign is minus, also that of -0.0."""

    @staticmethod
    def forward(ctx: Context, x: Any) -> Any:
        node = bitcast(x.node, _BITS[x.dtype]) if x.dtype in _BITS else x.node
        return x._wrap(pointwise(LT, node, number(0, node.dtype)))


_ROWS = (*operands(((3, 4),)), *operands(((2, 3, 4),), kwargs={"dim": 1, "keepdim": True}))


@op(
    method="nansum",
    reference=numpy_axes(np.nansum),
    samples=_ROWS,
    dtypes=FLOATING,
    composite=True,
)
class NanSum(Function):
    """Sum over `dim` with NaN counted as 0."""

    @staticmethod
    @rebuilt
    def forward(x: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
        return x.masked_fill(x.isnan(), 0).sum(dim, keepdim, dtype=dtype)


@op(
    method="nanmean",
    reference=numpy_axes(np.nanmean),
    samples=_ROWS,
    dtypes=FLOATING,
    composite=True,
)
class NanMean(Function):
    """Mean over `dim` of the elements that are not NaN."""

    @staticmethod
    @rebuilt
    def forward(x: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
        known = (~x.isnan()).sum(dim, keepdim)
        return NanSum.forward(x, dim, keepdim, dtype=dtype) / known
