"""`Runner`: run a replay again and again, doing only what may have changed since the last time.

A run sets the slots of the plan (addresses of storages, arguments and memory, numbers) and starts
it. Storages that the plan overwrites must have memory that nobody else reads: if somebody does,
they get a copy first (kept.py). When a run finds everything as the last one left it, it writes down
what it found (`_Steady`): as long as a quick comparison says that this still holds, later runs only
set what comes from the arguments, and memory for the results. Read replay.py first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from grad.autograd.variable import Variable
from grad.buffer import Buffer
from grad.compile.fresh import Fresh
from grad.compile.gradient import link_spent
from grad.compile.kept import (
    LARGEST_KEPT,
    Apart,
    KeptBuffers,
    KeptGradients,
    bring_up_to_date,
    have_alone,
    node_of,
    put_back,
    rows_alone,
)
from grad.compile.leaves import Leaves
from grad.compile.replay import STALE, Made, Replay, require
from grad.compile.tree import put_together
from grad.device import open_backend
from grad.engine.plan import Memory
from grad.engine.realize import cache, interrupts_held, nobody_computing, realize
from grad.graph.node import Node, from_buffer
from grad.graph.storage import Storage, write_through
from grad.runtime.comparisons import FirstDifference
from grad.settings import settings

# After so many comparisons that no run could use, there is one in about 2 ** as many runs.
_MOST_UNUSED = 6
ARENA, SCRATCH, RESULTS = 0, 1, 2  # numbers of buffers, the results from the last one on


class _Steady(NamedTuple):
    """What stays from run to run.

    Attributes:
        differs: compares what may have changed, besides storages that are only read.
        slots: values of the plan's slots. buffers: of its outputs, as far as they stay.
        work: memory that the slots point to.
    """

    differs: FirstDifference
    slots: list[int]
    buffers: list[Any]
    work: list[Buffer]


class Runner:
    """Runs one replay; one thread at a time."""

    def __init__(self, replay: Replay) -> None:
        self.replay = replay
        self.uses = replay.plan.uses
        self._steady: _Steady | None = None
        self._unused = 0  # comparisons in a row that no later run could use
        self._pause = 0  # runs until the next one is made
        self._written = False  # whether the run has come to where storages are overwritten
        self._conditional = bool(
            replay.grads_read or replay.pins or replay.held or replay.unwritten or replay.changed
        )
        self._writes = [write for write in replay.writes if not write.in_place]
        in_place = [write for write in replay.writes if write.in_place]
        self._leaves = Leaves(replay)
        self._overwritten_arguments = [w.argument for w in in_place if w.argument >= 0]
        self._set_buffers()

    def _set_buffers(self) -> None:
        """Which memory is gradients', and which is renewed for each run."""
        replay, plan = self.replay, self.replay.plan
        outputs = replay.gradient_outputs()
        gradients = [plan.outputs[output].slot for output in dict.fromkeys(outputs)]
        given = [write.tensor for write in replay.grads if write.handle >= 0]
        self._dropped = [write.tensor for write in replay.grads if write.handle < 0]
        self._gradients = KeptGradients(given if outputs else [], outputs)
        self._gradient_sizes = [plan.fresh[slot] for slot in gradients]
        # A check that fails must leave gradients alone.
        self._may_reuse = bool(outputs) and (not replay.checks or plan.first_write > 0)
        results = [slot for slot in range(len(plan.fresh)) if slot not in set(gradients)]
        sizes = [plan.arena_bytes, plan.scratch_bytes, *(plan.fresh[slot] for slot in results)]
        self._kept = KeptBuffers(sizes)
        order = [*results, *gradients]
        self._order = [order.index(slot) for slot in range(len(order))]
        # Number of a buffer, its slot in the plan, the outputs that it is.
        words = len(replay.sources)
        first = words + len(replay.words)
        self._words = slice(words, first)
        self._renewed = [
            (
                RESULTS + number,
                first + slot,
                [i for i, o in enumerate(plan.outputs) if o.slot == slot],
            )
            for number, slot in enumerate(results)
        ]
        last = first + len(plan.fresh)
        self._renewed += [
            (number, last + number, [])
            for number in (ARENA, SCRATCH)
            if sizes[number] > LARGEST_KEPT
        ]
        self._steadiable = (
            not any(output.copy for output in plan.outputs)
            and (self._may_reuse or not given)
            and not self._overwritten_arguments
        )
        self._only_result = None if replay.events else replay.pure

    @property
    def is_over(self) -> bool:
        """Whether there should be another recording, with another plan (engine/uses.py)."""
        return self.uses is not None and self.uses.over

    # -- running -----------------------------------------------------------------------------------
    def run(self, arguments: Sequence[Any]) -> Any:
        """Run with the tensors `arguments` (and containers behind them, if the function gives back
        what it was given); gives the result, or `STALE` when a storage or a
        gradient is no longer what it was, or the plan has been used often enough.

        Raises:
            OutOfMemoryError, or what a check of an index raises: no tensor has changed then.
        """
        with nobody_computing():
            if self.uses is not None and not self.uses.again():
                return STALE
            if self._conditional and not self.replay.applies(arguments):
                return STALE
            steady = self._steady
            if steady is not None:
                if steady.differs() < 0 and self._leaves.follow(steady.slots):
                    self._unused = 0
                    if self._only_result is not None:
                        return self._run_for_result(arguments, steady, self._only_result)
                    return self._run_again(arguments, steady)
                # To write down what no run finds again costs more than it saves.
                self._unused = min(self._unused + 1, _MOST_UNUSED)
                self._pause = 2**self._unused - 2
            self._steady = steady = None  # its rows would count as references
            return self._run_anew(arguments)

    def release(self) -> None:
        """Keep the gradients of the last run no longer: other ones have been set."""
        with nobody_computing():
            self._steady = None  # its rows refer to them
            self._gradients.forget()

    def _run_again(self, arguments: Sequence[Any], steady: _Steady) -> Any:
        """Run when nothing but arguments and numbers has changed."""
        replay = self.replay
        _, slots, buffers, _ = steady
        self._leaves.set_arguments(arguments, slots)
        buffers = buffers.copy()
        work = self._renew(slots)
        for (_, _, outputs), buffer in zip(self._renewed, work):
            for output in outputs:
                buffers[output] = buffer
        spares = self._spares(arguments) if self._writes else ()
        words = replay.words
        if replay.events:
            words = slots[self._words] = replay.words_now()
        leaves = replay.leaves(arguments) if replay.gradients else []
        made = Made(self._compute(slots, lambda: buffers))
        return self._finished(arguments, made, leaves, words, True, spares)

    def _run_for_result(self, arguments: Sequence[Any], steady: _Steady, result: Fresh) -> Any:
        """The same of a replay that has one result and does nothing else."""
        plan, slots = self.replay.plan, steady.slots
        self._leaves.set_arguments(arguments, slots)
        work = self._renew(slots)
        plan.start(slots)
        cache.kernels += plan.kernel_count
        return Variable._wrap(from_buffer(work[0], result.shape, result.dtype))

    def _renew(self, slots: list[int]) -> list[Buffer]:
        """Set the slots of what is renewed for each run; gives the memory, that of results first,
        which must be kept until the run is over.
        """
        take = self._kept.take
        taken = []
        for number, slot, _ in self._renewed:
            buffer = take(number)
            slots[slot] = buffer.address
            taken.append(buffer)
        return taken

    def _run_anew(self, arguments: Sequence[Any]) -> Any:
        """Run, looking at everything."""
        self._written = False
        replay, plan = self.replay, self.replay.plan
        apart = self._set_storages()
        if apart is None:
            return STALE
        again = self._may_reuse and self._gradients.free()
        differs = None
        if self._steadiable and not apart and (again or not self._gradient_sizes):
            if not self._pause:
                differs = self._comparison()
            else:
                self._pause -= 1
        try:
            if self._overwritten_arguments:
                apart += have_alone(self._own(arguments))
            self._leaves.set_arguments(arguments, self._leaves.addresses)
            memory = self._memory(again)
            spares = self._spares(arguments)
            words = replay.words_now() if replay.events else replay.words
            slots = plan.slots(self._leaves.addresses, words, memory)
            leaves = replay.leaves(arguments) if replay.gradients else []
            made = Made(self._compute(slots, lambda: plan.results(slots, memory)))
        except BaseException:
            # An interrupt may come when everything has its new value.
            (bring_up_to_date if self._written else put_back)(apart)
            raise
        if differs is not None:
            work = [buffer for buffer in (memory.arena, memory.scratch) if buffer is not None]
            small = [buffer for buffer in work if buffer.nbytes <= LARGEST_KEPT]
            self._steady = _Steady(differs, list(slots), [None] * len(plan.outputs), small)
        return self._finished(arguments, made, leaves, words, again, spares, apart)

    def _finished(
        self,
        arguments: Sequence[Any],
        made: Made,
        leaves: Sequence[tuple[Node, int]],
        words: Sequence[int],
        again: bool,
        spares: Sequence[Buffer | None],
        apart: Sequence[Apart] = (),
    ) -> Any:
        """Give storages and gradients their new values; gives the result.

        `again`: gradients have theirs already.
        """
        replay = self.replay
        cache.kernels += replay.plan.kernel_count
        for storage in self._leaves.overwritten:
            storage.version += 1
            storage.stamp += 1
        if self._writes or self._overwritten_arguments or apart:
            with interrupts_held():
                self._write(arguments, made, spares)
                bring_up_to_date(apart)
        replay.end(made.buffers)
        if replay.pure is not None:
            return Variable._wrap(made.node(replay.pure))
        count = replay.own if again else len(replay.handles)
        tensors = [replay.tensor(number, arguments, made) for number in range(count)]
        if not again:
            for tensor, number in replay.grads:
                if number >= 0:
                    tensor._grad = tensors[number]
            if self._may_reuse:
                self._gradients.remember()
        for tensor in self._dropped:
            tensor._grad = None
        for gradient in replay.gradients:
            gradient.link(tensors, arguments, made.buffers, made.nodes, leaves, words)
        for number in replay.spent:
            link_spent(tensors[number])
        return put_together(replay.result, tensors, arguments)

    # -- before ------------------------------------------------------------------------------------
    def _set_storages(self) -> list[Apart] | None:
        """Set the leaves that are in outer storages; None if one of these is no longer what it was.

        Gives the storages that got a copy of what they hold, since it will be overwritten.
        """
        if not self._leaves.are_alike():
            return None
        self._leaves.compute()
        apart = have_alone(self._leaves.overwritten)
        self._leaves.set_storages()
        return apart

    def _comparison(self) -> FirstDifference:
        """Compares what storages that are overwritten, and gradients, hold with what they do now,
        and who else refers to it.
        """
        rows = [*rows_alone(self._leaves.overwritten), *self._gradients.rows()]
        return open_backend(settings.backend).first_difference(rows)

    def _own(self, arguments: Sequence[Any]) -> list[Storage]:
        """The storages of arguments that are overwritten, with their values there."""
        own = [arguments[number]._storage for number in self._overwritten_arguments]
        realize([*map(node_of, own)])
        return own

    def _memory(self, again: bool) -> Memory:
        """The memory of a run; that of the gradients of the last one, if they are written again."""
        plan, take = self.replay.plan, self._kept.take
        fresh = [take(number) for number in range(RESULTS, len(self._kept.sizes))]
        if self._gradient_sizes:
            fresh += self._gradients.buffers if again else map(Buffer, self._gradient_sizes)
            fresh = [fresh[number] for number in self._order]
        copies = [Buffer(output.nbytes) for output in plan.outputs if output.copy]
        return Memory(fresh, copies, take(ARENA), take(SCRATCH))

    # -- the run, and after ------------------------------------------------------------------------
    def _compute(self, slots: Sequence[int], buffers: Callable[[], Sequence[Any]]) -> Sequence[Any]:
        """Run the plan, and check what is to be checked before anything is overwritten; gives
        `buffers()`, those of the outputs.
        """
        plan, checks = self.replay.plan, self.replay.checks
        if not checks:
            self._written = True
            plan.start(slots)
            return buffers()
        plan.start(slots, 0, plan.first_write or None)
        found = buffers()
        for smallest, largest, check, undos in checks:
            try:
                require(check, found[smallest], found[largest])
            except Exception:
                for undo in undos:
                    undo()
                raise
        if plan.first_write:
            self._written = True
            plan.start(slots, plan.first_write)
            found = buffers()
        return found

    def _spares(self, arguments: Sequence[Any]) -> Sequence[Buffer | None]:
        """Memory for the old values of what `_write` writes to memory shared with others: there is
        no running out of it once something is written.
        """
        found: list[Buffer | None] = []
        for argument, storage, _, _ in self._writes:
            if argument >= 0:
                storage = arguments[argument]._storage
            found.append(None if storage.shared is None else Buffer(storage.shared.buffer.nbytes))
        return found

    def _write(self, arguments: Sequence[Any], made: Made, spares: Sequence[Buffer | None]) -> None:
        """Give storages that are not overwritten in place their new values."""
        for number in self._overwritten_arguments:
            storage = arguments[number]._storage
            storage.version += 1
            storage.stamp += 1
        for (argument, storage, fresh, _), spare in zip(self._writes, spares, strict=True):
            if argument >= 0:
                storage = arguments[argument]._storage
            before = storage.node
            storage.write(made.node(fresh))
            if storage.shared is not None:
                write_through(storage, before, spare)
