"""One operation on values that are there takes the short way to its plan, and the same numbers come
out.
"""

from __future__ import annotations

import numpy as np
import pytest

import grad
from grad.engine import cache
from grad.settings import settings
from grad.tensor import Tensor


@pytest.fixture(autouse=True)
def fresh_cache():
    cache.clear()
    yield
    cache.clear()


def values(*shape: int) -> tuple[Tensor, np.ndarray]:
    array = np.random.default_rng(len(shape)).standard_normal(shape).astype(np.float32)
    return grad.tensor(array), array


def without_a_walk(compute) -> bool:
    """Whether `compute` needed no walk over a graph."""
    walks = []
    walk = cache.walk
    cache.walk = lambda roots: walks.append(roots) or walk(roots)
    try:
        compute()
    finally:
        del cache.walk
    return not walks


OPERATIONS = {
    "x + y": lambda x, y: x + y,
    "y - x": lambda x, y: y - x,
    "x * x": lambda x, y: x * x,
    "x * 2": lambda x, y: x * 2,
    "exp": lambda x, y: np.exp(x) if isinstance(x, np.ndarray) else x.exp(),
    "sum": lambda x, y: x.sum(),
    "max of rows": lambda x, y: x.max(1) if isinstance(x, np.ndarray) else x.amax(1),
    "x @ y.T": lambda x, y: x @ y.T,
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_values_are_the_same_however_often(name):
    (x, a), (y, b) = values(4, 5), values(4, 5)
    y, b = y + 1, b + 1
    y.realize()
    for turn in range(4):
        np.testing.assert_allclose(
            OPERATIONS[name](x, y).numpy(), OPERATIONS[name](a, b), rtol=1e-5, err_msg=str(turn)
        )


def test_the_second_time_no_graph_is_numbered():
    (x, a), (y, _) = values(3, 4), values(3, 4)
    assert not without_a_walk(lambda: (x + y).numpy())
    hits = cache.hits
    assert without_a_walk(lambda: (x + y).numpy())
    assert cache.hits == hits + 1
    z, c = values(3, 4)
    assert without_a_walk(lambda: np.testing.assert_array_equal((z + x).numpy(), c + a))


@pytest.mark.parametrize("name", ["exp", "sum", "max of rows"])
def test_what_is_costly_takes_the_short_way_too(name):
    x, _ = values(4, 5)
    OPERATIONS[name](x, x).numpy()
    assert without_a_walk(lambda: OPERATIONS[name](x, x).numpy())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda x, y: x + x, lambda x, y: x + y),
        (lambda x, y: x + y, lambda x, y: x + x),
        (lambda x, y: x * 0.0, lambda x, y: x * -0.0),
        (lambda x, y: x * 1, lambda x, y: x * True),
        (lambda x, y: x.sum(0), lambda x, y: x.sum(1)),
        (lambda x, y: x - y, lambda x, y: y - x),
        (lambda x, y: x + 1, lambda x, y: x + 2),
        (lambda x, y: x[1:3] + 1, lambda x, y: x[0:2] + 1),
        (lambda x, y: x[1:3], lambda x, y: x[0:2]),
        (lambda x, y: x.reshape(2, 8), lambda x, y: x.reshape(8, 2)),
    ],
)
def test_what_differs_is_kept_apart(one, other):
    (x, a), (y, b) = values(4, 4), values(4, 4)
    y, b = y * 3, b * 3
    y.realize()
    for _ in range(3):
        for function in (one, other):
            expected = function(a, b)
            found = function(x, y).numpy()
            np.testing.assert_array_equal(found, expected) if found.ndim == 2 else (
                np.testing.assert_allclose(found, expected, rtol=1e-5)
            )
            np.testing.assert_array_equal(np.signbit(found), np.signbit(expected))


def test_dtypes_and_broadcasting_are_kept_apart():
    for shape in ((4, 4), (4, 1), (1, 4), (4,), ()):
        for dtype in (np.float32, np.float64, np.int32, np.int64):
            a = np.arange(16).reshape(4, 4).astype(dtype)
            b = np.ones(shape, dtype) * 3
            x, y = grad.tensor(a), grad.tensor(b)
            for _ in range(2):
                found = (x + y).numpy()
                np.testing.assert_array_equal(found, a + b)
                assert found.dtype == dtype


def test_another_number_of_threads_and_another_backend_have_plans_of_their_own():
    x, a = values(64, 64)
    before = grad.get_num_threads()
    try:
        for threads in (1, 2, 3, 1):
            grad.set_num_threads(threads)
            for _ in range(2):
                np.testing.assert_array_equal((x * x).numpy(), a * a)
    finally:
        grad.set_num_threads(before)
    with settings.override(backend="reference"):
        assert not without_a_walk(lambda: np.testing.assert_array_equal((x * x).numpy(), a * a))


def test_an_update_in_place_reaches_its_tensor():
    x, a = values(5)
    for turn in range(4):
        x += 1
        a = a + 1
        x.realize()
        np.testing.assert_array_equal(x.numpy(), a, err_msg=str(turn))


def test_writes_of_numpy_are_seen():
    x, _ = values(3)
    lent = x.numpy()
    for turn in range(4):
        lent[...] = turn
        np.testing.assert_array_equal((x + 1).numpy(), [turn + 1] * 3)


def test_what_is_kept_is_bounded(monkeypatch):
    monkeypatch.setattr(cache, "size", 8)
    _, a = values(40)
    for size in range(1, 30):
        part = grad.tensor(a[:size])
        for _ in range(2):
            np.testing.assert_array_equal((part + part).numpy(), a[:size] * 2)
    assert len(cache.singles) <= 8


def test_a_few_operations_take_the_short_way():
    (x, a), (y, b) = values(4, 5), values(4, 5)
    y, b = y + 1, b + 1
    y.realize()

    def chosen():
        return grad.where(x > 0, x, y).numpy()

    chosen()
    assert without_a_walk(lambda: np.testing.assert_array_equal(chosen(), np.where(a > 0, a, b)))
    x, y, a, b = y, x, b, a
    assert without_a_walk(lambda: np.testing.assert_array_equal(chosen(), np.where(a > 0, a, b)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (lambda x, y: (x + y) * x, lambda x, y: (x + y) * y),
        (lambda x, y: (x + y) * (x - y), lambda x, y: (x - y) * (x + y) + 1),
        (lambda x, y: x - (y - x), lambda x, y: (x - y) - x),
        (lambda x, y: (x + 1) * 2, lambda x, y: (x + 2) * 1),
        (lambda x, y: x + 1 + y + 2, lambda x, y: x + 2 + y + 1),
    ],
)
def test_a_few_operations_that_differ_are_kept_apart(one, other):
    (x, a), (y, b) = values(4, 4), values(4, 4)
    y, b = y * 3, b * 3
    y.realize()
    for _ in range(3):
        for function in (one, other):
            np.testing.assert_array_equal(function(x, y).numpy(), function(a, b))


def test_what_is_costly_on_the_way_is_kept_if_it_is_held():
    x, a = values(4, 5)
    for _ in range(3):
        (x.exp().sum(0) + 1).numpy()
    for _ in range(2):
        total = x.exp().sum(0)
        (total + 1).numpy()
        assert total._storage.node.is_realized
    np.testing.assert_allclose(total.numpy(), np.exp(a).sum(0), rtol=1e-5)
