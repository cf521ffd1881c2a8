"""Understanding an index: a basic part and an advanced part.

`parse` splits what stands in brackets: integers, slices, None and ... become a path of movements;
integer tensors, lists and masks become positions along axes of the shape that the path leads to.
`flat_form` turns those into one flat index along one axis. Bounds are checked here, by looking at
the values of the index. `index.py` reads and writes with the result.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from grad.autograd.variable import Variable
from grad.dtype import dtypes
from grad.engine.recording import recording
from grad.errors import BroadcastError, DTypeError, IndexOutOfRangeError, a_kind_of
from grad.graph.arrays import node_of
from grad.graph.movement import Move, Shape
from grad.graph.node import Node, broadcast_shapes, cast, constant, expand, pointwise, reshape
from grad.graph.primitives import ADD, LT, MUL, RESHAPE, SLICE, WHERE
from grad.ops.bounds import instead, within
from grad.ops.convert import array_view

Index = Any
Path = tuple[Move, ...]


class Plan(NamedTuple):
    """An index, understood.

    Attributes:
        path: the basic part, as movements. shape: the shape they lead to.
        indices: for advanced axes of that shape, the node of their positions (int64, not negative).
    """

    path: Path
    shape: Shape
    indices: dict[int, Node]


# -- understanding ---------------------------------------------------------------------------------
def parse(shape: Shape, index: Index) -> Plan:
    """Split `index` of a tensor of `shape` into its basic and its advanced part."""
    items = _items(shape, index)
    ranges: list[tuple[int, int, int]] = []
    sizes: list[int] = []
    indices: dict[int, Node] = {}
    axis = 0
    for item in items:
        if item is None:
            sizes.append(1)
            continue
        if isinstance(item, np.bool_):
            # A truth value picks all of a new axis, or nothing of it.
            indices[len(sizes)] = node_of(np.zeros(int(item), np.int64), dtypes.int64)
            sizes.append(1)
            continue
        size = shape[axis]
        if isinstance(item, _FromMask):
            item.check(axis, shape)
        if isinstance(item, slice):
            ranges.append(_range(item, size))
            sizes.append(ranges[-1][2])
        elif isinstance(item, int):
            ranges.append((position_of(item, axis, size), 1, 1))
        else:
            indices[len(sizes)] = _wrapped(item, axis, size)
            ranges.append((0, 1, size))
            sizes.append(size)
        axis += 1
    path: Path = ()
    if any(r != (0, 1, size) for r, size in zip(ranges, shape)):
        path += (Move(SLICE, tuple(ranges)),)
    if tuple(sizes) != tuple([size for _, _, size in ranges]):
        path += (Move(RESHAPE, tuple(sizes)),)
    return Plan(path, tuple(sizes), indices)


def _items(shape: Shape, index: Index) -> list[Any]:
    """One item for each axis, and None or a truth value for each new one."""
    given = list(index) if isinstance(index, tuple) else [index]
    items: list[Any] = []
    used = 0
    ellipsis: int | None = None
    for item in given:
        if item is Ellipsis:
            if ellipsis is not None:
                raise IndexOutOfRangeError("an index can have one ellipsis (...) only.")
            ellipsis = len(items)
        else:
            parts = _parts(item)
            used += sum(1 for part in parts if _takes_axis(part))
            items.extend(parts)
    missing = len(shape) - used
    if missing < 0:
        raise IndexOutOfRangeError(
            f"too many indices: {used} for a tensor of {len(shape)} dimensions, shape {shape}."
        )
    place = len(items) if ellipsis is None else ellipsis
    items[place:place] = [slice(None)] * missing
    return _numbers_in_place(items)


def _numbers_in_place(items: list[Any]) -> list[Any]:
    """`items`, where tensors that are one number each may stand among those of several: an int
    leaves these where they are, a tensor may not.
    """
    numbers = [isinstance(item, Variable) and not item.shape for item in items]
    if any(numbers):
        advanced = [
            k for k, i in enumerate(items) if isinstance(i, Variable | np.ndarray | _FromMask)
        ]
        apart = advanced[-1] - advanced[0] >= len(advanced)
        if apart and sum(numbers) < len(advanced):
            return [item.item() if one else item for item, one in zip(items, numbers)]
    return items


class _FromMask:
    """The positions that one axis, of size `size`, of a mask leads to."""

    __slots__ = ("mask_shape", "positions", "size")

    def __init__(self, positions: np.ndarray, size: int, mask_shape: Shape) -> None:
        self.positions, self.size, self.mask_shape = positions, size, mask_shape

    def check(self, axis: int, shape: Shape) -> None:
        if self.size != shape[axis]:
            raise IndexOutOfRangeError(
                f"a mask of shape {self.mask_shape} does not fit the axes of a tensor of shape "
                f"{shape}: along axis {axis} there are {self.size} truth values for {shape[axis]} "
                "elements."
            )


def _takes_axis(item: Any) -> bool:
    return item is not None and not isinstance(item, np.bool_)


def _parts(item: Any) -> list[Any]:
    """One item of an index in its final form: an int, slice, None, truth value, tensor or
    positions.
    """
    if item is None or isinstance(item, slice):
        return [item]
    if isinstance(item, bool | np.bool_):
        return [np.bool_(item)]
    if isinstance(item, Variable):
        return _tensor_parts(item)
    if hasattr(item, "__index__") and not isinstance(item, np.ndarray):
        return [item.__index__()]
    if isinstance(item, list | tuple | range | np.ndarray):
        plain = [_plain(entry) for entry in item] if isinstance(item, list | tuple) else item
        try:
            array = np.asarray(plain)
        except ValueError as error:
            raise IndexOutOfRangeError(f"an index list must be rectangular: {error}") from None
        if array.size == 0 and not isinstance(item, np.ndarray):
            array = array.astype(np.int64)
        return _array_parts(array)
    if isinstance(item, str):
        raise TypeError(f"a tensor has no names, as {item!r} would be one; index it by numbers.")
    raise IndexOutOfRangeError(
        "an index must be an int, a slice, None, ..., an integer or bool tensor, or a list of "
        f"ints; got {a_kind_of(item)}."
    )


def _plain(entry: Any) -> Any:
    return entry.tolist() if isinstance(entry, Variable) else entry


def _array_parts(array: np.ndarray) -> list[Any]:
    if array.dtype == np.bool_:
        if array.ndim == 0:
            return [np.bool_(array)]
        # By way of flat positions, which NumPy finds several times as fast.
        found = np.unravel_index(np.flatnonzero(array), array.shape)
        return [_FromMask(*pair, array.shape) for pair in zip(found, array.shape)]
    if array.dtype.kind not in "iu":
        raise IndexOutOfRangeError(
            f"an index array must hold integers or truth values, not {array.dtype}; use .long()."
        )
    return [array.astype(np.int64) if array.ndim else int(array)]


def _tensor_parts(tensor: Any) -> list[Any]:
    if tensor.dtype is dtypes.bool:
        return _array_parts(array_view(tensor))
    if tensor.dtype.kind not in "iu":
        raise IndexOutOfRangeError(
            f"an index tensor must be of an integer type or bool, not {tensor.dtype.name}; use "
            ".long()."
        )
    # One number is an int, as in PyTorch: it leaves the other indices where they are.
    # Where a batch of numbers stands behind it (grad/func), there is none to ask for.
    recorder = recording.recorder
    stands_in = recorder is not None and recorder.stands_in
    return [tensor if tensor.shape or stands_in else tensor.item()]


def _range(item: slice, size: int) -> tuple[int, int, int]:
    """(start, step, count) of a slice, as NumPy clips it; steps may be negative."""
    try:
        start, stop, step = item.indices(size)
    except TypeError:
        raise DTypeError(f"slice bounds must be ints or None, got {item}.") from None
    except ValueError:
        raise IndexOutOfRangeError("a slice step cannot be zero.") from None
    count = len(range(start, stop, step))
    return (start, step, count) if count else (0, 1, 0)


def position_of(index: int, axis: int, size: int) -> int:
    if not -size <= index < size:
        raise _out_of_range(index, axis, size)
    return index + size if index < 0 else index


def _wrapped(item: Any, axis: int, size: int) -> Node:
    """The positions of an advanced index along `axis`, checked, counted from the front."""
    if isinstance(item, Variable):
        return from_the_front(item, axis, size)
    array = item.positions if isinstance(item, _FromMask) else item
    if array.size:
        low, high = int(array.min()), int(array.max())
        if low < -size or high >= size:
            raise _out_of_range(low if low < -size else high, axis, size)
    if isinstance(item, _FromMask):
        return node_of(array, dtypes.int64)
    return node_of(np.where(array < 0, array + size, array), dtypes.int64)


def _out_of_range(index: int, axis: int, size: int) -> Exception:
    return IndexOutOfRangeError(
        f"index {index} is out of range for axis {axis} of size {size}; "
        f"{instead(size, f'use {-size} to {size - 1}')}."
    )


def from_the_front(item: Any, axis: int, size: int) -> Node:
    """The node of the index tensor `item` along `axis`, checked, with negative numbers counted
    from the end.
    """
    return counted_from_the_front(within_axis(item, axis, size), size)


def within_axis(item: Any, axis: int, size: int) -> Node:
    """The node of the index tensor `item` along `axis`, checked."""
    return within(item, -size, size, lambda found: _out_of_range(found, axis, size))


def counted_from_the_front(positions: Node, size: int) -> Node:
    """`positions` that have been checked, with negative numbers counted from the end."""
    node = cast(positions, dtypes.int64)
    if positions.dtype.kind == "u":
        return node
    negative = pointwise(LT, node, constant(0, dtypes.int64))
    return pointwise(WHERE, negative, pointwise(ADD, node, constant(size, dtypes.int64)), node)


# -- the flat form ---------------------------------------------------------------------------------
class Flat(NamedTuple):
    """The advanced part as one index along one axis.

    Attributes:
        order: permutation that brings the indexed axes together (None: they are).
        joined: the shape with them made one. axis: where that one is. index: flat positions, 1-d.
        result: the final shape.
    """

    order: tuple[int, ...] | None
    joined: Shape
    axis: int
    index: Node
    result: Shape


def _common_shape(shapes: list[Shape]) -> Shape:
    try:
        return broadcast_shapes("index", *shapes)
    except BroadcastError:
        raise IndexOutOfRangeError(
            f"the index tensors have shapes {shapes}, which do not broadcast to one; give them "
            "equal shapes."
        ) from None


def flat_form(plan: Plan) -> Flat:
    axes = sorted(plan.indices)
    shape = plan.shape
    together = axes[-1] - axes[0] + 1 == len(axes)
    order = None
    place = axes[0] if together else 0
    if not together:
        order = (*axes, *[axis for axis in range(len(shape)) if axis not in plan.indices])
        shape = tuple([shape[axis] for axis in order])
    nodes = [plan.indices[axis] for axis in axes]
    sizes = shape[place : place + len(axes)]
    broadcast = _common_shape([node.shape for node in nodes])
    flat = nodes[0]
    for node, size in zip(nodes[1:], sizes[1:]):
        scaled = pointwise(MUL, flat, constant(size, dtypes.int64))
        flat = pointwise(ADD, scaled, node)
    count = math.prod(broadcast)
    index = reshape(expand(flat, broadcast), (count,))
    before, after = shape[:place], shape[place + len(axes) :]
    joined = (*before, math.prod(sizes), *after)
    return Flat(order, joined, place, index, (*before, *broadcast, *after))
