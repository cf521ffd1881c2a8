"""Positions: where in its source each element of a moved value is.

A position is one index (`index.py`) for each axis. `moved_index` is the index rule of each
movement: it turns "where in the result" into "where in the source", with guards where padding has
no source. The compiler asks with these (`schedule/group.py`, `kernel/writer.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from grad.graph.index import ZERO, Index, add, const, floordiv, mod, scale
from grad.graph.movement import Move, Shape, contiguous_strides
from grad.graph.primitives import (
    AFFINE,
    AS_STRIDED,
    BARRIER,
    EXPAND,
    PAD,
    PERMUTE,
    RESHAPE,
    SLICE,
)
from grad.graph.sizes import is_one

Position = tuple[Index, ...]


def flatten(position: Sequence[Index], shape: Shape) -> Index:
    """Row-major number of the element at `position`."""
    result = ZERO
    for index, stride in zip(position, contiguous_strides(shape), strict=True):
        result = add(result, scale(index, stride))
    return result


def unflatten(index: Index, shape: Shape) -> tuple[Index, ...]:
    """Position of the element with row-major number `index`.

    Along an axis of size 0 it is `index` itself, so that what is read there stays in a loop that
    does not turn.
    """
    strides = contiguous_strides(shape)
    return tuple(
        index
        if size == 0
        else ZERO
        if is_one(size)
        else mod(floordiv(index, stride), size)
        if axis
        else floordiv(index, stride)
        for axis, (size, stride) in enumerate(zip(shape, strides, strict=True))
    )


class Guard(NamedTuple):
    """The condition ``low <= index < high`` under which a value exists."""

    index: Index
    low: int
    high: int


def needed(guard: Guard) -> bool:
    """Whether the guard can fail at all."""
    return guard.index.low < guard.low or guard.index.high >= guard.high


def moved_index(
    move: Move, source: Shape, position: Position
) -> tuple[Position, tuple[Guard, ...]]:
    """Where in the source the element at `position` of the moved value is, and when it is there."""
    primitive, arg = move
    if primitive is RESHAPE:
        return reshaped_position(position, arg, source), ()
    if primitive is PERMUTE:
        moved = [ZERO] * len(arg)
        for axis, original in enumerate(arg):
            moved[original] = position[axis]
        return tuple(moved), ()
    if primitive is EXPAND:
        return broadcast_position(position, source), ()
    if primitive is SLICE:
        return tuple(
            add(scale(index, step), start)
            for index, (start, step, _) in zip(position, arg, strict=True)
        ), ()
    if primitive is PAD:
        guards, moved = [], []
        for index, (before, _), size in zip(position, arg, source, strict=True):
            inside = add(index, -before)
            guard = Guard(inside, 0, size)
            if needed(guard):
                guards.append(guard)
            # Where the guard holds, an axis of one element is at 0; elsewhere nothing is read.
            moved.append(ZERO if size == 1 else inside)
        return tuple(moved), tuple(guards)
    if primitive is BARRIER:
        return position, ()
    if primitive is AFFINE:
        return tuple([_combined(position, start, steps) for start, steps in arg[1]]), ()
    assert primitive is AS_STRIDED
    _, strides, offset = arg
    return (_combined(position, offset, strides),), ()


def _combined(position: Position, start: int, steps: Sequence[int]) -> Index:
    """``start + sum(step * index)``."""
    result = const(start)
    for index, step in zip(position, steps, strict=True):
        result = add(result, scale(index, step))
    return result


def broadcast_position(position: Position, source: Shape) -> Position:
    """Where a value of shape `source` is read when it is broadcast to a larger rank and size."""
    last = position[len(position) - len(source) :]
    return tuple(ZERO if size == 1 else index for index, size in zip(last, source, strict=True))


def reshaped_position(position: Position, shape: Shape, source: Shape) -> Position:
    """Row-major renumbering, done group by group of axes whose products agree."""
    moved: list[Index] = []
    for left, right in matching_groups(shape, source):
        if len(left) == 1 and len(right) == 1:
            moved.append(position[left[0]])
        else:
            flat = flatten([position[a] for a in left], tuple(shape[a] for a in left))
            moved.extend(unflatten(flat, tuple(source[a] for a in right)))
    return tuple(moved)


def matching_groups(first: Shape, second: Shape) -> Iterable[tuple[list[int], list[int]]]:
    """Cut two shapes of equal element count into the smallest runs of axes with equal products."""
    if 0 in first:
        return [(list(range(len(first))), list(range(len(second))))]
    groups: list[tuple[list[int], list[int]]] = []
    a = b = 0
    while a < len(first) or b < len(second):
        left, right = [], []
        product_a = product_b = 1
        if a < len(first):
            left.append(a)
            product_a, a = first[a], a + 1
        if b < len(second):
            right.append(b)
            product_b, b = second[b], b + 1
        while product_a != product_b:
            if product_a < product_b:
                left.append(a)
                product_a, a = product_a * first[a], a + 1
            else:
                right.append(b)
                product_b, b = product_b * second[b], b + 1
        groups.append((left, right))
    return groups
