"""The short way to the plan of one operation on values that are there.

Code that looks at every result computes one operation at a time: ``(a + b).numpy()``, a loss, a
comparison. Numbering such a graph (schedule/program.py), or comparing it with one that was seen
(recall.py), costs more than the operation. `single_key` says in one tuple everything that decides
what the plan of such a node is: of a few nodes, or of many that are known by their origin
(autograd/rebuilt.py). `single_of` makes what is kept under it, in `PlanCache` (realize.py).
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any, NamedTuple

from grad.buffer import Buffer
from grad.engine.plan import Plan
from grad.graph.node import Node
from grad.graph.primitives import CONST, SLICE
from grad.schedule.program import Leaf, Walk, comparable

# How many operations are put into a key: comparing larger graphs (recall.py) costs little beside
# computing them.
MOST_NODES = 4


class Single(NamedTuple):
    """A plan that takes leaves alone and gives one new value.

    Attributes:
        plan: the plan.
        leaves: for each leaf of the plan, in which value in memory it is, of those that the key
            names, and how many bytes from its start; or -1 and its address, of an array that is
            known with the node.
        words: the numbers that the plan takes, which are always the same.
        nbytes: the size of the value. arena_bytes, scratch_bytes: as in `Plan`.
    """

    plan: Plan
    leaves: tuple[tuple[int, int], ...]
    words: tuple[int, ...]
    nbytes: int
    arena_bytes: int
    scratch_bytes: int

    def run(self, node: Node, memory: Sequence[Node]) -> None:
        """Compute `node`, which has the key that this is kept under, from values in `memory`."""
        plan, leaves, words, nbytes, arena_bytes, scratch_bytes = self
        buffer = Buffer(nbytes)
        arena = Buffer(arena_bytes) if arena_bytes else None
        scratch = Buffer(scratch_bytes) if scratch_bytes else None
        plan.start(
            (
                *[
                    start if number < 0 else memory[number].buffer.address + start  # type: ignore[union-attr]
                    for number, start in leaves
                ],
                *words,
                buffer.address,
                0 if arena is None else arena.address,
                0 if scratch is None else scratch.address,
            )
        )
        node.realized(buffer)


def single_key(node: Node) -> tuple[Hashable, Sequence[Node]] | None:
    """What the plan of the pending `node` depends on, and the values in memory that it takes; None
    unless it is known what it is made of, or that is at most `MOST_NODES` operations.
    """
    if node.origin is not None:
        made, known = node.origin
        return (made, *map(known.index, known)), known
    key: list[Any] = []
    memory: list[Node] = []
    pending = [node]
    for inner in pending:  # which grows
        if inner.op is SLICE:
            return None  # see `_nodes_alone`
        key += inner.op, inner.arg, inner.dtype, inner.shape
        for source in inner.src:
            if source.buffer is not None:
                if source not in memory:
                    memory.append(source)
                key += source.shape, source.dtype, memory.index(source)
            elif source.op is CONST:
                key += "constant", source.dtype, comparable(source.arg)
            elif source.src and len(pending) < MOST_NODES:
                key.append("pending")
                pending.append(source)
            else:
                return None
    return tuple(key), memory


def single_of(
    node: Node,
    memory: Sequence[Node],
    found: Walk,
    plan: Plan,
    scalars: Sequence[float | int | bool],
) -> Single | None:
    """What computes nodes like `node`, whose walk and plan these are, from values in `memory`.

    None where more than one value comes out, or may be worth keeping; where a leaf is written to;
    where what is handed over may be another next time.
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
    leaves = tuple([_place(leaf, memory) for leaf in found.leaves])
    return Single(
        plan, leaves, plan.words(scalars), plan.fresh[0], plan.arena_bytes, plan.scratch_bytes
    )


def _place(leaf: Leaf, memory: Sequence[Node]) -> tuple[int, int]:
    """An entry of `Single.leaves`."""
    if leaf.source not in memory:
        return -1, leaf.address
    return memory.index(leaf.source), leaf.offset * leaf.node.dtype.itemsize


def _nodes_alone(found: Walk, plan: Plan) -> bool:
    """Whether a plan takes whole leaves alone, and nothing on the way is costly.

    Numbers and slices are other ones at every step of a loop, and would fill the cache. What is
    costly is kept if somebody holds it, which the key does not say.
    """
    return (
        not plan.packers
        and all(value.number in found.outputs for value in found.costly)
        and all(leaf.node is leaf.source and leaf.layout is None for leaf in found.leaves)
    )
