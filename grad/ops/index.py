"""Indexing: ``x[...]`` and ``x[...] = v`` with everything NumPy and PyTorch take.

`index_plan.py` has understood the index: a basic part, which is a path of movements, and an
advanced part, one flat index along one axis, which `Take` reads and `Put` writes. `GetItem` and
`put` bring the two together; they are `__getitem__` and `__setitem__`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from grad.autograd.function import Context, Function
from grad.autograd.rebuilt import rebuilt
from grad.autograd.variable import Variable
from grad.dtype import as_dtype, dtypes
from grad.engine.recording import recording
from grad.errors import BroadcastError, DTypeError, IndexOutOfRangeError, a_kind_of
from grad.graph.arrays import node_of
from grad.graph.movement import SHAPES_REMEMBERED, Move, Shape
from grad.graph.node import Node, broadcast_shapes, constant, expand, reshape, scatter, take
from grad.graph.primitives import RESHAPE, SLICE
from grad.ops.axes import normal_axis
from grad.ops.index_plan import (
    Flat,
    Index,
    Path,
    counted_from_the_front,
    flat_form,
    parse,
    position_of,
    within_axis,
)
from grad.ops.inplace import check_writable, fitted_shape, overwrite, write
from grad.ops.movement import Movement, moved
from grad.ops.registry import ALL, Failure, Sample, op


class Take(Function):
    """``x`` with the positions `index` (a 1-d int64 node, inside the axis) along `axis`."""

    @staticmethod
    def forward(ctx: Context, x: Any, axis: int, index: Node) -> Any:
        ctx.shape, ctx.axis, ctx.index = x._shape, axis, index
        shape = (*x._shape[:axis], index.shape[0], *x._shape[axis + 1 :])
        return x._wrap(take(x.node, (axis,), (_along(index, axis, shape),)))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        nothing = grad._wrap(expand(constant(0, grad.dtype), ctx.shape))
        return Put.apply(nothing, grad, ctx.axis, ctx.index, "add")


class Put(Function):
    """`base` with `values` written ("set") or added ("add") at positions `index` along `axis`."""

    @staticmethod
    def forward(ctx: Context, base: Any, values: Any, axis: int, index: Node, how: str) -> Any:
        ctx.axis, ctx.index, ctx.how = axis, index, how
        places = _along(index, axis, values._shape)
        return base._wrap(scatter(how, base.node, values.node, (axis,), (places,)))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        needs_base, needs_values, *_ = ctx.needs_input_grad
        base = values = None
        if needs_values:
            values = Take.apply(grad, ctx.axis, ctx.index)
        if needs_base and ctx.how == "set":
            shape = list(grad._shape)
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


# -- reading and writing ---------------------------------------------------------------------------
@op(
    method="__getitem__",
    function=False,
    view=True,
    dtypes=ALL,
    composite=True,
)
class GetItem:
    """``x[index]``: a view for integers, slices, None, ...; a copy for tensors and lists."""

    @staticmethod
    def forward(x: Any, index: Index) -> Any:
        if index.__class__ is int and x._shape:
            return Select.apply(x, 0, index)
        if _numbers_rows(x, index):
            within_axis(index, 0, x._shape[0])
            return _rows(x, index)
        plan = parse(x._shape, index)
        view = Slice.apply(x, plan.path)
        if not plan.indices:
            return view
        flat = flat_form(plan)
        if flat.order is not None:
            view = view.permute(flat.order)
        taken = Take.apply(view.reshape(flat.joined), flat.axis, flat.index)
        return taken.reshape(flat.result)


def _numbers_rows(x: Any, index: Index) -> bool:
    """Whether `index` is one tensor of numbers along the first axis, which is checked at once."""
    return (
        isinstance(index, Variable)
        and index.dtype.kind in "iu"
        and index.shape != ()
        and x.shape != ()
        and recording.recorder is None
    )


@rebuilt
def _rows(x: Any, index: Any) -> Any:
    """``x[index]``, of numbers that have been checked: what is most common."""
    positions = counted_from_the_front(index.node, x.shape[0])
    flat = reshape(positions, (math.prod(index.shape),))
    return Take.apply(x, 0, flat).reshape((*index.shape, *x.shape[1:]))


class Slice(Movement):
    """The basic part of an index."""

    @staticmethod
    def forward(ctx: Context, x: Any, path: Path) -> Any:
        return moved(ctx, x, path, sure=True)


@op(method="__setitem__", function=False, dtypes=ALL, composite=True)
class SetItem:
    """``x[index] = value``; the value broadcasts to what is indexed and is converted to the type of
    `x`.
    """

    @staticmethod
    def forward(x: Any, index: Index, value: Any) -> None:
        value = value_like(x, value)
        if _is_mask_of(index, x) and _is_one_number(value):
            _set_masked(x, index, value)
        else:
            put(x, index, value, "set")


def value_like(x: Any, value: Any) -> Any:
    """`value` as a tensor, or as it is for a number."""
    if isinstance(value, Variable | int | float | bool | np.number | np.bool_):
        return value
    array = np.asarray(value)
    if array.dtype.kind not in "biufV":
        raise DTypeError(
            f"__setitem__: {a_kind_of(value)} cannot be assigned; use a tensor or a number."
        )
    return x._wrap(node_of(array, as_dtype(array.dtype)))


def _is_mask_of(index: Index, x: Any) -> bool:
    return isinstance(index, Variable) and index.dtype is dtypes.bool and index.shape == x._shape


def _is_one_number(value: Any) -> bool:
    return not isinstance(value, Variable) or math.prod(value._shape) == 1


def _set_masked(x: Any, mask: Any, value: Any) -> None:
    # Written where the mask holds, without computing the mask.
    check_writable("__setitem__", x)
    if not isinstance(value, Variable):
        value = x.detach().new_full((), value)
    chosen = value.to(x.dtype).reshape(()).expand(x._shape)
    write(x, chosen.where(mask, x))


def put(x: Any, index: Index, value: Any, how: str) -> None:
    """Write ("set") or add ("add") `value` at `index` of `x`."""
    plan = parse(x._shape, index)
    view = Slice.apply(x, plan.path)
    if not plan.indices and how == "set":
        if isinstance(value, Variable):
            if value._storage is view._storage and value._path == view._path:
                return  # the last step of ``x[index] += y``, which has written already
            value = _without_leading_ones(value, view._shape)
        overwrite("__setitem__", view, value)
        return
    check_writable("__setitem__", view)
    if not plan.indices:
        added = view + (value.to(x.dtype) if isinstance(value, Variable) else value)
        write(view, fitted_shape("index_put_", view, added))
        return
    flat = flat_form(plan)
    if not isinstance(value, Variable):
        value = x.detach().new_full((), value)
    value = _without_leading_ones(value.to(x.dtype), flat.result)
    shown = view if flat.order is None else view.permute(flat.order)
    values = _broadcast(value, flat.result)
    values = values.reshape(_sizes_along(flat))
    new = Put.apply(shown.reshape(flat.joined), values, flat.axis, flat.index, how)
    write(shown, fitted_shape("__setitem__", shown, new.reshape(shown._shape)))


def _sizes_along(flat: Flat) -> Shape:
    shape = list(flat.joined)
    shape[flat.axis] = flat.index.shape[0]
    return tuple(shape)


def _without_leading_ones(value: Any, shape: Shape) -> Any:
    """NumPy lets a value have more axes than its place when they are 1."""
    extra = len(value._shape) - len(shape)
    if extra > 0 and all(size == 1 for size in value._shape[:extra]):
        return value.reshape(value._shape[extra:])
    return value


def _broadcast(value: Any, shape: Shape) -> Any:
    if broadcast_shapes("__setitem__", value._shape, shape) != shape:
        raise BroadcastError(
            f"__setitem__: a value of shape {value._shape} does not fit {shape}, which is indexed."
        )
    return value.expand(shape)


@op(method="index_put_", dtypes=ALL, composite=True)
class IndexPutIn:
    """Write `values` at the positions of the tensors `indices`; add them with `accumulate`.

    Each of `indices` is an integer or bool tensor, or None for all of an axis.
    """

    @staticmethod
    def forward(x: Any, indices: Sequence[Any], values: Any, accumulate: bool = False) -> Any:
        index = tuple([slice(None) if item is None else item for item in indices])
        if isinstance(values, Variable) and values.dtype is not x.dtype:
            raise DTypeError(
                f"index_put: the tensor is {x.dtype.name} and the values {values.dtype.name}; use "
                "values.to(x.dtype)."
            )
        put(x, index, values, "add" if accumulate else "set")
        return x


@op(method="index_put", dtypes=ALL, composite=True)
class IndexPut:
    """A copy of `x` with `values` written to, or added at, the positions of `indices`."""

    @staticmethod
    def forward(x: Any, indices: Sequence[Any], values: Any, accumulate: bool = False) -> Any:
        return IndexPutIn.forward(x.clone(), indices, values, accumulate)


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
        shape = x._shape
        if not shape:
            raise IndexOutOfRangeError("select: a tensor without dimensions has nothing to select.")
        axis = normal_axis("select", dim, len(shape))
        position = position_of(operator.index(index), axis, shape[axis])
        return moved(ctx, x, _selection(shape, axis, position), sure=True)


@lru_cache(SHAPES_REMEMBERED)
def _selection(shape: Shape, axis: int, position: int) -> Path:
    """The movements to one position of an axis, which disappears. Loops ask for all in turn."""
    ranges = [(0, 1, size) for size in shape]
    ranges[axis] = (position, 1, 1)
    rest = (*shape[:axis], *shape[axis + 1 :])
    return Move(SLICE, tuple(ranges)), Move(RESHAPE, rest)


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
        array = x.detach().numpy()
        found = np.atleast_1d(array).nonzero() if as_tuple or array.ndim else ()
        if as_tuple:
            return tuple(x._wrap(node_of(axis, dtypes.int64)) for axis in found)
        rows = np.stack(found, axis=1) if found else np.zeros((int(bool(x)), 0), np.int64)
        return x._wrap(node_of(rows, dtypes.int64))


@op(method="argwhere", dtypes=ALL, gradient=False, composite=True)
class ArgWhere:
    """The positions of all elements that are not zero, one row each; as `nonzero`."""

    @staticmethod
    def forward(x: Any) -> Any:
        return x.nonzero()


@op(method="masked_select", dtypes=ALL, composite=True)
class MaskedSelect:
    """The elements of `x` where `mask` holds, as a vector."""

    @staticmethod
    def forward(x: Any, mask: Any) -> Any:
        shape = broadcast_shapes("masked_select", x._shape, mask._shape)
        return x.expand(shape)[mask.expand(shape)]
