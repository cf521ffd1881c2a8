"""The loops of one piece of work of a tiled matrix product.

Blocks of k outermost; in each, the block of B is packed (if it is), then **row tile outside, column
panel inside**: a tile of A stays in the first-level cache, the block of B in the second. Row tiles
and panels come in two sizes at most, the larger ones first, so every loop over them is one or two
loops that call a micro-kernel of fixed size (`microkernel.py`, `packing.py`). `emit.py`
writes the function around this.
"""

from __future__ import annotations

from collections.abc import Mapping

from grad.codegen.llvm.builder import Builder, Value
from grad.codegen.llvm.contraction.microkernel import (
    Epilogue,
    micro_kernel,
    micro_kernel_parameters,
)
from grad.codegen.llvm.contraction.operands import Prologues
from grad.codegen.llvm.contraction.packing import (
    pack_a_function,
    pack_a_parameters,
    pack_b_function,
    pack_b_parameters,
)
from grad.codegen.llvm.contraction.structure import TILES_PACKED_TOGETHER, Contraction
from grad.codegen.llvm.functions import call_internal

SLOT_BYTES = 8


class TileFunctions:
    """The internal functions of the module, by the size that they are written for."""

    def __init__(
        self,
        structure: Contraction,
        name: str,
        b: Builder,
        epilogue: Epilogue,
        prologues: Prologues,
    ) -> None:
        self.texts: list[str] = []
        self.kernel: dict[tuple[int, int], str] = {}
        self.pack_a, self.pack_b = f"{name}.pack_a", f"{name}.pack_b"
        for vectors in structure.vectors:
            for rows in structure.rows:
                kernel = self.kernel[rows, vectors] = f"{name}.tile{rows}x{vectors}"
                self.texts.append(
                    micro_kernel(structure, kernel, rows, vectors, b.sibling(), epilogue)
                )
        if structure.pack_b:
            self.texts.append(pack_b_function(structure, self.pack_b, b.sibling(), prologues[1]))
        if structure.pack_a:
            self.texts.append(pack_a_function(structure, self.pack_a, b.sibling(), prologues[0]))


class Inputs:
    """Pointers and run-time integers, loaded at the beginning of the function."""

    def __init__(self, b: Builder, structure: Contraction, first_argument: int) -> None:
        def slot(number: int, kind: str) -> Value:
            return b.load(
                kind, b.gep("i64", Value("%args", "ptr"), first_argument + number), SLOT_BYTES
            )

        pointers = [slot(number, "ptr") for number in range(3)]
        self.a, self.b = (
            (pointers[1], pointers[0]) if structure.swapped else (pointers[0], pointers[1])
        )
        self.integers = {
            name: slot(3 + i, "i64") for i, name in enumerate(structure.argument_names)
        }
        offset = b.mul(Value("%worker", "i64"), self.integers["scratch_bytes"])
        self.scratch = b.gep("i8", pointers[2], offset)

    def batch(
        self, b: Builder, structure: Contraction, number: Value
    ) -> tuple[list[Value], Value, Value]:
        """Batch indices of batch element `number`, and where its A and B begin."""
        indices: list[Value] = []
        a, matrix = self.a, self.b
        for axis in reversed(range(structure.batch_rank)):
            if axis:
                size = self.integers[f"batch_size{axis}"]
                index = b.binary("urem", number, size)
                number = b.binary("udiv", number, size)
            else:
                index = number
            indices.insert(0, index)
            a = b.gep(structure.a_storage, a, b.mul(index, self.integers[f"a_batch_stride{axis}"]))
            matrix = b.gep(
                structure.b_storage, matrix, b.mul(index, self.integers[f"b_batch_stride{axis}"])
            )
        return indices, a, matrix


def minimum(b: Builder, first: Value, second: Value) -> Value:
    return b.intrinsic("smin", first, second)


class TiledPiece:
    """The loops of one piece of work of a TILED product."""

    def __init__(
        self,
        b: Builder,
        structure: Contraction,
        inputs: Inputs,
        functions: TileFunctions,
        piece: Value,
    ) -> None:
        self.b, self.structure, self.functions = b, structure, functions
        self.integers = n = inputs.integers
        self.element = structure.element
        rest = b.binary("udiv", piece, n["row_blocks"])
        row_block = b.binary("urem", piece, n["row_blocks"])
        column_block = b.binary("urem", rest, n["column_blocks"])
        batch, a, matrix = inputs.batch(b, structure, b.binary("udiv", rest, n["column_blocks"]))
        self.batch = {f"batch{axis}": index for axis, index in enumerate(batch)}

        self.first_tile, self.last_tile = self._range(row_block, n["tiles_per_block"], n["tiles"])
        self.first_panel, self.last_panel = self._range(
            column_block, n["columns_per_block"], n["panels"]
        )
        self.first_row = self.row_of(self.first_tile)
        self.first_vector = self.vector_of(self.first_panel)
        self.block_columns = b.mul(
            b.sub(self.vector_of(self.last_panel), self.first_vector), structure.lanes
        )
        self.first_column = b.mul(self.first_vector, structure.lanes)
        self.a = a
        self.matrix = b.gep(
            structure.b_storage, matrix, b.mul(self.first_column, n["b_column_stride"])
        )
        self.scratch = inputs.scratch

    def _range(self, block: Value, per_block: Value, total: Value) -> tuple[Value, Value]:
        first = self.b.mul(block, per_block)
        return first, minimum(self.b, self.b.add(first, per_block), total)

    def row_of(self, tile: Value) -> Value:
        """Number of the first row of a row tile."""
        large = minimum(self.b, tile, self.integers["large_tiles"])
        return self.b.add(self.b.mul(tile, self.structure.rows[-1]), large)

    def vector_of(self, panel: Value) -> Value:
        """Number of the first vector of a column panel."""
        wide = minimum(self.b, panel, self.integers["wide_panels"])
        return self.b.add(self.b.mul(panel, self.structure.vectors[-1]), wide)

    def kinds(
        self, sizes: tuple[int, ...], first: Value, last: Value, larger: Value
    ) -> list[tuple[int, Value, Value]]:
        """``(size, first, last)`` for each size of tile or panel: the larger ones come first."""
        if len(sizes) == 1:
            return [(sizes[0], first, last)]
        middle = minimum(self.b, self.b.intrinsic("smax", first, larger), last)
        return [(sizes[0], first, middle), (sizes[1], middle, last)]

    def row_kinds(self) -> list[tuple[int, Value, Value]]:
        return self.kinds(
            self.structure.rows, self.first_tile, self.last_tile, self.integers["large_tiles"]
        )

    def panel_kinds(self) -> list[tuple[int, Value, Value]]:
        return self.kinds(
            self.structure.vectors, self.first_panel, self.last_panel, self.integers["wide_panels"]
        )

    def emit(self) -> None:
        b, n = self.b, self.integers
        rows, panels = self.row_kinds(), self.panel_kinds()

        def depth_block(start: Value, _: list[Value]) -> None:
            depth = minimum(b, b.sub(n["k"], start), n["depth_block"])
            values = {
                "args": Value("%args", "ptr"),
                "depth": depth,
                "first": b.icmp("eq", start, 0),
                "last": b.icmp("sge", b.add(start, n["depth_block"]), n["k"]),
                "a_row_stride": n["a_row_stride"],
                "a_k_stride": n["a_k_stride"],
                "b_k_stride": n["b_k_stride"],
                **self.batch,
            }
            matrix = self.b.gep(
                self.structure.b_storage, self.matrix, b.mul(start, n["b_k_stride"])
            )
            if self.structure.pack_b:
                self.pack_b(values, matrix, start, panels)
            for size, first, last in rows:
                self.row_tiles(values, matrix, start, size, first, last, panels)

        # One turn even when k is 0, so that the epilogue sees zeros.
        b.loop(0, n["k"], n["depth_block"], depth_block, at_least_once=True)

    def pack_b(
        self,
        values: Mapping[str, Value],
        matrix: Value,
        start: Value,
        panels: list[tuple[int, Value, Value]],
    ) -> None:
        b, n, lanes = self.b, self.integers, self.structure.lanes
        parameters, depth = pack_b_parameters(self.structure), values["depth"]
        for size, first, last in panels:
            vector = self.vector_of(first)
            offset = b.mul(b.sub(vector, self.first_vector), lanes)
            count = b.sub(last, first)
            column = b.mul(vector, lanes)
            pack = {
                **values,
                "outer": column,
                "k": start,
                "source": b.gep(
                    self.structure.b_storage, matrix, b.mul(offset, n["b_column_stride"])
                ),
                "target": b.gep(self.element, self.scratch, b.mul(offset, depth)),
                "panels": count,
                "vectors": b.const("i64", size),
                "columns": minimum(b, b.mul(count, size * lanes), b.sub(n["n"], column)),
                "k_stride": n["b_k_stride"],
                "column_stride": n["b_column_stride"],
            }
            # An empty range has no last panel, which masked packing would write.
            b.branch(
                b.icmp("sgt", count, 0),
                lambda pack=pack: call_internal(b, self.functions.pack_b, parameters, pack),
            )

    def row_tiles(
        self,
        values: Mapping[str, Value],
        matrix: Value,
        start: Value,
        size: int,
        first: Value,
        last: Value,
        panels: list[tuple[int, Value, Value]],
    ) -> None:
        """All tiles of one size: in place, or group by group through a packed copy."""
        b, n = self.b, self.integers

        def place(row: Value) -> Value:
            offset = b.add(b.mul(row, n["a_row_stride"]), b.mul(start, n["a_k_stride"]))
            return b.gep(self.structure.a_storage, self.a, offset)

        def tiles_in_place(tile: Value, _: list[Value]) -> None:
            row = self.row_of(tile)
            self.panels({**values, "a": place(row), "row": row}, matrix, size, panels)

        if not self.structure.pack_a:
            b.loop(first, last, 1, tiles_in_place)
            return
        packed = b.gep("i8", self.scratch, n["a_offset"])

        def group(group_first: Value, _: list[Value]) -> None:
            count = minimum(b, b.sub(last, group_first), b.const("i64", TILES_PACKED_TOGETHER))
            row = self.row_of(group_first)
            pack = {
                **values,
                "outer": row,
                "k": start,
                "source": place(row),
                "target": packed,
                "rows": b.mul(count, size),
                "row_stride": n["a_row_stride"],
                "k_stride": n["a_k_stride"],
                "target_stride": n["packed_row_stride"],
            }
            call_internal(b, self.functions.pack_a, pack_a_parameters(self.structure), pack)

            def tile(index: Value, _: list[Value]) -> None:
                a = b.gep(self.element, packed, b.mul(b.mul(index, size), n["packed_row_stride"]))
                row = self.row_of(b.add(group_first, index))
                here = {**values, "a": a, "a_row_stride": n["packed_row_stride"], "row": row}
                self.panels(here, matrix, size, panels)

            b.loop(0, count, 1, tile)

        b.loop(first, last, TILES_PACKED_TOGETHER, group)

    def panels(
        self,
        values: Mapping[str, Value],
        matrix: Value,
        rows: int,
        panels: list[tuple[int, Value, Value]],
    ) -> None:
        """All column panels under one row tile."""
        b, lanes = self.b, self.structure.lanes
        parameters = micro_kernel_parameters(self.structure)
        partial_rows = b.gep("i8", self.scratch, self.integers["partial_offset"])
        partial_rows = b.gep(
            self.element,
            partial_rows,
            b.mul(b.sub(values["row"], self.first_row), self.block_columns),
        )
        for size, first, last in panels:

            def panel(number: Value, _: list[Value], size: int = size) -> None:
                vector = self.vector_of(number)
                column = b.mul(vector, lanes)
                offset = b.sub(column, self.first_column)
                if self.structure.pack_b:
                    start = b.gep(self.element, self.scratch, b.mul(offset, values["depth"]))
                else:
                    start = b.gep(self.element, matrix, offset)
                mine = {
                    **values,
                    "b": start,
                    "column": column,
                    "live": b.sub(self.integers["n"], column),
                    "partial": b.gep(self.element, partial_rows, b.mul(offset, rows)),
                }
                call_internal(b, self.functions.kernel[rows, size], parameters, mine)

            b.loop(first, last, 1, panel)
