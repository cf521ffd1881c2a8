"""Which rows that an index names are asked for early, and that the index is read no further."""

from __future__ import annotations

import numpy as np
import pytest

import grad
from grad.codegen.llvm.loops import phase_text
from grad.codegen.llvm.named_rows import AHEAD_BYTES, LONGEST_BYTES, Foresight, Named, foresee
from grad.engine.realize import walk
from grad.kernel.ir import Kernel, Load, Loop
from grad.kernel.lower import lower_all
from grad.schedule.group import group
from grad.schedule.program import program_of
from grad.schedule.simplify import simplify
from grad.tensor import Tensor


def kernel_of(result: Tensor) -> Kernel:
    program = simplify(program_of(walk([result.node])))
    (lowered,) = lower_all(program, group(program))
    return lowered.kernel


def foreseen(kernel: Kernel) -> Foresight | None:
    (*before, rows) = kernel.phases[-1]
    assert isinstance(rows, Loop)
    step = next((s for s in rows.body if isinstance(s, Loop) and not s.vector), rows)
    known = {s.value for s in before if isinstance(s, Named)}
    return foresee(step, {p.number: p for p in kernel.parameters}, known)


def table(rows: int, columns: int) -> Tensor:
    return grad.zeros(rows, columns).realize()


@pytest.mark.parametrize(("columns", "distance"), [(64, 32), (67, 30), (1024, 2), (5000, 2)])
def test_a_row_is_asked_for_whose_number_may_be_negative(columns: int, distance: int) -> None:
    index = grad.tensor(np.zeros(40, np.int64))
    found = foreseen(kernel_of(table(50, columns)[index]))
    assert found is not None
    (row,) = found.rows
    assert row.nbytes == min(columns * 4, LONGEST_BYTES) and not row.written
    assert found.distance == distance == max(AHEAD_BYTES // row.nbytes, 1)
    # The number is read and brought into range before the row is asked for.
    assert isinstance(found.names[0], Load) and len(found.names) > 1


def test_a_row_that_is_added_to_is_asked_for_once_and_to_be_written() -> None:
    index = grad.tensor(np.zeros(40, np.int64))
    found = foreseen(kernel_of(table(50, 64).index_add(0, index, table(40, 64))))
    assert found is not None
    (row,) = found.rows
    assert row.written


def test_rows_in_order_are_not() -> None:
    assert foreseen(kernel_of(table(40, 64) + 1)) is None
    # Neither where the index changes along the lanes.
    index = grad.tensor(np.zeros(40, np.int64))
    assert foreseen(kernel_of(table(50, 64).index_select(1, index))) is None


def test_the_index_is_read_up_to_its_last_element() -> None:
    index = grad.tensor(np.zeros(40, np.int64))
    kernel = kernel_of(table(50, 64)[index])
    (phase,) = kernel.phases
    text = phase_text(kernel, phase, "kernel", frozenset(), 16)
    assert "%end, 1" in text
    assert text.count("@llvm.prefetch.p0(ptr %") == 64 * 4 // 64


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("count", [1, 2, 33, 200])
def test_rows_are_what_they_were(count: int, threads: int) -> None:
    random = np.random.default_rng(count)
    values = random.standard_normal((57, 71)).astype(np.float32)
    index = random.integers(-57, 57, count)
    before = grad.get_num_threads()
    grad.set_num_threads(threads)
    try:
        found = grad.tensor(values)[grad.tensor(index)]
        assert np.array_equal(found.numpy(), values[index])
        added = grad.tensor(values).index_add(0, grad.tensor(index % 57), found).numpy()
    finally:
        grad.set_num_threads(before)
    expected = values.astype(np.float64)
    np.add.at(expected, index % 57, values[index])
    np.testing.assert_allclose(added, expected, rtol=1e-4, atol=1e-5)
