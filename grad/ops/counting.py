"""How often values occur: `bincount`, `histc`, `histogram`, `unique`, `unique_consecutive`.

Counts are additions to bins (scatters, always in the same order). What has as many elements as
there are different values depends on the data, so it is computed at once.
"""

from __future__ import annotations

import math
import operator
from typing import Any, NamedTuple

import numpy as np

from grad.dtype import dtypes
from grad.engine.recording import recording
from grad.errors import ArgumentError, DTypeError, ShapeError
from grad.graph.arrays import node_of
from grad.graph.node import expand, iota, scatter
from grad.ops.axes import normal_axis, whole
from grad.ops.bounds import index_range
from grad.ops.convert import array_view
from grad.ops.promotion import accumulation_dtype, is_tensor, number, wrap
from grad.ops.registry import ALL, BITS, NUMERIC, Sample, op
from grad.ops.searching import ranks_in

Array = np.ndarray[Any, Any]


def _totals(places: Any, count: int, amounts: Any) -> Any:
    """The sums of `amounts` by place, of which there are `count`."""
    zeros = expand(number(0, amounts.dtype), (count,))
    return wrap(scatter("add", zeros, amounts.node, (0,), (places.node,)))


# -- bins ------------------------------------------------------------------------------------------
@op(
    method="bincount",
    composite=True,
    gradient=False,
    dtypes=tuple(d for d in BITS if d is not dtypes.bool),
    reference=lambda x, minlength=0: np.bincount(x.astype(np.int64), minlength=minlength),
    samples=[
        Sample(((9,),), low=0, high=6, gradient=False),
        Sample(((9,),), kwargs={"minlength": 12}, low=0, high=6, gradient=False),
    ],
)
class BinCount:
    """How often each whole number from 0 to the largest (or to ``minlength - 1``) occurs in a
    vector, or the sums of `weights` at its places. Computes `input`.

    Returns:
        int64; with weights their type if it is floating, else float64.

    Raises:
        ShapeError: not a vector, or weights of another length. ArgumentError: a negative number.
    """

    @staticmethod
    def forward(input: Any, weights: Any = None, minlength: int = 0) -> Any:
        minlength = operator.index(minlength)
        if input.dtype.kind not in "iu":
            raise DTypeError(f"bincount: the input must be integers, got {input.dtype.name}.")
        if minlength < 0:
            raise ArgumentError(f"bincount: minlength must be at least 0, got {minlength}.")
        if len(input.shape) != 1:
            raise ShapeError(
                f"bincount only supports 1-d non-negative integral inputs, got shape "
                f"{tuple(input.shape)}."
            )
        if weights is not None and weights.shape != input.shape:
            raise ShapeError(
                f"bincount: weights have shape {tuple(weights.shape)} and the input "
                f"{tuple(input.shape)}; they must be equal."
            )
        least, most = index_range(input) if input.shape[0] else (0, -1)
        if least < 0:
            raise ArgumentError(f"bincount: numbers must not be negative, found {least}.")
        count = max(most + 1, minlength)
        if weights is None:
            amounts = input.new_ones(input.shape, dtype=dtypes.int64)
        elif weights.dtype in (dtypes.float32, dtypes.float64):
            amounts = weights.detach()
        else:
            amounts = weights.detach().to(dtypes.float64)
        if not input.shape[0]:
            return amounts.new_zeros((count,))
        return _totals(input.to(dtypes.int64), count, amounts)


def _limits(name: str, x: Any, low: float, high: float, margin: float = 1.0) -> tuple[Any, Any]:
    """The ends of the range of bins: those given, or those of the data, which are moved by `margin`
    where they are one number.
    """
    if low > high:
        raise ArgumentError(f"{name}: max must be larger than min, got {low} and {high}.")
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ArgumentError(f"{name}: range of [{low}, {high}] is not finite.")
    if low == high and math.prod(x.shape):
        ends = x.amin(), x.amax()
        if recording.recorder is None:
            low, high = (float(end.item()) for end in ends)
            if not (math.isfinite(low) and math.isfinite(high)):
                raise ArgumentError(f"{name}: range of [{low}, {high}] is not finite.")
        else:
            same = ends[0] == ends[1]
            return (
                (ends[0] - margin).where(same, ends[0]),
                (ends[1] + margin).where(same, ends[1]),
            )
    if low == high:
        low, high = low - margin, high + margin
    return x.new_full((), low), x.new_full((), high)


def _require_bins(name: str, bins: int) -> None:
    if bins <= 0:
        raise ArgumentError(f"{name}: bins must be > 0, but got {bins}.")


@op(
    method="histc",
    composite=True,
    gradient=False,
    dtypes=(dtypes.float32, dtypes.float64),
    reference=lambda x, bins, min, max: np.histogram(x, bins, (min, max))[0].astype(x.dtype),
    samples=[
        Sample(((30,),), (5, -3, 3), gradient=False),
        Sample(((3, 4),), (4, -5, 2), gradient=False),
    ],
)
class Histc:
    """How many elements fall into each of `bins` equal parts of the range from `min` to `max`.

    Both ends belong to the range; others and NaN are not counted. If they are equal the range is
    that of the data. The counts have the type of the input.

    Raises:
        ArgumentError: no bins, or a range that is not finite or goes backwards.
    """

    @staticmethod
    def forward(input: Any, bins: int = 100, min: float = 0, max: float = 0) -> Any:
        _require_bins("histc", bins)
        if input.dtype.kind != "f":
            raise DTypeError(f"histc: the input must be floating, got {input.dtype.name}.")
        # Halves are compared with edges, and counted, in float32.
        x = input.detach().reshape(-1).to(accumulation_dtype(input.dtype))
        low, high = _limits("histc", x, min, max)
        if not x.shape[0]:
            return input.new_zeros((bins,))
        inside = (x >= low) & (x <= high)
        place = ((x - low) * (bins / (high - low))).floor()
        place = place.clamp(max=bins - 1).masked_fill(~inside, bins).to(dtypes.int64)
        return _totals(place, bins + 1, x.new_ones(x.shape))[:bins].to(input.dtype)


class HistogramResult(NamedTuple):
    """What `histogram` gives."""

    hist: Any
    bin_edges: Any


@op(method="histogram", composite=True, gradient=False, dtypes=(dtypes.float32, dtypes.float64))
class Histogram:
    """The sums of `weight` (or counts) of the elements in each bin, and the edges of the bins.

    Args:
        bins: how many equal bins, or their edges in order (a vector).
        range: ``(min, max)`` of equal bins; without it that of the data.
        weight: one for each element, of its type.
        density: divide by the total and by the widths, so that the integral is 1.

    Returns:
        ``(hist, bin_edges)``, of the type of the input; one more edge than bins. The last bin
        includes its right edge.
    """

    @staticmethod
    def forward(
        input: Any, bins: Any, *, range: Any = None, weight: Any = None, density: bool = False
    ) -> HistogramResult:
        if weight is not None and weight.shape != input.shape:
            raise ShapeError(
                f"histogram: weight has shape {tuple(weight.shape)} and the input "
                f"{tuple(input.shape)}; they must be equal."
            )
        if weight is not None and weight.dtype is not input.dtype:
            raise DTypeError(
                f"histogram: weight is {weight.dtype.name} and the input {input.dtype.name}; they "
                f"must be equal."
            )
        x = input.detach().reshape(-1)
        edges = _edges(x, bins, range)
        count = edges.shape[0] - 1
        amounts = x.new_ones(x.shape) if weight is None else weight.detach().reshape(-1)
        inside = (x >= edges[0]) & (x <= edges[-1])
        if is_tensor(bins) or count > _GUESSED_BINS:
            place = (ranks_in(edges, x, True, dtypes.int64) - 1).clamp(min=0, max=count - 1)
        else:
            place = _place_among_equal(x, edges, inside)
        totals = x.new_zeros((count,))
        if x.shape[0]:
            totals = _totals(place.masked_fill(~inside, count), count + 1, amounts)[:count]
        if density:
            totals = totals / totals.sum() / (edges[1:] - edges[:-1])
        return HistogramResult(totals, edges)


# So many equal bins at most have a width by which the bin of an element is right, or the next one.
_GUESSED_BINS = 1 << 16


def _place_among_equal(x: Any, edges: Any, inside: Any) -> Any:
    """The bin of each element that is `inside`, computed and then compared with its edges."""
    count = edges.shape[0] - 1
    guess = ((x - edges[0]) / (edges[-1] - edges[0]) * count).floor()
    place = guess.masked_fill(~(inside & (guess >= 0)), 0).to(dtypes.int64).clamp(max=count - 1)
    place = place - (x < edges.index_select(0, place)).to(dtypes.int64)
    return (place + (x >= edges.index_select(0, place.clamp(min=0) + 1)).to(dtypes.int64)).clamp(
        0, count - 1
    )


def _edges(x: Any, bins: Any, limits: Any) -> Any:
    if is_tensor(bins):
        if len(bins.shape) != 1 or not bins.shape[0]:
            raise ShapeError(f"histogram: edges must be a vector, got shape {tuple(bins.shape)}.")
        if bins.dtype is not x.dtype:
            raise DTypeError(
                f"histogram: edges are {bins.dtype.name} and the input {x.dtype.name}; they must "
                f"be equal."
            )
        return bins.detach()
    bins = whole("histogram", "bins", bins)
    _require_bins("histogram", bins)
    if not x.shape[0] and not limits:
        limits = (0, 1)
    low, high = _limits("histogram", x, *(limits or (0, 0)), margin=0.5)
    steps = wrap(iota(bins + 1, x.dtype))
    width = (high - low) / bins
    # From both ends, as `linspace` does it.
    return (low + width * steps).where(steps < (bins + 1) // 2, high - width * (bins - steps))


# -- different values ------------------------------------------------------------------------------
def _results(x: Any, values: Array, inverse: Any, counts: Any) -> Any:
    """What was asked for: one tensor, or several."""
    found = [x._wrap(node_of(values, x.dtype))]
    for extra in (inverse, counts):
        if extra is not None:
            found.append(x._wrap(node_of(extra, dtypes.int64)))
    return found[0] if len(found) == 1 else tuple(found)


def _comparable(x: Any) -> Array:
    """The values of `x`, halves as float32, which NumPy sorts."""
    array = array_view(x.detach().contiguous())
    return array.astype(np.float32) if x.dtype.kind == "f" and x.dtype.itemsize == 2 else array


@op(method="unique", composite=True, gradient=False, dtypes=ALL)
class Unique:
    """The different elements of `input`, or its different slices along `dim`, in order; computes
    it.

    NaN differs from itself. `sorted` changes nothing.

    Returns:
        the values; with `return_inverse` also where each element of the input is among them, with
        `return_counts` also how often each occurs (int64).

    Example:
        >>> grad.tensor([3, 1, 3]).unique(return_counts=True)[1].tolist()
        [1, 2]
    """

    @staticmethod
    def forward(
        input: Any,
        sorted: bool = True,
        return_inverse: bool = False,
        return_counts: bool = False,
        dim: int | None = None,
    ) -> Any | tuple[Any, ...]:
        array = _comparable(input)
        axis = None if dim is None else normal_axis("unique", dim, len(input.shape))
        if axis is not None:
            _require_slices("unique", input.shape, axis)
        values, inverse, counts = np.unique(
            array, return_inverse=True, return_counts=True, axis=axis, equal_nan=False
        )
        inverse = inverse.reshape(-1) if axis is not None else inverse.reshape(array.shape)
        return _results(
            input, values, inverse if return_inverse else None, counts if return_counts else None
        )


def _require_slices(name: str, shape: tuple[int, ...], axis: int) -> None:
    if shape and shape[axis] and 0 in shape:
        raise ShapeError(
            f"{name}: there are {shape[axis]} slices without elements along axis {axis} of "
            f"{tuple(shape)}, which cannot be told apart."
        )


@op(method="unique_consecutive", composite=True, gradient=False, dtypes=NUMERIC)
class UniqueConsecutive:
    """`input` without the elements that repeat the one before, or without such slices along
    `dim`; computes it.

    Returns:
        as `unique`.
    """

    @staticmethod
    def forward(
        input: Any,
        return_inverse: bool = False,
        return_counts: bool = False,
        dim: int | None = None,
    ) -> Any | tuple[Any, ...]:
        array = _comparable(input)
        if dim is None:
            lines = array.reshape(-1, 1)
        else:
            axis = normal_axis("unique_consecutive", dim, len(input.shape))
            _require_slices("unique_consecutive", input.shape, axis)
            array = np.moveaxis(np.atleast_1d(array), axis, 0)
            lines = array.reshape(array.shape[0], math.prod(array.shape[1:]))
        new = np.ones(len(lines), bool)
        new[1:] = (lines[1:] != lines[:-1]).any(1)
        inverse = np.cumsum(new) - 1
        begins = np.flatnonzero(new)
        counts = np.diff(np.append(begins, len(lines)))
        values = array.reshape(-1)[begins] if dim is None else np.moveaxis(array[begins], 0, axis)
        shaped = inverse.reshape(input.shape) if dim is None else inverse
        return _results(
            input, values, shaped if return_inverse else None, counts if return_counts else None
        )
