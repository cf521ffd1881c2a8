"""How movements are recorded and undone: the base of every view operation.

`moved` makes the result of an op from a path of `Move`s: a view of the same storage where strides
can say it, else a copy. `unmoved` is the gradient of a path: each movement has a reverse, tried
from the last to the first. `view.py` has the operations themselves, `index.py` uses `Through` for
basic indexing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from grad.autograd.function import Context, Function
from grad.autograd.remembered import remembered
from grad.dtype import dtypes
from grad.graph.movement import Move, Shape, contiguous_strides, moved_shape
from grad.graph.node import (
    Node,
    constant,
    expand,
    follow,
    iota,
    pad,
    pointwise,
    reshape,
    scatter,
    slice_axes,
)
from grad.graph.primitives import ADD, AFFINE, AS_STRIDED, EXPAND, MUL, PAD, PERMUTE, RESHAPE, SLICE
from grad.ops.registry import op

Path = tuple[Move, ...]


class Movement(Function):
    """Base of the view operations: `forward` ends in `moved`, and this is the gradient."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        remembered(cls)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return unmoved(grad, ctx.shape, ctx.path)


def moved(ctx: Any, x: Any, path: Path, copy: bool = False, sure: bool = False) -> Any:
    """`x` seen through `path`: a view, or a copy where `copy` is asked for or strides cannot
    express it.
    """
    ctx.shape, ctx.path = x._shape, path
    view = None if copy else x._view(path, sure)
    return x._wrap(follow(x.node, path)) if view is None else view


@op(method="_through", function=False, view=True)
class Through(Movement):
    """`x` through any path; what a view's history becomes when its base was written to."""

    @staticmethod
    def forward(ctx: Context, x: Any, path: Path) -> Any:
        return moved(ctx, x, path)


def unmoved(gradient: Any, shape: Shape, path: Sequence[Move]) -> Any:
    """The gradient of a tensor of `shape` from that of its view through `path`."""
    shapes = [shape]
    for step in path:
        shapes.append(moved_shape(shapes[-1], step))
    for step, before in zip(reversed(path), reversed(shapes[:-1])):
        gradient = _UNDO[step.primitive](gradient, before, step.arg)
    return gradient


def _unexpanded(gradient: Any, before: Shape, after: Shape) -> Any:
    new = len(after) - len(before)
    axes = [*range(new), *(new + i for i, s in enumerate(before) if s != after[new + i])]
    return gradient.sum(axes).reshape(before) if axes else gradient


def _unpermuted(gradient: Any, before: Shape, order: Sequence[int]) -> Any:
    return gradient.permute(inverse_order(order))


def _unpadded(gradient: Any, before: Shape, amounts: Sequence[tuple[int, int]]) -> Any:
    ranges = tuple((first, 1, size) for (first, _), size in zip(amounts, before))
    return Through.apply(gradient, (Move(SLICE, ranges),))


_UNDO = {
    RESHAPE: lambda gradient, before, arg: gradient.reshape(before),
    PERMUTE: _unpermuted,
    EXPAND: _unexpanded,
    PAD: _unpadded,
    SLICE: lambda gradient, before, arg: Place.apply(gradient, before, arg),
    AS_STRIDED: lambda gradient, before, arg: PlaceStrided.apply(gradient, before, arg),
    AFFINE: lambda gradient, before, arg: PlaceAffine.apply(gradient, before, arg),
}


def inverse_order(order: Sequence[int]) -> tuple[int, ...]:
    inverse = [0] * len(order)
    for position, axis in enumerate(order):
        inverse[axis] = position
    return tuple(inverse)


@remembered
class Place(Function):
    """Zeros of `shape` with the slice `ranges` filled: a slice reversed, by movements alone."""

    @staticmethod
    def forward(ctx: Context, x: Any, shape: Shape, ranges: Sequence[tuple[int, int, int]]) -> Any:
        ctx.ranges = ranges
        return x._wrap(placed(x.node, shape, ranges))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return Through.apply(grad, (Move(SLICE, tuple(ctx.ranges)),))


def placed(node: Node, shape: Shape, ranges: Sequence[tuple[int, int, int]]) -> Node:
    """See `Place`: turn axes that run backward, put zeros between the steps, then around."""
    node = slice_axes(node, [(n - 1, -1, n) if step < 0 else (0, 1, n) for _, step, n in ranges])
    amounts = []
    for axis, ((start, step, count), size) in enumerate(zip(ranges, shape)):
        if step < 0:
            start, step = start + step * (count - 1), -step
        if count == 0:
            amounts.append((0, size))
            continue
        if step > 1 and count > 1:
            node = _spread(node, axis, step)
            count = (count - 1) * step + 1
        amounts.append((start, size - start - count))
    return pad(node, amounts)


def _spread(node: Node, axis: int, step: int) -> Node:
    """`step - 1` zeros between neighbours along `axis`."""
    shape, count = node.shape, node.shape[axis]
    split = reshape(node, (*shape[: axis + 1], 1, *shape[axis + 1 :]))
    split = pad(split, [(0, step - 1) if a == axis + 1 else (0, 0) for a in range(len(shape) + 1)])
    joined = reshape(split, (*shape[:axis], count * step, *shape[axis + 1 :]))
    kept = (count - 1) * step + 1
    ranges = [(0, 1, kept if a == axis else size) for a, size in enumerate(joined.shape)]
    return slice_axes(joined, ranges)


@remembered
class PlaceStrided(Function):
    """Zeros of (1-d) `shape` with a strided view added in: the reverse of `as_strided`."""

    @staticmethod
    def forward(ctx: Context, x: Any, shape: Shape, layout: Any) -> Any:
        ctx.layout = layout
        return x._wrap(_added_at(x.node, shape, *layout))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return Through.apply(grad, (Move(AS_STRIDED, ctx.layout),))


@remembered
class PlaceAffine(Function):
    """Zeros of `shape` with what an affine movement shows added in."""

    @staticmethod
    def forward(ctx: Context, x: Any, shape: Shape, arg: Any) -> Any:
        ctx.arg = arg
        sizes, rows = arg
        strides, offset = [0] * len(sizes), 0
        for (start, steps), stride in zip(rows, contiguous_strides(shape)):
            offset += start * stride
            strides = [known + step * stride for known, step in zip(strides, steps)]
        return x._wrap(
            reshape(_added_at(x.node, (math.prod(shape),), sizes, strides, offset), shape)
        )

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return Through.apply(grad, (Move(AFFINE, ctx.arg),))


def _added_at(node: Node, shape: Shape, sizes: Shape, strides: Sequence[int], offset: int) -> Node:
    """Zeros of the 1-d `shape`, and `node` added to the elements that strides lead to."""
    places = constant(offset, dtypes.int64)
    for axis, (size, stride) in enumerate(zip(sizes, strides)):
        steps = pointwise(MUL, iota(size), constant(stride, dtypes.int64))
        along = reshape(steps, tuple([size if a == axis else 1 for a in range(len(sizes))]))
        places = pointwise(ADD, places, along)
    index = reshape(expand(places, sizes), (node.size,))
    return scatter(
        "add", expand(constant(0, node.dtype), shape), reshape(node, (node.size,)), (0,), (index,)
    )
