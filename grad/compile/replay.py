"""`Replay`: a recorded function as one plan, with where its inputs come from and its results go.

For each leaf of the plan there is a `Source`, the argument or the storage it is read from; for each
output the storage, gradient or result that gets it. finish.py makes replays; run.py computes them
with other arguments, calling none of the function's Python.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from grad.autograd.variable import Variable
from grad.compile.fresh import Fresh, Nodes
from grad.compile.gradient import GradientPlan
from grad.compile.recorder import Check, number_in
from grad.dtype import DType
from grad.engine.plan import Plan
from grad.graph.movement import Layout, Shape
from grad.graph.node import Node
from grad.graph.storage import Storage

STALE: Any = object()


class Source(NamedTuple):
    """Where a leaf is read: in the memory of argument number `argument`, or of `storage`.

    `offset` is in bytes, from the first element of the argument or the start of the storage.
    """

    argument: int
    storage: Storage | None
    offset: int
    shape: Shape
    dtype: DType


class Handle(NamedTuple):
    """A tensor of the result.

    Attributes:
        fresh: number of the new storage it is on; -1 for storages that were there before.
        argument: number of the argument that it is (a view of), or -1. storage: the storage from
            outside that it is a view of, or None. tensor: the tensor from outside that it is.
    """

    fresh: int
    argument: int
    storage: Storage | None
    path: tuple[Any, ...]
    shape: Shape
    layout: Layout | None
    tensor: Any = None


class Write(NamedTuple):
    """A storage that gets a new value: of argument number `argument` (or -1), or `storage`.

    in_place: the plan stores the value where the old one was.
    """

    argument: int
    storage: Storage
    fresh: Fresh
    in_place: bool


class Pin(NamedTuple):
    """An argument that must be on the same storage, from the same element on: the function also
    knows the storage by another name, or writes to it.
    """

    argument: int
    storage: Storage
    offset: int


class GradWrite(NamedTuple):
    """The `.grad` of `tensor` becomes the result number `handle`, or None (-1)."""

    tensor: Any
    handle: int


class Replay(NamedTuple):
    """Everything needed to run a recorded function again.

    Attributes:
        sources: of the plan's leaves. words: the plan's scalars, as recorded.
        events: (function, number of the scalar that its result is, or -1), in order.
        fresh: the new storages. writes: storages that get new values.
        grads: gradients that are set. grads_read: (tensor, what its
            gradient must be, the storage that this is on).
        handles: the tensors of the result, of which there are `own`, and then the gradients;
            `result` is the result with places for them.
        checks: (smallest, largest as outputs, what they must be, what to call if they are not).
        endings: (what is done afterwards, the numbers that it is told: outputs and types).
        pins: arguments that must be where they were. held: those that must be the very same, since
            their gradients are read or set.
        gradients: how results that require a gradient get it.
        spent: results whose gradients the function has computed already.
        pure: the only result of a function that does nothing else.
        gives_back: whether containers among the arguments are part of the result.
        written: identities of the storages from outside that are written; arguments number
            `unwritten` were not on any of them.
        changed: numbers of the arguments that are written, and were on none of the storages from
            outside that the function knows besides, whose identities are `beside`.
    """

    plan: Plan
    sources: tuple[Source, ...]
    words: tuple[int, ...]
    events: tuple[tuple[Callable[[], Any], int], ...]
    fresh: tuple[Fresh, ...]
    writes: tuple[Write, ...]
    grads: tuple[GradWrite, ...]
    grads_read: tuple[tuple[Any, Any, Storage | None], ...]
    handles: tuple[Handle, ...]
    own: int
    result: Any
    checks: tuple[tuple[int, int, Check, tuple[Callable[[], Any], ...]], ...]
    endings: tuple[tuple[Callable[[Sequence[Any]], None], tuple[tuple[int, DType], ...]], ...]
    pins: tuple[Pin, ...]
    held: tuple[tuple[int, Any], ...]
    gradients: tuple[GradientPlan, ...]
    spent: tuple[int, ...]
    pure: Fresh | None
    gives_back: bool
    written: frozenset[int]
    unwritten: tuple[int, ...]
    changed: tuple[int, ...]
    beside: frozenset[int]

    def applies(self, arguments: Sequence[Any]) -> bool:
        """Whether gradients are what they were, and arguments are on the storages they must be on
        and on no others.
        """
        for tensor, before, storage in self.grads_read:
            if tensor._grad is not before or (storage and before._storage is not storage):
                return False
        for number, tensor in self.held:
            if arguments[number] is not tensor:
                return False
        for number, storage, offset in self.pins:
            tensor = arguments[number]
            if tensor._storage is not storage or (
                tensor._path and tensor.memory_layout.offset != offset
            ):
                return False
        own = [arguments[number]._storage for number in self.unwritten]
        changed = [arguments[number]._storage for number in self.changed]
        return self.written.isdisjoint(map(id, own)) and self.beside.isdisjoint(map(id, changed))

    def on_gradients_now(self) -> Replay | None:
        """The replay for gradients that are other tensors than those it was recorded with, but like
        them: `zero_grad` gives a parameter a new one at the next `backward`. None if they differ.
        """
        replaced: dict[int, Storage] = {}
        read = []
        for tensor, before, storage in self.grads_read:
            now = tensor._grad
            if now is not before:
                if storage is None or now is None or not _is_like(now, before):
                    return None
                replaced[id(storage)] = now._storage
                storage = now._storage
            read.append((tensor, now, storage))
        new = {id(storage) for storage in replaced.values()}
        others = {id(s.storage) for s in self.sources} | self.written
        tied = {id(storage) for _, storage, _ in self.pins} | {id(h.storage) for h in self.handles}
        if len(new) < len(replaced) or new & others or tied & replaced.keys():
            return None  # they share memory, or are known by other names too

        def renewed(record: Any) -> Any:
            return record._replace(storage=replaced.get(id(record.storage), record.storage))

        writes = tuple(map(renewed, self.writes))
        return self._replace(
            sources=tuple(map(renewed, self.sources)),
            writes=writes,
            grads_read=tuple(read),
            written=frozenset(id(write.storage) for write in writes if write.argument < 0),
            beside=self.beside - replaced.keys() | new,
        )

    def leaves(self, arguments: Sequence[Any]) -> list[tuple[Node, int]]:
        """The (computed) node that each leaf is in, and where in it in bytes."""
        found: list[tuple[Node, int]] = []
        for number, storage, offset, _, dtype in self.sources:
            if storage is None:
                tensor = arguments[number]
                storage = tensor._storage
                if tensor._path:
                    offset += tensor.memory_layout.offset * dtype.itemsize
            found.append((storage.node, offset))
        return found

    def words_now(self) -> list[int]:
        """The scalars of the plan, with everything done that is done at each replay."""
        words = list(self.words)
        packers = self.plan.packers
        for function, number in self.events:
            value = function()
            if number >= 0:
                words[number] = packers[number](value)
        return words

    def end(self, buffers: Sequence[Any]) -> None:
        """Do what is done afterwards, with the outputs of the plan in `buffers`."""
        for action, numbers in self.endings:
            action([number_in(buffers[output], dtype) for output, dtype in numbers])

    def gradient_outputs(self) -> list[int]:
        """The output of the plan that each gradient is which is set to a tensor; none unless all of
        them are whole values that nothing but gradients is on.
        """
        used = Counter(fresh.output for fresh in self.fresh)
        used.update(write.fresh.output for write in self.writes)
        handles = Counter(handle.fresh for handle in self.handles)
        outputs = []
        for number in (number for _, number in self.grads if number >= 0):
            handle = self.handles[number]
            if number < self.own or handle.fresh < 0 or handle.path or handles[handle.fresh] > 1:
                return []
            outputs.append(self.fresh[handle.fresh].output)
        for number, count in Counter(outputs).items():
            output = self.plan.outputs[number]
            if used[number] > count or output.copy or output.leaf >= 0:
                return []
        return outputs

    def tensor(self, number: int, arguments: Sequence[Any], made: Made) -> Any:
        """Tensor number `number` of the result."""
        fresh, argument, storage, path, shape, layout, tensor = self.handles[number]
        if tensor is not None:
            return tensor
        if fresh >= 0:
            base = made.base(fresh, self.fresh[fresh])
            return base if not path else base._alias(path, shape, layout)
        if argument >= 0:
            given = arguments[argument]
            return given if not path and layout is None else given._alias(path, shape, layout)
        assert storage is not None
        whole = Variable._wrap(storage.node)
        whole._storage = storage
        return whole if not path else whole._alias(path, shape, layout)


def _is_like(now: Any, before: Any) -> bool:
    """Whether both are plain gradients of one shape and type."""
    return (
        now._shape == before._shape
        and now.dtype is before.dtype
        and not (now._path or before._path or now._needs_grad or before._needs_grad)
    )


class Made:
    """The values that one run made.

    Attributes:
        buffers: of the plan's outputs. nodes: by output.
    """

    __slots__ = ("_bases", "buffers", "nodes")

    def __init__(self, buffers: Sequence[Any]) -> None:
        self.buffers = buffers
        self.nodes: Nodes = {}
        self._bases: dict[int, Any] = {}

    def node(self, fresh: Fresh) -> Node:
        """The node of a value."""
        return fresh.node(self.buffers, self.nodes)

    def base(self, number: int, fresh: Fresh) -> Any:
        """The tensor that is all of the new storage `number`, which holds `fresh`."""
        base = self._bases.get(number)
        if base is None:
            base = self._bases[number] = Variable._wrap(self.node(fresh))
        return base


def require(check: Check, smallest: Any, largest: Any) -> None:
    """Raise the error of a check whose limits, in these buffers, are outside."""
    dtype = check.smallest.dtype
    low, high = number_in(smallest, dtype), number_in(largest, dtype)
    if low < check.low or high >= check.high:
        raise check.error(low if low < check.low else high)
