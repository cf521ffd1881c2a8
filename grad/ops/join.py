"""Putting tensors together and taking them apart: `cat`, `stack`, `split`, `chunk`, `unbind`,
`repeat` ...

`Concatenate` is the one new operation: each element is chosen from its part, or, of many parts,
each is written to its place in a new value. The others are made of it, of views and of indexing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from grad.autograd.function import Context, Function
from grad.autograd.rebuilt import rebuilt
from grad.autograd.variable import Variable
from grad.dtype import DType, dtypes, promote_types
from grad.errors import ShapeError
from grad.graph.movement import Move
from grad.graph.node import Node, constant, expand, pad, pointwise, update
from grad.graph.primitives import SLICE, WHERE
from grad.ops.axes import normal_axis
from grad.ops.promotion import apart, is_tensor, unsupported
from grad.ops.registry import ALL, Failure, Sample, op
from grad.ops.view import sizes_of


class Concatenate(Function):
    """Tensors of one type and rank side by side along an axis."""

    @staticmethod
    def forward(ctx: Context, axis: int, *tensors: Any) -> Any:
        ctx.axis = axis
        ctx.sizes = [tensor.shape[axis] for tensor in tensors]
        shape = list(tensors[0].shape)
        shape[axis] = sum(ctx.sizes)
        return tensors[0]._wrap(concatenated([t.node for t in tensors], axis, tuple(shape)))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        starts = np.cumsum([0, *ctx.sizes]).tolist()
        parts = [
            grad.narrow(ctx.axis, start, size) if needed else None
            for start, size, needed in zip(starts, ctx.sizes, ctx.needs_input_grad[1:])
        ]
        return None, *parts


# So many parts are one choice, which fuses with what makes and reads them; loops are cut at the
# borders of parts where they can (kernel/pieces.py).
MOST_CHOICES = 8


def concatenated(nodes: Sequence[Node], axis: int, shape: tuple[int, ...]) -> Node:
    """The values of all nodes side by side."""
    parts = [node for node in nodes if node.size]
    if 1 < len(parts) <= MOST_CHOICES:
        return _chosen(parts, axis, shape)
    return _written(parts or nodes[:1], axis, shape)


def _chosen(parts: Sequence[Node], axis: int, shape: tuple[int, ...]) -> Node:
    """A choice between the parts, each padded to all of the result."""
    result: Node | None = None
    stop = shape[axis]
    for part in reversed(parts):
        start = stop - part.shape[axis]
        amounts = [(0, 0)] * len(shape)
        amounts[axis] = (start, shape[axis] - stop)
        padded = pad(part, amounts)
        if result is None:
            result = padded
        else:
            here = pad(expand(constant(True, dtypes.bool), part.shape), amounts)
            result = pointwise(WHERE, here, padded, result)
        stop = start
    assert result is not None
    return result


def _written(parts: Sequence[Node], axis: int, shape: tuple[int, ...]) -> Node:
    """One write for each part, into a value that starts empty."""
    result = expand(constant(0, parts[0].dtype), shape)
    start = 0
    for part in parts:
        if not part.size:
            continue
        ranges = [(0, 1, size) for size in shape]
        ranges[axis] = (start, 1, part.shape[axis])
        start += part.shape[axis]
        result = update(result, part, (Move(SLICE, tuple(ranges)),))
    return result


def _as_list(name: str, tensors: Any) -> list[Any]:
    if is_tensor(tensors):
        raise TypeError(f"{name}(): argument 'tensors' must be a tuple of Tensors, not a Tensor.")
    listed = list(tensors)
    if not listed:
        raise ShapeError(f"{name}: needs at least one tensor, got an empty list.")
    for tensor in listed:
        if not isinstance(tensor, Variable):
            raise unsupported(name, tensor)
    return listed


@op(
    function="cat",
    aliases=("concat", "concatenate"),
    dtypes=ALL,
    composite=True,
)
class Cat:
    """Tensors side by side along an axis that exists: ``cat((x, y), dim=0)``.

    The other sizes must agree; types are promoted. Tensors of shape (0,) are left out.
    """

    @staticmethod
    @rebuilt
    def forward(tensors: Sequence[Any], dim: int = 0) -> Any:
        listed = _as_list("cat", tensors)
        dtype: DType = listed[0].dtype
        for tensor in listed:
            dtype = promote_types(dtype, tensor.dtype)
        parts = [tensor for tensor in listed if tensor.shape != (0,)] or listed[:1]
        first = parts[0].shape
        if not first:
            raise ShapeError("cat: tensors without dimensions cannot be joined; use stack(...).")
        axis = normal_axis("cat", dim, len(first))
        for tensor in parts[1:]:
            shape = tensor.shape
            if len(shape) != len(first) or any(
                a != b for i, (a, b) in enumerate(zip(shape, first)) if i != axis
            ):
                raise ShapeError(
                    f"cat: shapes {tuple(first)} and {tuple(shape)} do not fit along axis {dim}; "
                    f"the number of axes and all sizes but that one must agree."
                )
        return Concatenate.apply(axis, *[tensor.to(dtype) for tensor in parts])


@op(function="stack", dtypes=ALL, composite=True)
class Stack:
    """Tensors of one shape along a new axis."""

    @staticmethod
    @rebuilt
    def forward(tensors: Sequence[Any], dim: int = 0) -> Any:
        listed = _as_list("stack", tensors)
        first = listed[0].shape
        for tensor in listed:
            if tensor.shape != first:
                position = next(i for i, one in enumerate(listed) if one is tensor)
                raise ShapeError(
                    f"stack: tensor 0 has shape {tuple(first)} and tensor {position} "
                    f"{tensor._shape}; all must be equal. Use grad.cat to join along an axis that "
                    f"is there, pad_sequence of nn.utils.rnn for sequences."
                )
        axis = normal_axis("stack", dim, len(first) + 1)
        return Cat.forward([tensor.unsqueeze(axis) for tensor in listed], axis)


@op(
    method="split",
    aliases=("unsafe_split",),
    view=True,
    dtypes=ALL,
    composite=True,
    errors=[Failure(((4, 3),), ([1, 2],), match="sum")],
)
class Split:
    """Views of `split_size` elements each along `dim`, the last maybe fewer, or of given sizes."""

    @staticmethod
    def forward(x: Any, split_size: int | Sequence[int], dim: int = 0) -> tuple[Any, ...]:
        axis = normal_axis("split", dim, len(x.shape))
        size = x.shape[axis]
        if isinstance(split_size, Sequence):
            sizes = list(split_size)
            if sum(sizes) != size or min(sizes, default=0) < 0:
                raise ShapeError(
                    f"split: sizes {sizes} must sum to {size}, the size of axis {dim}."
                )
        else:
            if split_size < 0 or (split_size == 0 and size):
                raise ShapeError(f"split: split_size is {split_size}, it must be 1 or more.")
            starts = range(0, size, split_size or 1)
            sizes = [min(split_size, size - start) for start in starts] or [0]
        starts = np.cumsum([0, *sizes]).tolist()
        return tuple(x.narrow(axis, start, part) for start, part in zip(starts, sizes))


@op(method="chunk", aliases=("unsafe_chunk",), view=True, dtypes=ALL, composite=True)
class Chunk:
    """`chunks` views along `dim`, equal but for the last."""

    @staticmethod
    def forward(x: Any, chunks: int, dim: int = 0) -> tuple[Any, ...]:
        if chunks < 1:
            raise ShapeError(f"chunk: chunks is {chunks}, it must be 1 or more.")
        size = x.shape[normal_axis("chunk", dim, len(x.shape))]
        if not size:
            return tuple(Split.forward(x, [0] * chunks, dim))
        return Split.forward(x, -(-size // chunks), dim)


@op(method="unbind", view=True, dtypes=ALL, composite=True)
class Unbind:
    """A view for each position along `dim`."""

    @staticmethod
    def forward(x: Any, dim: int = 0) -> tuple[Any, ...]:
        axis = normal_axis("unbind", dim, len(x.shape))
        return tuple(x.select(axis, position) for position in range(x.shape[axis]))


@op(
    method="repeat",
    function=False,
    dtypes=ALL,
    composite=True,
    reference=lambda x, *repeats: np.tile(x, repeats),
    samples=[Sample(((2, 3),), (2, 2)), Sample(((3,),), (2, 2))],
)
class Repeat:
    """Copies side by side, `repeats` of them along each axis; new axes in front."""

    @staticmethod
    def forward(x: Any, *repeats: Any) -> Any:
        counts = sizes_of("repeat", repeats)
        new = len(counts) - len(x.shape)
        if new < 0 or min(counts, default=0) < 0:
            raise ShapeError(
                f"repeat: {counts} must give a count, 0 or more, for each of the {len(x.shape)} "
                "axes."
            )
        shape = (1,) * new + x.shape
        spaced = [size for pair in zip([1] * len(shape), shape) for size in pair]
        repeated = [size for pair in zip(counts, shape) for size in pair]
        joined = [count * size for count, size in zip(counts, shape)]
        return x.reshape(spaced).expand(repeated).clone().reshape(joined)


@op(
    method="tile",
    dtypes=ALL,
    composite=True,
    reference=lambda x, *dims: np.tile(x, dims),
    samples=[Sample(((2, 3),), (2,)), Sample(((3,),), (2, 2))],
)
class Tile:
    """As `repeat`; where there are fewer `dims` than axes, they count from the last."""

    @staticmethod
    def forward(x: Any, *dims: Any) -> Any:
        counts = sizes_of("tile", dims)
        return Repeat.forward(x, *[1] * (len(x.shape) - len(counts)), *counts)


@op(
    method="roll",
    dtypes=ALL,
    composite=True,
    reference=lambda x, shifts, dims=None: np.roll(x, shifts, dims),
    samples=[
        Sample(((3, 4),), (1, 0)),
        Sample(((3, 4),), ((1, -1), (0, 1))),
        Sample(((3, 4),), (5,)),
    ],
)
class Roll:
    """Elements moved along `dims` by `shifts`, those that fall off coming in at the other end."""

    @staticmethod
    def forward(x: Any, shifts: Any, dims: Any = None) -> Any:
        if dims is None or dims == ():
            if len(sizes_of("roll", (shifts,))) != 1:
                raise ShapeError(f"roll: shifts {shifts} need as many dims.")
            return Roll.forward(x.reshape(-1), shifts, 0).reshape(x.shape)
        steps, axes = sizes_of("roll", (shifts,)), sizes_of("roll", (dims,))
        if len(steps) != len(axes):
            raise ShapeError(
                f"roll: there are {len(steps)} shifts for {len(axes)} dims; give one for each."
            )
        found = x
        for shift, dim in zip(steps, axes):
            axis = normal_axis("roll", dim, len(x.shape))
            size = x.shape[axis]
            cut = -shift % size if size else 0
            if cut:
                parts = [found.narrow(axis, cut, size - cut), found.narrow(axis, 0, cut)]
                found = Cat.forward(parts, axis)
        return apart(found, x)
