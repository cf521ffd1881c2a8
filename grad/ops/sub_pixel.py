"""A convolution whose image is spread far apart, as ordinary ones: a step for each sub-pixel.

On the way back through a convolution of stride r, an output position meets every r-th tap only, and
neighbours meet other ones. Positions that meet the same taps are one ordinary convolution of the
image as it is, with these taps as its kernel; r of them side by side, as so many times the filters,
are one convolution, whose results are then put in between each other (Shi et al. 2016, "Real-time
single image and video super-resolution using an efficient sub-pixel convolutional neural network",
which goes the other way). Where the taps are no multiple of r, some positions meet one tap more:
these are a second convolution. Taps that are apart themselves are multiplied one by one, and each
product is added to the positions that meet it. `correlation.py` is the only user.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import NamedTuple

from grad.graph.node import (
    Node,
    constant,
    expand,
    pad,
    permute,
    pointwise,
    reshape,
    slice_axes,
)
from grad.graph.primitives import ADD
from grad.graph.windows import WIDEST_SPREAD, Windows
from grad.ops.movement import placed

Convolver = Callable[[Node, Node, Windows], Node]


class _Part(NamedTuple):
    """Positions of an axis that meet equally many taps.

    Attributes:
        first, count: of the sub-pixels, from the one that meets the last tap on. taps: how many.
    """

    first: int
    count: int
    taps: int


class _Axis(NamedTuple):
    """How a spatial axis is taken apart.

    Attributes:
        spread: r. rows: positions of the image along it that have sub-pixels in the result.
        skipped: sub-pixels before the first position of the result. size: of the result.
        parts: those that have anything, in order.
    """

    spread: int
    rows: int
    skipped: int
    size: int
    before: int
    parts: tuple[_Part, ...]


def is_far_apart(windows: Windows) -> bool:
    """Whether `convolved_far_apart` can compute a convolution, and does it better."""
    steps = zip(windows.spread, windows.stride, strict=True)
    one_by_one = all(spread == 1 or stride == 1 for spread, stride in steps)
    return one_by_one and max(windows.spread) > WIDEST_SPREAD


def convolved_far_apart(image: Node, weight: Node, windows: Windows, convolved: Convolver) -> Node:
    """What ``convolved(image, weight, windows)`` is, of convolutions of the image as it is.

    Args:
        image: (n, g * c, *sizes). weight: (g * o, c, *kernel).
    """
    steps = zip(windows.spread, windows.dilation, strict=True)
    together = all(spread == 1 or dilation == 1 for spread, dilation in steps)
    way = _by_sub_pixels if together else _by_taps
    return way(image, weight, windows, convolved)


def _by_sub_pixels(image: Node, weight: Node, windows: Windows, convolved: Convolver) -> Node:
    kernel, sizes = weight.shape[2:], image.shape[2:]
    outputs = windows.shape(sizes, kernel)
    axes = [_axis(*of) for of in zip(kernel, outputs, windows.padding, windows.spread, strict=True)]
    split = _split(weight, axes)
    whole = [axis.spread for axis in axes]
    found = []
    for parts in itertools.product(*(axis.parts for axis in axes)):
        part = _part(image, split, windows, axes, parts, convolved)
        lead = [(0, 0), (0, 0)]
        between = [(p.first, r - p.first - p.count) for p, r in zip(parts, whole, strict=True)]
        found.append(pad(part, [*lead, *between, *[(0, 0)] * len(axes)]))
    rows = [axis.rows for axis in axes]
    nothing = constant(0, image.dtype)
    lead = (image.shape[0], weight.shape[0])
    total = expand(nothing, (*lead, *whole, *rows))
    if found:
        total = reduce(lambda a, b: pointwise(ADD, a, b), found)
    rank = len(axes)
    order = [place for axis in range(rank) for place in (2 + rank + axis, 2 + axis)]
    joined = reshape(permute(total, (0, 1, *order)), (*lead, *(a.rows * a.spread for a in axes)))
    ranges = [(0, 1, size) for size in lead] + [(a.skipped, 1, a.size) for a in axes]
    return slice_axes(joined, ranges)


def _axis(taps: int, size: int, padding: tuple[int, int], spread: int) -> _Axis:
    """The plan of one axis. One that is not spread has a single part, the windows as they are."""
    before = padding[0]
    if spread == 1:
        return _Axis(1, size, 0, size, before, (_Part(0, 1, taps),))
    longer, each = taps % spread, taps // spread
    parts = (_Part(0, spread - longer, each), _Part(spread - longer, longer, each + 1))
    rows = (size + spread - 2 - before) // spread + before // spread + 1
    skipped = spread - 1 - before % spread
    kept = tuple(part for part in parts if part.count and part.taps)
    return _Axis(spread, rows, skipped, size, before // spread, kept)


def _split(weight: Node, axes: Sequence[_Axis]) -> Node:
    """The weight with each axis of taps as two: which row of the image a tap meets, and which
    sub-pixel meets it, the last one first.
    """
    lead, kernel = weight.shape[:2], weight.shape[2:]
    rows = [-(-taps // axis.spread) for taps, axis in zip(kernel, axes, strict=True)]
    room = [
        (0, row * axis.spread - taps) for row, axis, taps in zip(rows, axes, kernel, strict=True)
    ]
    pairs = [size for row, axis in zip(rows, axes, strict=True) for size in (row, axis.spread)]
    split = reshape(pad(weight, [(0, 0), (0, 0), *room]), (*lead, *pairs))
    turned = [
        step
        for row, axis in zip(rows, axes, strict=True)
        for step in ((0, 1, row), (axis.spread - 1, -1, axis.spread))
    ]
    return slice_axes(split, [*((0, 1, size) for size in lead), *turned])


def _part(
    image: Node,
    split: Node,
    windows: Windows,
    axes: Sequence[_Axis],
    parts: Sequence[_Part],
    convolved: Convolver,
) -> Node:
    """The sub-pixels `parts` of all axes: (n, g * o, *sub-pixels, *rows)."""
    filters, channels = split.shape[:2]
    ranges = [(0, 1, filters), (0, 1, channels)]
    for part in parts:
        ranges += [(0, 1, part.taps), (part.first, 1, part.count)]
    rank = len(axes)
    taps, pixels = range(2, 2 + 2 * rank, 2), range(3, 3 + 2 * rank, 2)
    chosen = permute(slice_axes(split, ranges), (0, *pixels, 1, *taps))
    counts = [part.count for part in parts]
    kernel = [part.taps for part in parts]
    factor = reshape(chosen, (filters * math.prod(counts), channels, *kernel))
    padding = tuple(
        given if axis.spread == 1 else (axis.before, axis.rows - size - axis.before + part.taps - 1)
        for given, axis, size, part in zip(
            windows.padding, axes, image.shape[2:], parts, strict=True
        )
    )
    ordinary = Windows(
        windows.stride, padding, windows.dilation, (1,) * rank, windows.groups, windows.precision
    )
    result = convolved(image, factor, ordinary)
    return reshape(result, (image.shape[0], filters, *counts, *(axis.rows for axis in axes)))


def _by_taps(image: Node, weight: Node, windows: Windows, convolved: Convolver) -> Node:
    filters, channels, *kernel = weight.shape
    sizes, outputs = image.shape[2:], windows.shape(image.shape[2:], weight.shape[2:])
    rank, taps = len(kernel), math.prod(kernel)
    factor = permute(weight, (0, *range(2, 2 + rank), 1))
    factor = reshape(factor, (filters * taps, channels, *(1,) * rank))
    ones = (1,) * rank
    plain = Windows(ones, ((0, 0),) * rank, ones, ones, windows.groups, windows.precision)
    lead = (image.shape[0], filters)
    products = reshape(convolved(image, factor, plain), (*lead, taps, *sizes))
    total = expand(constant(0, image.dtype), (*lead, *outputs))
    whole = [(0, 1, size) for size in lead]
    for number, tap in enumerate(itertools.product(*map(range, kernel))):
        met = [
            _met(*of)
            for of in zip(
                tap, sizes, outputs, windows.padding, windows.dilation, windows.spread, strict=True
            )
        ]
        if all(count > 0 for _, _, count in met):
            ranges = [*whole, (number, 1, 1), *((first, 1, count) for first, _, count in met)]
            counts = [count for _, _, count in met]
            part = reshape(slice_axes(products, ranges), (*lead, *counts))
            places = [(at, r, n) for (_, at, n), r in zip(met, windows.spread, strict=True)]
            part = placed(part, (*lead, *outputs), [*whole, *places])
            total = pointwise(ADD, total, part)
    return total


def _met(
    tap: int, size: int, output: int, padding: tuple[int, int], dilation: int, spread: int
) -> tuple[int, int, int]:
    """Along an axis: the first element of the image that a tap meets, in which position, and how
    many, `spread` positions apart.
    """
    shift = padding[0] - tap * dilation
    first = max(-(shift // spread), 0)
    last = min((output - 1 - shift) // spread, size - 1)
    return first, first * spread + shift, last - first + 1
