"""See which storages and gradients a function reads and writes, while it is being recorded.

A tensor's value is the attribute `node` of its `Storage`, its gradient the attribute `_grad`.
While somebody records, these two attributes are replaced, on their classes, by properties that
tell the recorder of the thread; otherwise they cost what they always do. So is every attribute of
classes that say themselves what of them must not change. recorder.py is told.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from grad.autograd.variable import Variable
from grad.engine.recording import recording
from grad.graph.storage import Storage

node_slot: Any = Storage.__dict__["node"]
grad_slot: Any = Variable.__dict__["_grad"]


class Watcher(Protocol):
    """What a recorder must be able to do; see recorder.py."""

    def read_node(self, storage: Storage) -> Any: ...
    def write_node(self, storage: Storage, node: Any) -> None: ...
    def read_grad(self, tensor: Variable) -> Any: ...
    def write_grad(self, tensor: Variable, value: Any) -> None: ...
    def read_attribute(self, value: Any, name: str) -> None: ...


def _read_node(storage: Storage) -> Any:
    recorder: Any = recording.recorder
    return node_slot.__get__(storage) if recorder is None else recorder.read_node(storage)


def _write_node(storage: Storage, node: Any) -> None:
    recorder: Any = recording.recorder
    if recorder is None:
        node_slot.__set__(storage, node)
    else:
        recorder.write_node(storage, node)


def _read_grad(tensor: Variable) -> Any:
    recorder: Any = recording.recorder
    return grad_slot.__get__(tensor) if recorder is None else recorder.read_grad(tensor)


def _write_grad(tensor: Variable, value: Any) -> None:
    recorder: Any = recording.recorder
    if recorder is None:
        grad_slot.__set__(tensor, value)
    else:
        recorder.write_grad(tensor, value)


def _read_attribute(value: Any, name: str) -> Any:
    recorder: Any = recording.recorder
    if recorder is not None:
        recorder.read_attribute(value, name)
    return object.__getattribute__(value, name)


# One recording at a time: the attributes are put back when it is through.
_one_recording = threading.RLock()


@contextmanager
def watching(recorder: Any, kinds: Iterable[type] = ()) -> Iterator[None]:
    """Have `recorder`, a `Recorder` and `Watcher`, see what this thread does in the block; it is
    told of all attributes of `kinds` that are read.
    """
    with _one_recording:
        for kind in kinds:
            setattr(kind, "__getattribute__", _read_attribute)  # noqa: B010
        setattr(Storage, "node", property(_read_node, _write_node))  # noqa: B010
        setattr(Variable, "_grad", property(_read_grad, _write_grad))  # noqa: B010
        recording.recorder = recorder
        try:
            yield
        finally:
            recording.recorder = None
            for kind in kinds:
                delattr(kind, "__getattribute__")
            setattr(Storage, "node", node_slot)  # noqa: B010
            setattr(Variable, "_grad", grad_slot)  # noqa: B010
