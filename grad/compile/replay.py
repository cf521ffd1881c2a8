"""`Replay`: a recorded function as one plan, with where its inputs come from and its results go.

For each leaf of the plan there is a `Source`, the argument or the storage it is read from; for each
output the storage, gradient or result that gets it. `Replay.run` computes the plan with other
arguments and calls none of the function's Python. finish.py makes replays.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from grad.autograd.variable import Variable
from grad.compile.fresh import Fresh, Nodes
from grad.compile.gradient import GradientPlan, addresses, link_spent
from grad.compile.recorder import Check
from grad.compile.tree import put_together
from grad.dtype import DType
from grad.engine.plan import Plan
from grad.engine.realize import cache, interrupts_held, nobody_computing, realize
from grad.graph.movement import Layout, Shape
from grad.graph.node import Node
from grad.graph.storage import Storage, write_through

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
    """A storage that gets a new value: of argument number `argument` (or -1), or `storage`."""

    argument: int
    storage: Storage
    fresh: Fresh


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


@dataclass(frozen=True, slots=True)
class Replay:
    """Everything needed to run a recorded function again.

    Attributes:
        sources: of the plan's leaves. words: the plan's scalars, as recorded.
        events: (function, number of the scalar that its result is, or -1), in order.
        fresh: the new storages. writes: storages that get new values.
        grads: gradients that are set. grads_read: (tensor, what its gradient must be).
        handles: the tensors of the result; `result` is the result with places for them.
        checks: (smallest, largest as outputs, what they must be).
        pins: arguments that must be where they were.
        gradient: how results that require a gradient get it; None if there are none.
        spent: results whose gradients the function has computed already.
        pure: the only result of a function that does nothing else.
        written: identities of the storages from outside that are written; arguments number
            `unwritten` were not on any of them.
    """

    plan: Plan
    sources: tuple[Source, ...]
    words: tuple[int, ...]
    events: tuple[tuple[Callable[[], Any], int], ...]
    fresh: tuple[Fresh, ...]
    writes: tuple[Write, ...]
    grads: tuple[GradWrite, ...]
    grads_read: tuple[tuple[Any, Any], ...]
    handles: tuple[Handle, ...]
    result: Any
    checks: tuple[tuple[int, int, Check], ...]
    pins: tuple[Pin, ...]
    gradient: GradientPlan | None
    spent: tuple[int, ...]
    pure: Fresh | None
    written: frozenset[int]
    unwritten: tuple[int, ...]

    def leaves(self, arguments: Sequence[Any]) -> list[tuple[Node, int]] | None:
        """The node that each leaf is in, and where in it in bytes; None if a storage or a gradient
        is no longer what it was.
        """
        for tensor, before in self.grads_read:
            if tensor._grad is not before:
                return None
        for number, storage, offset in self.pins:
            tensor = arguments[number]
            if tensor._storage is not storage or (tensor._path and tensor.layout.offset != offset):
                return None
        for number in self.unwritten:
            if id(arguments[number]._storage) in self.written:
                return None
        found: list[tuple[Node, int]] = []
        for number, storage, offset, shape, dtype in self.sources:
            if storage is None:
                tensor = arguments[number]
                node = tensor._storage.node
                if tensor._path:
                    offset += tensor.layout.offset * dtype.itemsize
            else:
                node = storage.node
                if node.shape != shape or node.dtype is not dtype:
                    return None
            if node.buffer is None:
                realize((node,))
            found.append((node, offset))
        return found

    def run(self, arguments: Sequence[Any]) -> Any:
        """Run with the tensors `arguments`; gives the result, or `STALE` when a storage is no
        longer what it was.
        """
        plan = self.plan
        nodes: Nodes = {}
        with nobody_computing():
            leaves = self.leaves(arguments)
            if leaves is None:
                return STALE
            memory = plan.reserve()
            words = self.words_now() if self.events else self.words
            buffers: Any = plan.execute(addresses(leaves), words, memory)
            cache.kernels += plan.kernel_count
            for smallest, largest, check in self.checks:
                require(check, buffers[smallest], buffers[largest])
            if self.writes:
                self.write(arguments, buffers, nodes)
        if self.pure is not None:
            return Variable._wrap(self.pure.node(buffers, nodes))
        tensors = self.tensors(arguments, [fresh.node(buffers, nodes) for fresh in self.fresh])
        if self.gradient is not None:
            self.gradient.link(tensors, arguments, buffers, nodes, leaves, words)
        for number in self.spent:
            link_spent(tensors[number])
        return put_together(self.result, tensors)

    def words_now(self) -> list[int]:
        """The scalars of the plan, with everything done that is done at each replay."""
        words = list(self.words)
        packers = self.plan.packers
        for function, number in self.events:
            value = function()
            if number >= 0:
                words[number] = packers[number](value)
        return words

    def write(self, arguments: Sequence[Any], buffers: Sequence[Any], nodes: Nodes) -> None:
        """Give storages from outside their new values."""
        with interrupts_held():
            for argument, storage, fresh in self.writes:
                if argument >= 0:
                    storage = arguments[argument]._storage
                before = storage.node
                storage.write(fresh.node(buffers, nodes))
                if storage.shared is not None:
                    write_through(storage, before)

    def tensors(self, arguments: Sequence[Any], nodes: Sequence[Node]) -> list[Any]:
        """The tensors of the result, on new storages that hold `nodes`; sets gradients."""
        bases: list[Any] = [Variable._wrap(node) for node in nodes]
        tensors = [_tensor(handle, arguments, bases) for handle in self.handles]
        for tensor, number in self.grads:
            tensor._grad = None if number < 0 else tensors[number]
        return tensors


def _tensor(handle: Handle, arguments: Sequence[Any], bases: Sequence[Any]) -> Any:
    fresh, argument, storage, path, shape, layout, tensor = handle
    if tensor is not None:
        return tensor
    if fresh >= 0:
        base = bases[fresh]
        return base if not path else base._alias(path, shape, layout)
    if argument >= 0:
        given = arguments[argument]
        return given if not path and layout is None else given._alias(path, shape, layout)
    assert storage is not None
    whole = Variable._wrap(storage.node)
    whole._storage = storage
    return whole if not path else whole._alias(path, shape, layout)


def _number(buffer: Any, dtype: DType) -> int:
    return int(buffer.numpy(dtype.numpy, (), (), 0))


def require(check: Check, smallest: Any, largest: Any) -> None:
    dtype = check.smallest.dtype
    low, high = _number(smallest, dtype), _number(largest, dtype)
    if low < check.low or high >= check.high:
        raise check.error(low if low < check.low else high)
