"""Give a script what it imports as ``torch`` from the framework that a test chooses.

Both run in one process, so neither the import hook (which serves one of them to all) nor a copy of
the script will do: the script is executed with an ``__import__`` of its own.
"""

from __future__ import annotations

import builtins
import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

DIRECTORY = Path(__file__).parent


def importing(framework: str) -> Any:
    """``__import__``, to which ``torch...`` is `framework`."""

    def import_(name: str, *arguments: Any) -> Any:
        top, _, below = name.partition(".")
        if top != "torch":
            return builtins.__import__(name, *arguments)
        found = importlib.import_module(".".join([framework, below] if below else [framework]))
        names = arguments[2] if len(arguments) > 2 else None
        return found if names else importlib.import_module(framework)

    return import_


def load(name: str, framework: str) -> ModuleType:
    """The script `name` of this directory as a module, with `framework` under the name torch."""
    path = DIRECTORY / f"{name}.py"
    module = ModuleType(f"{__package__}.{name}_with_{framework}", f"{name} with {framework}.")
    sys.modules[module.__name__] = module  # where dataclasses look their annotations up
    module.__dict__["__builtins__"] = {**vars(builtins), "__import__": importing(framework)}
    module.__dict__["__file__"] = str(path)
    exec(compile(path.read_text(), str(path), "exec"), module.__dict__)
    return module
