"""Variance and standard deviation over any axes; norms are in `norms.py`.

The variance takes two passes, mean then squared differences, which cannot cancel; both
fuse into one kernel.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from grad.autograd.function import Context, Function
from grad.autograd.rebuilt import plainly_rebuilt, rebuilt
from grad.dtype import DType, dtypes
from grad.graph.node import Node, cast, pointwise, reduce
from grad.graph.primitives import (
    DIV,
    MUL,
    SQRT,
    SUB,
    SUM,
)
from grad.ops.axes import Dims, keep_axes, like_operand, normal_axes, reduced_size
from grad.ops.promotion import accumulation_dtype, number, require_floating
from grad.ops.reduction import Mean, axes_samples
from grad.ops.registry import FLOATING, op
from grad.ops.samples import operands


def _variance_arguments(
    name: str, x: Any, dim: Dims, unbiased: bool | None, correction: float | None
) -> tuple[tuple[int, ...], float]:
    """The axes, and how many elements less one degree of freedom each `correction` takes."""
    require_floating(name, x.dtype)
    if isinstance(dim, bool):  # x.var(False), PyTorch's older form
        dim, unbiased = None, dim
    if correction is None:
        correction = 0 if unbiased is False else 1
    axes = normal_axes(name, dim, len(x.shape))
    return axes, max(reduced_size(x.shape, axes) - correction, 0)


def _variance(x: Any, axes: tuple[int, ...], freedom: float, dtype: DType) -> Node:
    """The variance over `axes`, computed as `dtype`."""
    node = cast(x.node, dtype)
    count = number(reduced_size(x.shape, axes), node.dtype)
    mean = pointwise(DIV, keep_axes(reduce(SUM, node, axes), x.shape, axes, True), count)
    difference = pointwise(SUB, node, mean)
    total = reduce(SUM, pointwise(MUL, difference, difference), axes)
    return pointwise(DIV, total, number(freedom, node.dtype))


def _numpy_deviation(f: Callable[..., Any]) -> Callable[..., Any]:
    def call(x: Any, dim: Any = None, keepdim: bool = False, correction: float = 1) -> Any:
        return f(x, axis=dim, keepdims=keepdim, ddof=correction)

    return call


_DEVIATIONS = (*axes_samples(), *operands(((3, 4),), kwargs={"dim": 1, "correction": 0}))


@op(method="var", reference=_numpy_deviation(np.var), samples=_DEVIATIONS, dtypes=FLOATING)
@plainly_rebuilt
class Var(Function):
    """Variance over `dim`: squared differences from the mean, summed, by ``count - correction``.

    `unbiased` is PyTorch's older word: False is ``correction=0``.
    """

    @staticmethod
    def forward(
        ctx: Context,
        x: Any,
        dim: Dims = None,
        unbiased: bool | None = None,
        keepdim: bool = False,
        *,
        correction: float | None = None,
    ) -> Any:
        axes, freedom = _variance_arguments("var", x, dim, unbiased, correction)
        ctx.save_for_backward(x)
        ctx.axes, ctx.freedom = axes, freedom
        variance = _variance(x, axes, freedom, accumulation_dtype(x.dtype))
        return x._wrap(keep_axes(cast(variance, x.dtype), x.shape, axes, keepdim))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        return _variance_gradient(x, grad, ctx.axes, ctx.freedom)


def _variance_gradient(x: Any, grad: Any, axes: tuple[int, ...], freedom: float) -> Any:
    scale = 2 / freedom if freedom else math.inf
    difference = x - x.mean(axes, True) if axes else x * 0
    return like_operand(grad, x.shape, axes) * scale * difference


@op(method="std", reference=_numpy_deviation(np.std), samples=_DEVIATIONS, dtypes=FLOATING)
@plainly_rebuilt
class Std(Function):
    """Standard deviation over `dim`, the square root of `var`; its gradient is 0 where it is 0."""

    @staticmethod
    def forward(
        ctx: Context,
        x: Any,
        dim: Dims = None,
        unbiased: bool | None = None,
        keepdim: bool = False,
        *,
        correction: float | None = None,
    ) -> Any:
        axes, freedom = _variance_arguments("std", x, dim, unbiased, correction)
        ctx.axes, ctx.freedom = axes, freedom
        # Squares of deviations that float32 holds may be too large for it, or nothing.
        variance = _variance(x, axes, freedom, dtypes.float64)
        deviation = cast(pointwise(SQRT, variance), x.dtype)
        result = x._wrap(keep_axes(deviation, x.shape, axes, keepdim))
        ctx.save_for_backward(x, result)
        return result

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        x, result = ctx.saved_tensors
        inner = (grad / result / 2).masked_fill(result == 0, 0)
        return _variance_gradient(x, inner, ctx.axes, ctx.freedom)


@op(method="var_mean", reference=None, samples=axes_samples(), dtypes=FLOATING, composite=True)
class VarMean(Function):
    """The pair of `var` and `mean` over `dim`."""

    @staticmethod
    @rebuilt
    def forward(
        x: Any,
        dim: Dims = None,
        unbiased: bool | None = None,
        keepdim: bool = False,
        *,
        correction: Any = None,
    ) -> tuple[Any, Any]:
        if isinstance(dim, bool):
            dim, unbiased = None, dim
        spread = Var.apply(x, dim, unbiased, keepdim, correction=correction)
        return spread, Mean.apply(x, dim, keepdim)


@op(method="std_mean", reference=None, samples=axes_samples(), dtypes=FLOATING, composite=True)
class StdMean(Function):
    """The pair of `std` and `mean` over `dim`."""

    @staticmethod
    @rebuilt
    def forward(
        x: Any,
        dim: Dims = None,
        unbiased: bool | None = None,
        keepdim: bool = False,
        *,
        correction: Any = None,
    ) -> tuple[Any, Any]:
        if isinstance(dim, bool):
            dim, unbiased = None, dim
        spread = Std.apply(x, dim, unbiased, keepdim, correction=correction)
        return spread, Mean.apply(x, dim, keepdim)
