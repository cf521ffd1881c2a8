"""Functions that a user hangs onto a module's call.

A `HookTable` keeps them in order; `module.py` asks it before and after `forward`, and only when it
is not empty, so that modules without hooks pay nothing.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

_numbers = itertools.count()


class RemovableHandle:
    """What registering a hook returns: `remove` takes the hook away; also a context manager."""

    def __init__(self, table: dict[int, Any]) -> None:
        self.id = next(_numbers)
        self._table = table

    def remove(self) -> None:
        """Take the hook away; doing it twice is harmless."""
        self._table.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


class HookTable(dict[int, tuple[Callable[..., Any], bool]]):
    """Hooks in the order in which they run: number to ``(function, wants keyword arguments)``."""

    def add(self, hook: Callable[..., Any], prepend: bool, with_kwargs: bool) -> RemovableHandle:
        """File a hook, in front of the others if `prepend`."""
        handle = RemovableHandle(self)
        later = list(self.items()) if prepend else []
        if prepend:
            self.clear()
        self[handle.id] = (hook, with_kwargs)
        self.update(later)
        return handle

    def before(
        self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The arguments that `forward` is to get."""
        for hook, with_kwargs in list(self.values()):
            if with_kwargs:
                replaced = hook(module, args, kwargs)
                if replaced is not None:
                    args, kwargs = replaced
                continue
            replaced = hook(module, args)
            if replaced is not None:
                args = replaced if isinstance(replaced, tuple) else (replaced,)
        return args, kwargs

    def after(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> Any:
        """The result that the caller is to get."""
        for hook, with_kwargs in list(self.values()):
            given = (module, args, kwargs, result) if with_kwargs else (module, args, result)
            replaced = hook(*given)
            if replaced is not None:
                result = replaced
        return result
