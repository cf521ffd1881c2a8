"""The innermost part of a convolution: a tile of sums kept in registers over all channels and taps.

With positions as rows (PIXELS) each step broadcasts one element of the image a position and
multiplies it with vectors of packed weights; it goes over a block of channels, begins with the sums
that the block before it left, and after the last block the tile is transposed in registers. With
filters as rows (FILTERS) it broadcasts one weight a filter and multiplies it with vectors of the
image. Either way the sums end in the stage, one row a filter, from where `emit.py` takes
them through the epilogue. Taps of one kernel row are written out; the others come from a table of
(offset in the image, offset in the weight).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from grad.codegen.llvm.builder import Builder, Value, vector_type
from grad.codegen.llvm.convolution.padded_copy import Tap
from grad.codegen.llvm.convolution.plan import CHANNELS_TOGETHER, Plan
from grad.codegen.llvm.convolution.requests import Requester, Requests
from grad.codegen.llvm.functions import parameter_values, signature
from grad.codegen.llvm.memory import opaque
from grad.codegen.llvm.squares import transpose

TILE_PARAMETERS: Mapping[str, str] = {
    "image": "ptr noalias",  # where the tile's first position meets a tap of offset 0
    "weight": "ptr noalias",  # of the tile's first filter
    "stage": "ptr noalias",
    "table": "ptr noalias",
    "entries": "i64",  # of the table
    "filters": "i64",  # that exist from the tile's first one on
    "channels": "i64",
    "begun": "ptr",  # the sums to begin with (PIXELS)
    "waiting": "ptr",  # where they wait for more channels (PIXELS)
    "last": "i64",  # whether there are no more channels (PIXELS)
    "column": "i64",  # of the tile's first position
}


def tile_parameters(requests: Requests) -> Mapping[str, str]:
    """The parameters of a tile's function."""
    return {**TILE_PARAMETERS, **requests.parameters}


def tile_function(
    b: Builder, name: str, plan: Plan, requests: Requests, taps: Sequence[Tap], vectors: int
) -> str:
    """The function for one residue along a row, with its `taps` of a kernel row."""
    form = _PixelTile if plan.pixels else _FilterTile
    tile = form(b, plan, requests, taps, vectors)
    tile.emit()
    return b.function(name, signature(tile_parameters(requests)), "internal")


class _Tile:
    """What both forms share: the loops over channels, table entries and taps."""

    rows: int

    def __init__(
        self, b: Builder, plan: Plan, requests: Requests, taps: Sequence[Tap], vectors: int
    ) -> None:
        self.b, self.plan, self.taps, self.vectors = b, plan, taps, vectors
        self.element, self.lanes, self.size = plan.element, plan.lanes, plan.size
        self.vector = vector_type(plan.element, plan.lanes)
        self.p = parameter_values(tile_parameters(requests))
        filters = vectors * plan.lanes if plan.pixels else plan.filters
        self.requester = Requester(b, plan, requests, filters, self.p)
        copy = plan.copy
        self.channel = plan.channel
        self.offsets = [0 if copy is None else copy.offset(2, tap) for tap in taps]
        # Every residue has one row of taps, at no distance: the table would say (0, 0).
        only = ((Tap(0, 0, 0),),)
        self.single = all(set(axis.classes) == set(only) for axis in plan.axes[:2])
        # Equal broadcasts of neighbouring taps would be kept in registers until tiles spill.
        self.opaque = len(taps) > 1

    def gep(self, pointer: Value, offset: Value | int) -> Value:
        return self.b.gep(self.element, pointer, offset)

    def broadcast(self, pointer: Value) -> Value:
        return self.b.splat(self.b.load(self.element, pointer, self.size), self.lanes)

    def sums(self, channel_stride: int, weight_stride: int) -> list[Value]:
        """The finished accumulators, row by row."""
        b = self.b
        begun = self.begun()
        if not self.taps:
            return begun
        together = CHANNELS_TOGETHER if self.single and len(self.taps) == 1 else 1

        def turn(count: int) -> Callable[[Value, list[Value]], list[Value]]:
            def body(c: Value, sums: list[Value]) -> list[Value]:
                for i in range(count):
                    here = b.add(c, i)
                    self.requester.channel(here)
                    image = self.gep(self.p["image"], b.mul(here, channel_stride))
                    weight = self.gep(self.p["weight"], b.mul(here, weight_stride))
                    sums = self.entries(image, weight, sums)
                return sums

            return body

        whole = channels = self.p["channels"]
        left = self.plan.sizes.channels % together
        if left:
            whole = b.binary("and", channels, -together)
        sums = b.loop(0, whole, together, turn(together), begun)
        if left:
            sums = b.loop(whole, channels, 1, turn(1), sums)
        return sums

    def begun(self) -> list[Value]:
        """The sums before the first channel."""
        return [self.b.const(self.vector, 0)] * (self.rows * self.vectors)

    def entries(self, image: Value, weight: Value, sums: list[Value]) -> list[Value]:
        """All taps of one channel."""
        b = self.b
        if self.single:
            return self.kernel_row(image, weight, sums)

        def entry(e: Value, sums: list[Value]) -> list[Value]:
            slot = b.gep("i64", self.p["table"], b.mul(e, 2))
            offsets = [b.load("i64", b.gep("i64", slot, i), 8) for i in range(2)]
            return self.kernel_row(self.gep(image, offsets[0]), self.gep(weight, offsets[1]), sums)

        return b.loop(0, self.p["entries"], 1, entry, sums)

    def kernel_row(self, image: Value, weight: Value, sums: list[Value]) -> list[Value]:
        for tap, offset in zip(self.taps, self.offsets, strict=True):
            source = image
            if self.opaque:
                source = opaque(self.b, image)
            sums = self.step(self.gep(source, offset), weight, tap.number, sums)
        return sums

    def step(self, image: Value, weight: Value, tap: int, sums: list[Value]) -> list[Value]:
        raise NotImplementedError

    def outer(
        self, places: Sequence[Value], vectors: Sequence[Value], sums: list[Value]
    ) -> list[Value]:
        """Add the product of the element at every place with every vector, row by row: of more
        than one broadcast at a time, registers run out.
        """
        found: list[Value] = []
        for place in places:
            factor = self.broadcast(place)
            for vector in vectors:
                found.append(self.b.intrinsic("fmuladd", factor, vector, sums[len(found)]))
        return found


class _PixelTile(_Tile):
    """Rows are positions: consecutive along a row or from row to row, or several whole short
    rows."""

    def __init__(
        self, b: Builder, plan: Plan, requests: Requests, taps: Sequence[Tap], vectors: int
    ) -> None:
        self.rows = plan.tile
        super().__init__(b, plan, requests, taps, vectors)
        row = 0 if plan.copy is None else plan.copy.row
        self.places: list[Value | int] = []
        for i in range(plan.tile):
            if plan.across_rows:
                self.places.append(self.place(i))
            else:
                self.places.append(i // plan.wide * row + i % plan.wide)

    def place(self, i: int) -> Value | int:
        """Elements from the tile's first position to its position `i`, behind so many row ends."""
        b, plan = self.b, self.plan
        assert plan.copy is not None
        gap = plan.copy.row - plan.columns
        column = b.add(self.p["column"], i)
        place: Value | int = i
        for end in range(plan.columns, plan.columns + i, plan.columns) if gap else ():
            behind = b.select(b.icmp("sge", column, end), b.const("i64", gap), b.const("i64", 0))
            place = b.add(behind, place)
        return place

    def begun(self) -> list[Value]:
        b = self.b
        return [
            b.load(self.vector, self.gep(self.p["begun"], i * self.lanes), self.size)
            for i in range(self.rows * self.vectors)
        ]

    def emit(self) -> None:
        plan, b = self.plan, self.b
        self.requester.results()
        sums = self.sums(self.channel, plan.sizes.taps * plan.panel)
        if plan.waiting:
            b.branch(b.icmp("eq", self.p["last"], 0), lambda: self.wait(sums))
            b.branch(b.icmp("ne", self.p["last"], 0), lambda: self.finish(sums))
        else:
            self.finish(sums)

    def wait(self, sums: list[Value]) -> None:
        for i, value in enumerate(sums):
            self.b.store(value, self.gep(self.p["waiting"], i * self.lanes), self.size)

    def finish(self, sums: list[Value]) -> None:
        """Store the sums filter by filter."""
        plan, b = self.plan, self.b
        zero = b.const(self.vector, 0)
        for j in range(self.vectors):
            for start in range(0, plan.tile, self.lanes):
                end = min(start + self.lanes, plan.tile)
                live = [sums[i * self.vectors + j] for i in range(start, end)]
                count = max(1 << (len(live) - 1).bit_length(), 16 // self.size)
                block = [*live, *[zero] * (count - len(live))]
                for lane, row in enumerate(transpose(b, block, self.size)):
                    place = (j * self.lanes + lane) * plan.stage_row + start
                    b.store(row, self.gep(self.p["stage"], place), self.size)

    def step(self, image: Value, weight: Value, tap: int, sums: list[Value]) -> list[Value]:
        plan, b = self.plan, self.b
        row = self.gep(weight, tap * plan.panel)
        vectors = []
        for j in range(self.vectors):
            panel, lane = divmod(j * self.lanes, plan.panel)
            place = self.gep(row, panel * plan.depth * plan.panel + lane)
            vectors.append(b.load(self.vector, place, self.size))
        return self.outer([self.gep(image, place) for place in self.places], vectors, sums)


class _FilterTile(_Tile):
    """Rows are filters, vectors are positions that lie side by side in the padded copy."""

    def __init__(
        self, b: Builder, plan: Plan, requests: Requests, taps: Sequence[Tap], vectors: int
    ) -> None:
        self.rows = plan.filters
        super().__init__(b, plan, requests, taps, vectors)
        self.opaque = False
        last = b.sub(self.p["filters"], 1)
        # Filters behind the last one repeat it: they are summed and never stored.
        self.starts = [
            b.mul(b.intrinsic("smin", b.const("i64", i), last), plan.depth)
            for i in range(plan.filters)
        ]

    def emit(self) -> None:
        plan = self.plan
        self.requester.results()
        sums = self.sums(self.channel, plan.sizes.taps)
        for i in range(plan.filters):
            for j in range(self.vectors):
                place = self.gep(self.p["stage"], i * plan.stage_row + j * self.lanes)
                self.b.store(sums[i * self.vectors + j], place, self.size)

    def step(self, image: Value, weight: Value, tap: int, sums: list[Value]) -> list[Value]:
        vectors = [
            self.b.load(self.vector, self.gep(image, j * self.lanes), self.size)
            for j in range(self.vectors)
        ]
        row = self.gep(weight, tap)
        return self.outer([self.gep(row, start) for start in self.starts], vectors, sums)
