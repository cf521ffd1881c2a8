"""Any view of a tensor's memory: `as_strided`, in elements of the whole storage, as in PyTorch.

What lies in the storage outside the tensor is shown, too; a gradient reaches the elements that the
tensor itself shows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from grad.autograd.function import Context, Function
from grad.engine.recording import tell_of_place
from grad.errors import InplaceError, ShapeError
from grad.graph.movement import Layout, Move
from grad.graph.node import follow
from grad.graph.primitives import AS_STRIDED, RESHAPE
from grad.ops.inplace import Update
from grad.ops.movement import PlaceStrided
from grad.ops.registry import ALL, Failure, Sample, op
from grad.ops.view import sizes_of

Path = tuple[Move, ...]


def _layout(name: str, x: Any, size: Any, stride: Any, offset: int | None) -> Layout:
    """The layout asked for, which lies inside the storage of `x`."""
    tell_of_place(x)
    sizes, strides = sizes_of(name, (size,)), sizes_of(name, (stride,))
    start = x.memory_layout.offset if offset is None else offset
    total = x._storage.node.size
    if len(sizes) != len(strides) or min((*sizes, *strides, start), default=0) < 0:
        raise ShapeError(
            f"{name}: size {sizes}, stride {strides} and offset {start} must be of equal length "
            f"and not negative."
        )
    reach = start + sum((n - 1) * s for n, s in zip(sizes, strides))
    if 0 not in sizes and reach >= total:
        raise ShapeError(
            f"{name}: size {sizes}, stride {strides} and offset {start} reach element {reach} of "
            f"a storage of {total}."
        )
    return Layout(sizes, strides, start)


def _path(total: int, layout: Layout) -> Path:
    """From a tensor of so many elements in order to a view of it."""
    return Move(RESHAPE, (total,)), Move(AS_STRIDED, tuple(layout))


@op(
    method="as_strided",
    view=True,
    inplace=True,
    dtypes=ALL,
    errors=[
        Failure(((4,),), ((2,), (3, 1)), match="equal length"),
        Failure(((4,),), ((2,), (4,)), match="storage"),
    ],
)
class AsStrided(Function):
    """The view of the memory of `x` with these sizes, strides and offset, in elements.

    The offset counts from the start of the storage; it is that of `x` unless given. Raises
    ShapeError where the view would reach outside the storage.

    Example:
        >>> grad.arange(6).as_strided((2, 2), (1, 2), 1).tolist()
        [[1, 3], [2, 4]]
    """

    @staticmethod
    def forward(
        ctx: Context,
        x: Any,
        size: Sequence[int],
        stride: Sequence[int],
        storage_offset: int | None = None,
    ) -> Any:
        layout = _layout("as_strided", x, size, stride, storage_offset)
        ctx.shape, ctx.own, ctx.layout = x._shape, x.memory_layout, layout
        total = ctx.total = x._storage.node.size
        base = x if x._base is None else x._base
        if base._path and base._requires_grad:
            # What the base shows is not all of its storage, so this is no view of the base.
            return x._wrap(follow(x._storage.node, _path(total, layout)))
        view = x._alias(_path(total, layout), layout.shape, layout)
        view._base = base
        return view

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        if any(step == 0 and n > 1 for n, step in zip(ctx.own.shape, ctx.own.strides)):
            raise InplaceError(
                "as_strided: the gradient of a tensor with several elements at one place in "
                "memory is not defined; use x.clone() first."
            )
        whole = PlaceStrided.apply(grad, (ctx.total,), tuple(ctx.layout))
        shown = whole.as_strided(ctx.own.shape, ctx.own.strides, ctx.own.offset)
        return shown, None, None, None


def _reference(x: Any, src: Any, size: Any, stride: Any, offset: int) -> Any:
    result = x.reshape(-1).copy()
    steps = [step * x.itemsize for step in stride]
    np.lib.stride_tricks.as_strided(result[offset:], size, steps)[...] = src
    return result.reshape(x.shape)


@op(
    method="as_strided_scatter",
    dtypes=ALL,
    composite=True,
    reference=_reference,
    samples=[Sample(((3, 4), (2, 2)), ((2, 2), (1, 3), 1))],
)
class AsStridedScatter:
    """A copy of `x` with `src` where `as_strided` would show it."""

    @staticmethod
    def forward(
        x: Any,
        src: Any,
        size: Sequence[int],
        stride: Sequence[int],
        storage_offset: int | None = None,
    ) -> Any:
        result = x.clone()
        layout = _layout("as_strided_scatter", result, size, stride, storage_offset)
        if src._shape != layout.shape:
            raise ShapeError(
                f"as_strided_scatter: src has shape {tuple(src._shape)}, needs {layout.shape}."
            )
        return Update.apply(x, src.to(x.dtype), _path(math.prod(x._shape), layout))
