"""Sums of a row that do not need each other share a loop; others do not."""

from __future__ import annotations

import numpy as np
import pytest

from grad.engine import realize
from grad.graph import node as graph
from grad.graph.node import Node
from grad.graph.primitives import ADD, DIV, MAX, MUL, SUB, SUM
from grad.kernel.ir import Accumulate, Kernel, Loop, statements
from grad.kernel.verify import verify
from tests.engine.exact_graphs import leaf, values_of
from tests.kernel.lower_test import kernels


def whole_numbers(*shape: int) -> Node:
    return leaf(np.random.default_rng(4).integers(-4, 5, shape).astype(np.float32))


def row_sum(op: object, x: Node) -> Node:
    return graph.reshape(graph.reduce(op, x, (1,)), (x.shape[0], 1))  # type: ignore[arg-type]


def both_sums(x: Node, y: Node) -> Node:
    """``x * sum(x * y) - max(x)``."""
    scaled = graph.pointwise(MUL, x, row_sum(SUM, graph.pointwise(MUL, x, y)))
    return graph.pointwise(SUB, scaled, row_sum(MAX, x))


def sum_of_a_sum(x: Node, y: Node) -> Node:
    """``y + sum(x / max(x))``: the sum needs the maximum."""
    parts = graph.pointwise(DIV, x, row_sum(MAX, x))
    return graph.pointwise(ADD, y, row_sum(SUM, parts))


def sums_of_different_matrices(x: Node, y: Node) -> Node:
    return graph.pointwise(SUB, graph.pointwise(ADD, x, row_sum(SUM, x)), row_sum(SUM, y))


def summing_loops(kernel: Kernel) -> list[int]:
    """How many accumulators each loop inside a row changes."""
    loops = (s for s, around in statements(kernel) if isinstance(s, Loop) and around)
    found = [sum(isinstance(s, Accumulate) for s in loop.body) for loop in loops]
    return [count for count in found if count]


@pytest.mark.parametrize("shape", [(9, 40), (64, 131), (3, 1)])
@pytest.mark.parametrize(
    ("function", "expected"),
    [(both_sums, [2]), (sum_of_a_sum, [1, 1]), (sums_of_different_matrices, [1, 1])],
)
def test_loops_and_values(function, expected: list[int], shape: tuple[int, int]) -> None:  # type: ignore[no-untyped-def]
    x, y = whole_numbers(*shape), whole_numbers(*shape)
    if shape[1] > 16:
        (kernel,) = kernels(function(x, y))
        verify(kernel)
        assert summing_loops(kernel) == expected
    result = function(x, y)
    realize([result])
    a, b = (values_of(n).astype(np.float64) for n in (x, y))
    top = a.max(1, keepdims=True)
    with np.errstate(all="ignore"):
        reference = {
            both_sums: a * (a * b).sum(1, keepdims=True) - top,
            sum_of_a_sum: b + (a / top).sum(1, keepdims=True),
            sums_of_different_matrices: a + a.sum(1, keepdims=True) - b.sum(1, keepdims=True),
        }[function]
    np.testing.assert_allclose(values_of(result), reference, rtol=1e-5, atol=1e-4)
