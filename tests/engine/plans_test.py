"""How many kernels known graphs take, and when a plan is found rather than made."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from grad.dtype import dtypes
from grad.engine import cache, kernel_count, realize
from grad.graph import node as graph
from grad.graph.node import Node
from grad.graph.primitives import ADD, DIV, EXP, LOG, MAX, MAXIMUM, MUL, NEG, RSQRT, SUB, SUM
from tests.engine.exact_graphs import leaf, values_of

pytestmark = pytest.mark.usefixtures("empty_cache")

ROWS, COLUMNS = 64, 784


def matrix(rows: int = ROWS, columns: int = COLUMNS) -> Node:
    return leaf(np.random.default_rng(rows).standard_normal((rows, columns), np.float32))


def kept(node: Node, axis: int) -> tuple[int, ...]:
    return tuple(1 if a == axis else s for a, s in enumerate(node.shape))


def reduced(op: graph.Primitive, node: Node, axis: int) -> Node:
    return graph.reshape(graph.reduce(op, node, (axis,)), kept(node, axis))


def number(value: float) -> Node:
    return graph.constant(value, dtypes.float32)


def softmax(x: Node, axis: int) -> Node:
    powers = graph.pointwise(EXP, graph.pointwise(SUB, x, reduced(MAX, x, axis)))
    return graph.pointwise(DIV, powers, reduced(SUM, powers, axis))


def log_softmax(x: Node, axis: int) -> Node:
    shifted = graph.pointwise(SUB, x, reduced(MAX, x, axis))
    total = reduced(SUM, graph.pointwise(EXP, shifted), axis)
    return graph.pointwise(SUB, shifted, graph.pointwise(LOG, total))


def layer_norm(x: Node) -> Node:
    share = number(1 / x.shape[-1])
    axis = len(x.shape) - 1
    centered = graph.pointwise(SUB, x, graph.pointwise(MUL, reduced(SUM, x, axis), share))
    squares = reduced(SUM, graph.pointwise(MUL, centered, centered), axis)
    spread = graph.pointwise(ADD, graph.pointwise(MUL, squares, share), number(1e-5))
    return graph.pointwise(MUL, centered, graph.pointwise(RSQRT, spread))


def cross_entropy() -> Node:
    x = matrix(ROWS, 10)
    labels = leaf(np.arange(ROWS) % 10)
    chosen = graph.take(log_softmax(x, 1), (1,), (graph.reshape(labels, (ROWS, 1)),))
    return graph.pointwise(
        MUL, graph.reduce(SUM, graph.pointwise(NEG, chosen), (0, 1)), number(1 / ROWS)
    )


def linear_relu() -> Node:
    bias = leaf(np.ones(32, np.float32))
    sums = graph.pointwise(ADD, graph.contract(matrix(), matrix(COLUMNS, 32)), bias)
    return graph.pointwise(MAXIMUM, sums, number(0.0))


CASES: list[tuple[str, Callable[[], Node], int]] = [
    ("dot", lambda: graph.reduce(SUM, graph.pointwise(MUL, matrix(), matrix()), (0, 1)), 1),
    (
        "large dot",
        lambda: graph.reduce(SUM, graph.pointwise(MUL, matrix(500), matrix(500)), (0, 1)),
        1,
    ),
    ("softmax rows", lambda: softmax(matrix(), 1), 1),
    ("softmax columns", lambda: softmax(matrix(), 0), 1),
    ("softmax middle", lambda: softmax(graph.reshape(matrix(), (8, 8, COLUMNS)), 1), 1),
    ("log_softmax", lambda: log_softmax(matrix(), 1), 1),
    ("layer norm", lambda: layer_norm(matrix()), 1),
    ("cross entropy", cross_entropy, 2),
    ("linear and relu", linear_relu, 1),
    ("transposed product", lambda: graph.contract(matrix(), graph.permute(matrix(), (1, 0))), 1),
]


@pytest.mark.parametrize(("make", "most"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_kernel_counts(make: Callable[[], Node], most: int) -> None:
    assert 1 <= kernel_count([make()]) <= most


def test_views_take_no_kernel() -> None:
    x = matrix()
    assert kernel_count([graph.reshape(x, (ROWS * COLUMNS,))]) == 0


def test_siblings_share_a_kernel() -> None:
    x = matrix()
    doubled = graph.pointwise(ADD, x, x)
    assert kernel_count([doubled, graph.pointwise(MUL, doubled, x)]) == 1


def test_equal_structure_is_found() -> None:
    for _ in range(3):
        x = matrix()
        realize([softmax(x, 1)])
    assert (cache.misses, cache.hits) == (1, 2)


def test_shapes_and_types_are_part_of_the_structure() -> None:
    for array in (np.ones(8, np.float32), np.ones(9, np.float32), np.ones(8, np.float64)):
        x = leaf(array)
        realize([graph.pointwise(ADD, x, x)])
    assert cache.misses == 3


def test_a_constant_that_varies_compiles_once_more_at_most() -> None:
    x = leaf(np.ones(8, np.float32))
    for step in range(6):
        node = graph.pointwise(MUL, x, number(step + 0.5))
        realize([node])
        assert values_of(node)[0] == step + 0.5
    assert cache.misses <= 2


def test_signs_of_zero_are_different_constants() -> None:
    x = leaf(np.ones(8, np.float32))
    for value in (0.0, -0.0, 0.0, -0.0):
        node = graph.pointwise(MUL, x, number(value))
        realize([node])
        assert np.signbit(values_of(node)[0]) == np.signbit(value)


def test_arguments_never_miss() -> None:
    x = leaf(np.ones(8, np.float32))
    for step in range(5):
        node = graph.pointwise(MUL, x, graph.argument(step * 0.25, dtypes.float32))
        realize([node])
        assert values_of(node)[0] == step * 0.25
    assert cache.misses == 1


def test_the_same_node_twice_and_leaves_as_outputs() -> None:
    x = matrix()
    node = graph.pointwise(ADD, x, x)
    flat = graph.reshape(x, (ROWS * COLUMNS,))
    realize([node, node, flat, x])
    np.testing.assert_array_equal(values_of(node), 2 * values_of(x))
    np.testing.assert_array_equal(values_of(flat), values_of(x).reshape(-1))
