"""Matrix operands that are computed of what lies in memory, on the way into a product.

Quantised weights times their scales, rows times their norms, a gradient where an activation was
positive: each element of such an operand is a little arithmetic on one element of memory of the
same place (and on smaller values). Computed while the product packs or reads the operand, it is
never stored. `facts.operand_base` finds operands that are only views and casts; `demand.py` asks
here about the others, `kernel/lower_contraction.py` writes them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from grad.graph.index import Index, Variable, variable
from grad.graph.movement import Move, Shape
from grad.graph.positions import Position, broadcast_position, flatten, moved_index
from grad.graph.primitives import BUFFER, Kind
from grad.graph.sizes import hint
from grad.schedule.facts import operand_base
from grad.schedule.program import Entry, Program

# What computing an element may cost, in additions, times how often a product computes it; and where
# that spares reading a second large value, which is made of the first and has one more reader.
MOST_PRICE, MOST_PRICE_AGAIN = 12, 48
# A product packs its first operand again for every so many columns, and its second one for every
# so many rows.
COLUMNS, ROWS = 512, 1024
# An operand goes through no more entries than this.
MOST_ENTRIES = 24


@dataclass(frozen=True, slots=True)
class Prologue:
    """How an operand is computed.

    Attributes:
        base: the entry in memory whose elements are read one by one.
        inside: the entries that are computed on the way from there.
        others: the entries that must be in memory besides.
    """

    base: int
    inside: tuple[int, ...]
    others: tuple[int, ...]


class _Read(NamedTuple):
    """An entry that is read rather than computed, and at which of its elements."""

    number: int
    index: Index


def find_prologue(
    program: Program,
    readers: Mapping[int, int],
    over_contraction: Sequence[bool],
    product: Entry,
    which: int,
) -> Prologue | None:
    """How operand `which` (0 or 1) of a matrix product is computed in its kernel; None where it is
    better read from memory.
    """
    number = product.src[which]
    shape = program.entries[number].shape
    view = operand_base(program, number)
    if math.prod(shape) == 0 or (view and program.entries[view[0]].op.kind is not Kind.POINTWISE):
        return None

    def found(most_readers: int, most_price: float) -> tuple[Prologue, int] | None:
        walked = _walk(program, readers, number, most_readers)
        if walked is None or any(over_contraction[n] for n in walked[0]):
            return None
        return _prologue(program, product, which, *walked, most_price)

    once = found(1, MOST_PRICE)
    if once is None:
        return None
    prologue, large = once
    again = found(2, MOST_PRICE_AGAIN) if large > 1 else None
    return again[0] if again and again[1] == 1 else prologue


def _prologue(
    program: Program,
    product: Entry,
    which: int,
    inside: tuple[int, ...],
    reads: Sequence[_Read],
    most_price: float,
) -> tuple[Prologue, int] | None:
    """The prologue that computes `inside` of `reads`, and how many values as large as the operand
    it reads; None where an operand cannot be computed so, or is better not.
    """
    shape = program.entries[product.src[which]].shape
    matrix = [Variable(f"p{axis}", shape[axis]) for axis in (len(shape) - 2, len(shape) - 1)]
    large = [read for read in reads if _runs_through(read.index, matrix)]
    if not large:
        return None
    base = large[0]
    # All large values are read alike, so that what lies side by side is so in each of them.
    alike = all(read.index.terms == base.index.terms for read in large)
    # The base is handed over element by element, so it is read at one place only.
    if not alike or any(read.number == base.number for read in reads if read != base):
        return None
    times = _times(base.index, product.shape, shape, which)
    price = sum(program.entries[n].op.cost for n in inside)
    # A first operand that lies along k would not be packed if it were in memory.
    packs_for_this = which == 0 and base.index.coefficient(matrix[1]) == 1
    if price * times > most_price or (packs_for_this and times > 1):
        return None
    others = dict.fromkeys(read.number for read in reads if read.number != base.number)
    numbers = {read.number for read in large}
    return Prologue(base.number, inside, tuple(others)), len(numbers)


def places(
    program: Program, number: int, position: Position, found: Prologue
) -> Iterator[tuple[int, Index]]:
    """What the operand's element at `position` is made of: entries that are not computed inside,
    and where they are read.
    """
    pending = [(number, position)]
    while pending:
        number, position = pending.pop()
        if number in found.inside:
            pending.extend(_sources(program, number, position) or ())
        else:
            yield number, flatten(position, program.entries[number].shape)


def _walk(
    program: Program, readers: Mapping[int, int], operand: int, most_readers: int
) -> tuple[tuple[int, ...], list[_Read]] | None:
    """What is computed for the operand, which is what has at most so many readers, and what is
    read; None if it is no plain arithmetic.
    """
    shape = program.entries[operand].shape
    inside: dict[int, None] = {}
    reads: dict[_Read, None] = {}
    own = tuple(variable(f"p{axis}", size) for axis, size in enumerate(shape))
    pending = [(operand, own)]
    while pending:
        number, position = pending.pop()
        entry = program.entries[number]
        kind = entry.op.kind
        smaller = math.prod(entry.shape) < math.prod(shape)
        if kind is Kind.MOVEMENT or (
            kind is Kind.POINTWISE and readers[number] <= most_readers and not smaller
        ):
            inside[number] = None
            below = _sources(program, number, position)
            if below is None or len(inside) > MOST_ENTRIES:
                return None
            pending.extend(below)
        elif kind is not Kind.LEAF or entry.op is BUFFER:
            reads[_Read(number, flatten(position, entry.shape))] = None
    return tuple(inside), list(reads)


def _sources(
    program: Program, number: int, position: Position
) -> list[tuple[int, Position]] | None:
    """The sources of a pointwise value or movement and where they are read; None where some
    elements have no source.
    """
    entry = program.entries[number]
    if entry.op.kind is Kind.POINTWISE:
        return [(s, broadcast_position(position, program.entries[s].shape)) for s in entry.src]
    source = entry.src[0]
    moved, conditions = moved_index(
        Move(entry.op, entry.arg), program.entries[source].shape, position
    )
    return None if conditions else [(source, moved)]


def _runs_through(index: Index, matrix: Sequence[Variable]) -> bool:
    """Whether an operand's rows and columns lie at regular steps, each element once."""
    coefficients = [index.coefficient(v) for v in matrix if v.size > 1]
    linear = all(index.coefficient(v) is not None for v in index.variables())
    return linear and bool(coefficients) and all(coefficients) and not index.dynamics()


def _times(index: Index, product: Shape, shape: Shape, which: int) -> int:
    """How often a product would compute each element of the operand whose base is read at `index`:
    for each block of what it is multiplied with, of all matrices of the batch that share it.
    """
    shared = (
        size
        for axis, size in enumerate(shape[:-2])
        if not index.coefficient(Variable(f"p{axis}", size))
    )
    across, block = (product[-1], COLUMNS) if which == 0 else (product[-2], ROWS)
    return -(-hint(math.prod(shared) * across) // block)
