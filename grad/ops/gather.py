"""Reading and writing along one axis by a tensor of indices.

Indices are checked when the operation is called: the index tensor is computed and looked at, so
that the error comes from the line that made it. Then reading is `TAKE` and writing `SCATTER`;
each is the other's gradient. Indexing by ``x[...]`` is in `index.py`.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

from grad.autograd.function import Context, Function
from grad.autograd.rebuilt import rebuilt
from grad.dtype import dtypes
from grad.errors import ArgumentError, DTypeError, IndexOutOfRangeError, ShapeError
from grad.graph.node import (
    Node,
    broadcast_shapes,
    cast,
    expand,
    iota,
    pointwise,
    reshape,
    scatter,
    slice_axes,
    take,
)
from grad.graph.primitives import EQ
from grad.ops.axes import normal_axis
from grad.ops.bounds import index_range, instead, within
from grad.ops.choose import chosen
from grad.ops.index import Put
from grad.ops.index_plan import from_the_front
from grad.ops.movement import Place
from grad.ops.promotion import as_elements, as_node, is_tensor, unsupported
from grad.ops.registry import ALL, op

Shape = tuple[int, ...]


# -- checks ----------------------------------------------------------------------------------------
def checked(name: str, index: Any, size: int) -> Node:
    """The node of `index`; raises IndexOutOfRangeError unless it lies in ``[0, size)``."""

    def error(found: int) -> Exception:
        return IndexOutOfRangeError(
            f"{name}: index {found} is out of range for an axis of size {size}; "
            f"{instead(size, f'use numbers from 0 to {size - 1}')}."
        )

    return within(index, 0, size, error)


def _require_index(name: str, index: Any) -> None:
    if not is_tensor(index):
        raise unsupported(name, index)
    if index.dtype.kind not in "iu":
        raise DTypeError(
            f"{name}: the index has type {index.dtype.name}, needs int64; use index.long()."
        )


def _require_same_rank(name: str, x: Any, index: Any) -> None:
    if max(len(index.shape), 1) != max(len(x.shape), 1):
        raise ShapeError(
            f"{name}: the index has {len(index.shape)} dimensions and the tensor "
            f"{len(x.shape)}; they must "
            f"have the same number. Use index.unsqueeze(...)."
        )


def _require_smaller(name: str, index: Shape, limit: Shape, free_axis: int | None = None) -> None:
    for axis, (size, most) in enumerate(zip(index, limit, strict=False)):
        if size > most and axis != free_axis:
            raise ShapeError(
                f"{name}: the index has shape {tuple(index)}, which reaches outside "
                f"{tuple(limit)} on axis {axis}; use an index of at most {most} there."
            )


def _corner(node: Node, shape: Sequence[int]) -> Node:
    """The first elements of each axis of `node`."""
    return slice_axes(node, [(0, 1, size) for size in shape])


def _vector(node: Node) -> Node:
    """A 0-dimensional node as one of one element."""
    return node if node.shape else reshape(node, (1,))


# -- gather and scatter ----------------------------------------------------------------------------
@op(method="gather", dtypes=ALL)
class Gather(Function):
    """``out[i][j] = x[index[i][j]][j]`` for ``dim=0``: elements of x chosen along `dim`.

    Shape:
        index has as many dimensions as x and is no larger outside `dim`; the result has its shape.
    """

    @staticmethod
    def forward(ctx: Context, x: Any, dim: int, index: Any, *, sparse_grad: bool = False) -> Any:
        axis = normal_axis("gather", dim, len(x.shape))
        _require_index("gather", index)
        if 0 in index.shape:
            ctx.axis, ctx.shape = axis, x.shape
            ctx.save_for_backward(index)
            return x._wrap(expand(as_node("gather", 0, x.dtype), index.shape))
        _require_same_rank("gather", x, index)
        _require_smaller("gather", index.shape, x.shape, axis)
        positions = checked("gather", index, x.shape[axis] if x.shape else 1)
        ctx.axis, ctx.shape = axis, x.shape
        ctx.save_for_backward(index)
        return _gathered(x, axis, index if positions is index.node else x._wrap(positions))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (index,) = ctx.saved_tensors
        zeros = grad._wrap(expand(as_node("gather", 0, grad.dtype), ctx.shape))
        return ScatterAdd.apply(zeros, ctx.axis, index, grad), None, None


@rebuilt
def _gathered(x: Any, axis: int, positions: Any) -> Any:
    """`gather` at positions that have been checked."""
    node, index = _vector(x.node), _vector(positions.node)
    reach = [node.shape[a] if a == axis else size for a, size in enumerate(index.shape)]
    taken = take(_corner(node, reach), (axis,), (index,))
    return x._wrap(reshape(taken, positions.shape))


def checked_scatter(
    name: str, x: Any, axis: int, index: Any, values: Any
) -> tuple[Node, Node, Node] | None:
    """What a scatter of `values` (a tensor or a number) needs, of 1 dimension or more: the nodes of
    `x`, of the positions and of the values for each. None where the index is empty.
    """
    _require_index(name, index)
    if 0 in index.shape:
        return None
    _require_same_rank(name, x, index)
    _require_smaller(name, index.shape, x.shape, axis)
    if is_tensor(values):
        if values.dtype is not x.dtype:
            raise DTypeError(
                f"{name}: the tensor is {x.dtype.name} and the source {values.dtype.name}; use "
                f"src.to(x.dtype)."
            )
        _require_same_rank(name, values, index)
        _require_smaller(name, index.shape or (1,), values.shape or (1,))
        source = _corner(_vector(values.node), _vector(index.node).shape)
    else:
        source = expand(as_elements(name, values, x.dtype), _vector(index.node).shape)
    positions = _vector(checked(name, index, x.shape[axis] if x.shape else 1))
    return _vector(x.node), positions, source


def _written(name: str, mode: str, x: Any, dim: int, index: Any, values: Any) -> tuple[int, Node]:
    """x with `values` (a tensor or a number) put at `index` along `dim`."""
    axis = normal_axis(name, dim, len(x.shape))
    found = checked_scatter(name, x, axis, index, values)
    if found is None:
        return axis, x.node
    base, positions, source = found
    return axis, reshape(scatter(mode, base, source, (axis,), (positions,)), x.shape)


_REDUCTIONS = {"add": "add", "multiply": "prod"}


@op(method="scatter", inplace=True, dtypes=ALL)
class Scatter(Function):
    """x with ``x[index[i][j]][j] = src[i][j]`` for ``dim=0``; `src` is a tensor or a number.

    Where an index occurs twice the later element stays. ``reduce="add"`` or ``"multiply"`` combines
    instead, as PyTorch has it, without a gradient for `src`.
    """

    @staticmethod
    def forward(
        ctx: Context,
        x: Any,
        dim: int,
        index: Any,
        src: Any = None,
        *,
        reduce: str | None = None,
        value: Any = None,
    ) -> Any:
        if reduce is not None and reduce not in _REDUCTIONS:
            raise ArgumentError(
                f"scatter: reduce={reduce!r}; use 'add', 'multiply', or scatter_reduce."
            )
        mode = "set" if reduce is None else _REDUCTIONS[reduce]
        ctx.mode = mode
        ctx.save_for_backward(index)
        ctx.source_shape = src.shape if is_tensor(src) else ()
        ctx.axis, node = _written("scatter", mode, x, dim, index, value if src is None else src)
        return x._wrap(node)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        if ctx.mode == "prod":
            raise DTypeError(
                "scatter: reduce='multiply' has no gradient; use scatter_reduce or a product."
            )
        (index,) = ctx.saved_tensors
        needs_source = len(ctx.needs_input_grad) > 3 and ctx.needs_input_grad[3]
        kept = Scatter.apply(grad, ctx.axis, index, 0) if ctx.mode == "set" else grad
        return kept, None, None, source_gradient(ctx, index, grad) if needs_source else None


def source_gradient(ctx: Context, index: Any, grad: Any) -> Any:
    """The gradient of values written by `ctx` at `index`: the result's where each of them went, 0
    for those left over.
    """
    found = Gather.apply(grad, ctx.axis, index)
    if found.shape == ctx.source_shape:
        return found
    return Place.apply(found, ctx.source_shape, tuple((0, 1, size) for size in found.shape))


@op(method="scatter_add", inplace=True, dtypes=ALL)
class ScatterAdd(Function):
    """x with ``x[index[i][j]][j] += src[i][j]`` for ``dim=0``; the order of additions is always
    the same.
    """

    @staticmethod
    def forward(ctx: Context, x: Any, dim: int, index: Any, src: Any) -> Any:
        ctx.save_for_backward(index)
        ctx.source_shape = src.shape
        ctx.axis, node = _written("scatter_add", "add", x, dim, index, src)
        return x._wrap(node)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (index,) = ctx.saved_tensors
        source = None
        if ctx.needs_input_grad[3]:
            source = source_gradient(ctx, index, grad)
        return grad, None, None, source


@op(method="index_fill", inplace=True, dtypes=ALL, composite=True)
class IndexFill(Function):
    """x with `value`, a number or a 0-dimensional tensor, at ``x[index]`` for ``dim=0``; index has
    one dimension, and negative numbers in it count from the end.
    """

    @staticmethod
    def forward(x: Any, dim: int, index: Any, value: Any) -> Any:
        axis = normal_axis("index_fill", dim, len(x.shape))
        _require_vector("index_fill", index)
        lines = x if x.shape else x.reshape(1)
        positions = _vector(from_the_front(index, axis, lines.shape[axis]))
        shape = (*lines.shape[:axis], positions.shape[0], *lines.shape[axis + 1 :])
        if is_tensor(value):
            # By a mask, so that an index that occurs twice counts once in the gradient of value.
            chosen = x.new_zeros(lines.shape[axis], dtype=dtypes.bool)
            ones = x.new_ones(positions.shape[0], dtype=dtypes.bool)
            chosen = Put.apply(chosen, ones, 0, positions, "set")
            chosen = chosen.reshape(-1, *(1,) * (len(lines.shape) - axis - 1))
            return lines.masked_fill(chosen, value).reshape(x.shape)
        value = x._wrap(as_elements("index_fill", value, x.dtype))
        return Put.apply(lines, value.expand(shape), axis, positions, "set").reshape(x.shape)


@op(method="index_copy", inplace=True, dtypes=ALL, composite=True)
class IndexCopy(Function):
    """x with ``x[index[i]] = source[i]`` for ``dim=0``; index has one dimension.

    Where a number occurs twice in the index the later slice stays.
    """

    @staticmethod
    def forward(x: Any, dim: int, index: Any, source: Any) -> Any:
        axis = normal_axis("index_copy", dim, len(x.shape))
        _require_vector("index_copy", index)
        lines = x if x.shape else x.reshape(1)
        slices = source if source.shape else source.reshape(1)
        positions = _vector(checked("index_copy", index, lines.shape[axis]))
        shape = (*lines.shape[:axis], positions.shape[0], *lines.shape[axis + 1 :])
        if slices.shape != shape:
            raise ShapeError(
                f"index_copy: the source has shape {tuple(source.shape)}, needs {shape}: that of "
                f"the tensor with one slice for each index."
            )
        if source.dtype is not x.dtype:
            raise DTypeError(
                f"index_copy: the tensor is {x.dtype.name} and the source {source.dtype.name}; use "
                f"source.to(x.dtype)."
            )
        return Put.apply(lines, slices, axis, positions, "set").reshape(x.shape)


def _require_vector(name: str, index: Any) -> None:
    _require_index(name, index)
    if len(index.shape) > 1:
        raise ShapeError(
            f"{name}: the index has shape {tuple(index.shape)}, needs 1 dimension; use "
            f"index.reshape(-1)."
        )


def along(name: str, shape: Shape, axis: int, index: Any) -> Any:
    """A vector of indices as one that says the same for every line along `axis` of `shape`."""
    _require_vector(name, index)
    if not shape:
        return index.reshape(())
    return index.reshape((-1, *[1] * (len(shape) - axis - 1))).expand(
        tuple(index.size(0) if a == axis and index.shape else size for a, size in enumerate(shape))
    )


@op(method="index_select", dtypes=ALL, composite=True)
class IndexSelect(Function):
    """``x[index]`` for ``dim=0``: whole slices of x along `dim`; index has one dimension."""

    @staticmethod
    def forward(x: Any, dim: int, index: Any) -> Any:
        axis = normal_axis("index_select", dim, len(x.shape))
        index = index.reshape(1) if is_tensor(index) and not index.shape else index
        return Gather.apply(x, axis, along("index_select", x.shape, axis, index))


@op(method="take_along_dim", dtypes=ALL, composite=True)
class TakeAlongDim(Function):
    """`gather`, but the other axes of x and the index broadcast, and negative numbers count from
    the end; without `dim`, of both flattened.
    """

    @staticmethod
    def forward(x: Any, indices: Any, dim: int | None = None) -> Any:
        _require_index("take_along_dim", indices)
        if dim is None:
            return TakeAlongDim.forward(x.reshape(-1), indices.reshape(-1), 0)
        axis = normal_axis("take_along_dim", dim, len(x.shape))
        _require_same_rank("take_along_dim", x, indices)
        lines, wanted = list(x.shape), list(indices.shape)
        lines[axis] = wanted[axis] = 1
        shape = list(broadcast_shapes("take_along_dim", tuple(lines), tuple(wanted)))
        source = (*shape[:axis], x.shape[axis], *shape[axis + 1 :])
        target = (*shape[:axis], indices.shape[axis], *shape[axis + 1 :])
        if not x.shape:
            return TakeAlongDim.forward(x.reshape(1), indices.reshape(1), 0).reshape(())
        found = expand(from_the_front(indices, axis, x.shape[axis]), target)
        return chosen(x.expand(source), axis, x._wrap(found))


@op(function="one_hot", gradient=False)
class OneHot(Function):
    """int64 with 1 at each class number on a new last axis of size `num_classes` (-1: one more
    than the largest).

    Example:
        >>> one_hot(grad.tensor([0, 2])).tolist()
        [[1, 0, 0], [0, 0, 1]]
    """

    @staticmethod
    def forward(ctx: Context, x: Any, num_classes: int = -1) -> Any:
        num_classes = operator.index(num_classes)
        _require_index("one_hot", x)
        empty = 0 in x.shape
        if num_classes < -1:
            raise ArgumentError(
                f"one_hot: num_classes is {num_classes}; needs a number of classes, or -1 for one "
                f"more than the largest."
            )
        if num_classes < 0:
            if empty:
                raise ShapeError(
                    "one_hot: an empty tensor does not say how many classes there are; give "
                    "num_classes."
                )
            num_classes = max(index_range(x)[1] + 1, 1)
        numbers = checked("one_hot", x, num_classes)
        labels = reshape(cast(numbers, dtypes.int64), (*x.shape, 1))
        return x._wrap(cast(pointwise(EQ, labels, iota(num_classes)), dtypes.int64))
