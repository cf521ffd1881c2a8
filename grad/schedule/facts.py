"""What can be said of one entry of a Program, before anything is decided about it.

Which variables its kernel would walk over, what it costs, what it goes through, whether it is only
a view of memory. `group.py` decides with these, `grad/kernel` reads some of them again.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterator, Mapping

from grad.graph.index import Variable
from grad.graph.movement import Layout, Move, contiguous_layout, moved_strides
from grad.graph.positions import Position
from grad.graph.primitives import (
    ATTENTION,
    ATTENTION_GRADIENT,
    CAST,
    CONTRACT,
    CONVOLVE,
    PAD,
    RECURRENCE,
    RECURRENCE_GRADIENT,
    RESHAPE,
    TAKE,
    Kind,
)
from grad.graph.sizes import hint
from grad.schedule.program import Entry, Program

# Operations whose pointwise consumers are computed in their own kernel, before they are stored.
CONTRACTIONS = frozenset((CONTRACT, CONVOLVE))


def root_variables(program: Program, number: int) -> tuple[Variable, ...]:
    """One variable for each axis that the kernel of entry `number` walks over, reduced axes
    last.
    """
    entry = program.entries[number]
    own = tuple(Variable(f"i{axis}", size) for axis, size in enumerate(entry.shape))
    if entry.op.kind is Kind.REDUCE:
        source = program.entries[entry.src[0]].shape
        own += tuple(Variable(f"k{number}_{axis}", source[axis]) for axis in entry.arg)
    return own


def renumbered(program: Program, number: int) -> int:
    """The entry that `number` is a plain renumbering (reshape) of: both have the same memory."""
    while program.entries[number].op is RESHAPE:
        number = program.entries[number].src[0]
    return number


def strided_base(program: Program, number: int) -> tuple[int, Layout] | None:
    """The entry in memory that entry `number` is a strided view of, and how; None when it is not
    one.
    """
    path: list[Move] = []
    while True:
        entry = program.entries[number]
        if entry.op.kind is not Kind.MOVEMENT or entry.op is PAD:
            break
        path.append(Move(entry.op, entry.arg))
        number = entry.src[0]
    layout = _layout_after(program.entries[number].shape, path)
    return None if layout is None else (number, layout)


def operand_base(program: Program, number: int) -> tuple[int, Layout] | None:
    """As `strided_base`, also through one cast: a contraction converts what it reads."""
    path: list[Move] = []
    cast_below = False
    while True:
        entry = program.entries[number]
        if entry.op is CAST and not cast_below:
            cast_below = True
        elif entry.op.kind is Kind.MOVEMENT and entry.op is not PAD:
            path.append(Move(entry.op, entry.arg))
        else:
            break
        number = entry.src[0]
    layout = _layout_after(program.entries[number].shape, path)
    return None if layout is None else (number, layout)


def _layout_after(shape: tuple[int, ...], path: list[Move]) -> Layout | None:
    """How memory of `shape` looks through the movements of `path`, the last of them first."""
    layout: Layout | None = contiguous_layout(shape)
    for step in reversed(path):
        if layout is None:
            return None
        layout = moved_strides(layout, step)
    return layout


def rows_base(program: Program, number: int) -> tuple[int, Layout] | None:
    """As `strided_base`, for views whose last axis lies in one run."""
    found = strided_base(program, number)
    if found is None or program.entries[number].shape[-1] == 1:
        return found
    return found if found[1].strides[-1] == 1 else None


# Operations with several results, each an entry of its own that `arg[-1]` names.
PARTED = (ATTENTION, ATTENTION_GRADIENT, RECURRENCE, RECURRENCE_GRADIENT)


def part_key(entry: Entry) -> Hashable:
    """What the results of one operation have in common, and with no other."""
    *how, _ = entry.arg
    own = len(entry.src) - entry.arg.companions
    return entry.op, entry.src[:own], *how


def first_parts(program: Program) -> dict[Hashable, int]:
    """The first result of each operation that has several."""
    found: dict[Hashable, int] = {}
    for number, entry in enumerate(program.entries):
        if entry.op in PARTED:
            found.setdefault(part_key(entry), number)
    return found


def prices(program: Program) -> Iterator[float]:
    """For each entry, what computing one element costs when everything pointwise below is
    inlined.

    A source that is repeated (the scale of a row) is computed once for all elements it is used for.
    """
    found: list[float] = []
    sizes: list[int] = []
    for entry in program.entries:
        kind = entry.op.kind
        size = max(hint(math.prod(entry.shape)), 1)
        below = sum(found[s] * min(sizes[s] / size, 1) for s in entry.src)
        if kind is Kind.POINTWISE:
            total = entry.op.cost + below
        elif kind is Kind.MOVEMENT or entry.op is TAKE:
            total = below
        else:
            total = 0 if kind is Kind.LEAF else 1
        found.append(min(total, 10000))
        sizes.append(size)
    yield from found


def volumes(program: Program) -> Iterator[int]:
    """For each entry, the elements of the largest value that computing it goes through."""
    found: list[int] = []
    reduced: list[int] = []  # the largest value that reductions on the way go through
    for entry in program.entries:
        volume = hint(math.prod(entry.shape))
        kind = entry.op.kind
        inside = kind in (Kind.POINTWISE, Kind.MOVEMENT) or entry.op is TAKE
        below = max((reduced[s] for s in entry.src), default=0) if inside else 0
        if kind is Kind.REDUCE or (inside and entry.op is not TAKE):
            volume = max([volume, *(found[s] for s in entry.src)])
        found.append(max(volume, below))
        reduced.append(volume if kind is Kind.REDUCE else below)
    yield from found


def over_contraction(program: Program, readers: Mapping[int, int]) -> list[bool]:
    """For each entry, whether it is pointwise on a contraction's result that nobody else reads."""
    found: list[bool] = []
    for entry in program.entries:
        below = [
            s
            for s in entry.src
            if readers[s] == 1 and (program.entries[s].op in CONTRACTIONS or found[s])
        ]
        above = entry.op.kind is Kind.POINTWISE or entry.op is RESHAPE
        size = math.prod(entry.shape)
        found.append(above and any(math.prod(program.entries[s].shape) == size for s in below))
    return found


def plain_variables(entry: Entry, positions: set[Position]) -> frozenset[Variable] | None:
    """The variables at the only position, when each axis of `entry` is just one whole variable."""
    if len(positions) != 1:
        return None
    (position,) = positions
    found: list[Variable] = []
    for index, size in zip(position, entry.shape, strict=True):
        if size == 1:
            continue
        if len(index.terms) != 1 or index.constant or index.terms[0][1] != 1:
            return None
        atom = index.terms[0][0]
        if not isinstance(atom, Variable) or atom.size != size or atom in found:
            return None
        found.append(atom)
    return frozenset(found)
