"""Indexing: ``x[...]`` and ``x[...] = v`` with everything NumPy and PyTorch take.

An index is split in two by `parse`: the basic part (integers, slices, None, ...) is a path of movements,
a view; the advanced part (integer tensors, masks) becomes one flat index along one axis, which `Take`
reads and `Put` writes. Read `Plan`, `parse`, then `get` and `put`. Bounds are checked when the index is
used, by looking at its values.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from grad.autograd.function import Context, Function
from grad.autograd.variable import Variable
from grad.dtype import as_dtype, dtypes
from grad.errors import BroadcastError, DTypeError, IndexOutOfRangeError
from grad.graph.arrays import node_of
from grad.graph.movement import Move, Shape
from grad.graph.node import (
    Node,
    broadcast_shapes,
    cast,
    constant,
    expand,
    pointwise,
    reshape,
    scatter,
    take,
)
from grad.graph.primitives import ADD, LT, MUL, RESHAPE, SLICE, WHERE
from grad.ops.axes import normal_axis
from grad.ops.inplace import check_writable, fitted_shape, overwrite, write
from grad.ops.movement import Movement, moved
from grad.ops.registry import ALL, Failure, Sample, op

Index = Any
Path = tuple[Move, ...]


@dataclass(frozen=True)
class Plan:
    """An index, understood.

    Attributes:
        path: the basic part, as movements. shape: the shape they lead to.
        indices: for advanced axes of that shape, the node of their positions (int64, not negative).
    """

    path: Path
    shape: Shape
    indices: dict[int, Node]


# -- understanding -----------------------------------------------------------------------------------------
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
        if isinstance(item, slice):
            ranges.append(_range(item, size))
            sizes.append(ranges[-1][2])
        elif isinstance(item, int):
            ranges.append((_position(item, axis, size), 1, 1))
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
            if isinstance(parts[0], _FromMask):
                _check_mask(parts[0].mask_shape, shape, used, len(parts), item)
    missing = len(shape) - used
    if missing < 0:
        raise IndexOutOfRangeError(
            f"too many indices: {used} for a tensor of {len(shape)} dimensions, shape {shape}."
        )
    place = len(items) if ellipsis is None else ellipsis
    items[place:place] = [slice(None)] * missing
    return items


class _FromMask:
    """The positions that one axis of a mask leads to."""

    __slots__ = ("mask_shape", "positions")

    def __init__(self, positions: np.ndarray, mask_shape: Shape) -> None:
        self.positions, self.mask_shape = positions, mask_shape


def _check_mask(mask_shape: Shape, shape: Shape, used: int, rank: int, item: Any) -> None:
    # Exact when no ellipsis stands before it; the bounds of the positions are checked in any case.
    if rank > len(shape) or (used == rank and mask_shape != shape[:rank]):
        raise IndexOutOfRangeError(
            f"a mask of shape {mask_shape} does not fit the axes of a tensor of shape {shape}; the "
            f"sizes must be equal."
        )


def _takes_axis(item: Any) -> bool:
    return item is not None and not isinstance(item, np.bool_)


def _parts(item: Any) -> list[Any]:
    """One item of an index in its final form: an int, slice, None, truth value, tensor or positions."""
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
    raise IndexOutOfRangeError(
        f"an index must be an int, a slice, None, ..., an integer or bool tensor, or a list of ints; "
        f"got a {type(item).__name__}."
    )


def _plain(entry: Any) -> Any:
    return entry.tolist() if isinstance(entry, Variable) else entry


def _array_parts(array: np.ndarray) -> list[Any]:
    if array.dtype == np.bool_:
        if array.ndim == 0:
            return [np.bool_(array)]
        return [_FromMask(positions, array.shape) for positions in array.nonzero()]
    if array.dtype.kind not in "iu":
        raise IndexOutOfRangeError(
            f"an index array must hold integers or truth values, not {array.dtype}; use .long()."
        )
    return [array.astype(np.int64)]


def _tensor_parts(tensor: Any) -> list[Any]:
    if tensor.dtype is dtypes.bool:
        return _array_parts(tensor.detach().numpy())
    if tensor.dtype.kind not in "iu":
        raise IndexOutOfRangeError(
            f"an index tensor must be of an integer type or bool, not {tensor.dtype.name}; use .long()."
        )
    return [tensor]


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


def _position(index: int, axis: int, size: int) -> int:
    if not -size <= index < size:
        raise IndexOutOfRangeError(
            f"index {index} is out of range for axis {axis} of size {size}; "
            f"use {-size} to {size - 1}."
        )
    return index + size if index < 0 else index


def _wrapped(item: Any, axis: int, size: int) -> Node:
    """The positions of an advanced index along `axis`, checked, counted from the front."""
    if isinstance(item, Variable):
        array = item.detach().numpy()  # type: ignore[attr-defined]
    else:
        array = item.positions if isinstance(item, _FromMask) else item
    if array.size:
        low, high = int(array.min()), int(array.max())
        if low < -size or high >= size:
            wrong = low if low < -size else high
            raise IndexOutOfRangeError(
                f"index {wrong} is out of range for axis {axis} of size {size}; "
                f"use {-size} to {size - 1}."
            )
    if not isinstance(item, Variable):
        return node_of(np.where(array < 0, array + size, array), dtypes.int64)
    node = cast(item.node, dtypes.int64)
    if item.dtype.kind == "u":
        return node
    negative = pointwise(LT, node, constant(0, dtypes.int64))
    return pointwise(
        WHERE, negative, pointwise(ADD, node, constant(size, dtypes.int64)), node
    )


# -- the flat form -------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Flat:
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
    broadcast = broadcast_shapes("index", *[node.shape for node in nodes])
    flat = nodes[0]
    for node, size in zip(nodes[1:], sizes[1:]):
        scaled = pointwise(MUL, flat, constant(size, dtypes.int64))
        flat = pointwise(ADD, scaled, node)
    count = math.prod(broadcast)
    index = reshape(expand(flat, broadcast), (count,))
    before, after = shape[:place], shape[place + len(axes) :]
    joined = (*before, math.prod(sizes), *after)
    return Flat(order, joined, place, index, (*before, *broadcast, *after))


class Take(Function):
    """``x`` with the positions `index` (a 1-d int64 node, inside the axis) along `axis`."""

    @staticmethod
    def forward(ctx: Context, x: Any, axis: int, index: Node) -> Any:
        ctx.shape, ctx.axis, ctx.index = x.shape, axis, index
        shape = (*x.shape[:axis], index.shape[0], *x.shape[axis + 1 :])
        return x._wrap(take(x.node, (axis,), (_along(index, axis, shape),)))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        nothing = grad._wrap(expand(constant(0, grad.dtype), ctx.shape))
        return Put.apply(nothing, grad, ctx.axis, ctx.index, "add")


class Put(Function):
    """`base` with `values` written ("set") or added ("add") at the positions `index` along `axis`."""

    @staticmethod
    def forward(ctx: Context, base: Any, values: Any, axis: int, index: Node, how: str) -> Any:
        ctx.axis, ctx.index, ctx.how = axis, index, how
        places = _along(index, axis, values.shape)
        return base._wrap(scatter(how, base.node, values.node, (axis,), (places,)))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        needs_base, needs_values, *_ = ctx.needs_input_grad
        base = values = None
        if needs_values:
            values = Take.apply(grad, ctx.axis, ctx.index)
        if needs_base and ctx.how == "set":
            shape = list(grad.shape)
            shape[ctx.axis] = ctx.index.shape[0]
            nothing = grad._wrap(expand(constant(0, grad.dtype), tuple(shape)))
            base = Put.apply(grad, nothing, ctx.axis, ctx.index, "set")
        elif needs_base:
            base = grad
        return base, values


def _along(index: Node, axis: int, shape: Shape) -> Node:
    """The 1-d `index` at each element of `shape`, running along `axis`."""
    spread = tuple([index.shape[0] if a == axis else 1 for a in range(len(shape))])
    return expand(reshape(index, spread), shape)


# -- reading and writing ---------------------------------------------------------------------------------------
@op(
    method="__getitem__",
    function=False,
    view=True,
    dtypes=ALL,
    composite=True,
)
class GetItem:
    """``x[index]``: a view for integers, slices, None and ...; a copy for tensors, lists and masks."""

    @staticmethod
    def forward(x: Any, index: Index) -> Any:
        if index.__class__ is int and x.shape:
            return Select.apply(x, 0, index)
        plan = parse(x.shape, index)
        view = Slice.apply(x, plan.path)
        if not plan.indices:
            return view
        flat = flat_form(plan)
        if flat.order is not None:
            view = view.permute(flat.order)
        taken = Take.apply(view.reshape(flat.joined), flat.axis, flat.index)
        return taken.reshape(flat.result)


class Slice(Movement):
    """The basic part of an index."""

    @staticmethod
    def forward(ctx: Context, x: Any, path: Path) -> Any:
        return moved(ctx, x, path)


@op(method="__setitem__", function=False, dtypes=ALL, composite=True)
class SetItem:
    """``x[index] = value``; the value broadcasts to what is indexed and is converted to the type of `x`."""

    @staticmethod
    def forward(x: Any, index: Index, value: Any) -> None:
        value = value_like(x, value)
        if isinstance(index, Variable) and index.dtype is dtypes.bool and index.shape == x.shape:
            if not isinstance(value, Variable) or math.prod(value.shape) == 1:
                # Written where it holds, without looking at it.
                _set_masked(x, index, value)
                return
        put(x, index, value, "set")


def value_like(x: Any, value: Any) -> Any:
    """`value` as a tensor, or as it is for a number."""
    if isinstance(value, Variable | int | float | bool | np.number | np.bool_):
        return value
    array = np.asarray(value)
    if array.dtype.kind not in "biufV":
        raise DTypeError(
            f"__setitem__: a {type(value).__name__} cannot be assigned; use a tensor or a number."
        )
    return x._wrap(node_of(array, as_dtype(array.dtype)))


def _set_masked(x: Any, mask: Any, value: Any) -> None:
    check_writable("__setitem__", x)
    if not isinstance(value, Variable):
        value = x.detach().new_full((), value)
    chosen = value.to(x.dtype).reshape(()).expand(x.shape)
    write(x, chosen.where(mask, x))


def put(x: Any, index: Index, value: Any, how: str) -> None:
    """Write ("set") or add ("add") `value` at `index` of `x`."""
    plan = parse(x.shape, index)
    view = Slice.apply(x, plan.path)
    if not plan.indices and how == "set":
        if isinstance(value, Variable):
            value = _without_leading_ones(value, view.shape)
        overwrite("__setitem__", view, value)
        return
    check_writable("__setitem__", view)
    flat = flat_form(plan)
    if not isinstance(value, Variable):
        value = x.detach().new_full((), value)
    value = _without_leading_ones(value.to(x.dtype), flat.result)
    shown = view if flat.order is None else view.permute(flat.order)
    values = _broadcast(value, flat.result)
    values = values.reshape(_sizes_along(flat))
    new = Put.apply(shown.reshape(flat.joined), values, flat.axis, flat.index, how)
    write(shown, fitted_shape("__setitem__", shown, new.reshape(shown.shape)))


def _sizes_along(flat: Flat) -> Shape:
    shape = list(flat.joined)
    shape[flat.axis] = flat.index.shape[0]
    return tuple(shape)


def _without_leading_ones(value: Any, shape: Shape) -> Any:
    """NumPy lets a value have more axes than its place when they are 1."""
    extra = len(value.shape) - len(shape)
    if extra > 0 and all(size == 1 for size in value.shape[:extra]):
        return value.reshape(value.shape[extra:])
    return value


def _broadcast(value: Any, shape: Shape) -> Any:
    if broadcast_shapes("__setitem__", value.shape, shape) != shape:
        raise BroadcastError(
            f"__setitem__: a value of shape {value.shape} does not fit {shape}, which is indexed."
        )
    return value.expand(shape)


@op(
    method="index_put_",
    function=False,
    dtypes=ALL,
    composite=True,
)
class IndexPut:
    """Write `values` at the positions of the tensors `indices`; add them with `accumulate`."""

    @staticmethod
    def forward(x: Any, indices: Sequence[Any], values: Any, accumulate: bool = False) -> Any:
        put(x, tuple(indices), values, "add" if accumulate else "set")
        return x


@op(
    method="select",
    view=True,
    dtypes=ALL,
    reference=lambda x, dim, index: np.take(x, index, dim),
    samples=[Sample(((3, 4),), (1, 2)), Sample(((3, 4),), (0, -1))],
    errors=[Failure(((3, 4),), (0, 3), error=IndexOutOfRangeError)],
)
class Select(Movement):
    """The view at one position of axis `dim`, which disappears."""

    @staticmethod
    def forward(ctx: Context, x: Any, dim: int, index: int) -> Any:
        shape = x.shape
        if not shape:
            raise IndexOutOfRangeError("select: a tensor without dimensions has nothing to select.")
        axis = normal_axis("select", dim, len(shape))
        ranges = [(0, 1, size) for size in shape]
        ranges[axis] = (_position(index, axis, shape[axis]), 1, 1)
        rest = (*shape[:axis], *shape[axis + 1 :])
        return moved(ctx, x, (Move(SLICE, tuple(ranges)), Move(RESHAPE, rest)))


@op(
    function="nonzero",
    method="nonzero",
    dtypes=ALL,
    gradient=False,
    composite=True,
)
class Nonzero:
    """The positions of all elements that are not zero, one row each; computes `x`."""

    @staticmethod
    def forward(x: Any, as_tuple: bool = False) -> Any:
        found = x.detach().numpy().nonzero()
        if as_tuple:
            return tuple(x._wrap(node_of(axis, dtypes.int64)) for axis in found)
        rows = np.stack(found, axis=1) if found else np.zeros((int(bool(x)), 0), np.int64)
        return x._wrap(node_of(rows, dtypes.int64))


@op(method="masked_select", dtypes=ALL, composite=True)
class MaskedSelect:
    """The elements of `x` where `mask` holds, as a vector."""

    @staticmethod
    def forward(x: Any, mask: Any) -> Any:
        shape = broadcast_shapes("masked_select", x.shape, mask.shape)
        return x.expand(shape)[mask.expand(shape)]

