"""Rows walked once, for values of each row and for sums over the rows.

Where a kernel stores a value for each element of a matrix and sums over its rows as well
(`schedule/columns.py`), the rows are cut into chunks, as those of any sum of columns (`parts.py`).
The sums of a chunk are in memory that stays in the cache: each row is added to them as it is
computed.
"""

from __future__ import annotations

import math
from collections.abc import Container

from grad.graph.index import Index, add, scale
from grad.graph.positions import Position, flatten, unflatten
from grad.graph.primitives import COMBINE, Kind, identity
from grad.kernel.ir import Statement
from grad.kernel.parts import Parts, column_chunk, combined, make_parts
from grad.kernel.writer import Writer
from grad.schedule.demand import Group
from grad.schedule.program import Program


def walks_rows_once(program: Program, group: Group) -> bool:
    """Whether `group` stores values of a domain and sums over the rows of it."""
    is_reduction = program.entries[group.root].op.kind is Kind.REDUCE
    return bool(group.along if is_reduction else group.siblings)


def lower_columns(
    program: Program, group: Group, in_memory: Container[int]
) -> tuple[Writer, list[list[Statement]]]:
    """The two phases of a group that `walks_rows_once`."""
    writer = Writer(program, in_memory, nesting=frozenset(group.nesting))
    return writer, _Columns(program, group, writer).phases()


class _Columns:
    def __init__(self, program: Program, group: Group, writer: Writer) -> None:
        self.entries = entries = program.entries
        self.group, self.writer = group, writer
        self.sums = sorted(
            n
            for n in (*group.siblings, group.root)
            if entries[n].op.kind is Kind.REDUCE and n not in group.local
        )
        first = entries[self.sums[0]]
        domain = entries[first.src[0]].shape
        self.dtype = first.dtype
        self.row_shape = domain[: len(first.arg)]
        self.column_shape = domain[len(first.arg) :]
        self.length, self.results = math.prod(self.row_shape), math.prod(self.column_shape)

    def phases(self) -> list[list[Statement]]:
        writer, length = self.writer, self.length
        chunk = column_chunk(self.results)
        count = -(-length // chunk)
        reductions = [(number, self.entries[number].op) for number in self.sums]
        parts = make_parts(writer, self.dtype, reductions, count, self.results)
        with writer.loop(count, parallel=True) as part:
            self.begin(parts, part)
            start = scale(part, chunk)
            limit = add(scale(start, -1), length) if length % chunk else None
            with writer.loop(min(chunk, length), limit=limit) as step:
                self.row(parts, part, unflatten(add(start, step), self.row_shape))
        first = writer.bodies[0]
        return [first, combined(writer, parts)]

    def begin(self, parts: Parts, part: Index) -> None:
        """All sums of a chunk start from nothing."""
        writer = self.writer
        with writer.loop(self.results, vector=True) as column:
            for place, (_, op) in enumerate(parts.reductions):
                nothing = writer.number(identity(op, self.dtype), self.dtype)
                writer.store(parts.temporary, parts.index(place, part, column), nothing)

    def row(self, parts: Parts, part: Index, row: Position) -> None:
        """Store the values of a row, and add what is summed to the sums of the chunk."""
        writer, entries = self.writer, self.entries
        with writer.loop(self.results, vector=True) as column:
            position = (*row, *unflatten(column, self.column_shape))
            here = flatten(position, (*self.row_shape, *self.column_shape))
            for number in self.stored(whole=True):
                self.store(number, here)
            for place, (number, op) in enumerate(parts.reductions):
                value = writer.value(entries[number].src[0], position)
                index = parts.index(place, part, column)
                before = writer.load(parts.temporary, index, self.dtype)
                after = writer.let(COMBINE[op], (before, value), self.dtype)
                writer.store(parts.temporary, index, after)
        for number in self.stored(whole=False):
            self.store(number, flatten(row, self.row_shape))

    def stored(self, whole: bool) -> list[int]:
        """The entries with a value for each element that the group stores, or those with one for
        each row.
        """
        size = self.length * (self.results if whole else 1)
        others = (n for n in self.group.stored if n not in self.sums)
        return [n for n in others if math.prod(self.entries[n].shape) == size]

    def store(self, number: int, index: Index) -> None:
        """Store entry `number` at `index` of its memory."""
        entry = self.entries[number]
        value = self.writer.value(number, unflatten(index, entry.shape))
        memory = self.writer.parameter("memory", number, entry.dtype, written=True)
        self.writer.store(memory, index, value)
