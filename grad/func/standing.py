"""Stand-ins: values that are not there, with which a function is run to see what it computes.

A stand-in is a tensor on a leaf node without a value (graph/batching.py). While `StandIns` is the
recorder of the thread, values stay pending, whoever asks for one that depends on a stand-in is told
why there is none, index checks are put off, and what the function adds to the gradient graph is
noted. mapping.py makes `vmap` of it, forward.py uses it for the arriving gradient whose value
does not matter.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple

from grad.autograd.function import Context, Function, OutputInfo
from grad.autograd.variable import Variable
from grad.compile.watch import grad_slot, node_slot
from grad.dtype import DType
from grad.engine.recording import Number, Recorder, recording
from grad.errors import TransformError
from grad.graph.batching import stand_in
from grad.graph.node import Node, postorder
from grad.graph.primitives import RESHAPE
from grad.graph.storage import Storage
from grad.ops.bounds import within

READ = (
    "vmap: It looks like you're either (1) calling .item() on a Tensor or (2) attempting to use a "
    "Tensor in some data-dependent control flow. The function runs once, for all items of the "
    "batch, so that it cannot depend on their values. Use grad.where(condition, x, y) to choose, "
    "and operations whose result has the same shape for all values."
)


class Arriving(Function):
    """Where gradients of stand-ins arrive; it has no arguments."""


class Check(NamedTuple):
    """An index check that was put off; see `grad.ops.bounds.within`."""

    low: int
    high: int
    error: Callable[[int], Exception]


def standing_for(shape: tuple[int, ...], dtype: DType, requires_grad: bool) -> Any:
    """A stand-in. One that requires a gradient is no leaf, so that it may be written to."""
    tensor = Variable._wrap(stand_in(shape, dtype))
    if requires_grad:
        context = Arriving._context()
        context.outputs = (OutputInfo(shape, dtype),)
        tensor._edge, tensor._requires_grad = (context, 0), True
        tensor._edge_version = tensor._storage.version
    return tensor


class StandIns(Recorder):
    """The recorder while a function runs on stand-ins.

    Attributes:
        nodes: the leaves. contexts: functions of the gradient graph that were made meanwhile.
        checks: nodes that stand for checked indices. born: storages that were made meanwhile.
        outer: who recorded before, and is told what goes on.
    """

    stands_in: ClassVar[bool] = True

    def __init__(self, tensors: Sequence[Any]) -> None:
        self.nodes = {tensor.node for tensor in tensors}
        self.contexts: set[Context] = set()
        self.checks: dict[Node, Check] = {}
        self.born: weakref.WeakSet[Storage] = weakref.WeakSet()
        self.outer: Recorder | None = None
        self._depending: dict[Node, bool] = {}
        self.born.update([tensor._storage for tensor in tensors])

    def continued(self, tensors: Sequence[Any]) -> StandIns:
        """A recorder for what follows in the same trace, such as its gradient, on `tensors`."""
        further = StandIns(tensors)
        further.nodes |= self.nodes
        further.contexts |= self.contexts
        further.checks.update(self.checks)
        further.born.update(self.born)
        return further

    @contextmanager
    def active(self) -> Iterator[StandIns]:
        """Be the recorder of this thread in the block."""
        self.outer = recording.recorder
        recording.recorder = self
        try:
            with _births_seen():
                yield self
        finally:
            recording.recorder = self.outer
            self._depending.clear()  # it would keep values of others from being fused
            if isinstance(self.outer, StandIns):
                self.outer.born.update(self.born)

    def depends(self, node: Node) -> bool:
        """Whether the value of `node` depends on a stand-in."""
        known = self._depending if recording.recorder is self else {}
        found = known.get(node)
        if found is None:
            for other in postorder([node]):
                if other not in known:
                    known[other] = other in self.nodes or any(known[s] for s in other.src)
            found = known[node]
        return found

    def born_here(self, tensor: Any) -> bool:
        """Whether the memory of `tensor` was made meanwhile."""
        return tensor._storage in self.born

    # -- what the library tells --------------------------------------------------------------------
    def value_wanted(self, nodes: Sequence[Node]) -> None:
        if any(self.depends(node) for node in nodes):
            raise TransformError(READ)
        if self.outer is not None:
            self.outer.value_wanted(nodes)

    def bounded(self, node: Node, low: int, high: int, error: Callable[[int], Exception]) -> Node:
        if not self.depends(node):
            with self.paused():
                return within(Variable._wrap(node), low, high, error)
        marked = Node(RESHAPE, (node,), node.shape, node.shape, node.dtype)
        self.checks[marked] = Check(low, high, error)
        return marked

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Inside, whoever recorded before does."""
        recording.recorder = self.outer
        try:
            yield
        finally:
            recording.recorder = self

    def stored(self, storage: Any, node: Node) -> None:
        if storage in self.born:
            return
        if self.depends(node):
            raise TransformError(
                "vmap: inplace arithmetic is not possible here: a tensor that the function gets "
                "from outside, and that is not mapped over, would hold a value for each item. Use "
                "the form that is not in place, or pass the tensor as a mapped argument."
            )
        if self.outer is not None:
            self.outer.stored(storage, node)

    def again(self, effect: Callable[[], Any], undo: Callable[[], Any] | None = None) -> None:
        if self.outer is not None:
            self.outer.again(effect, undo)

    def argument(
        self,
        node: Node,
        number: Number,
        *,
        counts: bool = False,
        undo: Callable[[], Any] | None = None,
    ) -> None:
        if self.outer is not None:
            self.outer.argument(node, number, counts=counts, undo=undo)

    def linked(self, function: Any) -> None:
        self.contexts.add(function)
        if self.outer is not None:
            self.outer.linked(function)

    def goes_back(self, target: Any) -> None:
        if self.outer is not None:
            with self.paused():
                self.outer.goes_back(target)
                self.outer = recording.recorder

    def history_changed(self, tensor: Any) -> None:
        if self.outer is not None and tensor._storage not in self.born:
            self.outer.history_changed(tensor)

    def give_up(self, reason: str) -> None:
        if self.outer is not None:
            self.outer.give_up(reason)  # which takes itself out
            self.outer = recording.recorder
            recording.recorder = self

    # -- what compile/watch.py asks, for the recorder outside --------------------------------------
    def read_node(self, storage: Storage) -> Any:
        outer: Any = self.outer
        return node_slot.__get__(storage) if outer is None else outer.read_node(storage)

    def write_node(self, storage: Storage, node: Any) -> None:
        outer: Any = self.outer
        if outer is None:
            node_slot.__set__(storage, node)
        else:
            outer.write_node(storage, node)

    def read_grad(self, tensor: Any) -> Any:
        outer: Any = self.outer
        return grad_slot.__get__(tensor) if outer is None else outer.read_grad(tensor)

    def write_grad(self, tensor: Any, value: Any) -> None:
        outer: Any = self.outer
        if outer is None:
            grad_slot.__set__(tensor, value)
        else:
            outer.write_grad(tensor, value)


# -- storages as they are made ---------------------------------------------------------------------
_make = Storage.__init__
_watchers = 0
_watching = threading.Lock()


def _make_seen(storage: Storage, node: Node) -> None:
    _make(storage, node)
    recorder = recording.recorder
    if isinstance(recorder, StandIns):
        recorder.born.add(storage)


@contextmanager
def _births_seen() -> Iterator[None]:
    """Have the recorder of the thread see each storage that is made."""
    global _watchers
    with _watching:
        _watchers += 1
        setattr(Storage, "__init__", _make_seen)  # noqa: B010
    try:
        yield
    finally:
        with _watching:
            _watchers -= 1
            if not _watchers:
                setattr(Storage, "__init__", _make)  # noqa: B010
