"""`Replay`: a recorded function as one plan, with where its inputs come from and its results go.

`finish` takes the tape of a run and what the function returned, computes everything that is
pending in one plan, and writes down the rest: for each leaf of the plan the argument or the storage
it is read from; for each output the storage, gradient or result that gets it. `Replay.run` does
that again with other arguments and calls none of the function's Python.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from grad.autograd.variable import Variable
from grad.compile.recorder import Check, Tape
from grad.compile.tree import put_together, with_places
from grad.compile.watch import node_slot
from grad.dtype import DType
from grad.engine.plan import Plan
from grad.engine.realize import cache, compute, interrupts_held, nobody_computing, realize
from grad.graph.movement import Layout, Shape
from grad.graph.node import Node, contiguous, from_buffer
from grad.graph.storage import Storage
from grad.schedule.program import Walk, walk


class Source(NamedTuple):
    """Where a leaf is read: in the memory of argument number `argument`, or of `storage`.

    `offset` is in bytes, from the first element of the argument or the start of the storage.
    """

    argument: int
    storage: Storage | None
    offset: int
    shape: Shape
    dtype: DType


class Fresh(NamedTuple):
    """A value that a replay makes: the number of the plan's output, and what it is."""

    output: int
    shape: Shape
    dtype: DType


class Handle(NamedTuple):
    """A tensor of the result.

    Attributes:
        fresh: number of the new storage it is on; -1 for storages that were there before.
        argument: number of the argument that it is (a view of), or -1. storage: the storage from
            outside that it is a view of, or None.
        same: whether it is that argument or the tensor `tensor` itself.
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
        sources: of the plan's leaves. scalars: of the plan, as recorded.
        events: (function, number of the scalar that its result is, or -1), in order.
        fresh: the new storages. writes: storages that get new values.
        handles: the tensors of the result; `result` is the result with places for them.
        checks: (smallest, largest as outputs, what they must be).
        pins: arguments that must be where they were.
    """

    plan: Plan
    sources: tuple[Source, ...]
    scalars: tuple[Any, ...]
    events: tuple[tuple[Callable[[], Any], int], ...]
    fresh: tuple[Fresh, ...]
    writes: tuple[Write, ...]
    grads: tuple[GradWrite, ...]
    handles: tuple[Handle, ...]
    result: Any
    checks: tuple[tuple[int, int, Check], ...]
    pins: tuple[Pin, ...]

    def addresses(self, arguments: Sequence[Any]) -> list[int] | None:
        """The addresses of the leaves, or None if a storage is no longer what it was."""
        for number, storage, offset in self.pins:
            tensor = arguments[number]
            if tensor._storage is not storage or (tensor._path and tensor.layout.offset != offset):
                return None
        found: list[int] = []
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
            buffer = node.buffer
            if buffer is None:
                realize((node,))
                buffer = node.buffer
                assert buffer is not None
            found.append(buffer.address + offset)
        return found

    def run(self, arguments: Sequence[Any], slots: list[int]) -> Any:
        """Run with the tensors `arguments` and the leaves at `slots`; gives the result."""
        plan = self.plan
        nodes: dict[int, Node] = {}
        with nobody_computing():
            memory = plan.reserve()
            scalars: Any = self.scalars
            if self.events:
                scalars = list(scalars)
                for function, number in self.events:
                    value = function()
                    if number >= 0:
                        scalars[number] = value
            buffers: Any = plan.execute(slots, scalars, memory)
            cache.kernels += plan.kernel_count
            for smallest, largest, check in self.checks:
                _require(check, buffers[smallest], buffers[largest])
            if self.writes:
                with interrupts_held():
                    for argument, storage, fresh in self.writes:
                        if argument >= 0:
                            storage = arguments[argument]._storage
                        storage.write(_node(fresh, buffers, nodes))
        return self.results(arguments, [_node(fresh, buffers, nodes) for fresh in self.fresh])

    def results(self, arguments: Sequence[Any], nodes: Sequence[Node]) -> Any:
        """The result, on new storages that hold `nodes`; sets gradients."""
        handles = self.handles
        if len(nodes) == len(handles) == 1 and not handles[0].path and handles[0].fresh == 0:
            tensors = [Variable._wrap(nodes[0])]
        else:
            bases: list[Any] = [Variable._wrap(node) for node in nodes]
            tensors = [_tensor(handle, arguments, bases) for handle in handles]
        for tensor, number in self.grads:
            tensor._grad = None if number < 0 else tensors[number]
        return put_together(self.result, tensors)


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


def _node(fresh: Fresh, buffers: Sequence[Any], nodes: dict[int, Node]) -> Node:
    """The node of a plan's output; those who have the same output share it."""
    found = nodes.get(fresh.output)
    if found is None:
        found = from_buffer(buffers[fresh.output], fresh.shape, fresh.dtype)
        nodes[fresh.output] = found
    return found


def _number(buffer: Any, dtype: DType) -> int:
    return int(buffer.numpy(dtype.numpy, (), (), 0))


def _require(check: Check, smallest: Any, largest: Any) -> None:
    dtype = check.smallest.dtype
    low, high = _number(smallest, dtype), _number(largest, dtype)
    if low < check.low or high >= check.high:
        raise check.error(low if low < check.low else high)


# -- making one ------------------------------------------------------------------------------------
def finish(
    tape: Tape, arguments: Sequence[Any], result: Any, known: Container[int]
) -> Replay | None:
    """Compute what `tape` left pending, and write the replay; None when there can be none.

    Args:
        arguments: the tensors that the function was given. result: what it returned.
        known: identities of storages that the function reaches without its arguments.
    """
    return _Finish(tape, arguments, result, known).replay()


class _Finish:
    """Puts one replay together."""

    def __init__(
        self, tape: Tape, arguments: Sequence[Any], result: Any, known: Container[int]
    ) -> None:
        self.tape = tape
        self.known = known
        self.arguments = arguments
        self.argument_of = {
            id(tensor._storage): number for number, tensor in reversed(list(enumerate(arguments)))
        }
        self.results: list[Any] = []
        self.result = with_places(result, self.results)
        self.grad_writes: list[GradWrite] = []
        for known in tape.grads.values():
            if known.written:
                self.grad_writes.append(self.grad_write(known.tensor))

    def grad_write(self, tensor: Any) -> GradWrite:
        value = tensor._grad
        if value is None:
            return GradWrite(tensor, -1)
        self.results.append(value)
        return GradWrite(tensor, len(self.results) - 1)

    def roots(self) -> list[Node]:
        """Everything that must be in memory at the end."""
        tape = self.tape
        holders = [known.storage for known in tape.storages.values() if known.written]
        holders += [t._storage for t in self.results if tape.is_born(t._storage)]
        found = []
        for storage in holders:
            node = node_slot.__get__(storage)
            if node.buffer is not None:
                # What was read goes to another place as it is: the plan copies it.
                node = contiguous(node)
                node_slot.__set__(storage, node)
            found.append(node)
        for check in tape.checks:
            found += [check.smallest, check.largest]
        return found

    def replay(self) -> Replay | None:
        tape = self.tape
        roots = self.roots()
        with nobody_computing():
            pending = [node for node in dict.fromkeys(roots) if node.buffer is None]
            found = walk(pending)
            plan, varying = cache.find(found)
            scalars = [node.arg for node in found.arguments]
            scalars += [found.constants[number].arg for number in sorted(varying)]
            sources = self.sources(found)
            outputs = {found.nodes[n]: i for i, n in enumerate(found.outputs)}
            if sources is None or any(node not in outputs for node in roots):
                realize(roots)
                return None
            replay = Replay(
                plan,
                sources,
                tuple(scalars),
                self.events(found),
                *self.places(outputs),
                self.result,
                tuple(
                    (outputs[check.smallest], outputs[check.largest], check)
                    for check in tape.checks
                ),
                self.pins(),
            )
            compute(found, plan, scalars)
        for check in tape.checks:
            _require(check, check.smallest.buffer, check.largest.buffer)
        return replay

    def sources(self, found: Walk) -> tuple[Source, ...] | None:
        """Where the leaves come from; None if one of them is nobody's."""
        owners = {
            known.leaf: known.storage for known in self.tape.storages.values() if known.leaf
        }
        sources = []
        for leaf in found.leaves:
            storage = owners.get(leaf.source)
            if storage is None:
                return None
            number = self.argument_of.get(id(storage), -1)
            start = leaf.offset
            if number >= 0 and self.arguments[number]._path:
                start -= self.arguments[number].layout.offset
            offset = start * leaf.node.dtype.itemsize
            node = leaf.source
            kept = None if number >= 0 else storage
            sources.append(Source(number, kept, offset, node.shape, node.dtype))
        return tuple(sources)

    def events(self, found: Walk) -> tuple[tuple[Callable[[], Any], int], ...]:
        numbers = {node: number for number, node in enumerate(found.arguments)}
        return tuple(
            (event.function, -1 if event.node is None else numbers.get(event.node, -1))
            for event in self.tape.events
            if event.counts or event.node in numbers
        )

    def places(self, outputs: dict[Node, int]) -> tuple[Any, Any, Any, Any]:
        """The fresh storages, writes, gradients and handles of the replay."""
        fresh: list[Fresh] = []
        numbers: dict[int, int] = {}
        handles = []
        for tensor in self.results:
            storage = tensor._storage
            if self.tape.is_born(storage):
                number = numbers.get(id(storage))
                if number is None:
                    number = numbers[id(storage)] = len(fresh)
                    fresh.append(_fresh(outputs, node_slot.__get__(storage)))
                handles.append(
                    Handle(number, -1, None, tensor._path, tensor.shape, tensor._layout)
                )
            else:
                handles.append(self.outer_handle(tensor))
        writes = tuple(
            Write(
                self.argument_of.get(id(known.storage), -1),
                known.storage,
                _fresh(outputs, node_slot.__get__(known.storage)),
            )
            for known in self.tape.storages.values()
            if known.written
        )
        return tuple(fresh), writes, tuple(self.grad_writes), tuple(handles)

    def pins(self) -> tuple[Pin, ...]:
        found = []
        for number, tensor in enumerate(self.arguments):
            storage = tensor._storage
            outer = self.tape.storages.get(id(storage))
            written = outer is not None and outer.written
            if id(storage) in self.known or (written and tensor._path):
                found.append(Pin(number, storage, tensor.layout.offset if tensor._path else 0))
        return tuple(found)

    def outer_handle(self, tensor: Any) -> Handle:
        """A result that is (a view of) something that was there before."""
        for number, argument in enumerate(self.arguments):
            if tensor is argument:
                return Handle(-1, number, None, (), tensor.shape, None)
        number = self.argument_of.get(id(tensor._storage), -1)
        kept = None if number >= 0 else tensor._storage
        whole = tensor if kept is not None and not self.tape.is_inner(tensor) else None
        return Handle(-1, number, kept, tensor._path, tensor.shape, tensor.layout, whole)


def _fresh(outputs: dict[Node, int], node: Node) -> Fresh:
    return Fresh(outputs[node], node.shape, node.dtype)
