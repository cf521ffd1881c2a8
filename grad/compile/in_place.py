"""Plan a recorded function so that storages get their new values where the old ones are.

A training step replaces each parameter by a new value of the same size. Its plan is asked to store
that in the memory of the old one (`Program.replaced`; engine/placement.py decides whether it can).
The recorded run itself computes in copies, since others may hold the old values; replays see to it
that nobody does (run.py).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from grad.buffer import Buffer
from grad.compile.recorder import Check, Tape
from grad.compile.watch import node_slot
from grad.engine.plan import Plan
from grad.engine.realize import cache
from grad.graph.node import Node
from grad.graph.primitives import HOST
from grad.graph.storage import copied
from grad.schedule.program import Key, Walk


def in_place(found: Walk, tape: Tape, roots: Sequence[Node]) -> Walk:
    """`found` with the wish that new values of storages are stored where the old ones are.

    Args:
        roots: the nodes of all that the function changes and gives, one for each.
    """
    if any(node.op is HOST for node in found.nodes):
        return found  # it may raise when others have written already
    positions = {found.nodes[number]: i for i, number in enumerate(found.outputs)}
    leaves = {leaf.source: n for n, leaf in enumerate(found.leaves) if leaf.layout is None}
    slices: dict[Node, list[int]] = defaultdict(list)
    for number, leaf in enumerate(found.leaves):
        if leaf.layout is not None:
            slices[leaf.source].append(number)
    wanted = Counter(roots)
    replaced: list[tuple[int, int]] = []
    parts: list[tuple[int, int]] = []
    for known in tape.storages.values():
        before = known.leaf
        if not known.written or before is None or before not in leaves:
            continue
        after = node_slot.__get__(known.storage)
        same = after.shape == before.shape and after.dtype is before.dtype
        # What is also a result, or the value of another storage, needs memory of its own.
        if same and after in positions and wanted[after] == 1:
            replaced.append((positions[after], leaves[before]))
            parts.extend((leaves[before], number) for number in slices.get(before, ()))
    if not replaced:
        return found
    checked = tuple(positions[node] for check in tape.checks for node in _limits(check))
    return found._replace(
        replaced=tuple(replaced),
        checked=checked,
        parts=tuple(parts),
        # An update knows nothing of those who read a slice of what it writes to.
        donated=tuple(leaf for _, leaf in replaced if leaf not in dict(parts)),
        key=Key((*found.key.parts, tuple(replaced), checked, tuple(parts))),
    )


def _limits(check: Check) -> tuple[Node, Node]:
    return check.smallest, check.largest


def plan_in_place(found: Walk, wished: Walk) -> tuple[Plan, list[float | int | bool]]:
    """The plan for `wished`, or, where that would write to a leaf for another reason, for `found`;
    and the numbers it takes.
    """
    plan, scalars = cache.find(wished)
    if plan.first_write < 0 or any(
        output.leaf >= 0 and not output.copy and (position, output.leaf) not in wished.replaced
        for position, output in enumerate(plan.outputs)
    ):
        return cache.find(found)
    return plan, scalars


def compute_apart(found: Walk, plan: Plan, scalars: Sequence[float | int | bool]) -> None:
    """Run `plan` and hand the buffers to the nodes; what it would overwrite is copied first."""
    copies: dict[int, Buffer] = {}
    for output in plan.outputs:
        if output.leaf >= 0 and not output.copy:
            buffer = found.leaves[output.leaf].source.buffer
            assert buffer is not None
            copies[output.leaf] = copied(buffer)
    addresses = [
        copies[number].address if number in copies else leaf.address
        for number, leaf in enumerate(found.leaves)
    ]
    buffers = plan.execute(addresses, plan.words(scalars), plan.reserve())
    for number, output, buffer in zip(found.outputs, plan.outputs, buffers, strict=True):
        found.nodes[number].realized(copies[output.leaf] if buffer is None else buffer)
    cache.kernels += plan.kernel_count
