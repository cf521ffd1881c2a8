"""Winograd convolutions: the loops of one piece of work.

`emit_winograd` writes the function that `emit.py` writes for exact sums, with the same arguments;
its weight is the transformed one. A piece (`winograd_plan.py`) transforms its tiles of the image
(`winograd_image.py`); then for each strip of filters it multiplies, one tap after the other
(`winograd_products.py`), and takes each line of tiles back (`winograd_output.py`) and through the
epilogue (`finish.py`). What this computes is in `kernel/winograd.py`.
"""

from __future__ import annotations

from grad.codegen.llvm.builder import Builder, Value
from grad.codegen.llvm.convolution.copy import Source
from grad.codegen.llvm.convolution.finish import FINISH_PARAMETERS, Epilogue, finish_function
from grad.codegen.llvm.convolution.winograd_image import (
    READ_PARAMETERS,
    TRANSFORM_PARAMETERS,
    read_function,
    transform_function,
)
from grad.codegen.llvm.convolution.winograd_output import OUTPUT_PARAMETERS, output_function
from grad.codegen.llvm.convolution.winograd_plan import TAPS, WinogradPlan, odd_lines
from grad.codegen.llvm.convolution.winograd_products import PRODUCT_PARAMETERS, product_function
from grad.codegen.llvm.functions import attributes, call_internal
from grad.kernel.winograd import OUTPUTS


def emit_winograd(
    plan: WinogradPlan,
    name: str,
    source: Source,
    steps: tuple[int, int],
    features: frozenset[str],
    vector_bytes: int,
    epilogue: Epilogue,
    first_argument: int,
) -> str:
    """The text of a module that defines `name`.

    Args:
        steps: elements from image to image and from group to group.
    """
    b = Builder(features, vector_bytes)
    texts = [
        read_function(b.sibling(), f"{name}.read{count}", plan, source, count)
        for count in _channel_counts(plan)
    ]
    texts.append(transform_function(b.sibling(), f"{name}.transform", plan))
    texts.append(product_function(b.sibling(), f"{name}.products", plan))
    texts.append(output_function(b.sibling(), f"{name}.output", plan))
    texts.append(finish_function(b.sibling(), f"{name}.finish", plan, epilogue))
    piece = _Piece(b, name, plan, source, steps, first_argument)
    b.loop(Value("%begin", "i64"), Value("%end", "i64"), 1, piece.emit)
    main = b.function(name, "ptr %args, i64 %begin, i64 %end, i64 %worker")
    return b.preamble() + "".join(texts) + main + attributes(vector_bytes)


def _channel_counts(plan: WinogradPlan) -> list[int]:
    """How many channels the blocks have that are transformed together."""
    whole, left = divmod(plan.sizes.channels, plan.lanes)
    return [count for count, there in ((plan.lanes, whole), (left, left)) if there]


class _Piece:
    def __init__(
        self,
        b: Builder,
        name: str,
        plan: WinogradPlan,
        source: Source,
        steps: tuple[int, int],
        first_argument: int,
    ) -> None:
        self.b, self.name, self.plan, self.source, self.steps = b, name, plan, source, steps
        slots = [
            b.load("ptr", b.gep("i64", Value("%args", "ptr"), first_argument + i), 8)
            for i in range(3)
        ]
        self.image, self.weight = slots[:2]
        part = b.gep("i8", slots[2], b.mul(Value("%worker", "i64"), plan.scratch_bytes))
        parts = []
        for elements in plan.parts:
            parts.append(part)
            part = self.gep(part, odd_lines(elements))
        self.image_rows, self.tiles, self.products, self.output_rows, self.stage = parts

    def gep(self, pointer: Value, offset: Value | int) -> Value:
        return self.b.gep(self.plan.element, pointer, offset)

    def take(self, rest: Value, count: int) -> tuple[Value, Value]:
        """``divmod(rest, count)``."""
        return self.b.binary("udiv", rest, count), self.b.binary("urem", rest, count)

    def emit(self, piece: Value, _: list[Value]) -> None:
        b, plan = self.b, self.plan
        rest, number = self.take(piece, plan.pieces)
        self.group, block = self.take(rest, plan.blocks)
        self.first = b.mul(number, plan.lines)
        left = b.sub(b.const("i64", plan.all_lines), self.first)
        self.lines = b.intrinsic("smin", left, b.const("i64", plan.lines))
        for count in _channel_counts(plan):
            whole = plan.sizes.channels - plan.sizes.channels % plan.lanes
            begin, end = (0, whole) if count == plan.lanes else (whole, plan.sizes.channels)
            b.loop(begin, end, count, lambda c, _, count=count: self.read(c, count))
        first = b.mul(block, plan.in_block)
        last = b.intrinsic("smin", b.add(first, plan.in_block), b.const("i64", plan.strips))
        b.loop(first, last, 1, self.strip)

    def place(self, line: Value) -> tuple[Value, Value, Value]:
        """Image, and output row and column of the first position of the piece's line `line`."""
        b, plan = self.b, self.plan
        rest, row = self.take(b.add(self.first, line), plan.tile_rows)
        n, band = self.take(rest, plan.bands)
        return n, b.mul(row, OUTPUTS), b.mul(band, plan.columns * OUTPUTS)

    def read(self, channel: Value, count: int) -> None:
        """Transform the image's tiles of all lines, of `count` channels."""
        b, plan = self.b, self.plan

        def one(line: Value, _: list[Value]) -> None:
            n, y, x = self.place(line)
            start = b.add(b.mul(n, self.steps[0]), b.mul(self.group, self.steps[1]))
            source = b.add(start, b.mul(channel, self.source.channel))
            follows = b.binary("and", b.icmp("ne", line, 0), b.icmp("ne", y, 0))
            first = b.mul(line, plan.columns * plan.channel_row)
            values = {
                "source": self.gep(self.image, source),
                "rows": self.image_rows,
                "y": b.sub(y, plan.sizes.before[1]),
                "x": b.sub(x, plan.sizes.before[2]),
                "below": b.convert("zext", follows, "i64"),
                "target": self.gep(self.tiles, b.add(first, channel)),
            }
            call_internal(b, f"{self.name}.read{count}", READ_PARAMETERS, values)
            call_internal(b, f"{self.name}.transform", TRANSFORM_PARAMETERS, values)

        b.loop(0, self.lines, 1, one)

    def strip(self, strip: Value, _: list[Value]) -> None:
        """All positions of the piece for one strip of filters."""
        b, plan = self.b, self.plan
        first = b.mul(strip, plan.filters)
        panel, lane = self.take(first, plan.panel)
        panel = b.add(b.mul(self.group, plan.panels), panel)
        tap_elements = plan.sizes.channels * plan.panel
        weight = self.gep(self.weight, b.add(b.mul(panel, TAPS * tap_elements), lane))
        tiles = b.mul(self.lines, plan.columns)

        def tap(tap: Value, _: list[Value]) -> None:
            image = self.gep(self.tiles, b.mul(tap, plan.image_plane))
            target = self.gep(self.products, b.mul(tap, plan.product_plane))
            here = self.gep(weight, b.mul(tap, tap_elements))
            ahead = self.gep(here, tap_elements)

            def rows(t: Value, state: list[Value]) -> list[Value]:
                values = {
                    "image": self.gep(image, b.mul(t, plan.channel_row)),
                    "weight": here,
                    "ahead": state[0],
                    "target": self.gep(target, b.mul(t, plan.filters)),
                }
                call_internal(b, f"{self.name}.products", PRODUCT_PARAMETERS, values)
                # The second panel of a strip after the first.
                return [self.gep(state[0], TAPS * tap_elements)]

            b.loop(0, tiles, plan.rows, rows, [ahead])

        b.loop(0, TAPS, 1, tap)
        left = b.sub(b.const("i64", plan.sizes.filters), first)
        there = b.intrinsic("smin", left, b.const("i64", plan.filters))

        def line(number: Value, _: list[Value]) -> None:
            b.loop(0, there, plan.lanes, lambda j, _: self.write(number, first, j))

        b.loop(0, self.lines, 1, line)

    def write(self, line: Value, strip: Value, number: Value) -> None:
        """Take the results of a line through the epilogue, for a vector of filters of the strip."""
        b, plan = self.b, self.plan
        n, y, x = self.place(line)
        first = b.add(strip, number)
        left = b.sub(b.const("i64", plan.sizes.filters), first)
        count = b.intrinsic("smin", left, b.const("i64", plan.lanes))
        place = b.add(b.mul(line, plan.columns * plan.filters), number)
        products = self.gep(self.products, place)
        parts = {"products": products, "rows": self.output_rows, "stage": self.stage}
        call_internal(b, f"{self.name}.output", OUTPUT_PARAMETERS, parts)
        height, width = plan.sizes.out[1:]
        rows = b.intrinsic("smin", b.sub(b.const("i64", height), y), b.const("i64", OUTPUTS))
        across = b.intrinsic("smin", b.sub(b.const("i64", width), x), b.const("i64", plan.width))
        position = b.add(b.mul(y, width), x)

        def finish(stage: Value, position: Value, live: Value) -> None:
            values = {
                "args": Value("%args", "ptr"),
                "stage": stage,
                "image": n,
                "group": self.group,
                "filter": first,
                "count": count,
                "position": position,
                "live": live,
            }
            call_internal(b, f"{self.name}.finish", FINISH_PARAMETERS, values)

        if plan.bands == 1:
            finish(self.stage, position, b.mul(rows, width))
            return

        def row(r: Value, _: list[Value]) -> None:
            stage = self.gep(self.stage, b.mul(r, plan.width))
            finish(stage, b.add(position, b.mul(r, width)), across)

        b.loop(0, rows, 1, row)
