"""`Runner`: run a replay again and again, doing only what may have changed since the last time.

From call to call it keeps the addresses of outer storages, as long as these hold the same nodes,
and memory that nobody else has any more: of results, gradients and work space (kept.py). Storages
that the plan overwrites must have memory that nobody else reads: if somebody does, they get a copy
first. Read replay.py first.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from operator import call, is_
from typing import Any

from grad.autograd.variable import Variable
from grad.buffer import Buffer
from grad.compile.gradient import address, link_spent
from grad.compile.kept import (
    Apart,
    KeptBuffers,
    KeptGradients,
    all_alone,
    bring_up_to_date,
    have_alone,
    node_of,
    put_back,
)
from grad.compile.replay import STALE, Made, Replay, require
from grad.compile.tree import put_together
from grad.engine.plan import Memory
from grad.engine.realize import cache, interrupts_held, nobody_computing, realize
from grad.graph.node import Node
from grad.graph.storage import Storage, write_through


class Runner:
    """Runs one replay; one thread at a time."""

    def __init__(self, replay: Replay) -> None:
        self.replay = replay
        self._conditional = bool(replay.grads_read or replay.pins or replay.unwritten)
        self._writes = [write for write in replay.writes if not write.in_place]
        in_place = [write for write in replay.writes if write.in_place]
        self._overwritten = [write.storage for write in in_place if write.argument < 0]
        self._overwritten_arguments = [w.argument for w in in_place if w.argument >= 0]
        # -- leaves: who gives which
        sources = list(enumerate(replay.sources))
        self._leaves = [0] * len(sources)
        outer = {id(s.storage): s.storage for _, s in sources if s.storage is not None}
        self._storages: list[Storage] = list(outer.values())
        self._nodes: list[weakref.ref[Node]] = []  # of the storages, when their leaves were set
        self._of_storages = [(leaf, s.storage, s) for leaf, s in sources if s.storage is not None]
        self._of_arguments = [
            (leaf, s.argument, s.offset, s.dtype.itemsize) for leaf, s in sources if s.argument >= 0
        ]
        # -- memory: gradients, and the rest
        plan = replay.plan
        outputs = replay.gradient_outputs()
        gradients = [plan.outputs[output].slot for output in outputs]
        self._gradients = KeptGradients([write.tensor for write in replay.grads] if outputs else [])
        # A check that fails must leave gradients alone.
        self._may_reuse = bool(outputs) and (not replay.checks or plan.first_write > 0)
        self._gradient_sizes = [plan.fresh[slot] for slot in gradients]
        others = [slot for slot in range(len(plan.fresh)) if slot not in set(gradients)]
        sizes = [plan.arena_bytes, plan.scratch_bytes, *(plan.fresh[slot] for slot in others)]
        self._kept = KeptBuffers(sizes)
        order = [*others, *gradients]
        self._order = [order.index(slot) for slot in range(len(order))]

    def run(self, arguments: Sequence[Any]) -> Any:
        """Run with the tensors `arguments`; gives the result, or `STALE` when a storage or a
        gradient is no longer what it was.

        Raises:
            OutOfMemoryError, or what a check of an index raises: no tensor has changed then.
        """
        replay = self.replay
        plan = replay.plan
        with nobody_computing():
            if self._conditional and not replay.applies(arguments):
                return STALE
            apart = self._set_storages()
            if apart is None:
                return STALE
            try:
                if self._overwritten_arguments:
                    apart = [*apart, *have_alone(self._own(arguments))]
                self._set_arguments(arguments)
                again = self._may_reuse and self._gradients.free()
                memory = self._memory(again)
                words = replay.words_now() if replay.events else replay.words
                leaves = replay.leaves(arguments) if replay.gradient is not None else []
                made = Made(self._compute(plan.slots(self._leaves, words, memory), memory))
            except BaseException:
                put_back(apart)
                raise
            cache.kernels += plan.kernel_count
            for storage in self._overwritten:
                storage.version += 1
                storage.stamp += 1
            if apart or self._writes or self._overwritten_arguments:
                with interrupts_held():
                    self._write(arguments, made)
                    bring_up_to_date(apart)
        if replay.pure is not None:
            return Variable._wrap(made.node(replay.pure))
        count = replay.own if again else len(replay.handles)
        tensors = [replay.tensor(number, arguments, made) for number in range(count)]
        if replay.grads and not again:
            for tensor, number in replay.grads:
                tensor._grad = None if number < 0 else tensors[number]
            if self._may_reuse:
                self._gradients.remember()
        if replay.gradient is not None:
            replay.gradient.link(tensors, arguments, made.buffers, made.nodes, leaves, words)
        for number in replay.spent:
            link_spent(tensors[number])
        return put_together(replay.result, tensors)

    # -- before ------------------------------------------------------------------------------------
    def _set_storages(self) -> Sequence[Apart] | None:
        """Set the leaves that are in outer storages; None if one of these is no longer what it was.

        Gives the storages that got a copy of what they hold, since it will be overwritten.
        """
        storages, overwritten = self._storages, self._overwritten
        same = len(self._nodes) == len(storages) and all(
            map(is_, map(call, self._nodes), map(node_of, storages))
        )
        if same and (not overwritten or all_alone(overwritten)):
            return ()
        self._nodes = []
        for _, storage, source in self._of_storages:
            node = storage.node
            if node.shape != source.shape or node.dtype is not source.dtype:
                return None
        realize([*map(node_of, storages)])
        apart = have_alone(overwritten)
        for leaf, storage, source in self._of_storages:
            self._leaves[leaf] = address(storage.node) + source.offset
        self._nodes = [*map(weakref.ref, map(node_of, storages))]
        return apart

    def _own(self, arguments: Sequence[Any]) -> list[Storage]:
        """The storages of arguments that are overwritten, with their values there."""
        own = [arguments[number]._storage for number in self._overwritten_arguments]
        realize([*map(node_of, own)])
        return own

    def _set_arguments(self, arguments: Sequence[Any]) -> None:
        for leaf, number, offset, itemsize in self._of_arguments:
            tensor = arguments[number]
            node = tensor._storage.node
            if node.buffer is None:
                realize((node,))
            if tensor._path:
                offset += tensor.layout.offset * itemsize
            self._leaves[leaf] = address(node) + offset

    def _memory(self, again: bool) -> Memory:
        """The memory of a run; that of the gradients of the last one, if they are written again."""
        arena, scratch, *fresh = self._kept.take()
        if self._gradient_sizes:
            kept = self._gradients
            fresh += kept.buffers if again else map(Buffer, self._gradient_sizes)
            fresh = [fresh[number] for number in self._order]
        outputs = self.replay.plan.outputs
        copies = [Buffer(output.nbytes) for output in outputs if output.copy]
        return Memory(fresh, copies, arena, scratch)

    # -- the run, and after ------------------------------------------------------------------------
    def _compute(self, slots: Sequence[int], memory: Memory) -> Sequence[Any]:
        """Run the plan, and check what is to be checked before anything is overwritten; gives the
        buffers of the outputs.
        """
        plan, checks = self.replay.plan, self.replay.checks
        if not checks:
            plan.start(slots)
            return plan.results(slots, memory)
        plan.start(slots, 0, plan.first_write or None)
        buffers = plan.results(slots, memory)
        for smallest, largest, check in checks:
            require(check, buffers[smallest], buffers[largest])
        if plan.first_write:
            plan.start(slots, plan.first_write)
            buffers = plan.results(slots, memory)
        return buffers

    def _write(self, arguments: Sequence[Any], made: Made) -> None:
        """Give storages from outside their new values."""
        for number in self._overwritten_arguments:
            storage = arguments[number]._storage
            storage.version += 1
            storage.stamp += 1
        for argument, storage, fresh, _ in self._writes:
            if argument >= 0:
                storage = arguments[argument]._storage
            before = storage.node
            storage.write(made.node(fresh))
            if storage.shared is not None:
                write_through(storage, before)
