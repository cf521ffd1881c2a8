"""Number the nodes of a graph: the canonical Program, and the exact key of its plan.

One iterative walk does three jobs: it finds common subexpressions (a node is numbered once), takes
leaf values out into slots (the same graph on other buffers is the same program), and writes down
everything that matters as one hashable key. `holders.py` tells it what somebody outside holds, and
`recall.py` saves it for graphs that were seen before. `simplify.py` rewrites programs, `group.py`
cuts them into kernels; `grad/engine` keeps the plans by key.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from grad.dtype import DType, dtypes
from grad.errors import TransformError
from grad.graph.movement import Layout, Move, Shape, is_contiguous, path_layout
from grad.graph.node import Node
from grad.graph.primitives import (
    ARGUMENT,
    AS_STRIDED,
    BARRIER,
    BUFFER,
    CONST,
    POW,
    SCATTER,
    SLICE,
    STAND_IN,
    UPDATE,
    Kind,
    Primitive,
)
from grad.schedule.holders import Costly, Overwritten, costly_values, donated, overwritten_leaves


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

    A `BUFFER` entry's arg is the number of its leaf, an `ARGUMENT` entry's the number of its
    scalar.

    Attributes:
        donated: numbers of leaves that nobody else can read: an update may write to their memory.
        replaced: (position among the outputs, number of a leaf): the output is to be stored in the
            leaf's memory, if that can be.
        checked: positions of outputs that are looked at before any leaf's memory is written to.
        parts: (number of a leaf that is to be replaced, number of one that is a slice of it).
    """

    entries: tuple[Entry, ...]
    outputs: tuple[int, ...]
    donated: frozenset[int] = frozenset()
    replaced: tuple[tuple[int, int], ...] = ()
    checked: tuple[int, ...] = ()
    parts: tuple[tuple[int, int], ...] = ()

    def __str__(self) -> str:
        lines = []
        for number, entry in enumerate(self.entries):
            sources = ", ".join(f"%{s}" for s in entry.src)
            extra = "" if entry.arg is None else f" {entry.arg!r}"
            kind = f"{entry.dtype.name}{list(entry.shape)}"
            lines.append(f"%{number} = {entry.op.name}({sources}){extra}: {kind}")
        return "\n".join([*lines, f"outputs {list(self.outputs)}"])


class Leaf(NamedTuple):
    """A value in memory: `node`, whose elements lie in `source`'s buffer as `layout` says (None: in
    order).

    The offset of a slice is left out of the key and added to the address when a plan runs, so that
    walking through a data set batch by batch is one program.
    """

    node: Node
    source: Node
    layout: Layout | None = None

    @property
    def offset(self) -> int:
        """Elements from the start of the buffer to the lowest one that belongs to the leaf."""
        return 0 if self.layout is None else lowest_offset(self.layout)

    @property
    def address(self) -> int:
        buffer = self.source.buffer
        assert buffer is not None
        if self.layout is None:
            return buffer.address
        return buffer.address + self.offset * self.node.dtype.itemsize


def lowest_offset(layout: Layout) -> int:
    """Where the lowest element of a strided view is: negative strides reach back from the
    first.
    """
    return layout.offset + sum(
        (size - 1) * stride
        for size, stride in zip(layout.shape, layout.strides, strict=True)
        if stride < 0
    )


class Key:
    """Everything of a graph that decides what its plan is, hashed once."""

    __slots__ = ("_hash", "parts")

    def __init__(self, parts: tuple[Any, ...]) -> None:
        self.parts = parts
        self._hash = hash(parts)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Key) and self.parts == other.parts)


class Walk(NamedTuple):
    """What the walk over a graph found.

    Attributes:
        nodes: all nodes in topological order; arguments, constants: those of each sort, in order.
        leaves: values that are there already, in order; a slice of one is a leaf too (see `Leaf`).
        outputs: numbers of the nodes to compute: the roots, and others that are worth keeping.
        donated: numbers of leaves whose memory may be written, since nobody else reads it.
        replaced, checked, parts: as in `Program`; the walk itself finds none.
        key: everything but the constants' values; values: these, comparable.
        costly, overwritten: what the choice of `outputs` and `donated` depended on.
    """

    nodes: list[Node]
    leaves: list[Leaf]
    arguments: list[Node]
    constants: list[Node]
    outputs: tuple[int, ...]
    donated: tuple[int, ...]
    key: Key
    values: tuple[Any, ...]
    costly: Sequence[Costly] = ()
    overwritten: Sequence[Overwritten] = ()
    replaced: tuple[tuple[int, int], ...] = ()
    checked: tuple[int, ...] = ()
    parts: tuple[tuple[int, int], ...] = ()


def walk(roots: Sequence[Node]) -> Walk:
    """Number everything that `roots` need. About a microsecond per node."""
    numbers: dict[Node, int] = {}
    nodes: list[Node] = []
    sources: list[tuple[int, ...]] = []
    parts: list[tuple[Any, ...]] = []
    part: tuple[Any, ...]
    leaves: list[Leaf] = []
    arguments: list[Node] = []
    constants: list[Node] = []
    overwrites = False
    stack = list(reversed(roots))
    while stack:
        node = stack.pop()
        if node in numbers:
            continue
        op = node.op
        found: tuple[int, ...] = ()
        leaf = leaf_of(node) if op is SLICE else None
        if leaf is not None:
            leaves.append(leaf)
            assert leaf.layout is not None
            part = (BUFFER, node.shape, node.dtype, leaf.layout.strides)
        elif node.src:
            found = tuple([numbers.get(source, -1) for source in node.src])
            if -1 in found:
                stack.append(node)
                stack.extend([source for source in reversed(node.src) if source not in numbers])
                continue
            part = (op, node.arg, node.shape, node.dtype, found)
            if op is UPDATE or op is SCATTER:
                overwrites = True
            elif op is POW and node.src[1].op is CONST:
                # x ** 2 is a product: which exponent it is decides what the code is.
                part = (*part, comparable(node.src[1].arg))
        elif op is BUFFER:
            leaves.append(Leaf(node, node))
            part = (op, node.shape, node.dtype)
        elif op is CONST:
            constants.append(node)
            part = (op, node.dtype)
        elif op is ARGUMENT:
            arguments.append(node)
            part = (op, node.dtype)
        else:
            part = _leaf_part(node)
        numbers[node] = len(nodes)
        nodes.append(node)
        sources.append(found)
        parts.append(part)
    node = leaf = None  # they would count as holders below
    costly = costly_values(nodes, sources, OWN_REFERENCES)
    kept = [value.number for value in costly if value.held]
    outputs = tuple(dict.fromkeys([numbers[root] for root in roots] + kept))
    overwritten = overwritten_leaves(nodes, sources, leaves, outputs) if overwrites else ()
    given = donated(nodes, overwritten, OWN_REFERENCES)
    values = tuple([comparable(constant.arg) for constant in constants])
    key = Key((*parts, outputs, given))
    return Walk(
        nodes, leaves, arguments, constants, outputs, given, key, values, costly, overwritten
    )


def _leaf_part(node: Node) -> tuple[Any, ...]:
    """The part of the key for a leaf of another sort."""
    if node.op is STAND_IN:
        raise TransformError(
            "a value from inside a function that was transformed (vmap, jvp) is asked for outside "
            "of it; return it from the function."
        )
    return (node.op, node.arg, node.shape, node.dtype)


def leaf_of(node: Node) -> Leaf | None:
    """The slice `node` as a leaf, when below it there are only strided movements of a value in
    memory.
    """
    path = [Move(node.op, node.arg)]
    below = node.src[0]
    while below.op.kind is Kind.MOVEMENT and below.op is not BARRIER:
        path.append(Move(below.op, below.arg))
        below = below.src[0]
    if below.op is not BUFFER:
        return None
    path.reverse()
    layout = path_layout(below.shape, tuple(path))
    return None if layout is None else Leaf(node, below, layout)


def comparable(value: float | int | bool) -> Any:
    """A constant as something that compares equal only to itself: -0.0 is not 0.0, NaN is NaN."""
    return value if value and value == value else str(value)


def _own_references() -> int:
    """References to a node that `walk` itself has when it asks who holds it."""
    probe = Node(BUFFER, (), None, (), dtypes.bool)
    numbers, nodes = {probe: 0}, [probe]
    del probe
    return sys.getrefcount(nodes[0]) if numbers else 0


OWN_REFERENCES = _own_references()


class Sized(NamedTuple):
    """The sizes of a node: its shape, its argument, and the layout of a leaf that is a slice."""

    shape: Shape
    arg: Any
    layout: Layout | None


def as_it_is(node: Node, leaf: Leaf | None) -> Sized:
    """The sizes that a node has."""
    return Sized(node.shape, node.arg, None if leaf is None else leaf.layout)


def program_of(
    found: Walk,
    varying: frozenset[int] = frozenset(),
    sized: Callable[[Node, Leaf | None], Sized] = as_it_is,
) -> Program:
    """The Program of a walk. Constants whose number is in `varying` become arguments.

    Varying constants take the scalars after those of the graph's own arguments, in order. `sized`
    gives the sizes of each node, in order (see `sizes.py`).
    """
    slots = {leaf.node: number for number, leaf in enumerate(found.leaves)}
    scalars = {node: number for number, node in enumerate(found.arguments)}
    for number in sorted(varying):
        scalars[found.constants[number]] = len(scalars)
    entries: list[Entry] = []
    numbers: dict[Node, int] = {}
    for node in found.nodes:
        leaf = found.leaves[slots[node]] if node in slots else None
        shape, arg, layout = sized(node, leaf)
        if node in scalars:
            entries.append(Entry(ARGUMENT, (), scalars[node], (), node.dtype))
        elif leaf is not None:
            entries.extend(_leaf_entries(shape, node.dtype, layout, slots[node], len(entries)))
        else:
            sources = tuple(numbers[source] for source in node.src)
            entries.append(Entry(node.op, sources, arg, shape, node.dtype))
        numbers[node] = len(entries) - 1
    outputs = tuple(numbers[found.nodes[output]] for output in found.outputs)
    donated = frozenset(found.donated)
    return Program(tuple(entries), outputs, donated, found.replaced, found.checked, found.parts)


def _leaf_entries(
    shape: Shape, dtype: DType, layout: Layout | None, slot: int, number: int
) -> list[Entry]:
    """The entry of a leaf; a strided one is a flat buffer and the strided view of it."""
    if layout is None or is_contiguous(layout):
        return [Entry(BUFFER, (), slot, shape, dtype)]
    back = layout.offset - lowest_offset(layout)
    reach = sum((n - 1) * abs(s) for n, s in zip(layout.shape, layout.strides, strict=True))
    span = (reach + 1 if math.prod(shape) else 0,)
    view = (layout.shape, layout.strides, back)
    return [
        Entry(BUFFER, (), slot, span, dtype),
        Entry(AS_STRIDED, (number,), view, shape, dtype),
    ]
