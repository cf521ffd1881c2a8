"""The import hook: ``torch`` and the modules under it are made from those of `grad`.

`Finder` finds them; a `TorchModule` looks its names up when it is asked for them, in the answers
and in the module it is served from (modules.py). An attribute that is nowhere raises
AttributeError, so that programs can ask `hasattr`; but ``from torch... import name`` gets a
`Missing`, which raises where it is used.
"""

from __future__ import annotations

import dis
import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import FrameType, ModuleType
from typing import Any

from grad.as_torch.missing import Missing, why
from grad.as_torch.modules import TABLE, Served, served

IMPORT_FROM = dis.opmap["IMPORT_FROM"]


NOWHERE = object()


class TorchModule(ModuleType):
    """A module named ``torch`` or ``torch. ...``."""

    def __init__(self, name: str, row: Served) -> None:
        super().__init__(name, f"{name}, served by {row.source or 'grad.as_torch.answers'}.")
        self._source = None if row.source is None else importlib.import_module(row.source)
        self._row, self._reason = row, row.reason
        self.__dict__.update(row.answers or {})

    def __getattr__(self, name: str) -> Any:
        full = f"{self.__name__}.{name}"
        found = getattr(self._source, name, NOWHERE)
        if full in TABLE or isinstance(found, ModuleType):
            return importlib.import_module(full)  # which becomes an attribute
        if found is not NOWHERE:
            setattr(self, name, found)
            return found
        asks = sys._getframe(1)
        if _is_import(asks) or (_looks_for_module(asks) and served(full) is self._row):
            return Missing(full, self._reason)
        raise AttributeError(why(full, self._reason))

    def __setattr__(self, name: str, value: Any) -> None:
        """Importing a module under this one binds its name here, unless a function has that name:
        ``torch.nn.utils.weight_norm`` is one, also where its module has been imported.
        """
        if isinstance(value, TorchModule):
            found = getattr(self._source, name, value)
            if not isinstance(found, ModuleType):
                value = found
        super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*self.__dict__, *dir(self._source)})


def _is_import(frame: FrameType) -> bool:
    """Whether the instruction that runs in `frame` is that of ``from module import name``."""
    return frame.f_code.co_code[frame.f_lasti] == IMPORT_FROM


def _looks_for_module(frame: FrameType) -> bool:
    """Whether that statement asks first, to import a module under this one where there is no such
    name. Rows of the table serve any such module.
    """
    return frame.f_code.co_name == "_handle_fromlist"


class Finder(MetaPathFinder, Loader):
    """Finds and makes ``torch`` and the modules under it."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "torch" and not fullname.startswith("torch."):
            return None
        source = served(fullname).source
        if source is not None and not _exists(source):
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return TorchModule(spec.name, served(spec.name))

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is left to do."""


def _exists(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # one above it does not
        return False


def install() -> None:
    """Have ``import torch`` in this process give `grad`, whether PyTorch is installed or not.

    Raises:
        ImportError: when PyTorch has been imported already.
    """
    loaded = sys.modules.get("torch")
    if isinstance(loaded, TorchModule):
        return
    if loaded is not None:
        raise ImportError("grad.as_torch.install: PyTorch has been imported; install it before")
    sys.meta_path.insert(0, Finder())
