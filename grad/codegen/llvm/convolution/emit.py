"""Convolutions: the loops of one piece of work, and the epilogue.

`emit` writes ``void NAME(ptr %args, i64 %begin, i64 %end, i64 %worker)``, which computes the pieces
begin .. end - 1 of a plan (`plan.py`). From slot `first_argument` of ``args`` on it finds the
image, the weight in the order of its form, and the scratch of all workers.

A piece copies its part of the image with zeros around it (`copy.py`), then goes through its
filters; tiles of sums (`tiles.py`) are left in a stage that fits the first-level cache, and the
epilogue takes each filter's run of positions from there as vectors. Filters are outermost: their
weights stay near while the whole band passes by, in chunks of positions; if the weights of all
channels are too many for the first-level cache, a chunk passes by once for each block of channels,
and its sums wait in memory meanwhile. The gradient of the weight is in `weight.py`.
"""

from __future__ import annotations

from collections.abc import Callable

from grad.codegen.llvm.builder import Builder, Value
from grad.codegen.llvm.convolution.calls import Calls
from grad.codegen.llvm.convolution.copy import COPY_PARAMETERS, Source, copy_function
from grad.codegen.llvm.convolution.finish import Epilogue, finish_function
from grad.codegen.llvm.convolution.plan import Plan
from grad.codegen.llvm.convolution.requests import CHANNELS_AHEAD, Requests
from grad.codegen.llvm.convolution.tiles import tile_function
from grad.codegen.llvm.functions import attributes, call_internal
from grad.codegen.llvm.open_sizes import OpenSizes


def emit(
    plan: Plan,
    name: str,
    source: Source,
    requests: Requests,
    steps: tuple[int, int],
    features: frozenset[str],
    vector_bytes: int,
    epilogue: Epilogue,
    first_argument: int,
    open_sizes: OpenSizes,
) -> str:
    """The text of a module that defines `name`.

    Args:
        steps: elements from image to image and from group to group.
    """
    b = Builder(features, vector_bytes, open_sizes)
    texts: list[str] = []
    if plan.copy is not None:
        texts.append(copy_function(b.sibling(), f"{name}.copy", plan.copy, source, plan.lanes))
    widths = {"tile": plan.vectors}
    if plan.has_narrow_tile:
        widths["narrow"] = plan.vectors // 2
    for word, vectors in widths.items():
        for residue, taps in enumerate(plan.axes[2].classes):
            function = f"{name}.{word}{residue}"
            texts.append(tile_function(b.sibling(), function, plan, requests, taps, vectors))
    texts.append(finish_function(b.sibling(), f"{name}.finish", plan, epilogue))
    piece = _Piece(b, name, plan, source, requests, steps, first_argument)
    b.loop(Value("%begin", "i64"), Value("%end", "i64"), 1, piece.emit)
    main = b.function(name, "ptr %args, i64 %begin, i64 %end, i64 %worker")
    return b.preamble() + "".join(texts) + main + attributes(vector_bytes)


# -- one piece of work ----------------------------------------------------------------------------
class _Piece(Calls):
    def emit(self, piece: Value, _: list[Value]) -> None:
        b, plan = self.b, self.plan
        self.word = "tile"
        self.n, self.g, self.z, self.y, self.x, block = self.place(piece)
        self.here, self.ahead = self.image_of(self.n, self.g), self.next_image(piece)
        if plan.copy is not None:
            channels = b.const("i64", plan.sizes.channels)
            values = (self.here, self.scratch, channels, self.z, self.y, self.x)
            named = dict(zip(COPY_PARAMETERS, values, strict=True))
            call_internal(b, f"{self.name}.copy", COPY_PARAMETERS, named)
        tiles = -(-plan.sizes.filters // plan.filters)
        first = b.mul(block, plan.in_block)
        last = b.intrinsic("smin", b.add(first, plan.in_block), b.const("i64", tiles))
        if not plan.has_narrow_tile:
            b.loop(first, last, 1, self.filters)
            return
        narrow = b.const("i64", tiles - 1)
        b.loop(first, b.intrinsic("smin", last, narrow), 1, self.filters)
        self.word = "narrow"
        b.branch(b.icmp("eq", last, tiles), lambda: self.filters(narrow, []))

    def filters(self, tile: Value, _: list[Value]) -> None:
        """All positions of the band for one tile of filters."""
        b, plan = self.b, self.plan
        first = b.mul(tile, plan.filters)
        live = b.sub(b.const("i64", plan.sizes.filters), first)
        count = b.intrinsic("smin", live, b.const("i64", plan.filters))
        if plan.pixels:
            panels = -(-plan.sizes.filters // plan.panel)
            panel, lane = self.take(first, plan.panel)
            row = b.mul(b.add(b.mul(self.g, panels), panel), plan.depth * plan.panel)
            weight = self.gep(self.weight, b.add(row, lane))
        else:
            row = b.add(b.mul(self.g, plan.sizes.filters), first)
            weight = self.gep(self.weight, b.mul(row, plan.depth))
        self.tile_values = {"weight": weight, "filters": live}
        self.finish_values = {"filter": first, "count": count}
        numbers = (self.n, self.g, first)
        self.results = [result.pointer(b, numbers) for result in self.requests.results]
        if plan.copy is None:
            self.in_place()
        else:
            self.classes()

    def in_place(self) -> None:
        """The tiles of a band of the only row; the last one moves back to end with the image."""
        b, plan = self.b, self.plan
        total = plan.axes[2].turns
        end = b.intrinsic("smin", b.add(self.x, plan.columns), b.const("i64", total))
        self.ahead = self.gep(self.here, b.add(self.x, CHANNELS_AHEAD * plan.channel))

        def tile(x: Value, stage: Value, slot: Value) -> None:
            place = b.intrinsic("smin", x, b.const("i64", total - plan.tile))
            stage = self.gep(stage, b.sub(place, x))
            turn = b.sub(place, self.x)
            self.tile(self.gep(self.here, place), 0, stage, slot, turn, place)

        self.runs(self.x, end, tile, b.const("i64", 0))

    def across_rows(self, z: Value, ry: Value) -> None:
        """The tiles of a band whose rows follow each other without a gap in the output."""
        b, plan = self.b, self.plan
        assert plan.copy is not None
        length = plan.copy.row

        def tile(x: Value, stage: Value, slot: Value) -> None:
            row, column = self.take(x, plan.columns)
            first = self.gep(self.scratch, b.add(b.mul(row, length), column))
            self.tile(first, 0, stage, slot, x, b.add(position, x), column)

        end = b.mul(self.last_row(ry), plan.columns)
        position = self.position(z, ry, b.const("i64", 0))
        self.runs(b.const("i64", 0), end, tile, position)

    def runs(
        self,
        begin: Value,
        end: Value,
        tile: Callable[[Value, Value, Value], None],
        position: Value,
    ) -> None:
        """Chunks of positions begin .. end - 1; ``tile(position, stage, number in the chunk)``.

        Args:
            position: the output's, of position 0.
        """
        b, plan = self.b, self.plan
        stage = self.gep(self.stage, plan.tile)

        def chunk(start: Value, _: list[Value]) -> None:
            stop = b.intrinsic("smin", b.add(start, plan.chunk), end)

            def tiles() -> None:
                def one(x: Value, slot: list[Value]) -> list[Value]:
                    tile(x, self.gep(stage, b.sub(x, start)), slot[0])
                    return [b.add(slot[0], 1)]

                b.loop(start, stop, plan.tile, one, [b.const("i64", 0)])

            self.channel_blocks(tiles)
            self.finish(stage, b.add(position, start), b.sub(stop, start))

        b.loop(begin, end, plan.chunk, chunk)

    def channel_blocks(self, tiles: Callable[[], None]) -> None:
        """All tiles of a chunk, for one block of channels after the other."""
        b, plan = self.b, self.plan
        channels = b.const("i64", plan.sizes.channels)
        if not plan.waiting:
            tiles()
            return

        def block(first: Value, _: list[Value]) -> None:
            left = b.sub(channels, first)
            self.first_channel = first
            self.channels = b.intrinsic("smin", left, b.const("i64", plan.channels))
            tiles()

        b.loop(0, channels, plan.channels, block)

    def classes(self) -> None:
        """The band for each residue of z and y."""
        b, plan = self.b, self.plan
        planes, rows = plan.axes[0], plan.axes[1]

        def plane(rz: Value, _: list[Value]) -> None:
            z = b.add(b.mul(self.z, planes.spread), rz)

            def row(ry: Value, _: list[Value]) -> None:
                number = b.add(b.mul(rz, rows.spread), ry)
                pair = b.gep("i64", self.ranges, b.mul(number, 2))
                first, count = (b.load("i64", b.gep("i64", pair, i), 8) for i in range(2))
                self.entries = b.gep("i64", self.table, first)
                self.entry_count = count
                if plan.across_rows:
                    self.across_rows(z, ry)
                elif plan.pixels:
                    self.pixel_rows(z, ry)
                else:
                    self.flat(z, ry)

            b.loop(0, rows.spread, 1, row)

        count = b.intrinsic(
            "smin",
            b.sub(b.const("i64", planes.out), b.mul(self.z, planes.spread)),
            b.const("i64", planes.spread),
        )
        b.loop(0, count, 1, plane)

    def last_row(self, ry: Value) -> Value:
        """Turns of the band along y that have an output with residue `ry`: the end of them."""
        b, rows = self.b, self.plan.axes[1]
        there = b.sub(b.const("i64", rows.out + rows.spread - 1), ry)
        if rows.spread > 1:
            there = b.binary("udiv", there, rows.spread)
        left = b.sub(there, self.y)
        return b.intrinsic("smin", left, b.const("i64", self.plan.rows))

    def across(self) -> Value:
        """Output positions of the band along a row."""
        b, columns = self.b, self.plan.axes[2]
        left = b.sub(b.const("i64", columns.out), b.mul(self.x, columns.spread))
        return b.intrinsic("smin", left, b.const("i64", self.plan.columns * columns.spread))

    def pixel_rows(self, z: Value, ry: Value) -> None:
        """The rows of a band, each cut into tiles for itself, or several short rows to a tile."""
        b, plan = self.b, self.plan
        assert plan.copy is not None
        length, spread = plan.copy.row, plan.axes[2].spread
        end = self.last_row(ry)
        across = self.across()
        left = b.sub(b.const("i64", plan.axes[2].turns), self.x)
        columns = b.intrinsic("smin", left, b.const("i64", plan.columns))

        def chunk(start: Value, _: list[Value]) -> None:
            stop = b.intrinsic("smin", b.add(start, plan.chunk), end)

            def tiles() -> None:
                def row(y: Value, slot: list[Value]) -> list[Value]:
                    first = self.gep(self.scratch, b.mul(y, length))
                    turn, position = b.mul(y, plan.columns), self.position(z, ry, y)
                    line = self.gep(self.stage, b.mul(b.sub(y, start), plan.stage_line))

                    def tile(x: Value, slot: list[Value]) -> list[Value]:
                        number = slot[0]
                        for r in range(spread):
                            stage = self.gep(line, b.add(x, r * plan.residue))
                            place = b.add(position, b.mul(x, spread))
                            image = self.gep(first, x)
                            self.tile(image, r, stage, number, b.add(turn, x), place)
                            number = b.add(number, 1)
                        return [number]

                    return b.loop(0, columns, plan.wide, tile, slot)

                b.loop(start, stop, plan.tall, row, [b.const("i64", 0)])

            self.channel_blocks(tiles)
            if plan.joined:
                live = b.mul(b.sub(stop, start), plan.columns)
                self.finish(self.stage, self.position(z, ry, start), live)
                return

            def row(y: Value, _: list[Value]) -> None:
                line = self.gep(self.stage, b.mul(b.sub(y, start), plan.stage_line))
                self.finish(line, self.position(z, ry, y), across)

            b.loop(start, stop, 1, row)

        b.loop(0, end, plan.chunk, chunk)

    def flat(self, z: Value, ry: Value) -> None:
        """Tiles of the whole band, from row to row; then the rows, without what is between them."""
        b, plan = self.b, self.plan
        assert plan.copy is not None
        length, spread = plan.copy.row, plan.axes[2].spread
        end = self.last_row(ry)
        total = b.add(b.mul(b.sub(end, 1), length), plan.columns)
        position = self.position(z, ry, b.const("i64", 0))

        def tile(start: Value, _: list[Value]) -> None:
            for r in range(spread):
                stage = self.gep(self.stage, b.add(start, r * plan.residue))
                image, place = self.gep(self.scratch, start), b.add(position, b.mul(start, spread))
                self.tile(image, r, stage, b.const("i64", 0), start, place)

        b.loop(0, total, plan.tile, tile)
        across = self.across()

        def row(y: Value, _: list[Value]) -> None:
            self.finish(self.gep(self.stage, b.mul(y, length)), self.position(z, ry, y), across)

        b.loop(0, end, 1, row)
