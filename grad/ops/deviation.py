"""Variance, standard deviation and norms over any axes.

The variance takes two passes, mean then squared differences, which cannot cancel; both
fuse into one kernel.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from grad.autograd.function import Context, Function
from grad.dtype import as_dtype
from grad.errors import ArgumentError
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
from grad.ops.samples import operands, positive


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


def _variance(x: Any, axes: tuple[int, ...], freedom: float) -> Node:
    """The variance over `axes`, in the type that sums are kept in."""
    node = cast(x.node, accumulation_dtype(x.dtype))
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
        return x._wrap(
            keep_axes(cast(_variance(x, axes, freedom), x.dtype), x.shape, axes, keepdim)
        )

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        return _variance_gradient(x, grad, ctx.axes, ctx.freedom)


def _variance_gradient(x: Any, grad: Any, axes: tuple[int, ...], freedom: float) -> Any:
    scale = 2 / freedom if freedom else math.inf
    difference = x - x.mean(axes, True) if axes else x * 0
    return like_operand(grad, x.shape, axes) * scale * difference


@op(method="std", reference=_numpy_deviation(np.std), samples=_DEVIATIONS, dtypes=FLOATING)
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
        deviation = cast(pointwise(SQRT, _variance(x, axes, freedom)), x.dtype)
        result = x._wrap(keep_axes(deviation, x.shape, axes, keepdim))
        ctx.save_for_backward(x, result)
        return result

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        x, result = ctx.saved_tensors
        inner = (grad / (result * 2)).masked_fill(result == 0, 0)
        return _variance_gradient(x, inner, ctx.axes, ctx.freedom)


@op(method="var_mean", reference=None, samples=axes_samples(), dtypes=FLOATING, composite=True)
class VarMean(Function):
    """The pair of `var` and `mean` over `dim`."""

    @staticmethod
    def forward(
        x: Any,
        dim: Dims = None,
        unbiased: bool | None = None,
        keepdim: bool = False,
        *,
        correction: Any = None,
    ) -> Any:
        return Var.apply(x, dim, unbiased, keepdim, correction=correction), Mean.apply(
            x, dim, keepdim
        )


@op(method="std_mean", reference=None, samples=axes_samples(), dtypes=FLOATING, composite=True)
class StdMean(Function):
    """The pair of `std` and `mean` over `dim`."""

    @staticmethod
    def forward(
        x: Any,
        dim: Dims = None,
        unbiased: bool | None = None,
        keepdim: bool = False,
        *,
        correction: Any = None,
    ) -> Any:
        return Std.apply(x, dim, unbiased, keepdim, correction=correction), Mean.apply(
            x, dim, keepdim
        )


class EuclideanNorm(Function):
    """``sqrt(sum(x * x))``, with gradient 0 at 0."""

    @staticmethod
    def forward(ctx: Context, x: Any, axes: tuple[int, ...], keepdim: bool) -> Any:
        node = cast(x.node, accumulation_dtype(x.dtype))
        total = pointwise(SQRT, reduce(SUM, pointwise(MUL, node, node), axes))
        result = x._wrap(keep_axes(cast(total, x.dtype), x.shape, axes, keepdim))
        ctx.save_for_backward(x, result)
        ctx.axes = axes
        return result

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        x, result = ctx.saved_tensors
        scale = (grad / result).masked_fill(result == 0, 0)
        return x * like_operand(scale, x.shape, ctx.axes)


@op(
    method="norm",
    reference=lambda x, p=2, dim=None, keepdim=False: (
        np.sum(np.abs(x) ** p, axis=dim, keepdims=keepdim) ** (1 / p)
    ),
    samples=(
        *axes_samples(),
        *operands(((3, 4),), kwargs={"p": 1, "dim": 1}),
        *operands(((3, 4),), kwargs={"p": 3, "dim": 1}, first=positive),
    ),
    dtypes=FLOATING,
    composite=True,
)
class Norm(Function):
    """Vector norm ``sum(|x| ** p) ** (1 / p)`` over `dim`; `p` may be infinite, 0 (counts
    nonzeros) or "fro" (2).
    """

    @staticmethod
    def forward(
        x: Any, p: Any = 2, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None
    ) -> Any:
        if dtype is not None:
            x = x.to(as_dtype(dtype))
        require_floating("norm", x.dtype)
        if p == "fro" or p == 2 or p is None:
            return EuclideanNorm.apply(x, normal_axes("norm", dim, len(x.shape)), keepdim)
        if not isinstance(p, int | float):
            raise ArgumentError(f"norm: p={p!r}; use a number, math.inf or 'fro'.")
        if p == math.inf:
            return x.abs().amax(dim, keepdim)
        if p == -math.inf:
            return x.abs().amin(dim, keepdim)
        if p == 0:
            return (x != 0).sum(dim, keepdim).to(x.dtype)
        if p == 1:
            return x.abs().sum(dim, keepdim)
        total = (x.abs() ** p).sum(dim, keepdim)
        # The root has an infinite slope at 0; the gradient there is 0, as of the other norms.
        nothing = total == 0
        return (total.masked_fill(nothing, 1) ** (1 / p)).masked_fill(nothing, 0)
