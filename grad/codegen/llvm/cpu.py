"""The CPU backend: kernels to machine code through LLVM, plans to native call lists.

Each phase of a kernel becomes one function (`loops.py`, or `contraction/emit.py` with the kernel's
statements as its epilogue). The text is the same for equal kernels, so equal kernels share code, in
this process and on disk. How much of the parallel loop a thread takes at a time follows from the
cost of an item.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from math import prod

from grad.codegen.backend import CONSTANT, SCRATCH, CompiledPhase, Launch, argument_words
from grad.codegen.llvm.addresses import Lanes
from grad.codegen.llvm.attention import emit as attention
from grad.codegen.llvm.attention import plan as attention_plan
from grad.codegen.llvm.builder import Builder, Value, lanes_of
from grad.codegen.llvm.contraction import emit as contraction
from grad.codegen.llvm.contraction.search import search
from grad.codegen.llvm.convolution.phase import convolution_phase, convolution_weight_phase
from grad.codegen.llvm.instructions import element_type
from grad.codegen.llvm.loops import Emitter, phase_text
from grad.graph.index import Index, Variable
from grad.kernel.cost import phase_cost
from grad.kernel.ir import (
    Attention,
    Contraction,
    Kernel,
    Let,
    Load,
    Loop,
    Scalar,
    Statement,
    Store,
    scratch_layout,
)
from grad.kernel.ir_convolution import (
    Convolution,
    ConvolutionWeight,
)
from grad.runtime.cpu.compiler import compile_ir
from grad.runtime.cpu.host import Host, host
from grad.runtime.cpu.replay import Call, NativePlan
from grad.runtime.cpu.threads import get_num_threads, set_num_threads
from grad.settings import settings

SYMBOL = "kernel"
# A thread takes at least this much work at a time, in the unit of kernel/cost.py (a vector
# instruction).
GRAIN_COST = 12000.0
# About how long the unit takes, and an operation and an element of a contraction, for the pool.
COST_NANOSECONDS = 0.5
OPERATION_NANOSECONDS = 0.006
ELEMENT_NANOSECONDS = 0.12
# Items of a loop in lanes are handed out in multiples of this, so that chunks begin on whole
# vectors.
LANE_GRAIN = 256
# Epilogues that cost more are written once in a loop rather than for every vector of a tile.
LONG_EPILOGUE = 8


class CpuBackend:
    """Machine code for `machine`, which is this computer's CPU where the code is to run here.

    All that is generated follows from `machine` alone, so code for another CPU can be made, and
    assembled, anywhere.
    """

    name = "cpu"

    def __init__(self, machine: Host) -> None:
        self.machine = machine
        self._compiled: dict[Kernel, tuple[CompiledPhase, ...]] = {}

    def compile(self, kernel: Kernel) -> tuple[CompiledPhase, ...]:
        """Compile each phase, or find it compiled already."""
        found = self._compiled.get(kernel)
        if found is None:
            found = tuple(
                replace(phase, entry=_compile(str(phase.entry), kernel.name, self.machine))
                for phase in self.generate(kernel)
            )
            self._compiled[kernel] = found
        return found

    def generate(self, kernel: Kernel) -> tuple[CompiledPhase, ...]:
        """Each phase with the text of a module as its entry; the module defines `SYMBOL`."""
        return tuple(self._phase(kernel, phase) for phase in kernel.phases)

    def _phase(self, kernel: Kernel, phase: Sequence[Statement]) -> CompiledPhase:
        last = phase[-1]
        if isinstance(last, Contraction):
            return self._contraction(kernel, phase, last)
        if isinstance(last, Attention):
            return self._attention(kernel, last)
        if isinstance(last, Convolution):
            return convolution_phase(self.machine, SYMBOL, kernel, phase, last)
        if isinstance(last, ConvolutionWeight):
            return convolution_weight_phase(self.machine, SYMBOL, kernel, last)
        assert isinstance(last, Loop)
        machine = self.machine
        text = phase_text(kernel, phase, SYMBOL, machine.features, machine.vector_bytes)
        words = argument_words(kernel.parameters)
        _, scratch_bytes = scratch_layout(kernel.parameters)
        nanoseconds = phase_cost((last,)) * COST_NANOSECONDS
        return CompiledPhase(
            text, words, last.variable.size, grain(phase, last), scratch_bytes, nanoseconds
        )

    def _attention(self, kernel: Kernel, s: Attention) -> CompiledPhase:
        machine = self.machine
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

    def _contraction(
        self, kernel: Kernel, phase: Sequence[Statement], nest: Contraction
    ) -> CompiledPhase:
        machine = self.machine
        types = {p.number: p.dtype for p in kernel.parameters}
        a_memory, b_memory = types[nest.a_parameter], types[nest.b_parameter]
        variables = (*nest.batch, nest.row, nest.k)
        b_variables = (*nest.batch, nest.k, nest.column)
        problem = contraction.Problem.on(
            machine.features,
            machine.vector_bytes,
            machine.l2_bytes,
            element_type(nest.dtype),
            [v.size for v in (*nest.batch, nest.row, nest.column, nest.k)],
            [stride(nest.a, v) for v in variables],
            [stride(nest.b, v) for v in b_variables],
            a_memory,
            b_memory,
        )
        tuning = search(problem, machine) if settings.search and machine == host() else None
        choice = contraction.choose(problem, tuning)
        first = len(kernel.parameters)
        epilogue = _Epilogue(kernel, phase, nest)
        structure = replace(choice.structure, long_epilogue=epilogue.cost > LONG_EPILOGUE)
        text = contraction.emit(
            structure, SYMBOL, machine.features, machine.vector_bytes, epilogue.emit, first
        )
        words = [(p.number, 0) for p in kernel.parameters]
        words.append((nest.a_parameter, nest.a.constant * a_memory.itemsize))
        words.append((nest.b_parameter, nest.b.constant * b_memory.itemsize))
        words.append((SCRATCH, 0))
        words.extend((CONSTANT, number) for number in choice.arguments)
        return CompiledPhase(
            text,
            tuple(words),
            choice.items,
            choice.grain,
            choice.scratch_bytes,
            contraction_nanoseconds(nest),
        )

    def link(self, steps: Sequence[Sequence[Launch]], slot_count: int) -> NativePlan:
        """The native call list of a plan."""
        calls = []
        for step in steps:
            row = []
            for launch in step:
                phase = launch.phase
                assert isinstance(phase.entry, int)
                call = Call(
                    phase.entry, launch.arguments, phase.items, phase.grain, phase.nanoseconds
                )
                row.append(call)
            calls.append(row)
        return NativePlan(calls, slot_count)

    def workers(self) -> int:
        return get_num_threads()

    def set_workers(self, count: int) -> None:
        set_num_threads(count)


def _compile(text: str, label: str, machine: Host) -> int:
    if settings.debug >= 5:
        print(text, file=sys.stderr)
    return compile_ir(text, [SYMBOL], label, machine=machine)[SYMBOL]


def stride(index: Index, variable: Variable) -> int:
    """Elements that an operand's index moves with one step of `variable`."""
    found = index.coefficient(variable)
    assert found is not None, f"the operand at {index} is not affine in {variable.name}"
    return found


def contraction_nanoseconds(nest: Contraction) -> float:
    """About how long one thread takes for the arithmetic and for reading the operands."""
    batch = prod(v.size for v in nest.batch)
    m, n, k = nest.row.size, nest.column.size, nest.k.size
    operations, elements = 2.0 * batch * m * n * k, batch * (m * k + k * n + m * n)
    return operations * OPERATION_NANOSECONDS + elements * ELEMENT_NANOSECONDS


def grain(phase: Sequence[Statement], loop: Loop) -> int:
    """Items that are worth handing to a thread together; may be more than there are."""
    items = max(loop.variable.size, 1)
    each = phase_cost((loop,)) / items
    wanted = max(int(GRAIN_COST / max(each, 1e-6)), 1)
    if loop.vector:
        wanted = -(-wanted // LANE_GRAIN) * LANE_GRAIN
    return min(wanted, 1 << 40)


class _Epilogue:
    """Writes what becomes of a contraction's sums: the statements of the kernel, one vector at a
    time.
    """

    def __init__(self, kernel: Kernel, phase: Sequence[Statement], nest: Contraction) -> None:
        self.kernel = kernel
        self.before = phase[:-1]
        self.nest = nest
        self.used = {
            s.parameter for s in (*self.before, *nest.body) if isinstance(s, Load | Store | Scalar)
        }

    @property
    def cost(self) -> float:
        """What it computes of each element, in the unit of the primitives' cost."""
        return sum(s.op.cost for s in self.nest.body if isinstance(s, Let))

    def emit(
        self,
        b: Builder,
        batch: list[Value],
        row: Value,
        column: Value,
        accumulator: Value,
        mask: Value | None,
    ) -> None:
        nest = self.nest
        emitter = Emitter(b, self.kernel.parameters)
        emitter.load_parameters(self.used)
        for statement in self.before:
            emitter.statement(statement)
        emitter.define(nest.accumulator, accumulator, nest.dtype)
        emitter.addresses.variables.update(zip(nest.batch, batch, strict=True))
        emitter.addresses.variables[nest.row] = row
        emitter.addresses.variables[nest.column] = column
        lanes = lanes_of(accumulator.type)
        if lanes > 1:
            emitter.lanes = Lanes(nest.column, column, lanes, mask)
        for statement in nest.body:
            emitter.statement(statement)


def open_backend() -> CpuBackend:
    """The CPU backend, for `grad.device.open_backend`."""
    return CpuBackend(host())
