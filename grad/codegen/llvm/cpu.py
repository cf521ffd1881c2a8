"""The CPU backend: kernels to machine code through LLVM, plans to native call lists.

Each phase of a kernel becomes one function (`loops.py`, or the `phase.py` of what has code of its
own). The text is the same for equal kernels, so equal kernels share code, in
this process and on disk. How much of the parallel loop a thread takes at a time follows from the
cost of an item.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from math import ceil

from grad.codegen.backend import (
    CONSTANT,
    SCRATCH,
    CompiledPhase,
    Launch,
    Runnable,
    argument_words,
)
from grad.codegen.llvm.attention import emit as attention
from grad.codegen.llvm.attention import plan as attention_plan
from grad.codegen.llvm.contraction.phase import contraction_phase
from grad.codegen.llvm.convolution.phase import convolution_phase, convolution_weight_phase
from grad.codegen.llvm.host import HostFunction, host_phase
from grad.codegen.llvm.loops import phase_text
from grad.codegen.llvm.open_sizes import OpenSizes
from grad.graph.sizes import hint
from grad.kernel.cost import phase_cost
from grad.kernel.ir import (
    Attention,
    HostCall,
    Kernel,
    Loop,
    Statement,
    scratch_layout,
)
from grad.kernel.ir_contraction import Contraction
from grad.kernel.ir_convolution import (
    Convolution,
    ConvolutionWeight,
)
from grad.runtime.comparisons import Comparison, FirstDifference
from grad.runtime.cpu.callbacks import Callback, CallbackPlan
from grad.runtime.cpu.comparisons import first_difference
from grad.runtime.cpu.compiler import assembly_text, compile_ir
from grad.runtime.cpu.host import Host, host
from grad.runtime.cpu.limits import memory_rates, operations_rate
from grad.runtime.cpu.replay import Call, NativePlan
from grad.runtime.cpu.threads import get_num_threads, set_num_threads
from grad.settings import settings

SYMBOL = "kernel"
# A thread takes at least this much work at a time, in the unit of kernel/cost.py (a vector
# instruction).
GRAIN_COST = 12000.0
# About how long the unit takes, for the pool.
COST_NANOSECONDS = 0.5
# Items of a loop in lanes are handed out in multiples of this, so that chunks begin on whole
# vectors.
LANE_GRAIN = 256
# Fewer chunks than this are evened out.
EVEN_CHUNKS = 32


class CpuBackend:
    """Machine code for `machine`, which is this computer's CPU where the code is to run here.

    All that is generated follows from `machine` alone, so code for another CPU can be made, and
    assembled, anywhere.
    """

    name = "cpu"
    open_sizes = True

    def __init__(self, machine: Host) -> None:
        self.machine = machine
        self._compiled: dict[Kernel, tuple[CompiledPhase, ...]] = {}

    def compile(self, kernel: Kernel) -> tuple[CompiledPhase, ...]:
        """Compile each phase, or find it compiled already."""
        found = self._compiled.get(kernel)
        if found is None:
            found = tuple(
                replace(phase, entry=_entry(phase.entry, kernel.name, self.machine))
                for phase in self.generate(kernel)
            )
            self._compiled[kernel] = found
        return found

    def generate(self, kernel: Kernel) -> tuple[CompiledPhase, ...]:
        """Each phase with the text of a module as its entry, which defines `SYMBOL`; or with a
        function of NumPy.
        """
        return tuple(self._phase(kernel, phase) for phase in kernel.phases)

    def limits(
        self, threads: int, footprints: Sequence[int]
    ) -> tuple[float, list[tuple[int, float]]]:
        """Operations a second, and bytes a second that are copied, by size: measured now."""
        return operations_rate(threads), memory_rates(threads, True, footprints)

    def code(self, kernel: Kernel) -> str:
        """The LLVM IR of `kernel`, a module a phase."""
        return "\n".join(str(phase.entry) for phase in self.generate(kernel))

    def assembly(self, kernel: Kernel) -> str:
        """The machine code of `kernel`, in LLVM's assembly language."""
        return "\n".join(
            assembly_text(phase.entry, self.machine)
            if isinstance(phase.entry, str)
            else str(phase.entry)
            for phase in self.generate(kernel)
        )

    def _phase(self, kernel: Kernel, phase: Sequence[Statement]) -> CompiledPhase:
        last = phase[-1]
        if isinstance(last, Contraction):
            return contraction_phase(self.machine, SYMBOL, kernel, phase, last)
        if isinstance(last, Attention):
            return self._attention(kernel, last)
        if isinstance(last, Convolution):
            return convolution_phase(self.machine, SYMBOL, kernel, phase, last)
        if isinstance(last, ConvolutionWeight):
            return convolution_weight_phase(self.machine, SYMBOL, kernel, last)
        if isinstance(last, HostCall):
            return host_phase(last, argument_words(kernel.parameters))
        assert isinstance(last, Loop)
        machine = self.machine
        sizes = OpenSizes(len(kernel.parameters))
        text = phase_text(kernel, phase, SYMBOL, machine.features, machine.vector_bytes, sizes)
        words = (*argument_words(kernel.parameters), *sizes.words())
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

    def link(self, steps: Sequence[Sequence[Launch]], slot_count: int) -> Runnable:
        """The native call list of a plan."""
        calls, callbacks = [], []
        for step in steps:
            row = []
            for launch in step:
                phase = launch.phase
                entry = phase.entry
                if isinstance(entry, Callback):
                    callbacks.append(entry)
                    entry = entry.address
                assert isinstance(entry, int)
                call = Call(entry, launch.arguments, phase.items, phase.grain, phase.nanoseconds)
                row.append(call)
            calls.append(row)
        native = NativePlan(calls, slot_count)
        return CallbackPlan(native, callbacks) if callbacks else native

    def workers(self) -> int:
        return get_num_threads()

    def set_workers(self, count: int) -> None:
        set_num_threads(count)

    def first_difference(self, rows: Sequence[Comparison]) -> FirstDifference:
        return first_difference(rows)


def _entry(entry: object, label: str, machine: Host) -> int | Callback:
    """What a phase runs: compiled code, or a callback."""
    if isinstance(entry, HostFunction):
        return Callback(entry, entry.words)
    return _compile(str(entry), label, machine)


def _compile(text: str, label: str, machine: Host) -> int:
    if settings.debug >= 5:
        print(text, file=sys.stderr)
    return compile_ir(text, [SYMBOL], label, machine=machine)[SYMBOL]


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


def open_backend() -> CpuBackend:
    """The CPU backend, for `grad.device.open_backend`."""
    return CpuBackend(host())
