"""Read elements of a matrix operand as the numbers that a product computes with.

An operand may lie in memory in another type than the product's (halves, small integers, float32
under a float64 product), and its elements may be computed of those in memory (integers times their
scales). `Matrix.load` does either on the way, so that what stands in front of a matrix product is
not a pass over memory of its own. `multiply_add` and `plus` are the arithmetic of sums, for
floating-point numbers and for integers (which wrap); `prefetch` asks for what is read next.
`packing.py` and `vector_product.py` read through here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from grad.codegen.llvm.builder import Builder, Value, element_of, vector_type
from grad.codegen.llvm.contraction.structure import ELEMENT_TYPES, Contraction
from grad.codegen.llvm.conversions import STORAGE, cast, from_memory
from grad.dtype import DType


class Place(NamedTuple):
    """Which elements of an operand a vector holds: from `outer` (the row of A, the column of B) and
    `k` on, its lanes along one of them.
    """

    outer: Value
    k: Value
    along_k: bool


# compute(place, batch indices, elements as they are in memory, mask of live lanes or None): the
# elements of the operand.
Compute: TypeAlias = Callable[[Place, list[Value], Value, "Value | None"], Value]
# Called once where a function begins; what it gives writes code inside that function.
Prologue: TypeAlias = Callable[[Builder], Compute]
Prologues: TypeAlias = tuple[Prologue | None, Prologue | None]  # of A and of B


@dataclass(frozen=True, slots=True)
class Matrix:
    """An operand as a function reads it.

    Attributes:
        element: what the product computes with.
        memory: the type of the elements in memory.
        compute: makes elements of what is in memory; None where they are only converted.
        outer, k: where the function's part of the operand begins; places are counted from there.
        batch: batch indices.
    """

    element: str
    memory: DType
    compute: Compute | None
    outer: Value
    k: Value
    batch: list[Value]

    @property
    def storage(self) -> str:
        """LLVM's type of the elements in memory."""
        return STORAGE[self.memory]

    def load(
        self, b: Builder, address: Value, lanes: int, place: Place, mask: Value | None = None
    ) -> Value:
        """`lanes` neighbours at `address`, those at `place`. Lanes outside `mask` are not read, and
        zero, whatever would be computed of nothing (0 / 0, say).
        """
        storage = vector_type(self.storage, lanes)
        if mask is None:
            raw = b.load(storage, address, self.memory.itemsize)
        else:
            raw = b.masked_load(storage, address, self.memory.itemsize, mask, b.const(storage, 0))
        found = from_memory(b, raw, self.memory)
        if self.compute is None:
            return cast(b, found, self.memory, ELEMENT_TYPES[self.element])
        place = Place(b.add(self.outer, place.outer), b.add(self.k, place.k), place.along_k)
        made = self.compute(place, self.batch, found, mask)
        return made if mask is None else b.select(mask, made, b.const(made.type, 0))


def coordinate_parameters(structure: Contraction) -> dict[str, str]:
    """Parameters that tell a function which part of a computed operand it reads."""
    batch = {f"batch{axis}": "i64" for axis in range(structure.batch_rank)}
    return {"args": "ptr", "outer": "i64", "k": "i64", **batch}


def matrix(
    structure: Contraction, memory: DType, compute: Compute | None, values: Mapping[str, Value]
) -> Matrix:
    """An operand as a function reads it whose parameters, `coordinate_parameters` among them if
    elements are computed, are `values`.
    """
    start = Value("0", "i64")
    outer, k = (values.get(name, start) for name in ("outer", "k"))
    batch = [values[f"batch{axis}"] for axis in range(structure.batch_rank)] if compute else []
    return Matrix(structure.element, memory, compute, outer, k, batch)


def masked_loads_are_fast(b: Builder, memory: DType, lanes: int) -> bool:
    """Whether the processor loads `lanes` elements of type `memory` under a mask at once."""
    if memory.itemsize < 4:
        return "avx512bw" in b.features and lanes * memory.itemsize >= 16
    return lanes * memory.itemsize >= 32


def multiply_add(b: Builder, first: Value, second: Value, total: Value) -> Value:
    """``first * second + total``."""
    if element_of(total.type).startswith("i"):
        return b.add(b.mul(first, second), total)
    return b.intrinsic("fmuladd", first, second, total)


def plus(b: Builder, first: Value, second: Value) -> Value:
    """``first + second``."""
    if element_of(first.type).startswith("i"):
        return b.add(first, second)
    return b.fadd(first, second)


NEAREST, SECOND = 3, 2  # what `llvm.prefetch` calls the first- and the second-level cache


def prefetch(
    b: Builder, address: Value, for_writing: bool = False, nearness: int = NEAREST
) -> None:
    """Ask for the line at `address`, which need not be valid memory, in a cache."""
    data = 1
    hints = (Value(str(n), "i32") for n in (int(for_writing), nearness, data))
    b.call("void", "llvm.prefetch.p0", address, *hints)
