"""How much of a parallel loop is handed to a thread together."""

from __future__ import annotations

import numpy as np
import pytest

from grad.codegen.llvm.phases import grain
from grad.graph import node as graph
from grad.graph.node import Node
from grad.graph.primitives import ADD, ERF, MAX
from grad.kernel.ir import Loop
from grad.kernel.lower import lower_all
from grad.schedule.group import group
from grad.schedule.program import program_of, walk
from tests.engine.exact_graphs import leaf


def chunks(root: Node) -> list[int]:
    """Items of each chunk of the only phase that computes `root`."""
    program = program_of(walk([root]))
    (lowered,) = lower_all(program, group(program))
    (phase,) = lowered.kernel.phases
    loop = phase[-1]
    assert isinstance(loop, Loop)
    items, each = loop.variable.size, grain(phase, loop)
    return [min(each, items - start) for start in range(0, items, each)]


@pytest.mark.parametrize("size", [60_000, 65_536, 100_003, 150_000, 262_144, 500_009])
@pytest.mark.parametrize("threads", [2, 4])
def test_threads_have_about_as_much_each(size: int, threads: int) -> None:
    x = leaf(np.zeros(size, np.float32))
    for root in (graph.pointwise(ADD, x, x), graph.pointwise(ERF, x)):
        found = chunks(root)
        assert sum(found) == size
        if len(found) >= threads:
            assert -(-len(found) // threads) * max(found) <= 1.08 * size / threads


def test_small_work_is_one_chunk() -> None:
    x = leaf(np.zeros(5_000, np.float32))
    assert chunks(graph.pointwise(ADD, x, x)) == [5_000]


def test_rows_are_shared_evenly() -> None:
    x = leaf(np.zeros((100, 3_000), np.float32))
    found = chunks(graph.reduce(MAX, x, (1,)))
    assert len(found) in (2, 4, 8, 16)
    assert max(found) - min(found) <= len(found)
