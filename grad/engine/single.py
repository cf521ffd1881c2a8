"""The short way to the plan of one operation on values that are there.

Code that looks at every result computes one operation at a time: ``(a + b).numpy()``, a loss, a
comparison. Numbering such a graph (schedule/program.py), or comparing it with one that was seen
(recall.py), costs more than the operation. `single_key` says in one tuple everything that decides
what the plan of such a node is: of one node, or of many that are known by their origin
(autograd/rebuilt.py). `single_of` makes what is kept under it, in `PlanCache` (realize.py).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

from grad.buffer import Buffer
from grad.engine.plan import Plan
from grad.graph.node import Node
from grad.graph.primitives import CONST
from grad.schedule.program import Leaf, Walk, comparable


class Single(NamedTuple):
    """A plan that takes leaves alone and gives one new value.

    Attributes:
        plan: the plan.
        leaves: for each leaf of the plan, in which source of the node it is, and how many bytes
            from its start; or -1 and its address, of an array that is known with the node.
        words: the numbers that the plan takes, which are always the same.
        nbytes: the size of the value. arena_bytes, scratch_bytes: as in `Plan`.
    """

    plan: Plan
    leaves: tuple[tuple[int, int], ...]
    words: tuple[int, ...]
    nbytes: int
    arena_bytes: int
    scratch_bytes: int

    def run(self, node: Node) -> None:
        """Compute `node`, which has the key that this is kept under."""
        plan, leaves, words, nbytes, arena_bytes, scratch_bytes = self
        src = node.src if node.origin is None else node.origin[1]
        buffer = Buffer(nbytes)
        arena = Buffer(arena_bytes) if arena_bytes else None
        scratch = Buffer(scratch_bytes) if scratch_bytes else None
        plan.start(
            (
                *[
                    start if number < 0 else src[number].buffer.address + start  # type: ignore[union-attr]
                    for number, start in leaves
                ],
                *words,
                buffer.address,
                0 if arena is None else arena.address,
                0 if scratch is None else scratch.address,
            )
        )
        node.realized(buffer)


def single_key(node: Node) -> Hashable:
    """What the plan of the pending `node` depends on, if its sources are values in memory or
    constants, or it is known what it is made of; else None.
    """
    if node.origin is not None:
        made, known = node.origin
        return (made, *map(known.index, known))
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


def single_of(
    node: Node, found: Walk, plan: Plan, scalars: Sequence[float | int | bool]
) -> Single | None:
    """What computes nodes like `node`, whose walk and plan these are; None where more than one
    value comes out, or a leaf is written to, or what is handed over may be another next time.

    Who holds what does not matter: nothing but `node` is computed, so nothing else can be kept.
    """
    known = node.origin is not None
    if (
        found.arguments
        or found.donated
        or not plan.plain
        or len(plan.fresh) != 1
        or not (known or _nodes_alone(found, plan))
    ):
        return None
    src = node.src if node.origin is None else node.origin[1]
    leaves = tuple([_place(leaf, src) for leaf in found.leaves])
    return Single(
        plan, leaves, plan.words(scalars), plan.fresh[0], plan.arena_bytes, plan.scratch_bytes
    )


def _place(leaf: Leaf, src: tuple[Node, ...]) -> tuple[int, int]:
    """An entry of `Single.leaves`."""
    if leaf.source not in src:
        return -1, leaf.address
    return src.index(leaf.source), leaf.offset * leaf.node.dtype.itemsize


def _nodes_alone(found: Walk, plan: Plan) -> bool:
    """Whether a plan takes whole leaves alone: numbers and slices are other ones at every step of a
    loop, and would fill the cache.
    """
    return not plan.packers and all(
        leaf.node is leaf.source and leaf.layout is None for leaf in found.leaves
    )
