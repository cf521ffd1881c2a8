"""The short way to the plan of one operation on values that are there.

Code that looks at every result computes one node at a time: ``(a + b).numpy()``, a loss, a
comparison. Numbering such a graph (schedule/program.py), or comparing it with one that was seen
(recall.py), costs more than the operation. `single_key` says in one tuple everything that decides
what the plan of such a node is; `single_of` makes what is kept under it, in `PlanCache`
(realize.py).
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from grad.buffer import Buffer
from grad.engine.plan import NO_MEMORY, Plan
from grad.graph.node import Node
from grad.graph.primitives import CONST
from grad.schedule.program import Walk, comparable


class Single(NamedTuple):
    """A plan that takes whole leaves alone and gives one new value.

    Attributes:
        plan: the plan; sources: which source of the node each leaf of the plan is.
        nbytes: the size of the value.
    """

    plan: Plan
    sources: tuple[int, ...]
    nbytes: int

    def run(self, node: Node) -> None:
        """Compute `node`, which has the key that this is kept under."""
        src = node.src
        buffer = Buffer(self.nbytes)
        addresses = [src[number].buffer.address for number in self.sources]  # type: ignore[union-attr]
        self.plan.start((*addresses, buffer.address, *NO_MEMORY))
        node.realized(buffer)


def single_key(node: Node) -> Hashable:
    """What the plan of the pending `node` depends on, if its sources are values in memory or
    constants; else None.
    """
    src = node.src
    key = [node.op, node.arg, node.dtype, node.shape]
    for source in src:
        if source.buffer is not None:
            key += source.shape, source.dtype, src.index(source)
        elif source.op is CONST:
            key += "constant", source.dtype, comparable(source.arg)
        else:
            return None
    return tuple(key)


def single_of(node: Node, found: Walk, plan: Plan) -> Single | None:
    """What computes nodes like `node`, whose walk and plan these are; None where more than the
    addresses of whole leaves is to be handed over, or more than one value comes out, or memory
    is needed on the way.

    Who holds what does not matter: nothing but `node` is computed, so nothing else can be kept.
    """
    if (
        found.arguments
        or found.donated
        or found.overwritten
        or plan.packers
        or not plan.plain
        or len(plan.fresh) != 1
        or plan.arena_bytes
        or plan.scratch_bytes
        or any(leaf.node is not leaf.source or leaf.layout is not None for leaf in found.leaves)
    ):
        return None
    sources = tuple([node.src.index(leaf.node) for leaf in found.leaves])
    return Single(plan, sources, plan.fresh[0])
