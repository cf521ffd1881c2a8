"""The loops of one piece of work of a tiled matrix product.

Blocks of columns outermost, then blocks of k; in each, the block of B is packed (if it is), then
**row tile outside, column panel inside**: a tile of A stays in the first-level cache, the block of
B in the second. While a packed block is used, the next one is asked for, some lines of memory in
each tile, so that packing finds it in the second-level cache. Row tiles and panels come in two
sizes at most, the larger ones first, so every loop over them is one or two loops that call a
micro-kernel of fixed size (`microkernel.py`, `packing.py`). `emit.py` writes the function around
this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from grad.codegen.llvm.builder import Builder, Value
from grad.codegen.llvm.contraction.inputs import Inputs, minimum
from grad.codegen.llvm.contraction.microkernel import micro_kernel_parameters
from grad.codegen.llvm.contraction.packing import pack_a_parameters, pack_b_parameters
from grad.codegen.llvm.contraction.structure import TILES_PACKED_TOGETHER, Contraction
from grad.codegen.llvm.contraction.tile_functions import TileFunctions
from grad.codegen.llvm.functions import call_internal


@dataclass(frozen=True, slots=True)
class Block:
    """The block of B that tiles are computed with.

    Attributes:
        panels: ``(width in vectors, first, last)`` of its column panels, for each width.
        first_column: of the first panel.
        k: of the first row.
        columns: in all panels.
        matrix: where its first element is in memory.
        next_matrix: the same of the block that is used next.
        has_next: whether there is one.
    """

    panels: list[tuple[int, Value, Value]]
    first_column: Value
    k: Value
    columns: Value
    matrix: Value
    next_matrix: Value
    has_next: Value


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

        self.first_tile, self.last_tile = self._range(row_block, n["row_blocks"], n["tiles"])
        units = self._range(column_block, n["column_blocks"], n["units"])
        self.first_vector, last_vector = (b.mul(unit, n["unit"]) for unit in units)
        vectors = b.sub(minimum(b, last_vector, n["vectors"]), self.first_vector)
        widest, narrowest = structure.vectors[0], structure.vectors[-1]
        self.last_panel = b.binary("udiv", b.add(vectors, widest - 1), widest)
        self.wide_panels = b.sub(vectors, b.mul(self.last_panel, narrowest))
        self.first_row = self.row_of(self.first_tile)
        self.a, self.matrix = a, matrix
        self.scratch = inputs.scratch
        if structure.prefetch_blocks:
            # One vector of each panel after the other, each spread over so many row tiles.
            whole = b.binary("udiv", n["tiles_per_block"], structure.vectors[0])
            self.tiles_per_vector = b.intrinsic("smax", whole, b.const("i64", 1))

    def _range(self, block: Value, blocks: Value, total: Value) -> tuple[Value, Value]:
        """Where block number `block` of `blocks` begins and ends: they differ by one at most."""
        b = self.b
        ends = (b.mul(number, total) for number in (block, b.add(block, 1)))
        first, last = (b.binary("udiv", end, blocks) for end in ends)
        return first, last

    def row_of(self, tile: Value) -> Value:
        """Number of the first row of a row tile."""
        large = minimum(self.b, tile, self.integers["large_tiles"])
        return self.b.add(self.b.mul(tile, self.structure.rows[-1]), large)

    def column_of(self, panel: Value) -> Value:
        """Number of the first column of a column panel of this piece."""
        b = self.b
        wide = minimum(b, panel, self.wide_panels)
        vectors = b.add(b.mul(panel, self.structure.vectors[-1]), wide)
        return b.mul(b.add(self.first_vector, vectors), self.structure.lanes)

    def place_in_b(self, column: Value, k: Value) -> Value:
        """Address of an element of B."""
        n = self.integers
        offset = self.b.add(
            self.b.mul(column, n["b_column_stride"]), self.b.mul(k, n["b_k_stride"])
        )
        return self.b.gep(self.structure.b_storage, self.matrix, offset)

    def kinds(
        self, sizes: tuple[int, ...], first: Value, last: Value, larger: Value
    ) -> list[tuple[int, Value, Value]]:
        """``(size, first, last)`` for each size of tile or panel: the larger ones come first."""
        if len(sizes) == 1:
            return [(sizes[0], first, last)]
        middle = minimum(self.b, self.b.intrinsic("smax", first, larger), last)
        return [(sizes[0], first, middle), (sizes[1], middle, last)]

    def row_kinds(self) -> list[tuple[int, Value, Value]]:
        first = self.first_tile
        if self.structure.packing_rows:
            first = self.b.add(first, 1)
        return self.kinds(self.structure.rows, first, self.last_tile, self.integers["large_tiles"])

    def emit(self) -> None:
        b, n = self.b, self.integers
        rows = self.row_kinds()

        def columns(first_panel: Value, _: list[Value]) -> None:
            last_panel = minimum(b, b.add(first_panel, n["panels_at_once"]), self.last_panel)
            # One turn even when k is 0, so that the epilogue sees zeros.
            b.loop(
                0,
                n["k"],
                n["depth_block"],
                lambda start, _: depth_block(first_panel, last_panel, start),
                at_least_once=True,
            )

        def depth_block(first_panel: Value, last_panel: Value, start: Value) -> None:
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
            block = self.block(first_panel, last_panel, start)
            if self.structure.packing_rows:
                self.packing_tile(values, block)
            elif self.structure.pack_b:
                self.pack_b(values, block)
            for size, first, last in rows:
                self.row_tiles(values, block, size, first, last)

        b.loop(0, self.last_panel, n["panels_at_once"], columns)

    def block(self, first_panel: Value, last_panel: Value, start: Value) -> Block:
        """The block of B from panel `first_panel` and row `start` on."""
        b, n = self.b, self.integers
        column, next_column = self.column_of(first_panel), self.column_of(last_panel)
        matrix = next_matrix = self.place_in_b(column, start)
        has_next = b.const("i1", 0)
        if self.structure.prefetch_blocks:
            later = b.add(start, n["depth_block"])
            deeper = b.icmp("slt", later, n["k"])
            has_next = b.binary("or", deeper, b.icmp("slt", last_panel, self.last_panel))
            next_matrix = b.select(
                deeper,
                self.place_in_b(column, later),
                self.place_in_b(next_column, b.const("i64", 0)),
            )
        return Block(
            self.kinds(self.structure.vectors, first_panel, last_panel, self.wide_panels),
            column,
            start,
            b.sub(next_column, column),
            matrix,
            next_matrix,
            has_next,
        )

    def pack_b(self, values: Mapping[str, Value], block: Block) -> None:
        b, n, lanes = self.b, self.integers, self.structure.lanes
        parameters, depth = pack_b_parameters(self.structure), values["depth"]
        for size, first, last in block.panels:
            column = self.column_of(first)
            offset = b.sub(column, block.first_column)
            count = b.sub(last, first)
            pack = {
                **values,
                "outer": column,
                "k": block.k,
                "source": b.gep(
                    self.structure.b_storage, block.matrix, b.mul(offset, n["b_column_stride"])
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

    def place_in_a(self, row: Value, block: Block) -> Value:
        """Address of the first element of a row of A in a block of k."""
        b, n = self.b, self.integers
        offset = b.add(b.mul(row, n["a_row_stride"]), b.mul(block.k, n["a_k_stride"]))
        return b.gep(self.structure.a_storage, self.a, offset)

    def tile_in_place(
        self,
        values: Mapping[str, Value],
        block: Block,
        tile: Value,
        size: int,
        packing: bool = False,
    ) -> None:
        """One row tile that reads A where it is."""
        b, row = self.b, self.row_of(tile)
        here = {**values, "a": self.place_in_a(row, block), "row": row}
        if self.structure.prefetch_rows:
            below = minimum(b, b.add(tile, 1), b.sub(self.last_tile, 1))
            here["next_a"] = self.place_in_a(self.row_of(below), block)
        self.panels(here, block, tile, size, packing)

    def packing_tile(self, values: Mapping[str, Value], block: Block) -> None:
        """The first row tile of a piece, which packs B."""
        b, sizes, tile = self.b, self.structure.packing_rows, self.first_tile

        def one_tile(size: int) -> None:
            if self.structure.pack_a:
                self.packed_tiles(values, block, tile, b.const("i64", 1), size, True)
            else:
                self.tile_in_place(values, block, tile, size, True)

        if len(sizes) == 1:
            one_tile(sizes[0])
            return
        large = b.icmp("slt", tile, self.integers["large_tiles"])
        for size, due in zip(sizes, (large, b.binary("xor", large, 1)), strict=True):
            b.branch(due, lambda size=size: one_tile(size))

    def row_tiles(
        self,
        values: Mapping[str, Value],
        block: Block,
        size: int,
        first: Value,
        last: Value,
    ) -> None:
        """All tiles of one size: in place, or group by group through a packed copy."""
        b = self.b
        if not self.structure.pack_a:
            b.loop(first, last, 1, lambda t, _: self.tile_in_place(values, block, t, size))
            return

        def group(start: Value, _: list[Value]) -> None:
            count = minimum(b, b.sub(last, start), b.const("i64", TILES_PACKED_TOGETHER))
            self.packed_tiles(values, block, start, count, size)

        b.loop(first, last, TILES_PACKED_TOGETHER, group)

    def packed_tiles(
        self,
        values: Mapping[str, Value],
        block: Block,
        first: Value,
        count: Value,
        size: int,
        packing: bool = False,
    ) -> None:
        """`count` row tiles from `first` on, through a packed copy of A."""
        b, n = self.b, self.integers
        packed = b.gep("i8", self.scratch, n["a_offset"])
        row = self.row_of(first)
        pack = {
            **values,
            "outer": row,
            "k": block.k,
            "source": self.place_in_a(row, block),
            "target": packed,
            "rows": b.mul(count, size),
            "row_stride": n["a_row_stride"],
            "k_stride": n["a_k_stride"],
            "target_stride": n["packed_row_stride"],
        }
        call_internal(b, self.functions.pack_a, pack_a_parameters(self.structure), pack)

        def one_tile(index: Value, _: list[Value]) -> None:
            a = b.gep(self.element, packed, b.mul(b.mul(index, size), n["packed_row_stride"]))
            tile = b.add(first, index)
            here = {
                **values,
                "a": a,
                "a_row_stride": n["packed_row_stride"],
                "row": self.row_of(tile),
            }
            self.panels(here, block, tile, size, packing)

        b.loop(0, count, 1, one_tile)

    def panels(
        self,
        values: Mapping[str, Value],
        block: Block,
        tile: Value,
        rows: int,
        packing: bool = False,
    ) -> None:
        """All column panels of a block under one row tile."""
        b = self.b
        parameters = micro_kernel_parameters(self.structure, packing)
        partial_rows = b.gep("i8", self.scratch, self.integers["partial_offset"])
        partial_rows = b.gep(
            self.element, partial_rows, b.mul(b.sub(values["row"], self.first_row), block.columns)
        )
        for size, first, last in block.panels:
            request = self.request(block, tile, size) if self.structure.prefetch_blocks else None

            def panel(
                number: Value,
                _: list[Value],
                size: int = size,
                request: Mapping[str, Value] | None = request,
            ) -> None:
                column = self.column_of(number)
                offset = b.sub(column, block.first_column)
                packed = b.gep(self.element, self.scratch, b.mul(offset, values["depth"]))
                start = packed
                if packing or not self.structure.pack_b:
                    start = b.gep(self.element, block.matrix, offset)
                mine = {
                    **values,
                    "b": start,
                    "target": packed,
                    "column": column,
                    "live": b.sub(self.integers["n"], column),
                    "partial": b.gep(self.element, partial_rows, b.mul(offset, rows)),
                }
                if self.structure.prefetch_rows:
                    mine["asks"] = b.icmp("eq", column, block.first_column)
                if request:
                    mine |= request
                    mine["ahead"] = b.gep(self.structure.b_storage, request["ahead"], offset)
                functions = self.functions
                kernel = (functions.packing if packing else functions.kernel)[rows, size]
                call_internal(b, kernel, parameters, mine)

            b.loop(first, last, 1, panel)

    def request(self, block: Block, tile: Value, vectors: int) -> dict[str, Value]:
        """Which part of the next block the panels under a row tile ask for, as a micro-kernel's
        parameters: one vector of the first panel, of every so many rows from one on; of none where
        nothing is left to ask for.
        """
        b, n = self.b, self.integers
        index = b.sub(tile, self.first_tile)
        vector = b.binary("udiv", index, self.tiles_per_vector)
        asks = b.binary("and", block.has_next, b.icmp("slt", vector, vectors))
        first = b.binary("urem", index, self.tiles_per_vector)
        offset = b.mul(vector, self.structure.lanes)
        return {
            "ahead": b.gep(self.structure.b_storage, block.next_matrix, offset),
            "ahead_stride": n["b_k_stride"],
            "ahead_first": b.select(asks, first, n["depth_block"]),
            "ahead_step": self.tiles_per_vector,
        }
