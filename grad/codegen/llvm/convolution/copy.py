"""Copy the part of an image that a band of a convolution needs, with zeros where there is none.

The layout is `PaddedCopy` of `padded_copy.py`; `emit.py` and `weight.py`
call the function that is written here at the beginning of each piece of work. Elements outside the
image are never read: rows outside are only filled, vectors that reach over an edge are cut there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from grad.codegen.llvm.builder import Builder, Value, vector_type
from grad.codegen.llvm.convolution.padded_copy import PaddedCopy
from grad.codegen.llvm.functions import parameter_values, signature
from grad.codegen.llvm.memory import scalar_load

# A row of so many is written out.
UNROLLED_VECTORS = 8

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
        short = self.copy.is_whole_row and length <= UNROLLED_VECTORS * self.lanes
        if source is not None and self.source.strides[2] == 1 and where.stride <= 2 and short:
            self.whole_row(source, target)
            return

        def phase(p: Value, _: list[Value]) -> None:
            start = self.gep(target, b.mul(p, self.copy.phase_strides[2]))
            first = b.sub(b.add(b.mul(self.p["x"], where.stride), p), where.base)
            if source is None:
                self.vectors(start, 0, length, lambda j: b.const(self.vector, 0))
            elif self.source.strides[2] == 1 and where.stride <= 2:
                self.bordered(source, start, first)
            else:
                image = source
                self.vectors(start, 0, length, lambda j: self.gathered(image, first, j))

        b.loop(0, where.phases, 1, phase)

    def whole_row(self, source: Value, target: Value) -> None:
        """All phases of a row whose elements are known, without a branch: elements outside the
        image are never loaded, and a vector is loaded once for both phases."""
        b, where, lanes, length = self.b, self.copy.axes[2], self.lanes, self.copy.row
        last = max(length - lanes, 0)
        kept = b.vector("i1", [lane < length for lane in range(lanes)])
        for start in dict.fromkeys(min(j, last) for j in range(0, length, lanes)):
            first = start * where.stride - where.base
            parts = [self.known(source, first + i * lanes) for i in range(where.stride)]
            for phase in range(where.phases):
                value = parts[0]
                if where.stride == 2:
                    value = b.shuffle(parts[0], parts[1], range(phase, 2 * lanes, 2))
                offset = phase * self.copy.phase_strides[2] + start
                place = self.gep(target, b.const("i64", offset))
                if length < lanes:
                    b.masked_store(value, place, self.source.size, kept)
                else:
                    b.store(value, place, self.source.size)

    def known(self, source: Value, first: int) -> Value:
        """The vector of elements from `first` on, zeros where there are none."""
        b, size = self.b, self.source.size
        inside = [0 <= first + lane < self.copy.axes[2].size for lane in range(self.lanes)]
        zero, pointer = b.const(self.vector, 0), self.gep(source, b.const("i64", first))
        if all(inside):
            return b.load(self.vector, pointer, size)
        if not any(inside):
            return zero
        return b.masked_load(self.vector, pointer, size, b.vector("i1", inside), zero)

    def vectors(
        self, target: Value, begin: Value | int, end: Value | int, value: Callable[[Value], Value]
    ) -> None:
        """Store ``value(j)`` for elements begin .. end - 1, the last vector so that it ends there;
        under a mask if they are known to be fewer than a vector holds."""
        b, lanes, size = self.b, self.lanes, self.source.size
        if not isinstance(end, Value) and end < lanes:
            kept = b.vector("i1", [lane < end for lane in range(lanes)])
            b.masked_store(value(b.const("i64", 0)), target, size, kept)
            return
        last = b.sub(end if isinstance(end, Value) else b.const("i64", end), lanes)

        def vector(j: Value, _: list[Value]) -> None:
            j = b.intrinsic("smin", j, last)
            b.store(value(j), self.gep(target, j), size)

        b.loop(begin, end, lanes, vector)

    def bordered(self, source: Value, target: Value, first: Value) -> None:
        """A row of side-by-side elements: vectors without a mask where the image is, single
        elements around it. (Masked stores of AVX2 take as long as tens of others.)"""
        b, where, length = self.b, self.copy.axes[2], self.copy.row
        zero, most = b.const("i64", 0), b.const("i64", length)
        # Element j of the row is the image's first + j * stride.
        before = b.intrinsic("smax", b.sub(zero, first), zero)
        there = b.intrinsic("smax", b.sub(b.const("i64", where.size), first), zero)
        if where.stride == 2:
            before, there = b.binary("lshr", b.add(before, 1), 1), b.binary("lshr", there, 1)
        begin = b.intrinsic("smin", before, most)
        end = b.intrinsic("smax", b.intrinsic("smin", there, most), begin)
        enough = b.icmp("sge", b.sub(end, begin), self.lanes)

        def whole() -> None:
            self.vectors(target, begin, end, lambda j: self.elements(source, first, j, False))
            self.singles(source, target, first, zero, begin)
            self.singles(source, target, first, end, most)

        def masked() -> None:
            self.vectors(target, 0, length, lambda j: self.elements(source, first, j, True))

        b.branch(enough, whole)
        b.branch(b.binary("xor", enough, 1), masked)

    def singles(self, source: Value, target: Value, first: Value, begin: Value, end: Value) -> None:
        b, where, element = self.b, self.copy.axes[2], self.source.element

        def single(j: Value, _: list[Value]) -> None:
            place = b.add(first, b.mul(j, where.stride))
            exists = b.icmp("ult", place, where.size)
            value = scalar_load(b, self.gep(source, place), element, self.source.size, exists)
            b.store(value, self.gep(target, j), self.source.size)

        b.loop(begin, end, 1, single)

    def elements(self, source: Value, first: Value, j: Value, masked: bool) -> Value:
        """The elements from j on of a row whose elements are first, first + stride, ... of the
        image's; zeros where there are none, if `masked`."""
        b, where = self.b, self.copy.axes[2]
        parts = []
        for i in range(where.stride):
            place = b.add(b.add(first, b.mul(j, where.stride)), i * self.lanes)
            pointer = self.gep(source, place)
            if masked:
                places = b.add(self.numbers, b.splat(place, self.lanes))
                inside, zero = b.icmp("ult", places, where.size), b.const(self.vector, 0)
                parts.append(b.masked_load(self.vector, pointer, self.source.size, inside, zero))
            else:
                parts.append(b.load(self.vector, pointer, self.source.size))
        if where.stride == 1:
            return parts[0]
        return b.shuffle(parts[0], parts[1], range(0, 2 * self.lanes, 2))

    def gathered(self, source: Value, first: Value, j: Value) -> Value:
        b, lanes, where = self.b, self.lanes, self.copy.axes[2]
        steps = b.vector("i64", [i * where.stride for i in range(lanes)])
        places = b.add(steps, b.splat(b.add(first, b.mul(j, where.stride)), lanes))
        return gather(
            b, self.vector, source, b.mul(places, self.source.strides[2]),
            b.icmp("ult", places, where.size), self.source.size,
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
