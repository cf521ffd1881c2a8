"""Elementary functions, rounding and tests of one operand.

Most are an `Elementwise` of `elementwise.py`: a primitive, a derivative, a docstring. The domain
in `samples` is where the derivative exists and finite differences can be trusted; values outside
are tested by tests/unary_ops_test.py.
"""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np

from grad.autograd.function import Context, Function
from grad.dtype import dtypes
from grad.graph import reference
from grad.graph.node import cast, constant, expand, pointwise
from grad.graph.primitives import (
    ABS,
    ACOS,
    ASIN,
    ATAN,
    CEIL,
    COS,
    COSH,
    DIV,
    EQ,
    ERF,
    EXP,
    EXP2,
    EXPM1,
    FLOOR,
    LOG,
    LOG1P,
    LOG2,
    LOG10,
    LT,
    MUL,
    NE,
    NEG,
    ROUND,
    RSQRT,
    SIGMOID,
    SIN,
    SINH,
    SQRT,
    SUB,
    TAN,
    TANH,
    TRUNC,
    WHERE,
)
from grad.ops.elementwise import Elementwise, Stepwise
from grad.ops.promotion import floating, number, refuse_bool, zeros_like
from grad.ops.registry import FLOATING, NUMERIC, op
from grad.ops.samples import real

_LN2 = math.log(2.0)
_LN10 = math.log(10.0)


# -- exponentials and logarithms -------------------------------------------------------------------
@op(method="exp", inplace=True, reference=np.exp, samples=real(-4, 4), dtypes=FLOATING)
class Exp(Elementwise):
    """Exponential, ``e ** x``."""

    primitive = EXP

    @staticmethod
    def derivative(x: Any, result: Any) -> Any:
        return result


@op(method="exp2", inplace=True, reference=np.exp2, samples=real(-4, 4), dtypes=FLOATING)
class Exp2(Elementwise):
    """``2 ** x``."""

    primitive = EXP2

    @staticmethod
    def derivative(x: Any, result: Any) -> Any:
        return result * _LN2


@op(method="expm1", inplace=True, reference=np.expm1, samples=real(-4, 4), dtypes=FLOATING)
class Expm1(Elementwise):
    """``e ** x - 1``, exact also for small x."""

    primitive = EXPM1

    @staticmethod
    def derivative(x: Any, result: Any) -> Any:
        return result + 1


@op(method="log", inplace=True, reference=np.log, samples=real(0.1, 8), dtypes=FLOATING)
class Log(Elementwise):
    """Natural logarithm; -inf at 0, NaN below."""

    primitive = LOG

    @staticmethod
    def derivative(x: Any, result: Any) -> Any:
        return x.reciprocal()

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return grad / ctx.saved_tensors[0]


@op(method="log2", inplace=True, reference=np.log2, samples=real(0.1, 8), dtypes=FLOATING)
class Log2(Elementwise):
    """Logarithm to base 2."""

    primitive = LOG2

    @staticmethod
    def derivative(x: Any, result: Any) -> Any:
        return (x * _LN2).reciprocal()


@op(method="log10", inplace=True, reference=np.log10, samples=real(0.1, 8), dtypes=FLOATING)
class Log10(Elementwise):
    """Logarithm to base 10."""

    primitive = LOG10

    @staticmethod
    def derivative(x: Any, result: Any) -> Any:
        return (x * _LN10).reciprocal()


@op(method="log1p", inplace=True, reference=np.log1p, samples=real(-0.8, 8), dtypes=FLOATING)
class Log1p(Elementwise):
    """``log(1 + x)``, exact also for small x."""

    primitive = LOG1P

    @staticmethod
    def derivative(x: Any, result: Any) -> Any:
        return (x + 1).reciprocal()


# -- powers ----------------------------------------------------------------------------------------
@op(method="sqrt", inplace=True, reference=np.sqrt, samples=real(0.1, 8), dtypes=FLOATING)
class Sqrt(Elementwise):
    """Square root; NaN below 0."""

    primitive = SQRT

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return grad / (ctx.saved_tensors[1] * 2)


@op(method="rsqrt", inplace=True, reference=reference.rsqrt, samples=real(0.1, 8), dtypes=FLOATING)
class Rsqrt(Elementwise):
    """``1 / sqrt(x)``."""

    primitive = RSQRT

    @staticmethod
    def derivative(x: Any, result: Any) -> Any:
        return result**3 * -0.5


@op(
    method="reciprocal",
    inplace=True,
    reference=lambda x: 1 / x,
    samples=real(0.2, 4),
    dtypes=FLOATING,
)
class Reciprocal(Function):
    """``1 / x``; infinite at 0."""

    @staticmethod
    def forward(ctx: Context, x: Any) -> Any:
        node = floating(x)
        result = x._wrap(pointwise(DIV, number(1, node.dtype), node))
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (result,) = ctx.saved_tensors
        return -grad * result * result


@op(method="square", inplace=True, reference=np.square, samples=real(-4, 4), dtypes=NUMERIC)
class Square(Function):
    """``x * x``."""

    @staticmethod
    def forward(ctx: Context, x: Any) -> Any:
        ctx.save_for_backward(x)
        node = cast(x.node, dtypes.int64) if x.dtype is dtypes.bool else x.node
        return x._wrap(pointwise(MUL, node, node))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return grad * (ctx.saved_tensors[0] * 2)


# -- trigonometric and hyperbolic functions --------------------------------------------------------
@op(method="sin", inplace=True, reference=np.sin, samples=real(-4, 4), dtypes=FLOATING)
class Sin(Elementwise):
    """Sine of x radians."""

    primitive = SIN

    @staticmethod
    def derivative(x: Any, result: Any) -> Any:
        return x.cos()


@op(method="cos", inplace=True, reference=np.cos, samples=real(-4, 4), dtypes=FLOATING)
class Cos(Elementwise):
    """Cosine of x radians."""

    primitive = COS

    @staticmethod
    def derivative(x: Any, result: Any) -> Any:
        return -x.sin()


@op(method="tan", inplace=True, reference=np.tan, samples=real(-1.2, 1.2), dtypes=FLOATING)
class Tan(Elementwise):
    """Tangent of x radians."""

    primitive = TAN

    @staticmethod
    def derivative(x: Any, result: Any) -> Any:
        return result * result + 1


@op(
    method="asin",
    aliases=("arcsin",),
    inplace=True,
    reference=np.arcsin,
    samples=real(-0.9, 0.9),
    dtypes=FLOATING,
)
class Asin(Elementwise):
    """Inverse sine, in [-pi/2, pi/2]; NaN outside [-1, 1]."""

    primitive = ASIN

    @staticmethod
    def derivative(x: Any, result: Any) -> Any:
        return (1 - x * x).rsqrt()


@op(
    method="acos",
    aliases=("arccos",),
    inplace=True,
    reference=np.arccos,
    samples=real(-0.9, 0.9),
    dtypes=FLOATING,
)
class Acos(Elementwise):
    """Inverse cosine, in [0, pi]; NaN outside [-1, 1]."""

    primitive = ACOS

    @staticmethod
    def derivative(x: Any, result: Any) -> Any:
        return -(1 - x * x).rsqrt()


@op(
    method="atan",
    aliases=("arctan",),
    inplace=True,
    reference=np.arctan,
    samples=real(-4, 4),
    dtypes=FLOATING,
)
class Atan(Elementwise):
    """Inverse tangent, in [-pi/2, pi/2]."""

    primitive = ATAN

    @staticmethod
    def derivative(x: Any, result: Any) -> Any:
        return (x * x + 1).reciprocal()


@op(method="sinh", inplace=True, reference=np.sinh, samples=real(-3, 3), dtypes=FLOATING)
class Sinh(Elementwise):
    """Hyperbolic sine."""

    primitive = SINH

    @staticmethod
    def derivative(x: Any, result: Any) -> Any:
        return x.cosh()


@op(method="cosh", inplace=True, reference=np.cosh, samples=real(-3, 3), dtypes=FLOATING)
class Cosh(Elementwise):
    """Hyperbolic cosine."""

    primitive = COSH

    @staticmethod
    def derivative(x: Any, result: Any) -> Any:
        return x.sinh()


@op(method="tanh", inplace=True, reference=np.tanh, samples=real(-3, 3), dtypes=FLOATING)
class Tanh(Elementwise):
    """Hyperbolic tangent."""

    primitive = TANH

    @staticmethod
    def derivative(x: Any, result: Any) -> Any:
        return 1 - result * result


@op(method="erf", inplace=True, reference=reference.erf, samples=real(-3, 3), dtypes=FLOATING)
class Erf(Elementwise):
    """Error function, ``2 / sqrt(pi)`` times the integral of ``exp(-t * t)`` from 0 to x."""

    primitive = ERF

    @staticmethod
    def derivative(x: Any, result: Any) -> Any:
        return (-(x * x)).exp() * (2 / math.sqrt(math.pi))


@op(
    method="sigmoid",
    inplace=True,
    reference=reference.sigmoid,
    samples=real(-4, 4),
    dtypes=FLOATING,
)
class Sigmoid(Elementwise):
    """Logistic function, ``1 / (1 + exp(-x))``."""

    primitive = SIGMOID

    @staticmethod
    def derivative(x: Any, result: Any) -> Any:
        return result * (1 - result)


# -- sign and size ---------------------------------------------------------------------------------
@op(
    method="neg",
    operator="__neg__",
    aliases=("negative",),
    inplace=True,
    reference=np.negative,
    samples=real(-4, 4),
    dtypes=NUMERIC,
)
class Neg(Function):
    """``-x``; unsigned integers wrap."""

    @staticmethod
    def forward(ctx: Context, x: Any) -> Any:
        refuse_bool("neg", x.dtype, instead="~x or x.logical_not()")
        return x.apply(NEG)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return -grad


@op(
    method="abs",
    operator="__abs__",
    aliases=("absolute",),
    inplace=True,
    reference=np.abs,
    samples=real(0.2, 4) + real(-4, -0.2),
    dtypes=NUMERIC,
)
class Abs(Function):
    """Absolute value, with derivative 0 at 0. The smallest signed integer is its own, as in
    NumPy.
    """

    @staticmethod
    def forward(ctx: Context, x: Any) -> Any:
        refuse_bool("abs", x.dtype, instead="x itself")
        ctx.save_for_backward(x)
        return x._wrap(x.node) if x.dtype.kind == "u" else x.apply(ABS)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return grad * ctx.saved_tensors[0].sign()


@op(
    method="sign",
    aliases=("sgn",),
    inplace=True,
    reference=lambda x: ((x > 0) * 1.0 - (x < 0) * 1.0).astype(x.dtype),
    samples=real(0.2, 4) + real(-4, -0.2),
    dtypes=NUMERIC,
)
class Sign(Function):
    """-1, 0 or 1; of NaN 0, as in PyTorch."""

    @staticmethod
    def forward(ctx: Context, x: Any) -> Any:
        node, dtype = x.node, x.dtype
        if dtype is dtypes.bool:
            return x._wrap(node)
        zero = number(0, dtype)
        positive = cast(pointwise(LT, zero, node), dtype)
        if dtype.kind == "u":
            return x._wrap(positive)
        return x._wrap(pointwise(SUB, positive, cast(pointwise(LT, node, zero), dtype)))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return zeros_like(grad)


@op(
    method="positive",
    operator="__pos__",
    reference=np.positive,
    samples=real(-4, 4),
    dtypes=NUMERIC,
)
class Positive(Function):
    """``+x``, x itself."""

    @staticmethod
    def forward(ctx: Context, x: Any) -> Any:
        refuse_bool("positive", x.dtype, instead="x itself")
        return x._wrap(x.node)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return grad


# -- rounding --------------------------------------------------------------------------------------
# Samples keep away from the steps, where finite differences are infinite.
_BETWEEN_STEPS = real(0.1, 0.4) + real(-1.4, -1.1)


@op(method="floor", inplace=True, reference=np.floor, samples=_BETWEEN_STEPS, dtypes=FLOATING)
class Floor(Stepwise):
    """The largest whole number not above x."""

    primitive = FLOOR


@op(method="ceil", inplace=True, reference=np.ceil, samples=_BETWEEN_STEPS, dtypes=FLOATING)
class Ceil(Stepwise):
    """The smallest whole number not below x."""

    primitive = CEIL


@op(
    method="trunc",
    operator="__trunc__",
    aliases=("fix",),
    inplace=True,
    reference=np.trunc,
    samples=_BETWEEN_STEPS,
    dtypes=FLOATING,
)
class Trunc(Stepwise):
    """x without its fraction."""

    primitive = TRUNC


@op(
    method="round",
    inplace=True,
    reference=lambda x, decimals=0: np.round(x, decimals).astype(x.dtype),
    samples=_BETWEEN_STEPS,
    dtypes=FLOATING,
)
class Round(Function):
    """The nearest whole number, halves to even; with `decimals`, the nearest multiple of ``10 **
    -decimals``.
    """

    @staticmethod
    def forward(ctx: Context, x: Any, *, decimals: int = 0) -> Any:
        if x.dtype.kind in "iu":
            return x._wrap(x.node)
        node = floating(x)
        if decimals == 0:
            return x._wrap(pointwise(ROUND, node))
        # The power of ten is kept whole, for 0.1 and its like are not exact.
        power = number(10 ** abs(decimals), node.dtype)
        up, down = (MUL, DIV) if decimals > 0 else (DIV, MUL)
        return x._wrap(pointwise(down, pointwise(ROUND, pointwise(up, node, power)), power))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return zeros_like(grad)


@op(
    method="frac",
    inplace=True,
    reference=lambda x: x - np.trunc(x),
    samples=_BETWEEN_STEPS,
    dtypes=FLOATING,
    composite=True,
)
class Frac(Function):
    """The fraction ``x - trunc(x)``, with the sign of x."""

    @staticmethod
    def forward(x: Any) -> Any:
        return x - x.trunc()


# -- tests of floating values ----------------------------------------------------------------------
@op(method="isnan", reference=np.isnan, samples=real(-4, 4), dtypes=FLOATING, gradient=False)
class IsNan(Function):
    """Whether each element is not a number."""

    @staticmethod
    def forward(ctx: Context, x: Any) -> Any:
        return x._wrap(pointwise(NE, x.node, x.node))


@op(method="isinf", reference=np.isinf, samples=real(-4, 4), dtypes=FLOATING, gradient=False)
class IsInf(Function):
    """Whether each element is infinite, of either sign."""

    @staticmethod
    def forward(ctx: Context, x: Any) -> Any:
        if not x.dtype.is_floating_point:
            return x._wrap(expand(constant(False, dtypes.bool), x.shape))
        return x._wrap(pointwise(EQ, pointwise(ABS, x.node), number(math.inf, x.dtype)))


@op(method="isfinite", reference=np.isfinite, samples=real(-4, 4), dtypes=FLOATING, gradient=False)
class IsFinite(Function):
    """Whether each element is neither infinite nor NaN."""

    @staticmethod
    def forward(ctx: Context, x: Any) -> Any:
        if not x.dtype.is_floating_point:
            return x._wrap(expand(constant(True, dtypes.bool), x.shape))
        return x._wrap(pointwise(LT, pointwise(ABS, x.node), number(math.inf, x.dtype)))


@op(
    method="nan_to_num",
    inplace=True,
    reference=np.nan_to_num,
    samples=real(-4, 4),
    dtypes=FLOATING,
)
class NanToNum(Function):
    """x with NaN and infinities replaced: by `nan`, and by `posinf`, `neginf` or the largest
    finite values.
    """

    @staticmethod
    def forward(
        ctx: Context,
        x: Any,
        nan: float = 0.0,
        posinf: float | None = None,
        neginf: float | None = None,
    ) -> Any:
        ctx.save_for_backward(x)
        dtype, node = x.dtype, x.node
        if not dtype.is_floating_point:
            return x._wrap(node)
        largest = float(ml_dtypes.finfo(dtype.numpy).max)
        replacements = (
            (number(math.inf, dtype), largest if posinf is None else posinf),
            (number(-math.inf, dtype), -largest if neginf is None else neginf),
        )
        result = pointwise(WHERE, pointwise(NE, node, node), number(nan, dtype), node)
        for given, wanted in replacements:
            result = pointwise(WHERE, pointwise(EQ, node, given), number(wanted, dtype), result)
        return x._wrap(result)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        return grad.masked_fill(~x.isfinite(), 0)
