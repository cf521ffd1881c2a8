"""Loops in tiles, for kernels that read along two axes at once, such as ``x.T + y``.

Whichever axis of a transposing kernel is innermost, some access jumps from one cache line to the
next. In a tile of a few rows and columns all lines that are touched stay in the first-level cache
until they have been used up. `lower.py` tries this form beside the others when `tile_axis` finds
an axis to tile with.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from grad.graph.index import Index, Variable, add, scale
from grad.graph.movement import Shape
from grad.graph.positions import Position, unflatten
from grad.kernel.ir import Load, Loop, Statement, Store
from grad.kernel.writer import Writer

# A line of 64 bytes has 16 floats, so 16 rows use it up; 64 columns are a few vectors, and as many
# lines.
TILE_ROWS = 16
TILE_COLUMNS = 64
# Smaller results are in the first-level cache anyway.
SMALLEST = 4096

Body = Callable[[Writer, Position], None]


def tile_axis(writer: Writer, shape: Shape, body: Body) -> int | None:
    """The axis along which an access runs that jumps along the last axis; None if there is none.

    Args:
        writer: a fresh one; what it writes is only looked at.
    """
    if len(shape) < 2 or math.prod(shape) < SMALLEST or shape[-1] < TILE_ROWS:
        return None
    variables: list[Variable] = []
    with ExitStack() as loops:
        position = []
        for size in shape:
            position.append(loops.enter_context(writer.loop(size)))
            variables.append(next(reversed(writer.variable_levels)))
        body(writer, tuple(position))
    for index in _accesses(writer.bodies[0]):
        if index.coefficient(variables[-1]) not in (0, 1):
            for axis in range(len(shape) - 1):
                if shape[axis] > 1 and index.coefficient(variables[axis]) in (1, -1):
                    return axis
    return None


def _accesses(statements: list[Statement]) -> Iterator[Index]:
    stack = list(statements)
    while stack:
        statement = stack.pop()
        if isinstance(statement, Loop):
            stack.extend(statement.body)
        elif isinstance(statement, Load | Store):
            yield statement.index


def tiled_loops(writer: Writer, shape: Shape, axis: int, body: Body) -> None:
    """Write `body` for all positions of `shape`, tile by tile of `axis` and the last axis."""
    rows, columns = shape[axis], shape[-1]
    others = tuple(size for a, size in enumerate(shape[:-1]) if a != axis)
    blocks = (*others, -(-rows // TILE_ROWS))
    with writer.loop(math.prod(blocks), parallel=True) as block:
        *outer, part = unflatten(block, blocks)
        with (
            writer.loop(-(-columns // TILE_COLUMNS)) as strip,
            _part(writer, rows, TILE_ROWS, part, vector=False) as row,
            _part(writer, columns, TILE_COLUMNS, strip, vector=True) as column,
        ):
            body(writer, (*outer[:axis], row, *outer[axis:], column))


@contextmanager
def _part(writer: Writer, size: int, step: int, part: Index, vector: bool) -> Iterator[Index]:
    """A loop over the `part`-th `step` elements of `size`; yields the element's number."""
    start = scale(part, step)
    limit = add(scale(start, -1), size) if size % step else None
    with writer.loop(min(step, size), vector=vector, limit=limit) as index:
        yield add(start, index)
