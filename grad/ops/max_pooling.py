"""Max pooling: the largest element of each window, and where in the image it is.

A window is gone through in row-major order; a later element takes over where it is larger, or NaN,
as in PyTorch. Values alone are a tree of maxima, which fuses with what follows; positions (flat,
in int32 where they fit) are only computed when they are asked for or a gradient is.
`RouteToPositions` sends the gradient of each window to its position: every element of the image
looks at the windows that it is in, so that nothing is scattered, but where these are many or follow
no rule. `PickPositions` reads the elements at the positions: the two are each other's gradients.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

from grad.autograd.function import Context, Function
from grad.dtype import DType, dtypes
from grad.graph.movement import Shape, contiguous_strides
from grad.graph.node import (
    Node,
    cast,
    constant,
    contiguous,
    expand,
    iota,
    pointwise,
    reduce,
    reshape,
    scatter,
    take,
)
from grad.graph.primitives import (
    ADD,
    EQ,
    LT,
    MAX,
    MAXIMUM,
    MIN,
    MOD,
    MUL,
    NE,
    OR,
    WHERE,
    identity,
)
from grad.ops.average_pooling import Stretches, adaptive_sizes, equal_blocks
from grad.ops.padding import padded
from grad.ops.promotion import number
from grad.ops.sliding import (
    Pooling,
    blocks,
    combined_windows,
    joined,
    pooling,
    spread,
    with_all_windows,
)

# An element that is in more windows than this gets its gradient by scattering.
MANY_WINDOWS = 16

Pair = tuple[Node, ...]  # values, or values and positions
Windows = Pooling | tuple[Stretches, ...]  # all of one size, or for each axis what they are


class MaxPoolResult(NamedTuple):
    """What max pooling gives with ``return_indices=True``."""

    values: Any
    indices: Any


# -- values and positions --------------------------------------------------------------------------
def position_dtype(sizes: Shape) -> DType:
    return dtypes.int32 if math.prod(sizes) < 2**31 else dtypes.int64


def _coordinates(start: int, count: int, dtype: DType, rank: int, axis: int) -> Node:
    """start, start + 1 ... along `axis` of `rank`."""
    shape = tuple(count if a == axis else 1 for a in range(rank))
    return reshape(pointwise(ADD, iota(count, dtype), number(start, dtype)), shape)


def _positions(geometry: Pooling) -> Node:
    """The flat position in the image of each element of the padded image.

    In front of the image it is that of the first element of the window which is inside: the answer
    where nothing in the window is larger than minus infinity.
    """
    dtype = position_dtype(geometry.sizes)
    total: Node | None = None
    for axis, stride in enumerate(contiguous_strides(geometry.sizes)):
        before, after = geometry.needed[axis]
        count = before + geometry.sizes[axis] + after
        places = _coordinates(-before, count, dtype, geometry.rank, axis)
        if before:
            first = pointwise(MOD, places, number(geometry.dilation[axis], dtype))
            places = pointwise(MAXIMUM, places, first)
        term = pointwise(MUL, places, number(stride, dtype))
        total = term if total is None else pointwise(ADD, total, term)
    assert total is not None
    return total


def _takes_over(first: Node, later: Node) -> Node:
    """Where `later` is larger than `first`, or NaN."""
    larger = pointwise(LT, first, later)
    if first.dtype.kind == "f":
        larger = pointwise(OR, larger, pointwise(NE, later, later))
    return larger


def _largest(first: Pair, later: Pair) -> Pair:
    """The pair with the larger value."""
    value = pointwise(MAXIMUM, first[0], later[0])
    if len(first) == 1:
        return (value,)
    return value, pointwise(WHERE, _takes_over(first[0], later[0]), later[1], first[1])


def _pooled(node: Node, geometry: Pooling, with_positions: bool) -> Pair:
    if geometry.in_blocks and geometry.is_large:
        return _pooled_blocks(node, geometry, with_positions)
    lead = [(0, 0)] * (len(node.shape) - geometry.rank)
    around = padded(node, [*lead, *geometry.needed], identity(MAX, node.dtype))
    parts = (around, _positions(geometry)) if with_positions else (around,)
    return combined_windows(parts, geometry, _largest)


def _pooled_blocks(node: Node, geometry: Pooling, with_positions: bool) -> Pair:
    """Windows side by side, by reductions over them."""
    split, axes = blocks(node, geometry)
    values = reduce(MAX, split, axes)
    if not with_positions:
        return (values,)
    places, _ = blocks(_positions(geometry), geometry)
    dtype = places.dtype
    kept = [1 if axis in axes else size for axis, size in enumerate(split.shape)]
    equal = pointwise(EQ, split, reshape(values, tuple(kept)))
    high = number(math.prod(geometry.sizes), dtype)
    first = reduce(MIN, pointwise(WHERE, equal, places, high), axes)
    if node.dtype.kind != "f":
        return values, first
    # Of several NaN the last one is it.
    invalid = pointwise(NE, split, split)
    last = reduce(MAX, pointwise(WHERE, invalid, places, number(-1, dtype)), axes)
    return values, pointwise(WHERE, pointwise(NE, values, values), last, first)


def _pooled_stretches(
    node: Node, sizes: Shape, stretches: Sequence[Stretches], with_positions: bool
) -> Pair:
    """Windows of several sizes, one axis after the other, the last one first."""
    rank = len(sizes)
    parts: Pair = (node,)
    if with_positions:
        geometry = Pooling(sizes, sizes, (1,) * rank, (1,) * rank, (0,) * rank, (1,) * rank)
        parts = (node, expand(_positions(geometry), node.shape))
    for axis in range(-1, -rank - 1, -1):
        at, stretch = len(node.shape) + axis, stretches[axis]
        taps = []
        for tap in range(max(stretch.lengths)):
            places, _ = stretch.tap(tap, (1,) * (-axis - 1))
            shape = (*parts[0].shape[:at], len(stretch.starts), *parts[0].shape[at + 1 :])
            index = expand(places, shape)
            taps.append(tuple(take(part, (at,), (index,)) for part in parts))
        parts = joined(taps, _largest)
    return parts


# -- gradients -------------------------------------------------------------------------------------
def _flat(node: Node, rank: int) -> Node:
    """Leading axes made one, and the axes of the image another."""
    lead, sizes = node.shape[:-rank], node.shape[-rank:]
    return reshape(node, (math.prod(lead), math.prod(sizes)))


def _scattered(values: Node, positions: Node, sizes: Shape) -> Node:
    rank = len(sizes)
    lead = values.shape[:-rank]
    base = expand(constant(0, values.dtype), (math.prod(lead), math.prod(sizes)))
    added = scatter("add", base, _flat(values, rank), (1,), (_flat(positions, rank),))
    return reshape(added, (*lead, *sizes))


def _gathered(values: Node, positions: Node, geometry: Pooling) -> Node:
    """For each element the values of those of its windows that chose it."""
    rank, dtype = geometry.rank, positions.dtype
    own: Node | None = None
    for axis, stride in enumerate(contiguous_strides(geometry.sizes)):
        places = _coordinates(0, geometry.sizes[axis], dtype, rank, axis)
        term = pointwise(MUL, places, number(stride, dtype))
        own = term if own is None else pointwise(ADD, own, term)
    assert own is not None
    nothing = number(0, values.dtype)
    if any(count > 1 for count in geometry.covering):
        positions, _ = with_all_windows(positions, geometry, -1)
        values, geometry = with_all_windows(values, geometry, 0)
    parts = []
    for windows in itertools.product(*map(range, geometry.covering)):
        value, chosen = values, positions
        for axis, window in zip(range(-rank, 0), windows):
            step = geometry.stride[axis]
            value = spread(value, geometry, axis, window, step)
            chosen = spread(chosen, geometry, axis, window, step)
        parts.append(pointwise(WHERE, pointwise(EQ, chosen, own), value, nothing))
    return joined(parts, lambda a, b: pointwise(ADD, a, b))


class RouteToPositions(Function):
    """An image of `sizes` in which each window's value is added at the window's position."""

    @staticmethod
    def forward(ctx: Context, values: Any, positions: Any, sizes: Shape, windows: Windows) -> Any:
        ctx.sizes, ctx.windows = sizes, windows
        ctx.save_for_backward(positions)
        if isinstance(windows, Pooling) and math.prod(windows.covering) <= MANY_WINDOWS:
            result = _gathered(values.node, positions.node, windows)
        else:
            result = _scattered(values.node, positions.node, sizes)
        return values._wrap(result)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (positions,) = ctx.saved_tensors
        return PickPositions.apply(grad, positions, ctx.sizes, ctx.windows), None, None, None


class PickPositions(Function):
    """The elements of an image of `sizes` at the windows' positions."""

    @staticmethod
    def forward(ctx: Context, x: Any, positions: Any, sizes: Shape, windows: Windows) -> Any:
        ctx.sizes, ctx.windows = sizes, windows
        ctx.save_for_backward(positions)
        rank = len(sizes)
        found = take(_flat(x.node, rank), (1,), (_flat(positions.node, rank),))
        return x._wrap(reshape(found, positions.shape))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (positions,) = ctx.saved_tensors
        return RouteToPositions.apply(grad, positions, ctx.sizes, ctx.windows), None, None, None


class _MaxPool(Function):
    """The largest element of each window, and its position where that is wanted."""

    @staticmethod
    def forward(ctx: Context, x: Any, sizes: Shape, windows: Windows, indices: bool) -> Any:
        ctx.sizes, ctx.windows = sizes, windows
        wanted = indices or ctx.needs_input_grad[0]
        if isinstance(windows, Pooling):
            found = _pooled(x.node, windows, wanted)
        else:
            found = _pooled_stretches(x.node, sizes, windows, wanted)
        values = x._wrap(found[0])
        if not wanted:
            return values
        # Stored, since every element of the image looks into it.
        positions = contiguous(expand(found[1], values.shape))
        ctx.save_for_backward(x._wrap(positions))
        if not indices:
            return values
        result = MaxPoolResult(values, x._wrap(cast(positions, dtypes.int64)))
        ctx.mark_non_differentiable(result.indices)
        return result

    @staticmethod
    def backward(ctx: Context, grad: Any, *_: Any) -> Any:
        (positions,) = ctx.saved_tensors
        return RouteToPositions.apply(grad, positions, ctx.sizes, ctx.windows), None, None, None


# -- what the operations call ----------------------------------------------------------------------
def _refuse_bool(name: str, x: Any) -> None:
    if x.dtype is dtypes.bool:
        raise NotImplementedError(f"{name}: not defined for bool tensors; use x.int().")


def max_pool(
    name: str,
    rank: int,
    x: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    """Max pooling over the last `rank` axes."""
    geometry = pooling(name, x, rank, kernel_size, stride, padding, dilation, ceil_mode)
    _refuse_bool(name, x)
    return _MaxPool.apply(x, geometry.sizes, geometry, return_indices)


def adaptive_max_pool(name: str, rank: int, x: Any, output_size: Any, return_indices: bool) -> Any:
    """Max pooling over the last `rank` axes to `output_size`."""
    outputs = adaptive_sizes(name, x, output_size, rank)
    _refuse_bool(name, x)
    sizes = x.shape[-rank:]
    windows: Windows | None = equal_blocks(sizes, outputs)
    if windows is None:
        windows = tuple(Stretches.adaptive(n, count) for n, count in zip(sizes, outputs))
    return _MaxPool.apply(x, sizes, windows, return_indices)
