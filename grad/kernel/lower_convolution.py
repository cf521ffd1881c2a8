"""Loops of convolutions.

Most become a statement of their own, `Convolution` or `ConvolutionWeight`: a phase before it stores
the weight in the order in which code generation reads it (whatever the weight is made of is
computed there, so that flips and transposes cost nothing), and a phase after it adds up partial
sums. `lower.py` calls the two functions at the end. Windows that are both strided and spread, and
empty convolutions, are written as plain loops in the statements that every kernel has.
"""

from __future__ import annotations

import math
from collections.abc import Container
from dataclasses import dataclass, replace

from grad.dtype import DType, dtypes
from grad.graph.index import Index, Variable, add, const, floordiv, mod, scale, variable
from grad.graph.positions import Guard, Position, flatten, needed, unflatten
from grad.graph.primitives import ADD, MUL, SUM, WHERE
from grad.graph.windows import AXES, Geometry, geometry
from grad.kernel.ir import (
    Accumulate,
    Statement,
    Test,
)
from grad.kernel.ir_convolution import (
    PANEL_BYTES,
    Convolution,
    ConvolutionForm,
    ConvolutionWeight,
    gradient_variables,
    image_variables,
    result_variables,
    weight_variables,
)
from grad.kernel.lower_named import next_phase, offset_of
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


def _plain(program: Program, group: Group, in_memory: Container[int], g: Geometry) -> Candidate:
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


def _plain_weight(
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


# -- the convolution statement --------------------------------------------------------------------
# Fewer filters than this would leave most lanes of a vector of filters empty, and shorter sums do
# not pay for the transpose at their end.
FEW_FILTERS = 12
SHORT_SUM = 24
PARTIAL_BYTES = 1 << 22  # of all partial sums of a weight's gradient
MOST_BLOCKS = 16
WIDEST_SPREAD = 4


def _has_statement(g: Geometry) -> bool:
    """Whether code generation takes the convolution; the others are rare, or empty."""
    both = any(s > 1 and r > 1 for s, r in zip(g.stride, g.spread, strict=True))
    return not both and g.spread[-1] <= WIDEST_SPREAD and g.operations > 0


def _form(g: Geometry) -> ConvolutionForm:
    if g.filters < FEW_FILTERS or g.channels * g.taps < SHORT_SUM:
        return ConvolutionForm.FILTERS
    return ConvolutionForm.PIXELS


def _indices(variables: tuple[Variable, ...]) -> Position:
    return tuple(variable(v.name, v.size) for v in variables)


class _Parts:
    """Makes the parts of a convolution statement."""

    def __init__(self, program: Program, writer: Writer, g: Geometry) -> None:
        self.program = program
        self.writer = writer
        self.g = g

    def image(self, number: int) -> tuple[int, Index]:
        n, part, c, *spatial = _indices(image_variables(self.g))
        lead = (n, add(scale(part, self.g.channels), c))
        return self.spatial_operand(number, lead, spatial)

    def gradient(self, number: int) -> tuple[int, Index]:
        n, part, o, *spatial = _indices(gradient_variables(self.g))
        lead = (n, add(scale(part, self.g.filters), o))
        return self.spatial_operand(number, lead, spatial)

    def spatial_operand(
        self, number: int, lead: Position, spatial: list[Index]
    ) -> tuple[int, Index]:
        sizes = self.program.entries[number].shape[2:]
        if math.prod(sizes) == spatial[-1].high + 1:
            place = unflatten(spatial[-1], sizes)
        else:
            place = tuple(spatial[AXES - len(sizes) :])
        return memory_operand(self.program, self.writer, number, (*lead, *place))

    def weight(self, number: int, form: ConvolutionForm) -> tuple[int, Index, list[Statement]]:
        """The parameter of the stored weight, its offsets, and the phase that stores it, if any."""
        g, writer = self.g, self.writer
        part, o, c, *taps = _indices(weight_variables(g))
        entry = self.program.entries[number]
        k = flatten((c, *taps), (g.channels, *g.kernel))
        depth = g.channels * g.taps
        if form is ConvolutionForm.PIXELS:
            panel = PANEL_BYTES // entry.dtype.itemsize
            panels = -(-g.filters // panel)
            row = add(scale(add(scale(part, panels), floordiv(o, panel)), depth), k)
            size = g.groups * panels * depth * panel
            parameter = writer.parameter("temporary", size, entry.dtype)
            phase = self.pack(number, parameter, panel, panels)
            return parameter, add(scale(row, panel), mod(o, panel)), phase
        where = add(scale(add(scale(part, g.filters), o), depth), k)
        plain = renumbered(self.program, number)
        if number in writer.in_memory or plain in writer.in_memory:
            return writer.parameter("memory", plain, entry.dtype), where, []
        parameter = writer.parameter("temporary", g.groups * g.filters * depth, entry.dtype)
        with writer.loop(math.prod(entry.shape), parallel=True, vector=True) as index:
            value = writer.value(number, unflatten(index, entry.shape))
            writer.store(parameter, index, value)
        return parameter, where, next_phase(writer)

    def pack(self, number: int, parameter: int, panel: int, panels: int) -> list[Statement]:
        """The phase that stores the weight as ``[group][panel][channel, taps][filter]``."""
        g, writer = self.g, self.writer
        entry = self.program.entries[number]
        rows = (g.groups, panels, g.channels, *entry.shape[2:])
        with (
            writer.loop(math.prod(rows), parallel=True) as row,
            writer.loop(panel, vector=True) as lane,
        ):
            part, block, c, *taps = unflatten(row, rows)
            o = add(scale(block, panel), lane)
            exists = tuple(guard for guard in (Guard(o, 0, g.filters),) if needed(guard))
            position = (add(scale(part, g.filters), o), c, *taps)
            value = writer.value(number, position, exists)
            if exists:
                level = writer.level_of_position((), exists)
                test = writer.fresh_value(level)
                writer.emit(Test(test, exists, dtypes.bool), level)
                zero = writer.number(0, entry.dtype)
                value = writer.let(WHERE, (test, value, zero), entry.dtype)
            writer.store(parameter, add(scale(row, panel), lane), value)
        return next_phase(writer)


def _flattened(g: Geometry) -> Geometry:
    """`g` with one spatial axis in place of three, when positions meet their own element only."""
    if g.taps > 1 or any(g.before) or max(*g.stride, *g.spread) > 1 or g.image != g.out:
        return g
    size = (1, 1, g.positions)
    return replace(g, image=size, out=size)


def lower_convolution(program: Program, group: Group, in_memory: Container[int]) -> Candidate:
    """A convolution with its epilogue: the group's values, computed of each sum."""
    assert group.contraction is not None
    entry = program.entries[group.contraction]
    image_number, weight_number = entry.src
    image_shape, weight_shape = (program.entries[source].shape for source in entry.src)
    g = geometry(image_shape, weight_shape[0], weight_shape[2:], entry.shape[2:], entry.arg)
    if not _has_statement(g):
        return _plain(program, group, in_memory, g)
    writer = Writer(program, in_memory)
    flat = _flattened(g)
    parameter, image = _Parts(program, writer, flat).image(image_number)
    if any(image.coefficient(v) is None for v in image_variables(flat)):
        flat = g
        parameter, image = _Parts(program, writer, flat).image(image_number)
    form = _form(flat)
    stored, weight, phase = _Parts(program, writer, flat).weight(weight_number, form)
    variables = result_variables(flat)
    for v in variables:
        writer.variable_levels[v] = 1
    writer.bodies.append([])
    accumulator = writer.fresh_value(1)
    writer.given[group.contraction] = accumulator
    n, part, o, position = _indices(variables)
    row = add(scale(add(scale(n, g.groups), part), g.filters), o)
    store_results(program, group, writer, add(scale(row, g.positions), position))
    body = tuple(writer.bodies.pop())
    nest = Convolution(accumulator, entry.dtype, flat, form, parameter, image, stored, weight, body)
    phases = [phase] if phase else []
    return writer, [*phases, [*writer.bodies[0], nest]]


def lower_convolution_weight(
    program: Program, group: Group, in_memory: Container[int]
) -> Candidate:
    """The gradient of a convolution's weight: partial sums of blocks of images, then their sum."""
    entry = program.entries[group.root]
    image, gradient = (program.entries[source].shape for source in entry.src)
    windows, kernel = entry.arg
    g = geometry(image, gradient[1], kernel, gradient[2:], windows)
    if not _has_statement(g) or max(g.spread) > 1:
        return _plain_weight(program, group, in_memory, g)
    writer = Writer(program, in_memory)
    parts = _Parts(program, writer, g)
    panel = PANEL_BYTES // entry.dtype.itemsize
    across = -(-g.filters // panel) * panel
    size = g.groups * g.channels * g.taps * across
    blocks = max(min(g.images, MOST_BLOCKS, PARTIAL_BYTES // (size * entry.dtype.itemsize)), 1)
    blocks = -(-g.images // -(-g.images // blocks))
    partial = writer.parameter("temporary", blocks * size, entry.dtype)
    block = Variable("b", blocks)
    part, o, c, *taps = _indices(weight_variables(g))

    def place(at: Index, part: Index, o: Index, c: Index, taps: Position) -> Index:
        sizes = (blocks, g.groups, g.channels, *g.kernel, across)
        return flatten((at, part, c, *taps, o), sizes)

    target = place(variable(block.name, blocks), part, o, c, tuple(taps))
    sums = ConvolutionWeight(
        entry.dtype,
        g,
        block,
        *parts.image(entry.src[0]),
        *parts.gradient(entry.src[1]),
        partial,
        target,
    )
    sizes = (g.groups, g.filters, g.channels, *g.kernel)
    with writer.loop(math.prod(sizes), parallel=True, vector=True) as item:
        part, o, c, *taps = unflatten(item, sizes)
        total = writer.load(partial, place(const(0), part, o, c, tuple(taps)), entry.dtype)
        for b in range(1, blocks):
            more = writer.load(partial, place(const(b), part, o, c, tuple(taps)), entry.dtype)
            total = writer.let(ADD, (total, more), entry.dtype)
        memory = writer.parameter("memory", group.root, entry.dtype, written=True)
        writer.store(memory, item, total)
    return writer, [[sums], next_phase(writer)]
