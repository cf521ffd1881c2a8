"""Compute nodes: the one path from a graph to values.

`realize` numbers what is pending (schedule/program.py, or recall.py for a graph that was seen
before), finds or makes the plan for it, runs it, and hands the buffers to the nodes, which then
drop their history. Plans are kept by exact key; a constant that is seen with a second value becomes
an argument, so that it never compiles a third time, and so do sizes after their second value
(sizes.py). One thread computes at a time; the others wait.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import weakref
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from grad.device import open_backend, open_plans
from grad.engine.awaited import Written, all_due, awaited
from grad.engine.plan import Plan
from grad.engine.recording import recording
from grad.engine.reuse import Reuses
from grad.engine.single import Single, single_key, single_of
from grad.engine.sizes import Structures, fixed_of
from grad.graph.node import Node
from grad.graph.storage import read_now
from grad.graph.template import NoTemplate, trial
from grad.schedule.program import Key, Walk, program_of, walk
from grad.schedule.recall import Trace, recalled, trace_of
from grad.settings import settings

if TYPE_CHECKING:
    from grad.codegen.backend import Backend

CACHE_SIZE = 4096
# How many graphs that look alike from their roots are compared with a new one.
TRACES_ALIKE = 4


class _Family:
    """All plans of one graph structure: they differ in the values of their constants."""

    __slots__ = ("key", "plans", "seen", "varying")

    def __init__(self, key: Key, values: tuple[Any, ...]) -> None:
        self.key = key
        self.seen = values
        self.varying: frozenset[int] = frozenset()
        self.plans: dict[tuple[Any, ...], Plan] = {}


class PlanCache:
    """Plans by key, the least recently used forgotten first.

    Attributes:
        hits, misses: how often a plan was found, and made. kernels: how many kernels have been
            started.
    """

    def __init__(self, size: int = CACHE_SIZE) -> None:
        self.size = size
        self.families: OrderedDict[Any, _Family] = OrderedDict()
        self.traces: OrderedDict[Any, list[Trace]] = OrderedDict()
        self.singles: dict[Any, Single] = {}
        self.structures = Structures()
        self.reuses = Reuses(size)
        self.hits = 0
        self.misses = 0
        self.kernels = 0

    def walk(self, roots: Sequence[Node]) -> Walk:
        """``walk(roots)``, by comparison with graphs that were seen before where that will do."""
        first, last = roots[0], roots[-1]
        looks = (len(roots), first.op, first.depth, first.shape, last.op, last.depth, last.shape)
        alike = self.traces.get(looks)
        if alike is None:
            alike = self.traces[looks] = []
            if len(self.traces) > self.size:
                self.traces.popitem(last=False)
        for trace in alike:
            found = recalled(trace, roots)
            if found is not None:
                return found
        found = walk(roots)
        family = self.families.get(self._key(found))
        key = self.reuses.key_of(found.key) if family is None else family.key
        if key is not None:  # once is not worth a trace
            # With the very key that is kept, which is found without comparing.
            alike.insert(0, trace_of(roots, found._replace(key=key)))
            del alike[TRACES_ALIKE:]
        return found

    def run_single(self, node: Node, key: Hashable, memory: Sequence[Node]) -> bool:
        """Compute one node the short way, if that is kept under its key (single.py)."""
        single = self.singles.get((self._place(), key))
        if single is None:
            return False
        uses = single.plan.uses
        if uses is not None and not uses.again():
            del self.singles[self._place(), key]
            return False
        single.run(node, memory)
        self.hits += 1
        self.kernels += single.plan.kernel_count
        return True

    def keep_single(
        self,
        node: Node,
        key: Hashable,
        memory: Sequence[Node],
        found: Walk,
        plan: Plan,
        scalars: Sequence[Any],
    ) -> None:
        """Keep the short way to `plan` under a key of `node`, where there is one."""
        single = single_of(node, memory, found, plan, scalars)
        if single is not None:
            if len(self.singles) >= self.size:
                self.singles.clear()
            self.singles[self._place(), key] = single

    def find(self, found: Walk) -> tuple[Plan, list[Any]]:
        """The plan for a walk, made if need be, and the numbers that it takes."""
        plan, varying = self._find(found)
        scalars = [node.arg for node in found.arguments]
        if varying:
            scalars.extend([found.constants[number].arg for number in sorted(varying)])
        return plan, scalars

    @staticmethod
    def _place() -> tuple[str, int]:
        # Plans have scratch for each worker, so they hold for one number of them.
        return settings.backend, open_backend(settings.backend).workers()

    @classmethod
    def _key(cls, found: Walk) -> tuple[Any, ...]:
        return *cls._place(), found.key

    def _find(self, found: Walk) -> tuple[Plan, frozenset[int]]:
        """The plan for a walk, and which of its constants are arguments."""
        key = self._key(found)
        family = self.families.get(key)
        reason = "new graph"
        if family is None:
            family = self.families[key] = _Family(found.key, found.values)
            if len(self.families) > self.size:
                self.families.popitem(last=False)
        else:
            # Order matters when it fills up.
            if 2 * len(self.families) > self.size:
                self.families.move_to_end(key)
            if found.values != family.seen:
                changed = {
                    n
                    for n, (a, b) in enumerate(zip(found.values, family.seen, strict=True))
                    if a != b
                }
                if not changed <= family.varying:
                    family.varying |= changed
                    family.plans.clear()
                    reason = f"constants vary, arguments from now on: {len(changed)}"
        fixed = found.values
        if family.varying:
            fixed = fixed_of(fixed, family.varying)
        plan = family.plans.get(fixed)
        if plan is not None and (plan.uses is None or plan.uses.again()):
            self.hits += 1
            return plan, family.varying
        backend = open_backend(settings.backend)
        if plan is not None and plan.uses is not None:
            if not self.structures.gets_own(found, backend):
                plan.uses.go_on()
                self.hits += 1
                return plan, family.varying
            reason = "used often"
        self.misses += 1
        made = self._made(found, family, reason, backend, own=plan is not None)
        return made, family.varying

    def _made(
        self, found: Walk, family: _Family, reason: str, backend: Backend, own: bool = False
    ) -> Plan:
        """A new plan for a walk, which its family keeps; with its `own` sizes, or as is best."""
        may_vary = backend.open_sizes and not own
        sized = self.structures.find(found, family.varying, backend) if may_vary else None
        if settings.debug >= 1:
            reason = reason if sized is None else "sizes vary"
            print(f"grad: plan miss ({reason}), {len(found.nodes)} nodes", file=sys.stderr)
        if sized is None:
            plan = open_plans().plan_of(program_of(found, family.varying), backend)
        else:
            plan, varying = sized
            if varying != family.varying:
                family.varying = varying
                family.plans.clear()
        family.plans[fixed_of(found.values, family.varying)] = plan
        return plan

    @contextmanager
    def apart(self) -> Iterator[None]:
        """Inside, no plan has been made yet, and what is made and found does not count."""
        before = self.families, self.traces, self.singles, self.structures, self.reuses
        counts = self.hits, self.misses, self.kernels
        self.families, self.traces, self.structures = OrderedDict(), OrderedDict(), Structures()
        self.singles, self.reuses = {}, Reuses(self.size)
        try:
            yield
        finally:
            self.families, self.traces, self.singles, self.structures, self.reuses = before
            self.hits, self.misses, self.kernels = counts

    def clear(self) -> None:
        self.families.clear()
        self.traces.clear()
        self.singles.clear()
        self.structures = Structures()
        self.reuses = Reuses(self.size)
        self.hits = self.misses = self.kernels = 0


cache = PlanCache()
_lock = threading.RLock()


def _compute_or_put_back(due: Sequence[weakref.ref[Node]]) -> bool:
    """What was to be computed along did not fit: what storages hold is computed by itself, or they
    hold what they did. Gives whether the latter.
    """
    written = [late for late in due if isinstance(late, Written)]
    try:
        realize([node for late in written if (node := late()) is not None], alone=True)
    except MemoryError:
        for late in reversed(written):
            late.put_back()
        return True
    return False


def nobody_computing() -> threading.RLock:
    """The lock that a thread holds while it computes: inside it, no plan is made or run."""
    return _lock


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=lambda: _lock.acquire(),
        after_in_parent=lambda: _lock.release(),
        after_in_child=_after_fork_in_child,
    )


def realize(nodes: Sequence[Node], alone: bool = False) -> None:
    """Compute `nodes`: afterwards each has its values in `node.buffer`, row-major.

    All of them become one plan, so what they share is computed once. Values along the way that
    somebody still holds, and that were costly, are kept as well. What is to be computed soon
    (awaited.py) is computed too, unless `alone`.

    Raises:
        OutOfMemoryError: nothing has changed then, and the nodes can be realised later. But what
            was to be computed soon may have been put back.
    """
    if recording.recorder is not None:
        recording.recorder.value_wanted(nodes)
    for node in nodes:
        if node.buffer is None:
            break
    else:
        return
    if trial.running:
        raise NoTemplate
    with _lock:
        pending = [node for node in nodes if node.buffer is None]
        if not pending:
            return
        due: Sequence[weakref.ref[Node]] = ()
        if awaited and not alone:
            due = all_due()
            pending += [node for late in due if (node := late()) is not None]
        key = single_key(pending[0]) if len(pending) == 1 else None
        if key is not None and cache.run_single(pending[0], *key):
            return
        found = cache.walk(pending)
        if key is None:
            found = cache.reuses.wish(found)
        plan, scalars = cache.find(found)
        if key is not None:
            cache.keep_single(pending[0], *key, found, plan, scalars)
        try:
            if found.donated or found.replaced:
                # A value that was overwritten must not be left looking pending: it would be written
                # again.
                with interrupts_held():
                    compute(found, plan, scalars)
            else:
                compute(found, plan, scalars)
        except MemoryError:
            if not _compute_or_put_back(due):
                raise
            realize(nodes, alone=True)


def settle(nodes: Sequence[Node], alone: bool = False) -> None:
    """`realize` for those who need no values, but an end to pending work; waits for the end of a
    recording.
    """
    if recording.recorder is None:
        realize(nodes, alone)


def bound(node: Node) -> None:
    """Have `node`, which is deeper than `PENDING_LIMIT`, computed unless it can stay pending."""
    if recording.recorder is None and not trial.running and read_now(node):
        return
    settle((node,))


def compute(found: Walk, plan: Plan, scalars: Sequence[float | int | bool]) -> None:
    """Run `plan` and hand the buffers to the nodes."""
    buffers = plan.run(found.leaves, scalars)
    for number, buffer in zip(found.outputs, buffers, strict=True):
        found.nodes[number].realized(buffer)
    cache.kernels += plan.kernel_count


@contextmanager
def interrupts_held() -> Iterator[None]:
    """Have Ctrl-C wait until the block is through (where the system can)."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def kernel_count(nodes: Sequence[Node]) -> int:
    """How many kernels computing `nodes` takes (and compute them)."""
    pending = [node for node in nodes if node.buffer is None]
    if not pending:
        return 0
    with _lock:
        found = walk(pending)
        plan, _ = cache.find(found)
    realize(pending)
    return plan.kernel_count
