"""The kernel of a recurrence or its gradient: one statement, with the strides of its operands.

As for attention (lower_attention.py), operands are read where they are when their rows lie in one
run each.
"""

from __future__ import annotations

from collections.abc import Container

from grad.graph.movement import contiguous_strides
from grad.graph.primitives import RECURRENCE
from grad.kernel.ir import Recurrence, Rows, Statement
from grad.kernel.lower_attention import operand_rows
from grad.kernel.writer import Writer
from grad.schedule.demand import Group
from grad.schedule.program import Program


def lower_recurrence(
    program: Program, group: Group, in_memory: Container[int]
) -> tuple[Writer, list[list[Statement]]]:
    """All results that the group stores, by one statement."""
    entry = program.entries[group.root]
    how = entry.arg
    names = how.operands if entry.op is RECURRENCE else how.gradient_operands
    writer = Writer(program, in_memory)
    operands = tuple(
        (name, operand_rows(program, writer, number))
        for name, number in zip(names, entry.src, strict=False)
    )
    results = []
    for number in sorted(group.stored):
        result = program.entries[number]
        memory = writer.parameter("memory", number, result.dtype, written=True)
        rows = Rows(memory, result.dtype, result.shape, contiguous_strides(result.shape))
        results.append((result.arg.part, rows))
    # Kernels that differ only in the part that was asked for are equal.
    plain = how._replace(part="")
    statement = Recurrence(entry.op, plain, entry.dtype, operands, tuple(results))
    return writer, [[statement]]
