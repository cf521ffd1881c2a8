"""Functions that a user hangs onto an optimiser: around steps, and around saving and loading.

An optimiser has a `Hooks`, with one table for each occasion; `_everywhere` has the step hooks of
all optimisers. `hooked` is put around the `step` of each class (optimizer.py), and costs nothing
while there are no hooks.
"""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from grad.engine.recording import recording
from grad.nn.hooks import RemovableHandle
from grad.profiler.record import record_function
from grad.settings import settings

Hook = Callable[..., Any]


class Hooks:
    """The hooks of one optimiser by occasion, each an ordered table of functions."""

    def __init__(self) -> None:
        self.step_pre: OrderedDict[int, Hook] = OrderedDict()
        self.step_post: OrderedDict[int, Hook] = OrderedDict()
        self.state_dict_pre: OrderedDict[int, Hook] = OrderedDict()
        self.state_dict_post: OrderedDict[int, Hook] = OrderedDict()
        self.load_pre: OrderedDict[int, Hook] = OrderedDict()
        self.load_post: OrderedDict[int, Hook] = OrderedDict()


_everywhere = Hooks()


def add(table: OrderedDict[int, Hook], hook: Hook, prepend: bool = False) -> RemovableHandle:
    """File a hook, in front of the others if `prepend`."""
    handle = RemovableHandle(table)
    table[handle.id] = hook
    if prepend:
        table.move_to_end(handle.id, last=False)
    return handle


def register_optimizer_step_pre_hook(hook: Hook) -> RemovableHandle:
    """Call ``hook(optimizer, args, kwargs)`` before each step of every optimiser; it may return
    other ``(args, kwargs)``.
    """
    return add(_everywhere.step_pre, hook)


def register_optimizer_step_post_hook(hook: Hook) -> RemovableHandle:
    """Call ``hook(optimizer, args, kwargs)`` after each step of every optimiser."""
    return add(_everywhere.step_post, hook)


def step_hooks(optimizer: Any) -> tuple[OrderedDict[int, Hook], ...]:
    """The tables of hooks around a step of `optimizer`."""
    own = optimizer._hooks
    return _everywhere.step_pre, own.step_pre, own.step_post, _everywhere.step_post


def hooked(step: Callable[..., Any]) -> Callable[..., Any]:
    """`step`, a method of an optimiser, with the hooks around it, and a name in profiles.

    Where a subclass's step calls that of its base, the hooks are called around the outer one.
    """

    @functools.wraps(step)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        self._opt_called = True
        with_hooks = any(step_hooks(self))
        if self._in_step or not (with_hooks or settings.observed):
            return step(self, *args, **kwargs)
        if with_hooks and recording.recorder is not None:
            recording.recorder.give_up("an optimiser has hooks around its step")
        self._in_step = True
        try:
            with record_function(f"Optimizer.step#{type(self).__name__}.step"):
                return _with_hooks(step, self, args, kwargs)
        finally:
            self._in_step = False

    return wrapper


def _with_hooks(step: Hook, optimizer: Any, args: Any, kwargs: Any) -> Any:
    everywhere_before, own_before, own_after, everywhere_after = step_hooks(optimizer)
    # PyTorch's hooks are given the optimiser among the arguments as well, and give it back.
    args = (optimizer, *args)
    for hook in (*everywhere_before.values(), *own_before.values()):
        replaced = hook(optimizer, args, kwargs)
        if replaced is None:
            continue
        if not (isinstance(replaced, tuple) and len(replaced) == 2):
            raise RuntimeError(
                f"{step} must return None or a tuple of (new_args, new_kwargs), but got {replaced}."
            )
        args, kwargs = replaced
    result = step(*args, **kwargs)
    for hook in (*own_after.values(), *everywhere_after.values()):
        hook(optimizer, args, kwargs)
    return result
