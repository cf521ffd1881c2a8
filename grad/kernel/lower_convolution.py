"""Loops of convolutions.

Most become a statement of their own, `Convolution` or `ConvolutionWeight`: a phase before it stores
the weight in the order in which code generation reads it (whatever the weight is made of is
computed there, so that flips and transposes cost nothing), and a phase after it adds up partial
sums. `lower.py` calls the two functions at the end. Windows that are both strided and spread, and
empty convolutions, are written as plain loops in the statements that every kernel has.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable
from dataclasses import dataclass, replace
from functools import reduce

from grad.dtype import DType, dtypes
from grad.graph.index import Index, Variable, add, const, floordiv, mod, scale, variable
from grad.graph.positions import Guard, Position, flatten, needed, unflatten
from grad.graph.primitives import ADD, WHERE
from grad.graph.sizes import FixedSizesError, hint, is_fixed
from grad.graph.windows import AXES, WIDEST_SPREAD, Geometry, Shape, geometry
from grad.kernel.ir import (
    Statement,
    Test,
)
from grad.kernel.ir_convolution import (
    PANEL_BYTES,
    WEIGHT_PANEL_BYTES,
    Convolution,
    ConvolutionForm,
    ConvolutionWeight,
    gradient_variables,
    image_variables,
    result_variables,
    weight_variables,
)
from grad.kernel.lower_convolution_plain import (
    memory_operand,
    plain,
    plain_weight,
    store_results,
)
from grad.kernel.lower_named import next_phase
from grad.kernel.lower_winograd import transformed
from grad.kernel.tiles import Body, find_tiling, tiled_loops
from grad.kernel.winograd import fits, pays
from grad.kernel.writer import Writer
from grad.schedule.demand import Group
from grad.schedule.facts import renumbered
from grad.schedule.program import Entry, Program

Candidate = tuple[Writer, list[list[Statement]]]


# Fewer filters than this would leave most lanes of a vector of filters empty, and shorter sums do
# not pay for the transpose at their end.
FEW_FILTERS = 12
SHORT_SUM = 24
PARTIAL_BYTES = 1 << 22  # of all partial sums of a weight's gradient
MOST_BLOCKS = 16
LONGEST_ROW = 1024  # positions that a weight's gradient takes as one row


def _has_statement(g: Geometry) -> bool:
    """Whether code generation takes the convolution; the others are rare, or empty."""
    both = any(s > 1 and r > 1 for s, r in zip(g.stride, g.spread, strict=True))
    return not both and g.spread[-1] <= WIDEST_SPREAD and g.operations > 0


def _form(g: Geometry, entry: Entry) -> ConvolutionForm:
    high = entry.dtype is dtypes.float32 and entry.arg.precision == "high"
    if high and fits(g) and pays(g):
        return ConvolutionForm.WINOGRAD
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

    def weight(
        self, number: int, form: ConvolutionForm
    ) -> tuple[int, Index, list[list[Statement]]]:
        """The parameter of the stored weight, its offsets, and the phases that store it."""
        g, writer = self.g, self.writer
        part, o, c, *taps = _indices(weight_variables(g))
        entry = self.program.entries[number]
        k = flatten((c, *taps), (g.channels, *g.kernel))
        depth = g.channels * g.taps
        if form is not ConvolutionForm.FILTERS:
            panel = WEIGHT_PANEL_BYTES // entry.dtype.itemsize
            panels = -(-g.filters // panel)
            row = add(scale(add(scale(part, panels), floordiv(o, panel)), depth), k)
            size = g.groups * panels * depth * panel
            parameter = writer.parameter("temporary", size, entry.dtype)
            phases = [self.pack(number, parameter, panel, panels)]
            if form is ConvolutionForm.WINOGRAD:
                parameter, where, phase = transformed(writer, g, parameter, entry.dtype)
                return parameter, where, [*phases, phase]
            return parameter, add(scale(row, panel), mod(o, panel)), phases
        where = add(scale(add(scale(part, g.filters), o), depth), k)
        plain = renumbered(self.program, number)
        if number in writer.in_memory or plain in writer.in_memory:
            return writer.parameter("memory", plain, entry.dtype), where, []
        parameter = writer.parameter("temporary", g.groups * g.filters * depth, entry.dtype)
        with writer.loop(math.prod(entry.shape), parallel=True, vector=True) as index:
            value = writer.value(number, unflatten(index, entry.shape))
            writer.store(parameter, index, value)
        return parameter, where, [next_phase(writer)]

    def pack(self, number: int, parameter: int, panel: int, panels: int) -> list[Statement]:
        """The phase that stores the weight as ``[group][panel][channel, taps][filter]``."""
        g, entry = self.g, self.program.entries[number]
        shape = (g.groups, panels, g.channels, *entry.shape[2:], panel)

        def body(writer: Writer, position: Position) -> None:
            part, block, c, *taps, lane = position
            o = add(scale(block, panel), lane)
            exists = tuple(guard for guard in (Guard(o, 0, g.filters),) if needed(guard))
            where = (add(scale(part, g.filters), o), c, *taps)
            value = writer.value(number, where, exists)
            if exists:
                level = writer.level_of_position((), exists)
                test = writer.fresh_value(level)
                writer.emit(Test(test, exists, dtypes.bool), level)
                zero = writer.number(0, entry.dtype)
                value = writer.let(WHERE, (test, value, zero), entry.dtype)
            writer.store(parameter, flatten(position, shape), value)

        _write_all(self.program, self.writer, shape, body, entry.dtype)
        return next_phase(self.writer)


def _write_all(program: Program, writer: Writer, shape: Shape, body: Body, dtype: DType) -> None:
    """Write `body` for all positions of `shape`, in tiles where it reads across."""
    tiling = find_tiling(Writer(program, writer.in_memory), shape, body)
    if tiling is not None:
        tiled_loops(writer, tiling, body, dtype.itemsize)
        return
    with (
        writer.loop(math.prod(shape[:-1]), parallel=True) as row,
        writer.loop(shape[-1], vector=True) as lane,
    ):
        body(writer, (*unflatten(row, shape[:-1]), lane))


def _flattened(g: Geometry) -> Geometry:
    """`g` with one spatial axis in place of three, when positions meet their own element only."""
    if g.taps > 1 or any(g.before) or max(*g.stride, *g.spread) > 1 or g.image != g.out:
        return g
    size = (1, 1, g.positions)
    return replace(g, image=size, out=size)


def _require_fixed_windows(g: Geometry) -> None:
    if not all(map(is_fixed, (*g.image, *g.out, *g.kernel, g.channels, g.filters, g.groups))):
        raise FixedSizesError("convolution: all sizes but the number of images must be fixed.")


def lower_convolution(program: Program, group: Group, in_memory: Container[int]) -> Candidate:
    """A convolution with its epilogue: the group's values, computed of each sum."""
    assert group.contraction is not None
    entry = program.entries[group.contraction]
    image_number, weight_number = entry.src
    image_shape, weight_shape = (program.entries[source].shape for source in entry.src)
    g = geometry(image_shape, weight_shape[0], weight_shape[2:], entry.shape[2:], entry.arg)
    _require_fixed_windows(g)
    if not _has_statement(g):
        return plain(program, group, in_memory, g)
    writer = Writer(program, in_memory)
    flat = _flattened(g)
    parameter, image = _Parts(program, writer, flat).image(image_number)
    if any(image.coefficient(v) is None for v in image_variables(flat)):
        flat = g
        parameter, image = _Parts(program, writer, flat).image(image_number)
    form = _form(flat, entry)
    if form is ConvolutionForm.WINOGRAD and not is_fixed(g.images):
        raise FixedSizesError("convolution: its tiles are dealt out for a fixed number of images.")
    stored, weight, phases = _Parts(program, writer, flat).weight(weight_number, form)
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
    return writer, [*phases, [*writer.bodies[0], nest]]


def _weight_operands(
    program: Program, writer: Writer, g: Geometry, entry: Entry
) -> tuple[Geometry, tuple[tuple[int, Index], tuple[int, Index]]]:
    """Image and gradient, along one spatial axis where that is short and both allow it."""
    flat = _flattened(g)
    for sizes in (flat, g) if g.positions <= LONGEST_ROW else (g,):
        parts = _Parts(program, writer, sizes)
        operands = parts.image(entry.src[0]), parts.gradient(entry.src[1])
        variables = (image_variables(sizes), gradient_variables(sizes))
        if all(
            index.coefficient(v) is not None
            for (_, index), own in zip(operands, variables, strict=True)
            for v in own
        ):
            return sizes, operands
    raise AssertionError("operands in memory have strides")


@dataclass(frozen=True, slots=True)
class _Partial:
    """Partial sums of a weight's gradient: ``[block][group][channel, taps][filter]``, with room for
    `across` filters."""

    parameter: int
    dtype: DType
    sizes: Geometry
    across: int

    @property
    def block_elements(self) -> int:
        g = self.sizes
        return g.groups * g.channels * g.taps * self.across

    def place(self, block: Index, blocks: int, at: Position) -> Index:
        """Where the sum at (group, filter, channel, *taps) is."""
        g, (part, o, c, *taps) = self.sizes, at
        return flatten(
            (block, part, c, *taps, o), (blocks, g.groups, g.channels, *g.kernel, self.across)
        )

    def total(self, writer: Writer, places: Iterable[Index]) -> int:
        found = [writer.load(self.parameter, index, self.dtype) for index in places]
        return reduce(lambda a, b: writer.let(ADD, (a, b), self.dtype), found)


def lower_convolution_weight(
    program: Program, group: Group, in_memory: Container[int]
) -> Candidate:
    """The gradient of a convolution's weight: partial sums of blocks of images, then their sum."""
    entry = program.entries[group.root]
    image, gradient = (program.entries[source].shape for source in entry.src)
    windows, kernel = entry.arg
    g = geometry(image, gradient[1], kernel, gradient[2:], windows)
    _require_fixed_windows(g)
    if not _has_statement(g) or max(g.spread) > 1:
        return plain_weight(program, group, in_memory, g)
    writer = Writer(program, in_memory)
    g, operands = _weight_operands(program, writer, g, entry)
    panel, itemsize = PANEL_BYTES // entry.dtype.itemsize, entry.dtype.itemsize
    across = -(-g.filters // panel) * panel
    size = g.groups * g.channels * g.taps * across
    blocks = max(min(hint(g.images), MOST_BLOCKS, PARTIAL_BYTES // (size * itemsize)), 1)
    if is_fixed(g.images):  # where it is open, some blocks may be empty
        blocks = -(-g.images // -(-g.images // blocks))
    parameter = writer.parameter("temporary", blocks * size, entry.dtype)
    partial = _Partial(parameter, entry.dtype, g, across)
    block = Variable("b", blocks)
    target = partial.place(variable(block.name, blocks), blocks, _indices(weight_variables(g)))
    sums = ConvolutionWeight(entry.dtype, g, block, *operands[0], *operands[1], parameter, target)
    return writer, [[sums], *_totals(program, writer, group.root, partial, blocks)]


def _totals(
    program: Program, writer: Writer, root: int, partial: _Partial, blocks: int
) -> list[list[Statement]]:
    """The phases that add up the blocks and store the gradient of the weight, which is `root`."""
    g, size, phases = partial.sizes, partial.block_elements, []
    # Blocks are added up where they lie before they are transposed, which is code for many elements
    # at a time; unless most of a row is room.
    if blocks > 1 and partial.across < 2 * g.filters:
        with writer.loop(size, parallel=True, vector=True) as index:
            value = partial.total(writer, [add(index, const(b * size)) for b in range(blocks)])
            writer.store(partial.parameter, index, value)
        phases.append(next_phase(writer))
        blocks = 1
    sizes = (g.groups, g.filters, g.channels, *g.kernel)

    def result(writer: Writer, position: Position) -> None:
        places = [partial.place(const(b), blocks, position) for b in range(blocks)]
        value = partial.total(writer, places)
        memory = writer.parameter("memory", root, partial.dtype, written=True)
        writer.store(memory, flatten(position, sizes), value)

    _write_all(program, writer, sizes, result, partial.dtype)
    return [*phases, next_phase(writer)]
