"""Turn a Group into a Kernel.

A group's root says which elements there are; `writer.py` answers what they are. What is decided
here is the order of loops: which axes number the rows that threads share, and along which variable
elements lie side by side in lanes. Each way is written out and priced (`cost.py`), and the cheapest
is kept.
Long reductions with few results are cut into chunks whose partial results a second phase combines;
the cut depends on the shapes alone, so results are the same on any number of threads. Named
operations are in `lower_named.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from grad.graph.index import Index, add, const, scale
from grad.graph.positions import Position, flatten, unflatten
from grad.graph.primitives import (
    AS_STRIDED,
    BUFFER,
    CONTRACT,
    CONVOLVE,
    CONVOLVE_WEIGHT,
    PERMUTE,
    SCAN,
    SCATTER,
    UPDATE,
    Kind,
)
from grad.kernel.cost import kernel_cost
from grad.kernel.ir import Accumulate, Kernel, Statement
from grad.kernel.keep import keep_values
from grad.kernel.lower_attention import lower_attention
from grad.kernel.lower_convolution import lower_convolution, lower_convolution_weight
from grad.kernel.lower_named import lower_contraction, lower_scan, lower_scatter, lower_update
from grad.kernel.streams import stream_stores
from grad.kernel.tiles import tiled
from grad.kernel.writer import InMemory, Writer
from grad.schedule.demand import Group, Grouping
from grad.schedule.facts import PARTED, root_variables
from grad.schedule.program import Program

# A reduction is cut into chunks when it has fewer results than FEW_RESULTS and more elements than
# LONG.
FEW_RESULTS = 64
LONG = 32768
CHUNK = 16384


Candidate = tuple[Writer, list[list[Statement]]]

PRODUCTS = {CONTRACT: lower_contraction, CONVOLVE: lower_convolution}
NAMED = {
    SCATTER: lower_scatter,
    UPDATE: lower_update,
    CONVOLVE_WEIGHT: lower_convolution_weight,
    **dict.fromkeys(PARTED, lower_attention),
}


@dataclass(frozen=True, slots=True)
class Lowered:
    """A kernel and what to hand it.

    Attributes:
        kernel: the IR.
        bindings: for each parameter what it is: ("memory" | "scalar", entry), ("temporary",
            elements) or ("scratch", parameter).
    """

    kernel: Kernel
    bindings: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class Form:
    """One way to lay out the loops.

    Attributes:
        lanes: number of trailing row axes that form the vector loop; 0: the loops inside a row do.
        flat: whether the axes inside a row become one loop.
    """

    lanes: int
    flat: bool


def lower_all(program: Program, grouping: Grouping) -> list[Lowered]:
    """The kernels of all groups, in order."""
    buffers = (number for number, entry in enumerate(program.entries) if entry.op is BUFFER)
    everywhere = frozenset(grouping.home).union(buffers)
    return [
        lower(program, group, InMemory(everywhere, frozenset(group.stored)))
        for group in grouping.groups
    ]


def lower(program: Program, group: Group, in_memory: Container[int]) -> Lowered:
    """The kernel of `group`, which reads the entries `in_memory` and computes the others."""
    root = program.entries[group.root]
    if group.contraction is not None:
        lower_product = PRODUCTS[program.entries[group.contraction].op]
        writer, phases = lower_product(program, group, in_memory)
    elif root.op in NAMED:
        writer, phases = NAMED[root.op](program, group, in_memory)
    elif root.op is SCAN:
        writer, phases = _cheapest(lower_scan(program, group, in_memory))
    else:
        writer, phases = _cheapest(_loops(program, group, in_memory))
    return finish(program, group, writer, phases)


def finish(
    program: Program, group: Group, writer: Writer, phases: Sequence[Sequence[Statement]]
) -> Lowered:
    parameters = tuple(writer.parameters.values())
    names = [program.entries[n].op.name for n in sorted(group.inlined | {group.root})]
    words = [
        n
        for n in dict.fromkeys(names)
        if n not in ("const", "reshape", "expand", "permute", "argument")
    ]
    size = "x".join(map(str, program.entries[group.root].shape)) or "scalar"
    name = "_".join([*(words[-6:] or ["copy"]), size])
    if group.overwrites is None and group.contraction is None:
        phases = stream_stores(phases, parameters)
    kept = tuple(tuple(phase) for phase in phases)
    return Lowered(Kernel(name, parameters, kept), tuple(writer.parameters))


def _cheapest(candidates: Iterator[Candidate]) -> Candidate:
    """The candidate of least cost; the first of equals."""
    best: Candidate | None = None
    least = math.inf
    for writer, written in candidates:
        phases = [keep_values(writer, phase) for phase in written]
        price = kernel_cost(Kernel("", (), tuple(tuple(p) for p in phases)))
        if price < least:
            best, least = (writer, phases), price
    assert best is not None
    return best


def _forms(rows: int, reduces: bool) -> Iterator[Form]:
    """The layouts worth trying for `rows` row axes, with or without loops inside a row."""
    if reduces or rows == 0:
        yield Form(0, True)
        yield Form(0, False)
    for lanes in range(rows, 0, -1):
        yield Form(lanes, True)


def _loops(program: Program, group: Group, in_memory: Container[int]) -> Iterator[Candidate]:
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
    nest = _Nest(program, group, in_memory, rows, outer, inner)
    for form in _forms(len(rows), bool(inner or outer or group.local)):
        yield nest.write(form)
    if not (inner or outer or is_reduction):
        yield from nest.tiled()


class _Nest:
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
        self.entry = program.entries[group.root]
        self.sizes = [v.size for v in root_variables(program, group.root)]
        self.is_reduction = self.entry.op.kind is Kind.REDUCE

    def write(self, form: Form) -> Candidate:
        writer = Writer(
            self.program, self.in_memory, form.flat, form.lanes == 0, frozenset(self.group.nesting)
        )
        if not self.is_reduction:
            self.rows_loops(writer, form, lambda position: self.pointwise(writer, form, position))
            return writer, [writer.bodies[0]]
        results = math.prod(self.sizes[a] for a in self.rows)
        reduced = self.outer or self.inner
        length = math.prod(self.sizes[a] for a in reduced)
        whole = math.prod(self.sizes[a] for a in (*self.outer, *self.inner))
        few = results < FEW_RESULTS * (256 if form.lanes else 1)
        # Every chunk would compute the reductions of its whole row again.
        repeats = bool(self.group.local) and not self.outer
        each = max(whole // max(length, 1), self.local_length())
        if length * each > LONG and length > 1 and few and not repeats:
            return self.chunked(writer, form, length, each)
        self.rows_loops(writer, form, lambda position: self.whole_reduction(writer, form, position))
        return writer, [writer.bodies[0]]

    def local_length(self) -> int:
        """Elements of the longest row that a local reduction walks."""
        entries = self.program.entries
        found = (entries[number] for number in self.group.local)
        return max((math.prod(entries[e.src[0]].shape[a] for a in e.arg) for e in found), default=1)

    def tiled(self) -> Iterator[Candidate]:
        """The loops in tiles, when something is read across."""
        ops = {self.program.entries[number].op for number in self.group.inlined}
        if not ops & {PERMUTE, AS_STRIDED}:
            return
        make = partial(Writer, self.program, self.in_memory)
        writer = tiled(make, self.entry, self.store_all)
        if writer is not None:
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
        elif math.prod(front) == 1:
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
        with writer.axes_loops([self.sizes[a] for a in self.inner], form.lanes == 0) as inner:
            self.store_all(writer, self.place([(self.rows, position), (self.inner, inner)]))
        self.store_rows(writer, position)

    def store_all(self, writer: Writer, position: Position) -> None:
        """Store the root at `position`, and what is stored along with it."""
        root = self.group.root
        entries = self.program.entries
        for number in self.group.stored:
            entry = entries[number]
            is_row_value = entry.op.kind is Kind.REDUCE and number != root
            if is_row_value and (self.inner or self.outer):
                continue
            here = flatten(position[: len(self.entry.shape)], self.entry.shape)
            asked = position[: len(entry.shape)] if number == root else unflatten(here, entry.shape)
            value = writer.value(number, asked)
            memory = writer.parameter("memory", number, entry.dtype, written=True)
            writer.store(memory, flatten(asked, entry.shape), value)

    def store_rows(self, writer: Writer, rows: Position) -> None:
        """Store the row reductions that somebody else reads, once a row."""
        for number in self.group.stored:
            entry = self.program.entries[number]
            if entry.op.kind is Kind.REDUCE and number != self.group.root:
                index = flatten(rows, tuple(self.sizes[a] for a in self.rows))
                value = writer.value(number, unflatten(index, entry.shape))
                memory = writer.parameter("memory", number, entry.dtype, written=True)
                writer.store(memory, index, value)

    # -- reduction roots ---------------------------------------------------------------------------
    def whole_reduction(self, writer: Writer, form: Form, position: Position) -> None:
        """All of the reduction for one result."""
        root = self.group.root
        accumulator = writer.accumulator(self.entry.op, self.entry.dtype)
        if self.outer:
            shape = tuple(self.sizes[a] for a in self.outer)
            with writer.loop(math.prod(shape)) as index:
                self.reduce_rest(writer, form, accumulator, position, unflatten(index, shape))
        else:
            self.reduce_rest(writer, form, accumulator, position, ())
            self.store_rows(writer, position)
        self.store_result(writer, accumulator, root, position)

    def store_result(self, writer: Writer, value: int, root: int, position: Position) -> None:
        memory = writer.parameter("memory", root, self.entry.dtype, written=True)
        writer.store(memory, flatten(position, self.entry.shape), value)

    def reduce_rest(
        self, writer: Writer, form: Form, accumulator: int, rows: Position, outer: Position
    ) -> None:
        """Accumulate over the inner axes at fixed rows and outer axes."""
        rank = len(self.rows)

        def step(inner: Position) -> None:
            position = self.place([(self.rows, rows), (self.outer, outer), (self.inner, inner)])
            merged = writer.merged(self.group.root, position[:rank], position[rank:])
            writer.accumulate(accumulator, self.group.root, merged)

        if self.inner:
            with writer.axes_loops([self.sizes[a] for a in self.inner], form.lanes == 0) as inner:
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
            if number != self.group.root:
                entry = self.program.entries[number]
                value = writer.value(number, unflatten(index, entry.shape))
                memory = writer.parameter("memory", number, entry.dtype, written=True)
                writer.store(memory, index, value)

    def chunked(self, writer: Writer, form: Form, length: int, each: int) -> Candidate:
        """Two phases: partial results of chunks of the reduced axes, then their combination."""
        chunk = max(CHUNK // max(each, 1), 1) if not form.lanes else max(CHUNK // 64, 1)
        count = -(-length // chunk)
        shape = tuple(self.sizes[a] for a in self.rows)
        results = math.prod(shape)
        entry, root = self.entry, self.group.root
        reduced = self.outer or self.inner
        sizes = tuple(self.sizes[a] for a in reduced)
        temporary = writer.parameter("temporary", count * results, entry.dtype)

        def partial(position: Position) -> None:
            part, rows = position[0], position[1:]
            accumulator = writer.accumulator(entry.op, entry.dtype)
            start = scale(part, chunk)
            limit = add(scale(start, -1), length) if length % chunk else None
            vector = form.lanes == 0 and not self.outer
            with writer.loop(min(chunk, length), vector=vector, limit=limit) as index:
                found = unflatten(add(start, index), sizes)
                if self.outer:
                    self.reduce_rest(writer, form, accumulator, rows, found)
                else:
                    where = self.place([(self.rows, rows), (self.inner, found)])
                    rank = len(self.rows)
                    merged = writer.merged(root, where[:rank], where[rank:])
                    writer.accumulate(accumulator, root, merged)
            writer.store(temporary, add(scale(part, results), flatten(rows, shape)), accumulator)

        self.rows_loops(writer, form, partial, before=(count,))
        first = writer.bodies[0]
        writer.bodies[0] = []
        with writer.loop(results, parallel=True, vector=results > 1) as row:
            accumulator = writer.accumulator(entry.op, entry.dtype)
            with writer.loop(count, vector=results == 1) as part:
                loaded = writer.load(temporary, add(scale(part, results), row), entry.dtype)
                writer.emit(Accumulate(accumulator, loaded), len(writer.bodies) - 1)
            memory = writer.parameter("memory", root, entry.dtype, written=True)
            writer.store(memory, row, accumulator)
        return writer, [first, writer.bodies[0]]
