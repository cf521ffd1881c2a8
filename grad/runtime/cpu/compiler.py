"""From LLVM IR text to addresses of machine code.

`compile_ir` has LLVM make an object of the text (assembler.py), and loads it (loader.py, or LLVM's
linker for what that does not know). Objects are kept in memory by text and on disk
(runtime/disk_cache.py) by text, CPU and versions; where one is found LLVM is not needed. Symbols of
the C library are found in the process; `register_symbol` adds our own. Read host.py before.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import tempfile
import threading
from collections.abc import Sequence
from functools import cache
from typing import Any

import llvmlite

from grad.device import open_assembler
from grad.errors import CompileError
from grad.runtime.cpu.aborts import explain_abort
from grad.runtime.cpu.host import Host, host
from grad.runtime.cpu.loader import load
from grad.runtime.disk_cache import DiskCache, digest
from grad.settings import settings
from grad.version import VERSION

_lock = threading.RLock()
_symbols: dict[str, int] = {}
_loaded: dict[str, dict[str, int]] = {}
_c = ctypes.CDLL(None) if os.name == "posix" else None


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
        data = open_assembler().assemble(text, machine, level)
        if disk:
            disk.store(key, data)
    return data


def _load(data: bytes, names: Sequence[str], machine: Host, label: str) -> dict[str, int]:
    """Link an object into this process, for ever."""
    found = load(data, names, _address_of)
    if found is None:
        return open_assembler().link(data, names, _symbols, machine, label)
    addresses, pages = found
    keep_for_ever(pages)
    return addresses


def _address_of(name: str) -> int | None:
    """Where a symbol is that was registered, or that the C library has."""
    address = _symbols.get(name)
    if address is None:
        try:
            address = ctypes.cast(getattr(_c, name), ctypes.c_void_p).value
        except AttributeError:
            return None
    return address


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
def disk_cache(directory: str | os.PathLike[str]) -> DiskCache:
    return DiskCache(directory, limit=settings.cache_bytes)


def versions() -> tuple[str, str]:
    """Versions of llvmlite and of this library."""
    return llvmlite.__version__, VERSION


def keep_for_ever(thing: Any) -> None:
    """Never free `thing`, not even while the interpreter shuts down.

    Pool threads may still be running code in a library when Python clears its modules.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


def _before_fork() -> None:
    """No compilation is under way at a fork, so that the child finds no lock of LLVM held."""
    _lock.acquire()


def _after_fork_in_parent() -> None:
    # Another thread may have opened this module when the fork had begun: then nobody has the lock.
    with contextlib.suppress(RuntimeError):
        _lock.release()


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
