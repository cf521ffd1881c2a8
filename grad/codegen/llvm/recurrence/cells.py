"""What a step does to one row besides the product: the functions of the gates, and their gradient.

Each cell is a function from a `Row`, which loads and stores vectors at a column of the hidden
numbers, to nothing; `CELLS` and `GRADIENTS` have one a kind. Columns behind the last whole vector
are done once more with a mask (`over_columns`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from grad.codegen.llvm.builder import Builder, Value, vector_type
from grad.codegen.llvm.elementary import ELEMENTARY
from grad.codegen.llvm.lanes import lanes_below
from grad.codegen.llvm.recurrence.structure import Code

# The row in scratch: the state and the cell before it; the product of the state and the weight
# (backward: what goes into the product).
SCRATCH = ("state", "cell", "sums")


def row_parameters(code: Code) -> dict[str, str]:
    """Parameters of the function that does a row: where the row is in everything."""
    sequences = [
        name for name in code.operands if name not in ("weight", "state", "cell", "starts")
    ]
    results = [f"to_{name}" for name in code.results if name not in ("state", "cell")]
    pointers = dict.fromkeys((*SCRATCH, *sequences, *results), "ptr noalias")
    return {**pointers, "hidden": "i64"}


class Row:
    """Vectors of one row, at one column of the hidden numbers."""

    def __init__(self, code: Code, b: Builder, p: Mapping[str, Value]) -> None:
        self.code, self.b, self.p = code, b, p
        self.vector = vector_type(code.element, code.lanes)
        self.column: Value = b.const("i64", 0)
        self.mask: Value | None = None

    def _at(self, name: str, gate: int) -> Value:
        place = self.b.add(self.b.mul(self.p["hidden"], gate), self.column) if gate else self.column
        return self.b.gep(self.code.element, self.p[name], place)

    def load(self, name: str, gate: int = 0) -> Value:
        """The numbers of one gate; scratch may be read past the last one."""
        place, size = self._at(name, gate), self.code.size
        if self.mask is None or name in SCRATCH:
            return self.b.load(self.vector, place, size)
        return self.b.masked_load(self.vector, place, size, self.mask, self.b.const(self.vector, 0))

    def store(self, value: Value, name: str, gate: int = 0) -> None:
        """Store what there is a place for; nothing where the result is not wanted."""
        if name not in self.p:
            return
        place, size = self._at(name, gate), self.code.size
        if self.mask is None:
            self.b.store(value, place, size)
        else:
            self.b.masked_store(value, place, size, self.mask)

    def apply(self, name: str, x: Value) -> Value:
        return ELEMENTARY[name](self.b, x)

    def slope_of_sigmoid(self, y: Value) -> Value:
        """``y * (1 - y)``."""
        return self.b.fmul(y, self.b.fsub(self.b.const(self.vector, 1.0), y))

    def slope_of_tanh(self, y: Value) -> Value:
        """``1 - y * y``."""
        return self.b.fma(self.b.fneg(y), y, self.b.const(self.vector, 1.0))


Cell: TypeAlias = Callable[[Row], None]


def over_columns(code: Code, b: Builder, p: Mapping[str, Value], cell: Cell) -> None:
    """`cell` at all columns of a row."""
    row = Row(code, b, p)

    def at(column: Value, mask: Value | None) -> None:
        row.column, row.mask = column, mask
        cell(row)

    whole = b.binary("and", p["hidden"], -code.lanes)
    rest = b.sub(p["hidden"], whole)
    b.loop(0, whole, code.lanes, lambda column, _: at(column, None))
    b.branch(b.icmp("ne", rest, 0), lambda: at(whole, lanes_below(b, rest, code.lanes)))


# -- forward ---------------------------------------------------------------------------------------
def _total(r: Row, gate: int) -> Value:
    return r.b.fadd(r.load("projected", gate), r.load("sums", gate))


def _after(r: Row, state: Value) -> None:
    r.store(state, "state")
    r.store(state, "to_states")


def _tanh(r: Row) -> None:
    _after(r, r.apply("tanh", _total(r, 0)))


def _relu(r: Row) -> None:
    total = _total(r, 0)
    _after(r, r.b.select(r.b.fcmp("olt", total, 0.0), 0.0, total))


def _lstm(r: Row) -> None:
    b = r.b
    enter, forget, leave = (r.apply("sigmoid", _total(r, gate)) for gate in (0, 1, 3))
    candidate = r.apply("tanh", _total(r, 2))
    cell = b.fma(forget, r.load("cell"), b.fmul(enter, candidate))
    for gate, value in enumerate((enter, forget, candidate, leave)):
        r.store(value, "to_gates", gate)
    r.store(cell, "cell")
    r.store(cell, "to_cells")
    _after(r, b.fmul(leave, r.apply("tanh", cell)))


def _gru(r: Row) -> None:
    b = r.b
    reset, update = (r.apply("sigmoid", _total(r, gate)) for gate in (0, 1))
    inner = r.load("sums", 2)
    if "bias" in r.p:
        inner = b.fadd(inner, r.load("bias"))
    new = r.apply("tanh", b.fma(reset, inner, r.load("projected", 2)))
    for gate, value in enumerate((reset, update, new, inner)):
        r.store(value, "to_gates", gate)
    _after(r, b.fma(update, b.fsub(r.load("state"), new), new))


CELLS: Mapping[str, Cell] = {"tanh": _tanh, "relu": _relu, "lstm": _lstm, "gru": _gru}


# -- backward: "state" and "cell" are the gradients that come from the step after ------------------
def _slopes(r: Row, *gates: Value) -> None:
    """The gradients of what is projected, which also go into the product."""
    for gate, value in enumerate(gates):
        r.store(value, "sums", gate)
        r.store(value, "to_slopes", gate)


def _of_state(r: Row) -> Value:
    return r.b.fadd(r.load("slope"), r.load("state"))


def _tanh_gradient(r: Row) -> None:
    _slopes(r, r.b.fmul(_of_state(r), r.slope_of_tanh(r.load("states"))))


def _relu_gradient(r: Row) -> None:
    positive = r.b.fcmp("ogt", r.load("states"), 0.0)
    _slopes(r, r.b.select(positive, _of_state(r), 0.0))


def _lstm_gradient(r: Row) -> None:
    b = r.b
    enter, forget, candidate, leave = (r.load("gates", gate) for gate in range(4))
    of_state = _of_state(r)
    bent = r.apply("tanh", r.load("cells"))
    of_cell = b.fma(b.fmul(of_state, leave), r.slope_of_tanh(bent), r.load("cell"))
    if "cell_slope" in r.p:
        of_cell = b.fadd(of_cell, r.load("cell_slope"))
    r.store(b.fmul(of_cell, forget), "cell")
    _slopes(
        r,
        b.fmul(b.fmul(of_cell, candidate), r.slope_of_sigmoid(enter)),
        b.fmul(b.fmul(of_cell, r.load("before")), r.slope_of_sigmoid(forget)),
        b.fmul(b.fmul(of_cell, enter), r.slope_of_tanh(candidate)),
        b.fmul(b.fmul(of_state, bent), r.slope_of_sigmoid(leave)),
    )


def _gru_gradient(r: Row) -> None:
    b = r.b
    reset, update, new, inner = (r.load("gates", gate) for gate in range(4))
    of_state = _of_state(r)
    rest = b.fsub(b.const(r.vector, 1.0), update)
    of_new = b.fmul(b.fmul(of_state, rest), r.slope_of_tanh(new))
    difference = b.fsub(r.load("before"), new)
    of_update = b.fmul(b.fmul(of_state, difference), r.slope_of_sigmoid(update))
    of_reset = b.fmul(b.fmul(of_new, inner), r.slope_of_sigmoid(reset))
    of_inner = b.fmul(of_new, reset)
    r.store(b.fmul(of_state, update), "state")
    _slopes(r, of_reset, of_update)
    r.store(of_new, "to_slopes", 2)
    r.store(of_inner, "sums", 2)
    r.store(of_inner, "to_inner")


GRADIENTS: Mapping[str, Cell] = {
    "tanh": _tanh_gradient,
    "relu": _relu_gradient,
    "lstm": _lstm_gradient,
    "gru": _gru_gradient,
}
