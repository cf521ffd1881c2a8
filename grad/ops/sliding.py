"""What operations with sliding windows share: their arguments, and the sizes that come out.

Convolution (`convolution.py`) and pooling (`average_pooling.py`, `max_pooling.py`) read numbers
that are given once or for each axis (`per_axis`), check the shape of the operand, and count how
many windows fit. `Pooling` holds the geometry of one call; `combined_windows` is how a window is
gone through.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from grad.errors import ArgumentError, DTypeError, ShapeError
from grad.graph.node import Node, contiguous, expand, reshape, slice_axes
from grad.ops.padding import padded
from grad.ops.promotion import is_tensor, unsupported

Shape = tuple[int, ...]

# With more elements than this a window is gone through axis by axis, and what the first axis gives
# is stored: a few more bytes for much less to compute.
LARGE_WINDOW = 16
# With more elements along one axis, by doubling: log2 steps over everything instead.
LONG_AXIS = 8


def per_axis(name: str, what: str, given: Any, rank: int) -> Shape:
    """`given`, one int or one for each of `rank` axes, as a tuple."""
    numbers = tuple(given) if isinstance(given, list | tuple) else (given,)
    if any(isinstance(n, bool) or not hasattr(n, "__index__") for n in numbers):
        raise DTypeError(f"{name}: {what}={given!r}; needs an int or a sequence of {rank} ints.")
    if len(numbers) not in (1, rank):
        raise ShapeError(
            f"{name}: {what}={numbers} has {len(numbers)} numbers; needs one int, or {rank} of "
            f"them."
        )
    return tuple(n.__index__() for n in numbers) * (rank // len(numbers))


def require_at_least(name: str, what: str, numbers: Shape, least: int) -> None:
    if min(numbers, default=least) < least:
        raise ArgumentError(f"{name}: {what}={numbers}; every number must be at least {least}.")


def require_image(name: str, x: Any, rank: int) -> None:
    """`x` is a tensor ``(C, *sizes)`` or ``(N, C, *sizes)``; only the batch may be empty."""
    if not is_tensor(x):
        raise unsupported(name, x)
    shape = x.shape
    if len(shape) not in (rank + 1, rank + 2) or 0 in shape[-rank - 1 :]:
        raise ShapeError(
            f"{name}: expected a {rank + 1}-D tensor (channels and sizes) or a {rank + 2}-D one "
            f"(a batch of them, which alone may be empty), but got shape {tuple(shape)}. "
            f"Use x.unsqueeze(...) to add axes."
        )


@dataclass(frozen=True, slots=True)
class Pooling:
    """The geometry of one call, each number for each of the last axes.

    Attributes:
        sizes: of the image. outputs: how many windows fit.
        kernel, stride, padding, dilation: as the user gave them.
    """

    sizes: Shape
    outputs: Shape
    kernel: Shape
    stride: Shape
    padding: Shape
    dilation: Shape

    @property
    def rank(self) -> int:
        return len(self.sizes)

    @property
    def reach(self) -> Shape:
        """From the first element of a window to behind its last."""
        return tuple(d * (k - 1) + 1 for k, d in zip(self.kernel, self.dilation, strict=True))

    @property
    def needed(self) -> tuple[tuple[int, int], ...]:
        """How much must be put around the image so that all windows are inside (or cut off)."""
        ends = [(o - 1) * s + r for o, s, r in zip(self.outputs, self.stride, self.reach)]
        return tuple((p, end - size - p) for p, end, size in zip(self.padding, ends, self.sizes))

    @property
    def covering(self) -> Shape:
        """How many windows at most an element is in, along each axis."""
        return tuple(-(-r // s) for r, s in zip(self.reach, self.stride, strict=True))

    @property
    def is_large(self) -> bool:
        return math.prod(self.kernel) > LARGE_WINDOW

    @property
    def in_blocks(self) -> bool:
        """Whether the windows lie side by side inside the image."""
        if self.kernel != self.stride or any(self.padding) or set(self.dilation) != {1}:
            return False
        # With ceil_mode the last window may reach over the end.
        return all(o * k <= n for o, k, n in zip(self.outputs, self.kernel, self.sizes))


def pooling(
    name: str,
    x: Any,
    rank: int,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any = 1,
    ceil_mode: bool = False,
) -> Pooling:
    """Check the arguments of a pooling of `x` and count its windows."""
    require_image(name, x, rank)
    kernel = per_axis(name, "kernel_size", kernel_size, rank)
    # PyTorch takes an empty stride for none.
    steps = kernel if stride is None or stride == () else per_axis(name, "stride", stride, rank)
    around = per_axis(name, "padding", padding, rank)
    spacing = per_axis(name, "dilation", dilation, rank)
    for what, numbers in (("kernel_size", kernel), ("stride", steps), ("dilation", spacing)):
        require_at_least(name, what, numbers, 1)
    require_at_least(name, "padding", around, 0)
    sizes = tuple(x.shape[-rank:])
    geometry = Pooling(sizes, sizes, kernel, steps, around, spacing)
    if any(2 * p > r for p, r in zip(around, geometry.reach)):
        raise ShapeError(
            f"{name}: pad should be at most half of the effective kernel size, but got "
            f"padding={around}, kernel_size={kernel} and dilation={spacing}; use F.pad for more."
        )
    outputs = tuple(
        _count(size, r, s, p, ceil_mode)
        for size, r, s, p in zip(sizes, geometry.reach, steps, around)
    )
    if min(outputs) < 1:
        raise ShapeError(
            f"{name}: given input sizes {sizes}, the calculated output sizes are {outputs}: the "
            f"output is too small. Use a smaller kernel_size than {kernel}, or more padding."
        )
    return Pooling(sizes, outputs, kernel, steps, around, spacing)


def _count(size: int, reach: int, stride: int, padding: int, ceil_mode: bool) -> int:
    free = size + 2 * padding - reach
    count = (free + (stride - 1 if ceil_mode else 0)) // stride + 1
    # The last window must begin inside the image or in front of it, not behind.
    return count - 1 if ceil_mode and (count - 1) * stride >= size + padding else count


# -- going through windows -------------------------------------------------------------------------
T = TypeVar("T")
Parts = tuple[Node, ...]
Combine = Callable[[Parts, Parts], Parts]


def strided(node: Node, axis: int, start: int, step: int, count: int) -> Node:
    """`count` elements along `axis`, which counts from the end."""
    ranges = [(0, 1, size) for size in node.shape]
    ranges[axis] = (start, step, count)
    return slice_axes(node, ranges)


def combined_windows(parts: Parts, geometry: Pooling, combine: Combine) -> Parts:
    """All elements of each window combined, last axis first, in row-major order.

    `parts` are one or more values over the same (padded) image; ``combine(first, later)`` joins
    those of neighbouring stretches of windows.
    """
    for axis in range(-1, -geometry.rank - 1, -1):
        if geometry.kernel[axis] > LONG_AXIS:
            parts = _by_doubling(parts, axis, geometry, combine)
        else:
            parts = _one_by_one(parts, axis, geometry, combine)
        if geometry.is_large and axis != -geometry.rank:
            parts = _stored(parts)
    return parts


def joined(items: Sequence[T], combine: Callable[[T, T], T]) -> T:
    """`items` combined in their order, neighbours first.

    So sums keep their accuracy, and the processor has several chains to follow.
    """
    while len(items) > 1:
        pairs = [combine(a, b) for a, b in zip(items[::2], items[1::2], strict=False)]
        items = [*pairs, *items[len(pairs) * 2 :]]
    return items[0]


def _stored(parts: Parts) -> Parts:
    return tuple(contiguous(part) for part in parts)


def _one_by_one(parts: Parts, axis: int, geometry: Pooling, combine: Combine) -> Parts:
    step, count, spacing = geometry.stride[axis], geometry.outputs[axis], geometry.dilation[axis]
    taps = [
        tuple(strided(part, axis, tap * spacing, step, count) for part in parts)
        for tap in range(geometry.kernel[axis])
    ]
    return joined(taps, combine)


def _by_doubling(parts: Parts, axis: int, geometry: Pooling, combine: Combine) -> Parts:
    """Windows of 1, 2, 4 ... elements; those that add up to the size are joined."""
    left, spacing = geometry.kernel[axis], geometry.dilation[axis]
    length, covered, done = 1, 0, None
    while left:
        if left & 1:
            found = _from(parts, axis, covered * spacing)
            done = found if done is None else combine(*_of_equal_size(done, found, axis))
            covered += length
        left >>= 1
        if left:
            shifted = _from(parts, axis, length * spacing)
            parts = _stored(combine(*_of_equal_size(parts, shifted, axis)))
            length *= 2
    assert done is not None
    step, count = geometry.stride[axis], geometry.outputs[axis]
    return tuple(strided(part, axis, 0, step, count) for part in done)


def _from(parts: Parts, axis: int, start: int) -> Parts:
    return tuple(strided(p, axis, start, 1, p.shape[axis] - start) for p in parts)


def _of_equal_size(first: Parts, second: Parts, axis: int) -> tuple[Parts, Parts]:
    count = min(first[0].shape[axis], second[0].shape[axis])
    cut = [tuple(strided(p, axis, 0, 1, count) for p in parts) for parts in (first, second)]
    return cut[0], cut[1]


def blocks(node: Node, geometry: Pooling) -> tuple[Node, tuple[int, ...]]:
    """The windows of a pooling `in_blocks` as axes of their own, and which axes these are."""
    lead = node.shape[: -geometry.rank]
    shape: list[int] = list(lead)
    for axis, (count, size) in enumerate(zip(geometry.outputs, geometry.kernel, strict=True)):
        node = strided(node, axis - geometry.rank, 0, 1, count * size)
        shape += [count, size]
    axes = tuple(len(lead) + 2 * axis + 1 for axis in range(geometry.rank))
    return reshape(node, tuple(shape)), axes


def with_all_windows(node: Node, geometry: Pooling, nothing: int) -> tuple[Node, Pooling]:
    """The values of all windows, stored, with windows of value `nothing` around them so that every
    element of the image is in `covering` windows along each axis; and the geometry of these.

    Then `spread` asks nothing of where there are windows.
    """
    amounts = [(0, 0)] * (len(node.shape) - geometry.rank)
    for size, count, step, around, covering in zip(
        geometry.sizes, geometry.outputs, geometry.stride, geometry.padding, geometry.covering
    ):
        first, last = around // step - (covering - 1), (size - 1 + around) // step
        amounts.append((max(-first, 0), max(last + 1 - count, 0)))
    node = contiguous(padded(node, amounts, nothing))
    added = amounts[-geometry.rank :]
    around = tuple(p + b * s for p, s, (b, _) in zip(geometry.padding, geometry.stride, added))
    return node, replace(geometry, outputs=node.shape[-geometry.rank :], padding=around)


def spread(node: Node, geometry: Pooling, axis: int, number: int, used: int) -> Node:
    """For each element of the image along `axis`, the value of one of the windows it is in.

    `number` counts these windows from the last one back: window ``(element + padding) // stride -
    number``. Only the first `used` elements of each stride get its value; others, and elements for
    which there is no such window, get 0.
    """
    at = len(node.shape) + axis
    count, step = geometry.outputs[axis], geometry.stride[axis]
    lead, tail = node.shape[:at], node.shape[at + 1 :]
    repeated = expand(reshape(node, (*lead, count, 1, *tail)), (*lead, count, used, *tail))
    rest = [(0, step - used if a == at + 1 else 0) for a in range(len(repeated.shape))]
    flat = reshape(padded(repeated, rest, 0), (*lead, count * step, *tail))
    before = number * step - geometry.padding[axis]
    amounts = [(0, 0)] * len(flat.shape)
    amounts[at] = (before, geometry.sizes[axis] - count * step - before)
    return padded(flat, amounts, 0)
