"""Devices by name. There is one so far, the CPU.

`Device("cpu")` compares equal to its name, so that code written for PyTorch (``x.device == "cpu"``,
``torch.device("cpu").type``) runs. Public as ``grad.device``.
"""

from __future__ import annotations

import importlib
from typing import Any

from grad.errors import DeviceError

_KINDS = ("cpu",)


class Device:
    """A place where values are stored and computed.

    Attributes:
        type: the kind of device, ``"cpu"``. index: which one of its kind, or None.

    Raises:
        DeviceError: there is no such device.
    """

    __slots__ = ("index", "type")

    def __init__(self, name: str | Device, index: int | None = None) -> None:
        if isinstance(name, Device):
            self.type, self.index = name.type, name.index
            return
        if not isinstance(name, str):
            raise DeviceError(f"a device is named by a str such as 'cpu', not by {name!r}.")
        kind, _, number = name.partition(":")
        if kind not in _KINDS or (number and number != "0") or index not in (None, 0):
            raise DeviceError(
                f"there is no device {name!r}; there is {', '.join(_KINDS)}. Programs for several "
                f"machines ask grad.cuda.is_available() first."
            )
        self.type = kind
        self.index = int(number) if number else index

    def __eq__(self, other: Any) -> bool:
        if isinstance(other, str):
            return other in (self.type, str(self))
        return isinstance(other, Device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash(str(self))

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type={self.type!r}{index})"

    def __reduce__(self) -> tuple[Any, ...]:
        return Device, (str(self),)


CPU = Device("cpu")


def check_device(device: Any) -> None:
    """Raise DeviceError unless `device` (a Device, a name or None) is one that exists."""
    if device is not None and device is not CPU:
        Device(device)


# Where the compiler, the backends and the array namespace are. They are opened at first use, so
# that `import grad` loads no compiler: this is the only late import there is.
ARRAY_NAMESPACE = "grad.array_api"
PLANS = "grad.engine.saved_plans"
COMPILER = "grad.engine.assembly"
GENERATOR = "grad.codegen.llvm.phases"
ASSEMBLER = "grad.runtime.cpu.assembler"
BACKENDS = {"cpu": "grad.codegen.llvm.cpu", "reference": "grad.codegen.reference"}


_opened: dict[str, Any] = {}


def open_array_namespace() -> Any:
    """The functions of the Array API standard, a module, loaded when first asked for."""
    return importlib.import_module(ARRAY_NAMESPACE)


def open_plans() -> Any:
    """The module that finds plans on disk, or has them made, loaded when first asked for."""
    return importlib.import_module(PLANS)


def open_compiler() -> Any:
    """The module that makes plans of programs, loaded when first asked for."""
    return importlib.import_module(COMPILER)


def open_generator() -> Any:
    """The module that writes the code of kernels for the CPU, loaded when first asked for."""
    return importlib.import_module(GENERATOR)


def open_assembler() -> Any:
    """The module that is LLVM's face, loaded when first asked for."""
    return importlib.import_module(ASSEMBLER)


def open_backend(name: str) -> Any:
    """The backend called `name` (a `grad.codegen.backend.Backend`), loaded when first asked for."""
    found = _opened.get(name)
    if found is None:
        if name not in BACKENDS:
            raise DeviceError(f"there is no backend {name!r}; there are {', '.join(BACKENDS)}.")
        found = _opened[name] = importlib.import_module(BACKENDS[name]).open_backend()
    return found


def opened_backends() -> tuple[Any, ...]:
    """The backends that have been opened so far."""
    return tuple(_opened.values())
