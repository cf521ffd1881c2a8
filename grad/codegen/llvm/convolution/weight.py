"""The gradient of a convolution's weight: for each tap and filter, a sum over all positions.

A piece of work is a block of images, a group and some of its channels. Image by image and band by
band it copies its channels with zeros around them (`copy.py`), packs the gradient of
the output as ``[panel][position][filters]``, and adds to its own partial sums ``[channel,
taps][filters]``. A tile has several taps (or channels) as rows, whose elements are broadcast from
the copy, and filters as vectors; with few filters (depthwise), lanes are positions of a row instead
and the gradient is read where it is. Either way it runs over exactly the positions that exist, so
that nothing is multiplied that is not there. What the blocks of images found is added up by the
kernel's next phase.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from grad.codegen.llvm.builder import (
    Builder,
    Value,
    vector_type,
)
from grad.codegen.llvm.contraction.operands import prefetch
from grad.codegen.llvm.convolution.copy import COPY_PARAMETERS, Source, copy_function, gather
from grad.codegen.llvm.convolution.weight_plan import WeightPlan
from grad.codegen.llvm.functions import attributes, call_internal, parameter_values, signature
from grad.codegen.llvm.lanes import across, lanes_below
from grad.codegen.llvm.open_sizes import OpenSizes
from grad.codegen.llvm.squares import transpose

LINE_BYTES = 64
LINES_AHEAD = 4  # of each channel of an image that is read in place

PACK_PARAMETERS: Mapping[str, str] = {
    "source": "ptr noalias",  # the gradient's first position of the band, of the first filter
    "target": "ptr noalias",
    "rows": "i64",
}
SUM_PARAMETERS: Mapping[str, str] = {
    "image": "ptr noalias",  # of the tile's first channel, with the offset of its tap
    "gradient": "ptr noalias",  # packed, or where it is
    "target": "ptr noalias",
    "rows": "i64",
    "channels": "i64",  # that exist from the tile's first one on
    "first": "i64",  # channel of the tile that is not another tile's
    "fresh": "i1",  # there are no partial sums yet
}


@dataclass(frozen=True, slots=True)
class Gradient:
    """Where the output's gradient is: steps from filter to filter and along z, y, x."""

    filter: int
    strides: tuple[int, int, int]


def emit_weight(
    plan: WeightPlan,
    name: str,
    source: Source,
    gradient: Gradient,
    steps: tuple[tuple[int, int], tuple[int, int]],
    features: frozenset[str],
    vector_bytes: int,
    first_argument: int,
    open_sizes: OpenSizes,
) -> str:
    """The text of a module that defines `name`, as `convolution.emit` does.

    Its arguments are the image, the output's gradient, the partial sums and the scratch.

    Args:
        steps: elements from image to image and from group to group, of the image and the gradient.
    """
    b = Builder(features, vector_bytes, open_sizes)
    texts = [
        _dot_function(b.sibling(), f"{name}.sum", plan, gradient)
        if plan.dot
        else _sum_function(b.sibling(), f"{name}.sum", plan, plan.vectors),
    ]
    if not plan.in_place:
        texts.append(copy_function(b.sibling(), f"{name}.copy", plan.copy, source, plan.lanes))
    if plan.has_narrow_panel:
        texts.append(_sum_function(b.sibling(), f"{name}.narrow", plan, plan.vectors // 2))
    if not plan.dot:
        texts.append(_pack_function(b.sibling(), f"{name}.pack", plan, gradient))
    piece = _WeightPiece(b, name, plan, source, gradient, steps, first_argument)
    b.loop(Value("%begin", "i64"), Value("%end", "i64"), 1, piece.emit)
    main = b.function(name, "ptr %args, i64 %begin, i64 %end, i64 %worker")
    return b.preamble() + "".join(texts) + main + attributes(vector_bytes)


def _pack_function(b: Builder, name: str, plan: WeightPlan, gradient: Gradient) -> str:
    """Transpose the gradient of a band: ``[panel][position][filter of the panel]``."""
    p = parameter_values(PACK_PARAMETERS)
    element, lanes, size = plan.element, plan.lanes, plan.size
    vector, columns = vector_type(element, lanes), plan.copy.columns
    last = plan.sizes.filters - 1

    def filters(start: Value, _: list[Value]) -> None:
        panel, lane = b.binary("udiv", start, plan.panel), b.binary("urem", start, plan.panel)
        target = b.gep(element, p["target"], b.mul(panel, plan.band_positions * plan.panel))
        target = b.gep(element, target, lane)
        sources = []
        for i in range(lanes):  # filters behind the last one repeat it
            number = b.intrinsic("smin", b.add(start, i), b.const("i64", last))
            sources.append(b.gep(element, p["source"], b.mul(number, gradient.filter)))

        def row(y: Value, _: list[Value]) -> None:
            here = b.gep(element, target, b.mul(y, columns * plan.panel))
            starts = [b.gep(element, s, b.mul(y, gradient.strides[1])) for s in sources]

            def square(x: Value, count: int) -> None:
                numbers = b.add(b.vector("i64", range(lanes)), b.splat(x, lanes))
                mask = None if count == lanes else lanes_below(b, b.const("i64", count), lanes)
                rows = []
                for s in starts:
                    if gradient.strides[2] != 1:
                        offsets = b.mul(numbers, gradient.strides[2])
                        every = mask or b.const(f"<{lanes} x i1>", True)
                        rows.append(gather(b, vector, s, offsets, every, size))
                    elif mask is None:
                        rows.append(b.load(vector, b.gep(element, s, x), size))
                    else:
                        zero = b.const(vector, 0)
                        place = b.gep(element, s, x)
                        rows.append(b.masked_load(vector, place, size, mask, zero))
                for i, found in enumerate(transpose(b, rows, size)[:count]):
                    place = b.mul(b.add(x, i), plan.panel)
                    b.store(found, b.gep(element, here, place), size)

            whole = columns // lanes * lanes
            b.loop(0, whole, lanes, lambda x, _: square(x, lanes))
            if whole < columns:
                square(b.const("i64", whole), columns - whole)

        b.loop(0, p["rows"], 1, row)

    b.loop(0, plan.panels * plan.panel, lanes, filters)
    return b.function(name, signature(PACK_PARAMETERS), "internal")


def _sum_function(b: Builder, name: str, plan: WeightPlan, vectors: int) -> str:
    """Add the products of a band to one tile of partial sums."""
    p = parameter_values(SUM_PARAMETERS)
    element, lanes, size = plan.element, plan.lanes, plan.size
    vector, taps = vector_type(element, lanes), plan.sizes.taps
    count = len(plan.rows) * vectors

    def place(i: int) -> Value:
        channel, _, tap = plan.rows[i // vectors]
        row = (channel * taps + tap) * plan.target_row
        return b.gep(element, p["target"], row + i % vectors * lanes)

    def row_exists(i: int) -> Value:
        channel = b.const("i64", plan.rows[i // vectors][0])
        if plan.in_place:
            return b.icmp("sge", channel, p["first"])
        return b.icmp("sgt", p["channels"], channel)

    zeros = [b.const(vector, 0)] * count

    def loaded() -> list[Value]:
        found = []
        for i in range(count):
            mask = b.splat(row_exists(i), lanes)
            found.append(b.masked_load(vector, place(i), size, mask, zeros[i]))
        return found

    sums = b.either(p["fresh"], lambda: zeros, loaded)

    def row(y: Value, state: list[Value]) -> list[Value]:
        image = b.gep(element, p["image"], b.mul(y, plan.row))
        gradient = b.gep(element, p["gradient"], b.mul(y, plan.copy.columns * plan.panel))

        def position(x: Value, sums: list[Value]) -> list[Value]:
            here = b.gep(element, image, x)
            line = b.gep(element, gradient, b.mul(x, plan.panel))
            factors = [
                b.load(vector, b.gep(element, line, j * lanes), size) for j in range(vectors)
            ]
            if plan.in_place:  # one line for each position, so that each channel has its turn
                turn = b.mul(b.binary("and", x, LINE_BYTES // size - 1), plan.channel)
                prefetch(b, b.gep(element, here, b.add(turn, LINES_AHEAD * LINE_BYTES // size)))
            result = []
            for r, (channel, offset, _) in enumerate(plan.rows):
                number = b.gep(element, here, channel * plan.channel + offset)
                value = b.splat(b.load(element, number, size), lanes)
                for j, factor in enumerate(factors):
                    before = sums[r * vectors + j]
                    result.append(b.intrinsic("fmuladd", value, factor, before))
            return result

        return b.loop(0, plan.copy.columns, 1, position, state, at_least_once=True)

    sums = b.loop(0, p["rows"], 1, row, sums)
    for i, value in enumerate(sums):
        b.branch(row_exists(i), lambda i=i, value=value: b.store(value, place(i), size))
    return b.function(name, signature(SUM_PARAMETERS), "internal")


def _dot_function(b: Builder, name: str, plan: WeightPlan, gradient: Gradient) -> str:
    """The same with positions in lanes; the sums of the lanes are added up at the end."""
    p = parameter_values(SUM_PARAMETERS)
    element, lanes, size = plan.element, plan.lanes, plan.size
    vector, columns = vector_type(element, lanes), plan.copy.columns
    zero = b.const(vector, 0)

    def products(image: Value, line: Value, sums: list[Value], live: int) -> list[Value]:
        """A vector of `live` positions times all rows; what lies behind a row is not read."""
        mask = None if live == lanes else lanes_below(b, b.const("i64", live), lanes)

        def load(place: Value) -> Value:
            if mask is None:
                return b.load(vector, place, size)
            return b.masked_load(vector, place, size, mask, zero)

        factors = [load(b.gep(element, line, j * gradient.filter)) for j in range(plan.vectors)]
        result = []
        for channel, offset, _ in plan.rows:
            value = load(b.gep(element, image, channel * plan.channel + offset))
            for factor in factors:
                result.append(b.intrinsic("fmuladd", value, factor, sums[len(result)]))
        return result

    def row(y: Value, sums: list[Value]) -> list[Value]:
        image = b.gep(element, p["image"], b.mul(y, plan.row))
        line = b.gep(element, p["gradient"], b.mul(y, gradient.strides[1]))
        whole = columns // lanes * lanes

        def chunk(x: Value, sums: list[Value]) -> list[Value]:
            return products(b.gep(element, image, x), b.gep(element, line, x), sums, lanes)

        sums = b.loop(0, whole, lanes, chunk, sums)
        if whole < columns:
            image, line = b.gep(element, image, whole), b.gep(element, line, whole)
            sums = products(image, line, sums, columns - whole)
        return sums

    sums = b.loop(0, p["rows"], 1, row, [zero] * (len(plan.rows) * plan.vectors))
    for i, value in enumerate(sums):
        channel, _, tap = plan.rows[i // plan.vectors]
        place = (channel * plan.sizes.taps + tap) * plan.target_row + i % plan.vectors
        target = b.gep(element, p["target"], place)

        def add_to(value: Value = value, target: Value = target) -> None:
            none = b.const(element, 0)
            before = b.either(p["fresh"], lambda: [none], lambda: [b.load(element, target, size)])[
                0
            ]
            b.store(b.fadd(before, across(b, b.fadd, value)), target, size)

        b.branch(b.icmp("sgt", p["channels"], channel), add_to)
    return b.function(name, signature(SUM_PARAMETERS), "internal")


class _WeightPiece:
    def __init__(
        self,
        b: Builder,
        name: str,
        plan: WeightPlan,
        source: Source,
        gradient: Gradient,
        steps: tuple[tuple[int, int], tuple[int, int]],
        first_argument: int,
    ) -> None:
        self.b, self.name, self.plan, self.gradient, self.steps = b, name, plan, gradient, steps
        self.strides, self.channel_step = source.strides, source.channel
        slots = [
            b.load("ptr", b.gep("i64", Value("%args", "ptr"), first_argument + i), 8)
            for i in range(4)
        ]
        self.pointers = slots[:3]
        self.scratch = b.gep("i8", slots[3], b.mul(Value("%worker", "i64"), plan.scratch_bytes))
        self.packed = self.gep(self.scratch, plan.copy_elements)
        flat = [number for pair in plan.starts for number in pair]
        self.starts = b.table("i64", flat)

    def gep(self, pointer: Value, offset: Value | int) -> Value:
        return self.b.gep(self.plan.element, pointer, offset)

    def emit(self, item: Value, _: list[Value]) -> None:
        b, plan, g = self.b, self.plan, self.plan.sizes
        piece, rest = b.binary("urem", item, plan.pieces), b.binary("udiv", item, plan.pieces)
        group, block = b.binary("urem", rest, g.groups), b.binary("udiv", rest, g.groups)
        channel = b.mul(piece, plan.channels)
        left = b.sub(b.const("i64", g.channels), channel)
        self.channels = b.intrinsic("smin", left, b.const("i64", plan.channels))
        row = b.mul(b.add(b.mul(b.add(b.mul(block, g.groups), group), g.channels), channel), g.taps)
        self.target = self.gep(self.pointers[2], b.mul(row, plan.target_row))
        self.channel, self.group = channel, group
        if plan.images:
            self.first = b.mul(block, plan.images)
            last = b.intrinsic("smin", b.add(self.first, plan.images), b.const("i64", g.images))
        else:
            self.first, last = (
                b.binary("udiv", b.mul(number, b.size(g.images)), plan.blocks)
                for number in (block, b.add(block, 1))
            )
            b.branch(b.icmp("eq", self.first, last), self.clear)
        b.loop(self.first, last, 1, self.image)

    def clear(self) -> None:
        """The partial sums of a block without images."""
        b, plan = self.b, self.plan
        count = b.mul(self.channels, plan.sizes.taps * plan.target_row)
        zero = b.const(plan.element, 0)
        b.loop(0, count, 1, lambda i, _: b.store(zero, self.gep(self.target, i), plan.size))

    def image(self, n: Value, _: list[Value]) -> None:
        b, plan = self.b, self.plan
        (image_step, group_step), (gradient_step, gradient_group) = self.steps
        image = self.gep(self.pointers[0], b.mul(n, image_step))
        image = self.gep(image, b.mul(self.group, group_step))
        self.source = self.gep(image, b.mul(self.channel, self.channel_step))
        gradient = self.gep(self.pointers[1], b.mul(n, gradient_step))
        gradient = self.gep(gradient, b.mul(self.group, gradient_group))
        is_first = b.icmp("eq", n, self.first)

        def plane(z: Value, _: list[Value]) -> None:
            begin = self.gep(gradient, b.mul(z, self.gradient.strides[0]))
            first_plane = b.binary("and", is_first, b.icmp("eq", z, 0))

            def band(y: Value, _: list[Value]) -> None:
                fresh = b.binary("and", first_plane, b.icmp("eq", y, 0))
                self.band(z, y, self.gep(begin, b.mul(y, self.gradient.strides[1])), fresh)

            b.loop(0, plan.copy.axes[1].turns, plan.copy.rows, band)

        b.loop(0, plan.copy.axes[0].turns, 1, plane)

    def band(self, z: Value, y: Value, gradient: Value, fresh: Value) -> None:
        b, plan = self.b, self.plan
        if plan.in_place:
            moved = b.add(b.mul(z, self.strides[0]), b.mul(y, self.strides[1]))
            self.read = self.gep(self.source, moved)
        else:
            values = (self.source, self.scratch, self.channels, z, y, b.const("i64", 0))
            named = dict(zip(COPY_PARAMETERS, values, strict=True))
            call_internal(b, f"{self.name}.copy", COPY_PARAMETERS, named)
            self.read = self.scratch
        left = b.sub(b.const("i64", plan.copy.axes[1].turns), y)
        rows = b.intrinsic("smin", left, b.const("i64", plan.copy.rows))
        if not plan.dot:
            packing = {"source": gradient, "target": self.packed, "rows": rows}
            call_internal(b, f"{self.name}.pack", PACK_PARAMETERS, packing)

        def panel(j: Value, _: list[Value], word: str = "sum") -> None:
            if plan.dot:
                factors = self.gep(gradient, b.mul(j, plan.panel * self.gradient.filter))
            else:
                factors = self.gep(self.packed, b.mul(j, plan.band_positions * plan.panel))
            values = {"gradient": factors, "rows": rows, "fresh": fresh}
            target = self.gep(self.target, b.mul(j, plan.panel))

            def tile(c: Value, _: list[Value]) -> None:
                self.tile(f"{self.name}.{word}", c, target, values)

            b.loop(0, self.channels, plan.tile_channels, tile)

        wide = plan.panels - plan.has_narrow_panel
        b.loop(0, wide, 1, panel)
        if plan.has_narrow_panel:
            panel(b.const("i64", wide), [], "narrow")

    def tile(self, name: str, c: Value, target: Value, values: Mapping[str, Value]) -> None:
        """The rows of a tile of channels from `c` on, for one panel of filters.

        Args:
            target: the partial sums of the piece's first channel.
        """
        b, plan = self.b, self.plan
        start = c
        if plan.in_place:  # the last tile moves back to end with the channels
            start = b.intrinsic("smin", c, b.sub(self.channels, plan.tile_channels))
        image = self.gep(self.read, b.mul(start, plan.channel))
        target = self.gep(target, b.mul(start, plan.sizes.taps * plan.target_row))

        def taps(s: Value, _: list[Value]) -> None:
            slot = b.gep("i64", self.starts, b.mul(s, 2))
            offset, tap = (b.load("i64", b.gep("i64", slot, i), 8) for i in range(2))
            own = {
                "image": self.gep(image, offset),
                "target": self.gep(target, b.mul(tap, plan.target_row)),
                "channels": b.sub(self.channels, c),
                "first": b.sub(c, start),
            }
            call_internal(b, name, SUM_PARAMETERS, {**values, **own})

        b.loop(0, len(plan.starts), 1, taps)
