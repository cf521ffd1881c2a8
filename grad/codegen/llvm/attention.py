"""Fused attention: blocks of scores are made, turned into weights and used while in the cache.

The emitted function is ``void NAME(ptr %args, i64 %begin, i64 %end, i64 %worker)`` and computes the
pieces of work begin .. end - 1. A piece is some rows of one head. It packs a block of keys
(transposed), and for each block of its rows computes scores, weights and their product with the
values, which it keeps in scratch while more blocks of keys follow. Nothing of the size of all
scores is ever stored; with `is_causal`, blocks and tiles after the row are left out.

Arguments are read from slot `first_argument` of ``args`` on: `Code.pointers`, then `Code.integers`.
To read on: `attention_plan.py`, `attention_tiles.py`, `attention_rows.py`; the gradient is in
`attention_gradient.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

from grad.codegen.llvm import attention_rows
from grad.codegen.llvm.attention_structure import Code, Mask
from grad.codegen.llvm.attention_tiles import Module
from grad.codegen.llvm.builder import Builder, Value, attributes
from grad.codegen.llvm.contraction_structure import Contraction, Kind, Layout
from grad.codegen.llvm.packing import PACK_B_PARAMETERS, pack_b_function
from grad.codegen.llvm.packing import call_internal as call

SLOT_BYTES = 8
ROW_BLOCK = 60  # rows of scores at a time: whole tiles, and whole groups of attention_rows
DEPTH = 128  # keys at a time in the product with the values, so that these stay in the first cache


class Heads:
    """Arguments of the kernel, and what all pieces of it share."""

    def __init__(self, code: Code, name: str, b: Builder, first_argument: int) -> None:
        self.code, self.b = code, b
        self.module = Module(code, name, b)
        self.packers: dict[str, str] = {}

        def slot(number: int, kind: str) -> Value:
            place = b.gep("i64", Value("%args", "ptr"), first_argument + number)
            return b.load(kind, place, SLOT_BYTES)

        self.pointers = {p: slot(i, "ptr") for i, p in enumerate(code.pointers)}
        start = len(code.pointers)
        self.n = {name: slot(start + i, "i64") for i, name in enumerate(code.integers)}
        offset = b.mul(Value("%worker", "i64"), self.n["scratch_bytes"])
        self.scratch = b.gep("i8", self.pointers["scratch"], offset)

    def number(self, name: str) -> Value:
        """An integer argument that has the bits of a floating number."""
        bits = self.n[name]
        if self.code.element == "float":
            bits = self.b.convert("trunc", bits, "i32")
        return self.b.convert("bitcast", bits, self.code.element)

    def at(self, name: str) -> Value:
        """A place in the scratch of this worker."""
        return self.b.gep(self.code.element, self.scratch, self.n[f"{name}_at"])

    def place(self, pointer: Value, index: Value | int, stride: Value) -> Value:
        """The address of row `index`."""
        if index == 0:
            return pointer
        offset = self.b.mul(stride, index)
        return self.b.gep(self.code.element, pointer, offset)

    def operands_of(self, head: Value) -> dict[str, Value]:
        """Where each operand begins for one head."""
        b, rest = self.b, head
        places = {name: self.pointers[name] for name in self.code.operands}
        for axis in reversed(range(self.code.batch_rank)):
            size = self.n[f"batch_size{axis}"]
            index, rest = b.binary("urem", rest, size), b.binary("udiv", rest, size)
            for name in places:
                offset = b.mul(index, self.n[f"{name}_batch{axis}"])
                element = "i8" if name == "mask" and self.code.mask is Mask.BOOL else None
                places[name] = b.gep(element or self.code.element, places[name], offset)
        return places

    # -- packing ---------------------------------------------------------------------------------
    def pack(
        self, layout: Layout, source: Value, stride: Value, target: Value, keys: Value, size: Value
    ) -> None:
        """Pack `keys` rows of `size`: transposed in panels, or as they are, padded."""
        b, code = self.b, self.code
        across = layout is Layout.K_CONTIGUOUS
        name = f"{self.module.name}.pack_{'transposed' if across else 'rows'}"
        if name not in self.packers:
            structure = Contraction(
                code.element, code.lanes, 0, Kind.TILED, (1,), (1,), b_layout=layout, masked=True
            )
            self.packers[name] = pack_b_function(structure, name, b.sibling())
        vectors = b.const("i64", code.tile_vectors) if across else self.vectors(size)
        values = {
            "source": source,
            "target": target,
            "depth": size if across else keys,
            "panels": self.ceil(keys, code.panel) if across else b.const("i64", 1),
            "vectors": vectors,
            "columns": keys if across else size,
            "k_stride": stride,
            "column_stride": stride if across else b.const("i64", 1),
        }
        call(b, name, PACK_B_PARAMETERS, values)

    def ceil(self, count: Value, step: int) -> Value:
        return self.b.binary("sdiv", self.b.add(count, step - 1), self.b.const("i64", step))

    def vectors(self, count: Value) -> Value:
        return self.ceil(count, self.code.lanes)

    def limited(self, value: Value, low: Value | int, high: Value) -> Value:
        b = self.b
        return b.intrinsic("smax", b.intrinsic("smin", value, high), b.like(low, value))

    # -- scores ------------------------------------------------------------------------------------
    def scores(
        self,
        left: Value,
        left_row: Value,
        right: Value,
        size: Value,
        target: Value,
        tiles: Value,
        limit: Value,
        keys: Value,
    ) -> None:
        """``left @ packed right.T`` for tiles of rows, no further than some row may attend to.

        `limit` counts the keys of the block that the first row may attend to.
        """
        b, code, one = self.b, self.code, self.b.const("i64", 1)
        values = {
            "a": left,
            "b": right,
            "c": target,
            "a_stride": left_row,
            "b_stride": b.const("i64", code.panel),
            "c_stride": self.n["scores_row"],
            "depth": size,
            "accumulate": b.const("i1", 0),
            "tiles": tiles,
            "vectors": self.vectors(keys),
            "panel_stride": b.mul(size, code.panel),
        }
        if not code.is_causal:
            self.module.grid(b, values)
            return
        panels = b.binary("sdiv", self.limited(limit, 0, keys), b.const("i64", code.panel))
        vectors = b.mul(panels, code.tile_vectors)
        self.module.grid(b, {**values, "vectors": vectors})
        right = b.gep(code.element, right, b.mul(panels, values["panel_stride"]))
        target = b.gep(code.element, target, b.mul(panels, code.panel))

        def tile(index: Value, _: list[Value]) -> None:
            row = b.mul(index, code.tile_rows)
            reach = self.tile_limit(limit, row, keys)
            mine = {
                **values,
                "a": self.place(left, row, left_row),
                "b": right,
                "c": self.place(target, row, self.n["scores_row"]),
                "tiles": one,
                "vectors": b.sub(self.vectors(reach), vectors),
            }
            self.module.grid(b, mine)

        b.loop(0, tiles, 1, tile)

    def tile_limit(self, limit: Value, row: Value, keys: Value) -> Value:
        """Keys of the block that the last row of the tile at `row` may attend to."""
        if not self.code.is_causal:
            return keys
        last = self.b.add(self.b.add(limit, row), self.code.tile_rows - 1)
        return self.limited(last, 0, keys)

    def group_stop(self, limit: Value, row: Value, keys: Value) -> Value:
        """Columns, in whole vectors, that some tile reads of the group of rows at `row`."""
        if self.code.is_causal:
            reach = attention_rows.GROUP + self.code.tile_rows - 2
            keys = self.limited(self.b.add(self.b.add(limit, row), reach), 0, keys)
        return self.b.mul(self.vectors(keys), self.code.lanes)


class Rows:
    """One block of rows against one block of keys."""

    def __init__(
        self,
        heads: Heads,
        head: Value,
        operands: Mapping[str, Value],
        rows: tuple[Value, Value],
        keys: tuple[Value, Value],
    ) -> None:
        self.heads, self.b, self.n = heads, heads.b, heads.n
        self.head, self.operands = head, operands
        self.row, self.rows = rows
        self.key, self.keys = keys
        b = self.b
        self.tiles = heads.ceil(self.rows, heads.code.tile_rows)
        self.first = b.icmp("eq", self.key, 0)
        # Keys of this block that the first row may attend to.
        self.limit = b.add(b.sub(self.row, self.key), 1)

    def emit(self, block: Value) -> None:
        """`block` numbers the blocks of rows of the piece."""
        heads, b, n, code = self.heads, self.b, self.n, self.heads.code
        query = heads.at("query")
        source = heads.place(self.operands["query"], self.row, n["query_row"])
        heads.module.copy(
            b,
            {
                "source": source,
                "target": query,
                "source_stride": n["query_row"],
                "target_stride": n["padded_size"],
                "rows": self.rows,
                "columns": n["size"],
                "factor": heads.number("factor"),
            },
        )
        right, scores = heads.at("key"), heads.at("scores")
        size = n["size"]
        heads.scores(
            query, n["padded_size"], right, size, scores, self.tiles, self.limit, self.keys
        )
        output = b.gep(code.element, heads.at("output"), b.mul(block, n["output_step"]))
        state = b.binary("sdiv", b.mul(block, n["output_step"]), n["padded_value_size"])
        peaks = b.gep(code.element, heads.at("peaks"), state)
        totals = b.gep(code.element, heads.at("totals"), state)
        self.weigh(scores, peaks, totals, output)
        self.apply(scores, output)
        end = b.add(self.key, self.keys)
        reach = b.add(self.row, self.rows) if code.is_causal else n["keys"]
        last = b.icmp("sge", end, b.intrinsic("smin", reach, n["keys"]))
        b.branch(last, lambda: self.finish(peaks, totals, output))

    def weigh(self, scores: Value, peaks: Value, totals: Value, output: Value) -> None:
        heads, b, n, code = self.heads, self.b, self.n, self.heads.code
        mask, mask_row = scores, n["scores_row"]
        if code.mask is not Mask.NONE:
            element = "i8" if code.mask is Mask.BOOL else code.element
            mask_row = n["mask_row"]
            offset = b.add(b.mul(self.row, mask_row), self.key)
            mask = b.gep(element, self.operands["mask"], offset)

        def group(row: Value, _: list[Value]) -> None:
            live = b.sub(self.rows, row)
            values = {
                "scores": heads.place(scores, row, n["scores_row"]),
                "scores_row": n["scores_row"],
                "limit": b.add(self.limit, row),
                "keys": self.keys,
                "stop": heads.group_stop(self.limit, row, self.keys),
                "live": live,
                "mask": mask,
                "mask_row": mask_row,
                "peaks": b.gep(code.element, peaks, row),
                "totals": b.gep(code.element, totals, row),
                "output": heads.place(output, row, n["padded_value_size"]),
                "output_row": n["padded_value_size"],
                "first": self.first,
            }
            if code.mask is not Mask.NONE:
                element = "i8" if code.mask is Mask.BOOL else code.element
                values["mask"] = b.gep(element, mask, b.mul(row, mask_row))
            heads.module.call(
                b,
                "softmax",
                attention_rows.SOFTMAX,
                lambda i, p: attention_rows.softmax(code, i, p),
                values,
            )

        b.loop(0, self.rows, attention_rows.GROUP, group)

    def apply(self, scores: Value, output: Value) -> None:
        """``output += weights @ value``, some keys at a time, tile by tile."""
        heads, b, n, code = self.heads, self.b, self.n, self.heads.code
        value, value_row = heads.at("value"), n["padded_value_size"]
        if not code.packs_rows:
            value_row = n["value_row"]
            value = heads.place(self.operands["value"], self.key, value_row)
        whole = heads.tile_limit(self.limit, b.mul(b.sub(self.tiles, 1), code.tile_rows), self.keys)

        def depth_block(start: Value, _: list[Value]) -> None:
            beginning = b.binary("and", self.first, b.icmp("eq", start, 0))
            right = heads.place(value, start, value_row)

            def tile(index: Value, _: list[Value]) -> None:
                row = b.mul(index, code.tile_rows)
                reach = b.sub(heads.tile_limit(self.limit, row, self.keys), start)
                values = {
                    "a": b.gep(code.element, heads.place(scores, row, n["scores_row"]), start),
                    "b": right,
                    "c": heads.place(output, row, n["padded_value_size"]),
                    "a_stride": n["scores_row"],
                    "b_stride": value_row,
                    "c_stride": n["padded_value_size"],
                    "depth": b.intrinsic("smin", reach, b.const("i64", DEPTH)),
                    "accumulate": b.binary("xor", beginning, 1),
                    "tiles": b.const("i64", 1),
                    "vectors": heads.vectors(n["value_size"]),
                    "panel_stride": b.const("i64", code.panel),
                }
                b.branch(b.icmp("sgt", reach, 0), lambda: heads.module.grid(b, values))

            b.loop(0, self.tiles, 1, tile)

        b.loop(0, whole, DEPTH, depth_block)

    def finish(self, peaks: Value, totals: Value, output: Value) -> None:
        """Divide by the sums and store what is wanted."""
        heads, b, n, code = self.heads, self.b, self.n, self.heads.code
        first = b.add(b.mul(self.head, n["length"]), self.row)

        def row(index: Value, _: list[Value]) -> None:
            peak, total = (
                b.load(code.element, b.gep(code.element, p, index), code.size)
                for p in (peaks, totals)
            )
            # Nothing attended to: zeros.
            quotient = b.fdiv(b.const(code.element, 1.0), total)
            inverse = b.select(b.fcmp("oeq", total, 0.0), 0.0, quotient)
            number = b.add(first, index)
            if "values" in code.results:
                values = {
                    "source": heads.place(output, index, n["padded_value_size"]),
                    "target": heads.place(heads.pointers["to_values"], number, n["value_size"]),
                    "source_stride": n["padded_value_size"],
                    "target_stride": n["value_size"],
                    "rows": b.const("i64", 1),
                    "columns": n["value_size"],
                    "factor": inverse,
                }
                heads.module.store(b, values)
            if "rows" in code.results:
                place = b.gep(code.element, heads.pointers["to_rows"], b.mul(number, 2))
                peak = b.select(b.fcmp("oeq", peak, -attention_rows.INFINITY), 0.0, peak)
                b.store(peak, place, code.size)
                b.store(inverse, b.gep(code.element, place, 1), code.size)

        b.loop(0, self.rows, 1, row)


def _piece(heads: Heads, piece: Value) -> None:
    """The rows of one piece against all blocks of keys."""
    b, n, code = heads.b, heads.n, heads.code
    head = b.binary("urem", piece, n["batch"])
    # The last rows first: with `is_causal` they take the longest.
    chunk = b.sub(b.sub(n["chunks"], 1), b.binary("udiv", piece, n["batch"]))
    operands = heads.operands_of(head)
    start = b.mul(chunk, n["chunk_rows"])
    end = b.intrinsic("smin", b.add(start, n["chunk_rows"]), n["length"])
    reach = b.intrinsic("smin", n["keys"], end) if code.is_causal else n["keys"]

    def key_block(key: Value, _: list[Value]) -> None:
        keys = b.intrinsic("smin", b.sub(reach, key), n["key_block"])
        source = heads.place(operands["key"], key, n["key_row"])
        heads.pack(Layout.K_CONTIGUOUS, source, n["key_row"], heads.at("key"), keys, n["size"])
        if code.packs_rows:
            source = heads.place(operands["value"], key, n["value_row"])
            heads.pack(
                Layout.COLUMN_CONTIGUOUS,
                source,
                n["value_row"],
                heads.at("value"),
                keys,
                n["value_size"],
            )
        first = start
        if code.is_causal:  # blocks of rows before the first key have nothing to do
            ahead = b.intrinsic("smax", b.sub(key, start), b.const("i64", 0))
            skipped = b.binary("sdiv", ahead, b.const("i64", ROW_BLOCK))
            first = b.add(start, b.mul(skipped, ROW_BLOCK))

        def row_block(row: Value, _: list[Value]) -> None:
            rows = b.intrinsic("smin", b.sub(end, row), b.const("i64", ROW_BLOCK))
            block = b.binary("sdiv", b.sub(row, start), b.const("i64", ROW_BLOCK))
            Rows(heads, head, operands, (row, rows), (key, keys)).emit(block)

        b.loop(first, end, ROW_BLOCK, row_block)

    b.loop(0, reach, n["key_block"], key_block)


def emit(
    code: Code, name: str, features: frozenset[str], vector_bytes: int, first_argument: int
) -> str:
    """The text of a module that defines `name` for `code`."""
    b = Builder(features, vector_bytes)
    heads = Heads(code, name, b, first_argument)
    b.loop(Value("%begin", "i64"), Value("%end", "i64"), 1, lambda piece, _: _piece(heads, piece))
    main = b.function(name, "ptr %args, i64 %begin, i64 %end, i64 %worker")
    texts = "".join((*heads.packers.values(), *heads.module.texts.values()))
    return b.preamble() + texts + main + attributes(vector_bytes)
