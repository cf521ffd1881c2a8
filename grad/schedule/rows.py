"""Which values a kernel computes once for each row that it walks.

The rules 3 and 4 of `group.py`: reductions of the rows that a kernel walks anyway are local to it,
and what is made of such reductions is stored by the first kernel that walks the rows, if others
read it too. `columns.py` has the rule about sums over rows.
"""

from __future__ import annotations

import math

from grad.graph.index import Variable
from grad.graph.positions import Position
from grad.graph.primitives import CONTIGUOUS, Kind
from grad.graph.sizes import hint
from grad.schedule.demand import Demand
from grad.schedule.facts import plain_variables, root_variables
from grad.schedule.program import Entry

# A row reduction is computed again in up to this many groups rather than stored.
MAX_COPIES = 3
# A group has no more local reductions than this.
MAX_LOCAL = 8
# Fewer rows than this with more elements than that each are better reduced by a kernel of their
# own.
FEW_ROWS = 8
LONG_ROW = 16384


class RowRules(Demand):
    """Rules about rows."""

    def is_local(self, number: int) -> bool:
        entry = self.entries[number]
        asks = self.asks[number]
        if len(asks) > MAX_COPIES:
            return False
        found: dict[int, frozenset[Variable]] = {}
        nested: dict[int, int] = {}
        for root, positions in asks.items():
            outside = self.surrounding(root, entry, positions)
            rows = self.row_variables(root, number, positions) if outside is None else None
            if rows is not None:
                found[root] = rows
            elif outside is not None:
                nested[root] = outside
            else:
                return False
        for root in asks:
            group = self.groups[root]
            group.local.add(number)
            if root in found:
                group.rows = found[root]
            else:
                group.nesting.add(nested[root])
        return True

    def surrounding(self, root: int, entry: Entry, positions: set[Position]) -> int | None:
        """The local reduction of `root` for each element of which `entry` has one value, if there
        is one.
        """
        group = self.groups[root]
        rows = plain_variables(entry, positions)
        if rows is None or group.contraction is not None or len(group.local) >= MAX_LOCAL:
            return None
        for number in group.local:
            outer = self.entries[number]
            source = self.entries[outer.src[0]].shape
            own = {
                Variable(f"k{number}_{axis}", source[axis])
                for axis in outer.arg
                if source[axis] > 1
            }
            if own and own <= rows and rows - own == (group.rows or frozenset()):
                return number
        return None

    def row_variables(
        self, root: int, number: int, positions: set[Position]
    ) -> frozenset[Variable] | None:
        """The variables of `root` that the rows of reduction `number` are, if they are; else
        None.
        """
        entry = self.entries[number]
        group = self.groups[root]
        root_entry = self.entries[root]
        kind = root_entry.op.kind
        if group.contraction is not None or len(group.local) >= MAX_LOCAL:
            return None
        if (
            kind is not Kind.POINTWISE
            and kind is not Kind.REDUCE
            and root_entry.op is not CONTIGUOUS
        ):
            return None
        own = root_variables(self.program, root)
        chosen = plain_variables(entry, positions)
        if chosen is None or any(v not in own for v in chosen):
            return None
        if group.rows is not None and group.rows != chosen:
            return None
        if kind is Kind.REDUCE and not group.along:
            outer = [v for v in own[: len(root_entry.shape)] if v.size > 1]
            if not chosen.issuperset(outer):
                return None
        return None if self.is_few(number, chosen) else chosen

    def is_few(self, number: int, rows: frozenset[Variable]) -> bool:
        """Whether reduction `number` of `rows` is better off in a kernel of its own."""
        count = hint(math.prod(v.size for v in rows))
        return count < FEW_ROWS and self.volumes[number] > count * LONG_ROW

    def row_value(self, root: int, number: int, position: Position) -> frozenset[Variable] | None:
        """The variables of the rows that the kernel of `root` walks, or may as well walk, if entry
        `number` is one value for each of these; else None.
        """
        group, root_entry, entry = self.groups[root], self.entries[root], self.entries[number]
        walks = root_entry.op.kind is Kind.POINTWISE or root_entry.op is CONTIGUOUS
        if not (walks or group.along) or group.contraction is not None:
            return None
        chosen = plain_variables(entry, {position})
        own = [v for v in root_variables(self.program, root) if v.size > 1]
        if not chosen or len(chosen) == len(own):
            return None
        if group.rows is not None:
            return chosen if chosen == group.rows else None
        leads = chosen == frozenset(own[: len(chosen)])
        return chosen if leads and self.is_of_row_sums(number, chosen) else None

    def is_of_row_sums(self, number: int, rows: frozenset[Variable]) -> bool:
        """Whether entry `number` is made of reductions with a value for each of `rows`."""
        count = math.prod(v.size for v in rows)
        pending = [number]
        seen: set[int] = set()
        while pending:
            below = pending.pop()
            entry = self.entries[below]
            if below in seen or below in self.home or math.prod(entry.shape) != count:
                continue
            seen.add(below)
            if entry.op.kind is Kind.REDUCE and not self.is_few(below, rows):
                return True
            if entry.op.kind in (Kind.POINTWISE, Kind.MOVEMENT):
                pending.extend(entry.src)
        return False
