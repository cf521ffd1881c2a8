"""Who else holds a value: told by CPython's reference counts.

Two questions are asked about a numbered graph (docs/design/005). Is a value worth keeping? It is,
if somebody outside holds it and it was costly. May a leaf be overwritten? It may, if the write is
the only thing that refers to it. What the answers depend on besides the counts, a walk finds out
once (`costly_values`, `overwritten_leaves`); `recall.py` then only counts again.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

from grad.graph.node import Node
from grad.graph.primitives import (
    ATTENTION,
    ATTENTION_GRADIENT,
    BUFFER,
    CONTRACT,
    CONVOLVE,
    CONVOLVE_WEIGHT,
    HOST,
    RECURRENCE,
    RECURRENCE_GRADIENT,
    SCAN,
    SCATTER,
    TAKE,
    UPDATE,
    Kind,
)

# A held value is kept when recomputing it would cost more than this many additions for each
# element.
KEEP_COST = 12
_HEAVY = 1000
_HEAVY_OPS = frozenset(
    (CONTRACT, CONVOLVE, CONVOLVE_WEIGHT, SCAN, SCATTER, UPDATE, TAKE)
    + (ATTENTION, ATTENTION_GRADIENT, RECURRENCE, RECURRENCE_GRADIENT, HOST)
)


class Costly(NamedTuple):
    """A value that is kept if somebody holds it.

    Attributes:
        number: of the node. references: how often the graph itself refers to it.
        held: whether there were more references than these.
    """

    number: int
    references: int
    held: bool


class Overwritten(NamedTuple):
    """A leaf that one update or scatter overwrites, and nothing else in the graph reads: the
    numbers of the node and of the leaf.

    Attributes:
        pending: the update, and what is made of it, as far as they are not computed now: numbers,
            and how often the graph refers to them. Who holds one may compute the update again.
    """

    number: int
    leaf: int
    pending: tuple[tuple[int, int], ...]


def costly_values(
    nodes: Sequence[Node], sources: Sequence[tuple[int, ...]], own_references: int
) -> list[Costly]:
    """The values that would be costly to compute again.

    Who holds is told by CPython's reference counts: more references than the caller
    (`own_references`) and the graph have themselves. A miscount would cost time or memory, never a
    wrong number. What is held is stored, so what is computed of it is cheap.
    """
    references = [0] * len(nodes)
    for found in sources:
        for number in found:
            references[number] += 1
    costly: list[Costly] = []
    price: list[int] = []
    for number, found in enumerate(sources):
        if not found:
            price.append(0)
            continue
        op = nodes[number].op
        kind = op.kind
        if kind is Kind.REDUCE or op in _HEAVY_OPS:
            total = _HEAVY
        else:
            total = op.cost if kind is Kind.POINTWISE else 0
            for source in found:
                total += price[source]
            if total > _HEAVY:
                total = _HEAVY
        if total > KEEP_COST and kind is not Kind.MOVEMENT:
            count = references[number]
            held = sys.getrefcount(nodes[number]) > count + own_references
            costly.append(Costly(number, count, held))
            if held:
                total = 0
        price.append(total)
    return costly


def overwritten_leaves(
    nodes: Sequence[Node],
    sources: Sequence[tuple[int, ...]],
    leaves: Sequence[Any],
    outputs: Sequence[int],
) -> tuple[Overwritten, ...]:
    """The leaves that only one update or scatter reads, as what it overwrites."""
    if any(node.op is HOST for node in nodes):
        return ()  # it may raise, and a second try would start from what was overwritten
    places = {id(leaf.node): number for number, leaf in enumerate(leaves)}
    uses = Counter(source for found in sources for source in found)
    computed = frozenset(outputs)
    return tuple(
        [
            Overwritten(
                found[0], places[id(nodes[found[0]])], _pending(number, sources, uses, computed)
            )
            for number, (node, found) in enumerate(zip(nodes, sources, strict=True))
            if (node.op is UPDATE or node.op is SCATTER)
            and nodes[found[0]].op is BUFFER
            and uses[found[0]] == 1
        ]
    )


def _pending(
    update: int, sources: Sequence[tuple[int, ...]], uses: Counter[int], computed: frozenset[int]
) -> tuple[tuple[int, int], ...]:
    """`Overwritten.pending` of the update with this number."""
    made: dict[int, int] = {}
    for number in range(update, len(sources)):
        if number in computed or (number != update and made.keys().isdisjoint(sources[number])):
            continue
        made[number] = uses[number]
    return tuple(made.items())


def donated(
    nodes: Sequence[Node], overwritten: Sequence[Overwritten], own_references: int
) -> tuple[int, ...]:
    """The leaves among `overwritten` that nobody can read after it, nor compute the update again.

    The counts tell of the node, and of its buffer, which a NumPy view or another node may share.
    Memory that came from outside is never written.
    """
    given = []
    for number, leaf, pending in overwritten:
        if any(sys.getrefcount(nodes[n]) > own_references + uses for n, uses in pending):
            continue
        base = nodes[number]
        buffer = base.buffer
        if buffer is None or buffer.is_external:
            continue
        # Two for the leaf, one for the name `base`, one for the source of the update.
        held = sys.getrefcount(base) > own_references + 4
        # One for the node, one for the name `buffer`, one for the argument.
        shared = sys.getrefcount(buffer) > 3
        if not held and not shared:
            given.append(leaf)
    return tuple(given)
