"""Fused attention: blocks of scores are made, turned into weights and used while in the cache.

The emitted function is ``void NAME(ptr %args, i64 %begin, i64 %end, i64 %worker)`` and computes the
pieces of work begin .. end - 1. A piece is some rows of one head. It packs a block of keys
(transposed), and for each block of its rows computes scores, weights and their product with the
values, which it keeps in scratch while more blocks of keys follow. Nothing of the size of all
scores is ever stored; with `is_causal`, blocks and tiles after the row are left out.

Arguments are read from slot `first_argument` of ``args`` on: `Code.pointers`, then `Code.integers`.
To read on: `plan.py`, `heads.py`, `products.py`, `rows.py`; the gradient is in `gradient.py`.
"""

from __future__ import annotations

from collections.abc import Mapping

from grad.codegen.llvm.attention import products
from grad.codegen.llvm.attention import rows as attention_rows
from grad.codegen.llvm.attention.exclusion import attempts
from grad.codegen.llvm.attention.gradient import gradient_piece
from grad.codegen.llvm.attention.heads import ROW_BLOCK, SHARED, Heads
from grad.codegen.llvm.attention.requests import Request, RowRequest
from grad.codegen.llvm.attention.structure import Code
from grad.codegen.llvm.builder import Builder, Value
from grad.codegen.llvm.contraction.structure import Layout
from grad.codegen.llvm.functions import attributes


class Rows:
    """One block of rows against one block of keys."""

    def __init__(
        self,
        heads: Heads,
        head: Value,
        operands: Mapping[str, Value],
        rows: tuple[Value, Value],
        keys: tuple[Value, Value],
        coming: Mapping[str, Request],
    ) -> None:
        self.heads, self.b, self.n = heads, heads.b, heads.n
        self.head, self.operands, self.coming = head, operands, coming
        self.block = heads.block(*rows, *keys)
        self.row, self.rows, self.key, self.keys, *_ = self.block
        self.first = self.b.icmp("eq", self.key, 0)

    def emit(self, number: Value) -> None:
        """`number` counts the blocks of rows of the piece."""
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
        scores = heads.at("scores")
        if code.few_rows:
            key = heads.place(self.operands["key"], self.key, n["key_row"])
            products.scores_of_few_rows(heads, self.block, (query, key), scores)
        else:
            left = (query, n["padded_size"])
            key = self.coming["key"]
            products.scores(heads, self.block, left, heads.at("key"), n["size"], scores, key)
        output = b.gep(code.element, heads.at("output"), b.mul(number, n["output_step"]))
        state = b.binary("sdiv", b.mul(number, n["output_step"]), n["padded_value_size"])
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

        def more(row: Value) -> dict[str, Value]:
            return {
                "peaks": b.gep(code.element, peaks, row),
                "totals": b.gep(code.element, totals, row),
                "output": heads.place(output, row, n["padded_value_size"]),
                "output_row": n["padded_value_size"],
                "first": self.first,
            }

        stage = ("softmax", attention_rows.SOFTMAX, attention_rows.softmax)
        requests = [RowRequest(self.coming["query"], n["size"])]
        if "values" in code.results:
            first = b.add(b.mul(self.head, n["length"]), self.row)
            result = heads.request_result("values", first, n["value_size"])
            requests.append(RowRequest(result, n["value_size"]))
        heads.row_groups(self.block, self.head, self.operands, scores, stage, more, requests)

    def apply(self, scores: Value, output: Value) -> None:
        """``output += weights @ value``."""
        heads, n, code = self.heads, self.n, self.heads.code
        value, value_row = heads.at("value"), n["padded_value_size"]
        if not code.packs_rows:
            value_row = n["value_row"]
            value = heads.place(self.operands["value"], self.key, value_row)
        products.apply(
            heads,
            self.block,
            self.operands,
            scores,
            (value, value_row),
            (output, n["padded_value_size"]),
            self.first,
            self.coming["value"],
        )

    def finish(self, peaks: Value, totals: Value, output: Value) -> None:
        """Divide by the sums and store what is wanted."""
        heads, b, n, code = self.heads, self.b, self.n, self.heads.code
        first = b.add(b.mul(self.head, n["length"]), self.row)
        if "values" in code.results:
            heads.inspect(output, self.rows, n["padded_value_size"])

        def row(index: Value, _: list[Value]) -> None:
            place = b.gep(code.element, totals, index)
            total = b.load(code.element, place, code.size)
            # Nothing attended to: zeros.
            quotient = b.fdiv(b.const(code.element, 1.0), total)
            inverse = b.select(b.fcmp("oeq", total, 0.0), 0.0, quotient)
            factor = inverse
            if code.dropout:
                factor = b.fmul(inverse, heads.number("kept_factor"))
            b.store(factor, place, code.size)
            if "rows" in code.results:
                peak = b.load(code.element, b.gep(code.element, peaks, index), code.size)
                peak = b.select(b.fcmp("oeq", peak, -attention_rows.INFINITY), 0.0, peak)
                number = b.mul(b.add(first, index), 2)
                place = b.gep(code.element, heads.pointers["to_rows"], number)
                b.store(peak, place, code.size)
                b.store(inverse, b.gep(code.element, place, 1), code.size)

        b.loop(0, self.rows, 1, row)
        if "values" in code.results:
            values = {
                "source": output,
                "target": heads.place(heads.pointers["to_values"], first, n["value_size"]),
                "source_stride": n["padded_value_size"],
                "target_stride": n["value_size"],
                "rows": self.rows,
                "columns": n["value_size"],
                "factors": totals,
            }
            heads.module.store_each(b, values)


def forward_piece(heads: Heads, piece: Value) -> None:
    """The rows of one piece against all blocks of keys."""
    b, n, code = heads.b, heads.n, heads.code
    part = b.binary("udiv", piece, n["batch"])
    first_head, members = heads.members(b.binary("urem", piece, n["batch"]), part)
    # The last rows first: with `is_causal` they take the longest.
    chunk = b.sub(b.sub(n["chunks"], 1), b.binary("udiv", part, n["member_chunks"]))
    operands = heads.operands_of(first_head)
    start = b.mul(chunk, n["chunk_rows"])
    end = b.intrinsic("smin", b.add(start, n["chunk_rows"]), n["length"])
    reach = b.intrinsic("smin", n["keys"], end) if code.is_causal else n["keys"]

    def key_block(key: Value, _: list[Value]) -> None:
        keys = b.intrinsic("smin", b.sub(reach, key), n["key_block"])
        if not code.few_rows:
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

        def member(number: Value, _: list[Value]) -> None:
            head = b.add(first_head, number)
            own = heads.operands_of(head)
            ahead = heads.operands_of(b.add(head, 1))
            before = heads.blocks_before(number)

            def row_block(row: Value, _: list[Value]) -> None:
                rows = b.intrinsic("smin", b.sub(end, row), b.const("i64", ROW_BLOCK))
                block = b.binary("sdiv", b.sub(row, start), b.const("i64", ROW_BLOCK))
                coming = {name: heads.request(ahead, name, row) for name in SHARED}
                coming["query"] = heads.coming((own, ahead), "query", row, (start, end))
                found = Rows(heads, head, own, (row, rows), (key, keys), coming)
                found.emit(b.add(before, block))

            b.loop(first, end, ROW_BLOCK, row_block)

        b.loop(0, members, 1, member)

    b.loop(0, reach, n["key_block"], key_block)


def emit(
    code: Code, name: str, features: frozenset[str], vector_bytes: int, first_argument: int
) -> str:
    """The text of a module that defines `name` for `code`."""
    b = Builder(features, vector_bytes)
    heads = Heads(code, name, b, first_argument)
    piece = gradient_piece if code.is_gradient else forward_piece

    def attempt(number: Value, exact: Value, fault: Value) -> None:
        heads.exact, heads.fault = exact, fault
        piece(heads, number)

    if code.excludes:
        attempts(b, attempt)
    else:
        b.loop(Value("%begin", "i64"), Value("%end", "i64"), 1, lambda i, _: piece(heads, i))
    main = b.function(name, "ptr %args, i64 %begin, i64 %end, i64 %worker")
    texts = "".join((*heads.packers.values(), *heads.module.texts.values()))
    return b.preamble() + texts + main + attributes(vector_bytes)
