"""Template: a piece of graph that was built once, to be built again on other sources.

Working out which nodes an operation consists of (types, axes, broadcasting, errors) takes far
longer than making them. Where the same was asked before, of sources of the same shapes and types,
a template makes the nodes at once. `autograd/remembered.py` keeps templates of functions and their
gradients, `optim/update.py` of updates. Of values in memory not even the nodes are needed, as long
as nobody looks below the result: see `Promise`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, NamedTuple

from grad.dtype import DType
from grad.graph.movement import Shape
from grad.graph.node import Node, postorder
from grad.graph.primitives import BUFFER, CONST, IOTA, Primitive

_new = object.__new__


class Row(NamedTuple):
    """One node to make.

    Attributes:
        first: place of the only source, or -1; gather: takes several from all values.
        depth: above the deepest of the template's sources.
    """

    op: Primitive
    first: int
    gather: Callable[[list[Node]], tuple[Node, ...]]
    arg: Any
    shape: Shape
    dtype: DType
    depth: int


@dataclass(frozen=True, slots=True, eq=False)
class Template:
    """The nodes of a piece of graph by place: its sources, then its constants, then the rows.

    Attributes:
        constants: shared by all that is built, as they are no results.
        results: the places of the results; None for no result.
    """

    constants: tuple[Node, ...]
    rows: tuple[Row, ...]
    results: tuple[int | None, ...]

    def build(self, sources: Sequence[Node]) -> list[Node | None]:
        """The results on `sources`, whose shapes and types are those that it was made of."""
        base = 0
        for source in sources:
            if source.depth > base:
                base = source.depth
        values = [*sources, *self.constants]
        append = values.append
        for op, first, gather, arg, shape, dtype, depth in self.rows:
            node: Node = _new(Node)  # without `__init__`, which works the depth out
            node.op = op
            node.src = (values[first],) if first >= 0 else gather(values)
            node.arg = arg
            node.shape = shape
            node.dtype = dtype
            node.buffer = node.origin = None
            node.depth = base + depth
            append(node)
        return [None if place is None else values[place] for place in self.results]

    def promise(self, sources: tuple[Node, ...]) -> Node:
        """The only result, of the last row, on `sources`, which are values in memory."""
        base = 0
        for source in sources:
            if source.depth > base:  # others may write to its memory
                base = source.depth
        row = self.rows[-1]
        node: Node = _new(Promise)
        node.shape = row.shape
        node.dtype = row.dtype
        node.buffer = None
        node.origin = self, sources
        node.depth = base + row.depth
        return node


class Promise(Node):
    """A result of a template whose operation and sources are made when somebody asks for them.

    Most are computed by the plan of their origin (engine/single.py), and nobody does.
    """

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        """Asked only for what has no value."""
        origin = self.origin if name in _PROMISED else None
        if origin is not None:  # it is None if another thread was faster
            template, sources = origin
            (node,) = template.build(sources)
            assert node is not None
            self.arg, self.src, self.op = node.arg, node.src, node.op
        return object.__getattribute__(self, name)


_PROMISED = frozenset(("op", "src", "arg"))


class NoTemplate(Exception):
    """What is tried on stand-ins looks at their values, or warns, which is to happen every time."""


class _Trial(threading.local):
    """Whether this thread tries something on stand-ins."""

    running = False


trial = _Trial()


@contextmanager
def on_trial() -> Iterator[None]:
    """Within it, asking for a value that is not there raises NoTemplate."""
    before, trial.running = trial.running, True
    try:
        yield
    finally:
        trial.running = before


def placeholder(shape: Shape, dtype: DType) -> Node:
    """A source to try an operation on: a value in memory that there is not."""
    return Node(BUFFER, (), None, tuple(shape), dtype)


def template_of(
    sources: Sequence[Node], results: Sequence[Node | None], with_arrays: bool = False
) -> Template | None:
    """What was built on `sources`, if it depends on nothing else: on no other value in memory, and
    on no number that is new each time. `with_arrays`: values in memory are arrays that are always
    the same, and become constants.
    """
    places = {source: place for place, source in enumerate(sources)}
    found = list(postorder([result for result in results if result is not None], ends=places))
    inner = [node for node in found if node not in places]
    chosen = {id(result) for result in results}
    constants = [
        node
        for node in inner
        if (node.op is CONST or (with_arrays and node.buffer is not None))
        and id(node) not in chosen
    ]
    for constant in constants:
        places[constant] = len(places)
    rows: list[Row] = []
    depths = dict.fromkeys(places, 0)
    for node in inner:
        if node in places:
            continue
        if not node.src and node.op is not CONST and node.op is not IOTA:
            return None
        depth = depths[node] = 1 + max((depths[source] for source in node.src), default=0)
        below = [places[source] for source in node.src]
        single = below[0] if len(below) == 1 else -1
        gather = itemgetter(*below) if len(below) > 1 else _nothing
        rows.append(Row(node.op, single, gather, node.arg, node.shape, node.dtype, depth))
        places[node] = len(places)
    ends = tuple([None if result is None else places[result] for result in results])
    return Template(tuple(constants), tuple(rows), ends)


def _nothing(_: list[Node]) -> tuple[Node, ...]:
    return ()
