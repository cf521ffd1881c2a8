"""Copy blocks of the operands of a matrix product into the order in which the micro-kernel reads
them.

A packed panel of B is ``[depth][vectors * lanes]``, a packed row tile of A ``[depth][rows]``;
panels and tiles follow each other without gaps. Each layout of the source has its own loop (the
tables PACK_A and PACK_B): contiguous runs are copied as vectors, a transposed B goes through a
square transpose in registers, anything else is copied one element at a time. On the way elements
are converted, or computed by the operand's prologue (`operands.py`). Columns past the last one
repeat it: they are computed and never stored, so what they hold does not matter.

`emit.py` calls the functions written here before it runs `microkernel.py` over the block.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from grad.codegen.llvm.builder import Builder, Value
from grad.codegen.llvm.contraction.operands import (
    Matrix,
    Place,
    Prologue,
    coordinate_parameters,
    masked_loads_are_fast,
    matrix,
)
from grad.codegen.llvm.contraction.structure import Contraction, Layout
from grad.codegen.llvm.functions import parameter_values, signature
from grad.codegen.llvm.lanes import lanes_below
from grad.codegen.llvm.squares import transpose

PACK_B_PARAMETERS: Mapping[str, str] = {
    "source": "ptr noalias",
    "target": "ptr noalias",
    "depth": "i64",
    "panels": "i64",
    "vectors": "i64",  # in a panel
    "columns": "i64",  # that exist; up to a vector less than the panels hold
    "k_stride": "i64",
    "column_stride": "i64",
}
PACK_A_PARAMETERS: Mapping[str, str] = {
    "source": "ptr noalias",
    "target": "ptr noalias",
    "depth": "i64",
    "rows": "i64",
    "row_stride": "i64",
    "k_stride": "i64",
    "target_stride": "i64",
}
# pack(builder, structure, operand, parameters)
Pack: TypeAlias = Callable[[Builder, Contraction, Matrix, Mapping[str, Value]], None]


def _transpose_rows(
    b: Builder,
    structure: Contraction,
    operand: Matrix,
    sources: list[tuple[Value, Value]],
    along_k: bool,
    target: Value,
    count: Value,
    target_stride: Value,
) -> None:
    """Write ``target[i * target_stride + lane] = sources[lane][i]`` for i below `count`.

    A source is a pointer into `operand` with its row (its column, its k), from where elements
    lie side by side `along_k` or across.

    Writes as many rows more as `count` is short of a multiple of the lanes.
    """
    element, lanes, size = structure.element, structure.lanes, structure.size

    def square(start: Value, mask: Value | None) -> None:
        rows = []
        for source, number in sources:
            address = b.gep(operand.storage, source, start)
            at = Place(number, start, True) if along_k else Place(start, number, False)
            rows.append(operand.load(b, address, lanes, at, mask))
        place = b.gep(element, target, b.mul(start, target_stride))
        for row in transpose(b, rows, size):
            b.store(row, place, size)
            place = b.gep(element, place, target_stride)

    if masked_loads_are_fast(b, operand.memory, lanes):
        b.loop(0, count, lanes, lambda i, _: square(i, lanes_below(b, b.sub(count, i), lanes)))
        return
    whole = b.binary("and", count, -lanes)
    b.loop(0, whole, lanes, lambda i, _: square(i, None))
    rest = b.sub(count, whole)
    b.branch(b.icmp("ne", rest, 0), lambda: square(whole, lanes_below(b, rest, lanes)))


# -- B --------------------------------------------------------------------------------------------
def pack_b_parameters(structure: Contraction) -> Mapping[str, str]:
    computed = coordinate_parameters(structure) if structure.b_computed else {}
    return {**PACK_B_PARAMETERS, **computed}


def pack_b_function(
    structure: Contraction, name: str, b: Builder, prologue: Prologue | None = None
) -> str:
    """A function that packs panels of B, all of one width."""
    parameters = pack_b_parameters(structure)
    values = parameter_values(parameters)
    operand = matrix(structure, structure.b_memory, prologue and prologue(b), values)
    PACK_B[structure.b_layout](b, structure, operand, values)
    return b.function(name, signature(parameters), "internal")


def _pack_b_columns(
    b: Builder, structure: Contraction, operand: Matrix, p: Mapping[str, Value]
) -> None:
    element, lanes, size = structure.element, structure.lanes, structure.size
    width = b.mul(p["vectors"], lanes)
    panel_size = b.mul(p["depth"], width)
    whole = b.binary("and", p["columns"], -lanes) if structure.masked else p["columns"]
    rest = b.sub(p["columns"], whole)
    mask = lanes_below(b, rest, lanes)
    last_panel, last_slot = (b.binary(op, whole, width) for op in ("udiv", "urem"))
    last_target = b.gep(element, p["target"], b.add(b.mul(last_panel, panel_size), last_slot))

    # Along whole rows of B, so that memory is read in long runs.
    def row(k: Value, _: list[Value]) -> None:
        source = b.gep(operand.storage, p["source"], b.mul(k, p["k_stride"]))
        offset = b.mul(k, width)
        target = b.gep(element, p["target"], offset)

        def panel(first: Value, state: list[Value]) -> list[Value]:
            def copy(column: Value, inner: list[Value]) -> list[Value]:
                address = b.gep(operand.storage, source, column)
                loaded = operand.load(b, address, lanes, Place(column, k, False))
                b.store(loaded, inner[0], size)
                return [b.gep(element, inner[0], lanes)]

            end = b.intrinsic("smin", b.add(first, width), whole)
            b.loop(first, end, lanes, copy, state)
            return [b.gep(element, state[0], panel_size)]

        b.loop(0, whole, width, panel, [target])
        if structure.masked:

            def partial() -> None:
                address = b.gep(operand.storage, source, whole)
                loaded = operand.load(b, address, lanes, Place(whole, k, False), mask)
                b.store(loaded, b.gep(element, last_target, offset), size)

            b.branch(b.icmp("ne", rest, 0), partial)

    b.loop(0, p["depth"], 1, row)


def _pack_b_transposed(
    b: Builder, structure: Contraction, operand: Matrix, p: Mapping[str, Value]
) -> None:
    element, lanes = structure.element, structure.lanes
    width = b.mul(p["vectors"], lanes)
    last = b.sub(p["columns"], 1)

    def one_vector(index: Value, _: list[Value]) -> None:
        column = b.mul(index, lanes)
        sources = []
        for i in range(lanes):
            number = b.add(column, i)
            if structure.masked:
                number = b.intrinsic("smin", number, last)
            start = b.gep(operand.storage, p["source"], b.mul(number, p["column_stride"]))
            sources.append((start, number))
        panel, slot = (b.binary(op, index, p["vectors"]) for op in ("udiv", "urem"))
        target = b.gep(element, p["target"], b.mul(b.mul(panel, p["depth"]), width))
        target = b.gep(element, target, b.mul(slot, lanes))
        # Rows past `depth` spill into what is packed next (or the slack at the end).
        _transpose_rows(b, structure, operand, sources, True, target, p["depth"], width)

    b.loop(0, b.mul(p["panels"], p["vectors"]), 1, one_vector)


def _pack_b_strided(
    b: Builder, structure: Contraction, operand: Matrix, p: Mapping[str, Value]
) -> None:
    element, size = structure.element, structure.size
    width = b.mul(p["vectors"], structure.lanes)
    last = b.sub(p["columns"], 1)
    panel_size = b.mul(p["depth"], width)

    def one_panel(panel: Value, _: list[Value]) -> None:
        target = b.gep(element, p["target"], b.mul(panel, panel_size))
        first = b.mul(panel, width)

        def row(k: Value, _: list[Value]) -> None:
            source = b.gep(operand.storage, p["source"], b.mul(k, p["k_stride"]))
            place = b.gep(element, target, b.mul(k, width))

            def column(j: Value, _: list[Value]) -> None:
                number = b.intrinsic("smin", b.add(first, j), last)
                address = b.gep(operand.storage, source, b.mul(number, p["column_stride"]))
                value = operand.load(b, address, 1, Place(number, k, False))
                b.store(value, b.gep(element, place, j), size)

            b.loop(0, width, 1, column, at_least_once=True)

        b.loop(0, p["depth"], 1, row)

    b.loop(0, p["panels"], 1, one_panel)


PACK_B: Mapping[Layout, Pack] = {
    Layout.COLUMN_CONTIGUOUS: _pack_b_columns,
    Layout.K_CONTIGUOUS: _pack_b_transposed,
    Layout.STRIDED: _pack_b_strided,
}


# -- A --------------------------------------------------------------------------------------------
def pack_a_parameters(structure: Contraction) -> Mapping[str, str]:
    computed = coordinate_parameters(structure) if structure.a_computed else {}
    return {**PACK_A_PARAMETERS, **computed}


def pack_a_function(
    structure: Contraction, name: str, b: Builder, prologue: Prologue | None = None
) -> str:
    """A function that packs `rows` rows of A."""
    parameters = pack_a_parameters(structure)
    values = parameter_values(parameters)
    operand = matrix(structure, structure.a_memory, prologue and prologue(b), values)
    PACK_A[structure.a_layout](b, structure, operand, values)
    return b.function(name, signature(parameters), "internal")


def _pack_a_transposed(
    b: Builder, structure: Contraction, operand: Matrix, p: Mapping[str, Value]
) -> None:
    element, lanes = structure.element, structure.lanes
    last = b.sub(p["depth"], 1)

    def one_vector(k: Value, _: list[Value]) -> None:
        sources = []
        for i in range(lanes):
            number = b.intrinsic("smin", b.add(k, i), last)
            start = b.gep(operand.storage, p["source"], b.mul(number, p["k_stride"]))
            sources.append((start, number))
        target = b.gep(element, p["target"], k)
        stride = p["target_stride"]
        _transpose_rows(b, structure, operand, sources, False, target, p["rows"], stride)

    b.loop(0, p["depth"], lanes, one_vector)


def _pack_a_rows(
    b: Builder, structure: Contraction, operand: Matrix, p: Mapping[str, Value]
) -> None:
    """Rows that lie along k: read only to be converted or computed."""
    element, size, lanes = structure.element, structure.size, structure.lanes

    def one_row(row: Value, _: list[Value]) -> None:
        source = b.gep(operand.storage, p["source"], b.mul(row, p["row_stride"]))
        target = b.gep(element, p["target"], b.mul(row, p["target_stride"]))

        def copy(k: Value, mask: Value | None) -> None:
            address = b.gep(operand.storage, source, k)
            value = operand.load(b, address, lanes, Place(row, k, True), mask)
            b.store(value, b.gep(element, target, k), size)

        whole = b.binary("and", p["depth"], -lanes)
        b.loop(0, whole, lanes, lambda k, _: copy(k, None))
        rest = b.sub(p["depth"], whole)
        b.branch(b.icmp("ne", rest, 0), lambda: copy(whole, lanes_below(b, rest, lanes)))

    b.loop(0, p["rows"], 1, one_row)


def _pack_a_strided(
    b: Builder, structure: Contraction, operand: Matrix, p: Mapping[str, Value]
) -> None:
    element, size = structure.element, structure.size

    def one_row(row: Value, _: list[Value]) -> None:
        source = b.gep(operand.storage, p["source"], b.mul(row, p["row_stride"]))
        target = b.gep(element, p["target"], b.mul(row, p["target_stride"]))

        def copy(k: Value, _: list[Value]) -> None:
            address = b.gep(operand.storage, source, b.mul(k, p["k_stride"]))
            value = operand.load(b, address, 1, Place(row, k, True))
            b.store(value, b.gep(element, target, k), size)

        b.loop(0, p["depth"], 1, copy)

    b.loop(0, p["rows"], 1, one_row)


PACK_A: Mapping[Layout, Pack] = {
    Layout.K_CONTIGUOUS: _pack_a_rows,
    Layout.ROW_CONTIGUOUS: _pack_a_transposed,
    Layout.STRIDED: _pack_a_strided,
}
