"""Functions of NumPy as values of the graph: lazy, planned among kernels, and honest about
failures.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

import grad
from grad.dtype import dtypes
from grad.errors import ShapeError
from grad.graph.host import FUNCTIONS, host, hosted
from grad.settings import settings
from grad.tensor import Tensor

Array = np.ndarray[Any, Any]


@hosted
def reversed_rows(result: Array, x: Array) -> None:
    result[...] = x[:, ::-1]


@hosted
def weighted_rows(result: Array, x: Array, y: Array, weight: float) -> None:
    result[...] = x + weight * y


@hosted
def rows_that_must_be_positive(result: Array, x: Array) -> None:
    if (x <= 0).any():
        raise np.linalg.LinAlgError("a row is not positive")
    np.log(x, out=result)


def values(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def flipped(x: Tensor) -> Tensor:
    return Tensor._wrap(host(reversed_rows, [x.node], x.shape, x.dtype))


def positive(x: Tensor) -> Tensor:
    return Tensor._wrap(host(rows_that_must_be_positive, [x.node], x.shape, x.dtype))


@pytest.fixture(params=["cpu", "reference"])
def backend(request):
    with settings.override(backend=request.param):
        yield request.param


@pytest.mark.parametrize("shape", [(3, 4), (1, 1), (0, 4), (3, 0), (300, 200)])
def test_it_stands_among_kernels(backend, shape):
    array = values(*shape)
    x = grad.tensor(array)
    result = (flipped(x * 2) + 1).sum(1)
    assert not result.node.is_realized
    np.testing.assert_allclose(
        result.numpy(), (array[:, ::-1] * 2 + 1).sum(1), rtol=1e-4, atol=1e-4
    )


def test_operands_may_be_views_and_the_same(backend):
    array = values(6, 8)
    x = grad.tensor(array).T[1:]
    node = host(weighted_rows, [x.node, x.node], x.shape, x.dtype, 0.5)
    np.testing.assert_allclose(Tensor._wrap(node).numpy(), array.T[1:] * 1.5, rtol=1e-6)
    other = host(weighted_rows, [x.node, (x * x).node], x.shape, x.dtype, -2.0)
    np.testing.assert_allclose(
        Tensor._wrap(other).numpy(), array.T[1:] - 2 * array.T[1:] ** 2, rtol=1e-5, atol=1e-6
    )


def test_settings_are_part_of_what_it_is():
    x = grad.tensor(values(2, 3))
    for weight in (1.0, 2.0, 1.0, -0.0, 0.0):
        node = host(weighted_rows, [x.node, x.node], x.shape, x.dtype, weight)
        np.testing.assert_allclose(Tensor._wrap(node).numpy(), x.numpy() * (1 + weight), rtol=1e-6)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_items_are_shared_among_threads(threads):
    array = values(1000, 300)
    before = grad.get_num_threads()
    grad.set_num_threads(threads)
    try:
        np.testing.assert_array_equal(flipped(grad.tensor(array)).numpy(), array[:, ::-1])
    finally:
        grad.set_num_threads(before)


def test_an_exception_reaches_whoever_asks_and_loses_nothing(backend):
    x = grad.tensor(values(3, 4))
    result = positive(x) + 1
    for _ in range(2):
        with pytest.raises(np.linalg.LinAlgError, match="not positive"):
            result.numpy()
        assert not result.node.is_realized
    np.testing.assert_array_equal(flipped(x).numpy(), x.numpy()[:, ::-1])
    good = grad.tensor(np.abs(values(3, 4)) + 1)
    np.testing.assert_allclose((positive(good) + 1).numpy(), np.log(good.numpy()) + 1, rtol=1e-6)


def test_threads_get_their_own_exceptions():
    bad, good = grad.tensor(-np.ones((4, 4), np.float32)), grad.tensor(np.ones((4, 4), np.float32))
    wrong: list[object] = []

    def work(x: Tensor, fails: bool) -> None:
        for _ in range(50):
            try:
                (positive(x) + 1).numpy()
                raised = False
            except np.linalg.LinAlgError:
                raised = True
            if raised is not fails:
                wrong.append(x)

    threads = [threading.Thread(target=work, args=pair) for pair in ((bad, True), (good, False))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_compiled_function_replays_it():
    @grad.compile
    def function(x: Tensor) -> Tensor:
        return flipped(x * 3) - x

    for turn in range(5):
        array = values(40, 30, seed=turn)
        np.testing.assert_allclose(
            function(grad.tensor(array)).numpy(), array[:, ::-1] * 3 - array, rtol=1e-5, atol=1e-5
        )

    @grad.compile
    def failing(x: Tensor) -> Tensor:
        return positive(x) + 1

    good, bad = np.ones((4, 4), np.float32), -np.ones((4, 4), np.float32)
    for _ in range(3):
        failing(grad.tensor(good)).numpy()
    with pytest.raises(np.linalg.LinAlgError):
        failing(grad.tensor(bad)).numpy()
    np.testing.assert_array_equal(failing(grad.tensor(good)).numpy(), np.ones((4, 4)))


def test_changing_lengths_are_new_plans_with_right_values():
    for length in (5, 6, 7, 8, 9, 8, 5):
        array = values(length, 3)
        np.testing.assert_allclose((flipped(grad.tensor(array)) * 2).numpy(), array[:, ::-1] * 2)


def test_a_held_result_is_computed_once(monkeypatch):
    calls = []

    def counted(result: Array, x: Array) -> None:
        calls.append(len(x))
        result[...] = x[:, ::-1]

    monkeypatch.setitem(FUNCTIONS, "reversed_rows", counted)
    x = grad.tensor(values(3, 4))
    held = flipped(x)
    (held + 1).numpy()
    (held + 2).numpy()
    assert calls == [3]


def test_sizes_must_agree():
    x, y = grad.tensor(values(3, 4)), grad.tensor(values(2, 4))
    with pytest.raises(ShapeError, match="first size"):
        host(weighted_rows, [x.node, y.node], (3, 4), dtypes.float32, 1.0)
    other: Any = type("Other", (), {"__name__": "reversed_rows"})()
    with pytest.raises(ValueError, match="twice"):
        hosted(other)
