"""Functions that a user hangs onto modules: kept in order, and taken away by a handle.

A `HookTable` keeps those around a call; `calling.py` runs them, and only where there are any, so
that modules without hooks pay nothing. `EVERYWHERE` has those of all modules, which the
``register_module_*`` functions fill.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

_numbers = itertools.count()


class RemovableHandle:
    """What registering a hook returns: `remove` takes the hook away; also a context manager."""

    def __init__(self, *tables: dict[int, Any]) -> None:
        self.id = next(_numbers)
        self._tables = tables

    def remove(self) -> None:
        """Take the hook away; doing it twice is harmless."""
        for table in self._tables:
            table.pop(self.id, None)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exception: object) -> None:
        self.remove()


class HookTable(dict[int, Any]):
    """Hooks by number, in the order in which they run.

    Attributes:
        with_kwargs, always_call: numbers of hooks that are given keyword arguments, and of those
            that are called when `forward` raises.
    """

    def __init__(self) -> None:
        super().__init__()
        self.with_kwargs: set[int] = set()
        self.always_call: set[int] = set()

    def add(
        self,
        hook: Any,
        prepend: bool = False,
        *others: dict[int, Any],
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """File a hook, in front of the others if `prepend`; `others` are tables with it in them."""
        handle = RemovableHandle(self, *others)
        later = list(self.items()) if prepend else []
        if prepend:
            self.clear()
        self[handle.id] = hook
        self.update(later)
        for other in others:
            other[handle.id] = hook
        if with_kwargs:
            self.with_kwargs.add(handle.id)
        if always_call:
            self.always_call.add(handle.id)
        return handle


class Everywhere:
    """Hooks of all modules.

    Attributes:
        forward_pre, forward, backward_pre, backward: around calls; `calls` has all of these.
        parameter, buffer, module: told what is registered.
    """

    def __init__(self) -> None:
        self.calls: dict[int, Any] = {}
        self.forward_pre, self.forward = HookTable(), HookTable()
        self.backward_pre, self.backward = HookTable(), HookTable()
        self.parameter, self.buffer, self.module = HookTable(), HookTable(), HookTable()


EVERYWHERE = Everywhere()


def registered(table: HookTable, module: Any, name: str, value: Any) -> Any:
    """`value`, or what the hooks in `table` put in its place."""
    for hook in list(table.values()):
        replaced = hook(module, name, value)
        value = value if replaced is None else replaced
    return value


# -- for all modules -------------------------------------------------------------------------------
def register_module_forward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(module, args)`` before `forward` of every module."""
    return EVERYWHERE.forward_pre.add(hook, False, EVERYWHERE.calls)


def register_module_forward_hook(
    hook: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """Call ``hook(module, args, result)`` after `forward` of every module."""
    return EVERYWHERE.forward.add(
        hook, False, EVERYWHERE.calls, with_kwargs=with_kwargs, always_call=always_call
    )


def register_module_full_backward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(module, grad_output)`` before gradients go back through any module."""
    return EVERYWHERE.backward_pre.add(hook, False, EVERYWHERE.calls)


def register_module_full_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(module, grad_input, grad_output)`` once gradients are back through any module."""
    return EVERYWHERE.backward.add(hook, False, EVERYWHERE.calls)


def register_module_parameter_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(module, name, parameter)`` when a parameter is filed; a result replaces it."""
    return EVERYWHERE.parameter.add(hook)


def register_module_buffer_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(module, name, buffer)`` when a buffer is filed; a result replaces it."""
    return EVERYWHERE.buffer.add(hook)


def register_module_module_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call ``hook(module, name, submodule)`` when a sub-module is filed; a result replaces it."""
    return EVERYWHERE.module.add(hook)
