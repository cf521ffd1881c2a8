"""Convolutions as plain loops, in the statements that every kernel has.

For what the convolution statement does not take: windows that are both strided and spread, empty
operands. One loop over the results, with the sum over channels and taps inside.
`lower_convolution.py` decides which convolutions are written so.
"""

from __future__ import annotations

import math
from collections.abc import Container
from dataclasses import dataclass

from grad.dtype import DType, dtypes
from grad.graph.index import Index, add, floordiv, mod, scale
from grad.graph.positions import Guard, Position, flatten, needed, unflatten
from grad.graph.primitives import MUL, SUM, WHERE
from grad.graph.windows import AXES, Geometry
from grad.kernel.ir import (
    Accumulate,
    Statement,
    Test,
)
from grad.kernel.lower_contraction import offset_of
from grad.kernel.lower_named import next_phase
from grad.kernel.writer import Writer
from grad.schedule.demand import Group
from grad.schedule.facts import renumbered, strided_base
from grad.schedule.program import Program

Candidate = tuple[Writer, list[list[Statement]]]


@dataclass(frozen=True, slots=True)
class Met:
    """What a tap meets in the image, as `_meeting` finds it.

    Attributes:
        inside: where the image has an element; elsewhere it counts as zero.
        between: whether it is an element at all or one of the zeros put between two.
    """

    position: Position
    inside: tuple[Guard, ...]
    between: tuple[Guard, ...]


def _meeting(g: Geometry, out: Position, taps: Position) -> Met:
    """The image position at which the output position `out` meets the tap `taps`."""
    position: list[Index] = []
    inside, between = [], []
    for axis in range(AXES):
        place = add(scale(out[axis], g.stride[axis]), scale(taps[axis], g.dilation[axis]))
        place = add(place, -g.before[axis])
        spread = g.spread[axis]
        if spread > 1:
            # Divided where it is not negative, and moved back.
            lift = max(-(place.low // spread), 0)
            place = add(place, lift * spread)
            between.append(Guard(mod(place, spread), 0, 1))
            place = add(floordiv(place, spread), -lift)
        inside.append(Guard(place, 0, g.image[axis]))
        position.append(place)
    return Met(tuple(position), *(tuple(x for x in y if needed(x)) for y in (inside, between)))


class _Operands:
    """Reads images and weights for the plain form."""

    def __init__(self, program: Program, writer: Writer, dtype: DType) -> None:
        self.program = program
        self.writer = writer
        self.dtype = dtype

    def spatial(self, number: int, position: Position) -> Position:
        """`position` without the leading spatial axes that entry `number` does not have."""
        return position[AXES + 2 - len(self.program.entries[number].shape) :]

    def load(
        self, number: int, lead: Position, spatial: Position, guards: tuple[Guard, ...] = ()
    ) -> int:
        """An element of an operand in memory: a strided view of it, or all of it."""
        entry = self.program.entries[number]
        position = (*lead, *self.spatial(number, spatial))
        parameter, index = memory_operand(self.program, self.writer, number, position)
        return self.writer.load(parameter, index, entry.dtype, guards)

    def product(self, met: Met, value: int, factor: int) -> int:
        """``value * factor``, with zeros for what lies outside and where nothing is met."""
        writer, dtype = self.writer, self.dtype
        zero = writer.number(0, dtype)
        if met.inside:
            value = writer.let(WHERE, (self.test(met.inside), value, zero), dtype)
        product = writer.let(MUL, (value, factor), dtype)
        if met.between:
            product = writer.let(WHERE, (self.test(met.between), product, zero), dtype)
        return product

    def test(self, guards: tuple[Guard, ...]) -> int:
        level = self.writer.level_of_position((), guards)
        value = self.writer.fresh_value(level)
        self.writer.emit(Test(value, guards, dtypes.bool), level)
        return value


def memory_operand(
    program: Program, writer: Writer, number: int, position: Position
) -> tuple[int, Index]:
    """The parameter and element offset of an operand that is memory or a strided view of it."""
    base = strided_base(program, number)
    if base is None or number in writer.in_memory:
        entry = program.entries[number]
        source = renumbered(program, number)
        return writer.parameter("memory", source, entry.dtype), flatten(position, entry.shape)
    source, layout = base
    return writer.parameter("memory", source, program.entries[source].dtype), offset_of(
        layout, position
    )


def plain(program: Program, group: Group, in_memory: Container[int], g: Geometry) -> Candidate:
    """One loop over images, channels and rows, one in lanes along a row, the sum inside."""
    assert group.contraction is not None
    entry = program.entries[group.contraction]
    image, weight = entry.src
    writer = Writer(program, in_memory)
    operands = _Operands(program, writer, entry.dtype)
    rows = (g.images, g.groups, g.filters, *g.out[:-1])
    with (
        writer.loop(math.prod(rows), parallel=True) as row,
        writer.loop(g.out[-1], vector=True) as last,
    ):
        n, part, o, *out = (*unflatten(row, rows), last)
        accumulator = writer.accumulator(SUM, entry.dtype)
        filter_number = add(scale(part, g.filters), o)
        with writer.loop(g.channels * g.taps) as k:
            c, *taps = unflatten(k, (g.channels, *g.kernel))
            met = _meeting(g, tuple(out), tuple(taps))
            lead = (n, add(scale(part, g.channels), c))
            value = operands.load(image, lead, met.position, (*met.inside, *met.between))
            spatial = operands.spatial(weight, tuple(taps))
            factor = writer.value(weight, (filter_number, c, *spatial))
            product = operands.product(met, value, factor)
            writer.emit(Accumulate(accumulator, product), len(writer.bodies) - 1)
        writer.given[group.contraction] = accumulator
        position = (n, filter_number, *operands.spatial(group.contraction, tuple(out)))
        store_results(program, group, writer, flatten(position, entry.shape))
    return writer, [next_phase(writer)]


def store_results(program: Program, group: Group, writer: Writer, here: Index) -> None:
    """Store the values of the group for the result with number `here`."""
    for number in group.stored:
        entry = program.entries[number]
        value = writer.value(number, unflatten(here, entry.shape))
        memory = writer.parameter("memory", number, entry.dtype, written=True)
        writer.store(memory, here, value)


def plain_weight(
    program: Program, group: Group, in_memory: Container[int], g: Geometry
) -> Candidate:
    """One loop over the weights, the sum over images and positions inside."""
    entry = program.entries[group.root]
    image, gradient = entry.src
    writer = Writer(program, in_memory)
    operands = _Operands(program, writer, entry.dtype)
    sizes = (g.groups, g.filters, g.channels, *g.kernel)
    with writer.loop(math.prod(sizes), parallel=True) as item:
        part, o, c, *taps = unflatten(item, sizes)
        accumulator = writer.accumulator(SUM, entry.dtype)
        rows = (g.images, *g.out[:-1])
        with (
            writer.loop(math.prod(rows)) as row,
            writer.loop(g.out[-1], vector=True) as last,
        ):
            n, *out = (*unflatten(row, rows), last)
            met = _meeting(g, tuple(out), tuple(taps))
            lead = (n, add(scale(part, g.channels), c))
            value = operands.load(image, lead, met.position, (*met.inside, *met.between))
            factor = operands.load(gradient, (n, add(scale(part, g.filters), o)), tuple(out))
            product = operands.product(met, value, factor)
            writer.emit(Accumulate(accumulator, product), len(writer.bodies) - 1)
        memory = writer.parameter("memory", group.root, entry.dtype, written=True)
        writer.store(memory, item, accumulator)
    return writer, [next_phase(writer)]
