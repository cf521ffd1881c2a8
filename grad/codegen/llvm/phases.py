"""The phases of a kernel as LLVM IR: each becomes one function in a module of its own.

`generate` is the door to the code generator: loops.py, or the `phase.py` of what has code of its
own. How much of the parallel loop a thread takes at a time follows from the cost of an item. cpu.py
opens this module when a kernel is to be compiled, and only then.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from grad.codegen.arguments import argument_words
from grad.codegen.backend import CONSTANT, SCRATCH, CompiledPhase
from grad.codegen.llvm.attention import emit as attention
from grad.codegen.llvm.attention import plan as attention_plan
from grad.codegen.llvm.contraction.phase import contraction_phase
from grad.codegen.llvm.convolution.phase import convolution_phase, convolution_weight_phase
from grad.codegen.llvm.cpu import SYMBOL
from grad.codegen.llvm.host import host_phase
from grad.codegen.llvm.loops import phase_text
from grad.codegen.llvm.open_sizes import OpenSizes
from grad.codegen.llvm.recurrence import emit as recurrence
from grad.codegen.llvm.recurrence import plan as recurrence_plan
from grad.graph.sizes import hint
from grad.kernel.cost import phase_cost, recurrence_operations
from grad.kernel.ir import Attention, HostCall, Kernel, Loop, Recurrence, Statement, scratch_layout
from grad.kernel.ir_contraction import Contraction
from grad.kernel.ir_convolution import Convolution, ConvolutionWeight
from grad.runtime.cpu.host import Host

# A thread takes at least this much work at a time, in the unit of kernel/cost.py (a vector
# instruction).
GRAIN_COST = 12000.0
# About how long the unit takes, for the pool.
COST_NANOSECONDS = 0.5
# And an operation of a recurrence's products, with all that belongs to it.
OPERATION_NANOSECONDS = 0.02
# Items of a loop in lanes are handed out in multiples of this, so that chunks begin on whole
# vectors.
LANE_GRAIN = 256
# Fewer chunks than this are evened out.
EVEN_CHUNKS = 32


def generate(machine: Host, kernel: Kernel) -> tuple[CompiledPhase, ...]:
    """Each phase with the text of a module as its entry, which defines `SYMBOL`; or with a function
    of NumPy.
    """
    return tuple(generated(machine, kernel, phase) for phase in kernel.phases)


def generated(machine: Host, kernel: Kernel, phase: Sequence[Statement]) -> CompiledPhase:
    """One phase of `kernel`, with the text of its module as its entry."""
    last = phase[-1]
    if isinstance(last, Contraction):
        return contraction_phase(machine, SYMBOL, kernel, phase, last)
    if isinstance(last, Attention):
        return _attention(machine, kernel, last)
    if isinstance(last, Recurrence):
        return _recurrence(machine, kernel, last)
    if isinstance(last, Convolution):
        return convolution_phase(machine, SYMBOL, kernel, phase, last)
    if isinstance(last, ConvolutionWeight):
        return convolution_weight_phase(machine, SYMBOL, kernel, last)
    if isinstance(last, HostCall):
        return host_phase(last, argument_words(kernel.parameters))
    assert isinstance(last, Loop)
    sizes = OpenSizes(len(kernel.parameters))
    text = phase_text(kernel, phase, SYMBOL, machine.features, machine.vector_bytes, sizes)
    words = (*argument_words(kernel.parameters), *sizes.words())
    _, scratch_bytes = scratch_layout(kernel.parameters)
    nanoseconds = phase_cost((last,)) * COST_NANOSECONDS
    return CompiledPhase(
        text, words, last.variable.size, grain(phase, last), scratch_bytes, nanoseconds
    )


def _attention(machine: Host, kernel: Kernel, s: Attention) -> CompiledPhase:
    choice = attention_plan.choose(s, machine.features, machine.vector_bytes, machine.l2_bytes)
    first = len(kernel.parameters)
    text = attention.emit(choice.code, SYMBOL, machine.features, machine.vector_bytes, first)
    words = [(p.number, 0) for p in kernel.parameters]
    words.extend((r.parameter, r.offset * r.dtype.itemsize) for _, r in s.operands)
    if s.random is not None:
        words.append((s.random, 0))
    words.extend((r.parameter, 0) for _, r in s.results)
    words.append((SCRATCH, 0))
    words.extend((CONSTANT, number) for number in choice.arguments)
    return CompiledPhase(text, tuple(words), choice.items, choice.grain, choice.scratch_bytes)


def _recurrence(machine: Host, kernel: Kernel, s: Recurrence) -> CompiledPhase:
    choice = recurrence_plan.choose(s, machine.features, machine.vector_bytes, machine.l2_bytes)
    first = len(kernel.parameters)
    text = recurrence.emit(choice.code, SYMBOL, machine.features, machine.vector_bytes, first)
    words = [(p.number, 0) for p in kernel.parameters]
    words.extend((r.parameter, r.offset * r.dtype.itemsize) for _, r in (*s.operands, *s.results))
    words.append((SCRATCH, 0))
    words.extend((CONSTANT, number) for number in choice.arguments)
    nanoseconds = recurrence_operations(s) * OPERATION_NANOSECONDS
    return CompiledPhase(text, tuple(words), choice.items, 1, choice.scratch_bytes, nanoseconds)


def grain(phase: Sequence[Statement], loop: Loop) -> int:
    """Items that are worth handing to a thread together; may be more than there are.

    Few chunks are a power of two of about the same size, so that two, four or eight threads have
    as much to do each.
    """
    items = max(hint(loop.variable.size), 1)
    each = phase_cost((loop,)) / items
    wanted = max(int(GRAIN_COST / max(each, 1e-6)), 1)
    chunks = ceil(items / wanted)
    if 1 < chunks < EVEN_CHUNKS:
        wanted = ceil(items / (1 << (chunks - 1).bit_length()))
    if loop.vector:
        wanted = ceil(wanted / LANE_GRAIN) * LANE_GRAIN
    return min(wanted, 1 << 40)
