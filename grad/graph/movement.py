"""Movement: what changes where a value is found, never the value.

Each movement has a shape rule (`moved_shape`), a stride rule (`moved_strides`, used only where
memory
meets the outside: `stride()`, NumPy, DLPack) and a NumPy form (`move_array`). The rule that
rewrites an index is in `index.py`, where the compiler needs it. A view of a storage is a path: a
tuple of `Move`s.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from grad.errors import ShapeError
from grad.graph.primitives import (
    AFFINE,
    AS_STRIDED,
    BARRIER,
    EXPAND,
    PAD,
    PERMUTE,
    RESHAPE,
    SLICE,
    Primitive,
)

Shape = tuple[int, ...]
MOST_ELEMENTS = (1 << 62) - 1
SHAPES_REMEMBERED = 4096


class Move(NamedTuple):
    """One movement: the primitive and its argument (see the rows in `primitives.py`)."""

    primitive: Primitive
    arg: Any


class Layout(NamedTuple):
    """Where an element is in memory: ``offset + sum(index * stride)``, all counted in elements."""

    shape: Shape
    strides: tuple[int, ...]
    offset: int


def bounded(name: str, shape: Shape) -> Shape:
    """`shape`, unless it has so many elements that numbers of 64 bits might not count them.

    Views may be far larger than memory, so this is the only limit they have.
    """
    if math.prod(shape) > MOST_ELEMENTS:
        raise ShapeError(
            f"{name}: a tensor of shape {shape} would have {math.prod(shape)} elements, and there "
            f"can be {MOST_ELEMENTS} at most; use smaller sizes."
        )
    return shape


def contiguous_strides(shape: Shape) -> tuple[int, ...]:
    """Row-major strides in elements, PyTorch's convention (an axis of size 0 counts as 1).

    Example:
        >>> contiguous_strides((2, 3, 4))
        (12, 4, 1)
    """
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


@lru_cache(SHAPES_REMEMBERED)
def contiguous_layout(shape: Shape) -> Layout:
    """Everything in row-major order. Asked for with each array that is lent."""
    return _of_ints(Layout(shape, contiguous_strides(shape), 0))


def is_contiguous(layout: Layout) -> bool:
    """Whether elements lie in row-major order with no gaps; axes of size 1 may have any stride."""
    expected = 1
    if 0 in layout.shape:
        return True
    for size, stride in zip(reversed(layout.shape), reversed(layout.strides), strict=True):
        if size != 1:
            if stride != expected:
                return False
            expected *= size
    return True


def moved_shape(shape: Shape, move: Move) -> Shape:
    """The shape after `move`; the argument has been checked by whoever made the move."""
    primitive, arg = move
    if primitive is RESHAPE:
        return arg
    if primitive is EXPAND:
        return bounded("expand", arg)
    if primitive is PERMUTE:
        return tuple(shape[axis] for axis in arg)
    if primitive is SLICE:
        return tuple(size for _, _, size in arg)
    if primitive is PAD:
        return bounded(
            "pad",
            tuple(before + size + after for size, (before, after) in zip(shape, arg, strict=True)),
        )
    if primitive is AS_STRIDED:
        return arg[0]
    if primitive is AFFINE:
        return bounded("affine", arg[0])
    if primitive is BARRIER:
        return shape
    raise ShapeError(f"{primitive} is no movement")


def moved_strides(layout: Layout, move: Move) -> Layout | None:
    """The layout after `move`, or None when strides cannot express it (such a result is a copy)."""
    primitive, arg = move
    shape, strides, offset = layout
    if primitive is RESHAPE:
        reshaped = _reshaped_strides(layout, arg)
        return None if reshaped is None else Layout(arg, reshaped, offset)
    if primitive is PERMUTE:
        return Layout(tuple(shape[a] for a in arg), tuple(strides[a] for a in arg), offset)
    if primitive is EXPAND:
        new = len(arg) - len(shape)
        kept = [
            0 if size == 1 and arg[new + i] != 1 else strides[i] for i, size in enumerate(shape)
        ]
        return Layout(arg, (0,) * new + tuple(kept), offset)
    if primitive is SLICE:
        start = sum(s * stride for (s, _, _), stride in zip(arg, strides, strict=True))
        moved = tuple(step * stride for (_, step, _), stride in zip(arg, strides, strict=True))
        return Layout(tuple(size for _, _, size in arg), moved, offset + start)
    if primitive is AS_STRIDED:
        new_shape, new_strides, new_offset = arg
        step = strides[0] if strides else 1
        return Layout(new_shape, tuple(s * step for s in new_strides), offset + new_offset * step)
    if primitive is AFFINE:
        return _affine_layout(layout, arg)
    return layout if primitive is BARRIER else None


def _affine_layout(layout: Layout, arg: Any) -> Layout:
    shape, rows = arg
    strides, offset = [0] * len(shape), layout.offset
    for (start, steps), stride in zip(rows, layout.strides, strict=True):
        offset += start * stride
        strides = [known + step * stride for known, step in zip(strides, steps, strict=True)]
    return Layout(shape, tuple(strides), offset)


def _reshaped_strides(layout: Layout, target: Shape) -> tuple[int, ...] | None:
    """Strides of a reshape that copies nothing, as ``torch.Tensor.view`` finds them, or None."""
    if 0 in layout.shape:
        return contiguous_strides(target)
    # Merge the source into runs of axes that are contiguous among themselves: (elements, inner
    # stride).
    runs: list[tuple[int, int]] = []
    for size, stride in zip(layout.shape, layout.strides, strict=True):
        if size == 1:
            continue
        if runs and runs[-1][1] == size * stride:
            runs[-1] = (runs[-1][0] * size, stride)
        else:
            runs.append((size, stride))
    result: list[int] = []
    position = len(runs) - 1
    left, step = runs[position] if runs else (1, 1)
    for size in reversed(target):
        if left == 1 and size != 1 and position > 0:
            position -= 1
            left, step = runs[position]
        if left % size:
            return None
        result.append(step)
        left //= size
        step *= size
    return tuple(reversed(result))


@lru_cache(SHAPES_REMEMBERED)
def path_layout(shape: Shape, path: tuple[Move, ...]) -> Layout | None:
    """The layout of the view that `path` makes of contiguous memory of `shape`, or None."""
    layout: Layout | None = contiguous_layout(shape)
    for move in path:
        if layout is None:
            return None
        layout = moved_strides(layout, move)
    return None if layout is None else _of_ints(layout)


def _of_ints(layout: Layout) -> Layout:
    """`layout` for all who ask with equal numbers, of whom some may have those of NumPy.

    Sizes that are not fixed yet (sizes.py) stay: as a number, one would be fixed.
    """
    shape, strides, offset = layout
    return Layout(tuple(map(_plain, shape)), tuple(map(_plain, strides)), _plain(offset))


def _plain(number: int) -> int:
    return int(number) if isinstance(number, np.integer) else number


def move_array(array: np.ndarray[Any, Any], move: Move) -> np.ndarray[Any, Any]:
    """The NumPy form: a view of `array` where NumPy can give one, else a copy."""
    primitive, arg = move
    if primitive is RESHAPE:
        return array.reshape(arg)
    if primitive is PERMUTE:
        return array.transpose(arg)
    if primitive is EXPAND:
        return np.broadcast_to(array, arg) if array.shape != arg else array
    if primitive is PAD:
        return np.pad(array, arg) if array.ndim else array
    if primitive is AS_STRIDED:
        shape, strides, offset = arg
        inner = array.strides[0] if array.ndim else array.itemsize
        start = array[offset:] if math.prod(shape) else array[:0]
        return np.lib.stride_tricks.as_strided(start, shape, tuple(s * inner for s in strides))
    if primitive is AFFINE:
        moved = _affine_layout(Layout(array.shape, array.strides, 0), arg)
        first = (*[slice(start, None) for start, _ in arg[1]], ...)
        start = array[first] if math.prod(moved.shape) else array
        return np.lib.stride_tricks.as_strided(start, moved.shape, moved.strides)
    if primitive is BARRIER:
        return array
    index = []
    for start, step, size in arg:
        stop: int | None = start + step * size
        if size == 0:
            index.append(slice(0, 0, 1))
        else:
            index.append(slice(start, None if stop is not None and stop < 0 else stop, step))
    return array[(*index, ...)]  # the ellipsis keeps a 0-dimensional result an array
