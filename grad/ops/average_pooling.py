"""Average pooling: the sum of each window over how many elements it counts.

`_Average` and `_Share` are each other's gradients: the first adds up windows, the second gives
each element of the image its share of all windows that it is in. Both are pointwise in slices of
their operand, so they fuse with what is around. Adaptive pooling has windows of one size where the
sizes divide; where they don't, windows are gone through by tables of positions (`_Ragged`), one
axis at a time. Halves are added up in float32.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from grad.autograd.function import Context, Function
from grad.dtype import DType, dtypes
from grad.errors import ArgumentError, ShapeError
from grad.graph.arrays import table_of
from grad.graph.node import Node, cast, contiguous, expand, pointwise, reduce, take
from grad.graph.primitives import ADD, DIV, SUM, WHERE
from grad.ops.padding import padded
from grad.ops.promotion import accumulation_dtype, number, require_floating
from grad.ops.sliding import (
    LARGE_WINDOW,
    Pooling,
    blocks,
    combined_windows,
    joined,
    per_axis,
    pooling,
    require_at_least,
    require_image,
    spread,
    with_all_windows,
)

Shape = tuple[int, ...]
Settings = tuple[bool, int | None]  # whether padding counts; what to divide by instead


def _added(first: tuple[Node, ...], second: tuple[Node, ...]) -> tuple[Node, ...]:
    return tuple(pointwise(ADD, a, b) for a, b in zip(first, second, strict=True))


# -- windows of one size ---------------------------------------------------------------------------
def _counts(geometry: Pooling, include_padding: bool) -> list[np.ndarray[Any, Any]]:
    """For each axis, how many elements each window counts."""
    found = []
    for size, count, kernel, step, around in zip(
        geometry.sizes, geometry.outputs, geometry.kernel, geometry.stride, geometry.padding
    ):
        start = np.arange(count) * step - around
        stop = np.minimum(start + kernel, size + around)
        if not include_padding:
            start, stop = np.maximum(start, 0), np.minimum(stop, size)
        found.append(stop - start)
    return found


def _divisor(geometry: Pooling, settings: Settings, dtype: DType) -> Node:
    """What the sum of each window is divided by: a number, or one for each window."""
    include_padding, override = settings
    if override is not None:
        return number(override, dtype)
    counts = _counts(geometry, include_padding)
    if all((count == count[0]).all() for count in counts):
        return number(math.prod(int(count[0]) for count in counts), dtype)
    return table_of(math.prod(np.ix_(*counts), start=np.ones((), np.int64)), dtype)


def _window_sums(node: Node, geometry: Pooling) -> Node:
    if geometry.in_blocks and geometry.is_large:
        split, axes = blocks(node, geometry)
        return reduce(SUM, split, axes)
    lead = [(0, 0)] * (len(node.shape) - geometry.rank)
    around = padded(node, [*lead, *geometry.needed], 0)
    return combined_windows((around,), geometry, _added)[0]


def _shares(node: Node, geometry: Pooling) -> Node:
    """The sum, for each element of the image, of the values of the windows it is in."""
    if any(count > 1 for count in geometry.covering):
        node, geometry = with_all_windows(node, geometry, 0)
    many = math.prod(geometry.covering) > LARGE_WINDOW
    for axis in range(-geometry.rank, 0):
        kernel, step = geometry.kernel[axis], geometry.stride[axis]
        parts = [
            spread(node, geometry, axis, window, min(step, kernel - window * step))
            for window in range(geometry.covering[axis])
        ]
        node = joined(parts, lambda a, b: pointwise(ADD, a, b))
        if many and axis != -1:
            node = contiguous(node)
    return node


class _Average(Function):
    """Window sums over a divisor."""

    @staticmethod
    def forward(ctx: Context, x: Any, geometry: Pooling, settings: Settings) -> Any:
        ctx.geometry, ctx.settings = geometry, settings
        wide = accumulation_dtype(x.dtype)
        sums = _window_sums(cast(x.node, wide), geometry)
        averages = pointwise(DIV, sums, _divisor(geometry, settings, wide))
        return x._wrap(cast(averages, x.dtype))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return _Share.apply(grad, ctx.geometry, ctx.settings)


class _Share(Function):
    """What each element of the image gets of the windows' values over the divisor."""

    @staticmethod
    def forward(ctx: Context, grad: Any, geometry: Pooling, settings: Settings) -> Any:
        ctx.geometry, ctx.settings = geometry, settings
        wide = accumulation_dtype(grad.dtype)
        each = pointwise(DIV, cast(grad.node, wide), _divisor(geometry, settings, wide))
        return grad._wrap(cast(_shares(each, geometry), grad.dtype))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return _Average.apply(grad, ctx.geometry, ctx.settings)


def average(
    name: str,
    rank: int,
    x: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: int | None = None,
) -> Any:
    geometry = pooling(name, x, rank, kernel_size, stride, padding, 1, ceil_mode)
    require_floating(name, x.dtype)
    if divisor_override == 0:
        raise ArgumentError(f"{name}: divisor must be not zero; got divisor_override=0.")
    return _Average.apply(x, geometry, (count_include_pad, divisor_override))


# -- windows of several sizes ----------------------------------------------------------------------
class Stretches(NamedTuple):
    """Along one axis, where each window starts and how long it is."""

    starts: Shape
    lengths: Shape

    @staticmethod
    def adaptive(size: int, count: int) -> Stretches:
        """`count` windows that cover `size` elements; neighbours share one where they must."""
        starts = [number * size // count for number in range(count)]
        stops = [-(-(number + 1) * size // count) for number in range(count)]
        return Stretches(tuple(starts), tuple(b - a for a, b in zip(starts, stops)))

    def reversed(self, size: int) -> Stretches:
        """For each of `size` elements, the windows that it is in: neighbours, too."""
        starts, lengths = np.array(self.starts, int), np.array(self.lengths, int)
        elements = np.arange(size).reshape(-1, 1)
        inside = (starts <= elements) & (elements < starts + lengths)
        first = inside.argmax(1) if len(starts) else np.zeros(size, int)
        return Stretches(tuple(first.tolist()), tuple(inside.sum(1).tolist()))

    def tap(self, number: int, tail: Shape) -> tuple[Node, Node]:
        """Where the element `number` of each window is (the last one, if it has fewer), and whether
        the window has it; shapes ``(windows, *tail)``.
        """
        starts, lengths = np.array(self.starts, int), np.array(self.lengths, int)
        places = starts + np.maximum(np.minimum(number, lengths - 1), 0)
        return (
            table_of(places.reshape(-1, *tail), dtypes.int64),
            table_of((number < lengths).reshape(-1, *tail), dtypes.bool),
        )


class _Ragged(Function):
    """Sums over stretches of one axis (counted from the end)."""

    @staticmethod
    def forward(ctx: Context, x: Any, axis: int, stretches: Stretches) -> Any:
        ctx.axis, ctx.stretches, ctx.size = axis, stretches, x.shape[axis]
        wide = accumulation_dtype(x.dtype)
        node, at = cast(x.node, wide), len(x.shape) + axis
        shape = (*x.shape[:at], len(stretches.starts), *x.shape[at + 1 :])
        total = expand(number(0, wide), shape)
        for tap in range(max(stretches.lengths, default=0)):
            places, inside = stretches.tap(tap, (1,) * (-axis - 1))
            found = take(node, (at,), (expand(places, shape),))
            part = pointwise(WHERE, inside, found, number(0, wide))
            total = pointwise(ADD, total, part) if tap else part
        return x._wrap(cast(total, x.dtype))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return _Ragged.apply(grad, ctx.axis, ctx.stretches.reversed(ctx.size))


def adaptive_sizes(name: str, x: Any, output_size: Any, rank: int) -> Shape:
    """`output_size` for each axis; None keeps the size that the image has."""
    require_image(name, x, rank)
    given = output_size if isinstance(output_size, list | tuple) else (output_size,) * rank
    if len(given) != rank:
        raise ShapeError(
            f"{name}: output_size={tuple(given)} has {len(given)} numbers; needs one int, or "
            f"{rank} of them (None keeps a size)."
        )
    sizes = [size if n is None else n for n, size in zip(given, x.shape[-rank:], strict=True)]
    numbers = per_axis(name, "output_size", sizes, rank)
    require_at_least(name, "output_size", numbers, 0)
    return numbers


def equal_blocks(sizes: Shape, outputs: Shape) -> Pooling | None:
    """The pooling by windows of one size that an adaptive pooling is, if the sizes divide."""
    if 0 in outputs or any(size % count for size, count in zip(sizes, outputs, strict=True)):
        return None
    kernel = tuple(size // count for size, count in zip(sizes, outputs, strict=True))
    rank = len(sizes)
    return Pooling(sizes, outputs, kernel, kernel, (0,) * rank, (1,) * rank)


def adaptive_average(name: str, rank: int, x: Any, output_size: Any) -> Any:
    outputs = adaptive_sizes(name, x, output_size, rank)
    require_floating(name, x.dtype)
    sizes = x.shape[-rank:]
    geometry = equal_blocks(sizes, outputs)
    if geometry is not None:
        return _Average.apply(x, geometry, (True, None))
    result = x
    for axis, size, count in zip(range(-rank, 0), sizes, outputs):
        stretches = Stretches.adaptive(size, count)
        lengths = np.array(stretches.lengths).reshape(-1, *[1] * (-axis - 1))
        divisor = x._wrap(table_of(lengths, x.dtype))
        result = _Ragged.apply(result, axis, stretches) / divisor
    return result
