"""The statement of matrix products in kernel IR.

`ir.py` has the others; `lower_contraction.py` makes it, `codegen/llvm/contraction` makes code of
it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from grad.dtype import DType
from grad.graph.index import Index, Variable, show

if TYPE_CHECKING:
    from grad.kernel.ir import Statement


@dataclass(frozen=True, slots=True)
class Operand:
    """A matrix that a contraction multiplies.

    Without a `prologue`, the element is the one in memory, converted to the contraction's type as
    it is read. With one, `element` is the number of the value in memory, in its own type, from
    which (and from what else they load) the statements of the prologue compute `value`.

    Attributes:
        parameter: the buffer.
        index: offset of the element, linear in each variable.
    """

    parameter: int
    index: Index
    prologue: tuple[Statement, ...] = ()
    element: int = 0
    value: int = 0


@dataclass(frozen=True, slots=True)
class Contraction:
    """For all rows and columns: ``accumulator = sum over k of a * b``, then `body` once each.

    `batch`, `row` and `column` are the variables that `body` may use; operands are in terms of
    these and `k`, `a` without the column and `b` without the row.
    """

    accumulator: int
    dtype: DType
    batch: tuple[Variable, ...]
    row: Variable
    column: Variable
    k: Variable
    a: Operand
    b: Operand
    body: tuple[Statement, ...]

    @property
    def operands(self) -> tuple[tuple[Operand, tuple[Variable, ...]], ...]:
        """Each operand with the variables that it is in terms of."""
        return (
            (self.a, (*self.batch, self.row, self.k)),
            (self.b, (*self.batch, self.k, self.column)),
        )


def print_contraction(s: Contraction, names: dict[int, str]) -> str:
    """The statement as a line; prologues follow it as lines of their own."""
    around = ", ".join(v.name for v in (*s.batch, s.row, s.column))
    sizes = ", ".join(str(v.size) for v in (*s.batch, s.row, s.column))
    first, second = (_print_operand(operand, names) for operand, _ in s.operands)
    return (
        f"for {around} in ndrange({sizes}):  # contraction, v{s.accumulator} = sum of "
        f"{first} * {second} for {s.k.name} in range({s.k.size})"
    )


def _print_operand(operand: Operand, names: dict[int, str]) -> str:
    place = f"{names[operand.parameter]}[{show(operand.index)}]"
    if not operand.prologue:
        return place
    return f"v{operand.value} (of v{operand.element} = {place})"
