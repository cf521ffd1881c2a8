"""Native plans: what they compute, the values they are given, and errors."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest

from grad.runtime.cpu.replay import Call, NativePlan
from grad.runtime.cpu.threads import get_num_threads, set_num_threads
from tests.runtime.native_kernels import ADD, COUNT, add_plan, adds_right, kernel


@pytest.fixture(params=[1, 2, 3, 8])
def threads(request):
    before = get_num_threads()
    set_num_threads(request.param)
    yield request.param
    set_num_threads(before)


@pytest.mark.parametrize(("items", "grain"), [(0, 1), (1, 1), (1000, 1), (1000, 7), (1000, 10**9)])
def test_every_item_is_computed_once(threads, items, grain):
    assert adds_right(items, grain, times=5)


def test_arguments_are_slots_with_offsets_or_constants(threads):
    add = kernel(ADD, "add")
    values = np.zeros(10, np.int64)
    steps = [
        [Call(add, ((0, 16), (-1, 5)), 3, 1)],  # elements 2 to 4
        [Call(add, ((0, 0), (1, -4)), 2, 1), Call(add, ((0, 64), (-1, -7)), 2, 1)],
    ]
    NativePlan(steps, 2).run([values.ctypes.data, 10])
    assert values.tolist() == [6, 6, 5, 5, 5, 0, 0, 0, -7, -7]


def test_values_of_64_bits(threads):
    values = np.zeros(2, np.uint64)
    plan = add_plan(1, 1)
    plan.run([values.ctypes.data, 2**64 - 1])
    plan.run([values.ctypes.data + 8, -(2**63)])
    assert values.tolist() == [2**64 - 1, 2**63]


def test_calls_of_a_step_share_their_chunks(threads):
    add = kernel(ADD, "add")
    arrays = [np.zeros(size, np.int64) for size in (1, 100, 0, 33, 1000)]
    step = [Call(add, ((i, 0), (-1, i + 1)), a.size, 1 + 10 * i) for i, a in enumerate(arrays)]
    NativePlan([step] * 3, len(arrays)).run([a.ctypes.data for a in arrays])
    for i, a in enumerate(arrays):
        assert (a == 3 * (i + 1)).all()


def test_chunks_do_not_depend_on_the_number_of_threads(threads):
    rows = np.zeros((8, 8), np.int64)
    NativePlan([[Call(kernel(COUNT, "count"), ((0, 0),), 103, 10)]], 1).run([rows.ctypes.data])
    assert rows[:, 0].sum() == 11
    assert rows[:, 1].sum() == 103
    assert not rows[threads:].any()


def test_a_hundred_thousand_dispatches_lose_nothing(threads):
    rows = np.zeros((8, 8), np.int64)
    count = kernel(COUNT, "count")
    # Steps of different shapes: a late worker that took the wrong job would count differently.
    steps = [[Call(count, ((0, 0),), 6, 1)], [Call(count, ((0, 0),), 9, 3)]] * 500
    plan = NativePlan(steps, 1)
    for _ in range(100):
        plan.run([rows.ctypes.data])
    assert rows[:, 0].sum() == 100 * 500 * (6 + 3)
    assert rows[:, 1].sum() == 100 * 500 * (6 + 9)
    assert not rows[threads:].any()


def test_plans_run_from_several_python_threads(threads):
    plan = add_plan(500, 7, times=50)
    arrays = [np.zeros(500, np.int64) for _ in range(3)]

    def run(values: np.ndarray) -> None:
        for _ in range(40):
            plan.run([values.ctypes.data, 2])

    callers = [threading.Thread(target=run, args=(values,)) for values in arrays]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert all((values == 40 * 50 * 2).all() for values in arrays)


def test_some_steps_alone(threads):
    add = kernel(ADD, "add")
    values = np.zeros(4, np.int64)
    plan = NativePlan([[Call(add, ((0, 0), (-1, k)), 4, 1)] for k in (1, 10, 100)], 1)
    plan.run_steps(1, 2, [values.ctypes.data])
    assert values.tolist() == [10] * 4
    plan.run_steps(1, 3, [values.ctypes.data])
    assert values.tolist() == [120] * 4
    plan.run_steps(3, 3, [values.ctypes.data])
    assert values.tolist() == [120] * 4
    for first, end in ((-1, 0), (0, 4), (2, 1)):
        with pytest.raises(IndexError, match="3 steps"):
            plan.run_steps(first, end, [values.ctypes.data])


def test_a_plan_keeps_to_its_number_of_workers():
    before = get_num_threads()
    set_num_threads(2)
    rows = np.zeros((8, 8), np.int64)
    plan = NativePlan([[Call(kernel(COUNT, "count"), ((0, 0),), 100, 1)]] * 1000, 1)
    set_num_threads(8)
    try:
        plan.run([rows.ctypes.data])
    finally:
        set_num_threads(before)
    assert rows[:, 0].sum() == 100 * 1000
    assert not rows[2:].any()


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ([], TypeError),
        ([0], TypeError),
        ([0, 0, 0], TypeError),
        ([0, "1"], TypeError),
        ([0, 1.5], TypeError),
        ([0, None], TypeError),
        ([0, 2**64], OverflowError),
        ([0, -(2**63) - 1], OverflowError),
    ],
)
def test_bad_values_raise_and_the_plan_goes_on(values, error):
    target = np.zeros(3, np.int64)
    plan = add_plan(3, 1)
    for _ in range(3):
        with pytest.raises(error):
            plan.run(values)
        with pytest.raises(error):
            plan.run_steps(0, 1, values)
    plan.run([target.ctypes.data, 1])
    assert target.tolist() == [1, 1, 1]


def test_the_message_counts_values():
    with pytest.raises(TypeError, match="takes 2 slot values, but 3 were given"):
        add_plan(1, 1).run([1, 2, 3])


@pytest.mark.parametrize(
    "call",
    [
        Call(0, (), 1, 1),
        Call(1, (), -1, 1),
        Call(1, (), 1, 0),
        Call(1, (), 2**62, 1),
        Call(1, ((1, 0),), 1, 1),
        Call(1, ((-2, 0),), 1, 1),
        Call(1, ((0, 2**64),), 1, 1),
        Call(1, ((0, -(2**63) - 1),), 1, 1),
    ],
)
def test_bad_calls_are_refused(call):
    with pytest.raises(ValueError, match="Call"):
        NativePlan([[call]], 1)


def test_the_builtin_outlives_its_plan():
    values = np.zeros(3, np.int64)
    launch = add_plan(3, 1).launch
    gc.collect()
    launch(values.ctypes.data, 4)
    assert values.tolist() == [4, 4, 4]


def test_an_empty_plan_does_nothing():
    assert NativePlan([], 0).run([]) is None
    assert NativePlan([[]], 1).run([5]) is None
