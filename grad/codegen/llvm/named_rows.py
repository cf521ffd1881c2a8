"""Rows that an index names, asked for before their turn.

A loop that reads ``table[index[i]]`` row by row jumps through memory: no hardware foresees where
the next row is, and a processor that looks some rows ahead by itself waits for a translation of
each address and for the lines. The index is in memory, though. So each turn computes what one of
the next turns will name, and asks for the lines of that row (`loops.py` calls `look_ahead`). Rows
that a loop adds to are asked for alike. `prefetch.py` does this for rows in order. Prefetching an
address that does not exist does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass

from grad.codegen.llvm.addresses import Addresses
from grad.codegen.llvm.builder import Builder, Value
from grad.codegen.llvm.conversions import STORAGE
from grad.dtype import DType
from grad.graph.index import Index, Variable
from grad.kernel.ir import Count, Let, Load, Loop, Number, Parameter, Scalar, Statement, Store
from grad.kernel.walk import operands_of

# What a value may be made by that is computed a few turns early.
Named = Let | Number | Count | Scalar | Load
LINE_BYTES = 64
# So much is under way: enough to hide a translation and a read of memory. It waits in the
# second-level cache (2), since a row that is copied past the caches needs none of the first.
AHEAD_BYTES = 8192
LEVEL = 2
# From here on the hardware has noticed that the row is read in order.
LONGEST_BYTES = 4096


@dataclass(frozen=True, slots=True)
class NamedRow:
    """The row of `nbytes` that begins at ``parameter[index]``."""

    parameter: int
    index: Index
    dtype: DType
    nbytes: int
    written: bool


@dataclass(frozen=True, slots=True)
class Foresight:
    """What a turn asks for.

    Attributes:
        distance: for which turn after itself.
        names: the statements that compute where the rows are.
        rows: the rows.
    """

    distance: int
    names: tuple[Named, ...]
    rows: tuple[NamedRow, ...]


def foresee(
    loop: Loop, parameters: Mapping[int, Parameter], known: Container[int]
) -> Foresight | None:
    """What each turn of `loop` should ask for, if something in it is named by an index.

    Args:
        known: the numbers of the values that there are before the loop.
    """
    rows = {(row.parameter, row.index): row for row in _named_rows(loop, parameters)}
    made: dict[int, Named] = {s.value: s for s in loop.body if isinstance(s, Named)}
    names: set[int] = set()
    pending = [value for _, index in rows for value in index.dynamics()]
    while pending:
        value = pending.pop()
        if value in known or value in names:
            continue
        if value not in made:
            return None
        names.add(value)
        pending.extend(operands_of(made[value]))
    if not names:
        return None
    row_bytes = sum(row.nbytes for row in rows.values())
    statements = tuple(s for value, s in made.items() if value in names)
    return Foresight(max(AHEAD_BYTES // max(row_bytes, 1), 1), statements, tuple(rows.values()))


def _named_rows(loop: Loop, parameters: Mapping[int, Parameter]) -> Iterator[NamedRow]:
    """Rows that the loops in lanes inside `loop` walk, and that values name."""
    for inner in loop.body:
        if not isinstance(inner, Loop) or not inner.vector or inner.parallel:
            continue
        for statement in inner.body:
            if not isinstance(statement, Load | Store) or not statement.index.dynamics():
                continue
            index, parameter = statement.index, parameters[statement.parameter]
            if index.coefficient(inner.variable) != 1:
                continue
            start = Index(tuple(t for t in index.terms if t[0] != inner.variable), index.constant)
            nbytes = min(inner.variable.size * parameter.dtype.itemsize, LONGEST_BYTES)
            yield NamedRow(
                parameter.number, start, parameter.dtype, nbytes, isinstance(statement, Store)
            )


def look_ahead(
    b: Builder,
    addresses: Addresses,
    foreseen: Foresight | None,
    compute: Callable[[Statement], None],
    turn: tuple[Variable, Value, Value],
) -> None:
    """In one turn of a loop, ask for the rows of a later one, at most of the last.

    Args:
        compute: writes a statement.
        turn: the loop's variable, its value now, and where it stops.
    """
    if foreseen is None:
        return
    variable, index, stop = turn
    later = b.intrinsic("smin", b.add(index, foreseen.distance), b.sub(stop, 1))
    with addresses.inside(variable, later):
        for statement in foreseen.names:
            compute(statement)
        for row in foreseen.rows:
            _ask(b, addresses, row)
    for statement in foreseen.names:
        del addresses.values[statement.value]


def _ask(b: Builder, addresses: Addresses, row: NamedRow) -> None:
    place = addresses.pointer(row.parameter, row.index, STORAGE[row.dtype])
    kind = [Value(str(number), "i32") for number in (int(row.written), LEVEL, 1)]
    offsets = [*range(0, row.nbytes, LINE_BYTES)]
    if row.nbytes % LINE_BYTES:
        offsets.append(row.nbytes - 1)
    for offset in offsets:
        b.call("void", "llvm.prefetch.p0", b.gep("i8", place, offset), *kind)
