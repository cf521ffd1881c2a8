"""Running reductions along every axis, forwards and backwards, and reads that go backwards."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import grad
from grad.dtype import ALL_DTYPES, DType
from grad.engine import realize
from grad.graph import node as graph
from grad.graph.evaluate import evaluate
from grad.graph.primitives import ADD, MAXIMUM, MINIMUM, MUL, Primitive
from grad.runtime.cpu.threads import get_num_threads, set_num_threads
from grad.settings import settings
from tests.engine.exact_graphs import leaf, values_of

SHAPES = [(1,), (15,), (16,), (17,), (1000,), (3, 65), (70, 4), (5, 129), (4, 3, 130), (2, 33, 600)]
EMPTY = [(0,), (3, 0), (0, 3), (2, 0, 70)]


def whole_numbers(shape: tuple[int, ...], dtype: DType) -> np.ndarray:
    return np.random.default_rng(sum(shape)).integers(0, 3, shape).astype(dtype.numpy)


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("op", [ADD, MAXIMUM, MINIMUM, MUL], ids=lambda op: op.name)
@pytest.mark.parametrize("backwards", [False, True])
def test_every_axis(op: Primitive, backwards: bool, backend: str) -> None:
    for shape in [*SHAPES, *EMPTY]:
        x = leaf(whole_numbers(shape, grad.float32))
        for axis in range(len(shape)):
            node = graph.scan(op, x, axis, backwards)
            (expected,) = evaluate([node])
            with settings.override(backend=backend):
                realize([node])
            np.testing.assert_array_equal(values_of(node), expected)


@pytest.mark.parametrize("dtype", [d for d in ALL_DTYPES if d.kind != "b"], ids=lambda d: d.name)
def test_every_type(dtype: DType) -> None:
    for op, axis, backwards in itertools.product((ADD, MAXIMUM), (0, 1), (False, True)):
        node = graph.scan(op, leaf(whole_numbers((20, 70), dtype)), axis, backwards)
        (expected,) = evaluate([node])
        realize([node])
        np.testing.assert_array_equal(values_of(node), expected)


def test_nan_and_infinity_reach_what_comes_after_them_only() -> None:
    x = np.ones((2, 100), np.float32)
    x[0, 40], x[1, 20], x[1, 90] = np.nan, np.inf, -np.inf
    for op, axis in itertools.product((ADD, MAXIMUM, MINIMUM), (0, 1)):
        node = graph.scan(op, leaf(x), axis)
        (expected,) = evaluate([node])
        realize([node])
        np.testing.assert_array_equal(values_of(node), expected)


def test_products_do_not_leave_the_range_on_the_way() -> None:
    x = np.array([0, 1e30, 1e30, 1e30, 1], np.float32)
    assert grad.tensor(x).cumprod(0).tolist() == [0.0] * 5
    y = grad.tensor(np.array([1e30, 1e-30, 1e-30], np.float32)).cumprod(0)
    np.testing.assert_allclose(y.numpy(), [1e30, 1, 1e-30], rtol=1e-6)


@pytest.mark.parametrize("dim", [0, 1])
def test_sums_are_accurate_and_the_same_on_any_number_of_threads(dim: int) -> None:
    x = np.random.default_rng(0).standard_normal((301, 1031)).astype(np.float32)
    before = get_num_threads()
    results = []
    for threads in (1, 2, 3, 8):
        set_num_threads(threads)
        results.append(grad.tensor(x).cumsum(dim).numpy().tobytes())
    set_num_threads(before)
    assert len(set(results)) == 1
    wide = np.cumsum(x.astype(np.float64), dim)
    actual = np.frombuffer(results[0], np.float32).reshape(x.shape)
    np.testing.assert_allclose(actual, wide, rtol=1e-4, atol=1e-4)


def test_gradients_of_sums() -> None:
    x = grad.tensor(np.random.default_rng(1).standard_normal((4, 40)), requires_grad=True)
    weights = grad.tensor(np.random.default_rng(2).standard_normal((4, 40)), requires_grad=True)
    (first,) = grad.autograd.grad((x.cumsum(1) * weights).sum(), x, create_graph=True)
    expected = np.cumsum(weights.detach().numpy()[:, ::-1], 1)[:, ::-1]
    np.testing.assert_allclose(first.detach().numpy(), expected, rtol=1e-4)
    (second,) = grad.autograd.grad((first * first).sum(), weights)
    np.testing.assert_allclose(second.numpy(), np.cumsum(2 * expected, 1), rtol=1e-4)


@pytest.mark.parametrize("dtype", ALL_DTYPES, ids=lambda d: d.name)
def test_reads_backwards(dtype: DType) -> None:
    for size in (1, 7, 16, 33, 100, 1000):
        x = whole_numbers((3, size), dtype)
        flipped = grad.tensor(x, dtype=dtype).flip(1)
        both = (flipped | flipped) if dtype.kind == "b" else flipped + flipped
        np.testing.assert_array_equal(flipped.contiguous().numpy(), x[:, ::-1])
        np.testing.assert_array_equal(
            both.numpy(), (x | x if dtype.kind == "b" else x + x)[:, ::-1]
        )
