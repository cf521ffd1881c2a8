"""Statements that need no memory: numbers, arithmetic, positions and conditions.

`Emitter` (loops.py) adds memory, accumulators and loops.
"""

from __future__ import annotations

from collections.abc import Sequence

from grad.codegen.llvm.addresses import Addresses, Lanes
from grad.codegen.llvm.builder import Builder, Value, lanes_of
from grad.codegen.llvm.conversions import STORAGE, cast, from_memory
from grad.codegen.llvm.instructions import element_type, emit_primitive
from grad.dtype import DType, dtypes
from grad.graph.positions import Guard
from grad.kernel.ir import Count, Let, Number, Scalar, Test


class PlainValues:
    """Knows the values of the kernel's value numbers so far.

    Attributes:
        lanes: the vector loop that is being written, if one is.
    """

    def __init__(self, b: Builder) -> None:
        self.b = b
        self.values: dict[int, Value] = {}
        self.types: dict[int, DType] = {}
        self.addresses = Addresses(b, self.values, self.types)
        self.lanes: Lanes | None = None

    def define(self, number: int, value: Value, dtype: DType) -> None:
        self.values[number] = value
        self.types[number] = dtype

    def let(self, s: Let) -> None:
        operands = [self.values[o] for o in s.operands]
        value = emit_primitive(self.b, s.op, operands, self.types[s.operands[-1]], s.dtype)
        self.define(s.value, value, s.dtype)

    def number(self, s: Number) -> None:
        element = element_type(s.dtype)
        number = s.number
        if element.startswith("i") and element != "i1":
            number = int(number)
        if s.dtype.kind == "f" and s.dtype.itemsize == 2:
            number = float(s.dtype.numpy.type(number))
        self.define(s.value, self.b.const(element, number), s.dtype)

    def scalar(self, s: Scalar) -> None:
        """A scalar argument: its bytes are in its slot."""
        slot = self.b.gep("i64", Value("%args", "ptr"), s.parameter)
        raw = self.b.load(STORAGE[s.dtype], slot, 8)
        self.define(s.value, from_memory(self.b, raw, s.dtype), s.dtype)

    def count(self, s: Count) -> None:
        whole = self.addresses.number(s.index, self.lanes)
        self.define(s.value, cast(self.b, whole, dtypes.int64, s.dtype), s.dtype)

    def test(self, s: Test) -> None:
        self.define(s.value, self.condition(s.guards), dtypes.bool)

    def condition(self, guards: Sequence[Guard]) -> Value:
        """i1 (or lanes of it): whether all guards hold."""
        b = self.b
        result: Value | None = None
        for guard in guards:
            index = self.addresses.number(guard.index, self.lanes)
            if guard.index.low < guard.low:
                result = self._both(result, b.icmp("sge", index, guard.low))
            if guard.index.high >= guard.high:
                result = self._both(result, b.icmp("slt", index, guard.high))
        return result if result is not None else b.const("i1", True)

    def _both(self, first: Value | None, second: Value) -> Value:
        if first is None:
            return second
        lanes = max(lanes_of(first.type), lanes_of(second.type))
        return self.b.binary("and", self.b.splat(first, lanes), self.b.splat(second, lanes))
