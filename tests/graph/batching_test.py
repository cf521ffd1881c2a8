"""A batched graph computes what the graph computes for each item, for each primitive."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from grad.dtype import dtypes
from grad.errors import TransformError
from grad.graph import node as graph
from grad.graph.arrays import node_of
from grad.graph.attention import Attend, attention_nodes, gradient_nodes
from grad.graph.batching import batch, stand_in
from grad.graph.evaluate import evaluate
from grad.graph.host import host, hosted
from grad.graph.movement import Move
from grad.graph.node import Node
from grad.graph.primitives import (
    ADD,
    MAX,
    MAXIMUM,
    MINIMUM,
    RESHAPE,
    SLICE,
    SUM,
    WHERE,
    Kind,
    Primitive,
)
from grad.graph.windows import Windows

SIZE = 3
GROUPED = Windows((2,), ((1, 1),), (1,), (1,), groups=2)
HOW = Attend(0.5, False, False, 0.0, 2, "")
Shape = tuple[int, ...]


@hosted
def backwards(result: Any, rows: Any, scale: Any, sign: int) -> None:
    result[...] = rows[:, ::-1] * scale[:, None] * sign


def within(node: Node, size: int) -> Node:
    """Indices below `size`, made of the values of `node`."""
    whole = graph.cast(node, dtypes.int64)
    low, high = (graph.constant(n, dtypes.int64) for n in (0, size - 1))
    return graph.pointwise(MINIMUM, graph.pointwise(MAXIMUM, whole, low), high)


def attended(query: Node, key: Node, value: Node) -> Node:
    return attention_nodes((query, key, value), HOW)[0]


def attended_back(query: Node, key: Node, value: Node) -> Node:
    result, rows = attention_nodes((query, key, value), HOW)
    return gradient_nodes((query, key, value), result, rows, result, HOW)[1]


CASES: dict[str, tuple[Callable[..., Node], list[Shape]]] = {
    "pointwise": (lambda a, b: graph.pointwise(ADD, a, b), [(2, 3), (3,)]),
    "of numbers": (lambda a, b: graph.pointwise(ADD, a, b), [(2, 3), ()]),
    "where": (
        lambda a, b: graph.pointwise(WHERE, graph.cast(a, dtypes.bool), b, a),
        [(2, 3), (2, 1)],
    ),
    "sum": (lambda a: graph.reduce(SUM, a, (0, 2)), [(2, 3, 4)]),
    "max": (lambda a: graph.reduce(MAX, a, (1,)), [(2, 3)]),
    "reshape": (lambda a: graph.reshape(a, (3, 2, 1)), [(2, 3)]),
    "permute": (lambda a: graph.permute(a, (2, 0, 1)), [(2, 3, 4)]),
    "expand": (lambda a: graph.expand(a, (4, 2, 3)), [(1, 3)]),
    "slice": (lambda a: graph.slice_axes(a, ((1, 1, 1), (2, -1, 3))), [(2, 3)]),
    "pad": (lambda a: graph.pad(a, ((1, 0), (0, 2))), [(2, 3)]),
    "as_strided": (lambda a: graph.as_strided(a, (2, 3), (1, 2), 1), [(8,)]),
    "barrier": (lambda a, b: graph.barrier(a, (graph.contiguous(b),)), [(2,), (3,)]),
    "contiguous": (lambda a: graph.contiguous(graph.permute(a, (1, 0))), [(2, 3)]),
    "contract": (graph.contract, [(2, 3), (3, 4)]),
    "contract many": (graph.contract, [(5, 1, 2, 3), (5, 1, 3, 4)]),
    "convolve": (lambda a, b: graph.convolve(a, b, GROUPED), [(2, 4, 7), (6, 2, 3)]),
    "convolve_weight": (
        lambda a, b: graph.convolve_weight(a, b, GROUPED, (3,)),
        [(2, 4, 7), (2, 6, 4)],
    ),
    "take": (lambda a, b: graph.take(a, (1,), (within(b, 3),)), [(2, 3), (2, 4)]),
    "take rows": (lambda a, b: graph.take(a, (0,), (within(b, 3),)), [(3, 1), (4, 2)]),
    "scatter set": (
        lambda a, v, b: graph.scatter("set", a, v, (0,), (within(b, 3),)),
        [(3, 2), (4, 2), (4, 2)],
    ),
    "scatter add": (
        lambda a, v, b: graph.scatter("add", a, v, (0,), (within(b, 3),)),
        [(3, 2), (4, 2), (4, 2)],
    ),
    "update": (
        lambda a, v: graph.update(a, v, (Move(SLICE, ((1, 1, 1), (0, 2, 2))), Move(RESHAPE, (2,)))),
        [(2, 3), (2,)],
    ),
    "scan": (lambda a: graph.scan(ADD, a, 1, True), [(2, 3)]),
    "attention": (attended, [(4, 3, 2), (2, 5, 2), (2, 5, 3)]),
    "attention_gradient": (attended_back, [(4, 3, 2), (2, 5, 2), (2, 5, 3)]),
    "host": (lambda a, b: host(backwards, (a, b), (2, 3), a.dtype, -1), [(2, 3), (2,)]),
}


def choices() -> list[Any]:
    """Each case, with each choice of sources that have a batch."""
    found = []
    for name, (_, shapes) in CASES.items():
        for chosen in itertools.product((True, False), repeat=len(shapes)):
            if any(chosen):
                found.append(pytest.param(name, chosen, id=f"{name}-{chosen}"))
    return found


@pytest.mark.parametrize(("name", "chosen"), choices())
def test_items_of_a_batch(name: str, chosen: tuple[bool, ...]) -> None:
    make, shapes = CASES[name]
    random = np.random.default_rng(4)
    arrays = [random.normal(size=(SIZE, *shape)) * 2 for shape in shapes]
    leaves = [
        stand_in(shape, dtypes.float64) if one else node_of(array[0], dtypes.float64)
        for shape, array, one in zip(shapes, arrays, chosen)
    ]
    values = {
        leaf: node_of(array, dtypes.float64)
        for leaf, array, one in zip(leaves, arrays, chosen)
        if one
    }
    result = make(*leaves)
    (batched,) = batch([result], values, SIZE)
    assert batched is not None and batched.shape == (SIZE, *result.shape)
    items = [
        make(*[node_of(a[i if one else 0], dtypes.float64) for a, one in zip(arrays, chosen)])
        for i in range(SIZE)
    ]
    np.testing.assert_allclose(evaluate([batched])[0], np.stack(evaluate(items)), rtol=1e-12)


def test_what_depends_on_no_leaf_stays_as_it_is() -> None:
    leaf, other = stand_in((2,), dtypes.float64), node_of(np.ones(2), dtypes.float64)
    apart = graph.pointwise(ADD, other, other)
    together = graph.pointwise(ADD, leaf, apart)
    values = {leaf: node_of(np.ones((SIZE, 2)), dtypes.float64)}
    found = batch([apart, together], values, SIZE)
    assert found[0] is None and found[1] is not None and apart in found[1].src


def test_a_primitive_without_rule_is_named() -> None:
    leaf = stand_in((2,), dtypes.float64)
    unknown = Node(Primitive("unheard", Kind.NAMED), (leaf,), None, (2,), leaf.dtype)
    with pytest.raises(TransformError, match="unheard"):
        batch([unknown], {leaf: node_of(np.ones((SIZE, 2)), dtypes.float64)}, SIZE)
