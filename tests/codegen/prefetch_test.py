"""Which rows are asked for early."""

from __future__ import annotations

import numpy as np
import pytest

from grad.codegen.llvm.prefetch import AHEAD_BYTES, LONGEST_BYTES, Soon, prefetches
from grad.engine import realize
from grad.graph import node as graph
from grad.graph.node import Node
from grad.graph.primitives import SUB, SUM
from grad.kernel.ir import Kernel, Loop
from tests.engine.exact_graphs import leaf, values_of
from tests.kernel.keep_test import kernel_of, shares


def asked(x: Node) -> tuple[Soon, ...]:
    kernel = kernel_of(shares(x))
    (phase,) = kernel.phases
    rows = phase[-1]
    assert isinstance(rows, Loop)
    found = prefetches(rows, {p.number: p for p in kernel.parameters})
    return tuple(soon for each in found.values() for soon in each)


@pytest.mark.parametrize(("columns", "rows_ahead"), [(200, 6), (4099, 1)])
def test_the_next_rows_are_read_and_this_one_is_written(columns: int, rows_ahead: int) -> None:
    read, written = asked(leaf(np.zeros((50, columns), np.float32)))
    assert not read.written and written.written
    assert read.index.constant == rows_ahead * columns
    assert rows_ahead * columns * 4 >= AHEAD_BYTES
    assert written.index.constant == 0
    assert read.index.terms == written.index.terms


def test_rows_longer_than_the_cache_are_not_asked_for() -> None:
    assert asked(leaf(np.zeros((9, LONGEST_BYTES // 4 + 1), np.float32))) == ()


def centered(x: Node) -> Node:
    """``x - mean(x)``: both loops are cheap."""
    total = graph.reshape(graph.reduce(SUM, x, (1,)), (x.shape[0], 1))
    return graph.pointwise(SUB, x, total)


def dearest_and_second(kernel: Kernel) -> list[tuple[Soon, ...]]:
    rows = kernel.phases[0][-1]
    assert isinstance(rows, Loop)
    return list(prefetches(rows, {p.number: p for p in kernel.parameters}).values())


@pytest.mark.parametrize("columns", [200, 4099])
def test_loops_that_cost_alike_ask_for_a_half_each(columns: int) -> None:
    dearest, second = dearest_and_second(kernel_of(centered(leaf(np.zeros((50, columns))))))
    assert [(s.first, s.parts) for s in dearest if not s.written] == [(0, 2)]
    assert [(s.first, s.parts, s.written) for s in second] == [(-(-columns // 2), 2, False)]


def test_exponentials_ask_for_all() -> None:
    (dearest,) = dearest_and_second(kernel_of(shares(leaf(np.zeros((50, 200), np.float32)))))
    assert all(soon.parts == 1 for soon in dearest)


@pytest.mark.parametrize("shape", [(50, 200), (33, 4099), (7, 3), (300, 1)])
def test_values_where_two_loops_ask(shape: tuple[int, int]) -> None:
    x = np.random.default_rng(1).integers(-5, 6, shape).astype(np.float32)
    node = centered(leaf(x))
    realize([node])
    np.testing.assert_array_equal(values_of(node), x - x.sum(1, keepdims=True))
