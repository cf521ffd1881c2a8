"""Elementary functions, rounding and tests of one operand.

Most are an `Elementwise` of `elementwise.py`: a primitive, a derivative, a docstring. The domain
in `samples` is where the derivative exists and finite differences can be trusted; values outside
are tested by tests/unary_ops_test.py.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from grad.autograd.function import Context
from grad.dtype import dtypes
from grad.graph import reference
from grad.graph.node import cast, pointwise
from grad.graph.primitives import (
    ACOS,
    ASIN,
    ATAN,
    COS,
    COSH,
    DIV,
    ERF,
    ERFC,
    EXP,
    EXP2,
    EXPM1,
    LOG,
    LOG1P,
    LOG2,
    LOG10,
    MUL,
    RSQRT,
    SIGMOID,
    SIN,
    SINH,
    SQRT,
    TAN,
    TANH,
)
from grad.ops.elementwise import Elementwise
from grad.ops.halves import Pointwise
from grad.ops.promotion import floating, number
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
class Reciprocal(Pointwise):
    """``1 / x``; infinite at 0."""

    rounds_once = True

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
class Square(Pointwise):
    """``x * x``."""

    rounds_once = True

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


@op(method="erfc", inplace=True, reference=reference.erfc, samples=real(-3, 3), dtypes=FLOATING)
class Erfc(Elementwise):
    """Complementary error function, ``1 - erf(x)``, exact also where that is small."""

    primitive = ERFC

    @staticmethod
    def derivative(x: Any, result: Any) -> Any:
        return (-(x * x)).exp() * (-2 / math.sqrt(math.pi))


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
