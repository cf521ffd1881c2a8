"""The same bits on any number of threads, in any run, a forked child and several Python threads.

Values here are ordinary floats, so a sum that is added up in another order shows.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from grad.engine import realize, threads
from grad.engine.realize import PlanCache, nobody_computing
from grad.graph import node as graph
from grad.graph.node import Node
from grad.graph.primitives import ADD, EXP, MAX, MUL, SUB, SUM
from grad.runtime.cpu.threads import get_num_threads, set_num_threads
from grad.schedule.program import walk
from tests.engine.exact_graphs import leaf, values_of


@pytest.fixture(autouse=True)
def same_thread_count() -> Iterator[None]:
    before = get_num_threads()
    yield
    set_num_threads(before)


def inputs(*shapes: tuple[int, ...]) -> list[Node]:
    numbers = np.random.default_rng(7)
    return [leaf(numbers.standard_normal(shape, np.float32)) for shape in shapes]


def whole_sum() -> Node:
    (x,) = inputs((300, 1001))
    return graph.reduce(SUM, x, (0, 1))


def few_results() -> Node:
    (x,) = inputs((3, 70001))
    return graph.reduce(SUM, graph.pointwise(MUL, x, x), (1,))


def column_sums() -> Node:
    (x,) = inputs((5000, 37))
    return graph.reduce(SUM, x, (0,))


def mean_of_logsumexp() -> Node:
    (x,) = inputs((700, 129))
    top = graph.reshape(graph.reduce(MAX, x, (1,)), (700, 1))
    powers = graph.reduce(SUM, graph.pointwise(EXP, graph.pointwise(SUB, x, top)), (1,))
    return graph.reduce(SUM, graph.pointwise(ADD, powers, graph.reshape(top, (700,))), (0,))


def product() -> Node:
    x, y, z = inputs((65, 301), (301, 130), (65, 130))
    return graph.pointwise(ADD, graph.contract(x, y), z)


def running_sum() -> Node:
    (x,) = inputs((17, 3001))
    return graph.scan(ADD, x, 1)


def scattered() -> Node:
    base, values = inputs((10, 64), (4000, 64))
    rows = leaf(np.random.default_rng(1).integers(0, 10, (4000, 1)))
    return graph.scatter("add", base, values, (0,), (graph.expand(rows, (4000, 64)),))


GRAPHS = [
    whole_sum, few_results, column_sums, mean_of_logsumexp, product, running_sum, scattered,
]  # fmt: skip


def compute(make: Callable[[], Node]) -> bytes:
    node = make()
    realize([node])
    return values_of(node).tobytes()


@pytest.mark.parametrize("make", GRAPHS)
def test_thread_count_changes_nothing(make: Callable[[], Node]) -> None:
    found = set()
    for count in (1, 2, 3, 8):
        set_num_threads(count)
        found.update(compute(make) for _ in range(3))
    assert len(found) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_computes_the_same() -> None:
    set_num_threads(2)
    expected = [compute(make) for make in GRAPHS]
    with multiprocessing.get_context("fork").Pool(1) as workers:
        answers = workers.map_async(compute, GRAPHS).get(timeout=120)
    assert answers == expected


def test_python_threads_compute_at_once() -> None:
    expected = [compute(make) for make in GRAPHS]
    shared = [make() for make in GRAPHS]
    wrong: list[str] = []

    def work(first: int) -> None:
        for turn in range(3):
            for step in range(len(GRAPHS)):
                number = (first + step) % len(GRAPHS)
                if compute(GRAPHS[number]) != expected[number]:
                    wrong.append(f"{GRAPHS[number].__name__}, turn {turn}")
        for number, node in enumerate(shared):
            realize([node])
            if values_of(node).tobytes() != expected[number]:
                wrong.append(f"shared {GRAPHS[number].__name__}")

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    assert not wrong


def test_threads_with_graphs_of_their_own() -> None:
    answers: dict[int, float] = {}

    def work(number: int) -> None:
        x = leaf(np.full((number + 3, 5), 2.0, np.float32))
        node = graph.reduce(SUM, graph.pointwise(MUL, x, x), (0, 1))
        realize([node])
        answers[number] = float(values_of(node))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert answers == {n: 20.0 * (n + 3) for n in range(12)}


def test_the_plan_cache_forgets_the_oldest() -> None:
    cache = PlanCache(size=4)
    x = leaf(np.arange(64, dtype=np.float32))

    def graph_number(number: int) -> Node:
        return graph.reshape(graph.pointwise(ADD, x, x), (1,) * number + (64,))

    for number in range(10):
        cache.find(walk([graph_number(number)]))
    assert len(cache.families) == 4
    assert cache.misses == 10
    cache.find(walk([graph_number(9)]))
    assert (cache.hits, cache.misses) == (1, 10)
    cache.find(walk([graph_number(0)]))
    assert (cache.hits, cache.misses) == (1, 11)


def test_plans_have_scratch_for_every_worker() -> None:
    cache = PlanCache()
    x, y = inputs((256, 700), (600, 700))
    node = graph.contract(x, graph.permute(y, (1, 0)))
    found = {}
    for count in (1, 4):
        set_num_threads(count)
        plan, _ = cache.find(walk([node]))
        found[count] = plan.scratch_bytes
    assert found[1] > 0, "this product is meant to pack its operand"
    assert found[4] >= 4 * found[1]


def test_the_number_of_threads_waits_for_who_computes() -> None:
    count = threads.get_num_threads()
    changing = threading.Thread(target=threads.set_num_threads, args=(count,))
    with nobody_computing():
        changing.start()
        changing.join(0.2)
        assert changing.is_alive(), "a plan could get scratch for one number and run with another"
    changing.join()
