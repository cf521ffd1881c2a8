"""Recognise a graph that was seen before, by comparison instead of numbering it anew.

A loop builds the same graph at every turn, on other values. `trace_of` writes a numbered graph down
in the order in which a search from its roots meets the nodes; `recalled` follows such a trace
through a new graph and compares node with node. That takes a fifth of the time of `walk`
(program.py) and gives exactly what `walk` would have given, or None at the first difference.

What a walk finds out besides the structure is asked again: the constants' values, where slices lie,
and who holds what (holders.py).
"""

from __future__ import annotations

from collections.abc import Sequence
from sys import getrefcount
from typing import Any, NamedTuple

from grad.dtype import DType
from grad.graph.movement import Shape
from grad.graph.node import Node
from grad.graph.primitives import CONST, POW, SLICE, Primitive
from grad.schedule.holders import Costly, Overwritten, donated
from grad.schedule.program import Key, Leaf, Walk, comparable, leaf_of

# What a row compares of a node: op, arg (None: it has none, or it does not matter), shape, dtype,
# and for each source the place in the order of the search at which it is met.
Row = tuple[Primitive, Any, Shape, DType, tuple[int, ...]]


class Trace(NamedTuple):
    """What `recalled` needs of a graph. Nodes are meant by their place in the order of the search.

    Attributes:
        roots: places of the roots; rows: what each node must be.
        slices: the strides of those slices that are leaves, None for the others.
        powers: the exponents that are part of the code.
        order: the places in topological order, which is how `Walk` numbers nodes.
        leaves, arguments, constants: the places of those.
        costly, overwritten, outputs, donated, key: as in `Walk`, by its numbers.
    """

    roots: tuple[int, ...]
    rows: tuple[Row, ...]
    slices: tuple[tuple[int, tuple[int, ...] | None], ...]
    powers: tuple[tuple[int, Any], ...]
    order: tuple[int, ...]
    leaves: tuple[int, ...]
    arguments: tuple[int, ...]
    constants: tuple[int, ...]
    costly: tuple[Costly, ...]
    overwritten: tuple[Overwritten, ...]
    outputs: tuple[int, ...]
    donated: tuple[int, ...]
    key: Key


def trace_of(roots: Sequence[Node], found: Walk) -> Trace:
    """`found`, the walk over `roots`, as a trace."""
    strides = {leaf.node: leaf.layout.strides for leaf in found.leaves if leaf.layout is not None}
    met: list[Node] = []
    places: dict[Node, int] = {}

    def place(node: Node) -> int:
        if node not in places:
            places[node] = len(met)
            met.append(node)
        return places[node]

    root_places = tuple([place(root) for root in roots])
    rows: list[Row] = []
    slices, powers = [], []
    for number, node in enumerate(met):  # which grows
        op = node.op
        below = () if node in strides else node.src
        sources = tuple([place(source) for source in below])
        arg = node.arg if node.src and node not in strides else None
        rows.append((op, arg, node.shape, node.dtype, sources))
        if op is SLICE:
            slices.append((number, strides.get(node)))
        elif op is POW and node.src[1].op is CONST:
            powers.append((sources[1], comparable(node.src[1].arg)))
    return Trace(
        root_places,
        tuple(rows),
        tuple(slices),
        tuple(powers),
        tuple([places[node] for node in found.nodes]),
        tuple([places[leaf.node] for leaf in found.leaves]),
        tuple([places[node] for node in found.arguments]),
        tuple([places[node] for node in found.constants]),
        tuple(found.costly),
        tuple(found.overwritten),
        found.outputs,
        found.donated,
        found.key,
    )


def recalled(trace: Trace, roots: Sequence[Node]) -> Walk | None:
    """What ``walk(roots)`` gives, if its key is that of `trace`; else None."""
    met = _met(trace, roots)
    if met is None:
        return None
    slices: dict[int, Leaf] = {}
    for place, strides in trace.slices:
        leaf = leaf_of(met[place])
        if (leaf and leaf.layout and leaf.layout.strides) != strides:
            return None
        if leaf is not None:
            slices[place] = leaf
    for place, exponent in trace.powers:
        if comparable(met[place].arg) != exponent:
            return None
    leaves = [slices.get(n) or _whole(Leaf, (met[n], met[n], None)) for n in trace.leaves]
    arguments = [met[place] for place in trace.arguments]
    constants = [met[place] for place in trace.constants]
    nodes = [met[place] for place in trace.order]
    del met
    for number, references, held in trace.costly:
        if (getrefcount(nodes[number]) > references + OWN_REFERENCES) is not held:
            return None
    if trace.overwritten and donated(nodes, trace.overwritten, OWN_REFERENCES) != trace.donated:
        return None
    values = tuple([comparable(constant.arg) for constant in constants])
    return Walk(
        nodes,
        leaves,
        arguments,
        constants,
        trace.outputs,
        trace.donated,
        trace.key,
        values,
        trace.costly,
        trace.overwritten,
    )


# A named tuple without the detour by its Python constructor.
_whole = tuple.__new__


def _met(trace: Trace, roots: Sequence[Node]) -> list[Node] | None:
    """The nodes below `roots` in the order of the search, if they are as the rows say."""
    met: list[Node] = []
    met_count = 0
    if len(roots) != len(trace.roots):
        return None
    for root, place in zip(roots, trace.roots, strict=True):
        if place == met_count:
            met.append(root)
            met_count += 1
        elif met[place] is not root:
            return None
    for node, (op, arg, shape, dtype, places) in zip(met, trace.rows):  # both grow to one length
        if node.op is not op or node.dtype is not dtype:
            return None
        # What comes from a template has the very shape and argument that it had before.
        if node.shape is not shape and node.shape != shape:
            return None
        if arg is not None and node.arg is not arg and node.arg != arg:
            return None
        if places:
            sources = node.src
            if len(sources) != len(places):
                return None
            for source, place in zip(sources, places):
                if place == met_count:
                    met.append(source)
                    met_count += 1
                elif met[place] is not source:
                    return None
    # What was met once in the graph of the trace might have been met before in this one.
    return met if len(set(met)) == met_count else None


# References to a node that `recalled` has itself when it asks who holds it: the list, and the
# argument of the question.
OWN_REFERENCES = 2
