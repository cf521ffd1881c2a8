"""A graph recognised by comparison is numbered as a walk would number it, or not recognised."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

import grad
from grad.engine.realize import PlanCache, cache
from grad.graph import node as graph
from grad.graph.node import Node
from grad.graph.primitives import ADD, EXP, MAXIMUM, MUL, POW, SUM
from grad.schedule.program import Walk, walk
from grad.schedule.recall import recalled, trace_of
from tests.engine.exact_graphs import leaf

FLOAT = grad.float32


def x() -> Node:
    return leaf(np.ones((4, 3), np.float32))


def one(op: object = ADD, number: float = 2.0) -> Node:
    a = x()
    return graph.pointwise(op, graph.pointwise(EXP, a), graph.constant(number, FLOAT))  # type: ignore[arg-type]


def shared(same: bool) -> Node:
    a = x()
    return graph.pointwise(MUL, a, a if same else x())


def power(exponent: float) -> Node:
    return graph.pointwise(POW, x(), graph.constant(exponent, FLOAT))


def sliced(start: int, step: int = 1, pending: bool = False) -> Node:
    base = leaf(np.ones((20, 3), np.float32))
    base = graph.pointwise(EXP, base) if pending else base
    return graph.pointwise(EXP, graph.slice_axes(base, ((start, step, 4), (0, 1, 3))))


def reduced(axis: int) -> Node:
    return graph.reduce(SUM, leaf(np.ones((4, 4), np.float32)), (axis,))


def written(start: int) -> Node:
    row = graph.Move(graph.SLICE, ((start, 1, 1), (0, 1, 3)))
    return graph.update(x(), leaf(np.zeros((1, 3), np.float32)), (row,))


SAME: list[tuple[Callable[[], Node], Callable[[], Node]]] = [
    (one, one),
    (one, lambda: one(number=3.0)),
    (lambda: shared(True), lambda: shared(True)),
    (lambda: power(2.0), lambda: power(2.0)),
    (lambda: sliced(2), lambda: sliced(7)),
    (lambda: written(1), lambda: written(2)),
    (lambda: reduced(0), lambda: reduced(0)),
]
DIFFERENT: list[tuple[Callable[[], Node], Callable[[], Node]]] = [
    (one, lambda: one(MAXIMUM)),
    (lambda: shared(True), lambda: shared(False)),
    (lambda: shared(False), lambda: shared(True)),
    (lambda: power(2.0), lambda: power(3.0)),
    (lambda: sliced(2), lambda: sliced(2, step=2)),
    (lambda: sliced(2), lambda: sliced(2, pending=True)),
    (lambda: sliced(2, pending=True), lambda: sliced(2)),
    (lambda: reduced(0), lambda: reduced(1)),
]


def described(found: Walk | None) -> tuple[object, ...]:
    """All of a walk, in a form that holds none of its nodes."""
    assert found is not None
    nodes = [(n.op, n.shape, n.dtype) for n in found.nodes]
    leaves = [(id(leaf.node), id(leaf.source), leaf.layout) for leaf in found.leaves]
    numbers = [[id(n) for n in found.arguments], [id(n) for n in found.constants]]
    return nodes, leaves, numbers, found.outputs, found.donated, found.key, found.values


@pytest.mark.parametrize(("before", "now"), SAME)
def test_what_is_recognised_is_numbered_as_by_a_walk(
    before: Callable[[], Node], now: Callable[[], Node]
) -> None:
    roots = [before()]
    trace = trace_of(roots, walk(roots))
    roots = [now()]
    # Outside of the assertion, which would hold the nodes.
    first = described(recalled(trace, roots))
    second = described(walk(roots))
    assert first == second


@pytest.mark.parametrize(("before", "now"), DIFFERENT)
def test_another_graph_is_not_recognised(
    before: Callable[[], Node], now: Callable[[], Node]
) -> None:
    roots = [before()]
    trace = trace_of(roots, walk(roots))
    assert recalled(trace, [now()]) is None


def test_a_value_that_somebody_holds_makes_another_graph() -> None:
    def held() -> tuple[Node, Node]:
        inner = graph.pointwise(EXP, x())
        return graph.pointwise(ADD, inner, inner), inner

    root, inner = held()
    trace = trace_of([root], walk([root]))
    root = held()[0]
    assert recalled(trace, [root]) is None
    root, inner = held()
    found = recalled(trace, [root])
    assert found is not None
    assert [found.nodes[n] for n in found.outputs] == [root, inner]


def test_memory_that_somebody_reads_is_not_given_away() -> None:
    root = written(1)
    trace = trace_of([root], walk([root]))
    assert trace.donated == (0,)
    root = written(1)
    base = root.src[0]
    assert recalled(trace, [root]) is None
    del base
    assert recalled(trace, [root]) is not None


def test_a_loop_walks_its_graph_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    values = grad.randn(5).realize()
    walks = []

    def counted(roots: Sequence[Node]) -> Walk:
        walks.append(roots)
        return walk(roots)

    monkeypatch.setitem(PlanCache.walk.__globals__, "walk", counted)
    cache.clear()
    for _ in range(6):
        values = ((((values * 3 + 1).relu() - 2) * 0.5) + 4).realize()  # too much for single.py
    assert len(walks) == 2


def test_graphs_that_look_alike_are_told_apart() -> None:
    own = PlanCache()
    # All below a root of one sort.
    kinds = [lambda: one(ADD), lambda: one(MUL), lambda: one(MAXIMUM)]
    for _ in range(4):
        for kind in kinds:
            root = graph.pointwise(EXP, kind())
            first = described(own.walk([root]))
            second = described(walk([root]))
            assert first == second
            own.find(walk([root]))
    alike = max(own.traces.values(), key=len)
    assert len(alike) == len(kinds)
