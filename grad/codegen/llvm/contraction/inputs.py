"""What a matrix product's function reads from its arguments: pointers, sizes and strides, and where
the operands of one batch element begin.

`emit.py` and `tile_loops.py` find the numbers here by the names of `structure.py`.
"""

from __future__ import annotations

from grad.codegen.llvm.builder import Builder, Value
from grad.codegen.llvm.contraction.structure import Contraction

SLOT_BYTES = 8


class Inputs:
    """Pointers and run-time integers, loaded at the beginning of the function."""

    def __init__(self, b: Builder, structure: Contraction, first_argument: int) -> None:
        def slot(number: int, kind: str) -> Value:
            return b.load(
                kind, b.gep("i64", Value("%args", "ptr"), first_argument + number), SLOT_BYTES
            )

        pointers = [slot(number, "ptr") for number in range(3)]
        self.a, self.b = (
            (pointers[1], pointers[0]) if structure.swapped else (pointers[0], pointers[1])
        )
        self.integers = {
            name: slot(3 + i, "i64") for i, name in enumerate(structure.argument_names)
        }
        offset = b.mul(Value("%worker", "i64"), self.integers["scratch_bytes"])
        self.scratch = b.gep("i8", pointers[2], offset)

    def batch(
        self, b: Builder, structure: Contraction, number: Value
    ) -> tuple[list[Value], Value, Value]:
        """Batch indices of batch element `number`, and where its A and B begin."""
        indices: list[Value] = []
        a, matrix = self.a, self.b
        for axis in reversed(range(structure.batch_rank)):
            if axis:
                size = self.integers[f"batch_size{axis}"]
                index = b.binary("urem", number, size)
                number = b.binary("udiv", number, size)
            else:
                index = number
            indices.insert(0, index)
            a = b.gep(structure.a_storage, a, b.mul(index, self.integers[f"a_batch_stride{axis}"]))
            matrix = b.gep(
                structure.b_storage, matrix, b.mul(index, self.integers[f"b_batch_stride{axis}"])
            )
        return indices, a, matrix


def minimum(b: Builder, first: Value, second: Value) -> Value:
    return b.intrinsic("smin", first, second)
