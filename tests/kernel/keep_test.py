"""Values that several loops of a row need are computed once, and are the same to the bit."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from grad.engine import realize
from grad.engine.realize import cache
from grad.graph import node as graph
from grad.graph.node import Node
from grad.graph.primitives import EXP, MAX, MUL, NEG, SIGMOID, SUB, SUM, Primitive
from grad.kernel import lower
from grad.kernel.ir import Kernel, Let, statements
from grad.kernel.lower import lower_all
from grad.runtime.cpu.threads import get_num_threads, set_num_threads
from grad.schedule.group import group
from grad.schedule.program import program_of, walk
from grad.schedule.simplify import simplify
from grad.settings import settings
from tests.engine.exact_graphs import leaf, values_of


@pytest.fixture(autouse=True)
def same_thread_count() -> Iterator[None]:
    before = get_num_threads()
    yield
    set_num_threads(before)
    cache.clear()


def numbers(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).standard_normal(shape).astype(np.float32)


def shares(x: Node, op: Primitive = EXP) -> Node:
    """``op(x - max) / sum(op(x - max))`` along the last axis, by a product."""
    kept = (*x.shape[:-1], 1)
    top = graph.reshape(graph.reduce(MAX, x, (len(kept) - 1,)), kept)
    powers = graph.pointwise(op, graph.pointwise(SUB, x, top))
    total = graph.reshape(graph.reduce(SUM, powers, (len(kept) - 1,)), kept)
    return graph.pointwise(MUL, powers, total)


def twice_kept(x: Node) -> Node:
    """``exp(x) * s * sum(s)`` with s the sigmoid of ``exp(x)``."""
    powers = graph.pointwise(EXP, x)
    bent = graph.pointwise(SIGMOID, powers)
    total = graph.reshape(graph.reduce(SUM, bent, (1,)), (x.shape[0], 1))
    return graph.pointwise(MUL, powers, graph.pointwise(MUL, bent, total))


def kernel_of(root: Node) -> Kernel:
    program = simplify(program_of(walk([root])))
    (lowered,) = lower_all(program, group(program))
    return lowered.kernel


def count(kernel: Kernel, op: Primitive) -> int:
    return sum(isinstance(s, Let) and s.op is op for s, _ in statements(kernel))


def scratch(kernel: Kernel) -> list[int]:
    return [p.elements for p in kernel.parameters if p.elements]


def test_a_costly_value_is_computed_once_a_row() -> None:
    kernel = kernel_of(shares(leaf(numbers(100, 300))))
    assert count(kernel, EXP) == 1
    assert scratch(kernel) == [300]


def test_a_cheap_value_is_computed_again() -> None:
    kernel = kernel_of(shares(leaf(numbers(100, 300)), NEG))
    assert count(kernel, NEG) == 2
    assert scratch(kernel) == []


def test_a_row_too_long_for_the_cache_is_not_kept() -> None:
    kernel = kernel_of(shares(leaf(numbers(10, 70_000))))
    assert count(kernel, EXP) == 2
    assert scratch(kernel) == []


def test_values_made_of_kept_values_are_kept_too() -> None:
    kernel = kernel_of(twice_kept(leaf(numbers(64, 500))))
    assert count(kernel, EXP) == 1
    assert count(kernel, SIGMOID) == 1
    assert scratch(kernel) == [500, 500]


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("shape", [(9, 1), (33, 67), (70, 1009), (3, 5, 131), (1, 4099)])
def test_the_same_bits_as_without(
    shape: tuple[int, ...], backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings, "backend", backend)
    array = numbers(*shape)
    array[..., 0, 0] = np.nan
    array[..., 1:2, -1] = np.inf
    array[..., 2:3, :] = -np.inf
    found = []
    for count_of_threads in (1, 2, 3, 8):
        set_num_threads(count_of_threads)
        node = shares(leaf(array))
        realize([node])
        found.append(values_of(node))
    monkeypatch.setattr(lower, "keep_values", lambda writer, phase: phase)
    cache.clear()
    alone = shares(leaf(array))
    realize([alone])
    for result in found:
        np.testing.assert_array_equal(result.view(np.int32), values_of(alone).view(np.int32))
