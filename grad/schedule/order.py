"""Which kernels wait for others although they read nothing of them: barriers.

What is recomputed for a backward pass reads its inputs through barriers, which name values that
must have been computed before (`graph.node.barrier`); otherwise it would run as soon as its inputs
are there, in the forward pass, and its results would lie in memory until they are needed. Up to
`simplify.py` these values are sources, so that they are numbered, and barriers of different values
differ. `detach_waits` then turns them into the barrier's argument: a barrier has one source from
there on, as every movement has, and nobody counts as a reader who only waits. `waits` tells
`engine/placement.py` what each group comes after. It is an order for the sake of memory, values do
not depend on it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable

from grad.graph.primitives import BARRIER
from grad.schedule.demand import Grouping
from grad.schedule.program import Entry, Program


def detach_waits(program: Program) -> Program:
    """`program` with what barriers wait for as their arguments (numbers of entries)."""
    if not any(entry.op is BARRIER for entry in program.entries):
        return program
    entries = tuple(
        e._replace(src=e.src[:1], arg=e.src[1:]) if e.op is BARRIER else e for e in program.entries
    )
    return Program(entries, program.outputs, program.donated)


def waits(program: Program, grouping: Grouping) -> dict[int, frozenset[int]]:
    """For the root of each group that reads through barriers: stored entries to come after."""
    entries = program.entries
    if not any(entry.op is BARRIER for entry in entries):
        return {}
    home = grouping.home.keys()
    found = {}
    for group in grouping.groups:
        own = set(group.stored)
        inside = _down_to(own, home - own, lambda number: entries[number].src)
        awaited = [n for i in inside if entries[i].op is BARRIER for n in entries[i].arg]
        if awaited:
            found[group.root] = home & _down_to(awaited, home, lambda n: _all_sources(entries[n]))
    return found


def _all_sources(entry: Entry) -> tuple[int, ...]:
    """What an entry is made of, and what it waits for."""
    return entry.src + entry.arg if entry.op is BARRIER else entry.src


def _down_to(
    start: Iterable[int], ends: Collection[int], sources: Callable[[int], Iterable[int]]
) -> frozenset[int]:
    """`start` and all below it, as far as `ends`, which are included."""
    pending = list(start)
    seen = set(pending)
    while pending:
        number = pending.pop()
        if number not in ends:
            fresh = [s for s in sources(number) if s not in seen]
            seen.update(fresh)
            pending.extend(fresh)
    return frozenset(seen)
