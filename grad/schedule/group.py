"""Cut a Program into groups: which values get memory, and which kernel computes them.

Entries are visited from the last to the first, so that everything known about who wants a value,
and at which positions, is there when its turn comes (demand.py keeps the book). Then one of three
things happens to it, in Halide's words: *inline* (computed where it is wanted), *local* (a
reduction over the rows that the kernel walks anyway, computed once a row) or *global* (stored). A
global value either gets a group of its own or is stored along by a group that computes it anyway.
Each fusion rule is one function, in the order in which they are tried: those
about rows and columns are in `rows.py` and `columns.py`, the others below. `kernel/lower.py`
turns a group into loops. Nothing here knows about devices.
"""

from __future__ import annotations

import math

from grad.graph.index import variable
from grad.graph.positions import Position, broadcast_position, flatten
from grad.graph.primitives import (
    BUFFER,
    CONTIGUOUS,
    CONTRACT,
    CONVOLVE,
    CONVOLVE_WEIGHT,
    HOST,
    RESHAPE,
    SCAN,
    SCATTER,
    TAKE,
    UPDATE,
    Kind,
)
from grad.graph.sizes import hint
from grad.schedule.columns import MAX_ENTRIES, ColumnRules
from grad.schedule.demand import Group, Grouping
from grad.schedule.facts import (
    CONTRACTIONS,
    PARTED,
    part_key,
    renumbered,
    root_variables,
)
from grad.schedule.program import Entry, Program

# A pointwise value up to this price (in additions) is computed again rather than stored and read.
CHEAP = 12


class _Grouper(ColumnRules):
    """Decides for each entry in turn."""

    # -- the visit ---------------------------------------------------------------------------------
    def run(self) -> Grouping:
        for output in self.program.outputs:
            self.want_memory(output)
        for number in range(len(self.entries) - 1, -1, -1):
            if number in self.wanted_global or self.asks[number]:
                self.visit(number)
        ordered = tuple(self.groups[root] for root in sorted(self.groups))
        return Grouping(ordered, self.aliases, self.home)

    def visit(self, number: int) -> None:
        entry = self.entries[number]
        if entry.op is BUFFER:
            return
        if entry.op.kind is Kind.LEAF and number not in self.wanted_global:
            return
        if number not in self.wanted_global and self.is_inline(number):
            for root, positions in self.asks[number].items():
                self.take_in(root, number, positions)
            return
        if entry.op in PARTED:
            if number in self.wanted_global or self.asks[number]:
                self.join_parts(number)
            return
        if self.store_along(number) is not None:
            return
        if not self.is_sibling(number) and not self.is_along(number):
            self.start_group(number)

    def start_group(self, number: int) -> None:
        """Give entry `number` a group of its own."""
        entry = self.entries[number]
        group = Group(number, [number])
        self.groups[number] = group
        self.home[number] = number
        variables = root_variables(self.program, number)
        position = tuple(variable(v.name, v.size) for v in variables)
        if entry.op in CONTRACTIONS:
            group.contraction = number
            self.want_operands(number, entry)
        elif entry.op is CONVOLVE_WEIGHT:
            self.want_operands(number, entry)
        elif entry.op is HOST:
            for source in entry.src:
                self.want_memory(source, number)
        elif entry.op is SCATTER or entry.op is UPDATE:
            if self.may_overwrite(number):
                group.overwrites = renumbered(self.program, entry.src[0])
                self.aliases[number] = group.overwrites
                self.want_memory(entry.src[0], number)
            else:
                self.ask(number, entry.src[0], position)
            shape = self.entries[entry.src[1]].shape
            inner = tuple(variable(f"u{axis}", size) for axis, size in enumerate(shape))
            for source in entry.src[1:]:
                self.ask(number, source, broadcast_position(inner, self.entries[source].shape))
        else:
            self.take_in(number, number, {position[: len(entry.shape)]})

    def may_overwrite(self, number: int) -> bool:
        """Whether nobody reads what the update or scatter `number` starts from, but itself."""
        base = self.entries[number].src[0]
        if self.readers[base] != 1:
            return False
        while self.entries[base].op is RESHAPE:
            base = self.entries[base].src[0]
            if self.readers[base] != 1:
                return False
        entry = self.entries[base]
        if entry.op is BUFFER:
            return entry.arg in self.program.donated
        return entry.op in (UPDATE, SCATTER, CONTRACT, CONVOLVE, CONVOLVE_WEIGHT, SCAN)

    # -- rules 1 and 2: views are free; cheap values are inline, costly ones not where repeated ----
    def is_inline(self, number: int) -> bool:
        entry = self.entries[number]
        kind = entry.op.kind
        asks = self.asks[number]
        if kind is Kind.LEAF:
            return True
        if kind is Kind.REDUCE:
            return self.is_local(number)
        if entry.op in CONTRACTIONS:
            return self.is_epilogue(number)
        if any(len(self.groups[root].inlined) >= MAX_ENTRIES for root in asks):
            return False
        if kind is Kind.MOVEMENT or entry.op is TAKE:
            return True
        if kind is not Kind.POINTWISE or self.belongs_to_contraction(number):
            return False
        copies = sum(len(positions) for positions in asks.values())
        if self.prices[number] * copies <= CHEAP * 2:
            return True
        if len(asks) > 1:
            return self.prices[number] <= CHEAP
        ((root, positions),) = asks.items()
        return (
            all(self.repeats(root, entry, position) <= 1.5 for position in positions)
            and copies <= 3
        )

    def repeats(self, root: int, entry: Entry, position: Position) -> float:
        """How often the kernel of `root` would compute each element of `entry` asked at
        `position`.
        """
        group = self.groups[root]
        variables = {v for index in position for v in index.variables()}
        own = set(root_variables(self.program, root))
        if group.rows is not None and variables <= group.rows:
            walked = group.rows
        elif any(v.name.startswith("k") and v not in own for v in variables):
            walked = variables | (group.rows or set())
        else:
            walked = variables | own if variables <= own else variables
        turns = hint(math.prod(v.size for v in walked))
        return turns / max(hint(math.prod(entry.shape)), 1)

    # -- rule 5: a value that is stored anyway is stored by the first kernel that computes it ------
    def store_along(self, number: int) -> int | None:
        """The root that stores entry `number` along with its own values, or None."""
        entry = self.entries[number]
        asks = self.asks[number]
        if not asks:
            return None
        root = min(asks)
        group = self.groups[root]
        # Whoever reads it must come after the kernel that stores it.
        if self.first_reader.get(number, root + 1) <= root:
            return None
        if len(asks[root]) != 1 or len(group.inlined) >= MAX_ENTRIES:
            return None
        (position,) = asks[root]
        if entry.op.kind is Kind.REDUCE:
            rows = self.row_variables(root, number, {position})
            if rows is None or group.rows is None:
                return None
            group.local.add(number)
        elif entry.op in CONTRACTIONS:
            if not self.is_epilogue_of(root, number):
                return None
        elif entry.op.kind is not Kind.POINTWISE:
            return None
        elif not self.is_whole(root, entry, position):
            rows = self.row_value(root, number, position)
            if rows is None:
                return None
            group.rows = rows
        group.stored.append(number)
        self.home[number] = root
        self.take_in(root, number, {position})
        return root

    def is_whole(self, root: int, entry: Entry, position: Position) -> bool:
        """Whether `position` runs through all of `entry`, in order, as `root` runs through
        itself.
        """
        root_entry = self.entries[root]
        if root_entry.op.kind is not Kind.POINTWISE and root_entry.op is not CONTIGUOUS:
            return False
        own = tuple(variable(f"i{axis}", size) for axis, size in enumerate(root_entry.shape))
        return flatten(position, entry.shape) == flatten(own, root_entry.shape) and math.prod(
            entry.shape
        ) == math.prod(root_entry.shape)

    # -- rule 6: pointwise consumers are the epilogue of a contraction -----------------------------
    def belongs_to_contraction(self, number: int) -> bool:
        """Whether a pointwise value is better stored by the contraction below than computed here.

        The contraction's result is stored in any case when its consumer does not walk over it once,
        in order; then the pointwise values on top of it may as well be computed before it is.
        """
        if not self.over_contraction[number]:
            return False
        asks = self.asks[number]
        if len(asks) != 1:
            return False
        ((root, positions),) = asks.items()
        group = self.groups[root]
        if len(positions) != 1 or group.local or group.contraction is not None:
            return True
        return not self.is_whole(root, self.entries[number], next(iter(positions)))

    def is_epilogue(self, number: int) -> bool:
        asks = self.asks[number]
        if len(asks) != 1:
            return False
        (root,) = asks
        return self.is_epilogue_of(root, number)

    def is_epilogue_of(self, root: int, number: int) -> bool:
        entry = self.entries[number]
        group = self.groups[root]
        if group.contraction is not None or group.local or len(self.asks[number][root]) != 1:
            return False
        (position,) = self.asks[number][root]
        if not self.is_whole(root, entry, position) or self.stores_row_values(group):
            return False
        group.contraction = number
        group.rows = None
        group.inlined.add(number)
        self.want_operands(root, entry)
        return True

    def stores_row_values(self, group: Group) -> bool:
        """Whether the group stores a value of each row: a contraction knows elements only."""
        size = math.prod(self.entries[group.root].shape)
        return any(math.prod(self.entries[number].shape) != size for number in group.stored)

    # -- rule 7: the results of one attention are computed by one kernel ---------------------------
    def join_parts(self, number: int) -> None:
        """Store `number` with the other results of the same operation.

        The root is the first of them: all have its sources, and whoever reads one comes after it.
        """
        entry = self.entries[number]
        root = self.first_part[part_key(entry)]
        if root not in self.groups:
            self.groups[root] = Group(root)
            self.want_rows(root, entry)
        self.groups[root].stored.append(number)
        self.home[number] = root


def group(program: Program) -> Grouping:
    """Cut `program` into groups."""
    return _Grouper(program).run()
