"""Sorting, and choosing by rank: `sort`, `argsort`, `topk`, `kthvalue`, `median`, `mode` ...

The order is found as positions (ranking.py), and the values are taken at these, which is where the
gradient comes from. Everything stays lazy. Quantiles are in quantile.py.
"""

from __future__ import annotations

import math
from operator import index
from typing import Any, NamedTuple

import numpy as np

from grad.autograd.rebuilt import rebuilt
from grad.dtype import dtypes
from grad.errors import ArgumentError, AxisError
from grad.graph.node import iota
from grad.ops.axes import normal_axis
from grad.ops.choose import chosen
from grad.ops.promotion import wrap
from grad.ops.ranking import first_positions, ranked_position, sorted_positions
from grad.ops.registry import ALL, NUMERIC, op
from grad.ops.samples import distinct, operands


class SortResult(NamedTuple):
    """What `sort` gives."""

    values: Any
    indices: Any


class TopkResult(NamedTuple):
    """What `topk` gives."""

    values: Any
    indices: Any


class KthvalueResult(NamedTuple):
    """What `kthvalue` gives."""

    values: Any
    indices: Any


class MedianResult(NamedTuple):
    """What ``x.median(dim)`` gives."""

    values: Any
    indices: Any


class NanmedianResult(NamedTuple):
    """What ``x.nanmedian(dim)`` gives."""

    values: Any
    indices: Any


class ModeResult(NamedTuple):
    """What `mode` gives."""

    values: Any
    indices: Any


def lines_of(name: str, x: Any, dim: int) -> tuple[Any, int]:
    """`x` with at least one axis, and which axis `dim` is."""
    axis = normal_axis(name, dim, len(x.shape))
    return (x if x.shape else x.reshape(1)), axis


def require_lines(name: str, lines: Any, axis: int) -> None:
    if not lines.shape[axis]:
        raise AxisError(
            f"{name}: a tensor of shape {tuple(lines.shape)} has no elements to choose from along "
            f"axis {axis}; choose along one that is not empty."
        )


def in_order(lines: Any, axis: int, descending: bool = False) -> Any:
    """Positions of the elements of each line from the first in order to the last."""
    if 0 in lines.shape:
        return lines.new_empty(lines.shape, dtype=dtypes.int64)
    return wrap(sorted_positions(lines.node, axis, descending))


def _picked(lines: Any, axis: int, positions: Any, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """The one element of each line at `positions`, and these, both of `shape`."""
    return chosen(lines, axis, positions).reshape(shape), positions.reshape(shape)


def _nothing(lines: Any, axis: int, shape: tuple[int, ...], count: int = 1) -> tuple[Any, Any]:
    """As `_picked`, of `count` elements of lines of which there are none."""
    values = lines.narrow(axis, 0, count).reshape(shape).clone()  # with their history
    return values, lines.new_empty(shape, dtype=dtypes.int64)


def _kept(x: Any, axis: int, keepdim: bool) -> tuple[int, ...]:
    if not x.shape:
        return ()
    shape = list(x.shape)
    shape[axis : axis + 1] = [1] * keepdim
    return tuple(shape)


# -- sorting ---------------------------------------------------------------------------------------
@op(method="sort", dtypes=ALL, composite=True)
class Sort:
    """Values along `dim` from the smallest to the largest, and the indices they had.

    NaN is larger than everything else. Equal elements keep their order, whether `stable` or not.

    Returns:
        ``(values, indices)``, of the shape of the input; indices are int64.

    Example:
        >>> grad.tensor([3.0, 1.0, 2.0]).sort().indices.tolist()
        [1, 2, 0]
    """

    @staticmethod
    @rebuilt
    def forward(
        x: Any, dim: int = -1, descending: bool = False, *, stable: bool = False
    ) -> SortResult:
        lines, axis = lines_of("sort", x, dim)
        positions = in_order(lines, axis, descending)
        values = chosen(lines, axis, positions) if 0 not in x.shape else lines.clone()
        return SortResult(values.reshape(x.shape), positions.reshape(x.shape))


@op(
    method="argsort",
    dtypes=ALL,
    composite=True,
    gradient=False,
    reference=lambda x, dim=-1, descending=False: np.argsort(-x if descending else x, dim),
    samples=[
        *operands(((5, 4),), first=distinct),
        *operands(((3, 2, 4),), kwargs={"dim": 1}, first=distinct),
    ],
)
class Argsort:
    """The indices that sort along `dim`; equal elements keep their order, whether `stable` or
    not.
    """

    @staticmethod
    @rebuilt
    def forward(x: Any, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Any:
        lines, axis = lines_of("argsort", x, dim)
        return in_order(lines, axis, descending).reshape(x.shape)


@op(
    method="msort",
    dtypes=ALL,
    composite=True,
    reference=lambda x: np.sort(x, 0),
    samples=operands(((5, 4),), first=distinct),
)
class Msort:
    """Values along the first axis from the smallest to the largest."""

    @staticmethod
    @rebuilt
    def forward(x: Any) -> Any:
        return x.sort(0).values


# -- choosing --------------------------------------------------------------------------------------
@op(method="topk", dtypes=ALL, composite=True)
class Topk:
    """The `k` largest (or smallest) elements along `dim`, and their indices.

    They are in order if `sorted`. NaN is larger than everything else; of equal elements the first
    are taken.

    Returns:
        ``(values, indices)``, with `k` elements along `dim`; indices are int64.

    Raises:
        ArgumentError: there are not `k` elements.

    Example:
        >>> grad.tensor([3.0, 1.0, 2.0]).topk(2).values.tolist()
        [3.0, 2.0]
    """

    @staticmethod
    @rebuilt
    def forward(
        x: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True
    ) -> TopkResult:
        lines, axis = lines_of("topk", x, dim)
        size, k = lines.shape[axis], index(k)
        if not 0 <= k <= size:
            raise ArgumentError(
                f"topk: selected index k={k} is out of range for an axis of size {size}; use a "
                f"number from 0 to {size}."
            )
        shape = (*lines.shape[:axis], k, *lines.shape[axis + 1 :])
        if 0 in shape:
            found = TopkResult(*_nothing(lines, axis, shape, k))
        else:
            positions = wrap(first_positions(lines.node, axis, k, largest, sorted))
            found = TopkResult(chosen(lines, axis, positions), positions)
        return found if x.shape or k != 1 else TopkResult(*[part.reshape(()) for part in found])


@op(method="kthvalue", dtypes=NUMERIC, composite=True)
class Kthvalue:
    """The `k`-th smallest element along `dim` (the first for 1), and its index.

    Returns:
        ``(values, indices)``, without `dim` unless `keepdim`; indices are int64.

    Raises:
        ArgumentError: `k` is not from 1 to the size of the axis. AxisError: the axis is empty.
    """

    @staticmethod
    @rebuilt
    def forward(x: Any, k: int, dim: int = -1, keepdim: bool = False) -> KthvalueResult:
        lines, axis = lines_of("kthvalue", x, dim)
        require_lines("kthvalue", lines, axis)
        size = lines.shape[axis]
        if not 1 <= k <= size:
            raise ArgumentError(
                f"kthvalue: selected number k={k} is out of range for dimension {dim}; use a "
                f"number from 1 to {size}."
            )
        shape = _kept(x, axis, keepdim)
        if 0 in lines.shape:
            return KthvalueResult(*_nothing(lines, axis, shape))
        positions = wrap(ranked_position(lines.node, axis, k - 1))
        return KthvalueResult(*_picked(lines, axis, positions, shape))


# What PyTorch gives for no elements: NaN as a whole number.
_NO_MEDIAN = {dtypes.int32: -(1 << 31), dtypes.int64: -(1 << 63)}


def _median(x: Any, axis: int) -> Any:
    """The positions of the lower of the two middle elements; that of a NaN where there is one."""
    middle = wrap(ranked_position(x.node, axis, (x.shape[axis] - 1) // 2))
    if not x.dtype.is_floating_point:
        return middle
    greatest = x.detach().argmax(axis, keepdim=True)
    return greatest.where(chosen(x.detach(), axis, greatest).isnan(), middle)


def _nanmedian(x: Any, axis: int) -> Any:
    """As `_median`, of the elements that are not NaN; of all where there are no others."""
    positions = in_order(x, axis)
    numbers = (~x.detach().isnan()).sum(axis, keepdim=True)
    return chosen(positions, axis, ((numbers - 1) // 2).clamp(min=0))


@op(method="median", dtypes=NUMERIC, composite=True)
class Median:
    """The median of all elements; with `dim`, ``(values, indices)`` along it.

    Of an even number it is the lower of the two in the middle. It is NaN where an element is.

    Raises:
        AxisError: the axis is empty.
    """

    @staticmethod
    @rebuilt
    def forward(x: Any, dim: int | None = None, keepdim: bool = False) -> Any | MedianResult:
        return _median_of("median", MedianResult, _median, x, dim, keepdim)


@op(method="nanmedian", dtypes=NUMERIC, composite=True)
class Nanmedian:
    """The median of the elements that are not NaN; with `dim`, ``(values, indices)`` along it."""

    @staticmethod
    @rebuilt
    def forward(x: Any, dim: int | None = None, keepdim: bool = False) -> Any | NanmedianResult:
        find = _nanmedian if x.dtype.is_floating_point else _median
        return _median_of("nanmedian", NanmedianResult, find, x, dim, keepdim)


def _median_of(name: str, result: Any, find: Any, x: Any, dim: Any, keepdim: bool) -> Any:
    if dim is None:
        if 0 in x.shape:
            if x.dtype.kind == "f":
                return x.sum() + math.nan
            return x.new_full((), _NO_MEDIAN.get(x.dtype, 0))
        flat = x.reshape(-1)
        return chosen(flat, 0, find(flat, 0)).reshape(())
    lines, axis = lines_of(name, x, dim)
    require_lines(name, lines, axis)
    shape = _kept(x, axis, keepdim)
    if 0 in lines.shape:
        return result(*_nothing(lines, axis, shape))
    return result(*_picked(lines, axis, find(lines, axis), shape))


@op(method="mode", dtypes=ALL, composite=True)
class Mode:
    """The most frequent element along `dim`, the smallest of several, and the last index it has.

    Returns:
        ``(values, indices)``, without `dim` unless `keepdim`; indices are int64.

    Raises:
        AxisError: the axis is empty.
    """

    @staticmethod
    @rebuilt
    def forward(x: Any, dim: int = -1, keepdim: bool = False) -> ModeResult:
        lines, axis = lines_of("mode", x, dim)
        require_lines("mode", lines, axis)
        shape = _kept(x, axis, keepdim)
        if 0 in lines.shape:
            return ModeResult(*_nothing(lines, axis, shape))
        positions = in_order(lines, axis)
        values = chosen(lines.detach(), axis, positions)
        size = lines.shape[axis]
        trailing = (1,) * (len(lines.shape) - axis - 1)
        place = wrap(iota(size)).reshape(size, *trailing)
        # Where a run of equal elements begins; the first begins at 0 in any case.
        starts = place.where(values != values.roll(1, axis), 0)
        begun = starts.cummax(axis).values
        longest = (place - begun).argmax(axis, keepdim=True)
        return ModeResult(*_picked(lines, axis, chosen(positions, axis, longest), shape))
