"""Stores past the caches: only whole lines of large results in memory that begins a line."""

from __future__ import annotations

import numpy as np
import pytest

import grad
from grad.engine import realize
from grad.graph import node as graph
from grad.graph.node import Node
from grad.graph.primitives import ADD
from grad.kernel.ir import Store, statements
from tests.engine.exact_graphs import leaf, values_of
from tests.kernel.lower_test import kernels


def zeros(*shape: int) -> Node:
    return leaf(np.zeros(shape, np.float32))


def doubled(node: Node) -> Node:
    return graph.pointwise(ADD, node, node)


def streams(node: Node) -> list[bool]:
    (kernel,) = kernels(node)
    return [s.streams for s, _ in statements(kernel) if isinstance(s, Store)]


def test_large_results_are_streamed() -> None:
    assert streams(doubled(zeros(2048, 1024))) == [True]
    assert streams(graph.contiguous(graph.permute(zeros(2048, 2048), (1, 0)))) == [True]


@pytest.mark.parametrize("shape", [(1000, 1024), (2051, 2053)])
def test_what_fits_into_a_cache_or_shares_lines_is_not(shape: tuple[int, int]) -> None:
    assert streams(graph.contiguous(graph.permute(zeros(*shape), (1, 0)))) == [False]


def test_what_is_written_in_place_is_not() -> None:
    memory = np.zeros(3_000_001, np.float32)
    x = grad.from_numpy(memory[1:])
    x.add_(1)
    x[:2_500_000] = x[:2_500_000] * 2
    np.testing.assert_array_equal(x.numpy(), np.repeat([2, 1], [2_500_000, 500_000]))


@pytest.mark.parametrize("rows", [2048, 2049])
def test_values(rows: int) -> None:
    x = np.random.default_rng(0).standard_normal((rows, 1040), np.float32)
    turned = graph.permute(leaf(x), (1, 0))
    node = graph.pointwise(ADD, turned, leaf(np.ascontiguousarray(x.T)))
    realize([node])
    np.testing.assert_array_equal(values_of(node), x.T * 2)
