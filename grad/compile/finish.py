"""Make a `Replay` of a tape: compute what the recorded run left pending, in one plan, and write
down where the plan's inputs come from and where its results go.

The results of the run itself come out of the same computation, so a recorded call gives what an
ordinary one does. Read replay.py first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from grad.compile.fresh import Fresh, fresh
from grad.compile.gradient import GradientPlan, is_spent, record_gradient, separate
from grad.compile.in_place import compute_apart, in_place, plan_in_place
from grad.compile.recorder import Tape
from grad.compile.replay import GradWrite, Handle, Pin, Replay, Source, Write, require
from grad.compile.tree import can_be_given_again, has_given, with_places
from grad.compile.watch import node_slot
from grad.engine.plan import Plan
from grad.engine.realize import nobody_computing, realize
from grad.graph.arrays import is_table
from grad.graph.node import Node, contiguous
from grad.graph.storage import Storage
from grad.schedule.program import Walk, walk


def finish(
    tape: Tape,
    arguments: Sequence[Any],
    result: Any,
    known: Sequence[Any],
    before: Mapping[int, Any],
) -> Replay | None:
    """Compute what `tape` left pending, and write the replay; None when there can be none.

    Args:
        arguments: the tensors that the function was given. result: what it returned.
        known: tensors that the function reaches without its arguments.
        before: what stands for containers that there were before (containers.py).
    """
    return _Finish(tape, arguments, result, known, before).replay()


def abandon(tape: Tape) -> None:
    """There will be no replay: see to the checks, which the recorded run has put off."""
    realize([node for check in tape.checks for node in (check.smallest, check.largest)])
    require_checks(tape)
    tape.end()


def require_checks(tape: Tape) -> None:
    """Raise the error of the first check that fails, with all that was written taken back."""
    for check in tape.checks:
        try:
            require(check, check.smallest.buffer, check.largest.buffer)
        except Exception:
            tape.undo(check)
            raise


class _Finish:
    """Puts one replay together."""

    def __init__(
        self,
        tape: Tape,
        arguments: Sequence[Any],
        result: Any,
        known: Sequence[Any],
        before: Mapping[int, Any],
    ) -> None:
        self.tape = tape
        self.known = known
        self.arguments = arguments
        self.argument_of = {
            id(tensor._storage): number for number, tensor in reversed(list(enumerate(arguments)))
        }
        self.results: list[Any] = []
        self.result = with_places(result, self.results, before)
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
        for ending in tape.endings:
            found += ending.nodes
        return found

    def replay(self) -> Replay | None:
        tape = self.tape
        roots = self.roots()
        history = self.with_history()
        spent = [n for n, t in history.items() if is_spent(t, tape.contexts)]
        alive = {n: t for n, t in history.items() if n not in spent}
        with nobody_computing():
            pending = [node for node in dict.fromkeys(roots) if node.buffer is None]
            found = walk(pending)
            # A gradient to come would read what is overwritten.
            wished = found if alive else in_place(found, tape, roots)
            plan, scalars = plan_in_place(found, wished)
            sources = self.sources(found)
            outputs = {found.nodes[n]: i for i, n in enumerate(found.outputs)}
            compute_apart(found, plan, scalars)
        require_checks(tape)
        endings = self.endings(outputs)
        tape.end()
        if not self.results_can_be_made():
            return None
        if alive and any(context._retained for context in tape.contexts):
            return None  # nor one that will be kept
        if sources is None or any(node not in outputs for node in roots):
            return None
        leaves = self.leaves(found)
        numbers = {node: number for number, node in enumerate(found.arguments)}
        gradients = self.gradients(alive, outputs, leaves, numbers)
        if gradients is None:
            return None
        made, writes, grads, handles = self.places(outputs, plan)
        checks = [(outputs[c.smallest], outputs[c.largest], c, tape.undos(c)) for c in tape.checks]
        return Replay(
            plan=plan,
            sources=sources,
            words=plan.words(scalars),
            events=self.events(numbers),
            fresh=made,
            writes=writes,
            grads=grads,
            grads_read=tape.grads_read,
            handles=handles,
            own=self.own_results,
            result=self.result,
            checks=tuple(checks),
            endings=endings,
            pins=self.pins(),
            held=tuple((n, t) for n, t in enumerate(self.arguments) if id(t) in tape.grads),
            gradients=gradients,
            spent=tuple(spent),
            written=frozenset(id(write.storage) for write in writes if write.argument < 0),
            unwritten=self.unwritten(writes),
            changed=tuple(write.argument for write in writes if write.argument >= 0),
            beside=self.beside(),
            gives_back=has_given(self.result),
            pure=self.pure(made, writes, grads, handles, checks, endings, gradients, spent),
        )

    def leaves(self, found: Walk) -> dict[Any, tuple[int, int]]:
        """The leaf that a node is in, and where in it in bytes."""
        leaves = {
            leaf.source: (number, leaf.offset * leaf.node.dtype.itemsize)
            for number, leaf in enumerate(found.leaves)
        }
        for known in self.tape.storages.values():  # saved tensors lead to the storage's own node
            if known.leaf in leaves:
                leaves[known.before] = leaves[known.leaf]
        return leaves

    def results_can_be_made(self) -> bool:
        """Whether a replay can make all that the function gave."""
        made = [tensor for tensor in self.results if self.tape.is_made_here(tensor)]
        return (
            can_be_given_again(self.result)
            # A replay makes another handle, which has no gradient,
            and all(tensor._grad is None for tensor in made)
            # nor the history of a view of what was there.
            and not any(tensor._needs_grad and self.is_older(tensor) for tensor in made)
        )

    def endings(self, outputs: Mapping[Node, int]) -> tuple[Any, ...]:
        """What is done afterwards, with the outputs that it is told."""
        return tuple(
            (action, tuple((outputs[node], node.dtype) for node in nodes if node in outputs))
            for action, nodes in self.tape.endings
        )

    def pure(
        self, made: Sequence[Fresh], writes: Any, grads: Any, handles: Any, *others: Any
    ) -> Fresh | None:
        """The only result, when there is one new tensor and nothing else to do."""
        if writes or grads or any(others) or len(made) != 1 or self.result != 0:
            return None
        return None if handles[0].path else made[0]

    def gradients(
        self,
        wanted: Mapping[int, Any],
        outputs: dict[Node, int],
        leaves: dict[Any, tuple[int, int]],
        numbers: Mapping[Node, int],
    ) -> tuple[GradientPlan, ...] | None:
        """The plans for the gradients of `wanted`; None if there is one that cannot be made.

        `numbers` are those of the scalars that are arguments.
        """
        if wanted and max(wanted) >= self.own_results:
            return None  # a .grad that has a history itself
        contexts = self.tape.contexts
        found = [
            record_gradient(contexts, self.arguments, self.known, part, outputs, leaves, numbers)
            for part in separate(wanted, contexts)
        ]
        plans = [plan for plan in found if plan is not None]
        return tuple(plans) if len(plans) == len(found) else None

    def is_older(self, tensor: Any) -> bool:
        """Whether the memory of a result was there before."""
        return not self.tape.is_born(tensor._storage)

    def with_history(self) -> dict[int, Any]:
        """The results that require a gradient because of what was recorded."""
        return {
            number: tensor
            for number, tensor in enumerate(self.results)
            if tensor._needs_grad and not self.is_older(tensor)
        }

    def sources(self, found: Walk) -> tuple[Source, ...] | None:
        """Where the leaves come from; None if one of them is nobody's."""
        owners = {known.leaf: known.storage for known in self.tape.storages.values() if known.leaf}
        sources = []
        for leaf in found.leaves:
            storage = owners.get(leaf.source)
            if storage is None and is_table(leaf.source):
                storage = Storage(leaf.source)  # the replay keeps it
            if storage is None:
                return None
            number = self.argument_of.get(id(storage), -1)
            start = leaf.offset
            if number >= 0 and self.arguments[number]._path:
                start -= self.arguments[number].memory_layout.offset
            offset = start * leaf.node.dtype.itemsize
            node = leaf.source
            kept = None if number >= 0 else storage
            sources.append(Source(number, kept, offset, node.shape, node.dtype))
        return tuple(sources)

    def events(self, numbers: Mapping[Node, int]) -> tuple[tuple[Callable[[], Any], int], ...]:
        """What is done at each replay, and the number of the scalar that it gives (or -1)."""
        return tuple(
            (event.function, -1 if event.node is None else numbers.get(event.node, -1))
            for event in self.tape.events
            if event.counts or event.node in numbers
        )

    def places(self, outputs: dict[Node, int], plan: Plan) -> tuple[Any, Any, Any, Any]:
        """The fresh storages, writes, gradients and handles of the replay."""
        made: list[Fresh] = []
        numbers: dict[int, int] = {}
        handles = []
        for tensor in self.results:
            storage = tensor._storage
            if self.tape.is_born(storage):
                number = numbers.get(id(storage))
                if number is None:
                    number = numbers[id(storage)] = len(made)
                    made.append(fresh(outputs, node_slot.__get__(storage)))
                handle = Handle(number, -1, None, tensor._path, tensor._shape, tensor._layout)
                handles.append(handle)
            else:
                handles.append(self.outer_handle(tensor))
        writes = tuple(
            Write(
                self.argument_of.get(id(known.storage), -1),
                known.storage,
                value := fresh(outputs, node_slot.__get__(known.storage)),
                plan.outputs[value.output].leaf >= 0 and not plan.outputs[value.output].copy,
            )
            for known in self.tape.storages.values()
            if known.written
        )
        return tuple(made), writes, tuple(self.grad_writes), tuple(handles)

    def pins(self) -> tuple[Pin, ...]:
        known = {id(tensor._storage) for tensor in self.known}
        known |= {id(storage) for _, _, storage in self.tape.grads_read}
        found = []
        for number, tensor in enumerate(self.arguments):
            storage = tensor._storage
            outer = self.tape.storages.get(id(storage))
            written = outer is not None and outer.written
            if id(storage) in known or (written and tensor._path):
                found.append(
                    Pin(number, storage, tensor.memory_layout.offset if tensor._path else 0)
                )
        return tuple(found)

    def unwritten(self, writes: Sequence[Write]) -> tuple[int, ...]:
        """The arguments that are on none of the storages that are written."""
        written = {id(write.storage) for write in writes}
        if not written:
            return ()
        return tuple(n for n, t in enumerate(self.arguments) if id(t._storage) not in written)

    def beside(self) -> frozenset[int]:
        """The storages that the function knows, and that no argument is on."""
        known = {id(tensor._storage) for tensor in self.known}
        known |= {id(storage) for _, _, storage in self.tape.grads_read}
        return frozenset((known | self.tape.storages.keys()) - self.argument_of.keys())

    def outer_handle(self, tensor: Any) -> Handle:
        """A result that is (a view of) something that was there before."""
        for number, argument in enumerate(self.arguments):
            if tensor is argument:
                return Handle(-1, number, None, (), tensor._shape, None)
        number = self.argument_of.get(id(tensor._storage), -1)
        kept = None if number >= 0 else tensor._storage
        # Each replay gives a new view, as the function does, and the same tensor if that does.
        whole = tensor if kept is not None and not self.tape.is_made_here(tensor) else None
        return Handle(-1, number, kept, tensor._path, tensor._shape, tensor.memory_layout, whole)
