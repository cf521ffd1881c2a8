"""The kernel of a function of NumPy (graph/host.py): one statement, on operands in memory."""

from __future__ import annotations

from collections.abc import Container

from grad.graph.movement import contiguous_strides
from grad.kernel.ir import HostCall, Rows, Statement
from grad.kernel.writer import Writer
from grad.schedule.demand import Group
from grad.schedule.facts import renumbered
from grad.schedule.program import Program


def lower_host(
    program: Program, group: Group, in_memory: Container[int]
) -> tuple[Writer, list[list[Statement]]]:
    """The result of the function from all of its operands."""
    entry = program.entries[group.root]
    writer = Writer(program, in_memory)
    operands = []
    for number in entry.src:
        source = program.entries[number]
        memory = writer.parameter("memory", renumbered(program, number), source.dtype)
        strides = contiguous_strides(source.shape)
        operands.append(Rows(memory, source.dtype, source.shape, strides))
    memory = writer.parameter("memory", group.root, entry.dtype, written=True)
    result = Rows(memory, entry.dtype, entry.shape, contiguous_strides(entry.shape))
    return writer, [[HostCall(entry.arg, tuple(operands), result)]]
