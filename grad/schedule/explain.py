"""Say in words how a program was cut into groups, and why each border is where it is
(``GRAD_DEBUG=3``, `grad.explain`).

Reads what `group.py` decided; nothing is decided here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from grad.graph.primitives import (
    CONTIGUOUS,
    CONTRACT,
    CONVOLVE,
    CONVOLVE_WEIGHT,
    HOST,
    SCAN,
    SCATTER,
    UPDATE,
    Kind,
)
from grad.schedule.demand import Grouping
from grad.schedule.facts import PARTED, over_contraction, renumbered
from grad.schedule.group import CHEAP, MAX_ENTRIES
from grad.schedule.program import Program

MULTIPLIES = (CONTRACT, CONVOLVE, CONVOLVE_WEIGHT)


def explain(program: Program, grouping: Grouping) -> Iterator[str]:
    """One paragraph a group, as lines."""
    for number in range(len(grouping.groups)):
        yield from explain_group(program, grouping, number)


def explain_group(program: Program, grouping: Grouping, number: int) -> Iterator[str]:
    """The paragraph of group `number`."""
    group = grouping.groups[number]
    entry = program.entries[group.root]
    yield f"group {number}: {entry.op.name} {list(entry.shape)} (%{group.root})"
    inside = sorted(group.inlined - {group.root})
    if inside:
        yield f"    computes inside: {', '.join(_name(program, n) for n in inside)}"
    if group.local:
        rows = ", ".join(f"{v.name} < {v.size}" for v in sorted(group.rows or ())) or "none"
        names = ", ".join(_name(program, n) for n in sorted(group.local))
        yield f"    once a row ({rows}): {names}"
    if group.overwrites is not None:
        yield f"    writes into the memory of %{group.overwrites}"
    for stored in group.stored:
        yield f"    stores {_name(program, stored)}: {reason(program, grouping, stored)}"


def _name(program: Program, number: int) -> str:
    return f"{program.entries[number].op.name} %{number}"


def reason(program: Program, grouping: Grouping, number: int) -> str:
    """Why entry `number` is in memory and not computed where it is used."""
    entry = program.entries[number]
    if any(renumbered(program, output) == number for output in program.outputs):
        return "it was asked for, or is held and costly"
    readers = [n for n, e in enumerate(program.entries) if number in e.src]
    if any(program.entries[reader].op in MULTIPLIES for reader in _through_views(program, readers)):
        return "a contraction reads it: it has other readers, or costs too much to compute inside"
    if entry.op in PARTED:
        return f"{entry.op.name} has a kernel of its own, which stores all its results"
    if entry.op is HOST:
        return "a function of NumPy computes it"
    if entry.op in MULTIPLIES or entry.op in (SCAN, SCATTER, UPDATE, CONTIGUOUS):
        return f"{entry.op.name} has a kernel of its own, and no single pointwise consumer to join"
    if over_contraction(program, Counter(s for e in program.entries for s in e.src))[number]:
        return "its readers go over it several times, and a contraction gives it as it ends"
    if entry.op.kind is Kind.REDUCE:
        return "its rows are not the rows of the kernels that read it, or too few and too long"
    group = grouping.groups[[g.root for g in grouping.groups].index(grouping.home[number])]
    if len(group.inlined) >= MAX_ENTRIES:
        return f"a kernel takes at most {MAX_ENTRIES} values"
    return f"it costs more than {CHEAP} and would be computed more than once"


def _through_views(program: Program, readers: list[int]) -> Iterator[int]:
    """The readers, and the readers of readers that are views."""
    pending = list(readers)
    while pending:
        reader = pending.pop()
        yield reader
        if program.entries[reader].op.kind is Kind.MOVEMENT:
            pending.extend(n for n, e in enumerate(program.entries) if reader in e.src)
