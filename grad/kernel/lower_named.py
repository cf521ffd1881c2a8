"""Loops of the operations that write into memory: scatters and updates.

Scans are in `lower_scan.py`, matrix products in `lower_contraction.py`.

Each function gets a group and gives a writer and its phases, as `lower.py` does for everything
else. What they read is asked of the same `Writer`, so pointwise producers and views are taken in
here too.
"""

from __future__ import annotations

import math
from collections.abc import Container
from contextlib import ExitStack

from grad.dtype import DType
from grad.graph.index import Index, Variable, add, const, dynamic, scale, variable
from grad.graph.movement import Move
from grad.graph.positions import flatten, moved_index, unflatten
from grad.graph.primitives import (
    ADD,
    MAXIMUM,
    MINIMUM,
    MUL,
    Primitive,
)
from grad.kernel.ir import Guard, Load, Statement
from grad.kernel.writer import Writer
from grad.schedule.demand import Group
from grad.schedule.program import Entry, Program

Candidate = tuple[Writer, list[list[Statement]]]

# Elements behind the indexed axes that a thread takes at a time.
SCATTER_BLOCK = 256
# Less, down to SHORTEST_BLOCK, where there would be fewer items than SCATTER_ITEMS.
SHORTEST_BLOCK = 64
SCATTER_ITEMS = 4
LINE = 16
# From so many values on, those that go to any place are written by several items, each to a part
# of the places of its own, which fits the cache better: it asks for each value where it goes.
PARTS_FROM = 1 << 16
PARTS = 4

_SCATTER: dict[str, Primitive] = {"add": ADD, "prod": MUL, "amax": MAXIMUM, "amin": MINIMUM}


def _target(writer: Writer, group: Group, entry: Entry) -> int:
    """The parameter for the memory that an update or scatter writes."""
    number = group.root if group.overwrites is None else group.overwrites
    return writer.parameter("memory", number, entry.dtype, written=True)


def _copy_base(writer: Writer, group: Group, entry: Entry) -> list[list[Statement]]:
    """The phase that fills the result with the base's values; none when it is there already."""
    shape = entry.shape
    if group.overwrites is not None:
        return []
    with writer.loop(math.prod(shape), parallel=True, vector=True) as index:
        position = unflatten(index, shape)
        value = writer.value(entry.src[0], position)
        writer.store(_target(writer, group, entry), index, value)
    return [next_phase(writer)]


def next_phase(writer: Writer) -> list[Statement]:
    """Take the finished phase out of the writer and start the next: nothing known carries over."""
    phase = writer.bodies[0]
    writer.bodies = [[]]
    writer.memo.clear()
    return phase


def lower_update(program: Program, group: Group, in_memory: Container[int]) -> Candidate:
    """Copy the base, then store the value where the view is."""
    entry = program.entries[group.root]
    writer = Writer(program, in_memory)
    phases = _copy_base(writer, group, entry)
    shape, strides = entry.arg
    _, source, start = entry.src
    with (
        writer.loop(math.prod(shape[:-1]), parallel=True) as outer,
        writer.loop(shape[-1] if shape else 1, vector=True) as inner,
    ):
        position = (*unflatten(outer, shape[:-1]), inner) if shape else ()
        value = writer.value(source, position)
        target = dynamic(writer.value(start, ()), math.prod(entry.shape))
        for index, stride in zip(position, strides, strict=True):
            target = add(target, scale(index, stride))
        writer.store(_target(writer, group, entry), target, value)
    return writer, [*phases, next_phase(writer)]


def lower_scatter(program: Program, group: Group, in_memory: Container[int]) -> Candidate:
    """Copy the base, then write or combine the values, in row-major order where they can meet.

    Axes in front of the first indexed one and behind the last lead to different places: threads
    share them, and the last ones are written side by side when the index is the same along them.
    """
    entry = program.entries[group.root]
    mode, axes = entry.arg
    writer = Writer(program, in_memory)
    phases = _copy_base(writer, group, entry)
    values, *indices = entry.src[1:]
    shape = program.entries[indices[0]].shape
    first, last = min(axes), max(axes) + 1
    lead, middle, back = shape[:first], shape[first:last], shape[last:]
    in_lanes = bool(back) and all(
        _index_is_constant_along(program, indices, axis) for axis in range(last, len(shape))
    )
    memory = _target(writer, group, entry)
    length = math.prod(back)
    if mode == "set" and length == math.prod(lead) == 1 and math.prod(middle) >= PARTS_FROM:
        return writer, [*phases, _by_parts(writer, entry, memory)]
    block = _scatter_block(length, math.prod(lead))
    blocks = -(-length // block) if block else 1
    items = (math.prod(lead), blocks)
    with writer.loop(math.prod(items), parallel=True) as item, ExitStack() as loops:
        outer, part = unflatten(item, items)
        start = scale(part, block)
        limit = add(scale(start, -1), length) if block and length % block else None
        step = loops.enter_context(writer.loop(math.prod(middle)))
        inner = const(0)
        if length != 1:
            inner = loops.enter_context(writer.loop(block, vector=in_lanes, limit=limit))
        place_in_back = unflatten(add(start, inner), back)
        position = (*unflatten(outer, lead), *unflatten(step, middle), *place_in_back)
        target = list(position)
        for axis, index in zip(axes, indices, strict=True):
            target[axis] = dynamic(writer.value(index, position), entry.shape[axis])
        place = flatten(target, entry.shape)
        value = writer.value(values, position)
        if mode != "set":
            value = _combined(writer, _SCATTER[mode], memory, place, value, entry.dtype)
        writer.store(memory, place, value)
    return writer, [*phases, next_phase(writer)]


def _by_parts(writer: Writer, entry: Entry, memory: int) -> list[Statement]:
    """A scatter whose values go to any place. They are written in lanes, of which the last wins, as
    everywhere.
    """
    values, *indices = entry.src[1:]
    _, axes = entry.arg
    shape = writer.entries[indices[0]].shape
    size = -(-math.prod(entry.shape) // PARTS)
    with (
        writer.loop(PARTS, parallel=True) as part,
        writer.loop(math.prod(shape), vector=True) as step,
    ):
        position = unflatten(step, shape)
        target = list(position)
        for axis, index in zip(axes, indices, strict=True):
            target[axis] = dynamic(writer.value(index, position), entry.shape[axis])
        place = flatten(tuple(target), entry.shape)
        guard = Guard(add(place, scale(part, -size)), 0, size)
        writer.store(memory, place, writer.value(values, position), (guard,))
    return next_phase(writer)


def _scatter_block(length: int, others: int) -> int:
    """Elements of the axes behind, of `length`, that an item writes; `others` items there are
    anyway.
    """
    wanted = -(-length // max(SCATTER_ITEMS // max(others, 1), 1))
    lines = -(-wanted // LINE) * LINE
    return min(max(lines, SHORTEST_BLOCK), SCATTER_BLOCK, length)


def _combined(
    writer: Writer, op: Primitive, memory: int, place: Index, value: int, dtype: DType
) -> int:
    """The value in memory combined with `value`.

    It is read in the innermost loop wherever `place` would allow: an earlier turn may have
    written it.
    """
    level = len(writer.bodies) - 1
    before = writer.fresh_value(level)
    writer.emit(Load(before, memory, place, dtype), level)
    return writer.let(op, (before, value), dtype)


def _index_is_constant_along(program: Program, indices: list[int], axis: int) -> bool:
    """Whether the index values do not change along `axis` (they were expanded along it)."""
    for number in indices:
        entry = program.entries[number]
        shape = entry.shape
        position = tuple(variable(f"a{a}", size) for a, size in enumerate(shape))
        while entry.op.kind.value == "movement" and entry.op.name != "pad":
            source = program.entries[entry.src[0]]
            position, _ = moved_index(Move(entry.op, entry.arg), source.shape, position)
            entry = source
        if any(Variable(f"a{axis}", shape[axis]) in index.variables() for index in position):
            return False
    return True
