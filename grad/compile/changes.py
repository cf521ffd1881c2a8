"""`Changes`: how things were before a call, for when it runs out of memory.

The first calls of a compiled function run its Python, which writes, one after the other, values
that are computed later. When there is no memory to compute them, everything is put back that was
written: otherwise all that follows would be computed of a batch that was too large. A replay needs
no such help, as it takes its memory before it writes (run.py). compiled.py is the user.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any
from weakref import ref

from grad.autograd.variable import set_history
from grad.compile.watch import grad_slot
from grad.engine.recording import recording
from grad.graph.node import Node
from grad.graph.primitives import CONST, EXPAND
from grad.graph.storage import Storage, write_through

# Gives something, unless it is gone.
Found = Callable[[], Any]


class Changes:
    """What a call has changed so far, with what was there before.

    Values in memory are held, so nothing is stored in their place meanwhile. Pending values are
    not, or they would have to be stored: those of a storage from outside are there as long as what
    is made of them is pending; those of storages that the call has made nobody needs. Nor are
    storages and tensors: those that the call has made go when it drops them.
    """

    def __init__(self, outer: Changes | None) -> None:
        self._outer = outer
        self._storages: dict[int, tuple[Found, Found]] = {}
        self._gradients: dict[int, tuple[Found, Any]] = {}
        self._undos: list[Callable[[], Any]] = []

    def written(self, storage: Storage, before: Node) -> None:
        known = self._storages.get(id(storage))
        if known is None or known[0]() is not storage:
            there = before.buffer is not None or _is_constant(before)
            held = (lambda: before) if there else ref(before)
            self._storages[id(storage)] = ref(storage), held

    def gradient_set(self, tensor: Any) -> None:
        known = self._gradients.get(id(tensor))
        if known is None or known[0]() is not tensor:
            self._gradients[id(tensor)] = ref(tensor), grad_slot.__get__(tensor)

    def history_changed(self, tensor: Any) -> None:
        history = tensor._edge, tensor._requires_grad
        self._undos.append(partial(_set_history, ref(tensor), history))

    def done(self, undo: Callable[[], Any]) -> None:
        self._undos.append(undo)

    def take_back(self) -> None:
        """Storages, gradients and counts are as they were."""
        for undo in reversed(self._undos):
            undo()
        for found, held in self._storages.values():
            _hold_again(found(), held())
        for found, gradient in self._gradients.values():
            tensor = found()
            if tensor is not None:
                tensor._grad = gradient
        self._forget()

    def keep(self) -> None:
        """What has been changed stays, unless a call around this one is taken back."""
        outer = self._outer
        if outer is not None:
            _add(outer._storages, self._storages)
            _add(outer._gradients, self._gradients)
            outer._undos += self._undos
        self._forget()

    def _forget(self) -> None:
        self._storages.clear()
        self._gradients.clear()
        self._undos.clear()


def _is_constant(node: Node) -> bool:
    """Whether the pending `node` is one number, maybe repeated."""
    return node.op is CONST or (node.op is EXPAND and node.src[0].op is CONST)


def _add(known: dict[int, Any], more: Mapping[int, tuple[Found, Any]]) -> None:
    """Enter what is not known yet, under the identity that it has."""
    for key, entry in more.items():
        if key not in known or known[key][0]() is not entry[0]():
            known[key] = entry


def _set_history(found: Found, history: tuple[Any, bool]) -> None:
    tensor = found()
    if tensor is not None:
        set_history(tensor, *history)


def _hold_again(storage: Storage | None, before: Node | None) -> None:
    """Have `storage` hold what it did, and whoever shares its memory see that."""
    if storage is None or before is None or before is storage.node:
        return
    after = storage.node
    storage.write(before)
    if storage.shared is not None and before.buffer is not storage.shared.buffer:
        write_through(storage, after)


@contextmanager
def all_or_nothing() -> Iterator[Changes]:
    """What the block changes is taken back when it runs out of memory."""
    outer: Any = recording.changes
    changes = recording.changes = Changes(outer)
    try:
        yield changes
    except MemoryError:
        changes.take_back()
        raise
    finally:
        recording.changes = outer
        changes.keep()
