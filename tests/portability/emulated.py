"""A backend that runs kernels made for 64-bit Arm, under qemu's user-mode emulation.

Each phase is generated and assembled for AArch64 and linked with `DRIVER`, a program without a C
library that reads an image of the memory that the kernel uses from its standard input, maps it at
`BASE`, calls the kernel and writes the image back. `EmulatedBackend` copies buffers in and out, so
that everything above the code generator runs as ever. Needs the Debian packages qemu-user and
binutils-aarch64-linux-gnu (or the like); `missing` says what is not there.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from grad.codegen.backend import CompiledPhase, Launch
from grad.codegen.llvm.cpu import CpuBackend
from grad.codegen.llvm.host import HostFunction
from grad.codegen.reference import reach
from grad.device import _opened as opened_backends
from grad.engine.realize import cache
from grad.kernel.ir import Kernel
from grad.runtime.comparisons import Comparison, FirstDifference, interpreted
from grad.runtime.cpu.assembler import assemble
from grad.settings import settings
from tests.portability.cross import MACHINES

ASSEMBLER, LINKER = "aarch64-linux-gnu-as", "aarch64-linux-gnu-ld"
EMULATOR = "qemu-aarch64"
BASE = 1 << 40
PAGE = 4096
WORD = 8

# Linux's calls (their numbers go in x8): read 63, write 64, exit 93, mmap 222 (here: to read and
# write, private, anonymous, at this address). The image begins with the first item, the item after
# the last, and the kernel's argument words; its size comes before it.
DRIVER = f"""
        .global _start
_start: sub     sp, sp, #16
        mov     x0, #0
        mov     x1, sp
        mov     x2, #8
        mov     x8, #63
        svc     #0
        ldr     x19, [sp]
        mov     x0, #{BASE}
        mov     x1, x19
        mov     x2, #3
        mov     x3, #50
        mov     x4, #-1
        mov     x5, #0
        mov     x8, #222
        svc     #0
        mov     x20, x0
        mov     x22, #0
        mov     x23, #63
        bl      transfer
        add     x0, x20, #16
        ldp     x1, x2, [x20]
        mov     x3, #0
        bl      kernel
        mov     x22, #1
        mov     x23, #64
        bl      transfer
        mov     x0, #0
        mov     x8, #93
        svc     #0
transfer:
        mov     x21, #0
next:   mov     x0, x22
        add     x1, x20, x21
        sub     x2, x19, x21
        mov     x8, x23
        svc     #0
        cmp     x0, #0
        b.le    done
        add     x21, x21, x0
        cmp     x21, x19
        b.lt    next
done:   ret
"""


def missing() -> str:
    """Why nothing can be emulated here; empty when it can."""
    if os.name != "posix":
        return "emulation needs a POSIX system"
    absent = [tool for tool in (EMULATOR, ASSEMBLER, LINKER) if shutil.which(tool) is None]
    return f"{' and '.join(absent)} not found: apt install qemu-user binutils-aarch64-linux-gnu" * (
        len(absent) > 0
    )


class EmulatedBackend(CpuBackend):
    """Kernels for AArch64, each run in a process of its own under qemu, on one thread."""

    name = "emulated"
    open_sizes = False

    def __init__(self, directory: Path) -> None:
        super().__init__(MACHINES["aarch64"])
        self.directory = directory
        self.kernels: dict[Kernel, tuple[CompiledPhase, ...]] = {}
        self.runs = 0
        self.driver = directory / "driver.o"
        subprocess.run([ASSEMBLER, "-o", self.driver, "-"], input=DRIVER, text=True, check=True)

    def compile(self, kernel: Kernel) -> tuple[CompiledPhase, ...]:
        found = self.kernels.get(kernel)
        if found is None:
            phases = enumerate(self.generate(kernel))
            found = tuple(
                p
                if isinstance(p.entry, HostFunction)
                else replace(p, entry=(kernel, self.program(n, p)))
                for n, p in phases
            )
            self.kernels[kernel] = found
        return found

    def program(self, number: int, phase: CompiledPhase) -> Path:
        """An executable file that runs a phase."""
        path = self.directory / f"{len(self.kernels)}.{number}"
        path.with_suffix(".o").write_bytes(assemble(str(phase.entry), self.machine))
        command = [LINKER, "-static", "-o", path, self.driver, path.with_suffix(".o")]
        linked = subprocess.run(command, capture_output=True, text=True, check=False)
        assert linked.returncode == 0, linked.stderr
        return path

    def link(self, steps: Sequence[Sequence[Launch]], slot_count: int) -> Any:
        return _Steps(self, steps)

    def workers(self) -> int:
        return 1

    def set_workers(self, count: int) -> None:
        """It computes on one thread whatever is asked for."""

    def first_difference(self, rows: Sequence[Comparison]) -> FirstDifference:
        return interpreted(rows)


class _Steps:
    """The steps of a plan, run one kernel after another."""

    def __init__(self, backend: EmulatedBackend, steps: Sequence[Sequence[Launch]]) -> None:
        self.backend = backend
        self.steps = steps

    def run(self, slots: Sequence[int]) -> None:
        self.run_steps(0, len(self.steps), slots)

    def run_steps(self, first: int, end: int, slots: Sequence[int]) -> None:
        for launch in itertools.chain.from_iterable(self.steps[first:end]):
            if launch.phase.items:
                self.backend.runs += 1
                _emulate(launch, slots)


def _emulate(launch: Launch, slots: Sequence[int]) -> None:
    """Run a phase on a copy of its memory, and write back what it changed."""
    words = [(slots[slot] if slot >= 0 else 0) + offset for slot, offset in launch.arguments]
    if isinstance(launch.phase.entry, HostFunction):
        launch.phase.entry(words, 0, launch.phase.items)
        return
    kernel, program = launch.phase.entry  # pyright: ignore
    pointers = {}  # word number: bytes to show
    for number, (parameter, _) in enumerate(launch.phase.arguments):
        if parameter >= 0 and not kernel.parameters[parameter].scalar:
            pointers[number] = (
                reach(kernel, parameter) * kernel.parameters[parameter].dtype.itemsize
            )
        elif parameter == -2:
            pointers[number] = launch.phase.scratch_bytes
    ranges = _merged([(words[number], size) for number, size in pointers.items()])
    image = bytearray(-(-(len(words) + 2) * WORD // PAGE) * PAGE)
    places = []
    for address, size in ranges:
        image += b"\0" * (address % PAGE)  # alignment stays as it is
        places.append(len(image))
        image += _read(address, size)
        image += b"\0" * (-len(image) % PAGE)
    for number in pointers:
        index = next(n for n, (at, size) in enumerate(ranges) if at <= words[number] <= at + size)
        words[number] = BASE + places[index] + words[number] - ranges[index][0]
    for number, word in enumerate([0, launch.phase.items, *words]):
        image[WORD * number : WORD * number + WORD] = (word & (1 << 64) - 1).to_bytes(8, "little")
    given = len(image).to_bytes(8, "little") + bytes(image)
    done = subprocess.run([EMULATOR, program], input=given, capture_output=True, check=False)
    assert (done.returncode, len(done.stdout)) == (0, len(image)), f"{launch.label}: {done}"
    for place, (address, size) in zip(places, ranges, strict=True):
        before, after = image[place : place + size], done.stdout[place : place + size]
        if before != after:
            _write(address, bytes(before), after)


def _merged(ranges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Ranges (address, size) with those that touch made one: the same memory is shown once."""
    merged: list[tuple[int, int]] = []
    for address, size in sorted(ranges):
        if merged and address <= merged[-1][0] + merged[-1][1]:
            first, length = merged[-1]
            merged[-1] = (first, max(length, address + size - first))
        else:
            merged.append((address, size))
    return merged


def _read(address: int, size: int) -> bytes:
    """Memory of this process; zeros where there is none (a kernel may reach less than it says)."""
    with open("/proc/self/mem", "rb", buffering=0) as memory:
        memory.seek(address)
        found = memory.read(size) or b"" if size else b""
    return found + b"\0" * (size - len(found))


def _write(address: int, before: bytes, after: bytes) -> None:
    """Put the bytes that differ where they belong."""
    start = next(n for n, (a, b) in enumerate(zip(before, after, strict=True)) if a != b)
    stop = next(n for n in range(len(after), 0, -1) if before[n - 1] != after[n - 1])
    ctypes.memmove(address + start, after[start:stop], stop - start)


@contextmanager
def emulated() -> Iterator[EmulatedBackend]:
    """Compute everything inside the ``with`` block under emulation."""
    with tempfile.TemporaryDirectory() as directory:
        backend = EmulatedBackend(Path(directory))
        opened_backends[backend.name] = backend
        try:
            with settings.override(backend=backend.name):
                yield backend
        finally:
            del opened_backends[backend.name]
            cache.clear()
