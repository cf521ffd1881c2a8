"""`CompiledModule`: what `grad.compile` makes of a module: one that behaves like it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from grad.compile import wrap_compiled
from grad.nn.module import Module


class CompiledModule(Module):
    """A module whose calls are recorded and replayed.

    Attributes that it does not have itself are the original's; names in its state dict begin with
    ``_orig_mod.``, as in PyTorch.

    Attributes:
        _orig_mod: the module.
    """

    def __init__(self, module: Module, call: Callable[..., Any]) -> None:
        super().__init__()
        self._orig_mod = module
        self.__dict__["_call"] = call
        self.__dict__["training"] = module.training

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.__dict__["_call"](*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("_orig_mod"), name)


wrap_compiled(Module, CompiledModule)
