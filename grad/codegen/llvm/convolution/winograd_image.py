"""From an image to its transformed tiles: a line of tiles, as many channels as a vector holds.

The six rows that the line meets are read as vectors along the row, transposed in registers so that
channels lie side by side, and kept in scratch with zeros where the image has nothing; two of them
are still there if the line before was the one above. From there every tile is loads at fixed
distances, two of the six columns shared with the next tile. `winograd.py` calls the two functions
that are written here for each line and block of channels.
"""

from __future__ import annotations

from collections.abc import Mapping

from grad.codegen.llvm.builder import Builder, Value, vector_type
from grad.codegen.llvm.convolution.copy import Source, gather
from grad.codegen.llvm.convolution.winograd_plan import WinogradPlan
from grad.codegen.llvm.convolution.winograd_transforms import both_ways, image_six
from grad.codegen.llvm.functions import parameter_values, signature
from grad.codegen.llvm.squares import transpose
from grad.kernel.ir_convolution import WINOGRAD_TAPS
from grad.kernel.winograd import OUTPUTS

SHARED = WINOGRAD_TAPS - OUTPUTS  # rows and columns that neighbouring tiles both meet
READ_PARAMETERS: Mapping[str, str] = {
    "source": "ptr noalias",  # the first of the channels
    "rows": "ptr noalias",  # scratch for the six rows
    "y": "i64",  # of the first row in the image, which may begin before it
    "x": "i64",
    "below": "i64",  # whether the rows hold those of the line above
}
TRANSFORM_PARAMETERS: Mapping[str, str] = {
    "rows": "ptr noalias",
    "target": "ptr noalias",  # the line's first tile, first tap, first of the channels
}


def read_function(b: Builder, name: str, plan: WinogradPlan, source: Source, channels: int) -> str:
    """Reads the rows for `channels` channels, as many as a vector has lanes or fewer."""
    _Rows(b, plan, source, channels).read()
    return b.function(name, signature(READ_PARAMETERS), "internal")


class _Rows:
    def __init__(self, b: Builder, plan: WinogradPlan, source: Source, channels: int) -> None:
        self.b, self.plan, self.source, self.channels = b, plan, source, channels
        self.p = parameter_values(READ_PARAMETERS)
        self.lanes, self.size = plan.lanes, plan.size
        self.vector = vector_type(plan.element, plan.lanes)
        self.zero = b.const(self.vector, 0)
        self.needed = plan.image_row

    def gep(self, pointer: Value, offset: Value | int) -> Value:
        return self.b.gep(self.plan.element, pointer, offset)

    def read(self) -> None:
        """The six rows into scratch, columns as vectors of channels."""
        b, plan = self.b, self.plan
        height, width = plan.sizes.image[1:]
        # Column j of the scratch is column x + j of the image.
        nothing, all_of_it = b.const("i64", 0), b.const("i64", self.needed)
        before = b.intrinsic("smax", b.sub(nothing, self.p["x"]), nothing)
        before = b.intrinsic("smin", before, all_of_it)
        end = b.intrinsic("smin", b.sub(b.const("i64", width), self.p["x"]), all_of_it)
        end = b.intrinsic("smax", end, before)

        def row(r: Value, _: list[Value]) -> None:
            target = self.gep(self.p["rows"], b.mul(r, plan.image_row * self.lanes))
            y = b.add(self.p["y"], r)
            inside = b.icmp("ult", y, height)
            start = b.select(inside, before, all_of_it)
            stop = b.select(inside, end, all_of_it)
            source = self.gep(self.p["source"], b.mul(y, self.source.strides[1]))
            self.zeros(target, nothing, start)
            b.loop(start, stop, self.lanes, lambda j, _: self.columns(source, target, j))
            self.zeros(target, stop, all_of_it)

        below = b.icmp("ne", self.p["below"], 0)
        b.branch(below, self.keep)
        first = b.select(below, b.const("i64", SHARED), nothing)
        b.loop(first, WINOGRAD_TAPS, 1, row)

    def keep(self) -> None:
        """Move the last rows of the line above to where they are the first."""
        b, plan = self.b, self.plan
        down = OUTPUTS * plan.image_row * self.lanes
        for r in range(SHARED):
            row = self.gep(self.p["rows"], r * plan.image_row * self.lanes)

            def column(j: Value, _: list[Value], row: Value = row) -> None:
                target = self.gep(row, b.mul(j, self.lanes))
                value = b.load(self.vector, self.gep(target, down), self.size)
                b.store(value, target, self.size)

            b.loop(0, self.needed, 1, column)

    def zeros(self, target: Value, begin: Value, end: Value) -> None:
        b = self.b

        def column(j: Value, _: list[Value]) -> None:
            b.store(self.zero, self.gep(target, b.mul(j, self.lanes)), self.size)

        b.loop(begin, end, 1, column)

    def columns(self, source: Value, target: Value, j: Value) -> None:
        """As many columns as a vector has lanes, from `j` on; those behind the end of a row are
        stored over by the next one."""
        b, lanes = self.b, self.lanes
        place = b.add(self.p["x"], j)
        rows = [*self.vectors(source, place), *[self.zero] * (lanes - self.channels)]
        for lane, value in enumerate(transpose(b, rows, self.size)):
            b.store(value, self.gep(target, b.add(b.mul(j, lanes), lane * lanes)), self.size)

    def vectors(self, source: Value, place: Value) -> list[Value]:
        """Elements of a row from `place` on, for each channel; zeros behind its end."""
        b, lanes, width = self.b, self.lanes, self.plan.sizes.image[2]
        pointers = [self.gep(source, c * self.source.channel) for c in range(self.channels)]
        places = b.add(b.splat(place, lanes), b.vector("i64", range(lanes)))
        mask = b.icmp("ult", places, width)
        step = self.source.strides[2]
        if step != 1:
            offsets = b.mul(places, step)
            return [gather(b, self.vector, p, offsets, mask, self.size) for p in pointers]
        here = [self.gep(pointer, place) for pointer in pointers]

        def whole() -> list[Value]:
            return [b.load(self.vector, pointer, self.size) for pointer in here]

        def masked() -> list[Value]:
            return [b.masked_load(self.vector, p, self.size, mask, self.zero) for p in here]

        return b.either(b.icmp("sle", place, width - lanes), whole, masked)


def transform_function(b: Builder, name: str, plan: WinogradPlan) -> str:
    """Transforms the tiles of a line, from the rows that were read."""
    p = parameter_values(TRANSFORM_PARAMETERS)
    vector, lanes, size = vector_type(plan.element, plan.lanes), plan.lanes, plan.size

    def gep(pointer: Value, offset: Value | int) -> Value:
        return b.gep(plan.element, pointer, offset)

    def tile(t: Value, _: list[Value]) -> None:
        source = gep(p["rows"], b.mul(t, OUTPUTS * lanes))
        target = gep(p["target"], b.mul(t, plan.channel_row))
        values = [
            b.load(vector, gep(source, (y * plan.image_row + x) * lanes), size)
            for y in range(WINOGRAD_TAPS)
            for x in range(WINOGRAD_TAPS)
        ]
        for tap, value in enumerate(both_ways(b, image_six, values)):
            b.store(value, gep(target, tap * plan.image_plane), size)

    b.loop(0, plan.columns, 1, tile)
    return b.function(name, signature(TRANSFORM_PARAMETERS), "internal")
