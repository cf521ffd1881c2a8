"""Loops of running reductions: `cumsum` and its relatives.

Three ways, of which `lower.py` keeps the cheapest: along the axis in lanes, where the reduction may
combine the lanes of a vector before what came before them; rows side by side in lanes, each with
its own accumulator; and row after row of a matrix, each combined with the results so far, which
are in scratch, so that memory is walked in long runs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterator
from contextlib import ExitStack
from functools import partial

from grad.graph.index import Index, add, const, scale
from grad.graph.positions import Position, flatten, unflatten
from grad.graph.primitives import ADD, COMBINE, MAXIMUM, MINIMUM, Primitive
from grad.kernel.ir import Accumulate, Load, Running, Statement
from grad.kernel.writer import Writer
from grad.schedule.demand import Group
from grad.schedule.program import Program

Candidate = tuple[Writer, list[list[Statement]]]

_REDUCTION_OF: dict[Primitive, Primitive] = {
    combine: reduction for reduction, combine in COMBINE.items()
}
# Products of many factors leave the range of floats where those so far and the next do not.
_IN_LANES = (ADD, MAXIMUM, MINIMUM)
# Elements of a row that a thread takes at a time; their results so far stay in its first cache.
ROW_BLOCK = 1024
SHORTEST_ROW = 64


def lower_scan(program: Program, group: Group, in_memory: Container[int]) -> Iterator[Candidate]:
    """All ways to write the scan of `group`."""
    nest = _Scan(program, group)
    yield nest.written(nest.in_order, in_memory)
    behind = len(nest.shape) - 1 - nest.axis
    in_rows = math.prod(nest.shape[nest.axis + 1 :]) >= SHORTEST_ROW and nest.length > 1
    for lanes in range(1, len(nest.rows) + 1):
        if in_rows and lanes == behind:
            yield nest.written(nest.row_after_row, in_memory)
        else:
            yield nest.written(partial(nest.side_by_side, lanes=lanes), in_memory)


class _Scan:
    """One scan, to be written in different ways."""

    def __init__(self, program: Program, group: Group) -> None:
        self.program = program
        self.root = group.root
        self.entry = program.entries[group.root]
        self.op, self.axis, self.backwards = self.entry.arg
        self.shape = self.entry.shape
        self.length = self.shape[self.axis]
        self.rows = tuple(size for a, size in enumerate(self.shape) if a != self.axis)

    def written(self, write: Callable[[Writer], None], in_memory: Container[int]) -> Candidate:
        writer = Writer(self.program, in_memory)
        write(writer)
        return writer, [writer.bodies[0]]

    def position(self, row: Position, step: Index) -> Position:
        """Where the scan is after `step` elements of `row`."""
        backwards = self.backwards and self.length > 0
        place = add(scale(step, -1), self.length - 1) if backwards else step
        return (*row[: self.axis], place, *row[self.axis :])

    def source(self, writer: Writer, position: Position) -> int:
        return writer.value(self.entry.src[0], position)

    def memory(self, writer: Writer) -> int:
        return writer.parameter("memory", self.root, self.entry.dtype, written=True)

    def store(self, writer: Writer, position: Position, value: int) -> None:
        writer.store(self.memory(writer), flatten(position, self.shape), value)

    def in_order(self, writer: Writer) -> None:
        """Rows are shared by threads; a row is walked in lanes, or one by one."""
        dtype = self.entry.dtype
        with writer.loop(math.prod(self.rows), parallel=True) as outer:
            row = unflatten(outer, self.rows)
            accumulator = writer.accumulator(_REDUCTION_OF[self.op], dtype)
            with writer.loop(self.length, vector=self.op in _IN_LANES) as step:
                position = self.position(row, step)
                operand = self.source(writer, position)
                level = len(writer.bodies) - 1
                value = writer.fresh_value(level)
                writer.emit(Running(value, accumulator, operand, dtype), level)
                self.store(writer, position, value)

    def side_by_side(self, writer: Writer, lanes: int) -> None:
        """The last `lanes` axes of the rows are in lanes, with an accumulator each."""
        cut = len(self.rows) - lanes
        front, back = self.rows[:cut], self.rows[cut:]
        with ExitStack() as loops:
            outer: Index = const(0)
            parallel = math.prod(front) == 1
            if not parallel:
                outer = loops.enter_context(writer.loop(math.prod(front), parallel=True))
            inner = loops.enter_context(
                writer.loop(math.prod(back), vector=True, parallel=parallel)
            )
            row = (*unflatten(outer, front), *unflatten(inner, back))
            accumulator = writer.accumulator(_REDUCTION_OF[self.op], self.entry.dtype)
            with writer.loop(self.length) as step:
                position = self.position(row, step)
                operand = self.source(writer, position)
                writer.emit(Accumulate(accumulator, operand), len(writer.bodies) - 1)
                self.store(writer, position, accumulator)

    def row_after_row(self, writer: Writer) -> None:
        """Blocks of the axes behind are shared by threads; each step adds to the one before."""
        front, back = self.shape[: self.axis], self.shape[self.axis + 1 :]
        size = math.prod(back)
        block = min(ROW_BLOCK, size)
        parts = (math.prod(front), -(-size // block))
        so_far = writer.scratch(block, self.entry.dtype)
        with writer.loop(math.prod(parts), parallel=True) as item:
            outer, part = unflatten(item, parts)
            start = scale(part, block)
            limit = add(scale(start, -1), size) if size % block else None

            def row(inner: Index) -> Position:
                return (*unflatten(outer, front), *unflatten(add(start, inner), back))

            with writer.loop(block, vector=True, limit=limit) as inner:
                position = self.position(row(inner), const(0))
                value = self.source(writer, position)
                self.store(writer, position, value)
                writer.store(so_far, inner, value)
            with (
                writer.loop(self.length - 1) as step,
                writer.loop(block, vector=True, limit=limit) as inner,
            ):
                level = len(writer.bodies) - 1
                before = writer.fresh_value(level)
                writer.emit(Load(before, so_far, inner, self.entry.dtype), level)
                position = self.position(row(inner), add(step, 1))
                operand = self.source(writer, position)
                value = writer.let(self.op, (before, operand), self.entry.dtype)
                self.store(writer, position, value)
                writer.store(so_far, inner, value)
