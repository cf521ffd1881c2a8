"""`CompiledModule`: what `grad.compile` makes of a module: one that behaves like it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sized
from typing import Any

from grad.compile import wrap_compiled
from grad.nn.module import Module

_TABLES = ("_parameters", "_buffers", "_modules")


class CompiledModule(Module):
    """A module whose calls are recorded and replayed.

    Attributes that it does not have itself are the original's, whether they are read, set or
    deleted, and so is its mode; hooks, and what is registered with it, are its own. Names in its
    state dict begin with ``_orig_mod.``. All of it as in PyTorch, whose compiled containers have a
    length, too, but can be neither indexed nor gone through. Copies and pickles begin without
    recordings.

    Attributes:
        _orig_mod: the module.
    """

    def __init__(self, module: Module, call: Callable[..., Any]) -> None:
        super().__init__()
        del self.__dict__["training"]
        self.__dict__["_compiled_orig_mod"] = call
        super().__setattr__("_orig_mod", module)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.__dict__["_compiled_orig_mod"](*args, **kwargs)

    @property
    def training(self) -> bool:
        """The mode of the module."""
        return self._orig_mod.training

    @training.setter
    def training(self, mode: bool) -> None:
        self._orig_mod.training = mode

    def _has(self, name: str) -> bool:
        """Whether an attribute is its own."""
        own = self.__dict__
        return hasattr(type(self), name) or name in own or any(name in own[t] for t in _TABLES)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("_orig_mod"), name)

    def __setattr__(self, name: str, value: Any) -> None:
        if not self._has(name):
            setattr(self._orig_mod, name, value)
            return
        super().__setattr__(name, value)
        if name == "_orig_mod":
            own = self.__dict__
            own["_compiled_orig_mod"] = type(own["_compiled_orig_mod"])(value)

    def __delattr__(self, name: str) -> None:
        if self._has(name):
            super().__delattr__(name)
        else:
            delattr(self._orig_mod, name)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *dir(self._orig_mod)})

    def __len__(self) -> int:
        if not isinstance(self._orig_mod, Sized):
            raise TypeError(f"{type(self._orig_mod).__name__} does not support len()")
        return len(self._orig_mod)

    def __bool__(self) -> bool:
        return bool(self._orig_mod)  # also of one that has no length

    def __getstate__(self) -> dict[str, Any]:
        # A copy of the tables: also one that is not deep may be given hooks of its own.
        return {name: copy.copy(value) for name, value in super().__getstate__().items()}


wrap_compiled(Module, CompiledModule)
