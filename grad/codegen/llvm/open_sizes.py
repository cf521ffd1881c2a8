"""Sizes that are not fixed as arguments of a kernel.

Where a kernel's loops and addresses are made of such sizes (grad/graph/sizes.py), its code reads
them from arguments behind its own. A plan computes these words for the sizes that it is for, so one
kernel serves many. `builder.py` gives out the slots.
"""

from __future__ import annotations

from grad.codegen.backend import CONSTANT


class OpenSizes:
    """Sizes that are not fixed, as arguments of a kernel behind the first `first` ones."""

    def __init__(self, first: int) -> None:
        self.first = first
        self.numbers: dict[int, int] = {}

    def slot(self, size: int) -> int:
        """The number of the argument that carries `size`."""
        return self.first + self.numbers.setdefault(size, len(self.numbers))

    def loaded(self, size: int) -> tuple[str, str]:
        """The name that `size` has in code, and the code that reads it."""
        slot = self.slot(size)
        name, place = f"%size{slot}", f"%slot{slot}"
        address = f"  {place} = getelementptr i64, ptr %args, i64 {slot}"
        return name, f"{address}\n  {name} = load i64, ptr {place}, align 8"

    def words(self) -> list[tuple[int, int]]:
        """What the arguments are, as `CompiledPhase.arguments` has them."""
        return [(CONSTANT, size) for size in self.numbers]
