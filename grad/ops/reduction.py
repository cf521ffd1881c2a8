"""Reductions: sums, products and means over any axes; any, all and counting.

Sums of halves are kept in float32, sums and products of integers and bool in int64, as in
PyTorch. `deviation.py` has variances and norms, `extremum.py` max, min and their positions;
`axes.py` says which axes a `dim` means. Nothing here materialises an operand: a gradient is the
result's, expanded.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from grad.autograd.function import Context, Function
from grad.autograd.modes import mode
from grad.autograd.rebuilt import plainly_rebuilt, rebuilt
from grad.autograd.remembered import remembered
from grad.dtype import DType, as_dtype, dtypes
from grad.graph.node import Node, cast, constant, expand, pointwise, reduce
from grad.graph.primitives import (
    DIV,
    MAX,
    MIN,
    PROD,
    SUM,
    Primitive,
)
from grad.ops.axes import Dims, keep_axes, like_operand, normal_axes, reduced_size
from grad.ops.join import Concatenate
from grad.ops.promotion import accumulation_dtype, number, require_floating, require_tensors
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


# A run of reduced axes of this many elements at the end of a row is worth a pass of its own.
LONG_RUN = 32


def total(node: Node, axes: Sequence[int]) -> Node:
    """The sum over `axes`, in two steps where an axis that stays lies between long runs.

    So it is for the statistics of channels of ``(N, C, H, W)``: first each image's rows, one after
    the other in memory, then what is left of them, which is little.
    """
    last = len(node.shape)
    while last - 1 in axes:
        last -= 1
    run = tuple(axis for axis in axes if axis >= last)
    rest = tuple(axis for axis in axes if axis < last)
    if rest and run and reduced_size(node.shape, run) >= LONG_RUN:
        return reduce(SUM, reduce(SUM, node, run), rest)
    return reduce(SUM, node, axes)


@op(method="sum", reference=numpy_axes(np.sum), samples=axes_samples(), dtypes=ALL)
@remembered
class Sum(Function):
    """Sum over `dim` (an axis, several, or all); integers and bool are summed in int64."""

    @staticmethod
    def forward(
        ctx: Context, x: Any, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None
    ) -> Any:
        shape = x._shape
        axes = normal_axes("sum", dim, len(shape))
        ctx.shape, ctx.axes = shape, axes
        node, result = accumulated(x, dtype)
        return x._wrap(keep_axes(cast(total(node, axes), result), shape, axes, keepdim))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return like_operand(grad, ctx.shape, ctx.axes).expand(ctx.shape)


@op(method="mean", reference=numpy_axes(np.mean), samples=axes_samples(), dtypes=FLOATING)
@plainly_rebuilt
@remembered
class Mean(Function):
    """Mean over `dim`, of floating tensors; NaN where there is nothing to average."""

    @staticmethod
    def forward(
        ctx: Context, x: Any, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None
    ) -> Any:
        require_floating("mean", x.dtype if dtype is None else as_dtype(dtype))
        shape = x._shape
        axes = normal_axes("mean", dim, len(shape))
        ctx.shape, ctx.axes, ctx.count = shape, axes, reduced_size(shape, axes)
        node, result = accumulated(x, dtype)
        summed = total(node, axes)
        mean = pointwise(DIV, summed, number(ctx.count, summed.dtype))
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
        shape = x._shape
        axes = normal_axes("prod", dim, len(shape))
        ctx.save_for_backward(x)
        ctx.axes = axes
        node, result = accumulated(x, dtype)
        return x._wrap(keep_axes(cast(reduce(PROD, node, axes), result), shape, axes, keepdim))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        shape, axes = x._shape, ctx.axes
        if not axes:
            return grad
        # Dividing by x has another derivative where x is 0.
        others = _products_of_others if mode.enabled else _products_by_division
        return like_operand(grad, shape, axes) * others(x, axes)


@rebuilt
def _products_by_division(x: Any, axes: tuple[int, ...]) -> Any:
    """For each element the product of the others on `axes`: that of all, divided by it.

    Zeros and infinities, which cannot be divided out again, are counted instead; NaN counts as
    both. In float64, so that products beyond the range of smaller types do not reach the result.
    """
    wide = x.to(dtypes.float64)
    size = wide.abs()
    zero, infinite = ~(size > 0), ~(size < math.inf)
    tame = wide.sign().where(infinite, wide).masked_fill(zero, 1)
    result = tame.prod(axes, True) / tame
    for found, value in ((zero, 0), (infinite, math.inf)):
        count = found.to(dtypes.float64)
        result = (result * value).where(count.sum(axes, True) > count, result)
    return result.to(x.dtype)


def _products_of_others(x: Any, axes: tuple[int, ...]) -> Any:
    """The same without division, so that derivatives are right, too."""
    shape = x._shape
    # The reduced axes last, as one: then the factors around each element are running products.
    rest = [axis for axis in range(len(shape)) if axis not in axes]
    order = (*rest, *axes)
    flat = x.permute(order).reshape((*[shape[axis] for axis in rest], reduced_size(shape, axes)))
    others = _product_before(flat) * _product_before(flat.flip(-1)).flip(-1)
    moved = others.reshape(tuple(shape[axis] for axis in order))
    return moved.permute(tuple(order.index(axis) for axis in range(len(shape))))


def _product_before(x: Any) -> Any:
    """For each element the product of those before it on the last axis."""
    if x._shape[-1] == 0:
        return x
    return shifted(x, 1.0).cumprod(-1)


def shifted(x: Any, first: float) -> Any:
    """x one place later on the last axis, with `first` in front and the last element gone."""
    start = x.new_full((*x._shape[:-1], 1), first)
    return Concatenate.apply(len(x._shape) - 1, start, x[..., :-1])


# -- any, all, counting ----------------------------------------------------------------------------
def _truth(name: str, primitive: Primitive, empty: bool, x: Any, dim: Dims, keepdim: bool) -> Any:
    shape = x._shape
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
        require_tensors("count_nonzero", x=x)
        return (x != 0).sum(dim)
