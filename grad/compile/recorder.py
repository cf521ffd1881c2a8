"""`Tape`: what happened while a function was recorded.

The function itself runs as always: operations make nodes, and values stay pending. The tape adds
what the graph does not say. Each storage from outside that is read gets a leaf of its own, so that
the replay knows where each leaf's value comes from; storages and gradients that are written are
noted; numbers that change from call to call (random keys, an optimiser's numbers) and checks of
index values are listed in order. replay.py turns a tape into something that can be run again.
"""

from __future__ import annotations

import linecache
import os
import sys
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from grad.autograd.variable import Variable
from grad.compile.reach import BEHIND
from grad.compile.watch import grad_slot, node_slot
from grad.dtype import DType
from grad.engine.realize import realize
from grad.engine.recording import Number, Recorder, recording
from grad.errors import CaptureError
from grad.graph.movement import Move
from grad.graph.node import Node, constant, follow, from_buffer, pointwise, reduce
from grad.graph.primitives import EXPAND, MAX, MAXIMUM, MIN, MINIMUM, PERMUTE, RESHAPE
from grad.graph.storage import Storage, copied

_COMPILE = os.path.dirname(os.path.realpath(__file__))
_LIBRARY = os.path.dirname(_COMPILE)
_CALLER = os.path.join(_COMPILE, "compiled.py")  # calls functions of users
# What user's Python calls of an object that has guards of its own, without asking for its numbers:
# a step of an optimiser (within `wrapper`), of a schedule, of a scaler; autocast.
_ASKS_NOTHING = frozenset(
    ("step", "wrapper", "zero_grad", "scale", "unscale_", "update", "is_enabled", "get_scale")
    + ("__enter__", "__exit__", "__call__", "inside", "state")
)


@dataclass(slots=True)
class OuterStorage:
    """A storage that was there before: its value then, and the leaf that stands for it."""

    storage: Storage
    before: Node
    leaf: Node | None = None
    written: bool = False


@dataclass(slots=True)
class OuterGrad:
    """A tensor whose `.grad` was touched. `before`: what it was. `read`: whether it was read before
    it was written, so that what was done depends on it. `storage`: what `before` was on.
    """

    tensor: Any
    before: Any
    read: bool
    written: bool = False
    storage: Storage | None = field(init=False)

    def __post_init__(self) -> None:
        self.storage = None if self.before is None else self.before._storage


class Event(NamedTuple):
    """Something to do at each replay: call `function`, whose result is the value of `node`.

    `counts`: it must be called even if nothing depends on `node`. `undo` takes it back.
    """

    function: Callable[[], Any]
    node: Node | None = None
    counts: bool = True
    undo: Callable[[], Any] | None = None


class Check(NamedTuple):
    """An index check: `smallest` and `largest` must lie in ``[low, high)``. `events`: how many
    there had been.
    """

    smallest: Node
    largest: Node
    low: int
    high: int
    error: Callable[[int], Exception]
    events: int


class Afterwards(NamedTuple):
    """What is done with numbers that a run has computed, when it is over."""

    action: Callable[[Sequence[Any]], None]
    nodes: tuple[Node, ...]


@dataclass(slots=True)
class Tape(Recorder):
    """The record of one run.

    Attributes:
        storages, grads: by identity. events, checks, endings: in order.
        contexts: functions of the gradient graph that were made.
        names: what code within reach mentions.
        abandoned: why there will be no replay, or None.
    """

    storages: dict[int, OuterStorage] = field(default_factory=dict)
    grads: dict[int, OuterGrad] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    endings: list[Afterwards] = field(default_factory=list)
    names: frozenset[str] = frozenset()
    abandoned: str | None = None
    contexts: weakref.WeakSet[Any] = field(default_factory=weakref.WeakSet)
    _held: dict[tuple[Node, int, int], Node] = field(default_factory=dict)
    _born: weakref.WeakSet[Storage] = field(default_factory=weakref.WeakSet)
    _made: dict[int, weakref.ref[Any]] = field(default_factory=dict)  # handles, by identity

    # -- storages ----------------------------------------------------------------------------------
    def is_born(self, storage: Storage) -> bool:
        """Whether the storage was made while recording."""
        return storage in self._born

    def read_node(self, storage: Storage) -> Node:
        known = self.storages.get(id(storage))
        if known is None:
            if storage in self._born:
                return node_slot.__get__(storage)
            known = self.note(storage)
        if known.leaf is None and not known.written:
            self._give_leaf(known)
        return node_slot.__get__(storage)

    def note(self, storage: Storage) -> OuterStorage:
        """Enter a storage from outside."""
        known = OuterStorage(storage, node_slot.__get__(storage))
        self.storages[id(storage)] = known
        return known

    def _give_leaf(self, known: OuterStorage) -> None:
        before, storage = known.before, known.storage
        if before.buffer is None:
            self.outside(lambda: realize((before,), alone=True))
        buffer = before.buffer
        assert buffer is not None
        if storage.shared is not None:
            # Whoever writes to lent memory looks after the holders of the storage's own node only.
            buffer = copied(buffer)
        known.leaf = from_buffer(buffer, before.shape, before.dtype)
        node_slot.__set__(storage, known.leaf)
        storage.stamp += 1  # views made of the former node are made anew

    def write_node(self, storage: Storage, node: Node) -> None:
        known = self.storages.get(id(storage))
        if known is None and storage not in self._born:
            try:
                known = self.note(storage)
            except AttributeError:  # it has no value yet: it is being made
                self._born.add(storage)
        if known is not None:
            known.written = True
        node_slot.__set__(storage, node)

    def put_back(self) -> None:
        """Storages that were only read hold their own nodes again."""
        for known in self.storages.values():
            if known.leaf is not None and node_slot.__get__(known.storage) is known.leaf:
                node_slot.__set__(known.storage, known.before)
                known.storage.stamp += 1

    def undos(self, check: Check) -> tuple[Callable[[], Any], ...]:
        """What is taken back when `check` fails, the last event first.

        Counts go back as tensors do, whenever they were made. Numbers that were drawn before the
        line that fails stay drawn, as they do where that line raises while the function runs.
        """
        return tuple(
            event.undo
            for number, event in reversed([*enumerate(self.events)])
            if event.undo is not None and (event.node is None or number >= check.events)
        )

    def undo(self, check: Check) -> None:
        """Since `check` failed: storages, gradients and counts that were written are as they were
        before the function ran.
        """
        for undo in self.undos(check):
            undo()
        for known in self.storages.values():
            if known.written:
                known.storage.write(known.before)
        for touched in self.grads.values():
            touched.tensor._grad = touched.before

    def outside(self, action: Callable[[], Any]) -> Any:
        """Do something that is no part of the record."""
        before, recording.recorder = recording.recorder, None
        try:
            return action()
        finally:
            recording.recorder = before

    # -- gradients ---------------------------------------------------------------------------------
    def read_grad(self, tensor: Any) -> Any:
        value = grad_slot.__get__(tensor)
        if id(tensor) not in self.grads and not self.is_made_here(tensor):
            self.grads[id(tensor)] = OuterGrad(tensor, value, read=True)
        return value

    def write_grad(self, tensor: Any, value: Any) -> None:
        known = self.grads.get(id(tensor))
        if known is None and not self.is_made_here(tensor):
            before = grad_slot.__get__(tensor)
            known = self.grads[id(tensor)] = OuterGrad(tensor, before, read=False)
        if known is not None:
            known.written = True
        grad_slot.__set__(tensor, value)

    @property
    def grads_read(self) -> tuple[tuple[Any, Any, Storage | None], ...]:
        """Tensors whose gradient was read, with what it was, and the storage that was on."""
        return tuple((g.tensor, g.before, g.storage) for g in self.grads.values() if g.read)

    def is_made_here(self, tensor: Any) -> bool:
        """Whether the handle was made while recording, be it on memory from outside."""
        try:
            grad_slot.__get__(tensor)
        except AttributeError:  # it is being made
            self._made[id(tensor)] = weakref.ref(tensor)
            return True
        made = self._made.get(id(tensor))
        return made is not None and made() is tensor

    # -- what the library tells --------------------------------------------------------------------
    def value_wanted(self, nodes: Sequence[Node]) -> None:
        raise CaptureError(
            f"grad.compile: {_where()} asks for the value of a tensor. A compiled function is "
            f"recorded once and replayed, so what it does cannot depend on values. Return the "
            f"tensor and read it outside; choose between values with grad.where(...); or take this "
            f"part out of the compiled function."
        )

    def read_attribute(self, value: Any, name: str) -> None:
        """The attribute `name` of an object that has guards of its own is read. Those that code
        mentions are guarded, if it reads them itself.
        """
        frame = sys._getframe(2)  # whoever reads
        asked = ""
        while _is_library(frame.f_code.co_filename) and frame.f_back is not None:
            asked, frame = frame.f_code.co_name, frame.f_back
        if asked in _ASKS_NOTHING:
            return
        known = not asked and name in self.names and name != "__dict__"
        behind = BEHIND.get(asked) == name and asked in self.names
        if not (known or behind or (name != "__dict__" and hasattr(type(value), name))):
            self.give_up(f"{asked or 'it'} reads {name!r} of {type(value).__name__}, not by name")

    def again(self, effect: Callable[[], Any], undo: Callable[[], Any] | None = None) -> None:
        self.events.append(Event(effect, undo=undo))

    def argument(
        self,
        node: Node,
        number: Number,
        *,
        counts: bool = False,
        undo: Callable[[], Any] | None = None,
    ) -> None:
        self.events.append(Event(number, node, counts, undo))

    def afterwards(self, action: Callable[[Sequence[Any]], None], nodes: Sequence[Node]) -> None:
        self.endings.append(Afterwards(action, tuple(nodes)))

    def end(self) -> None:
        """Do what is done afterwards; all that is pending for it is computed."""
        endings, self.endings = self.endings, []
        realize([node for ending in endings for node in ending.nodes])
        for action, nodes in endings:
            action([number_in(node.buffer, node.dtype) for node in nodes])

    def bounded(self, node: Node, low: int, high: int, error: Callable[[int], Exception]) -> Node:
        # What is only arranged anew, or repeated, has the same values: look at each once.
        path: list[Move] = []
        while node.op in (EXPAND, PERMUTE, RESHAPE):
            path.append(Move(node.op, node.arg))
            node = node.src[0]
        limits = np.iinfo(node.dtype.numpy)
        low, high = max(low, int(limits.min)), min(high, int(limits.max) + 1)
        if low >= high:
            raise error(low)  # nothing is inside
        key = (node, low, high)
        held = self._held.get(key)
        if held is None:
            axes = range(len(node.shape))
            smallest, largest = reduce(MIN, node, axes), reduce(MAX, node, axes)
            self.checks.append(Check(smallest, largest, low, high, error, len(self.events)))
            above = pointwise(MAXIMUM, node, constant(low, node.dtype))
            held = pointwise(MINIMUM, above, constant(max(high - 1, low), node.dtype))
            self._held[key] = held
        return follow(held, reversed(path))

    def linked(self, function: Any) -> None:
        self.contexts.add(function)

    def goes_back(self, target: Any) -> None:
        leaf = isinstance(target, Variable)
        if not (self.is_made_here(target) if leaf else target in self.contexts):
            self.give_up("it goes backward, or has hooks, where it did not compute")

    def history_changed(self, tensor: Any) -> None:
        if tensor._storage not in self._born:
            self.give_up("it changes the history of a tensor from outside in place")

    def shape_changed(self, tensor: Any) -> None:
        if not self.is_made_here(tensor):
            self.give_up("it changes the shape of a tensor from outside in place")

    def placed(self, tensor: Any) -> None:
        # A view may begin elsewhere at the next call; all of a storage begins at its start.
        if tensor._path and tensor._storage not in self._born:
            self.give_up("it asks where in its memory a view begins")

    def described(self, tensor: Any, what: str) -> None:
        if tensor._storage not in self._born or not self.is_made_here(tensor):
            self.give_up(f"it asks for `{what}` of a tensor from outside")

    def give_up(self, reason: str) -> None:
        """From here on the function simply runs."""
        self.abandoned = reason
        recording.recorder = None
        self.end()


def _is_library(file: str) -> bool:
    """Whether code in `file` is the library's, but for what calls the recorded function."""
    return file.startswith(_LIBRARY) and file != _CALLER


def number_in(buffer: Any, dtype: DType) -> Any:
    """The number that is all of a buffer."""
    return buffer.numpy(dtype.numpy, (), (), 0).item()


def _where() -> str:
    """The line of the user's code that is running."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_LIBRARY):
        frame = frame.f_back
    if frame is None:
        return "a line"
    name, line = frame.f_code.co_filename, frame.f_lineno
    return f"{name}:{line} (`{linecache.getline(name, line).strip()}`)"
