"""Many values that are written to any place: several items, each with a part of the places."""

from __future__ import annotations

import numpy as np
import pytest

import grad
from grad.kernel.lower_named import PARTS_FROM
from grad.settings import settings


@pytest.fixture(params=["native", "avx2", "generic"])
def features(request):
    with settings.override(cpu_features=request.param):
        yield


def values(count: int, dtype: str, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).standard_normal(count) * 9).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "uint8", "int64", "bool"])
@pytest.mark.parametrize("places", [1, 5, 100_003])
def test_the_last_value_of_a_place_stays(features, dtype, places):
    count = PARTS_FROM + 77
    index = np.random.default_rng(1).integers(0, places, count)
    given = values(count, dtype)
    expected = np.zeros(places, dtype)
    expected[index] = given
    found = grad.zeros(places, dtype=getattr(grad, dtype)).scatter(
        0, grad.tensor(index), grad.tensor(given)
    )
    np.testing.assert_array_equal(found.numpy(), expected)


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_any_number_of_threads(threads):
    random = np.random.default_rng(2)
    rows, columns = (random.integers(-n, n, (300, 400)) for n in (300, 7))
    given = values(120_000, "float32").reshape(300, 400)
    expected = np.ones((300, 7), np.float32)
    expected[rows, columns] = given
    before = grad.get_num_threads()
    grad.set_num_threads(threads)
    try:
        found = grad.ones(300, 7)
        found[grad.tensor(rows), grad.tensor(columns)] = grad.tensor(given)
        np.testing.assert_array_equal(found.numpy(), expected)
    finally:
        grad.set_num_threads(before)


def test_in_place_and_gradients():
    count = PARTS_FROM + 1
    index = np.random.default_rng(3).integers(0, 50, count)
    source = grad.tensor(values(count, "float64")).requires_grad_()
    target = grad.zeros(50, dtype=grad.float64)
    target.scatter_(0, grad.tensor(index), source)
    (target * grad.arange(50.0)).sum().backward()
    assert source.grad is not None
    np.testing.assert_array_equal(source.grad.numpy(), index.astype(float))


def test_a_place_outside_raises_and_writes_nothing():
    index = grad.zeros(PARTS_FROM, dtype=grad.int64)
    index[-1] = 9
    target = grad.zeros(9)
    with pytest.raises(IndexError, match="9"):
        target.scatter_(0, index, grad.ones(PARTS_FROM))
    assert target.tolist() == [0.0] * 9
