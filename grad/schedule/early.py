"""Put sums over rows where all that they need is there for the first time.

Entries are numbered in the order in which a walk from the outputs finds them, and groups run in the
order of their roots (`group.py`). The gradient of a weight is an output of its own, so the walk
comes to the sum that it is after all that its matrix is used for, layers below included: too late
for the kernel that reads the matrix anyway (`columns.py`). So such sums, and what is computed for
nothing else, are numbered again.
"""

from __future__ import annotations

import math
from dataclasses import replace

from grad.graph.primitives import Kind
from grad.graph.sizes import hint
from grad.schedule.columns import LEAST_ELEMENTS
from grad.schedule.program import Entry, Program

CARRIED = (Kind.POINTWISE, Kind.MOVEMENT, Kind.LEAF)


def sum_early(program: Program) -> Program:
    """`program` with large sums over leading axes as early as they can be. Outputs keep their
    order.
    """
    moving = _moving(program)
    if not moving:
        return program
    places: list[int] = []
    for number, entry in enumerate(program.entries):
        found = max((places[s] for s in entry.src), default=0) if number in moving else number
        places.append(found)
    order = sorted(range(len(places)), key=lambda number: (places[number], number))
    numbers = {old: new for new, old in enumerate(order)}
    entries = (program.entries[old] for old in order)
    moved = tuple(e._replace(src=tuple(numbers[s] for s in e.src)) for e in entries)
    outputs = tuple(numbers[o] for o in program.outputs)
    return replace(program, entries=moved, outputs=outputs)


def _moving(program: Program) -> set[int]:
    """Sums over the rows of something large, and entries that only they need."""
    entries = program.entries
    moving = {n for n, entry in enumerate(entries) if _sums_rows(program, entry)}
    staying = set(program.outputs) - moving
    for number in range(len(entries) - 1, -1, -1):
        if number not in moving:
            if number not in staying and entries[number].op.kind in CARRIED:
                moving.add(number)
            else:
                staying.update(entries[number].src)
    return moving if any(entries[n].op.kind is Kind.REDUCE for n in moving) else set()


def _sums_rows(program: Program, entry: Entry) -> bool:
    if entry.op.kind is not Kind.REDUCE or entry.arg != tuple(range(len(entry.arg))):
        return False
    shape = program.entries[entry.src[0]].shape
    return bool(entry.shape) and hint(math.prod(shape)) >= LEAST_ELEMENTS
