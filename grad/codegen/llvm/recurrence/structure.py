"""What is decided about a recurrence before its code is written: the shape of the code, the sizes.

A `Code` says which code to emit; kernels of one `Code` differ in integers alone, which they read
from their arguments. `plan.py` chooses both, `emit.py` emits the code.
"""

from __future__ import annotations

from dataclasses import dataclass

ELEMENT_BYTES = {"float": 4, "double": 8}


@dataclass(frozen=True, slots=True)
class Code:
    """Everything that the text of a kernel depends on, but for the CPU.

    Attributes:
        element: "float" or "double". lanes: of a vector register.
        tile_rows, tile_vectors: the register tile of the products.
        kind: of the cells; backwards: which way they run.
        operands, results: names of what is read and stored.
    """

    element: str
    lanes: int
    tile_rows: int
    tile_vectors: int
    kind: str
    backwards: bool
    operands: tuple[str, ...]
    results: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes of an element."""
        return ELEMENT_BYTES[self.element]

    @property
    def panel(self) -> int:
        """Columns of a panel of the packed weight."""
        return self.tile_vectors * self.lanes

    @property
    def is_gradient(self) -> bool:
        return "slope" in self.operands

    @property
    def packed(self) -> bool:
        """Whether steps have different numbers of rows."""
        return "starts" in self.operands

    @property
    def pointers(self) -> tuple[str, ...]:
        """Names of the arguments that are addresses, in the order of their slots."""
        return (*self.operands, *(f"to_{name}" for name in self.results), "scratch")

    @property
    def integers(self) -> tuple[str, ...]:
        """Names of the other arguments, in the order of the slots behind the pointers."""
        names = (*self.operands, *(f"to_{name}" for name in self.results))
        strides = (f"{name}_{axis}" for name in names for axis in ("step", "row"))
        return (*INTEGERS, *strides)


# Sizes are in elements, places ("..._at") in elements from the beginning of a worker's scratch.
INTEGERS = (
    "steps",
    "batch",
    "hidden",
    "gates",  # columns of what is projected
    "piece_rows",
    "scratch_bytes",
    "state_stride",  # of rows in scratch; what ends in "_row" is that of an operand or a result
    "sums_stride",
    "weight_at",
    "state_at",
    "cell_at",
    "sums_at",
    "product_at",
)


@dataclass(frozen=True, slots=True)
class Choice:
    """A code with the integers of one shape.

    Attributes:
        items: pieces of work, each some sequences over all steps.
        scratch_bytes: scratch that every worker needs.
        arguments: for the slots behind the pointers, ordered as `code.integers`.
    """

    code: Code
    items: int
    scratch_bytes: int
    arguments: tuple[int, ...]
