"""A script written for one library runs with the other: names in `sys.modules` lead elsewhere.

The examples import `grad` and are run with PyTorch, which has namesakes for nearly all that they
use; what it has not is ours, with PyTorch's tensors in the end. The programs of tests/programs
import `torch`, which `grad.as_torch` serves.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

Compile = Callable[[Any], Any]


class Namesake(ModuleType):
    """A module that is another one under this name, but for some names of its own."""

    def __init__(self, name: str, other: ModuleType | None, **own: Any) -> None:
        super().__init__(name)
        self.__dict__.update(own)
        self.__path__: list[str] = []  # submodules are imported from it
        self._other = other

    def __getattr__(self, name: str) -> Any:
        return getattr(self._other, name)


def as_it_is(function: Any) -> Any:
    """In the place of a compiler."""
    return function


def compiler(module: str, compiled: bool) -> Compile:
    """The library's `compile`, or one that does nothing."""
    return importlib.import_module(module).compile if compiled else as_it_is


def serve_grad(compile: Compile, progress: Any) -> None:
    """Let scripts import `grad` with this `compile` and this `progress`."""
    vars(importlib.import_module("grad"))["compile"] = compile
    vars(importlib.import_module("grad.utils.progress"))["progress"] = progress
    importlib.import_module("grad.as_torch").install()


def serve_torch(compile: Compile, progress: Any) -> None:
    """Let scripts that import `grad` have PyTorch, with this `compile` and this `progress`."""
    torch = importlib.import_module("torch")
    ours = importlib.import_module("grad")
    data, plot = (importlib.import_module(f"grad.utils.{part}") for part in ("data", "plot"))
    our_load = ours.load  # looked up as long as it can be imported

    def read_mnist(*where: Any, **which: Any) -> Any:
        return tuple(torch.tensor(found.numpy()) for found in data.read_mnist(*where, **which))

    def load(path: Any) -> Any:
        return {name: torch.tensor(found.numpy()) for name, found in our_load(path).items()}

    served = {
        "grad": Namesake("grad", torch, compile=compile, load=load),
        "grad.nn": torch.nn,
        "grad.nn.functional": torch.nn.functional,
        "grad.optim": torch.optim,
        "grad.utils": Namesake("grad.utils", torch.utils, plot=plot),
        "grad.utils.data": Namesake("grad.utils.data", torch.utils.data, read_mnist=read_mnist),
        "grad.utils.plot": plot,
        "grad.utils.progress": Namesake("grad.utils.progress", None, progress=progress),
    }
    # Ours work on without their names; nothing else is to find them by accident.
    for name in [name for name in sys.modules if name.partition(".")[0] == "grad"]:
        del sys.modules[name]
    sys.modules.update(served)


SERVE: dict[str, Callable[[Compile, Any], None]] = {"grad": serve_grad, "torch": serve_torch}
