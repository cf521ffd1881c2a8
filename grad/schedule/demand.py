"""Who wants which value, and where: the book that `group.py` keeps while it cuts a Program.

An ask says that the group of some root wants an entry at some positions, written in the variables
of the root. `take_in` computes an entry inside a group: it passes the asks on to the sources, with
positions rewritten by movements and reductions. No decision is made here.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from grad.graph.index import Variable, dynamic, variable
from grad.graph.movement import Move, Shape
from grad.graph.positions import Position, broadcast_position, moved_index
from grad.graph.primitives import (
    ARGUMENT,
    BUFFER,
    CONTIGUOUS,
    CONTRACT,
    CONVOLVE,
    SCAN,
    TAKE,
    Kind,
)
from grad.schedule.facts import (
    first_parts,
    operand_base,
    over_contraction,
    prices,
    renumbered,
    rows_base,
    strided_base,
    volumes,
)
from grad.schedule.program import Entry, Program
from grad.schedule.prologue import Prologue, find_prologue

# How many entries are looked through for one that two reductions share.
FAR = 64


@dataclass(slots=True)
class Group:
    """One kernel to be: the value it exists for, and what it stores along.

    Attributes:
        root: the entry whose elements the kernel walks over.
        stored: all entries it stores, `root` among them.
        local: reductions computed inside, once for each row.
        rows: the variables of the root that number the rows (of local reductions).
        nesting: local reductions that have others inside, for each of their elements.
        siblings: reductions of the same axes of the same shape, accumulated in the same loops; or,
            if the root is no reduction, sums over the rows of its shape.
        along: of a group that sums over rows: values of all that it sums, stored by the way.
        contraction: a contraction whose epilogue this group is, if any.
        inlined: all entries computed inside.
        overwrites: the entry whose memory an update or scatter writes into, rather than into a
            copy.
        prologues: how operands of `contraction` are computed that are not read as they are.
    """

    root: int
    stored: list[int] = field(default_factory=list)
    local: set[int] = field(default_factory=set)
    rows: frozenset[Variable] | None = None
    nesting: set[int] = field(default_factory=set)
    siblings: set[int] = field(default_factory=set)
    along: set[int] = field(default_factory=set)
    contraction: int | None = None
    inlined: set[int] = field(default_factory=set)
    overwrites: int | None = None
    prologues: dict[int, Prologue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Grouping:
    """The groups in an order in which they can run.

    Attributes:
        groups: sorted by root, which is an order of execution.
        aliases: entry -> entry whose memory it shares (a plain renumbering).
        home: stored entry -> root of the group that stores it.
    """

    groups: tuple[Group, ...]
    aliases: dict[int, int]
    home: dict[int, int]


class Demand:
    """The state of the cut: what is asked for, what must be stored, the groups so far."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.entries = program.entries
        self.asks: list[dict[int, set[Position]]] = [{} for _ in program.entries]
        self.wanted_global: set[int] = set()
        self.first_reader: dict[int, int] = {}
        self.groups: dict[int, Group] = {}
        self.home: dict[int, int] = {}
        self.aliases: dict[int, int] = {}
        # Outputs are read by whoever asked for them.
        self.readers = Counter(source for entry in program.entries for source in entry.src)
        self.readers.update(program.outputs)
        self.over_contraction = over_contraction(program, self.readers)
        self.first_part = first_parts(program)
        self.prices = list(prices(program))
        self.volumes = list(volumes(program))

    def want_memory(self, number: int, reader: int | None = None) -> None:
        """Entry `number` must be in memory (before group `reader`): itself, or what it only
        renumbers.
        """
        plain = renumbered(self.program, number)
        if plain != number:
            self.aliases[number] = plain
            number = plain
        if self.entries[number].op is not BUFFER:
            self.wanted_global.add(number)
            if reader is not None:
                self.first_reader[number] = min(reader, self.first_reader.get(number, reader))

    def ask(self, root: int, number: int, position: Position) -> None:
        self.asks[number].setdefault(root, set()).add(position)

    def take_in(self, root: int, number: int, positions: set[Position]) -> None:
        """Compute entry `number` inside the group of `root`: pass the asks on to its sources."""
        entry = self.entries[number]
        group = self.groups[root]
        group.inlined.add(number)
        op = entry.op
        for position in positions:
            if op.kind is Kind.POINTWISE:
                for source in entry.src:
                    self.ask(root, source, broadcast_position(position, self.entries[source].shape))
            elif op.kind is Kind.MOVEMENT:
                source = entry.src[0]
                moved, _ = moved_index(Move(op, entry.arg), self.entries[source].shape, position)
                self.ask(root, source, moved)
            elif op.kind is Kind.REDUCE:
                self.ask(root, entry.src[0], self.reduced_position(number, position))
            elif op is TAKE:
                self.ask_take(root, number, position)
            elif op is CONTIGUOUS or op is SCAN:
                self.ask(root, entry.src[0], position)

    def reduced_position(self, number: int, position: Position) -> Position:
        entry = self.entries[number]
        kept = iter(position)
        return tuple(
            variable(f"k{number}_{axis}", size) if axis in entry.arg else next(kept)
            for axis, size in enumerate(self.entries[entry.src[0]].shape)
        )

    def ask_take(self, root: int, number: int, position: Position) -> None:
        entry = self.entries[number]
        source, *indices = entry.src
        moved = list(position)
        for axis, index in zip(entry.arg, indices, strict=True):
            self.ask(root, index, broadcast_position(position, self.entries[index].shape))
            moved[axis] = dynamic(-1 - index, self.entries[source].shape[axis])
        self.ask(root, source, broadcast_position(tuple(moved), self.entries[source].shape))

    def reads_alike(self, root: int, wanted: Sequence[int], shape: Shape) -> bool:
        """Whether the group of `root` asks for something of the size of `shape` that computing the
        entries `wanted` would ask for as well.
        """
        pending = list(wanted)
        size = math.prod(shape)
        seen: set[int] = set()
        while pending:
            below = pending.pop()
            if below in seen or len(seen) > FAR:
                continue
            seen.add(below)
            entry = self.entries[below]
            if root in self.asks[below] and math.prod(entry.shape) == size:
                return True
            if entry.op.kind in (Kind.POINTWISE, Kind.MOVEMENT) and below not in self.home:
                pending.extend(entry.src)
        return False

    def want_operands(self, root: int, entry: Entry) -> None:
        """A contraction reads its operands from memory: the buffer below affine views (and, for
        matrix products, a cast or a little arithmetic), or a copy. A convolution reads its weight
        once, to pack it: what the weight is made of is computed there.
        """
        sources = [s for which, s in enumerate(entry.src) if not self.computes(root, entry, which)]
        if entry.op is CONVOLVE:
            *sources, weight = sources
            sizes = enumerate(self.entries[weight].shape)
            self.ask(root, weight, tuple(variable(f"w{axis}", size) for axis, size in sizes))
        view = operand_base if entry.op is CONTRACT else strided_base
        for source in sources:
            base = view(self.program, source)
            self.want_memory(source if base is None else base[0], root)

    def computes(self, root: int, entry: Entry, which: int) -> bool:
        """Whether operand `which` of a matrix product is computed in the kernel of `root`."""
        if entry.op is not CONTRACT:
            return False
        found = find_prologue(self.program, self.readers, self.over_contraction, entry, which)
        if found is None:
            return False
        group = self.groups[root]
        group.prologues[entry.src[which]] = found
        group.inlined.update(found.inside)
        for number in (found.base, *found.others):
            self.want_memory(number, root)
        return True

    def want_rows(self, root: int, entry: Entry) -> None:
        """As `want_operands`, for one of PARTED, which reads rows that lie in one run each.

        Other results of the operation, the last sources, are not read.
        """
        for source in entry.src[: len(entry.src) - entry.arg.companions]:
            if self.entries[source].op is not ARGUMENT:
                base = rows_base(self.program, source)
                self.want_memory(source if base is None else base[0], root)
