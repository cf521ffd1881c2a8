"""The gradient of attention: scores are made again, block by block, and nothing of them is stored.

With weights P, the gradient G of the output and ``D = sum(G * output)`` a row, the gradient of the
scores is ``S = P * (G @ value.T - D)``; then query gets ``S @ key``, key ``S.T @ query`` and value
``P.T @ G`` (Dao and others, "FlashAttention", 2022). One piece of work is all of one head, which
makes five products; when there are few heads, pieces are some keys or some rows of a head, which
make seven, but no two pieces ever add to the same memory. `emit.py` is the forward half.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from grad.codegen.llvm.attention import products
from grad.codegen.llvm.attention import rows as attention_rows
from grad.codegen.llvm.attention.heads import ROW_BLOCK, SHARED, Heads
from grad.codegen.llvm.attention.requests import Request, RowRequest
from grad.codegen.llvm.builder import Value
from grad.codegen.llvm.contraction.structure import Layout
from grad.graph.attention import LOG2_E


class Piece(NamedTuple):
    """A head of key and value with heads of query (the first, their number), rows and keys of
    these, and for which of the two gradients are made here."""

    head: Value
    members: tuple[Value, Value]
    operands: Mapping[str, Value]
    rows: tuple[Value, Value]
    keys: tuple[Value, Value]
    for_rows: Value
    for_keys: Value


def gradient_piece(heads: Heads, number: Value) -> None:
    """All blocks of keys of a piece, each against its rows."""
    piece = _piece(heads, number)
    b, n = heads.b, heads.n
    start, end = piece.keys
    if heads.code.is_causal:
        # Keys after the last row matter for their own gradients alone, which are zero.
        seen = b.intrinsic("smin", end, piece.rows[1])
        end = b.select(piece.for_keys, end, seen)

    def key_block(key: Value, _: list[Value]) -> None:
        keys = b.intrinsic("smin", b.sub(end, key), n["key_block"])
        _KeyBlock(heads, piece, key, keys).emit(end)

    b.loop(start, end, n["key_block"], key_block)


def _piece(heads: Heads, number: Value) -> Piece:
    b, n = heads.b, heads.n
    head, part = b.binary("urem", number, n["batch"]), b.binary("udiv", number, n["batch"])
    for_keys = b.icmp("slt", part, n["key_chunks"])
    of_rows = b.binary("xor", for_keys, 1)
    zero = b.const("i64", 0)
    number = b.sub(part, n["key_chunks"])  # of those of rows
    chunk = b.binary("udiv", number, n["member_chunks"])
    first, count = heads.members(head, number)
    first = b.select(of_rows, first, b.mul(head, n["group"]))
    row = b.select(of_rows, b.mul(chunk, n["chunk_rows"]), zero)
    last_row = b.select(of_rows, b.add(row, n["chunk_rows"]), n["length"])
    key = b.select(for_keys, b.mul(part, n["key_chunk"]), zero)
    last_key = b.select(for_keys, b.add(key, n["key_chunk"]), n["keys"])
    return Piece(
        head,
        (first, b.select(of_rows, count, n["group"])),
        heads.operands_of(first),
        (row, b.intrinsic("smin", last_row, n["length"])),
        (key, b.intrinsic("smin", last_key, n["keys"])),
        b.binary("or", of_rows, b.icmp("ne", n["joint"], 0)),
        for_keys,
    )


class _KeyBlock:
    """One block of keys against all rows of the piece."""

    def __init__(self, heads: Heads, piece: Piece, key: Value, keys: Value) -> None:
        self.heads, self.piece, self.b, self.n = heads, piece, heads.b, heads.n
        self.code = heads.code
        self.key, self.keys = key, keys
        self.first = self.b.icmp("eq", key, piece.keys[0])
        # The rows of key, as one operand of a product reads them.
        self.key_rows = heads.at("key_rows"), self.n["padded_size"]
        if not self.code.packs_rows:
            row = self.n["key_row"]
            self.key_rows = heads.place(piece.operands["key"], key, row), row

    def emit(self, end: Value) -> None:
        b, n, heads, piece = self.b, self.n, self.heads, self.piece
        for name, size in (("key", "size"), ("value", "value_size")):
            row = n[f"{name}_row"]
            source = heads.place(piece.operands[name], self.key, row)
            heads.pack(Layout.K_CONTIGUOUS, source, row, heads.at(name), self.keys, n[size])
        if self.code.packs_rows:
            row = n["key_row"]
            source = heads.place(piece.operands["key"], self.key, row)
            target = self.key_rows[0]
            heads.pack(Layout.COLUMN_CONTIGUOUS, source, row, target, self.keys, n["size"])
        b.branch(piece.for_keys, self.clear)
        start, stop = piece.rows
        last = b.icmp("sge", b.add(self.key, n["key_block"]), end)
        first_row = start
        if self.code.is_causal:  # blocks of rows before the first key have nothing to do
            ahead = b.intrinsic("smax", b.sub(self.key, start), b.const("i64", 0))
            skipped = b.binary("sdiv", ahead, b.const("i64", ROW_BLOCK))
            first_row = b.add(start, b.mul(skipped, ROW_BLOCK))

        def member(number: Value, _: list[Value]) -> None:
            head = b.add(piece.members[0], number)
            operands = heads.operands_of(head)
            ahead = heads.operands_of(b.add(head, 1))

            def row_block(row: Value, _: list[Value]) -> None:
                rows = b.intrinsic("smin", b.sub(stop, row), b.const("i64", ROW_BLOCK))
                block = b.binary("sdiv", b.sub(row, start), b.const("i64", ROW_BLOCK))
                block = b.add(heads.blocks_before(number), block)
                coming = self.coming((operands, ahead), row)
                _Rows(self, (head, operands), (row, rows), block, coming).emit(last)

            b.loop(first_row, stop, ROW_BLOCK, row_block)

        b.loop(0, piece.members[1], 1, member)
        b.branch(piece.for_keys, self.store)

    def coming(
        self, operands: tuple[Mapping[str, Value], Mapping[str, Value]], row: Value
    ) -> dict[str, Request]:
        """What follows a block of rows: the next rows, and keys of the next head."""
        heads, rows = self.heads, self.piece.rows
        names = ("query", "slope", "output")
        found = {name: heads.coming(operands, name, row, rows) for name in names}
        return found | {name: heads.request(operands[1], name, row) for name in SHARED}

    def clear(self) -> None:
        """Begin the sums for keys with zeros, for whole tiles of them."""
        b, code = self.b, self.code
        rows = b.mul(self.heads.ceil(self.keys, code.tile_rows), code.tile_rows)
        for name, size in (("key", "padded_size"), ("value", "padded_value_size")):
            if name in code.results:
                place = self.heads.at(f"{name}_gradient")
                count = b.mul(rows, self.n[size])
                self.heads.module.clear(b, {"target": place, "count": count})

    def store(self) -> None:
        b, n, heads, code = self.b, self.n, self.heads, self.code
        first = b.add(b.mul(self.piece.head, n["keys"]), self.key)
        # The rows of query were multiplied by scale * log2(e); the gradient of key wants scale.
        for name, size, factor in (("key", "size", 1 / LOG2_E), ("value", "value_size", 1.0)):
            if name in code.results:
                source = heads.at(f"{name}_gradient")
                heads.inspect(source, self.keys, n[f"padded_{size}"])
                values = {
                    "source": source,
                    "target": heads.place(heads.pointers[f"to_{name}"], first, n[size]),
                    "source_stride": n[f"padded_{size}"],
                    "target_stride": n[size],
                    "rows": self.keys,
                    "columns": n[size],
                    "factor": b.const(code.element, factor),
                }
                heads.module.store(b, values)


class _Rows:
    """One block of rows (number `number` of the piece) against one block of keys."""

    def __init__(
        self,
        keys: _KeyBlock,
        head: tuple[Value, Mapping[str, Value]],
        rows: tuple[Value, Value],
        number: Value,
        coming: Mapping[str, Request],
    ) -> None:
        self.keys, self.heads, self.b, self.n = keys, keys.heads, keys.b, keys.n
        self.code, self.piece = keys.code, keys.piece
        self.head, self.operands = head
        self.number, self.coming = number, coming
        self.row, self.rows = rows
        self.block = self.heads.block(*rows, keys.key, keys.keys)

    def emit(self, last: Value) -> None:
        b, n, heads = self.b, self.n, self.heads
        query, slope = heads.at("query"), heads.at("slope")
        one = b.const(self.code.element, 1.0)
        self.copy("query", query, "size", heads.number("factor"))
        self.copy("slope", slope, "value_size", one)
        self.inner(slope)
        scores, slopes = heads.at("scores"), heads.at("slopes")
        left, asked = (query, n["padded_size"]), self.coming["key"]
        products.scores(heads, self.block, left, heads.at("key"), n["size"], scores, asked)
        left, asked = (slope, n["padded_value_size"]), self.coming["value"]
        products.scores(heads, self.block, left, heads.at("value"), n["value_size"], slopes, asked)
        self.weigh(scores, slopes)
        if {"key", "value"} & {*self.code.results}:
            b.branch(self.piece.for_keys, lambda: self.add_to_keys(scores, slopes, query, slope))
        if "query" in self.code.results:
            b.branch(self.piece.for_rows, lambda: self.add_to_rows(slopes, last))
        if "mask" in self.code.results:
            b.branch(self.piece.for_rows, lambda: self.store_slopes(slopes))

    def copy(self, name: str, target: Value, size: str, factor: Value) -> None:
        heads, n = self.heads, self.n
        row = n[f"{name}_row"]
        values = {
            "source": heads.place(self.operands[name], self.row, row),
            "target": target,
            "source_stride": row,
            "target_stride": n[f"padded_{size}"],
            "rows": self.rows,
            "columns": n[size],
            "factor": factor,
        }
        heads.module.copy(self.b, values)

    def inner(self, slope: Value) -> None:
        """The inner products of output and its gradient, one a row."""
        heads, n = self.heads, self.n
        values = {
            "a": slope,
            "b": heads.place(self.operands["output"], self.row, n["output_row"]),
            "target": heads.at("inner"),
            "a_stride": n["padded_value_size"],
            "b_stride": n["output_row"],
            "rows": self.rows,
            "columns": n["value_size"],
        }
        heads.module.inner(self.b, values)

    def weigh(self, scores: Value, slopes: Value) -> None:
        """Scores to weights, gradients of weights to gradients of scores."""
        heads, b, n, code = self.heads, self.b, self.n, self.code
        summary = heads.place(self.operands["rows"], self.row, n["rows_row"])

        def more(row: Value) -> dict[str, Value]:
            return {
                "slopes": heads.place(slopes, row, n["scores_row"]),
                "summary": heads.place(summary, row, n["rows_row"]),
                "summary_row": n["rows_row"],
                "inner": b.gep(code.element, heads.at("inner"), row),
            }

        stage = ("slopes", attention_rows.SLOPES, attention_rows.slopes)
        asked = [RowRequest(self.coming["query"], n["size"])]
        asked.append(RowRequest(self.coming["output"], n["value_size"]))
        if "query" in code.results:
            first = b.add(b.mul(self.head, n["length"]), self.row)
            result = heads.request_result("query", first, n["size"])
            asked.append(RowRequest(result, n["size"]))
        heads.row_groups(self.block, self.head, self.operands, scores, stage, more, asked)

    def add_to_keys(self, scores: Value, slopes: Value, query: Value, slope: Value) -> None:
        """``P.T @ G`` and ``S.T @ query``, for tiles of keys."""
        n, heads = self.n, self.heads
        for name, left, right, size in (
            ("value", scores, slope, "padded_value_size"),
            ("key", slopes, query, "padded_size"),
        ):
            if name in self.code.results:
                target = (heads.at(f"{name}_gradient"), n[size])
                width = n[size.removeprefix("padded_")]
                first = self.b.add(self.b.mul(self.piece.head, n["keys"]), self.keys.key)
                request = heads.request_result(name, first, width)
                products.apply_transposed(
                    heads, self.block, self.operands, left, (right, n[size]), target, request
                )

    def store_slopes(self, slopes: Value) -> None:
        """The gradient of scores is that of a mask, too."""
        heads, b, n = self.heads, self.b, self.n
        first = b.add(b.mul(self.head, n["length"]), self.row)
        place = b.add(b.mul(first, n["keys"]), self.keys.key)
        values = {
            "source": slopes,
            "target": b.gep(self.code.element, heads.pointers["to_mask"], place),
            "source_stride": n["scores_row"],
            "target_stride": n["keys"],
            "rows": self.rows,
            "columns": self.block.keys,
            "factor": b.const(self.code.element, 1.0),
        }
        heads.module.store(b, values)

    def add_to_rows(self, slopes: Value, last: Value) -> None:
        """``S @ key``, stored after the last block of keys that these rows attend to."""
        heads, b, n, code = self.heads, self.b, self.n, self.code
        place = b.mul(self.number, n["output_step"])
        target = b.gep(code.element, heads.at("output"), place)
        output = (target, n["padded_size"])
        products.apply(
            heads,
            self.block,
            self.operands,
            slopes,
            self.keys.key_rows,
            output,
            self.keys.first,
            self.coming["slope"],
        )
        if code.is_causal:
            end = b.add(self.keys.key, self.keys.keys)
            last = b.binary("or", last, b.icmp("sge", end, b.add(self.row, self.rows)))

        def finish() -> None:
            first = b.add(b.mul(self.head, n["length"]), self.row)
            heads.inspect(target, self.rows, n["padded_size"])
            values = {
                "source": target,
                "target": heads.place(heads.pointers["to_query"], first, n["size"]),
                "source_stride": n["padded_size"],
                "target_stride": n["size"],
                "rows": self.rows,
                "columns": n["size"],
                "factor": heads.number("scale"),
            }
            heads.module.store(b, values)

        b.branch(last, finish)
