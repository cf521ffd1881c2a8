"""Squares transposed in registers, for loops that read along their own variable.

In a loop of squares (`kernel/ir.py`) some loads run along the rows' variable and jump in lanes.
Before such a loop their elements are read in vectors along memory, a square at a time, transposed
by shuffles (`squares.py`) and left in a small array on the stack, row by row; in the
loop the load reads from there. `loops.py` calls `stage` and `load_staged`. A square may lie over
the one before it where the tile is no multiple; only what is narrower than a square is read under
masks, or element by element where the CPU has no masks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from grad.codegen.llvm.addresses import Addresses, Lanes, past_a_multiple
from grad.codegen.llvm.builder import Builder, Value, vector_type
from grad.codegen.llvm.conversions import STORAGE
from grad.codegen.llvm.lanes import lanes_below
from grad.codegen.llvm.squares import transpose
from grad.graph.index import Index, Variable
from grad.graph.sizes import is_multiple
from grad.kernel.ir import Load, Loop, Parameter, Store

LINE_BYTES = 64
# More rows than this do not fit into the registers.
LARGEST_SQUARE = 16
# Vectors of the loop may read so many elements before and beyond a row.
SLACK = 64


@dataclass(frozen=True, slots=True)
class Staged:
    """The array that holds what a load reads: `width` elements for each row."""

    array: Value
    storage: str
    row: Variable
    width: int


def columns_of(loop: Loop) -> Loop:
    """The loop in lanes inside a loop of squares."""
    inner = loop.body[-1]
    assert isinstance(inner, Loop)
    return inner


def staged_loads(loop: Loop) -> list[Load]:
    """The loads that run along the variable of a loop of squares, and across in lanes."""
    columns = columns_of(loop)
    return [
        s
        for s in columns.body
        if isinstance(s, Load)
        and not s.guards
        and not s.index.dynamics()
        and s.index.coefficient(loop.variable) == 1
        and s.index.coefficient(columns.variable) not in (0, 1)
    ]


def stage(
    b: Builder, addresses: Addresses, loop: Loop, rows: Value, columns: Value
) -> dict[int, Staged]:
    """Write the reading and transposing of what a loop of squares reads across; by value number.

    Args:
        rows, columns: how many turns both loops have here.
    """
    loads = staged_loads(loop)
    return {load.value: _stage(b, addresses, loop, load, rows, columns) for load in loads}


def _stage(
    b: Builder, addresses: Addresses, loop: Loop, load: Load, rows: Value, columns: Value
) -> Staged:
    across = columns_of(loop).variable
    storage, size = STORAGE[load.dtype], max(load.dtype.itemsize, 1)
    terms = tuple(t for t in load.index.terms if t[0] != loop.variable)
    first = Index(terms, load.index.constant)
    source = partial(_column, addresses, load.parameter, first, storage, across)
    side = _side(b, size, loop.variable.size, across.size)
    width = -(-across.size // LARGEST_SQUARE) * LARGEST_SQUARE
    rows_held = -(-loop.variable.size // side) * side
    array = b.gep(storage, b.alloca(storage, rows_held * width + 2 * SLACK), SLACK)
    squares = _Squares(b, storage, size, side, source, array, width)
    squares.write(rows, columns)
    return Staged(array, storage, loop.variable, width)


def _column(
    addresses: Addresses,
    parameter: int,
    first: Index,
    storage: str,
    across: Variable,
    column: Value,
) -> Value:
    """Where `column` begins: at the index `first`, in which it is the value of `across`."""
    with addresses.inside(across, column):
        return addresses.pointer(parameter, first, storage)


def load_staged(b: Builder, staged: Staged, addresses: Addresses, lanes: Lanes) -> Value:
    """The lanes of a staged load."""
    row = b.mul(addresses.variables[staged.row], staged.width)
    place = b.gep(staged.storage, staged.array, b.add(row, lanes.first))
    return b.load(vector_type(staged.storage, lanes.count), place, 1)


def past_a_line(
    b: Builder,
    addresses: Addresses,
    parameters: Mapping[int, Parameter],
    columns: Loop,
    start: Value,
    lanes: int,
) -> Value | None:
    """How many elements the first store of a loop over columns is past a multiple of a vector.

    None where that is 0 in every row, or where masks cost too much for it to matter.
    """
    store = next((s for s in columns.body if isinstance(s, Store)), None)
    if store is None or b.vector_bytes < LINE_BYTES:
        return None
    if store.index.coefficient(columns.variable) != 1 or store.index.dynamics():
        return None
    steps = [c for atom, c in store.index.terms if atom != columns.variable]
    if all(is_multiple(number, lanes) for number in (*steps, store.index.constant)):
        return None
    dtype = parameters[store.parameter].dtype
    return past_a_multiple(b, addresses, (store, dtype), columns.variable, start, lanes)


def _side(b: Builder, size: int, rows: int, columns: int) -> int:
    """Rows and columns of a square: no more than the registers hold and the tile can use."""
    most = min(LARGEST_SQUARE, b.vector_bytes // size)
    side = 2
    while side < most and side < min(rows, columns):
        side *= 2
    return side


@dataclass(frozen=True, slots=True)
class _Squares:
    """``array[row * width + column] = source(column)[row]``, square by square."""

    b: Builder
    storage: str
    size: int
    side: int
    source: Callable[[Value], Value]
    array: Value
    width: int

    def write(self, rows: Value, columns: Value) -> None:
        b, side = self.b, self.side
        last_row, last_column = b.sub(rows, side), b.sub(columns, side)
        kind = vector_type(self.storage, side)

        def square(row: Value, column: Value, sources: list[Value]) -> None:
            row = b.intrinsic("smin", row, last_row)
            places = [b.gep(self.storage, source, row) for source in sources]
            self.transposed(row, column, [b.load(kind, place, self.size) for place in places])

        def strip(column: Value, _: object) -> None:
            column = b.intrinsic("smin", column, last_column)
            sources = [self.source(b.add(column, i)) for i in range(side)]
            b.loop(0, rows, side, lambda row, _: square(row, column, sources))

        def whole() -> list[Value]:
            b.loop(0, columns, side, strip)
            return []

        def narrow() -> list[Value]:
            if self.has_masks:
                self.masked(rows, columns)
            else:
                self.one_by_one(rows, columns)
            return []

        fits = b.icmp("sge", b.intrinsic("smin", rows, columns), side)
        if fits.text == "true":
            whole()
        else:
            b.either(fits, whole, narrow)

    @property
    def has_masks(self) -> bool:
        features = self.b.features
        needed = "avx512bw" if self.size < 4 else "avx2"
        return needed in features and (self.side * self.size >= 16 or "avx512vl" in features)

    def at(self, row: Value, column: Value) -> Value:
        return self.b.gep(self.storage, self.source(column), row)

    def transposed(self, row: Value, column: Value, vectors: list[Value]) -> None:
        b = self.b
        place = b.gep(self.storage, self.array, b.add(b.mul(row, self.width), column))
        for number, vector in enumerate(transpose(b, vectors, self.size)):
            b.store(vector, b.gep(self.storage, place, number * self.width), self.size)

    def masked(self, rows: Value, columns: Value) -> None:
        """Squares that reach beyond the tile: rows are masked, the last column is read again."""
        b, side = self.b, self.side
        kind = vector_type(self.storage, side)
        last = b.sub(columns, 1)

        def square(row: Value, column: Value) -> None:
            mask = lanes_below(b, b.sub(rows, row), side)
            vectors = []
            for i in range(side):
                place = self.at(row, b.intrinsic("smin", b.add(column, i), last))
                vectors.append(b.masked_load(kind, place, self.size, mask, b.const(kind, 0)))
            self.transposed(row, column, vectors)

        b.loop(0, rows, side, lambda r, _: b.loop(0, columns, side, lambda c, _: square(r, c)))

    def one_by_one(self, rows: Value, columns: Value) -> None:
        b = self.b

        def element(row: Value, column: Value) -> None:
            value = b.load(self.storage, self.at(row, column), self.size)
            place = b.gep(self.storage, self.array, b.add(b.mul(row, self.width), column))
            b.store(value, place, self.size)

        b.loop(0, rows, 1, lambda r, _: b.loop(0, columns, 1, lambda c, _: element(r, c)))
