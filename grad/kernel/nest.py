"""Write the loops of a group: pointwise values, and reductions, over rows or in lanes.

What is decided here is the order of loops: which axes number the rows that threads share, and along
which variable elements lie side by side in lanes. `lower.py` takes the cheapest of the candidates.
Long reductions with few results are cut into chunks whose partial results a second phase combines;
the cut depends on the shapes alone, so results are the same on any number of threads. Reductions
of one domain that share a kernel (`Group.siblings`) are accumulated in the same loops.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from grad.graph.index import Index, add, const, scale
from grad.graph.positions import Position, flatten, unflatten
from grad.graph.primitives import AFFINE, AS_STRIDED, PERMUTE, Kind
from grad.graph.sizes import hint, is_fixed, is_multiple, is_one
from grad.kernel.ir import Statement
from grad.kernel.parts import FEW_COLUMNS, column_chunk, combined, make_parts
from grad.kernel.tiles import tiled
from grad.kernel.writer import Writer
from grad.schedule.demand import Group
from grad.schedule.facts import root_variables
from grad.schedule.program import Program

# A reduction is cut into chunks when it has fewer results than FEW_RESULTS and more elements than
# LONG.
FEW_RESULTS = 64
LONG = 32768
CHUNK = 16384
# Shorter loops cost more than the division that finds rows and columns in one number.
SHORTEST_ROW = 12

Candidate = tuple[Writer, list[list[Statement]]]


@dataclass(frozen=True, slots=True)
class Form:
    """One way to lay out the loops.

    Attributes:
        lanes: number of trailing row axes that form the vector loop; 0: the loops inside a row do.
        flat: whether the axes inside a row become one loop.
        outer: whether the reduced axes that local reductions have as rows form the vector loop.
    """

    lanes: int
    flat: bool
    outer: bool = False

    @property
    def inside(self) -> bool:
        """Whether the loops inside a row run in lanes."""
        return self.lanes == 0 and not self.outer


def _forms(rows: int, reduces: bool, outer: bool) -> Iterator[Form]:
    """The layouts worth trying for `rows` row axes, with or without loops inside a row, and with
    `outer` axes or not.
    """
    if reduces or rows == 0:
        yield Form(0, True)
        yield Form(0, False)
    if outer:
        yield Form(0, False, outer=True)
    for lanes in range(rows, 0, -1):
        yield Form(lanes, True)


def loop_candidates(
    program: Program, group: Group, in_memory: Container[int]
) -> Iterator[Candidate]:
    """All candidates of a group whose root is pointwise, a movement or a reduction."""
    entry = program.entries[group.root]
    variables = root_variables(program, group.root)
    rank = len(entry.shape)
    is_reduction = entry.op.kind is Kind.REDUCE
    chosen = group.rows or frozenset()
    if is_reduction:
        rows = list(range(rank))
        outer = [a for a in range(rank, len(variables)) if variables[a] in chosen]
    else:
        rows = [a for a in range(rank) if variables[a] in chosen] if chosen else list(range(rank))
        outer = []
    inner = [a for a in range(len(variables)) if a not in rows and a not in outer]
    nest = Nest(program, group, in_memory, rows, outer, inner)
    for form in _forms(len(rows), bool(inner or outer or group.local), bool(outer)):
        yield nest.write(form)
    if not (inner or outer or is_reduction):
        yield from nest.tiled()


class Nest:
    """Writes the loops of one group in different forms.

    Args:
        rows: axes of the root that number the rows, outermost. outer: reduced axes of the root that
            local reductions need as rows. inner: the other axes.
    """

    def __init__(
        self,
        program: Program,
        group: Group,
        in_memory: Container[int],
        rows: list[int],
        outer: list[int],
        inner: list[int],
    ) -> None:
        self.program = program
        self.group = group
        self.in_memory = in_memory
        self.rows = rows
        self.outer = outer
        self.inner = inner
        self.entries = program.entries
        self.entry = program.entries[group.root]
        self.results = (group.root, *sorted(group.siblings))
        self.sizes = [v.size for v in root_variables(program, group.root)]
        self.is_reduction = self.entry.op.kind is Kind.REDUCE

    def write(self, form: Form) -> Candidate:
        writer = Writer(
            self.program, self.in_memory, form.flat, form.inside, frozenset(self.group.nesting)
        )
        if not self.is_reduction:
            self.rows_loops(writer, form, lambda position: self.pointwise(writer, form, position))
            return writer, [writer.bodies[0]]
        results = math.prod(self.sizes[a] for a in self.rows)
        reduced = self.outer or self.inner
        length = math.prod(self.sizes[a] for a in reduced)
        whole = hint(math.prod(self.sizes[a] for a in (*self.outer, *self.inner)))
        few = hint(results) < (FEW_COLUMNS if form.lanes else FEW_RESULTS)
        # Every chunk would compute the reductions of its whole row again.
        repeats = bool(self.group.local) and not self.outer
        turns = hint(length)
        each = max(whole // max(turns, 1), self.local_length(), hint(results) if form.lanes else 1)
        if turns * each > LONG and length > 1 and few and not repeats:
            return self.chunked(writer, form, length, each)
        self.rows_loops(writer, form, lambda position: self.whole_reduction(writer, form, position))
        return writer, [writer.bodies[0]]

    def local_length(self) -> int:
        """Elements of the longest row that a local reduction walks."""
        entries = self.entries
        found = (entries[number] for number in self.group.local)
        lengths = (math.prod(entries[e.src[0]].shape[a] for a in e.arg) for e in found)
        return max(map(hint, lengths), default=1)

    def tiled(self) -> Iterator[Candidate]:
        """The loops in tiles, when something is read across."""
        ops = {self.entries[number].op for number in self.group.inlined}
        if not ops & {PERMUTE, AS_STRIDED, AFFINE}:
            return
        make = partial(Writer, self.program, self.in_memory)
        for writer in tiled(make, self.entry, self.store_all):
            yield writer, [writer.bodies[0]]

    # -- rows --------------------------------------------------------------------------------------
    def rows_loops(
        self,
        writer: Writer,
        form: Form,
        body: Callable[[Position], None],
        before: Sequence[int] = (),
    ) -> None:
        """Open the parallel loop (and the loop in lanes) over the rows and write `body` inside.

        `before` are sizes of loops to put in front, whose indices come first in the position.
        """
        shape = (*before, *(self.sizes[a] for a in self.rows))
        cut = len(shape) - form.lanes
        front, back = shape[:cut], shape[cut:]
        if not form.lanes:
            with writer.loop(math.prod(shape), parallel=True) as index:
                body(unflatten(index, shape))
        elif is_one(math.prod(front)):
            with writer.loop(math.prod(back), parallel=True, vector=True) as index:
                body((*unflatten(const(0), front), *unflatten(index, back)))
        else:
            with (
                writer.loop(math.prod(front), parallel=True) as outer,
                writer.loop(math.prod(back), vector=True) as index,
            ):
                body((*unflatten(outer, front), *unflatten(index, back)))

    def place(self, groups: Sequence[tuple[Sequence[int], Sequence[Index]]]) -> tuple[Index, ...]:
        """Indices of all axes in order, from (axes, indices) pairs."""
        found = {
            axis: index
            for axes, indices in groups
            for axis, index in zip(axes, indices, strict=True)
        }
        return tuple(found[axis] for axis in range(len(self.sizes)))

    # -- pointwise roots ---------------------------------------------------------------------------
    def pointwise(self, writer: Writer, form: Form, position: Position) -> None:
        """Row values first, then the elements of the row."""
        if not self.inner:
            self.store_all(writer, self.place([(self.rows, position)]))
            return
        with writer.axes_loops([self.sizes[a] for a in self.inner], form.inside) as inner:
            self.store_all(writer, self.place([(self.rows, position), (self.inner, inner)]))
        self.store_rows(writer, position)

    def is_row_value(self, number: int) -> bool:
        """Whether the stored entry `number` is a reduction of rows, or made of such."""
        entry = self.entries[number]
        smaller = math.prod(entry.shape) < math.prod(self.entry.shape)
        return number != self.group.root and (entry.op.kind is Kind.REDUCE or smaller)

    def store_all(self, writer: Writer, position: Position) -> None:
        """Store the root at `position`, and what is stored along with it."""
        root = self.group.root
        entries = self.entries
        for number in self.group.stored:
            entry = entries[number]
            if self.is_row_value(number) and (self.inner or self.outer):
                continue
            here = flatten(position[: len(self.entry.shape)], self.entry.shape)
            asked = position[: len(entry.shape)] if number == root else unflatten(here, entry.shape)
            value = writer.value(number, asked)
            memory = writer.parameter("memory", number, entry.dtype, written=True)
            writer.store(memory, flatten(asked, entry.shape), value)

    def store_rows(self, writer: Writer, rows: Position) -> None:
        """Store the row values that somebody else reads, once a row."""
        for number in self.group.stored:
            entry = self.entries[number]
            if self.is_row_value(number):
                index = flatten(rows, tuple(self.sizes[a] for a in self.rows))
                value = writer.value(number, unflatten(index, entry.shape))
                memory = writer.parameter("memory", number, entry.dtype, written=True)
                writer.store(memory, index, value)

    # -- reduction roots ---------------------------------------------------------------------------
    def accumulators(self, writer: Writer) -> list[int]:
        """An accumulator for each of the reductions."""
        return [writer.accumulator(self.entries[n].op, self.entry.dtype) for n in self.results]

    def accumulate(
        self, writer: Writer, totals: Sequence[int], kept: Position, reduced: Position
    ) -> None:
        """Add the elements at `reduced` to the totals of the results at `kept`."""
        for number, total in zip(self.results, totals, strict=True):
            writer.accumulate(total, number, writer.merged(number, kept, reduced))

    def whole_reduction(self, writer: Writer, form: Form, position: Position) -> None:
        """All of the reduction for one result."""
        totals = self.accumulators(writer)
        if self.outer:
            shape = tuple(self.sizes[a] for a in self.outer)
            with writer.axes_loops(shape, form.outer) as outer:
                self.reduce_rest(writer, form, totals, position, outer)
        else:
            self.reduce_rest(writer, form, totals, position, ())
            self.store_rows(writer, position)
        self.store_results(writer, totals, flatten(position, self.entry.shape))

    def store_results(self, writer: Writer, totals: Sequence[int], index: Index) -> None:
        for number, total in zip(self.results, totals, strict=True):
            memory = writer.parameter("memory", number, self.entry.dtype, written=True)
            writer.store(memory, index, total)

    def reduce_rest(
        self,
        writer: Writer,
        form: Form,
        totals: Sequence[int],
        rows: Position,
        outer: Position,
    ) -> None:
        """Accumulate over the inner axes at fixed rows and outer axes."""
        rank = len(self.rows)

        def step(inner: Position) -> None:
            position = self.place([(self.rows, rows), (self.outer, outer), (self.inner, inner)])
            self.accumulate(writer, totals, position[:rank], position[rank:])

        if self.inner:
            with writer.axes_loops([self.sizes[a] for a in self.inner], form.inside) as inner:
                step(inner)
        else:
            step(())
        if self.outer:
            self.store_rows_of_outer(writer, rows, outer)

    def store_rows_of_outer(self, writer: Writer, rows: Position, outer: Position) -> None:
        """Store the reductions that somebody else reads, once for each row and outer index."""
        sizes = tuple(self.sizes[a] for a in (*self.rows, *self.outer))
        index = flatten((*rows, *outer), sizes)
        for number in self.group.stored:
            if number not in self.results:
                entry = self.entries[number]
                value = writer.value(number, unflatten(index, entry.shape))
                memory = writer.parameter("memory", number, entry.dtype, written=True)
                writer.store(memory, index, value)

    def chunked(self, writer: Writer, form: Form, length: int, each: int) -> Candidate:
        """Two phases: partial results of chunks of the reduced axes, then their combination.

        Chunks are of the axes that make up `length`, or, in loops that are not flat, of all of
        these but the last one.
        """
        cut, last = self.outer or self.inner, []
        if not form.flat and len(cut) > 1 and hint(self.sizes[cut[-1]]) >= SHORTEST_ROW:
            cut, last = cut[:-1], cut[-1:]
            each *= hint(self.sizes[last[0]])
            length = math.prod(self.sizes[a] for a in cut)
        chunk = column_chunk(each) if form.lanes else max(CHUNK // each, 1)
        count = -(-length // chunk)
        shape = tuple(self.sizes[a] for a in self.rows)
        results = math.prod(shape)
        sizes = tuple(self.sizes[a] for a in cut)
        reductions = [(number, self.entries[number].op) for number in self.results]
        parts = make_parts(writer, self.entry.dtype, reductions, count, results)

        def partial(position: Position) -> None:
            part, rows = position[0], position[1:]
            totals = self.accumulators(writer)

            def element(found: Position) -> None:
                if self.outer:
                    self.reduce_rest(writer, form, totals, rows, found)
                else:
                    where, rank = self.place([(self.rows, rows), (self.inner, found)]), len(rows)
                    self.accumulate(writer, totals, where[:rank], where[rank:])

            start = scale(part, chunk)
            whole = is_multiple(length, chunk)
            limit = None if whole else add(scale(start, -1), length)
            vector = form.outer if self.outer else form.inside
            turns = min(chunk, length) if is_fixed(length) else chunk
            with writer.loop(turns, vector=vector and not last, limit=limit) as index:
                found = unflatten(add(start, index), sizes)
                if last:
                    with writer.axes_loops([self.sizes[a] for a in last], vector) as inner:
                        element((*found, *inner))
                else:
                    element(found)
            result = flatten(rows, shape)
            for place, total in enumerate(totals):
                writer.store(parts.temporary, parts.index(place, part, result), total)

        self.rows_loops(writer, form, partial, before=(count,))
        first = writer.bodies[0]
        return writer, [first, combined(writer, parts)]
