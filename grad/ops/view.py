"""Shapes and views: every operation that only changes where a value is found.

Each op checks its arguments, writes the change as a path of movements and leaves the rest to
`movement.moved`. The views among them share memory with their operand, as in PyTorch. `order.py`
goes on with the order of axes; `join.py` has the operations that put tensors together or take them
apart.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from grad.autograd.function import Context, Function
from grad.autograd.remembered import remembered
from grad.dtype import DType
from grad.errors import AxisError, BroadcastError, DTypeError, ShapeError
from grad.graph.movement import Move, Shape
from grad.graph.node import bitcast, broadcast_shapes, contiguous
from grad.graph.primitives import EXPAND, RESHAPE
from grad.memory_format import order_of
from grad.ops.axes import distinct_axes, normal_axis
from grad.ops.movement import Movement, inverse_order, moved
from grad.ops.registry import ALL, Failure, Sample, op
from grad.utils.size import Size

Ints = Any  # ints, or one sequence of ints


def sizes_of(name: str, given: Sequence[Any]) -> tuple[int, ...]:
    """The ints meant by ``f(2, 3)`` or ``f((2, 3))``."""
    if len(given) == 1 and isinstance(given[0], Sequence):
        given = given[0]
    try:
        return tuple([size.__index__() for size in given])
    except (AttributeError, TypeError):
        found = ", ".join(type(size).__name__ for size in given)
        raise DTypeError(f"{name}: sizes must be ints, got {found}.") from None


def completed(name: str, shape: Shape, target: tuple[int, ...]) -> Shape:
    """`target` with its -1 worked out from the number of elements of `shape`."""
    total = math.prod(shape)
    if any(size < -1 for size in target) or target.count(-1) > 1:
        raise ShapeError(
            f"{name}: {target} is no shape; sizes are 0 or more, and one of them may be -1."
        )
    if -1 in target:
        known = -math.prod(target)
        if known and total % known == 0:
            return tuple(total // known if size == -1 else size for size in target)
    elif math.prod(target) == total:
        return target
    raise ShapeError(
        f"{name}: shape {target} is invalid for a tensor of shape {shape}, which has {total} "
        "elements; "
        f"the product of the sizes must stay the same (-1 stands for one size to work out)."
    )


def _reshaping(target: Shape, shape: Shape) -> tuple[Move, ...]:
    return () if target == shape else (Move(RESHAPE, target),)


@op(
    method="view",
    function=False,
    view=True,
    dtypes=ALL,
    reference=lambda x, *shape: x.reshape(*shape),
    samples=[Sample(((3, 4),), (2, 6)), Sample(((2, 3, 4),), ((4, -1),))],
    errors=[Failure(((3, 4),), (5, 2), match="elements")],
)
class View(Movement):
    """The same memory in another shape: ``x.view(2, -1)``; given a dtype, a copy of the bits.

    Raises ShapeError when the shape does not fit or the strides allow no view; then use `reshape`.
    """

    @staticmethod
    def forward(ctx: Context, x: Any, *shape: Ints) -> Any:
        if len(shape) == 1 and isinstance(shape[0], DType):
            if shape[0].itemsize != x.dtype.itemsize:
                raise DTypeError(
                    f"view: {x.dtype.name} and {shape[0].name} differ in size, and only types of "
                    f"one size share their bits here; use x.to(...) for the same values."
                )
            return x._wrap(bitcast(x.node, shape[0]))
        target = completed("view", x._shape, sizes_of("view", shape))
        result = x._view(_reshaping(target, x._shape))
        if result is None:
            raise ShapeError(
                f"view: a tensor of shape {x._shape} and strides {x.stride()} has no view of shape "
                f"{target}; at least one axis spans two that do not lie together. Use "
                "x.reshape(...)."
            )
        ctx.shape, ctx.path = x._shape, _reshaping(target, x._shape)
        return result


@op(
    method="reshape",
    view=True,
    dtypes=ALL,
    reference=lambda x, *shape: x.reshape(*shape),
    samples=[Sample(((3, 4),), (2, 6)), Sample(((2, 3, 4),), ((4, -1),))],
    errors=[Failure(((3, 4),), (5, 2), match="elements")],
)
class Reshape(Movement):
    """The same values in another shape; a view where that can be, else a copy."""

    @staticmethod
    def forward(ctx: Context, x: Any, *shape: Ints) -> Any:
        target = completed("reshape", x._shape, sizes_of("reshape", shape))
        return moved(ctx, x, _reshaping(target, x._shape))


@op(
    method="flatten",
    view=True,
    dtypes=ALL,
    reference=lambda x, start_dim=0, end_dim=-1: x.reshape(
        x.shape[:start_dim] + (-1,) + x.shape[end_dim % x.ndim + 1 :]
    ),
    samples=[Sample(((2, 3, 4),)), Sample(((2, 3, 4),), (1,)), Sample(((2, 3, 4),), (0, 1))],
    errors=[Failure(((2, 3),), (1, 0), match="after")],
)
class Flatten(Movement):
    """Axes `start_dim` to `end_dim` made one; a number becomes one element."""

    @staticmethod
    def forward(ctx: Context, x: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
        shape = x._shape
        start = normal_axis("flatten", start_dim, len(shape))
        end = normal_axis("flatten", end_dim, len(shape))
        if start > end:
            raise ShapeError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}.")
        target = (*shape[:start], math.prod(shape[start : end + 1]), *shape[end + 1 :])
        return moved(ctx, x, _reshaping(target, shape))


@op(
    method="unflatten",
    view=True,
    dtypes=ALL,
    reference=lambda x, dim, sizes: x.reshape(x.shape[:dim] + tuple(sizes) + x.shape[dim + 1 :]),
    samples=[Sample(((2, 12),), (1, (3, 4)))],
    errors=[Failure(((2, 12),), (1, (5, 4)), match="elements")],
)
class Unflatten(Movement):
    """Axis `dim` split into `sizes`, one of which may be -1."""

    @staticmethod
    def forward(ctx: Context, x: Any, dim: int, sizes: Ints) -> Any:
        shape = x._shape
        axis = normal_axis("unflatten", dim, len(shape))
        parts = completed("unflatten", shape[axis : axis + 1], sizes_of("unflatten", (sizes,)))
        return moved(ctx, x, _reshaping((*shape[:axis], *parts, *shape[axis + 1 :]), shape))


@op(
    method="squeeze",
    view=True,
    inplace=True,
    dtypes=ALL,
    reference=lambda x, *dims: np.squeeze(x, tuple(d for d in dims if x.shape[d] == 1) or None),
    samples=[Sample(((1, 3, 1),)), Sample(((1, 3, 1),), (0,))],
    errors=[Failure(((1, 3),), (2,), error=AxisError)],
)
class Squeeze(Movement):
    """Axes of size 1 left out: all of them, or those named (others stay)."""

    @staticmethod
    def forward(ctx: Context, x: Any, *dim: Ints) -> Any:
        shape = x._shape
        if not dim or dim == (None,):
            target = tuple([size for size in shape if size != 1])
        else:
            axes = distinct_axes("squeeze", sizes_of("squeeze", dim), len(shape))
            target = tuple([s for axis, s in enumerate(shape) if s != 1 or axis not in axes])
        return moved(ctx, x, _reshaping(target, shape), sure=True)


@op(
    method="unsqueeze",
    view=True,
    inplace=True,
    dtypes=ALL,
    reference=np.expand_dims,
    samples=[Sample(((2, 3),), (0,)), Sample(((2, 3),), (-1,))],
    errors=[Failure(((2, 3),), (3,), error=AxisError)],
)
class Unsqueeze(Movement):
    """A new axis of size 1 at `dim`."""

    @staticmethod
    def forward(ctx: Context, x: Any, dim: int) -> Any:
        axis = normal_axis("unsqueeze", dim, len(x._shape) + 1)
        target = (*x._shape[:axis], 1, *x._shape[axis:])
        return moved(ctx, x, (Move(RESHAPE, target),), sure=True)


@op(
    method="expand",
    function=False,
    view=True,
    dtypes=ALL,
    reference=lambda x, *shape: np.broadcast_to(x, shape),
    samples=[Sample(((3, 1),), (2, 3, 4))],
    errors=[Failure(((3, 2),), (3, 4), error=BroadcastError)],
)
class Expand(Movement):
    """Axes of size 1 repeated without copying, new axes in front; -1 keeps a size."""

    @staticmethod
    def forward(ctx: Context, x: Any, *size: Ints) -> Any:
        shape, target = x._shape, sizes_of("expand", size)
        new = len(target) - len(shape)
        full = tuple([shape[i - new] if s == -1 and i >= new else s for i, s in enumerate(target)])
        fits = new >= 0 and all(s in (1, full[new + i]) for i, s in enumerate(shape))
        if not fits or any(s < 0 for s in full):
            raise BroadcastError(
                f"expand: {shape} does not expand to {target}; only axes of size 1 repeat, and new "
                f"axes come in front. Use x.unsqueeze(...) or x.repeat(...)."
            )
        return moved(ctx, x, (Move(EXPAND, full),) if full != shape else ())


@op(method="expand_as", function=False, view=True, composite=True)
class ExpandAs:
    """`x` expanded to the shape of `other`."""

    @staticmethod
    def forward(x: Any, other: Any) -> Any:
        return x.expand(other._shape)


@op(method="broadcast_to", view=True, composite=True)
class BroadcastTo:
    """`x` expanded to `shape`."""

    @staticmethod
    def forward(x: Any, *shape: Ints) -> Any:
        return x.expand(*shape)


@op(method="view_as", function=False, view=True, composite=True)
class ViewAs:
    """`x` viewed in the shape of `other`."""

    @staticmethod
    def forward(x: Any, other: Any) -> Any:
        return x.view(other._shape)


@op(method="reshape_as", function=False, view=True, composite=True)
class ReshapeAs:
    """`x` in the shape of `other`."""

    @staticmethod
    def forward(x: Any, other: Any) -> Any:
        return x.reshape(other._shape)


@op(
    method="clone",
    dtypes=ALL,
    reference=lambda x: x.copy(),
    samples=[Sample(((2, 3),))],
)
@remembered
class Clone(Function):
    """A copy with memory of its own; the gradient goes through."""

    @staticmethod
    def forward(ctx: Context, x: Any, memory_format: Any = None) -> Any:
        return x._wrap(contiguous(x.node))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return grad


@op(method="contiguous", function=False, dtypes=ALL, composite=True)
class Contiguous:
    """`x` itself if its elements lie in row-major order (or that of `memory_format`), else a copy
    in which they do.
    """

    @staticmethod
    def forward(x: Any, memory_format: Any = None) -> Any:
        order = order_of("contiguous", memory_format, len(x._shape))
        if x.is_contiguous(memory_format):
            return x
        if order is None:
            return x.clone()
        return x.permute(order).clone().permute(inverse_order(order))


@op(method="sum_to_size", composite=True)
class SumToSize:
    """`x` summed over what broadcasting to its shape would have repeated: of the given sizes."""

    @staticmethod
    def forward(x: Any, *size: Ints) -> Any:
        target = sizes_of("sum_to_size", size)
        new = len(x._shape) - len(target)
        if new < 0 or any(s not in (1, x._shape[new + i]) for i, s in enumerate(target)):
            raise BroadcastError(
                f"sum_to_size: {target} is not expandable to {x._shape}; only axes of size 1 are."
            )
        if not target:
            return x.sum()  # of whole numbers in int64, as in PyTorch
        if target == x._shape:
            return x
        axes = [*range(new), *[new + i for i, s in enumerate(target) if s != x._shape[new + i]]]
        return x.sum(axes).reshape(target) if axes else x


@op(method="is_same_size", gradient=False, composite=True)
class IsSameSize:
    """Whether `x` and `other` have one shape."""

    @staticmethod
    def forward(x: Any, other: Any) -> bool:
        return x._shape == other._shape


@op(function="broadcast_shapes", gradient=False, composite=True)
class BroadcastShapes:
    """The shape that all shapes (tuples, or ints for one axis) broadcast to."""

    @staticmethod
    def forward(*shapes: Ints) -> Size:
        given = [sizes_of("broadcast_shapes", (shape,)) for shape in shapes]
        return Size(broadcast_shapes("broadcast_shapes", *given) if given else ())


@op(function="broadcast_tensors", composite=True)
class BroadcastTensors:
    """All tensors expanded to their common shape."""

    @staticmethod
    def forward(*tensors: Any) -> Any:
        if len(tensors) == 1 and isinstance(tensors[0], list | tuple):
            tensors = tuple(tensors[0])
        shape = broadcast_shapes("broadcast_tensors", *[tensor._shape for tensor in tensors])
        return tuple(tensor.expand(shape) for tensor in tensors)
