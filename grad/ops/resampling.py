"""Resampling of one axis: every element of the result is a weighted sum of few of the operand's.

`Taps` holds which and with what weights, as arrays; the functions below make them for linear and
cubic interpolation, with or without antialiasing, in the precision that PyTorch computes them in.
`Resample` applies them to an axis. Its gradient is a resampling as well, by the transposed taps; an
axis where an element meets many others is multiplied by the matrix of the weights instead.
`grad/nn/interpolation.py` goes through the axes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from grad.autograd.function import Context, Function
from grad.dtype import DType, dtypes
from grad.graph.arrays import table_of
from grad.graph.node import Node, cast, expand, pointwise, take
from grad.graph.primitives import ADD, MUL
from grad.ops.promotion import accumulation_dtype, number

Array = np.ndarray[Any, Any]

# With more taps than this the weights are multiplied as a matrix.
MANY_TAPS = 16


class Taps(NamedTuple):
    """For each element of the result, where the elements it is made of are, and their weights.

    Attributes:
        places: ``(results, taps)``. weights: the same shape; 0 where there are fewer taps.
        size: of the axis that is read.
    """

    places: Array
    weights: Array
    size: int

    def matrix(self) -> Array:
        """``(results, size)``: the weights, each where it belongs."""
        matrix = np.zeros((len(self.places), self.size))
        np.add.at(matrix, (np.arange(len(self.places))[:, None], self.places), self.weights)
        return matrix

    def transposed(self) -> Taps:
        """The taps of the way back: for each element that is read, which results it is in."""
        read, result = np.nonzero(self.matrix().T)
        counts = np.bincount(read, minlength=self.size)
        rank = np.arange(len(read)) - (np.cumsum(counts) - counts)[read]
        shape = (self.size, max(int(counts.max(initial=0)), 1))
        places, weights = np.zeros(shape, np.int64), np.zeros(shape)
        places[read, rank] = result
        weights[read, rank] = self.matrix()[result, read]
        return Taps(places, weights, len(self.places))


class Scale(NamedTuple):
    """How an axis is resampled.

    Attributes:
        size, count: of elements before and after.
        factor: what the user asked for (None: ``count / size``).
        align_corners: whether the first and the last element stay where they are.
        dtype: in which positions are computed.
    """

    size: int
    count: int
    factor: float | None
    align_corners: bool
    dtype: type[np.floating[Any]]

    @property
    def step(self) -> Any:
        """From one element of the result to the next, in elements that are read."""
        if self.align_corners:
            ends = self.dtype(self.size - 1), self.dtype(max(self.count - 1, 1))
            return ends[0] / ends[1] if self.count > 1 else self.dtype(0)
        return self.step_of_pixels

    @property
    def step_of_pixels(self) -> Any:
        if self.factor is not None and self.factor > 0:
            return self.dtype(1.0 / self.factor)
        return self.dtype(self.size) / self.dtype(self.count)

    def positions(self) -> Array:
        """Where the elements of the result are, on the axis that is read."""
        numbers = np.arange(self.count).astype(self.dtype)
        if self.align_corners:
            return self.step * numbers
        return self.step * (numbers + self.dtype(0.5)) - self.dtype(0.5)


def nearest_places(scale: Scale, exact: bool) -> Array:
    """The element that each element of the result is; `exact`: the one nearest to its centre."""
    numbers = np.arange(scale.count).astype(scale.dtype)
    if exact:
        numbers = numbers + scale.dtype(0.5)
    found = np.floor(numbers * scale.step_of_pixels).astype(np.int64)
    return np.minimum(found, scale.size - 1)


def linear_taps(scale: Scale) -> Taps:
    """The two neighbours of each position."""
    positions = np.maximum(scale.positions(), scale.dtype(0))
    first = np.minimum(positions.astype(np.int64), scale.size - 1)
    share = np.clip(positions - first.astype(scale.dtype), scale.dtype(0), scale.dtype(1))
    places = np.stack([first, np.minimum(first + 1, scale.size - 1)], 1)
    return Taps(places, np.stack([1 - share, share], 1), scale.size)


def cubic_weights(share: Any, a: float = -0.75) -> list[Any]:
    """Weights of the elements at -1, 0, 1 and 2 from one that lies `share` before the position.

    The cubic convolution of Keys (1981), with its free parameter `a`; arrays or tensors.
    """

    def near(x: Any) -> Any:
        return ((a + 2) * x - (a + 3)) * x * x + 1

    def far(x: Any) -> Any:
        return ((a * x - 5 * a) * x + 8 * a) * x - 4 * a

    return [far(share + 1), near(share), near(1 - share), far(2 - share)]


def cubic_taps(scale: Scale) -> Taps:
    """The four elements around each position; those outside are the ones at the edge."""
    positions = scale.positions()
    first = np.minimum(np.floor(positions).astype(np.int64), scale.size - 1)
    share = np.clip(positions - first.astype(scale.dtype), scale.dtype(0), scale.dtype(1))
    places = np.clip(first[:, None] + np.arange(-1, 3), 0, scale.size - 1)
    return Taps(places, np.stack(cubic_weights(share), 1), scale.size)


def _triangle(x: Array) -> Array:
    return np.maximum(1 - x, 0)


def _keys(x: Array) -> Array:
    a = -0.5
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    return np.where(x < 1, near, np.where(x < 2, (((x - 5) * x + 8) * x - 4) * a, 0))


def _lanczos(x: Array) -> Array:
    return np.where(x < 3, np.sinc(x) * np.sinc(x / 3), 0)


# How far a filter reaches, and its height at a distance.
FILTERS: dict[str, tuple[int, Callable[[Array], Array]]] = {
    "bilinear": (1, _triangle),
    "bicubic": (2, _keys),
    "lanczos": (3, _lanczos),
}


def smoothing_taps(scale: Scale, mode: str) -> Taps:
    """A filter as wide as a step, so that nothing is skipped where the result is smaller."""
    radius, height = FILTERS[mode]
    step = scale.step
    stretch = np.maximum(step, scale.dtype(1))
    support = scale.dtype(radius) * stretch
    centre = step * (np.arange(scale.count).astype(scale.dtype) + scale.dtype(0.5))
    half = scale.dtype(0.5)
    start = np.maximum((centre - support + half).astype(np.int64), 0)
    stop = np.minimum((centre + support + half).astype(np.int64), scale.size)
    numbers = np.arange(max(int((stop - start).max(initial=1)), 1))
    places = start[:, None] + numbers
    distance = np.abs((places - centre[:, None] + half) / stretch)
    weights = np.where(places < stop[:, None], height(distance), 0)
    total = weights.sum(1, keepdims=True)
    weights = np.divide(weights, total, out=np.zeros_like(weights), where=total != 0)
    return Taps(np.minimum(places, scale.size - 1), weights, scale.size)


def _weighted(node: Node, at: int, taps: Taps, dtype: DType) -> Node:
    shape = (*node.shape[:at], len(taps.places), *node.shape[at + 1 :])
    tail = (1,) * (len(shape) - at - 1)
    total: Node | None = None
    for places, weights in zip(taps.places.T, taps.weights.T, strict=True):
        if not weights.any() and total is not None:
            continue
        index = expand(table_of(places.reshape(-1, *tail), dtypes.int64), shape)
        found = cast(take(node, (at,), (index,)), dtype)
        if not (weights == 1).all():
            found = pointwise(MUL, found, table_of(weights.reshape(-1, *tail), dtype))
        total = found if total is None else pointwise(ADD, total, found)
    assert total is not None
    return total


class Resample(Function):
    """x with an axis (counted from the end) made anew from `taps`."""

    @staticmethod
    def forward(ctx: Context, x: Any, axis: int, taps: Taps) -> Any:
        ctx.axis, ctx.taps = axis, taps
        wide = accumulation_dtype(x.dtype)
        at = len(x.shape) + axis
        if 0 in x.shape:
            shape = (*x.shape[:at], len(taps.places), *x.shape[at + 1 :])
            return x._wrap(expand(number(0, x.dtype), shape))
        if taps.places.shape[1] <= MANY_TAPS:
            return x._wrap(cast(_weighted(x.node, at, taps, wide), x.dtype))
        matrix = x._wrap(table_of(taps.matrix(), wide))
        image = x.to(wide)
        if axis == -1:
            found = image @ matrix.mT
        else:
            lines = image.reshape((*x.shape[: at + 1], math.prod(x.shape[at + 1 :])))
            found = (matrix @ lines).reshape((*x.shape[:at], len(taps.places), *x.shape[at + 1 :]))
        return found.to(x.dtype)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return Resample.apply(grad, ctx.axis, ctx.taps.transposed()), None, None


class Choose(Function):
    """x with an axis (counted from the end) made of the elements at `places`."""

    @staticmethod
    def forward(ctx: Context, x: Any, axis: int, places: Array) -> Any:
        ctx.axis, ctx.places, ctx.size = axis, places, x.shape[axis]
        at = len(x.shape) + axis
        shape = (*x.shape[:at], len(places), *x.shape[at + 1 :])
        if 0 in shape:
            return x._wrap(expand(number(0, x.dtype), shape))
        index = table_of(places.reshape(-1, *(1,) * (-axis - 1)), dtypes.int64)
        return x._wrap(take(x.node, (at,), (expand(index, shape),)))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        ones = np.ones((len(ctx.places), 1))
        taps = Taps(ctx.places.reshape(-1, 1), ones, ctx.size).transposed()
        return Resample.apply(grad, ctx.axis, taps), None, None
