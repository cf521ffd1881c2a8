"""Kernels made for a CPU that this computer does not have, and what their object files ask for.

`CrossChecks` listens to the CPU backend and assembles every kernel that it compiles for other
machines too; ``pytest --also-target aarch64`` does so during any tests. emulated.py runs such code.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager

from grad.codegen.llvm.cpu import CpuBackend
from grad.codegen.llvm.host import HostFunction
from grad.device import open_backend
from grad.kernel.ir import Kernel
from grad.runtime.cpu.assembler import assemble
from grad.runtime.cpu.host import Host, other_host

MACHINES: dict[str, Host] = {
    "aarch64": other_host("aarch64-unknown-linux-gnu"),
    "apple": other_host("arm64-apple-macosx14.0.0", "apple-m1"),
}
ELF_SYMBOL = struct.Struct("<IBBHQQ")


def undefined_symbols(data: bytes) -> set[str]:
    """The names that an ELF object of 64 bits leaves to the linker."""
    assert data[:6] == b"\x7fELF\x02\x01", "not an ELF object of 64 bits, little endian"
    (sections_at,) = struct.unpack_from("<Q", data, 40)
    entry_bytes, count = struct.unpack_from("<HH", data, 58)
    sections = [
        struct.unpack_from("<IIQQQQIIQQ", data, sections_at + number * entry_bytes)
        for number in range(count)
    ]
    names = set()
    for section in sections:
        kind, offset, size, link = section[1], section[4], section[5], section[6]
        if kind != 2:  # the symbol table
            continue
        strings = sections[link][4]
        for at in range(offset + ELF_SYMBOL.size, offset + size, ELF_SYMBOL.size):
            name, _, _, home, _, _ = ELF_SYMBOL.unpack_from(data, at)
            if home == 0:
                names.add(data[strings + name : data.index(b"\0", strings + name)].decode())
    return names


class CrossChecks:
    """Assembles kernels for `machine`, each once, and keeps what it found.

    Attributes:
        kernels: those seen. failures: what LLVM said against some, or what they call.
    """

    def __init__(self, machine: Host) -> None:
        self.machine = machine
        self.backend = CpuBackend(machine)
        self.kernels: set[Kernel] = set()
        self.failures: list[str] = []

    def check(self, kernel: Kernel) -> None:
        """Assemble each phase; an object that calls anything is a failure as well."""
        if kernel in self.kernels:
            return
        self.kernels.add(kernel)
        for phase in self.backend.generate(kernel):
            if isinstance(phase.entry, HostFunction):
                continue  # NumPy's, no code of ours
            text = str(phase.entry)
            try:
                data = assemble(text, self.machine)
            except RuntimeError as error:
                self.failures.append(f"{kernel.name}: {error}\n{text}")
                continue
            wanted = undefined_symbols(data) if data[:4] == b"\x7fELF" else set()
            if wanted:
                self.failures.append(f"{kernel.name} calls {', '.join(sorted(wanted))}")

    @contextmanager
    def listening(self) -> Iterator[CrossChecks]:
        """Check every kernel that the CPU backend is given inside the ``with`` block."""
        backend = open_backend("cpu")
        compile_here = backend.compile

        def compile_both(kernel: Kernel) -> object:
            self.check(kernel)
            return compile_here(kernel)

        backend.compile = compile_both
        try:
            yield self
        finally:
            del backend.compile
