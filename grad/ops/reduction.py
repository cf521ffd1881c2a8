"""Reductions: sums, products, means, variances and norms over any axes.

Sums of halves are kept in float32, sums and products of integers and bool in int64, as in
PyTorch. `extremum.py` has max, min and their positions; `axes.py` says which axes a `dim` means.
Nothing here materialises an operand: a gradient is the result's, expanded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from grad.autograd.function import Context, Function
from grad.dtype import DType, as_dtype, dtypes
from grad.graph.node import Node, cast, constant, expand, pointwise, reduce, reshape
from grad.graph.primitives import (
    ABS,
    ADD,
    DIV,
    EQ,
    EXP,
    LOG,
    MAX,
    MIN,
    MUL,
    PROD,
    SQRT,
    SUB,
    SUM,
    WHERE,
    Primitive,
)
from grad.ops.axes import Dims, keep_axes, kept_shape, like_operand, normal_axes
from grad.ops.promotion import accumulation_dtype, number, require_floating
from grad.ops.registry import ALL, FLOATING, Sample, op
from grad.ops.samples import operands, positive


def axes_samples(**options: Any) -> tuple[Sample, ...]:
    """A tensor reduced over all axes, one, several, and with the axes kept."""
    shapes = ((2, 3, 4),)
    return (
        *operands(((3, 4),), **options),
        *operands(shapes, kwargs={"dim": 1}, **options),
        *operands(shapes, kwargs={"dim": (0, -1), "keepdim": True}, **options),
    )


def numpy_axes(f: Callable[..., Any]) -> Callable[..., Any]:
    """A NumPy reduction under PyTorch's names."""

    def call(x: Any, dim: Any = None, keepdim: bool = False, **options: Any) -> Any:
        return f(x, axis=dim, keepdims=keepdim, **options)

    return call


def accumulated(x: Any, dtype: Any = None) -> tuple[Node, DType]:
    """The operand in the type it is summed in, and the type of the result."""
    if dtype is not None:
        result = as_dtype(dtype)
    else:
        result = x.dtype if x.dtype.is_floating_point else dtypes.int64
    node = cast(x.node, result)
    wide = accumulation_dtype(result)
    # A half that was asked for is rounded only at the end.
    return (cast(x.node, wide) if x.dtype.is_floating_point else cast(node, wide)), result


def _reduced_size(shape: Sequence[int], axes: Sequence[int]) -> int:
    return math.prod(shape[axis] for axis in axes)


@op(method="sum", reference=numpy_axes(np.sum), samples=axes_samples(), dtypes=ALL)
class Sum(Function):
    """Sum over `dim` (an axis, several, or all); integers and bool are summed in int64."""

    @staticmethod
    def forward(
        ctx: Context, x: Any, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None
    ) -> Any:
        shape = x.shape
        axes = normal_axes("sum", dim, len(shape))
        ctx.shape, ctx.axes = shape, axes
        node, result = accumulated(x, dtype)
        return x._wrap(keep_axes(cast(reduce(SUM, node, axes), result), shape, axes, keepdim))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return like_operand(grad, ctx.shape, ctx.axes).expand(ctx.shape)


@op(method="mean", reference=numpy_axes(np.mean), samples=axes_samples(), dtypes=FLOATING)
class Mean(Function):
    """Mean over `dim`, of floating tensors; NaN where there is nothing to average."""

    @staticmethod
    def forward(
        ctx: Context, x: Any, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None
    ) -> Any:
        require_floating("mean", x.dtype if dtype is None else as_dtype(dtype))
        shape = x.shape
        axes = normal_axes("mean", dim, len(shape))
        ctx.shape, ctx.axes, ctx.count = shape, axes, _reduced_size(shape, axes)
        node, result = accumulated(x, dtype)
        total = reduce(SUM, node, axes)
        mean = pointwise(DIV, total, number(ctx.count, total.dtype))
        return x._wrap(keep_axes(cast(mean, result), shape, axes, keepdim))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return like_operand(grad, ctx.shape, ctx.axes).expand(ctx.shape) / ctx.count


@op(
    method="prod",
    reference=numpy_axes(np.prod),
    samples=(
        *operands(((3, 4),), first=positive),
        *operands(((2, 3, 4),), kwargs={"dim": 1}),
        *operands(((2, 3),), kwargs={"dim": 1, "keepdim": True}),
    ),
    dtypes=ALL,
)
class Prod(Function):
    """Product over `dim`; integers and bool are multiplied in int64. Its gradient is exact where
    elements are 0.
    """

    @staticmethod
    def forward(
        ctx: Context, x: Any, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None
    ) -> Any:
        shape = x.shape
        axes = normal_axes("prod", dim, len(shape))
        ctx.save_for_backward(x)
        ctx.axes = axes
        node, result = accumulated(x, dtype)
        return x._wrap(keep_axes(cast(reduce(PROD, node, axes), result), shape, axes, keepdim))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        shape, axes = x.shape, ctx.axes
        if not axes:
            return grad
        # The reduced axes last, as one: then the factors around each element are running products.
        rest = [axis for axis in range(len(shape)) if axis not in axes]
        order = (*rest, *axes)
        flat = x.permute(order).reshape(
            (*[shape[axis] for axis in rest], _reduced_size(shape, axes))
        )
        others = _product_before(flat) * _product_before(flat.flip(-1)).flip(-1)
        moved = others.reshape(tuple(shape[axis] for axis in order))
        back = tuple(order.index(axis) for axis in range(len(shape)))
        return like_operand(grad, shape, axes) * moved.permute(back)


def _product_before(x: Any) -> Any:
    """For each element the product of those before it on the last axis."""
    if x.shape[-1] == 0:
        return x
    return shifted(x, 1.0).cumprod(-1)


def shifted(x: Any, first: float) -> Any:
    """x one place later on the last axis, with `first` in front and the last element gone."""
    start = x[..., :1] * 0 + first
    return type(x).cat([start, x[..., :-1]], -1)


# -- variance and norm -----------------------------------------------------------------------------
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
    return axes, max(_reduced_size(x.shape, axes) - correction, 0)


def _variance(x: Any, axes: tuple[int, ...], freedom: float) -> Node:
    """The variance by two passes: the mean, then the mean of squared differences, which cannot
    cancel.
    """
    node = cast(x.node, accumulation_dtype(x.dtype))
    count = number(_reduced_size(x.shape, axes), node.dtype)
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
        x: Any, p: float | str = 2, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None
    ) -> Any:
        if dtype is not None:
            x = x.to(as_dtype(dtype))
        require_floating("norm", x.dtype)
        if p == "fro" or p == 2 or p is None:
            return EuclideanNorm.apply(x, normal_axes("norm", dim, len(x.shape)), keepdim)
        if p == math.inf:
            return x.abs().amax(dim, keepdim)
        if p == -math.inf:
            return x.abs().amin(dim, keepdim)
        if p == 0:
            return (x != 0).sum(dim, keepdim).to(x.dtype)
        if p == 1:
            return x.abs().sum(dim, keepdim)
        return (x.abs() ** p).sum(dim, keepdim) ** (1 / p)


@op(
    method="logsumexp",
    reference=lambda x, dim=None, keepdim=False: np.log(
        np.sum(np.exp(x), axis=dim, keepdims=keepdim)
    ),
    samples=(
        *operands(((2, 3, 4),), kwargs={"dim": 1}),
        *operands(((2, 3, 4),), kwargs={"dim": (0, 2), "keepdim": True}),
    ),
    dtypes=FLOATING,
)
class LogSumExp(Function):
    """``log(sum(exp(x)))`` over `dim`, without overflow."""

    @staticmethod
    def forward(ctx: Context, x: Any, dim: Dims = None, keepdim: bool = False) -> Any:
        require_floating("logsumexp", x.dtype)
        shape = x.shape
        axes = normal_axes("logsumexp", dim, len(shape))
        node = cast(x.node, accumulation_dtype(x.dtype))
        if _reduced_size(shape, axes) == 0:
            empty = expand(
                number(-math.inf, x.dtype), tuple(s for a, s in enumerate(shape) if a not in axes)
            )
            result = x._wrap(keep_axes(empty, shape, axes, keepdim))
        else:
            peak = reshape(reduce(MAX, node, axes), kept_shape(shape, axes))
            infinite = pointwise(EQ, pointwise(ABS, peak), number(math.inf, node.dtype))
            peak = pointwise(WHERE, infinite, number(0, node.dtype), peak)
            total = reduce(SUM, pointwise(EXP, pointwise(SUB, node, peak)), axes)
            found = pointwise(ADD, pointwise(LOG, total), reshape(peak, total.shape))
            result = x._wrap(keep_axes(cast(found, x.dtype), shape, axes, keepdim))
        ctx.axes = axes
        ctx.save_for_backward(x, result)
        return result

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        x, result = ctx.saved_tensors
        peak = like_operand(result, x.shape, ctx.axes)
        # Rows of -inf alone: every element has weight exp(-inf), not exp(-inf + inf).
        peak = peak.masked_fill(peak == -math.inf, 0)
        return like_operand(grad, x.shape, ctx.axes) * (x - peak).exp()


# -- any, all, counting ----------------------------------------------------------------------------
def _truth(name: str, primitive: Primitive, empty: bool, x: Any, dim: Dims, keepdim: bool) -> Any:
    shape = x.shape
    axes = normal_axes(name, dim, len(shape))
    if 0 in [shape[axis] for axis in axes]:
        node = expand(
            constant(empty, dtypes.bool), tuple(s for a, s in enumerate(shape) if a not in axes)
        )
    else:
        node = reduce(primitive, cast(x.node, dtypes.bool), axes)
    node = keep_axes(node, shape, axes, keepdim)
    # PyTorch keeps uint8, its bool of old.
    return x._wrap(cast(node, dtypes.uint8) if x.dtype is dtypes.uint8 else node)


@op(method="any", reference=numpy_axes(np.any), samples=axes_samples(), dtypes=ALL, gradient=False)
class Any_(Function):
    """Whether any element over `dim` is nonzero; of nothing, False."""

    @staticmethod
    def forward(ctx: Context, x: Any, dim: Dims = None, keepdim: bool = False) -> Any:
        return _truth("any", MAX, False, x, dim, keepdim)


@op(method="all", reference=numpy_axes(np.all), samples=axes_samples(), dtypes=ALL, gradient=False)
class All_(Function):
    """Whether all elements over `dim` are nonzero; of nothing, True."""

    @staticmethod
    def forward(ctx: Context, x: Any, dim: Dims = None, keepdim: bool = False) -> Any:
        return _truth("all", MIN, True, x, dim, keepdim)


@op(
    method="count_nonzero",
    reference=lambda x, dim=None: np.count_nonzero(x, axis=dim),
    samples=operands(((3, 4),), kwargs={"dim": 1}),
    dtypes=ALL,
    composite=True,
    gradient=False,
)
class CountNonzero(Function):
    """How many elements over `dim` are nonzero."""

    @staticmethod
    def forward(x: Any, dim: Dims = None) -> Any:
        return (x != 0).sum(dim)
