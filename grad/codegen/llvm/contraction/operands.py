"""Read elements of a matrix operand as the numbers that a product computes with.

An operand may lie in memory in another type than the product's: halves, small integers, float32
under a float64 product. `load` converts on the way, so that a cast in front of a matrix product is
never a pass over memory of its own. `multiply_add` and `plus` are the arithmetic of sums, for
floating-point numbers and for integers (which wrap); `prefetch` asks for what is read next.
`packing.py`, `microkernel.py` and `vector_product.py` read through here.
"""

from __future__ import annotations

from grad.codegen.llvm.builder import Builder, Value, element_of, vector_type
from grad.codegen.llvm.contraction.structure import ELEMENT_TYPES
from grad.codegen.llvm.conversions import STORAGE, cast, from_memory
from grad.dtype import DType


def load(
    b: Builder, element: str, memory: DType, address: Value, lanes: int, mask: Value | None = None
) -> Value:
    """`lanes` neighbours of type `memory` at `address`, as numbers of type `element`.

    Lanes outside `mask` are not read, and are 0.
    """
    storage = vector_type(STORAGE[memory], lanes)
    if mask is None:
        raw = b.load(storage, address, memory.itemsize)
    else:
        raw = b.masked_load(storage, address, memory.itemsize, mask, b.const(storage, 0))
    return cast(b, from_memory(b, raw, memory), memory, ELEMENT_TYPES[element])


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


def prefetch(b: Builder, address: Value, for_writing: bool = False) -> None:
    """Ask for the line at `address`, which need not be valid memory, in the nearest cache."""
    nearest, data = 3, 1
    hints = (Value(str(n), "i32") for n in (int(for_writing), nearest, data))
    b.call("void", "llvm.prefetch.p0", address, *hints)
