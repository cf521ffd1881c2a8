"""Copy the part of an image that a band of a convolution needs, with zeros where there is none.

The layout is `PaddedCopy` of `plan.py`; `emit.py` and `weight.py`
call the function that is written here at the beginning of each piece of work. Elements outside the
image are never read: rows outside are only filled, and vectors are loaded under a mask.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from grad.codegen.llvm.builder import Builder, Value, vector_type
from grad.codegen.llvm.convolution.plan import Axis, PaddedCopy
from grad.codegen.llvm.functions import parameter_values, signature

# inner(source, target, whether the image has elements there)
Inner: TypeAlias = Callable[[Value, Value, Value], None]

COPY_PARAMETERS: Mapping[str, str] = {
    "source": "ptr noalias",  # the image's first channel
    "target": "ptr noalias",
    "channels": "i64",
    "z": "i64",  # the band's first turn of each axis
    "y": "i64",
    "x": "i64",
}


@dataclass(frozen=True, slots=True)
class Source:
    """Where an image is: element type and size, steps from channel to channel and along z, y, x."""

    element: str
    size: int
    channel: int
    strides: tuple[int, int, int]


def copy_function(b: Builder, name: str, copy: PaddedCopy, source: Source, lanes: int) -> str:
    """The text of the function."""
    _Copier(b, copy, source, lanes).emit()
    return b.function(name, signature(COPY_PARAMETERS), "internal")


class _Copier:
    def __init__(self, b: Builder, copy: PaddedCopy, source: Source, lanes: int) -> None:
        self.b, self.copy, self.source, self.lanes = b, copy, source, lanes
        self.p = parameter_values(COPY_PARAMETERS)
        self.vector = vector_type(source.element, lanes)
        self.numbers = b.vector("i64", range(lanes))

    def emit(self) -> None:
        b, copy = self.b, self.copy

        def channel(c: Value, _: list[Value]) -> None:
            source = self.gep(self.p["source"], b.mul(c, self.source.channel))
            target = self.gep(self.p["target"], b.mul(c, copy.channel))
            self.along(0, copy.planes_kept, source, target, b.const("i1", True), self.planes)

        b.loop(0, self.p["channels"], 1, channel)

    def gep(self, pointer: Value, offset: Value) -> Value:
        return self.b.gep(self.source.element, pointer, offset)

    def along(
        self, axis: int, count: int, source: Value, target: Value, inside: Value, go: Inner
    ) -> None:
        """Go through the phases and elements of the axis z or y."""
        b, where = self.b, self.copy.axes[axis]
        first = self.p["zyx"[axis]]

        def phase(p: Value, _: list[Value]) -> None:
            start = self.gep(target, b.mul(p, self.copy.phase_strides[axis]))

            def element(j: Value, _: list[Value]) -> None:
                place = b.sub(b.add(b.mul(b.add(first, j), where.stride), p), where.base)
                exists = b.binary("and", inside, b.icmp("ult", place, where.size))
                moved = self.gep(source, b.mul(place, self.source.strides[axis]))
                go(moved, self.gep(start, b.mul(j, self.copy.strides[axis])), exists)

            b.loop(0, count, 1, element)

        b.loop(0, where.phases, 1, phase)

    def planes(self, source: Value, target: Value, inside: Value) -> None:
        self.along(1, self.copy.rows_kept, source, target, inside, self.rows)

    def rows(self, source: Value, target: Value, inside: Value) -> None:
        b = self.b
        self.b.branch(inside, lambda: self.row(source, target))
        self.b.branch(b.binary("xor", inside, 1), lambda: self.row(None, target))

    def row(self, source: Value | None, target: Value) -> None:
        """One row, phase by phase; without a source it is zeros."""
        b, where, length = self.b, self.copy.axes[2], self.copy.row

        def phase(p: Value, _: list[Value]) -> None:
            start = self.gep(target, b.mul(p, self.copy.phase_strides[2]))
            first = b.sub(b.add(b.mul(self.p["x"], where.stride), p), where.base)

            def chunk(j: Value, _: list[Value]) -> None:
                value = b.const(self.vector, 0)
                if source is not None:
                    value = self.elements(source, b.add(first, b.mul(j, where.stride)), where)
                kept = b.icmp(
                    "slt", self.numbers, b.splat(b.sub(b.const("i64", length), j), self.lanes)
                )
                b.masked_store(value, self.gep(start, j), self.source.size, kept)

            b.loop(0, length, self.lanes, chunk)

        b.loop(0, where.phases, 1, phase)

    def elements(self, source: Value, first: Value, where: Axis) -> Value:
        """The elements first, first + stride, ... of a row, zeros where there are none."""
        if self.source.strides[2] == 1 and where.stride <= 2:
            parts = [
                self.contiguous(source, self.b.add(first, i * self.lanes), where.size)
                for i in range(where.stride)
            ]
            if where.stride == 1:
                return parts[0]
            return self.b.shuffle(parts[0], parts[1], range(0, 2 * self.lanes, 2))
        return self.gathered(source, first, where)

    def inside(self, places: Value, size: int) -> Value:
        return self.b.icmp("ult", places, size)

    def contiguous(self, source: Value, first: Value, size: int) -> Value:
        b = self.b
        places = b.add(self.numbers, b.splat(first, self.lanes))
        zero = b.const(self.vector, 0)
        pointer = self.gep(source, first)
        return b.masked_load(
            self.vector, pointer, self.source.size, self.inside(places, size), zero
        )

    def gathered(self, source: Value, first: Value, where: Axis) -> Value:
        b, lanes = self.b, self.lanes
        steps = b.vector("i64", [i * where.stride for i in range(lanes)])
        places = b.add(steps, b.splat(first, lanes))
        return gather(
            b, self.vector, source, b.mul(places, self.source.strides[2]),
            self.inside(places, where.size), self.source.size,
        )  # fmt: skip


def gather(b: Builder, vector: str, source: Value, offsets: Value, mask: Value, size: int) -> Value:
    """Elements of `source` at `offsets` where `mask`, zeros elsewhere."""
    element = vector[vector.index("x ") + 2 : -1]
    lanes = vector[1 : vector.index(" ")]
    pointers = b.emit(
        f"<{lanes} x ptr>",
        f"getelementptr {element}, ptr {source.text}, {offsets.type} {offsets.text}",
    )
    short = {"float": "f32", "double": "f64"}[element]
    name = f"llvm.masked.gather.v{lanes}{short}.v{lanes}p0"
    b.declare(name, f"{vector} ({pointers.type}, {mask.type}, {vector})")
    return b.emit(
        vector,
        f"call {vector} @{name}({pointers.type} align {size} {pointers.text}, "
        f"{mask.type} {mask.text}, {vector} zeroinitializer)",
    )
