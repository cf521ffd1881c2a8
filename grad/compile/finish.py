"""Make a `Replay` of a tape: compute what the recorded run left pending, in one plan, and write
down where the plan's inputs come from and where its results go.

The results of the run itself come out of the same computation, so a recorded call gives what an
ordinary one does. Read replay.py first.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from typing import Any

from grad.compile.gradient import GradientPlan, is_spent, record_gradient
from grad.compile.recorder import Tape
from grad.compile.replay import Fresh, GradWrite, Handle, Pin, Replay, Source, Write, require
from grad.compile.tree import with_places
from grad.compile.watch import node_slot
from grad.engine.realize import cache, compute, nobody_computing
from grad.graph.node import Node, contiguous
from grad.schedule.program import Walk, walk


def finish(
    tape: Tape, arguments: Sequence[Any], result: Any, known: Sequence[Any]
) -> Replay | None:
    """Compute what `tape` left pending, and write the replay; None when there can be none.

    Args:
        arguments: the tensors that the function was given. result: what it returned.
        known: tensors that the function reaches without its arguments.
    """
    return _Finish(tape, arguments, result, known).replay()


class _Finish:
    """Puts one replay together."""

    def __init__(
        self, tape: Tape, arguments: Sequence[Any], result: Any, known: Sequence[Any]
    ) -> None:
        self.tape = tape
        self.known = known
        self.arguments = arguments
        self.argument_of = {
            id(tensor._storage): number for number, tensor in reversed(list(enumerate(arguments)))
        }
        self.results: list[Any] = []
        self.result = with_places(result, self.results)
        self.own_results = len(self.results)
        self.grad_writes = [self.grad_write(g.tensor) for g in tape.grads.values() if g.written]

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
            compute(found, plan, scalars)
        for check in tape.checks:
            require(check, check.smallest.buffer, check.largest.buffer)
        if sources is None or any(node not in outputs for node in roots):
            return None
        leaves = {
            leaf.source: (number, leaf.offset * leaf.node.dtype.itemsize)
            for number, leaf in enumerate(found.leaves)
        }
        for known in tape.storages.values():  # saved tensors lead to the storage's own node
            if known.leaf in leaves:
                leaves[known.before] = leaves[known.leaf]
        spent = [n for n, t in self.with_history().items() if is_spent(t, tape.contexts)]
        gradient, possible = self.gradient(spent, outputs, leaves)
        if not possible:
            return None
        fresh, writes, grads, handles = self.places(outputs)
        checks = [(outputs[c.smallest], outputs[c.largest], c) for c in tape.checks]
        return Replay(
            plan=plan,
            sources=sources,
            words=plan.words(scalars),
            events=self.events(found),
            fresh=fresh,
            writes=writes,
            grads=grads,
            handles=handles,
            result=self.result,
            checks=tuple(checks),
            pins=self.pins(),
            gradient=gradient,
            spent=tuple(spent),
            written=frozenset(id(write.storage) for write in writes if write.argument < 0),
            unwritten=self.unwritten(writes),
            pure=self.pure(fresh, writes, grads, handles, checks, gradient, spent),
        )

    def pure(
        self, fresh: Sequence[Fresh], writes: Any, grads: Any, handles: Any, *others: Any
    ) -> Fresh | None:
        """The only result, when there is one new tensor and nothing else to do."""
        if writes or grads or any(others) or len(fresh) != 1 or self.result != 0:
            return None
        (handle,) = handles
        return fresh[0] if not handle.path and fresh[0].output == 0 else None

    def gradient(
        self, spent: Container[int], outputs: dict[Node, int], leaves: dict[Any, tuple[int, int]]
    ) -> tuple[GradientPlan | None, bool]:
        """The plan for gradients, if any are needed; and whether that was possible."""
        wanted = {n: t for n, t in self.with_history().items() if n not in spent}
        if not wanted:
            return None, True
        if max(wanted) >= self.own_results:
            return None, False  # a .grad that has a history itself
        found = record_gradient(
            self.tape.contexts, self.arguments, self.known, wanted, outputs, leaves
        )
        return found, found is not None

    def with_history(self) -> dict[int, Any]:
        """The results that require a gradient because of what was recorded."""
        return {
            number: tensor
            for number, tensor in enumerate(self.results)
            if tensor._needs_grad and self.tape.is_born(tensor._storage)
        }

    def sources(self, found: Walk) -> tuple[Source, ...] | None:
        """Where the leaves come from; None if one of them is nobody's."""
        owners = {known.leaf: known.storage for known in self.tape.storages.values() if known.leaf}
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
                handles.append(Handle(number, -1, None, tensor._path, tensor.shape, tensor._layout))
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
        known = {id(tensor._storage) for tensor in self.known}
        found = []
        for number, tensor in enumerate(self.arguments):
            storage = tensor._storage
            outer = self.tape.storages.get(id(storage))
            written = outer is not None and outer.written
            if id(storage) in known or (written and tensor._path):
                found.append(Pin(number, storage, tensor.layout.offset if tensor._path else 0))
        return tuple(found)

    def unwritten(self, writes: Sequence[Write]) -> tuple[int, ...]:
        """The arguments that are on none of the storages that are written."""
        written = {id(write.storage) for write in writes}
        if not written:
            return ()
        return tuple(n for n, t in enumerate(self.arguments) if id(t._storage) not in written)

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
