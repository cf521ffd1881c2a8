"""The kernel of an attention or its gradient: one statement, with the strides of its operands.

Operands are read where they are when their rows lie in one run each (`rows_base`), so that heads
cut out of one projection, or transposed views, are not copied. Everything else is left to the
backend: `codegen/llvm/attention/emit.py` writes loops, `interpret.py` runs the definition.
"""

from __future__ import annotations

import math
from collections.abc import Container

from grad.graph.movement import contiguous_strides
from grad.graph.primitives import ATTENTION
from grad.kernel.ir import Attention, Rows, Statement
from grad.kernel.writer import Writer
from grad.schedule.demand import Group
from grad.schedule.facts import renumbered, rows_base
from grad.schedule.program import Program


def lower_attention(
    program: Program, group: Group, in_memory: Container[int]
) -> tuple[Writer, list[list[Statement]]]:
    """All results that the group stores, by one statement."""
    entry = program.entries[group.root]
    how = entry.arg
    names = how.operands if entry.op is ATTENTION else how.gradient_operands
    writer = Writer(program, in_memory)
    operands = []
    random = None
    for name, number in zip(names, entry.src, strict=True):
        if name == "random":
            random = writer.parameter("scalar", number, program.entries[number].dtype)
        else:
            operands.append((name, operand_rows(program, writer, number)))
    results = []
    for number in sorted(group.stored):
        result = program.entries[number]
        memory = writer.parameter("memory", number, result.dtype, written=True)
        rows = Rows(memory, result.dtype, result.shape, contiguous_strides(result.shape))
        results.append((result.arg.part, rows))
    # Kernels that differ only in the part that was asked for are equal.
    plain = how._replace(part="")
    statement = Attention(entry.op, plain, entry.dtype, tuple(operands), tuple(results), random)
    return writer, [[statement]]


def operand_rows(program: Program, writer: Writer, number: int) -> Rows:
    """Where an operand's elements are: in the memory below a view, or in its own."""
    entry = program.entries[number]
    base = rows_base(program, number)
    if base is None or number in writer.in_memory:
        source = renumbered(program, number)
        memory = writer.parameter("memory", source, entry.dtype)
        return Rows(memory, entry.dtype, entry.shape, contiguous_strides(entry.shape))
    source, layout = base
    memory = writer.parameter("memory", source, entry.dtype)
    if not math.prod(entry.shape):
        return Rows(memory, entry.dtype, entry.shape, layout.strides)
    return Rows(memory, entry.dtype, entry.shape, layout.strides, layout.offset)
