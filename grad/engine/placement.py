"""Which results take the place of a leaf, and in which step each group of a plan runs.

A program may wish that an output is stored where a leaf was (`Program.replaced`): a new parameter
where the old one is. A wish is granted when the kernel that makes the output may write there
(kernel/overwrite.py) and everybody else who reads the leaf can run before it. Groups run as early
as what they read, and the barriers they read through (schedule/order.py), allow. `assembly.py` lays
out the memory afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from grad.graph.primitives import BUFFER
from grad.kernel.lower import Lowered
from grad.kernel.overwrite import may_overwrite
from grad.schedule.demand import Grouping
from grad.schedule.facts import renumbered
from grad.schedule.order import waits
from grad.schedule.program import Program


class Placement(NamedTuple):
    """Attributes:
    starts: the step in which each group's first phase runs.
    placed: entries that are stored in a leaf's memory, with that leaf's entry.
    first_write: the first step that stores an output or writes to a leaf's memory, if the program
        has outputs that must be there before; else 0. -1 if they are not, or if an update writes a
        value to a leaf's memory that is no output: whoever wished for outputs there would not know.
    """

    starts: list[int]
    placed: dict[int, int]
    first_write: int


def place(
    program: Program,
    grouping: Grouping,
    lowered: Sequence[Lowered],
    roots: Mapping[int, int],
    lengths: Sequence[int],
) -> Placement:
    """Decide. `roots`: entries that share another's memory, with whose; `lengths`: phases of each
    group.
    """
    placer = _Placer(program, grouping, lowered, roots)
    for position, leaf in program.replaced:
        placer.consider(program.outputs[position], placer.leaves[leaf])
    writers = placer.wait_for_checks() if program.checked else set()
    starts = placer.starts(lengths)
    first_write = 0
    if program.checked:
        checked = max((starts[g] + lengths[g] for g in placer.checks), default=0)
        first_write = min((starts[g] for g in writers), default=checked)
        if checked > first_write:
            first_write = -1
    if program.replaced and placer.spoils_a_leaf():
        first_write = -1
    return Placement(starts, placer.placed, first_write)


class _Placer:
    """Grants wishes one by one; each adds an order to those that the data gives."""

    def __init__(
        self,
        program: Program,
        grouping: Grouping,
        lowered: Sequence[Lowered],
        roots: Mapping[int, int],
    ) -> None:
        self.program = program
        self.lowered = lowered
        self.roots = roots
        self.home = {n: g for g, found in enumerate(grouping.groups) for n in found.stored}
        entries = enumerate(program.entries)
        self.leaves = {entry.arg: number for number, entry in entries if entry.op is BUFFER}
        self.parts: dict[int, set[int]] = {}  # entries that are slices of a leaf's memory
        for whole, part in program.parts:
            self.parts.setdefault(self.leaves[whole], set()).add(self.leaves[part])
        self.overwriting = [g for g, f in enumerate(grouping.groups) if f.overwrites is not None]
        targets = [found.overwrites for found in grouping.groups]
        self.overwritten = {roots.get(n, n) for n in targets if n is not None}
        self.taken = [roots.get(number, number) for number in program.outputs]
        self.shared = set(roots.values())
        self.readers: dict[int, set[int]] = {}  # groups that read an entry's memory
        self.after: list[set[int]] = [set() for _ in lowered]  # groups that must run after each
        for group, low in enumerate(lowered):
            for sort, number in low.bindings:
                if sort == "memory" and self.home.get(number) != group:
                    self.readers.setdefault(roots.get(number, number), set()).add(group)
                    if number in self.home:
                        self.after[self.home[number]].add(group)
        self.wait_at_barriers(grouping)
        self.placed: dict[int, int] = {}
        self.checks = {
            self.home[roots.get(program.outputs[position], program.outputs[position])]
            for position in program.checked
            if roots.get(program.outputs[position], program.outputs[position]) in self.home
        }

    def wait_at_barriers(self, grouping: Grouping) -> None:
        """Have groups that read through barriers come after what these wait for."""
        awaited = waits(self.program, grouping)
        for group, found in enumerate(grouping.groups):
            for first in {self.home[number] for number in awaited.get(found.root, ())}:
                # Groups are in an order in which they can run, so no circle is closed.
                if first < group:
                    self.after[first].add(group)

    def consider(self, output: int, leaf: int) -> None:
        """Store `output` where `leaf` is, if that can be."""
        number = self.roots.get(output, output)
        group = self.home.get(number)
        parts = self.parts.get(leaf, set())
        read = {leaf, *parts}
        if (
            group is None
            or self.taken.count(number) != 1
            or not read.isdisjoint(self.taken)  # they are copied when all is done
            or not read.isdisjoint(self.shared)  # an update writes there already
            or not self._same_size(number, leaf)
            or not self._may_overwrite(group, leaf, number)
            or any(group in self.readers.get(part, ()) for part in parts)
        ):
            return
        readers = set().union(*(self.readers.get(entry, set()) for entry in read))
        before = (readers | self.checks) - {group}
        if self._reaches(group, before) or group in self.checks:
            return
        for reader in before:
            self.after[reader].add(group)
        self.placed[number] = leaf

    def wait_for_checks(self) -> set[int]:
        """Have all groups that store outputs, or write to leaves, wait for the checks, where they
        can; gives these groups.
        """
        checked = {self.program.outputs[position] for position in self.program.checked}
        others = [number for number in self.program.outputs if number not in checked]
        stored = [self.roots.get(number, number) for number in others]
        writers = {self.home[number] for number in stored if number in self.home}
        writers.update(self.overwriting)
        for group in writers:
            before = self.checks - {group}
            if not self._reaches(group, before):
                for check in before:
                    self.after[check].add(group)
        return writers

    def spoils_a_leaf(self) -> bool:
        """Whether an update writes to the memory of a leaf that is not where an output is then."""
        program = self.program
        entries = program.entries
        written = {number for number in self.overwritten if entries[number].op is BUFFER}
        for output in program.outputs:
            root = self.roots.get(output, output)
            if renumbered(program, output) != root:
                written.discard(root)
        return bool(written)

    def _same_size(self, number: int, leaf: int) -> bool:
        new, old = self.program.entries[number], self.program.entries[leaf]
        return new.dtype is old.dtype and math.prod(new.shape) == math.prod(old.shape)

    def _may_overwrite(self, group: int, leaf: int, number: int) -> bool:
        low = self.lowered[group]
        bound = [
            (parameter.number, entry)
            for parameter, (sort, entry) in zip(low.kernel.parameters, low.bindings, strict=True)
            if sort == "memory"
        ]
        reads = [p for p, entry in bound if self.roots.get(entry, entry) == leaf]
        writes = [p for p, entry in bound if entry == number]
        return all(may_overwrite(low.kernel, r, w) for r in reads for w in writes)

    def _reaches(self, group: int, targets: Iterable[int]) -> bool:
        """Whether one of `targets` must run after `group`."""
        wanted = set(targets)
        seen = {group}
        stack = [group]
        while stack and wanted:
            for following in self.after[stack.pop()] - seen:
                if following in wanted:
                    return True
                seen.add(following)
                stack.append(following)
        return False

    def starts(self, lengths: Sequence[int]) -> list[int]:
        """Steps of the groups, as early as their order allows."""
        waiting = [0] * len(self.after)
        for following in self.after:
            for group in following:
                waiting[group] += 1
        starts = [0] * len(self.after)
        ready = [group for group, count in enumerate(waiting) if count == 0]
        for group in ready:  # grows
            for following in self.after[group]:
                starts[following] = max(starts[following], starts[group] + lengths[group])
                waiting[following] -= 1
                if waiting[following] == 0:
                    ready.append(following)
        return starts
