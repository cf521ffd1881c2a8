"""Stores past the caches: only whole lines of large results in memory that begins a line."""

from __future__ import annotations

import numpy as np
import pytest

import grad
from grad.dtype import dtypes
from grad.engine import realize
from grad.graph import node as graph
from grad.graph.node import Node
from grad.graph.primitives import ADD, EXP, SUM
from grad.kernel.ir import Store, statements
from tests.engine.exact_graphs import leaf, values_of
from tests.kernel.keep_test import shares
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


def part(rows: int, columns: int) -> Node:
    """Rows of `columns`, of a matrix that has three more."""
    return graph.slice_axes(zeros(rows, columns + 3), [(0, 1, rows), (1, 1, columns)])


def test_rows_that_begin_anywhere_are_streamed_where_they_are_long() -> None:
    assert streams(doubled(part(4096, 1021))) == [True]
    assert streams(doubled(part(99_999, 45))) == [False]


def test_rows_that_begin_anywhere_and_take_long_are_not() -> None:
    """Their lines are asked for instead (codegen/llvm/prefetch.py), or arrive meanwhile."""
    assert streams(graph.pointwise(EXP, part(4096, 1021))) == [False]
    assert streams(graph.pointwise(EXP, zeros(2048, 1024))) == [True]


def test_stores_at_different_places_of_their_lines_are_not_streamed_together() -> None:
    row = graph.reshape(part(1, 1021), (1021,))
    added = [graph.pointwise(ADD, part(4096, 1021), graph.expand(row, (4096, 1021)))]
    both = [*added, graph.cast(added[0], dtypes.float64)]
    assert first_kernel_streams(*both) == [False, False]


def test_what_is_written_in_place_is_not() -> None:
    memory = np.zeros(3_000_001, np.float32)
    x = grad.from_numpy(memory[1:])
    x.add_(1)
    x[:2_500_000] = x[:2_500_000] * 2
    np.testing.assert_array_equal(x.numpy(), np.repeat([2, 1], [2_500_000, 500_000]))


def first_kernel_streams(*nodes: Node) -> list[bool]:
    first = kernels(*nodes)[0]
    return [s.streams for s, _ in statements(first) if isinstance(s, Store)]


def read_again(rows: int) -> tuple[Node, Node]:
    x = doubled(zeros(rows, 1024))
    return x, graph.contiguous(graph.permute(x, (1, 0)))


def values_and_sums(rows: int) -> tuple[Node, Node]:
    x = doubled(zeros(rows, 1024))
    return x, graph.reduce(SUM, x, (0,))


def test_what_the_plan_reads_again_passes_through_the_caches() -> None:
    assert first_kernel_streams(*read_again(4096)) == [False]
    assert first_kernel_streams(*read_again(16384)) == [True]


def test_what_one_phase_of_several_stores_is_streamed() -> None:
    assert first_kernel_streams(*values_and_sums(4096)) == [False, True, False, False]


@pytest.mark.parametrize(("rows", "expected"), [(4096, False), (16384, True)])
def test_rows_that_take_long_to_compute_pass_through_the_caches(rows: int, expected: bool) -> None:
    (kernel,) = kernels(shares(zeros(rows, 1024)))
    scratch = [p.number for p in kernel.parameters if p.elements]
    stores = [s for s, _ in statements(kernel) if isinstance(s, Store)]
    assert [s.streams for s in stores if s.parameter not in scratch] == [expected]
    assert not any(s.streams for s in stores if s.parameter in scratch)


@pytest.mark.parametrize("rows", [2048, 2049])
def test_values(rows: int) -> None:
    x = np.random.default_rng(0).standard_normal((rows, 1040), np.float32)
    turned = graph.permute(leaf(x), (1, 0))
    node = graph.pointwise(ADD, turned, leaf(np.ascontiguousarray(x.T)))
    realize([node])
    np.testing.assert_array_equal(values_of(node), x.T * 2)
