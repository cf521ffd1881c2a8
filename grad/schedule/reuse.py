"""Which results may take the memory of a value that nobody reads after them.

An optimiser's step makes a new parameter of the old one, which nothing else refers to any more. A
plan that stores the new one where the old one is needs no second set of parameters and moments.
`wishes` finds the pairs once for a graph; `granted` asks, each time, whether somebody else holds
the old value, or something from which it would be computed again (holders.py has the like for
updates, and docs/design/005 and 033 the reasons). Whether the kernels can is found out by
engine/placement.py.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from sys import getrefcount
from typing import NamedTuple

from grad.graph.node import Node
from grad.graph.primitives import BUFFER, HOST, Kind
from grad.schedule.program import Leaf, Walk

# Smaller values stay in the cache, and asking would cost more than their memory.
SMALLEST_BYTES = 256 * 1024
# How many nodes below a result are looked at for a value to take the place of.
NODES_LOOKED_AT = 64

# References to a node that are always there when `granted` asks: that of the list, and that of the
# argument; to a leaf those of its `Leaf`; to a buffer that of its node, and that of the argument.
_ASKING = 2
_OF_LEAF = 2
_OF_BUFFER = 2


class Wish(NamedTuple):
    """A result that could be stored where a leaf is.

    Attributes:
        position: of the result, among the outputs. leaf: the number of the leaf.
        number: of the leaf's node. uses: how often the graph refers to that.
    """

    position: int
    leaf: int
    number: int
    uses: int


class Wishes(NamedTuple):
    """All of a graph's.

    Attributes:
        between: what is made of the leaves, and is no output: numbers, and how often the graph
            refers to them. Whoever holds one may have it computed of the leaf again.
    """

    wishes: tuple[Wish, ...]
    between: tuple[tuple[int, int], ...]


def wishes(found: Walk) -> Wishes | None:
    """The results of a graph that could be stored where leaves are; None without any."""
    nodes, outputs = found.nodes, frozenset(found.outputs)
    places = {
        id(leaf.node): (slot, leaf)
        for slot, leaf in enumerate(found.leaves)
        if leaf.layout is None and _is_large(leaf.node)
    }
    # A function of NumPy may raise when others have written already.
    if not places or any(node.op is HOST for node in nodes):
        return None
    numbers = {id(node): number for number, node in enumerate(nodes)}
    sources = _sources(found)
    uses = Counter(id(source) for below in sources for source in below)
    wished: list[Wish] = []
    for position, output in enumerate(found.outputs):
        slot = _slot_below(nodes[output], places)
        if slot is not None:
            _, leaf = places.pop(id(found.leaves[slot].node))
            node = leaf.node
            wished.append(Wish(position, slot, numbers[id(node)], uses[id(node)]))
    if not wished:
        return None
    made = {wish.number for wish in wished}
    between = []
    for number, node in enumerate(nodes):
        if number not in outputs and any(numbers[id(s)] in made for s in sources[number]):
            made.add(number)
            between.append((number, uses[id(node)]))
    return Wishes(tuple(wished), tuple(between))


def granted(found: Walk, known: Wishes) -> tuple[tuple[int, int], ...]:
    """The wishes whose leaf nobody can read after this graph: as `Program.replaced`."""
    nodes = found.nodes
    held = [n for n, uses in known.between if getrefcount(nodes[n]) > _ASKING + uses]
    needed = _below(found, held) if held else frozenset()
    given = []
    for position, slot, number, uses in known.wishes:
        buffer = nodes[number].buffer
        if buffer is None or buffer.is_external or number in needed:
            continue
        del buffer
        if (
            getrefcount(nodes[number]) == _ASKING + _OF_LEAF + uses
            and getrefcount(nodes[number].buffer) == _OF_BUFFER
        ):
            given.append((position, slot))
    return tuple(given)


def _is_large(node: Node) -> bool:
    return math.prod(node.shape) * node.dtype.itemsize >= SMALLEST_BYTES


def _sources(found: Walk) -> list[tuple[Node, ...]]:
    """What each node is computed of; a leaf, which a slice may be, of nothing."""
    leaves = {id(leaf.node) for leaf in found.leaves}
    return [() if id(node) in leaves else node.src for node in found.nodes]


def _slot_below(result: Node, places: dict[int, tuple[int, Leaf]]) -> int | None:
    """The first leaf of the same shape and type below `result`, as operands come, behind
    element-by-element operations only.
    """
    stack, seen = [result], {id(result)}
    while stack and len(seen) < NODES_LOOKED_AT:
        node = stack.pop()
        if node.op is BUFFER:
            found = places.get(id(node))
            if found is not None and node is not result and node.dtype is result.dtype:
                return found[0]
        elif node.op.kind is Kind.POINTWISE:
            below = [s for s in node.src if s.shape == result.shape and id(s) not in seen]
            seen.update(map(id, below))
            stack.extend(reversed(below))
    return None


def _below(found: Walk, held: Sequence[int]) -> frozenset[int]:
    """Everything of which the nodes `held` would be computed again, once the outputs are there."""
    numbers = {id(node): number for number, node in enumerate(found.nodes)}
    sources, done = _sources(found), frozenset(found.outputs)
    needed = set(held)
    for number in reversed(range(len(sources))):
        if number in needed and number not in done:
            needed.update(numbers[id(source)] for source in sources[number])
    return frozenset(needed)
