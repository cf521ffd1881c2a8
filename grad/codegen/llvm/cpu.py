"""The CPU backend: kernels to machine code through LLVM, plans to native call lists.

The code generator (phases.py) is opened when there is something to compile: a process whose plans
and code are on disk never loads it. The text of a phase is the same for equal kernels, so equal
kernels share code, in this process and on disk.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from grad.codegen.backend import CompiledPhase, Launch, Runnable
from grad.device import open_assembler, open_generator
from grad.runtime.comparisons import Comparison, FirstDifference
from grad.runtime.cpu.callbacks import Callback, CallbackPlan
from grad.runtime.cpu.comparisons import first_difference
from grad.runtime.cpu.compiler import compile_ir, object_key, reopen, versions
from grad.runtime.cpu.host import Host, host
from grad.runtime.cpu.limits import memory_rates, operations_rate
from grad.runtime.cpu.replay import Call, NativePlan
from grad.runtime.cpu.threads import get_num_threads, set_num_threads
from grad.settings import settings

if TYPE_CHECKING:
    from grad.kernel.ir import Kernel

# The function that each module of a kernel defines.
SYMBOL = "kernel"


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
                _compiled(phase, kernel.name, self.machine) for phase in self.generate(kernel)
            )
            self._compiled[kernel] = found
        return found

    def identity(self) -> tuple[str, ...]:
        """The machine, and the versions of what makes code."""
        machine = self.machine
        names = machine.triple, machine.cpu, machine.feature_string
        sizes = machine.vector_bytes, machine.l1_bytes, machine.l2_bytes, machine.l3_bytes
        return *names, *map(str, sizes), str(machine.cores), *versions()

    def reopened(self, code_key: str) -> int | None:
        """The address of a phase's code that is in this process or on disk."""
        addresses = reopen(code_key, [SYMBOL], "a kernel", self.machine)
        return None if addresses is None else addresses[SYMBOL]

    def generate(self, kernel: Kernel) -> tuple[CompiledPhase, ...]:
        """Each phase with the text of a module as its entry, which defines `SYMBOL`; or with a
        function of NumPy.
        """
        return open_generator().generate(self.machine, kernel)

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
        text_of = open_assembler().assembly_text
        return "\n".join(
            text_of(phase.entry, self.machine) if isinstance(phase.entry, str) else str(phase.entry)
            for phase in self.generate(kernel)
        )

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


def _compiled(phase: CompiledPhase, label: str, machine: Host) -> CompiledPhase:
    """A phase with the address of its code in place of the text, or with a callback."""
    text: Any = phase.entry
    if not isinstance(text, str):
        return replace(phase, entry=Callback(text, text.words))
    if settings.debug >= 5:
        print(text, file=sys.stderr)
    address = compile_ir(text, [SYMBOL], label, machine=machine)[SYMBOL]
    return replace(phase, entry=address, code_key=object_key(text, machine))


def open_backend() -> CpuBackend:
    """The CPU backend, for `grad.device.open_backend`."""
    return CpuBackend(host())
