"""Number the nodes of a graph: the canonical Program, and the exact key of its plan.

One iterative walk does three jobs: it finds common subexpressions (a node is numbered once), takes leaf
values out into slots (the same graph on other buffers is the same program), and writes down everything that
matters as one hashable key. `simplify.py` rewrites programs, `group.py` cuts them into kernels;
`grad/engine` keeps the plans by key.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from grad.dtype import DType
from grad.graph.movement import Shape
from grad.graph.node import Node
from grad.graph.primitives import ARGUMENT, BUFFER, CONST, CONTRACT, SCAN, SCATTER, TAKE, UPDATE, Kind, Primitive


class Entry(NamedTuple):
    """One numbered value. `src` are entry numbers; leaves have their slot or number in `arg`."""

    op: Primitive
    src: tuple[int, ...]
    arg: Any
    shape: Shape
    dtype: DType


@dataclass(frozen=True, slots=True)
class Program:
    """Entries in topological order, and which of them must be in memory at the end.

    A `BUFFER` entry's arg is the number of its leaf, an `ARGUMENT` entry's the number of its scalar.
    """

    entries: tuple[Entry, ...]
    outputs: tuple[int, ...]

    def __str__(self) -> str:
        lines = []
        for number, entry in enumerate(self.entries):
            sources = ", ".join(f"%{s}" for s in entry.src)
            extra = "" if entry.arg is None else f" {entry.arg!r}"
            lines.append(f"%{number} = {entry.op.name}({sources}){extra}: {entry.dtype.name}{list(entry.shape)}")
        return "\n".join([*lines, f"outputs {list(self.outputs)}"])


class Walk(NamedTuple):
    """What the walk over a graph found.

    Attributes:
        nodes: all nodes in topological order; leaves, arguments, constants: those of each sort, in order.
        outputs: numbers of the nodes to compute: the roots, and others that are worth keeping.
        key: everything but the constants' values; values: these, comparable.
    """

    nodes: list[Node]
    leaves: list[Node]
    arguments: list[Node]
    constants: list[Node]
    outputs: tuple[int, ...]
    key: tuple[Any, ...]
    values: tuple[Any, ...]


def walk(roots: Sequence[Node]) -> Walk:
    """Number everything that `roots` need. About a microsecond per node."""
    numbers: dict[Node, int] = {}
    nodes: list[Node] = []
    references: list[int] = []
    parts: list[tuple[Any, ...]] = []
    leaves: list[Node] = []
    arguments: list[Node] = []
    constants: list[Node] = []
    stack = list(reversed(roots))
    while stack:
        node = stack[-1]
        if node in numbers:
            stack.pop()
            continue
        missing = [source for source in node.src if source not in numbers]
        if missing:
            missing.reverse()
            stack.extend(missing)
            continue
        stack.pop()
        op = node.op
        if op is BUFFER:
            leaves.append(node)
            part: tuple[Any, ...] = (op, node.shape, node.dtype)
        elif op is CONST:
            constants.append(node)
            part = (op, node.dtype)
        elif op is ARGUMENT:
            arguments.append(node)
            part = (op, node.dtype)
        else:
            sources = [numbers[source] for source in node.src]
            for source in sources:
                references[source] += 1
            part = (op, node.arg, node.shape, node.dtype, *sources)
        numbers[node] = len(nodes)
        nodes.append(node)
        references.append(0)
        parts.append(part)
    node = None
    kept = _worth_keeping(nodes, references)
    outputs = tuple(dict.fromkeys([*(numbers[root] for root in roots), *kept]))
    values = tuple([_comparable(node.arg) for node in constants])
    return Walk(nodes, leaves, arguments, constants, outputs, (*parts, outputs), values)


def _comparable(value: float | int | bool) -> Any:
    """A constant as something that compares equal only to itself: -0.0 is not 0.0, NaN is NaN."""
    return value if value and value == value else str(value)


# References to a node that the walk itself holds while it counts: the list, the dictionary of numbers,
# the loop variable and the argument of getrefcount. Measured, since interpreters differ in the last two.
def _own_references() -> int:
    probe = object()
    held = {probe: 0}
    found = [sys.getrefcount(node) for node in [probe]]
    del held
    return found[0] - 1 + 1  # without the name `probe`, with the list of nodes


_OWN_REFERENCES = _own_references()

# A held value is kept when recomputing it would cost more than this many additions for each element.
KEEP_COST = 12
_HEAVY = 1000
_HEAVY_OPS = frozenset((CONTRACT, SCAN, SCATTER, UPDATE, TAKE))


def _worth_keeping(nodes: list[Node], references: list[int]) -> list[int]:
    """Numbers of values that somebody outside holds and that would be costly to compute again.

    Who holds is told by CPython's reference counts: more references than the walk and the walked graph have
    themselves. A miscount would cost time or memory, never a wrong number.
    """
    kept: list[int] = []
    price: list[int] = []
    numbers: dict[int, int] = {}
    for number, node in enumerate(nodes):
        numbers[id(node)] = number
        kind = node.op.kind
        if kind is Kind.LEAF:
            price.append(0)
            continue
        total = node.op.cost if kind is Kind.POINTWISE else 0
        for source in node.src:
            total += price[numbers[id(source)]]
        if kind is Kind.REDUCE or node.op in _HEAVY_OPS:
            total += _HEAVY
        total = min(total, _HEAVY)
        if total > KEEP_COST and kind is not Kind.MOVEMENT and _is_held(node, references[number]):
            kept.append(number)
            total = 0
        price.append(total)
    return kept


def _is_held(node: Node, references: int) -> bool:
    # +1: this function's own parameter
    return sys.getrefcount(node) > references + _OWN_REFERENCES + 1


def program_of(found: Walk, varying: frozenset[int] = frozenset()) -> Program:
    """The Program of a walk. Constants whose number is in `varying` become arguments.

    Varying constants take the scalars after those of the graph's own arguments, in order.
    """
    numbers = {node: number for number, node in enumerate(found.nodes)}
    leaf = {node: number for number, node in enumerate(found.leaves)}
    scalar = {node: number for number, node in enumerate(found.arguments)}
    for number in sorted(varying):
        scalar[found.constants[number]] = len(scalar)
    entries = []
    for node in found.nodes:
        if node in scalar:
            entries.append(Entry(ARGUMENT, (), scalar[node], (), node.dtype))
        elif node in leaf:
            entries.append(Entry(BUFFER, (), leaf[node], node.shape, node.dtype))
        else:
            entries.append(Entry(node.op, tuple(numbers[s] for s in node.src), node.arg, node.shape, node.dtype))
    return Program(tuple(entries), found.outputs)
