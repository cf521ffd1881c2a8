"""From LLVM IR text to addresses of machine code.

`compile_ir` parses and verifies the text, has LLVM emit an object for the host (no optimisation
passes: the code generators write vectors themselves), and loads it. Objects are kept in memory by
text and on disk (runtime/disk_cache.py) by text, CPU and versions; loading a saved one takes 0.4
ms. Symbols of the C library are found in the process; `register_symbol` adds our own. Read host.py
before.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import tempfile
import threading
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
from llvmlite import binding

from grad.errors import CompileError
from grad.runtime.cpu.aborts import explain_abort
from grad.runtime.cpu.host import Host, host
from grad.runtime.disk_cache import DiskCache, digest
from grad.settings import settings
from grad.version import VERSION

binding.initialize_native_target()
binding.initialize_native_asmprinter()

_lock = threading.RLock()
_symbols: dict[str, int] = {}
_loaded: dict[str, dict[str, int]] = {}
_library_numbers = itertools.count()


def register_symbol(name: str, address: int) -> None:
    """Let code compiled from now on refer to `name`, a function or datum at `address`."""
    with _lock:
        if _symbols.setdefault(name, address) != address:
            raise ValueError(f"symbol {name} is registered already, at another address.")


def compile_ir(
    text: str, names: Sequence[str], label: str, level: int = 2, machine: Host | None = None
) -> dict[str, int]:
    """Addresses of the functions `names` that the module `text` defines.

    The same text gives the same addresses for as long as the process lives. Safe in any thread.

    Args:
        text: a module of LLVM IR, without a target triple or data layout.
        names: the functions wanted; they must have external linkage.
        label: what the code is, for error messages: ``"softmax kernel"``.
        level: how hard LLVM's instruction selection and scheduling try, 0 to 3.
        machine: the CPU to compile for, which must be able to run here; `host()` when None.

    Raises:
        CompileError: when LLVM refuses the text, or a name or symbol is missing. The text is
            written to a file that the message names. (Where LLVM aborts the process instead, the
            message is printed first: aborts.py.)
    """
    machine = machine or host()
    key = object_key(text, machine, level)
    with _lock:
        addresses = _loaded.get(key)
        if addresses is None or not all(name in addresses for name in names):
            try:
                with explain_abort(lambda: _refused("it aborted, see above", text, label)):
                    data = _object_code(key, text, machine, level)
                addresses = (addresses or {}) | _load(data, names, machine, label)
            except RuntimeError as error:
                raise _refusal(error, text, label) from error
            _loaded[key] = addresses
    return {name: addresses[name] for name in names}


def object_key(text: str, machine: Host, level: int = 2) -> str:
    """Under what name the object of `text` is kept, in this process and on disk."""
    return digest(
        text, machine.triple, machine.cpu, machine.feature_string, str(level), *versions()
    )


def reopen(key: str, names: Sequence[str], label: str, machine: Host) -> dict[str, int] | None:
    """Addresses of the functions `names` of the object that `compile_ir` made under `key`, in this
    process or an earlier one; None where it is not to be had.
    """
    with _lock:
        addresses = _loaded.get(key)
        if addresses is None:
            data = disk_cache(settings.cache_directory).load(key) if settings.cache else None
            if data is None:
                return None
            try:
                addresses = _loaded[key] = _load(data, names, machine, label)
            except RuntimeError:
                return None  # it is compiled again, which says what is wrong
    found = {name: addresses[name] for name in names if name in addresses}
    return found if len(found) == len(names) else None


def _object_code(key: str, text: str, machine: Host, level: int) -> bytes:
    """The object for `text`, from disk or from LLVM."""
    disk = disk_cache(settings.cache_directory) if settings.cache else None
    data = disk.load(key) if disk else None
    if data is None:
        data = assemble(text, machine, level)
        if disk:
            disk.store(key, data)
    return data


def assemble(text: str, machine: Host, level: int = 2) -> bytes:
    """An object file of the module `text` for `machine`, which need not be this computer's CPU.

    Raises:
        RuntimeError: LLVM's, when it refuses the text.
    """
    module = binding.parse_assembly(text)
    module.verify()
    return target_machine(machine, level).emit_object(module)


def assembly_text(text: str, machine: Host, level: int = 2) -> str:
    """As `assemble`, for people: the instructions by name."""
    module = binding.parse_assembly(text)
    module.verify()
    return target_machine(machine, level).emit_assembly(module)


def _load(data: bytes, names: Sequence[str], machine: Host, label: str) -> dict[str, int]:
    """Link an object into this process, for ever."""
    builder = binding.JITLibraryBuilder().add_object_img(data).add_current_process()
    for name, address in _symbols.items():
        if name.encode() in data:  # where it is not, the object does not refer to it
            builder.import_symbol(name, address)
    for name in names:
        builder.export_symbol(name)
    library = builder.link(linker(machine), f"{label} {next(_library_numbers)}")
    keep_for_ever(library)
    return {name: library[name] for name in names}


def _refusal(error: RuntimeError, text: str, label: str) -> CompileError:
    """The exception for IR that LLVM refused, after writing the IR to a file."""
    return CompileError(_refused(str(error).strip(), text, label))


def _refused(reason: str, text: str, label: str) -> str:
    """What to say when LLVM refuses IR, which is written to a file."""
    handle, path = tempfile.mkstemp(prefix="micrograd-", suffix=".ll")
    with os.fdopen(handle, "w") as file:
        file.write(text)
    return (
        f"LLVM refused the code of {label}: {reason}. The code is in {path}. This is a defect of "
        f"the code generator; please report it with that file."
    )


@cache
def target_machine(machine: Host, level: int) -> binding.TargetMachine:
    """LLVM's code generator for `machine`. Position-independent code may sit anywhere."""
    if machine.architecture != host().architecture:
        binding.initialize_all_targets()
        binding.initialize_all_asmprinters()
    made = binding.Target.from_triple(machine.triple).create_target_machine(
        cpu=machine.cpu,
        features=machine.feature_string,
        opt=level,
        reloc="pic",
        codemodel="default",
        jit=True,
    )
    keep_for_ever(made)
    return made


@cache
def linker(machine: Host) -> binding.LLJIT:
    """The dynamic linker for objects of `machine`."""
    # The linker may consume the target machine it is given, hence one of its own.
    own = binding.Target.from_triple(machine.triple).create_target_machine(
        cpu=machine.cpu, features=machine.feature_string, jit=True
    )
    made = binding.create_lljit_compiler(own)
    keep_for_ever(own)
    keep_for_ever(made)
    return made


@cache
def disk_cache(directory: Path) -> DiskCache:
    return DiskCache(directory)


def versions() -> tuple[str, str]:
    """Versions of llvmlite and of this library."""
    return llvmlite.__version__, VERSION


def keep_for_ever(thing: Any) -> None:
    """Never free `thing`, not even while the interpreter shuts down.

    Pool threads may still be running code in a library when Python clears its modules.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


if hasattr(os, "register_at_fork"):
    # No compilation is under way at a fork, so that the child finds no lock held, LLVM's included.
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )
