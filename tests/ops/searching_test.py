"""Searching and counting against NumPy: places in sequences, membership, bins, different values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import grad
from grad.dtype import DType, dtypes
from grad.errors import ArgumentError, DTypeError, ShapeError

Array = np.ndarray[Any, Any]
NUMBERS = (dtypes.float32, dtypes.float64, dtypes.float16, dtypes.int64, dtypes.int32, dtypes.uint8)
RANDOM = np.random.default_rng(0)


@pytest.mark.parametrize("dtype", NUMBERS, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("side", ["left", "right"])
def test_searchsorted_and_bucketize(dtype: DType, side: Any) -> None:
    for size in (0, 1, 2, 3, 8, 100):
        sequence = np.sort(RANDOM.integers(0, 20, size)).astype(dtype.numpy)
        values = RANDOM.integers(0, 22, (4, 5)).astype(dtype.numpy)
        if dtype.kind == "f":
            values[0, :3] = math.nan, math.inf, -math.inf
        expected = np.searchsorted(sequence, values, side)
        expected[np.isnan(values)] = size
        x, y = grad.tensor(sequence), grad.tensor(values)
        np.testing.assert_array_equal(grad.searchsorted(x, y, side=side).numpy(), expected)
        found = grad.bucketize(y, x, right=side == "right", out_int32=True)
        np.testing.assert_array_equal(found.numpy(), expected)
        assert found.dtype is dtypes.int32
        lines = np.stack([sequence, sequence[::-1][::-1] // 2] * 2)
        found = grad.searchsorted(grad.tensor(lines), y, right=side == "right").numpy()
        for line, row, places in zip(lines, values, found, strict=True):
            expected = np.searchsorted(line, row, side)
            expected[np.isnan(row)] = size
            np.testing.assert_array_equal(places, expected)


def test_searchsorted_takes_numbers_and_a_sorter() -> None:
    x = grad.tensor([5.0, 1.0, 3.0])
    assert grad.searchsorted(x, 3.5, sorter=x.argsort()).item() == 2
    assert grad.bucketize(2, grad.tensor([1, 2, 3])).item() == 1
    assert grad.bucketize(-1.5, grad.tensor([1, 2, 3], dtype=dtypes.uint8)).item() == 0
    assert grad.bucketize(2.5, grad.tensor([1, 2, 3])).item() == 2
    # A NaN at the end of the sequence is behind everything.
    sequence = grad.tensor([1.0, 2.0, math.nan])
    assert grad.searchsorted(sequence, grad.tensor([1.5, 9.0])).tolist() == [1, 2]
    with pytest.raises(ArgumentError, match="side"):
        grad.searchsorted(x, x, side="middle")
    with pytest.raises(ArgumentError, match="differ"):
        grad.searchsorted(x, x, side="left", right=True)
    with pytest.raises(DTypeError, match="float64"):
        grad.searchsorted(x, x.double())
    with pytest.raises(ShapeError, match="first dimensions"):
        grad.searchsorted(grad.ones(2, 3), grad.ones(3, 3))
    with pytest.raises(ShapeError, match="vector"):
        grad.bucketize(x, grad.ones(2, 3))


@pytest.mark.parametrize("count", [0, 3, 50])
def test_isin(count: int) -> None:
    for kind in (np.float32, np.int64, np.bool_):
        elements = RANDOM.integers(0, 60, (6, 7)).astype(kind)
        tests = RANDOM.integers(0, 60, count).astype(kind)
        for invert in (False, True):
            found = grad.isin(grad.tensor(elements), grad.tensor(tests), invert=invert)
            np.testing.assert_array_equal(found.numpy(), np.isin(elements, tests, invert=invert))
    nan = grad.tensor([math.nan, 1.0])
    assert grad.isin(nan, nan).tolist() == [False, True]
    assert grad.isin(grad.tensor([1, 2]), 2).tolist() == [False, True]
    assert grad.isin(2, grad.tensor([1, 2])).item() is True


def test_searches_stay_lazy_and_replay() -> None:
    @grad.compile
    def function(sequence: grad.Tensor, x: grad.Tensor) -> grad.Tensor:
        return grad.searchsorted(sequence, x) * 2

    for _ in range(4):
        sequence = np.sort(RANDOM.standard_normal(33)).astype(np.float32)
        x = RANDOM.standard_normal((5, 6)).astype(np.float32)
        found = function(grad.tensor(sequence), grad.tensor(x))
        np.testing.assert_array_equal(found.numpy(), np.searchsorted(sequence, x) * 2)
    assert not grad.isin(grad.arange(9), grad.arange(3)).node.is_realized


# -- counting --------------------------------------------------------------------------------------
def test_bincount() -> None:
    for kind in (np.int64, np.int32, np.uint8):
        x = RANDOM.integers(0, 9, 30).astype(kind)
        weights = RANDOM.standard_normal(30)
        for least in (0, 4, 15):
            found = grad.tensor(x).bincount(minlength=least)
            np.testing.assert_array_equal(found.numpy(), np.bincount(x, minlength=least))
            found = grad.bincount(grad.tensor(x), grad.tensor(weights), least)
            np.testing.assert_allclose(found.numpy(), np.bincount(x, weights, least), rtol=1e-12)
    whole = grad.bincount(grad.tensor([1, 1]), grad.tensor([1, 2]))
    assert whole.dtype is dtypes.float64 and whole.tolist() == [0.0, 3.0]
    assert grad.zeros(0, dtype=grad.int64).bincount().tolist() == []
    for wrong, error in (
        (grad.tensor([1.0]), DTypeError),
        (grad.ones(2, 2, dtype=grad.int64), ShapeError),
        (grad.tensor([-1, 1]), ArgumentError),
    ):
        with pytest.raises(error):
            wrong.bincount()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_histograms(dtype: Any) -> None:
    x = RANDOM.standard_normal((20, 30)).astype(dtype)
    x[0, 0] = x.max()
    for bins, limits in ((10, None), (7, (-1.0, 2.0)), (1, (0.5, 0.75))):
        expected, edges = np.histogram(x, bins, limits)
        found = grad.histogram(grad.tensor(x), bins, range=limits)
        np.testing.assert_allclose(found.bin_edges.numpy(), edges, rtol=1e-5, atol=1e-6)
        assert np.abs(found.hist.numpy() - expected).sum() <= 2  # at an edge, rounded otherwise
        low, high = limits or (0, 0)
        assert np.abs(grad.tensor(x).histc(bins, low, high).numpy() - expected).sum() <= 2
    weight = RANDOM.random(x.shape).astype(dtype)
    edges = np.sort(RANDOM.standard_normal(6)).astype(dtype)
    expected, _ = np.histogram(x, edges, weights=weight, density=True)
    found = grad.histogram(
        grad.tensor(x), grad.tensor(edges), weight=grad.tensor(weight), density=True
    )
    np.testing.assert_allclose(found.hist.numpy(), expected, rtol=1e-4)
    same = grad.full((4,), 3.0).histc(2)
    assert same.tolist() == [0.0, 4.0]
    assert grad.tensor([math.nan, 0.5]).histc(2, 0, 1).tolist() == [0.0, 1.0]
    for call in (
        lambda: grad.tensor([math.inf, 1.0]).histc(3),
        lambda: grad.ones(3).histc(0),
        lambda: grad.ones(3).histc(3, 2, 1),
        lambda: grad.ones(3).histc(3, 0, math.inf),
    ):
        with pytest.raises(ArgumentError):
            call()


@pytest.mark.parametrize("kind", [np.float32, np.int64, np.uint8, np.float16])
def test_unique(kind: Any) -> None:
    for shape in ((), (0,), (9,), (4, 3), (3, 4, 2)):
        array = RANDOM.integers(0, 3, shape).astype(kind)
        for axis in (None, *range(len(shape))):
            values, inverse, counts = np.unique(
                array, return_inverse=True, return_counts=True, axis=axis
            )
            found = grad.tensor(array).unique(True, True, True, axis)
            np.testing.assert_array_equal(found[0].numpy(), values)
            np.testing.assert_array_equal(found[1].numpy().ravel(), inverse.ravel())
            np.testing.assert_array_equal(found[2].numpy(), counts)
            assert found[1].shape == (shape if axis is None else (shape[axis],))
            np.testing.assert_array_equal(grad.unique(grad.tensor(array), dim=axis).numpy(), values)
    assert len(grad.tensor([math.nan, math.nan, 1.0]).unique()) == 3


def test_unique_consecutive() -> None:
    x = grad.tensor([1, 1, 2, 2, 2, 1])
    values, inverse, counts = x.unique_consecutive(return_inverse=True, return_counts=True)
    assert values.tolist() == [1, 2, 1] and counts.tolist() == [2, 3, 1]
    assert inverse.tolist() == [0, 0, 1, 1, 1, 2]
    lines = grad.tensor([[1, 2], [1, 2], [3, 2]])
    assert lines.unique_consecutive(dim=0).tolist() == [[1, 2], [3, 2]]
    assert lines.unique_consecutive(dim=1, return_counts=True)[1].tolist() == [1, 1]
    assert grad.zeros(0).unique_consecutive().shape == (0,)


@pytest.mark.parametrize("limits", [None, (-1.0, 1.0), (0.0, 1e-3), (1e6, 1e6 + 512)])
@pytest.mark.parametrize("bins", [1, 7, 1000])
def test_histogram_counts_between_its_own_edges(bins: int, limits: tuple[float, float]) -> None:
    """The bin of an element is computed; rounding must not move it over an edge."""
    low, high = limits or (-3.0, 3.0)
    x = np.random.default_rng(0).uniform(low, high, 5000).astype(np.float32)
    if limits:
        x[:5] = np.nan, np.inf, -np.inf, low, high
    _, edges = grad.histogram(grad.tensor(x), bins, range=limits)
    inner = edges.numpy()[: bins + 1]
    x[-len(inner) :] = inner  # on the edges, too
    counts, edges = grad.histogram(grad.tensor(x), bins, range=limits)
    known = x[np.isfinite(x)]
    np.testing.assert_array_equal(counts.numpy(), np.histogram(known, edges.numpy())[0])
