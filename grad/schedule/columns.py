"""Which values of a whole domain one kernel stores together with sums over its rows.

The gradient of a normalisation is a value for each element, made of sums along rows; the gradients
of its weight and bias are sums of columns of the same matrices. One kernel that walks the rows in
chunks computes all of them while a row is in the cache (`kernel/lower_columns.py`), so each matrix
is read once. Reductions of the same axes that read a common value share a kernel in any case.
"""

from __future__ import annotations

import math

from grad.graph.index import Variable, variable
from grad.graph.movement import Shape
from grad.graph.positions import Position
from grad.graph.primitives import CONTIGUOUS, Kind
from grad.graph.sizes import hint
from grad.schedule.program import Entry
from grad.schedule.rows import RowRules

# A kernel takes in no more entries than this; longer chains are cut.
MAX_ENTRIES = 200
# A smaller domain stays in the second-level cache until the next kernel reads it.
LEAST_ELEMENTS = 1 << 19
# Sums over rows are kept in so many columns at most, in all, and at least in a vector of them.
MOST_COLUMNS = 1 << 15
FEWEST_COLUMNS = 16


class ColumnRules(RowRules):
    """Rules about sums over rows."""

    def is_sibling(self, number: int) -> bool:
        """Whether reduction `number` is accumulated by a group that reads what it reads anyway."""
        entry = self.entries[number]
        if entry.op.kind is not Kind.REDUCE:
            return False
        shape = self.entries[entry.src[0]].shape
        for root, group in self.groups.items():
            if self.earliest_reader(number) <= root or len(group.inlined) >= MAX_ENTRIES:
                continue
            rows = self.rows_summed(root, entry)
            if rows is None and not self.reduces_alike(root, entry):
                continue
            if self.reads_alike(root, entry.src, shape):
                group.rows = group.rows if rows is None else rows
                group.siblings.add(number)
                group.stored.append(number)
                group.inlined.add(number)
                self.home[number] = root
                self.ask(root, entry.src[0], self.domain_position(root))
                return True
        return False

    def is_along(self, number: int) -> bool:
        """Whether entry `number` is stored by a group that sums over the rows of its domain."""
        entry = self.entries[number]
        if entry.op.kind is not Kind.POINTWISE or self.over_contraction[number]:
            return False
        for root, group in self.groups.items():
            sums = group.siblings or {root}
            summed = self.entries[min(sums)]
            if summed.op.kind is not Kind.REDUCE or self.earliest_reader(number) < root:
                continue
            position = self.domain_position(root)
            rows = self.rows_walked(root, summed, entry.shape)
            if (
                rows is not None
                and self.asks[number].get(root, {position}) == {position}
                and self.reads_alike(root, (number,), entry.shape)
            ):
                group.rows = rows
                group.along.add(number)
                group.stored.append(number)
                self.home[number] = root
                self.take_in(root, number, {position})
                return True
        return False

    def earliest_reader(self, number: int) -> int:
        """The first of the groups that read entry `number`."""
        found = self.first_reader.get(number, len(self.entries))
        return min(found, *self.asks[number]) if self.asks[number] else found

    def domain_position(self, root: int) -> Position:
        """Where the kernel of `root` is in the domain that it walks."""
        entry = self.entries[root]
        own = tuple(variable(f"i{axis}", size) for axis, size in enumerate(entry.shape))
        return self.reduced_position(root, own) if entry.op.kind is Kind.REDUCE else own

    def reduces_alike(self, root: int, entry: Entry) -> bool:
        """Whether the group of `root` reduces the same axes of the same shape as `entry`."""
        other, group = self.entries[root], self.groups[root]
        return (
            other.op.kind is Kind.REDUCE
            and (other.arg, other.shape, other.dtype) == (entry.arg, entry.shape, entry.dtype)
            and self.entries[other.src[0]].shape == self.entries[entry.src[0]].shape
            and (not group.local or bool(group.along))
        )

    def rows_summed(self, root: int, entry: Entry) -> frozenset[Variable] | None:
        """The rows that `entry` sums, if the group of `root` stores values of the same domain."""
        other = self.entries[root]
        if other.op.kind is not Kind.POINTWISE and other.op is not CONTIGUOUS:
            return None
        types = {self.entries[number].dtype for number in self.groups[root].siblings}
        return self.rows_walked(root, entry, other.shape) if types <= {entry.dtype} else None

    def rows_walked(self, root: int, entry: Entry, shape: Shape) -> frozenset[Variable] | None:
        """The variables of `root` for the rows that `entry` sums, if these are rows of a large
        domain of `shape`, and `root` may walk it row by row; else None.
        """
        group, axes = self.groups[root], len(entry.arg)
        sums, columns = len(group.siblings) + 1, hint(math.prod(entry.shape))
        if (
            group.contraction is not None
            or self.entries[entry.src[0]].shape != shape
            or entry.arg != tuple(range(axes))
            or len(group.inlined) >= MAX_ENTRIES
            or hint(math.prod(shape)) < LEAST_ELEMENTS
            or columns < FEWEST_COLUMNS
            or sums * columns > MOST_COLUMNS
        ):
            return None
        leading = [index.variables() for index in self.domain_position(root)[:axes]]
        rows = frozenset(v for found in leading for v in found if v.size > 1)
        return rows if group.rows in (None, rows) else None
