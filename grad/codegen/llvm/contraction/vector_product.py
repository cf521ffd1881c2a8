"""A few rows times a matrix: limited by how fast the matrix can be read, once, in long runs.

STREAM keeps the results of one block of columns in scratch and adds a few rows of the matrix to
them at a time. DOT multiplies along k and sums across lanes at the end, a few matrix rows at a
time. Both leave sums ``[few][columns_per_block]`` in scratch; `finish` runs the caller's epilogue
over them. Which one to use is decided in `plan.py`; `emit.py` writes the loop
over pieces around `vector_product`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from grad.codegen.llvm.builder import Builder, Value, element_of, vector_type
from grad.codegen.llvm.contraction.microkernel import Epilogue
from grad.codegen.llvm.contraction.operands import Matrix, Place, matrix, multiply_add, plus
from grad.codegen.llvm.contraction.structure import ELEMENT_TYPES, Contraction, Kind
from grad.codegen.llvm.lanes import lanes_below


@dataclass(frozen=True, slots=True)
class Piece:
    """Operands of one piece of work.

    Attributes:
        a, b: where the narrow operand and the block of the matrix (its first column) begin.
        narrow, wide: how they are read.
        scratch: of this worker.
        first, count: number of the block's first column, and how many there are.
        batch: batch indices.
        arguments: the run-time integers by name.
    """

    a: Value
    b: Value
    narrow: Matrix
    wide: Matrix
    scratch: Value
    first: Value
    count: Value
    batch: list[Value]
    arguments: Mapping[str, Value]


class _Row(NamedTuple):
    """A row of an operand that lies along k: where it begins, and its number."""

    operand: Matrix
    start: Value
    number: Value


def vector_product(b: Builder, structure: Contraction, piece: Piece, epilogue: Epilogue) -> None:
    """Emit the computation of one piece: sums to scratch, then the epilogue over them."""
    if structure.kind is Kind.STREAM:
        _clear(b, structure, piece)
        _stream(b, structure, piece)
    else:
        _dot(b, structure, piece)
    finish = _finish_by_element if structure.swapped else _finish_by_vector
    finish(b, structure, piece, epilogue)


def _sum_rows(b: Builder, structure: Contraction, piece: Piece) -> list[Value]:
    stride = piece.arguments["columns_per_block"]
    offsets = [b.mul(stride, row) for row in range(structure.rows[0])]
    return [b.gep(structure.element, piece.scratch, offset) for offset in offsets]


# -- STREAM ---------------------------------------------------------------------------------------
def _clear(b: Builder, structure: Contraction, piece: Piece) -> None:
    vector = vector_type(structure.element, structure.lanes)
    total = b.mul(piece.arguments["columns_per_block"], structure.rows[0])

    def step(index: Value, _: list[Value]) -> None:
        b.store(b.const(vector, 0), b.gep(structure.element, piece.scratch, index), structure.size)

    b.loop(0, total, structure.lanes, step)


def _stream(b: Builder, structure: Contraction, piece: Piece) -> None:
    k, turns = piece.arguments["k"], structure.vectors[0]
    whole = b.binary("and", k, -turns)
    sums = _sum_rows(b, structure, piece)

    def steps(count: int):
        return lambda index, _: _stream_steps(b, structure, piece, sums, index, count)

    b.loop(0, whole, turns, steps(turns))
    b.loop(whole, k, 1, steps(1))


def _stream_steps(
    b: Builder, structure: Contraction, piece: Piece, sums: list[Value], index: Value, count: int
) -> None:
    """Add `count` rows of the matrix, from row `index` on, to the sums."""
    element, lanes, size = structure.element, structure.lanes, structure.size
    vector, arguments = vector_type(element, lanes), piece.arguments
    numbers = [b.add(index, step) for step in range(count)]
    matrix_rows = [
        b.gep(structure.b_storage, piece.b, b.mul(number, arguments["b_k_stride"]))
        for number in numbers
    ]
    factors = []
    for row in range(structure.rows[0]):
        start = b.gep(structure.a_storage, piece.a, b.mul(arguments["a_row_stride"], row))
        places = [
            b.gep(structure.a_storage, start, b.mul(number, arguments["a_k_stride"]))
            for number in numbers
        ]
        here = [Place(b.const("i64", row), number, True) for number in numbers]
        loaded = [
            piece.narrow.load(b, address, 1, place)
            for address, place in zip(places, here, strict=True)
        ]
        factors.append([b.splat(factor, lanes) for factor in loaded])

    def add(column: Value, mask: Value | None) -> None:
        places = [b.gep(element, row, column) for row in sums]
        totals = [b.load(vector, place, size) for place in places]
        for step, matrix_row in enumerate(matrix_rows):
            address = b.gep(structure.b_storage, matrix_row, column)
            place = Place(column, numbers[step], False)
            loaded = piece.wide.load(b, address, lanes, place, mask)
            totals = [
                multiply_add(b, factors[row][step], loaded, total)
                for row, total in enumerate(totals)
            ]
        for total, place in zip(totals, places, strict=True):
            b.store(total, place, size)

    _over_columns(b, structure, piece.count, add)


def _over_columns(b: Builder, structure: Contraction, count: Value, body) -> None:
    """``body(column, mask)`` for every vector of `count` columns; the mask is None but for a
    partial last one."""
    lanes = structure.lanes
    whole = b.binary("and", count, -lanes)
    b.loop(0, whole, lanes, lambda column, _: body(column, None))
    if structure.masked:
        rest = b.sub(count, whole)
        b.branch(b.icmp("ne", rest, 0), lambda: body(whole, lanes_below(b, rest, lanes)))


# -- DOT ------------------------------------------------------------------------------------------
def _dot(b: Builder, structure: Contraction, piece: Piece) -> None:
    element, arguments = structure.element, piece.arguments
    few, together = structure.rows[0], structure.vectors[0]
    narrow = _narrow_rows(b, structure, piece)
    sums = _sum_rows(b, structure, piece)
    last = b.sub(piece.count, 1)

    def matrix_rows(column: Value, _: list[Value]) -> None:
        # Rows past the last one repeat it and write the same sum again.
        numbers = [b.intrinsic("smin", b.add(column, i), last) for i in range(together)]
        starts = [
            b.gep(structure.b_storage, piece.b, b.mul(number, arguments["b_column_stride"]))
            for number in numbers
        ]
        rows = [_Row(piece.wide, *row) for row in zip(starts, numbers, strict=True)]
        totals = _dot_products(b, structure, narrow, rows, arguments["k"])
        for row in range(few):
            for i, number in enumerate(numbers):
                b.store(
                    totals[row * together + i], b.gep(element, sums[row], number), structure.size
                )

    b.loop(0, piece.count, together, matrix_rows)


def _narrow_rows(b: Builder, structure: Contraction, piece: Piece) -> list[_Row]:
    """The rows of the narrow operand, contiguous along k (copied to scratch when they are not, or
    are computed)."""
    element, size, arguments = structure.element, structure.size, piece.arguments
    few, k = structure.rows[0], arguments["k"]
    storage = structure.a_storage
    rows = [b.gep(storage, piece.a, b.mul(arguments["a_row_stride"], row)) for row in range(few)]
    numbers = [b.const("i64", row) for row in range(few)]
    if not structure.pack_a:
        return [_Row(piece.narrow, *row) for row in zip(rows, numbers, strict=True)]
    packed = b.gep("i8", piece.scratch, arguments["a_offset"])
    targets = [b.gep(element, packed, b.mul(k, row)) for row in range(few)]

    def copy(index: Value, _: list[Value]) -> None:
        offset = b.mul(index, arguments["a_k_stride"])
        for number, row, target in zip(numbers, rows, targets, strict=True):
            value = piece.narrow.load(b, b.gep(storage, row, offset), 1, Place(number, index, True))
            b.store(value, b.gep(element, target, index), size)

    b.loop(0, k, 1, copy)
    copied = matrix(structure, ELEMENT_TYPES[element], None, {})
    return [_Row(copied, *row) for row in zip(targets, numbers, strict=True)]


def _dot_products(
    b: Builder, structure: Contraction, narrow: list[_Row], rows: list[_Row], k: Value
) -> list[Value]:
    """The dot product of every narrow row with every matrix row, as scalars."""
    element, lanes = structure.element, structure.lanes
    vector = vector_type(element, lanes)
    pairs = len(narrow) * len(rows)
    # Enough independent sums to hide the latency of the addition.
    copies = 4 if pairs <= 2 else 2 if pairs <= 4 else 1

    def step(index: Value, sums: list[Value], mask: Value | None, count: int) -> list[Value]:
        def read(row: _Row, part: int) -> Value:
            storage = row.operand.storage
            address = b.gep(storage, b.gep(storage, row.start, index), part * lanes)
            place = Place(row.number, b.add(index, part * lanes), True)
            return row.operand.load(b, address, lanes, place, mask)

        sums = list(sums)
        for part in range(count):
            factors = [read(row, part) for row in narrow]
            for i, row in enumerate(rows):
                loaded = read(row, part)
                for j, factor in enumerate(factors):
                    at = part * pairs + j * len(rows) + i
                    sums[at] = multiply_add(b, factor, loaded, sums[at])
        return sums

    zeros = [b.const(vector, 0)] * (pairs * copies)
    whole = b.binary("and", k, -lanes * copies)
    sums = b.loop(0, whole, lanes * copies, lambda i, s: step(i, s, None, copies), zeros)
    sums = b.loop(
        whole, k, lanes, lambda i, s: step(i, s, lanes_below(b, b.sub(k, i), lanes), 1), sums
    )
    totals = sums[:pairs]
    for part in range(1, copies):
        totals = [plus(b, t, s) for t, s in zip(totals, sums[part * pairs :], strict=False)]
    return [_sum_lanes(b, total) for total in totals]


def _sum_lanes(b: Builder, value: Value) -> Value:
    """The sum of all lanes, in the order of a binary tree."""
    lanes = 1 << (int(value.type[1 : value.type.index(" ")]).bit_length() - 1)
    while lanes > 2:
        lanes //= 2
        low = b.shuffle(value, None, range(lanes))
        value = plus(b, low, b.shuffle(value, None, range(lanes, 2 * lanes)))
    element = element_of(value.type)
    parts = [
        b.emit(element, f"extractelement {value.type} {value.text}, i32 {i}") for i in range(2)
    ]
    return plus(b, *parts)


# -- epilogue -------------------------------------------------------------------------------------
def _finish_by_vector(b: Builder, structure: Contraction, piece: Piece, epilogue: Epilogue) -> None:
    vector = vector_type(structure.element, structure.lanes)
    for row, sums in enumerate(_sum_rows(b, structure, piece)):
        number = b.const("i64", row)

        def store(
            column: Value, mask: Value | None, sums: Value = sums, number: Value = number
        ) -> None:
            value = b.load(vector, b.gep(structure.element, sums, column), structure.size)
            epilogue(b, piece.batch, number, b.add(piece.first, column), value, mask)

        _over_columns(b, structure, piece.count, store)


def _finish_by_element(
    b: Builder, structure: Contraction, piece: Piece, epilogue: Epilogue
) -> None:
    rows = _sum_rows(b, structure, piece)

    def store(index: Value, _: list[Value]) -> None:
        for column, sums in enumerate(rows):
            value = b.load(structure.element, b.gep(structure.element, sums, index), structure.size)
            epilogue(b, piece.batch, b.add(piece.first, index), b.const("i64", column), value, None)

    b.loop(0, piece.count, 1, store)
