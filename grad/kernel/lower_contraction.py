"""Matrix products, with what is computed of their sums and on the way into them.

Operands are strided views of memory, converted maybe, or a few operations on such a view
(`schedule/prologue.py` decides). Everything else is `lower.py` and `lower_named.py`.
"""

from __future__ import annotations

import math
from collections.abc import Container

from grad.graph.index import Index, Variable, add, const, scale, variable
from grad.graph.movement import Layout
from grad.graph.positions import Position, flatten, unflatten
from grad.kernel.ir import Statement
from grad.kernel.ir_contraction import Contraction, Operand
from grad.kernel.writer import Writer
from grad.schedule.demand import Group
from grad.schedule.facts import operand_base, renumbered
from grad.schedule.program import Program
from grad.schedule.prologue import places

Candidate = tuple[Writer, list[list[Statement]]]


def lower_contraction(program: Program, group: Group, in_memory: Container[int]) -> Candidate:
    """A matrix product with its epilogue: the group's root, computed of each accumulated
    element.
    """
    assert group.contraction is not None
    entry = program.entries[group.contraction]
    *leading, rows, columns = entry.shape
    depth = program.entries[entry.src[0]].shape[-1]
    writer = Writer(program, in_memory)
    k, column = Variable("k", depth), Variable("n", columns)
    batch = tuple(Variable(f"b{axis}", size) for axis, size in enumerate(leading))
    row = Variable("m", rows)
    outer = tuple(variable(v.name, v.size) for v in (*batch, row))
    positions = _positions(outer, k, column)
    if leading:
        # One matrix for all of the batch: the batch is more rows.
        long = Variable("m", math.prod((*leading, rows)))
        parts = unflatten(variable(long.name, long.size), (*leading, rows))
        folded = _positions(parts, k, column)
        (_, a), *_ = _places(program, writer, group, entry.src[0], folded[0])
        others = _places(program, writer, group, entry.src[1], folded[1])
        if a.coefficient(long) is not None and all(long not in b.variables() for _, b in others):
            batch, row, outer, positions = (), long, parts, folded
    for v in (*batch, row, column, k):
        writer.variable_levels[v] = 1
    first, second = (
        _operand(program, writer, group, number, position)
        for number, position in zip(entry.src, positions, strict=True)
    )
    writer.bodies.append([])
    accumulator = writer.fresh_value(1)
    writer.given[group.contraction] = accumulator
    position = (*outer, variable(column.name, column.size))
    here = flatten(position, entry.shape)
    for number in group.stored:
        shape = program.entries[number].shape
        value = writer.value(number, unflatten(here, shape))
        memory = writer.parameter("memory", number, program.entries[number].dtype, written=True)
        writer.store(memory, here, value)
    body = tuple(writer.bodies.pop())
    nest = Contraction(accumulator, entry.dtype, batch, row, column, k, first, second, body)
    return writer, [[*writer.bodies[0], nest]]


def _positions(outer: Position, k: Variable, column: Variable) -> tuple[Position, Position]:
    """Where elements of both operands are, for rows (and batches) at `outer`."""
    depth, across = variable(k.name, k.size), variable(column.name, column.size)
    return (*outer, depth), (*outer[:-1], depth, across)


def _operand(
    program: Program, writer: Writer, group: Group, number: int, position: Position
) -> Operand:
    """The operand that entry `number` is, with the statements that compute it if it is computed."""
    (source, index), *_ = _places(program, writer, group, number, position)
    parameter = writer.parameter("memory", source, program.entries[source].dtype)
    found = group.prologues.get(number)
    if found is None:
        return Operand(parameter, index)
    writer.bodies.append([])
    element = writer.fresh_value(1)
    writer.given[found.base] = element
    value = writer.value(number, position)
    prologue = tuple(writer.bodies.pop())
    del writer.given[found.base]
    # What is known per element is known inside the prologue only.
    writer.memo = {key: v for key, v in writer.memo.items() if writer.levels[v] == 0}
    return Operand(parameter, index, prologue, element, value)


def _places(
    program: Program, writer: Writer, group: Group, number: int, position: Position
) -> list[tuple[int, Index]]:
    """The entry in memory that operand `number` reads one by one, and the offset of the element
    there; then what else it reads.
    """
    found = group.prologues.get(number)
    if found is not None:
        reads = places(program, number, position, found)
        return sorted(reads, key=lambda read: read[0] != found.base)
    base = operand_base(program, number)
    if base is None or number in writer.in_memory:
        return [(renumbered(program, number), flatten(position, program.entries[number].shape))]
    source, layout = base
    return [(source, offset_of(layout, position))]


def offset_of(layout: Layout, position: Position) -> Index:
    """The element offset of `position` in a strided layout."""
    offset = const(layout.offset)
    for index, stride in zip(position, layout.strides, strict=True):
        offset = add(offset, scale(index, stride))
    return offset
