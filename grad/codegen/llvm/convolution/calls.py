"""The functions that a piece of a convolution calls, and the operands they share.

`emit.py` goes through the positions of a piece; here its tiles and the ends of its sums are called,
with what stays the same from one call to the next.
"""

from __future__ import annotations

from grad.codegen.llvm.builder import Builder, Value
from grad.codegen.llvm.convolution.copy import Source
from grad.codegen.llvm.convolution.finish import FINISH_PARAMETERS
from grad.codegen.llvm.convolution.plan import Plan
from grad.codegen.llvm.convolution.requests import Requests, moved
from grad.codegen.llvm.convolution.tiles import tile_parameters
from grad.codegen.llvm.functions import call_internal


class Calls:
    """A piece of work: where its operands are, and calls with them.

    Attributes:
        n, g, z, y, x: image, group, and the first turn of the band along each axis.
        here: the image; ahead: what its tiles ask for, from the band's first turn on.
        results: position 0 of what the current filters' sums go to.
        tile_values, finish_values: operands that follow from the current filters.
    """

    n: Value
    g: Value
    z: Value
    y: Value
    x: Value
    here: Value
    ahead: Value
    results: list[Value]
    tile_values: dict[str, Value]
    finish_values: dict[str, Value]

    def __init__(
        self,
        b: Builder,
        name: str,
        plan: Plan,
        source: Source,
        requests: Requests,
        steps: tuple[int, int],
        first_argument: int,
    ) -> None:
        self.b, self.name, self.plan, self.source, self.steps = b, name, plan, source, steps
        self.requests = requests
        slots = [
            b.load("ptr", b.gep("i64", Value("%args", "ptr"), first_argument + i), 8)
            for i in range(3)
        ]
        self.image, self.weight = slots[:2]
        self.scratch = b.gep("i8", slots[2], b.mul(Value("%worker", "i64"), plan.scratch_bytes))
        self.stage = b.gep(plan.element, self.scratch, plan.copy_elements)
        self.waiting = b.gep(plan.element, self.stage, plan.residue * plan.axes[2].spread)
        none = plan.tile * plan.filters if plan.pixels else 1
        self.zeros = b.table(plan.element, [0.0] * none)
        self.first_channel, self.channels = (b.const("i64", n) for n in (0, plan.sizes.channels))
        self.table, self.ranges = self.tables()
        self.entries, self.entry_count = self.table, b.const("i64", 0)
        self.word = "tile"  # of the functions to call

    def gep(self, pointer: Value, offset: Value | int) -> Value:
        return self.b.gep(self.plan.element, pointer, offset)

    def tables(self) -> tuple[Value, Value]:
        """Offsets of the kernel rows, and for each residue of (z, y) the (first, count) of them."""
        plan, entries, ranges = self.plan, [], []
        kernel, scale = plan.sizes.kernel, plan.panel if plan.pixels else 1
        for planes in plan.axes[0].classes:
            for rows in plan.axes[1].classes:
                ranges += [len(entries), len(planes) * len(rows)]
                for z in planes:
                    for y in rows:
                        copy = plan.copy
                        place = 0 if copy is None else copy.offset(0, z) + copy.offset(1, y)
                        number = (z.number * kernel[1] + y.number) * kernel[2]
                        entries += [place, number * scale]
        return self.b.table("i64", entries or [0]), self.b.table("i64", ranges)

    def take(self, rest: Value, count: int) -> tuple[Value, Value]:
        """``divmod(rest, count)``."""
        if count == 1:
            return rest, self.b.const("i64", 0)
        return self.b.binary("udiv", rest, count), self.b.binary("urem", rest, count)

    def place(self, piece: Value) -> tuple[Value, ...]:
        """Image, group, plane, row, column and block of filters at which a piece begins."""
        b, plan = self.b, self.plan
        rest, block = self.take(piece, plan.blocks)
        rest, across = self.take(rest, plan.bands[1])
        rest, down = self.take(rest, plan.bands[0])
        rest, z = self.take(rest, plan.axes[0].turns)
        n, g = self.take(rest, plan.sizes.groups)
        return n, g, z, b.mul(down, plan.rows), b.mul(across, plan.columns), block

    def image_of(self, n: Value, g: Value) -> Value:
        """Where the image of a group begins."""
        return self.gep(
            self.image, self.b.add(self.b.mul(n, self.steps[0]), self.b.mul(g, self.steps[1]))
        )

    def next_image(self, piece: Value) -> Value:
        """Where the part of the image begins that the piece behind `piece` is going to read."""
        b, plan = self.b, self.plan
        following = b.intrinsic("smin", b.add(piece, 1), b.const("i64", max(plan.items - 1, 0)))
        n, g, _, y, x, _ = self.place(following)
        row = b.sub(b.mul(y, plan.axes[1].stride), plan.axes[1].base)
        row = b.intrinsic("smax", row, b.const("i64", 0))
        place = b.add(
            b.mul(row, self.source.strides[1]),
            b.mul(x, plan.axes[2].stride * self.source.strides[2]),
        )
        return self.gep(self.image_of(n, g), place)

    def position(self, z: Value, ry: Value, row: Value) -> Value:
        """The number of the first position of the band's row `row`."""
        b, (_, rows, columns) = self.b, self.plan.axes
        y = b.add(b.mul(b.add(self.y, row), rows.spread), ry)
        flat = b.mul(b.add(b.mul(z, rows.out), y), columns.out)
        return b.add(flat, b.mul(self.x, columns.spread))

    def tile(
        self,
        image: Value,
        residue: int,
        stage: Value,
        slot: Value,
        turn: Value,
        position: Value,
        column: Value | None = None,
    ) -> None:
        """The current channels of a tile.

        Args:
            slot: where among the chunk's sums its own wait.
            turn, position: the number of the tile's first turn in the band, and the position in
                the output; about, if the tile runs on from row to row.
        """
        b, plan = self.b, self.plan
        weight = self.tile_values["weight"]
        values = {"begun": self.zeros, "waiting": self.zeros, "last": b.const("i64", 1)}
        if plan.waiting:
            first = self.first_channel
            image = self.gep(image, b.mul(first, plan.channel))
            weight = self.gep(weight, b.mul(first, plan.sizes.taps * plan.panel))
            waiting = self.gep(self.waiting, b.mul(slot, plan.tile * plan.filters))
            end = b.icmp("sge", b.add(first, self.channels), plan.sizes.channels)
            values = {
                "begun": b.select(b.icmp("eq", first, 0), self.zeros, waiting),
                "waiting": waiting,
                "last": b.convert("zext", end, "i64"),
            }
        values |= {
            **self.tile_values,
            "weight": weight,
            "image": image,
            "stage": stage,
            "table": self.entries,
            "entries": self.entry_count,
            "channels": self.channels,
            "column": column or b.const("i64", 0),
            "ahead": self.gep(self.ahead, b.mul(turn, moved(plan))),
        }
        for name, first, result in zip(
            self.requests.names, self.results, self.requests.results, strict=True
        ):
            values[name] = b.gep("i8", first, b.mul(position, result.size))
        parameters = tile_parameters(self.requests)
        call_internal(b, f"{self.name}.{self.word}{residue}", parameters, values)

    def finish(self, stage: Value, position: Value, live: Value) -> None:
        values = {
            **self.finish_values,
            "args": Value("%args", "ptr"),
            "stage": stage,
            "image": self.n,
            "group": self.g,
            "position": position,
            "live": live,
        }
        call_internal(self.b, f"{self.name}.finish", FINISH_PARAMETERS, values)
