"""Functions that attention kernels are made of: products of tiles, and copies with padding.

Recurrences (codegen/llvm/recurrence) take their products from here too.

`product` keeps a tile of the result in registers, as `contraction/microkernel.py` does for matrix
products; it is simpler, since here all operands but one are scratch of whole tiles. `grid` runs it
over row tiles and column panels of any number. Every function serves all sizes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from grad.codegen.llvm.attention.exclusion import EXACT, INSPECT, exact, inspect
from grad.codegen.llvm.attention.requests import ASK, Request, ask_in_steps
from grad.codegen.llvm.attention.structure import Code, Tiled
from grad.codegen.llvm.builder import Builder, Value, mangled, vector_type
from grad.codegen.llvm.functions import call_internal, parameter_values, signature
from grad.codegen.llvm.lanes import lanes_below

Parameters = Mapping[str, str]

UNROLL = 2

PRODUCT: Parameters = {
    "a": "ptr noalias",
    "b": "ptr noalias",
    "c": "ptr noalias",
    "a_stride": "i64",  # between rows; of a transposed A, between steps of k
    "b_stride": "i64",
    "c_stride": "i64",
    "depth": "i64",
    "accumulate": "i1",
}
GRID: Parameters = {
    **PRODUCT,
    "tiles": "i64",  # of rows
    "vectors": "i64",  # of columns; none if negative
    "panel_stride": "i64",  # from one panel of B to the next
}
COPY: Parameters = {
    "source": "ptr noalias",
    "target": "ptr noalias",
    "source_stride": "i64",
    "target_stride": "i64",
    "rows": "i64",
    "columns": "i64",
    "factor": "ELEMENT",
}
STORE_EACH: Parameters = {
    **{name: kind for name, kind in COPY.items() if name != "factor"},
    "factors": "ptr noalias",  # one a row
}

INNER: Parameters = {
    "a": "ptr noalias",
    "b": "ptr noalias",
    "target": "ptr noalias",
    "a_stride": "i64",  # of padded rows
    "b_stride": "i64",
    "rows": "i64",
    "columns": "i64",
}
CLEAR: Parameters = {"target": "ptr noalias", "count": "i64"}


class Form(NamedTuple):
    """Which of the products: of a transposed A, asking for rows, for rows that will be written."""

    transposed: bool
    asks: bool
    written: bool

    @property
    def suffix(self) -> str:
        """What tells its functions from those of other forms."""
        return "".join(f"_{name}" for name, is_so in self._asdict().items() if is_so)


class Module:
    """The internal functions of one module: each is written when it is first called."""

    def __init__(self, code: Tiled, name: str, b: Builder) -> None:
        self.code, self.name, self.b = code, name, b
        self.texts: dict[str, str] = {}

    def call(
        self,
        b: Builder,
        name: str,
        parameters: Parameters,
        body: Callable[[Builder, Mapping[str, Value]], None],
        values: Mapping[str, Value],
    ) -> None:
        """Call the function `name`, whose text `body` writes."""
        full = f"{self.name}.{name}"
        kinds = {p: kind.replace("ELEMENT", self.code.element) for p, kind in parameters.items()}
        if full not in self.texts:
            self.texts[full] = ""
            inner = self.b.sibling()
            body(inner, parameter_values(kinds))
            self.texts[full] = inner.function(full, signature(kinds), "internal")
        call_internal(b, full, kinds, values)

    def grid(
        self,
        b: Builder,
        values: Mapping[str, Value],
        transposed: bool = False,
        request: Request | None = None,
    ) -> None:
        """``C (+)= A @ B`` for tiles of rows and vectors of columns, panel by panel."""
        form = Form(transposed, request is not None, request is not None and request.written)
        parameters = GRID
        if request is not None:
            parameters, values = {**GRID, **ASK}, {**values, **request.values}
        name = f"grid{form.suffix}"
        self.call(b, name, parameters, lambda i, p: _grid(self, i, p, form), values)

    def copy(self, b: Builder, values: Mapping[str, Value]) -> None:
        """Rows times a factor, to rows that are padded to whole vectors."""
        self.call(b, "copy", COPY, lambda i, p: _copy(self.code, i, p), values)

    def store(self, b: Builder, values: Mapping[str, Value]) -> None:
        """Padded rows times a factor, to where they belong."""
        self.call(b, "store", COPY, lambda i, p: _store(self.code, i, p), values)

    def store_each(self, b: Builder, values: Mapping[str, Value]) -> None:
        """Padded rows, each times a factor of its own, to where they belong."""
        self.call(b, "store_each", STORE_EACH, lambda i, p: _store(self.code, i, p), values)

    def inner(self, b: Builder, values: Mapping[str, Value]) -> None:
        """The inner product of each two rows, the first of which are padded with zeros."""
        self.call(b, "inner", INNER, lambda i, p: _inner(self.code, i, p), values)

    def exact(self, b: Builder, values: Mapping[str, Value], transposed: bool) -> None:
        """Products of what rows may attend to alone (exclusion.py)."""
        name, code = "exact_transposed" if transposed else "exact", self.code
        assert isinstance(code, Code)
        self.call(b, name, EXACT, lambda i, p: exact(code, i, p, transposed), values)

    def inspect(self, b: Builder, values: Mapping[str, Value]) -> None:
        """Whether a product in tiles met a NaN or infinity (exclusion.py)."""
        code = self.code
        assert isinstance(code, Code)
        self.call(b, "inspect", INSPECT, lambda i, p: inspect(code, i, p), values)

    def clear(self, b: Builder, values: Mapping[str, Value]) -> None:
        """Zeros, a number of whole vectors."""
        self.call(b, "clear", CLEAR, lambda i, p: _clear(self.code, i, p), values)


# -- products --------------------------------------------------------------------------------------
def _grid(module: Module, b: Builder, p: Mapping[str, Value], form: Form) -> None:
    code = module.code
    parameters = {**PRODUCT, **ASK} if form.asks else PRODUCT
    widest = code.tile_vectors
    tile_step = b.const("i64", code.tile_rows)
    if not form.transposed:
        tile_step = b.mul(p["a_stride"], code.tile_rows)
    c_step = b.mul(p["c_stride"], code.tile_rows)
    whole = b.binary("sdiv", p["vectors"], widest)

    def panel(number: Value, vectors: int) -> None:
        right = b.gep(code.element, p["b"], b.mul(number, p["panel_stride"]))
        column = b.gep(code.element, p["c"], b.mul(number, code.panel))

        def tile(index: Value, _: list[Value]) -> None:
            values = {
                **{name: p[name] for name in parameters},
                "a": b.gep(code.element, p["a"], b.mul(index, tile_step)),
                "b": right,
                "c": b.gep(code.element, column, b.mul(index, c_step)),
            }
            if form.asks:
                offset = b.mul(index, b.mul(p["ask_row"], code.tile_rows))
                values["ask"] = b.gep("i8", p["ask"], offset)
            name = f"product{vectors}{form.suffix}"
            module.call(
                b, name, parameters, lambda i, q: _product(code, i, q, vectors, form), values
            )

        b.loop(0, p["tiles"], 1, tile)

    b.loop(0, whole, 1, lambda number, _: panel(number, widest))
    rest = b.sub(p["vectors"], b.mul(whole, widest))
    for vectors in range(1, widest):
        b.branch(b.icmp("eq", rest, vectors), lambda vectors=vectors: panel(whole, vectors))


def _product(code: Tiled, b: Builder, p: Mapping[str, Value], vectors: int, form: Form) -> None:
    """One tile of C in registers over all of the depth."""
    transposed = form.transposed
    rows, element, size = code.tile_rows, code.element, code.size
    vector = vector_type(element, code.lanes)
    c_rows = [b.gep(element, p["c"], b.mul(p["c_stride"], i)) for i in range(rows)]
    places = [b.gep(element, row, j * code.lanes) for row in c_rows for j in range(vectors)]
    zeros = [b.const(vector, 0)] * len(places)
    sums = b.either(
        p["accumulate"],
        lambda: [b.load(vector, place, size) for place in places],
        lambda: zeros,
    )
    a_rows = [p["a"]]
    if not transposed:
        a_rows = [b.gep(element, p["a"], b.mul(p["a_stride"], i)) for i in range(rows)]

    def steps(k: Value, state: list[Value], count: int) -> list[Value]:
        a, right, *found = state
        if form.asks and count == UNROLL:
            ask_in_steps(code, b, p, k, UNROLL, form.written)
        for step in range(count):
            loaded = [
                b.load(vector, b.gep(element, right, j * code.lanes), size) for j in range(vectors)
            ]
            for i in range(rows):
                if transposed:
                    place = b.gep(element, a, i)
                else:
                    place = b.gep(element, b.gep(element, a_rows[i], k), step)
                scalar = b.splat(b.load(element, place, size), code.lanes)
                for j, x in enumerate(loaded):
                    at = i * vectors + j
                    found[at] = b.intrinsic("fmuladd", scalar, x, found[at])
            right = b.gep(element, right, p["b_stride"])
            a = b.gep(element, a, p["a_stride"]) if transposed else a
        return [a, right, *found]

    whole = b.binary("and", p["depth"], -UNROLL)
    state = [p["a"], p["b"], *sums]
    state = b.loop(0, whole, UNROLL, lambda k, s: steps(k, s, UNROLL), state)
    state = b.loop(whole, p["depth"], 1, lambda k, s: steps(k, s, 1), state)
    for value, place in zip(state[2:], places, strict=True):
        b.store(value, place, size)


# -- copies ----------------------------------------------------------------------------------------
def _copy(code: Tiled, b: Builder, p: Mapping[str, Value]) -> None:
    element, size, vector = code.element, code.size, vector_type(code.element, code.lanes)
    whole = b.binary("and", p["columns"], -code.lanes)
    rest = b.sub(p["columns"], whole)
    mask = lanes_below(b, rest, code.lanes)
    factor = b.splat(p["factor"], code.lanes)

    def row(index: Value, _: list[Value]) -> None:
        source = b.gep(element, p["source"], b.mul(index, p["source_stride"]))
        target = b.gep(element, p["target"], b.mul(index, p["target_stride"]))

        def column(j: Value, _: list[Value]) -> None:
            value = b.load(vector, b.gep(element, source, j), size)
            b.store(b.fmul(value, factor), b.gep(element, target, j), size)

        def last() -> None:
            value = b.masked_load(
                vector, b.gep(element, source, whole), size, mask, b.const(vector, 0)
            )
            b.store(b.fmul(value, factor), b.gep(element, target, whole), size)

        b.loop(0, whole, code.lanes, column)
        b.branch(b.icmp("ne", rest, 0), last)

    b.loop(0, p["rows"], 1, row)


def _store(code: Tiled, b: Builder, p: Mapping[str, Value]) -> None:
    element, size, vector = code.element, code.size, vector_type(code.element, code.lanes)
    whole = b.binary("and", p["columns"], -code.lanes)
    rest = b.sub(p["columns"], whole)
    mask = lanes_below(b, rest, code.lanes)

    def row(index: Value, _: list[Value]) -> None:
        source = b.gep(element, p["source"], b.mul(index, p["source_stride"]))
        target = b.gep(element, p["target"], b.mul(index, p["target_stride"]))
        if "factors" in p:
            scalar = b.load(element, b.gep(element, p["factors"], index), size)
        else:
            scalar = p["factor"]
        factor = b.splat(scalar, code.lanes)

        def value(j: Value) -> Value:
            return b.fmul(b.load(vector, b.gep(element, source, j), size), factor)

        def column(j: Value, _: list[Value]) -> None:
            b.store(value(j), b.gep(element, target, j), size)

        def last() -> None:
            b.masked_store(value(whole), b.gep(element, target, whole), size, mask)

        b.loop(0, whole, code.lanes, column)
        b.branch(b.icmp("ne", rest, 0), last)

    b.loop(0, p["rows"], 1, row)


# -- the rest --------------------------------------------------------------------------------------
def _inner(code: Tiled, b: Builder, p: Mapping[str, Value]) -> None:
    element, size, vector = code.element, code.size, vector_type(code.element, code.lanes)
    whole = b.binary("and", p["columns"], -code.lanes)
    rest = b.sub(p["columns"], whole)
    mask = lanes_below(b, rest, code.lanes)
    zero = b.const(vector, 0)

    def row(index: Value, _: list[Value]) -> None:
        x = b.gep(element, p["a"], b.mul(index, p["a_stride"]))
        y = b.gep(element, p["b"], b.mul(index, p["b_stride"]))

        def column(j: Value, sums: list[Value]) -> list[Value]:
            loaded = [b.load(vector, b.gep(element, line, j), size) for line in (x, y)]
            return [b.intrinsic("fmuladd", loaded[0], loaded[1], sums[0])]

        (total,) = b.loop(0, whole, code.lanes, column, [zero])

        def last() -> list[Value]:
            loaded = b.masked_load(vector, b.gep(element, y, whole), size, mask, zero)
            return [b.fmul(b.load(vector, b.gep(element, x, whole), size), loaded)]

        (tail,) = b.either(b.icmp("ne", rest, 0), last, lambda: [zero])
        name = f"llvm.vector.reduce.fadd.{mangled(vector)}"
        start = b.const(element, 0)
        result = b.call(element, name, start, b.fadd(total, tail), flags="reassoc")
        b.store(result, b.gep(element, p["target"], index), size)

    b.loop(0, p["rows"], 1, row)


def _clear(code: Tiled, b: Builder, p: Mapping[str, Value]) -> None:
    vector = vector_type(code.element, code.lanes)

    def turn(j: Value, _: list[Value]) -> None:
        b.store(b.const(vector, 0), b.gep(code.element, p["target"], j), code.size)

    b.loop(0, p["count"], code.lanes, turn)
