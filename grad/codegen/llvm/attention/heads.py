"""What forward and backward attention share: arguments, packing, requests, and loops over rows.

A block is some rows of query against some keys; `Heads` holds the arguments of the kernel and knows
where everything is. It calls the functions of `rows.py`; `products.py` computes with its blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from grad.codegen.llvm.attention.dropout import DROPOUT
from grad.codegen.llvm.attention.requests import Request, RowRequest
from grad.codegen.llvm.attention.structure import Code, Mask
from grad.codegen.llvm.attention.tiles import Module
from grad.codegen.llvm.builder import Builder, Value
from grad.codegen.llvm.contraction.packing import PACK_B_PARAMETERS, pack_b_function
from grad.codegen.llvm.contraction.structure import ELEMENT_TYPES, Contraction, Kind, Layout
from grad.codegen.llvm.functions import call_internal

SLOT_BYTES = 8
ROW_BLOCK = 60  # rows of scores at a time: whole tiles, and whole groups of rows.py

SHARED = ("key", "value")  # a head of these serves a group of heads of the others

Lines: TypeAlias = tuple[Value, Value]  # a pointer, and the distance of rows
Stage: TypeAlias = Callable[[Code, Builder, Mapping[str, Value]], None]


class Block(NamedTuple):
    """Rows against keys: the first of each and their number.

    Attributes:
        tiles: of rows.
        limit: keys that the first row may attend to, from the block's first key on; any number if
            not causal.
    """

    row: Value
    rows: Value
    key: Value
    keys: Value
    tiles: Value
    limit: Value


class Heads:
    """Arguments of the kernel, and what all pieces of it share."""

    def __init__(self, code: Code, name: str, b: Builder, first_argument: int) -> None:
        self.code, self.b = code, b
        self.module = Module(code, name, b)
        self.packers: dict[str, str] = {}

        def slot(number: int, kind: str) -> Value:
            place = b.gep("i64", Value("%args", "ptr"), first_argument + number)
            return b.load(kind, place, SLOT_BYTES)

        self.pointers = {
            p: slot(i, "i64" if p == "random" else "ptr") for i, p in enumerate(code.pointers)
        }
        start = len(code.pointers)
        self.n = {name: slot(start + i, "i64") for i, name in enumerate(code.integers)}
        offset = b.mul(Value("%worker", "i64"), self.n["scratch_bytes"])
        self.scratch = b.gep("i8", self.pointers["scratch"], offset)
        # Of the attempt at a piece (exclusion.py), where some keys are left out.
        self.exact: Value | None = None
        self.fault: Value | None = None

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
        """Where each operand begins for one head of the query."""
        b, rest = self.b, head
        places = {name: self.pointers[name] for name in self.code.operands}
        for axis in reversed(range(self.code.batch_rank)):
            size = self.n[f"batch_size{axis}"]
            index, rest = b.binary("urem", rest, size), b.binary("udiv", rest, size)
            shared = index
            if axis == self.code.batch_rank - 1:
                shared = b.binary("udiv", index, self.n["group"])
            for name in places:
                at = shared if name in SHARED else index
                offset = b.mul(at, self.n[f"{name}_batch{axis}"])
                element = self.mask_element if name == "mask" else self.code.element
                places[name] = b.gep(element, places[name], offset)
        return places

    def members(self, head: Value, part: Value) -> tuple[Value, Value]:
        """The heads of query of one part of a group: the first, and how many.

        `head` is one of key and value.
        """
        b, n = self.b, self.n
        first = b.mul(b.binary("urem", part, n["member_chunks"]), n["members"])
        count = b.intrinsic("smin", n["members"], b.sub(n["group"], first))
        return b.add(b.mul(head, n["group"]), first), count

    def blocks_before(self, member: Value) -> Value:
        """Blocks of rows of a piece in front of those of a member of its group."""
        return self.b.mul(member, self.ceil(self.n["chunk_rows"], ROW_BLOCK))

    def block(self, row: Value, rows: Value, key: Value, keys: Value) -> Block:
        limit = self.b.add(self.b.sub(row, key), 1)
        return Block(row, rows, key, keys, self.ceil(rows, self.code.tile_rows), limit)

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
                code.element,
                code.lanes,
                0,
                Kind.TILED,
                (1,),
                (1,),
                b_layout=layout,
                masked=True,
                b_memory=ELEMENT_TYPES[code.element],
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
        call_internal(b, name, PACK_B_PARAMETERS, values)

    def ceil(self, count: Value, step: int) -> Value:
        return self.b.binary("sdiv", self.b.add(count, step - 1), self.b.const("i64", step))

    def vectors(self, count: Value) -> Value:
        return self.ceil(count, self.code.lanes)

    def limited(self, value: Value, low: Value | int, high: Value) -> Value:
        b = self.b
        return b.intrinsic("smax", b.intrinsic("smin", value, high), b.like(low, value))

    def inspect(self, target: Value, rows: Value, width: Value) -> None:
        """Look for NaN in a finished product if some keys are left out of it (exclusion.py)."""
        if self.fault is not None:
            values = {"target": target, "rows": rows, "width": width, "fault": self.fault}
            self.module.inspect(self.b, values)

    # -- requests ------------------------------------------------------------------------------
    def request(self, operands: Mapping[str, Value], name: str, row: Value) -> Request:
        """Rows of an operand from `row` on."""
        stride = self.n[f"{name}_row"]
        row_bytes = self.b.mul(stride, self.code.size)
        return Request(self.place(operands[name], row, stride), row_bytes)

    def coming(
        self,
        operands: tuple[Mapping[str, Value], Mapping[str, Value]],
        name: str,
        row: Value,
        rows: tuple[Value, Value],
    ) -> Request:
        """What is read after a block of rows: the next one, or the first one of the next head.

        `operands` are those of both heads, `rows` the first of a piece and the one behind its last.
        """
        b, (own, ahead), (start, stop) = self.b, operands, rows
        next_row = b.add(row, ROW_BLOCK)
        more = b.icmp("slt", next_row, stop)
        here, there = self.request(own, name, next_row), self.request(ahead, name, start)
        return here._replace(place=b.select(more, here.place, there.place))

    def request_result(self, name: str, row: Value, size: Value) -> Request:
        """Rows of a result, of `size` elements, from `row` of all heads on."""
        place = self.place(self.pointers[f"to_{name}"], row, size)
        return Request(place, self.b.mul(size, self.code.size), True)

    # -- rows --------------------------------------------------------------------------------------
    def mask_at(self, operands: Mapping[str, Value], block: Block, otherwise: Value) -> Lines:
        """Where the mask of a block is, and the distance of its rows; `otherwise` without mask."""
        b, code = self.b, self.code
        if code.mask is Mask.NONE:
            return otherwise, self.n["scores_row"]
        stride = self.n["mask_row"]
        place = b.add(b.mul(block.row, stride), block.key)
        return b.gep(self.mask_element, operands["mask"], place), stride

    @property
    def mask_element(self) -> str:
        return "i8" if self.code.mask is Mask.BOOL else self.code.element

    def group_stop(self, block: Block, row: Value) -> Value:
        """Columns, in whole vectors, that some tile reads of the group of rows at `row`."""
        keys = block.keys
        if self.code.is_causal:
            reach = self.code.group + self.code.tile_rows - 2
            keys = self.limited(self.b.add(self.b.add(block.limit, row), reach), 0, keys)
        return self.b.mul(self.vectors(keys), self.code.lanes)

    def row_groups(
        self,
        block: Block,
        head: Value,
        operands: Mapping[str, Value],
        scores: Value,
        stage: tuple[str, Mapping[str, str], Stage],
        more: Callable[[Value], Mapping[str, Value]],
        requests: Sequence[RowRequest],
    ) -> None:
        """Run a stage of rows.py over all rows of a block.

        `head` is one of query; `more` gives the arguments of the stage that are its own, for the
        group at a row.
        """
        b, n, code = self.b, self.n, self.code
        mask, mask_row = self.mask_at(operands, block, scores)
        name, parameters, body = stage
        first_row = b.add(b.mul(head, n["length"]), block.row)
        counter = b.add(b.mul(first_row, n["keys"]), block.key)
        dropout: dict[str, Value] = {}
        if code.dropout:
            parameters = {**parameters, **DROPOUT}
            dropout = {
                "random": self.pointers["random"],
                "counter_row": n["keys"],
                "threshold": b.convert("trunc", n["threshold"], "i32"),
                "kept_factor": self.number("kept_factor"),
            }

        def group(row: Value, _: list[Value]) -> None:
            for request in requests:
                request.emit(code, b, row)
            values = {
                **dropout,
                "counter": b.add(counter, b.mul(row, n["keys"])),
                "scores": self.place(scores, row, n["scores_row"]),
                "scores_row": n["scores_row"],
                "limit": b.add(block.limit, row),
                "keys": block.keys,
                "stop": self.group_stop(block, row),
                "live": b.sub(block.rows, row),
                "mask": b.gep(self.mask_element, mask, b.mul(row, mask_row)),
                "mask_row": mask_row,
                **more(row),
            }
            self.module.call(b, name, parameters, lambda i, p: body(code, i, p), values)

        b.loop(0, block.rows, code.group, group)
