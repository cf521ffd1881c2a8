"""Which rows are asked for early."""

from __future__ import annotations

import numpy as np
import pytest

from grad.codegen.llvm.prefetch import AHEAD_BYTES, LONGEST_BYTES, Soon, prefetches
from grad.graph.node import Node
from grad.kernel.ir import Loop
from tests.engine.exact_graphs import leaf
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
