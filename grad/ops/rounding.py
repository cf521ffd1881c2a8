"""Sign, rounding, and tests of floating values: what `unary.py` has no smooth function for.

Their derivatives are steps or zero. Samples keep away from the steps, where finite differences are
infinite.
"""

from __future__ import annotations

import math
from typing import Any

import ml_dtypes
import numpy as np

from grad.autograd.function import Context, Function
from grad.dtype import dtypes
from grad.errors import DTypeError
from grad.graph.node import cast, constant, expand, pointwise
from grad.graph.primitives import (
    ABS,
    CEIL,
    DIV,
    EQ,
    FLOOR,
    LT,
    MUL,
    NE,
    NEG,
    ROUND,
    SUB,
    TRUNC,
    WHERE,
)
from grad.ops.elementwise import Stepwise
from grad.ops.promotion import number, refuse_bool, zeros_like
from grad.ops.registry import FLOATING, NUMERIC, op
from grad.ops.samples import real


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
        refuse_bool("round", x.dtype, instead="x itself")
        if not x.dtype.is_floating_point:
            if decimals:
                raise DTypeError(
                    f"round: decimals={decimals} needs a floating tensor, got {x.dtype.name}; use "
                    f"x.double()."
                )
            return x._wrap(x.node)
        node = x.node
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


def _is_infinity(x: Any, infinity: float) -> Any:
    if not x.dtype.is_floating_point:
        return x._wrap(expand(constant(False, dtypes.bool), x.shape))
    return x._wrap(pointwise(EQ, x.node, number(infinity, x.dtype)))


@op(method="isposinf", reference=np.isposinf, samples=real(-4, 4), dtypes=FLOATING, gradient=False)
class IsPosInf(Function):
    """Whether each element is positive infinity."""

    @staticmethod
    def forward(ctx: Context, x: Any) -> Any:
        return _is_infinity(x, math.inf)


@op(method="isneginf", reference=np.isneginf, samples=real(-4, 4), dtypes=FLOATING, gradient=False)
class IsNegInf(Function):
    """Whether each element is negative infinity."""

    @staticmethod
    def forward(ctx: Context, x: Any) -> Any:
        return _is_infinity(x, -math.inf)


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
