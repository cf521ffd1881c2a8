"""LLVM: the text of a module to an object, an object to addresses, and what this CPU is called.

compiler.py and host.py open this module where they need it (`grad.device.open_assembler`), and
only then: loading LLVM takes 50 MB of memory and 30 ms. No optimisation passes run: the code
generators write vectors themselves.
"""

from __future__ import annotations

import ctypes
import errno
import itertools
import mmap
import os
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import llvmlite
from llvmlite.utils import get_library_name

from grad.errors import OutOfMemoryError
from grad.runtime.cpu.host import Host, host


def _lacks_memory() -> bool:
    """Whether this process cannot have as much memory as LLVM's code takes."""
    library = os.path.join(os.path.dirname(llvmlite.__file__), "binding", get_library_name())
    try:
        mmap.mmap(-1, os.path.getsize(library)).close()
    except OSError as error:
        return error.errno == errno.ENOMEM
    return False


try:
    from llvmlite import binding
except OSError as error:
    # llvmlite says that the file cannot be found.
    if _lacks_memory():
        raise OutOfMemoryError(
            "new code is to be compiled, and there is no memory to load LLVM. Free tensors you do "
            "not need, or let the process have more."
        ) from error
    raise

binding.initialize_native_target()
binding.initialize_native_asmprinter()

_library_numbers = itertools.count()


def process_names() -> tuple[str, str, dict[str, bool]]:
    """LLVM's triple of this process, name of this CPU, and which features it has."""
    features = dict(binding.get_host_cpu_features())
    return binding.get_process_triple(), binding.get_host_cpu_name(), features


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


def link(
    data: bytes, names: Sequence[str], symbols: Mapping[str, int], machine: Host, label: str
) -> dict[str, int]:
    """Link an object into this process, for ever; gives the addresses of `names`.

    Raises:
        RuntimeError: LLVM's, when it refuses the object or a symbol is missing.
    """
    builder = binding.JITLibraryBuilder().add_object_img(data).add_current_process()
    for name, address in symbols.items():
        if name.encode() in data:  # where it is not, the object does not refer to it
            builder.import_symbol(name, address)
    for name in names:
        builder.export_symbol(name)
    library = builder.link(linker(machine), f"{label} {next(_library_numbers)}")
    keep_for_ever(library)
    return {name: library[name] for name in names}


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


def keep_for_ever(thing: Any) -> None:
    """Never free `thing`, not even while the interpreter shuts down.

    Pool threads may still be running code in a library when Python clears its modules.
    """
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))
