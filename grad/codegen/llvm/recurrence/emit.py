"""The kernels of recurrences: a piece of work takes some sequences through all steps.

Forward, a step multiplies the states by the weight (packed once for all steps) and does the cells
row by row. Backward, it does the cells first, and the product gives the gradient of the states
before. States, cells and sums of a piece stay in its scratch. Steps with fewer rows, of packed
sequences, leave the rows behind as they are.
"""

from __future__ import annotations

from collections.abc import Callable

from grad.codegen.llvm.attention.tiles import Module
from grad.codegen.llvm.builder import Builder, Value, vector_type
from grad.codegen.llvm.contraction.packing import PACK_B_PARAMETERS, pack_b_function
from grad.codegen.llvm.contraction.structure import ELEMENT_TYPES, Contraction, Kind, Layout
from grad.codegen.llvm.functions import attributes, call_internal
from grad.codegen.llvm.recurrence.cells import (
    CELLS,
    GRADIENTS,
    SCRATCH,
    over_columns,
    row_parameters,
)
from grad.codegen.llvm.recurrence.structure import Code

SLOT_BYTES = 8


class Piece:
    """The sequences of one piece of work, and the arguments of the kernel."""

    def __init__(self, code: Code, name: str, b: Builder, first_argument: int) -> None:
        self.code, self.b = code, b
        self.module = Module(code, name, b)
        self.packer = ""

        def slot(number: int, kind: str) -> Value:
            place = b.gep("i64", Value("%args", "ptr"), first_argument + number)
            return b.load(kind, place, SLOT_BYTES)

        self.pointers = {p: slot(i, "ptr") for i, p in enumerate(code.pointers)}
        start = len(code.pointers)
        self.n = {name: slot(start + i, "i64") for i, name in enumerate(code.integers)}
        offset = b.mul(Value("%worker", "i64"), self.n["scratch_bytes"])
        scratch = b.gep("i8", self.pointers["scratch"], offset)
        self.scratch = {
            name: b.gep(code.element, scratch, self.n[f"{name}_at"])
            for name in ("weight", "state", "cell", "sums", "product")
        }
        self.strides = {
            "state": self.n["state_stride"],
            "cell": self.n["state_stride"],
            "sums": self.n["sums_stride"],
        }
        self.first = self.rows = b.const("i64", 0)

    def emit(self, number: Value) -> None:
        """All steps of the sequences of piece `number`."""
        b, n = self.b, self.n
        self.first = b.mul(number, n["piece_rows"])
        self.rows = b.intrinsic("smin", n["piece_rows"], b.sub(n["batch"], self.first))
        self.pack()
        self.clear()
        if not self.code.is_gradient:
            self.transfer("state", load=True)
            if self.code.kind == "lstm":
                self.transfer("cell", load=True)
        step = self.gradient_step if self.code.is_gradient else self.forward_step
        last = b.sub(n["steps"], 1)
        falling = self.code.backwards is not self.code.is_gradient

        def turn(index: Value, _: list[Value]) -> None:
            self.at_step(b.sub(last, index) if falling else index, step)

        b.loop(0, n["steps"], 1, turn)
        if self.code.is_gradient:
            for name in ("state", "cell"):
                if name in self.code.results:
                    self.transfer(name, load=False)

    # -- before and after ------------------------------------------------------------------------
    def pack(self) -> None:
        """The weight in panels: transposed forward, as it is backward."""
        b, n, code = self.b, self.n, self.code
        layout = Layout.COLUMN_CONTIGUOUS if code.is_gradient else Layout.K_CONTIGUOUS
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
        name = f"{self.module.name}.pack"
        self.packer = pack_b_function(structure, name, b.sibling())
        depth, columns = n["hidden"], n["gates"]
        if code.is_gradient:
            depth, columns = columns, depth
        values = {
            "source": self.pointers["weight"],
            "target": self.scratch["weight"],
            "depth": depth,
            "panels": self.ceil(columns, code.panel),
            "vectors": b.const("i64", code.tile_vectors),
            "columns": columns,
            "k_stride": n["weight_row"] if code.is_gradient else b.const("i64", 1),
            "column_stride": b.const("i64", 1) if code.is_gradient else n["weight_row"],
        }
        call_internal(b, name, PACK_B_PARAMETERS, values)

    def clear(self) -> None:
        """Zeros in the rows that tiles read, also in those behind the last sequence."""
        rows = self.b.mul(self.ceil(self.rows, self.code.tile_rows), self.code.tile_rows)
        names = SCRATCH if self.code.is_gradient else ("state",)
        for name in names:
            count = self.b.mul(rows, self.strides[name])
            self.module.clear(self.b, {"target": self.scratch[name], "count": count})

    def transfer(self, name: str, load: bool) -> None:
        """States or cells from memory to scratch or back."""
        b, n, code = self.b, self.n, self.code
        outside = name if load else f"to_{name}"
        stride = n[f"{outside}_row"]
        place = b.gep(code.element, self.pointers[outside], b.mul(self.first, stride))
        ends = [(place, stride), (self.scratch[name], n["state_stride"])]
        source, target = ends if load else reversed(ends)
        values = {
            "source": source[0],
            "source_stride": source[1],
            "target": target[0],
            "target_stride": target[1],
            "rows": self.rows,
            "columns": n["hidden"],
            "factor": b.const(code.element, 1.0),
        }
        (self.module.copy if load else self.module.store)(b, values)

    def ceil(self, count: Value, step: int) -> Value:
        return self.b.binary("sdiv", self.b.add(count, step - 1), self.b.const("i64", step))

    # -- steps -----------------------------------------------------------------------------------
    def at_step(self, step: Value, body: Callable[[Value, Value, Value], None]) -> None:
        """Run ``body(step, row, count)``: the first row in the sequences, and how many."""
        b = self.b
        if not self.code.packed:
            body(step, self.first, self.rows)
            return
        place = b.gep("i64", self.pointers["starts"], step)
        start, end = (b.load("i64", b.gep("i64", place, i), SLOT_BYTES) for i in (0, 1))
        there = b.sub(b.sub(end, start), self.first)
        count = b.intrinsic("smin", there, self.rows)
        b.branch(b.icmp("sgt", count, 0), lambda: body(step, b.add(start, self.first), count))

    def forward_step(self, step: Value, row: Value, count: Value) -> None:
        n = self.n
        self.multiply("state", "sums", n["hidden"], n["gates"], count)
        self.each_row(step, row, count)

    def gradient_step(self, step: Value, row: Value, count: Value) -> None:
        n = self.n
        self.each_row(step, row, count)
        self.multiply("sums", "product", n["gates"], n["hidden"], count)
        self.take_product(count)

    def multiply(self, a: str, c: str, depth: Value, columns: Value, count: Value) -> None:
        """``c = a @ weight`` for the first rows."""
        b, code = self.b, self.code
        strides = {**self.strides, "product": self.n["state_stride"]}
        values = {
            "a": self.scratch[a],
            "b": self.scratch["weight"],
            "c": self.scratch[c],
            "a_stride": strides[a],
            "b_stride": b.const("i64", code.panel),
            "c_stride": strides[c],
            "depth": depth,
            "accumulate": b.const("i1", 0),
            "tiles": self.ceil(count, code.tile_rows),
            "vectors": self.ceil(columns, code.lanes),
            "panel_stride": b.mul(depth, code.panel),
        }
        self.module.grid(b, values)

    def each_row(self, step: Value, row: Value, count: Value) -> None:
        """The cells of the first rows."""
        b, code = self.b, self.code
        parameters = row_parameters(code)
        cell = (GRADIENTS if code.is_gradient else CELLS)[code.kind]

        def one(index: Value, _: list[Value]) -> None:
            values = {"hidden": self.n["hidden"]}
            for name in parameters:
                if name in SCRATCH:
                    place = b.mul(index, self.strides[name])
                    values[name] = b.gep(code.element, self.scratch[name], place)
                elif name != "hidden":
                    inside = b.mul(b.add(row, index), self.n[f"{name}_row"])
                    place = b.add(b.mul(step, self.n[f"{name}_step"]), inside)
                    values[name] = b.gep(code.element, self.pointers[name], place)
            self.module.call(
                b, "row", parameters, lambda i, p: over_columns(code, i, p, cell), values
            )

        b.loop(0, count, 1, one)

    def take_product(self, count: Value) -> None:
        """The product as the gradient of the first states (of gru: added to what is there).

        Tiles have written rows behind the first `count`, whose gradients must stay.
        """
        b, code = self.b, self.code
        vector, stride = vector_type(code.element, code.lanes), self.n["state_stride"]

        def one(index: Value, _: list[Value]) -> None:
            place = b.mul(index, stride)
            source, target = (
                b.gep(code.element, self.scratch[name], place) for name in ("product", "state")
            )

            def column(j: Value, _: list[Value]) -> None:
                value = b.load(vector, b.gep(code.element, source, j), code.size)
                at = b.gep(code.element, target, j)
                if code.kind == "gru":
                    value = b.fadd(value, b.load(vector, at, code.size))
                b.store(value, at, code.size)

            b.loop(0, self.n["hidden"], code.lanes, column)

        b.loop(0, count, 1, one)


def emit(
    code: Code, name: str, features: frozenset[str], vector_bytes: int, first_argument: int
) -> str:
    """The text of a module that defines `name` for `code`."""
    b = Builder(features, vector_bytes)
    piece = Piece(code, name, b, first_argument)
    b.loop(Value("%begin", "i64"), Value("%end", "i64"), 1, lambda i, _: piece.emit(i))
    main = b.function(name, "ptr %args, i64 %begin, i64 %end, i64 %worker")
    texts = "".join((piece.packer, *piece.module.texts.values()))
    return b.preamble() + texts + main + attributes(vector_bytes)
