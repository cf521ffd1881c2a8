"""The order of elements along an axis: positions, found by NumPy, for `sort` and its relatives.

Elements become whole numbers that are in the same order, in a kernel of ours. Those of types up to
32 bits are put above their positions in one int64: sorting such numbers, which NumPy does with
vector instructions, is a stable argsort at once, several times faster than sorting pairs.
Partitioning them gives the smallest few. Wider types are ranked as they are.

NaN is larger than everything, and equal elements keep their order, as in PyTorch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from grad.dtype import dtypes
from grad.errors import ShapeError
from grad.graph.host import host, hosted
from grad.graph.node import (
    Node,
    bitcast,
    cast,
    iota,
    permute,
    pointwise,
    reduce,
    reshape,
    slice_axes,
    take,
)
from grad.graph.primitives import AND, EQ, MAX, NE, OR, SHL, SHR, SUB, WHERE, XOR
from grad.ops.promotion import number

Array = np.ndarray[Any, Any]
POSITION_BITS = 32
POSITION_MASK = (1 << POSITION_BITS) - 1
# Candidates are found first where there are this many times as many elements as are wanted.
FEW = 16
_LONG = dtypes.int64


# -- functions of NumPy ----------------------------------------------------------------------------
@hosted
def sort_rows(result: Array, keys: Array) -> None:
    """Each row in order."""
    result[...] = keys
    result.sort(-1)


@hosted
def smallest_of_rows(result: Array, keys: Array, in_order: bool) -> None:
    """The smallest elements of each row, as many as there is room for."""
    count = result.shape[-1]
    if 2 * count > keys.shape[-1]:
        result[...] = np.sort(keys, -1)[:, :count]
        return
    result[...] = np.partition(keys, count - 1, -1)[:, :count]
    if in_order:
        result.sort(-1)


@hosted
def places_in_groups(result: Array, first: Array, count: int, groups: int, size: int) -> None:
    """Where the `count` smallest elements of each row of `size` may be: the places of the groups
    with the smallest first elements (`_candidates`), and those that belong to no group.
    """
    chosen = (np.partition(~first, count - 1, -1)[:, :count] & POSITION_MASK) % groups
    length = size // groups
    inside = np.arange(length) * groups
    rest = groups * length
    result[:, : count * length] = (chosen[:, :, None] + inside).reshape(len(chosen), -1)
    result[:, count * length :] = np.arange(rest, size)


@hosted
def ranked_of_rows(result: Array, keys: Array, rank: int) -> None:
    """The element of each row that would be at `rank` if it were in order."""
    result[...] = np.partition(keys, rank, -1)[:, rank, None]


@hosted
def positions_in_order(result: Array, keys: Array) -> None:
    """For each row the positions of its elements from the smallest to the largest, stable."""
    places = np.arange(keys.shape[-1])
    least = keys.min(-1, keepdims=True)
    span = (keys.max(-1, keepdims=True) - least).view(np.uint64)
    if span.max() < 1 << (63 - POSITION_BITS):
        result[...] = _sorted_places(keys - least, places)
        return
    # By the lower half of the bits, then by the upper half.
    order = _sorted_places((keys & POSITION_MASK) - (1 << 31), places)
    upper = np.take_along_axis(keys >> POSITION_BITS, order, -1)
    result[...] = np.take_along_axis(order, _sorted_places(upper, places), -1)


def _sorted_places(keys: Array, places: Array) -> Array:
    """`places` in the order of `keys`, numbers of 32 bits, which are overwritten."""
    keys <<= POSITION_BITS
    keys |= places
    keys.sort(-1)
    keys &= POSITION_MASK
    return keys


@hosted
def first_in_order(result: Array, keys: Array) -> None:
    """As `positions_in_order`, as many as there is room for."""
    whole = np.empty_like(keys)
    positions_in_order(whole, keys)
    result[...] = whole[:, : result.shape[-1]]


@hosted
def ranked_in_order(result: Array, keys: Array, rank: int) -> None:
    """As `positions_in_order`, at `rank` alone."""
    result[...] = np.argpartition(keys, rank, -1)[:, rank, None]


# -- keys ------------------------------------------------------------------------------------------
def order_key(node: Node, descending: bool = False) -> Node:
    """int64 numbers that are in the order of the elements, or in the opposite one."""
    if node.dtype.kind == "f":
        key = cast(_float_key(node), _LONG)
    elif node.dtype is dtypes.uint64:
        key = bitcast(pointwise(XOR, node, number(1 << 63, dtypes.uint64)), _LONG)
    else:
        key = cast(node, _LONG)
    return pointwise(XOR, key, number(-1, _LONG)) if descending else key


def _float_key(node: Node) -> Node:
    """The bits of floats as signed whole numbers in the order of the floats."""
    wide = node.dtype is dtypes.float64
    kind, bits, width = (
        (dtypes.float64, dtypes.int64, 63) if wide else (dtypes.float32, dtypes.int32, 31)
    )
    node = cast(node, kind)
    # One zero, one NaN.
    node = pointwise(WHERE, pointwise(EQ, node, number(0.0, kind)), number(0.0, kind), node)
    node = pointwise(WHERE, pointwise(NE, node, node), number(math.nan, kind), node)
    raw = bitcast(node, bits)
    sign = pointwise(SHR, raw, number(width, bits))
    return pointwise(XOR, raw, pointwise(AND, sign, number((1 << width) - 1, bits)))


def _packed(node: Node, descending: bool, positions: Node | None = None) -> Node | None:
    """The keys of a matrix above the positions of its elements (`positions`, or those that they
    have); None if they do not fit.
    """
    size = node.shape[-1]
    if node.dtype.itemsize == 8 or size > POSITION_MASK:
        return None
    key = order_key(node, descending)
    if node.dtype is dtypes.uint32:
        # To the middle of the signed numbers.
        half = number(-(1 << 31) if descending else 1 << 31, _LONG)
        key = pointwise(SUB, key, half)
    above = pointwise(SHL, key, number(POSITION_BITS, _LONG))
    return pointwise(OR, above, iota(size) if positions is None else positions)


def _position(packed: Node) -> Node:
    return pointwise(AND, packed, number(POSITION_MASK, _LONG))


# -- positions along an axis -----------------------------------------------------------------------
def sorted_positions(node: Node, axis: int, descending: bool = False) -> Node:
    """int64 positions along `axis` of the elements of `node` in order."""

    def find(rows: Node) -> Node:
        packed = _packed(rows, descending)
        if packed is None:
            key = order_key(rows, descending)
            return host(positions_in_order, [key], key.shape, _LONG)
        return _position(host(sort_rows, [packed], packed.shape, _LONG))

    return along_rows(node, axis, find)


def first_positions(
    node: Node, axis: int, count: int, descending: bool, in_order: bool = True
) -> Node:
    """As the first `count` of `sorted_positions`; in any order unless `in_order`."""

    def find(rows: Node) -> Node:
        packed = _packed(rows, descending)
        shape = (rows.shape[0], count)
        if packed is None:
            key = order_key(rows, descending)
            return host(first_in_order, [key], shape, _LONG)
        if FEW * count <= rows.shape[-1]:
            places = _candidates(packed, count)
            packed = _packed(take(rows, (1,), (places,)), descending, places)
            assert packed is not None
        return _position(host(smallest_of_rows, [packed], shape, _LONG, in_order))

    return along_rows(node, axis, find)


def _candidates(packed: Node, count: int) -> Node:
    """Places in each row among which are those of its `count` smallest elements.

    Rows are seen as groups of elements that stand equally far apart. The smallest `count` elements
    are in the `count` groups whose first elements in order are the smallest: those of any other
    group come after all of these first elements. So all but a few elements are looked at once, in
    a reduction that stores no keys.
    """
    rows, size = packed.shape
    length = math.isqrt(size // count)
    groups = size // length
    whole = slice_axes(packed, ((0, 1, rows), (0, 1, groups * length)))
    reverse = pointwise(XOR, reshape(whole, (rows, length, groups)), number(-1, _LONG))
    found = count * length + size - groups * length
    first = reduce(MAX, reverse, (1,))
    return host(places_in_groups, [first], (rows, found), _LONG, count, groups, size)


def ranked_position(node: Node, axis: int, rank: int) -> Node:
    """The element of `sorted_positions` at `rank` along `axis`."""

    def find(rows: Node) -> Node:
        shape = (rows.shape[0], 1)
        packed = _packed(rows, False)
        if packed is None:
            return host(ranked_in_order, [order_key(rows)], shape, _LONG, rank)
        return _position(host(ranked_of_rows, [packed], shape, _LONG, rank))

    return along_rows(node, axis, find)


def along_rows(node: Node, axis: int, find: Callable[[Node], Node]) -> Node:
    """What `find` makes of the lines along `axis` as the rows of a matrix."""
    shape = node.shape
    if 0 in shape:
        raise ShapeError(f"no order is asked of {shape}, which is empty.")
    order = (*[a for a in range(len(shape)) if a != axis], axis)
    rest = [shape[a] for a in order[:-1]]
    rows = reshape(permute(node, order), (math.prod(rest), shape[axis]))
    found = find(rows)
    back = sorted(range(len(order)), key=order.__getitem__)
    return permute(reshape(found, (*rest, found.shape[1])), tuple(back))
