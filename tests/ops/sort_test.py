"""Sorting and choosing by rank against NumPy: every type, ties, NaN, every axis, gradients."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import grad
from grad.dtype import ALL_DTYPES, DType, dtypes
from grad.errors import ArgumentError, AxisError, ShapeError
from grad.tensor import Tensor

Array = np.ndarray[Any, Any]
SHAPES = ((), (1,), (7,), (4, 9), (3, 5, 2), (0,), (3, 0))


def values(dtype: DType, shape: tuple[int, ...], seed: int = 0) -> Array:
    """Few different numbers, so that many are equal; among floats NaN, infinity and both zeros."""
    random = np.random.default_rng(seed)
    if dtype.kind == "b":
        return random.random(shape) < 0.5
    array = random.integers(0 if dtype.kind == "u" else -3, 4, shape).astype(dtype.numpy)
    if dtype.kind == "f":
        special = np.array([math.nan, math.inf, -math.inf, -0.0, 0.0, 0.5], dtype.numpy)
        array = np.where(random.random(shape) < 0.4, random.choice(special, shape), array)
    return np.asarray(array, dtype.numpy)


def order(array: Array, axis: int, descending: bool = False) -> Array:
    """Positions in order; NaN is the largest, and equal elements keep their order."""
    if not array.ndim:
        return np.zeros((), np.int64)
    wide = array.astype(np.float64) if array.dtype.kind not in "iu" else array
    if not descending:
        return np.argsort(wide, axis, kind="stable")
    backwards = np.argsort(np.flip(wide, axis), axis, kind="stable")
    return np.flip(array.shape[axis] - 1 - backwards, axis)


def at(array: Array, positions: Array, axis: int) -> Array:
    return np.take_along_axis(array, positions, axis) if array.ndim else array


def assert_same(actual: Tensor, expected: Array) -> None:
    """Equal, shape and all; bfloat16 has NaNs that NumPy does not take for equal."""
    wide = np.float64 if actual.dtype.kind == "f" else expected.dtype
    np.testing.assert_array_equal(actual.numpy().astype(wide), expected.astype(wide), strict=True)


@pytest.mark.parametrize("dtype", ALL_DTYPES, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("descending", [False, True])
def test_sort(dtype: DType, descending: bool) -> None:
    for shape in SHAPES:
        array = values(dtype, shape, len(shape))
        x = grad.tensor(array, dtype=dtype)
        for axis in range(-max(len(shape), 1), max(len(shape), 1)):
            found = x.sort(axis, descending)
            expected = order(array, axis, descending)
            np.testing.assert_array_equal(found.indices.numpy(), expected)
            assert_same(found.values, at(array, expected, axis))
            assert found.values.dtype is dtype and found.indices.dtype is dtypes.int64
            again = grad.argsort(x, dim=axis, descending=descending, stable=True)
            np.testing.assert_array_equal(again.numpy(), expected)


@pytest.mark.parametrize("dtype", [dtypes.int64, dtypes.uint64, dtypes.float64, dtypes.uint32])
def test_sort_of_numbers_that_are_far_apart(dtype: DType) -> None:
    random = np.random.default_rng(1)
    if dtype.kind == "f":
        array = random.standard_normal((5, 300)) * 10.0 ** random.integers(-300, 300, (5, 300))
    else:
        limits = np.iinfo(dtype.numpy)
        array = random.integers(limits.min, limits.max, (5, 300), dtype.numpy, endpoint=True)
        array[:, :2] = limits.min, limits.max
    array[:, 100:200] = array[:, :100]
    for descending in (False, True):
        found = grad.tensor(array).sort(1, descending)
        np.testing.assert_array_equal(found.indices.numpy(), order(array, 1, descending))


def test_sort_reads_views_and_takes_numpy_names() -> None:
    array = values(dtypes.float32, (6, 8))
    x = grad.tensor(array).T[::2, 1:]
    expected = order(array.T[::2, 1:], 0)
    np.testing.assert_array_equal(x.argsort(axis=0).numpy(), expected)
    np.testing.assert_array_equal(grad.msort(x).numpy(), at(array.T[::2, 1:], expected, 0))


@pytest.mark.parametrize("dtype", ALL_DTYPES, ids=lambda dtype: dtype.name)
@pytest.mark.parametrize("largest", [False, True])
def test_topk(dtype: DType, largest: bool) -> None:
    for shape in ((9,), (4, 9), (3, 5, 2), (3, 0)):
        array = values(dtype, shape, 3)
        x = grad.tensor(array, dtype=dtype)
        for axis in range(len(shape)):
            expected = order(array, axis, largest)
            for k in {0, min(1, shape[axis]), shape[axis] // 2, shape[axis]}:
                found = x.topk(k, axis, largest)
                first = np.take(expected, range(k), axis)
                np.testing.assert_array_equal(found.indices.numpy(), first)
                assert_same(found.values, at(array, first, axis))
                anyhow = x.topk(k, axis, largest, sorted=False).indices.numpy()
                np.testing.assert_array_equal(np.sort(anyhow, axis), np.sort(first, axis))


@pytest.mark.parametrize("dtype", [dtypes.float32, dtypes.float64, dtypes.bfloat16, dtypes.int64])
def test_ranks(dtype: DType) -> None:
    for shape in ((9,), (4, 8), (3, 5, 2)):
        array = values(dtype, shape, 5)
        x = grad.tensor(array, dtype=dtype)
        for axis in range(len(shape)):
            inside = at(array, order(array, axis), axis)
            size = shape[axis]
            for k in (1, 2, size):
                found = x.kthvalue(k, axis)
                assert_same(found.values, np.take(inside, k - 1, axis))
                position = np.expand_dims(found.indices.numpy(), axis)
                picked = np.take_along_axis(array, position, axis)
                assert_same(found.values, np.squeeze(picked, axis))
            middle = np.take(inside, (size - 1) // 2, axis)
            numbers = (array == array).sum(axis, keepdims=True)
            whole = np.squeeze(numbers == size, axis)
            expected = np.where(whole, middle, np.nan) if dtype.kind == "f" else middle
            assert_same(x.median(axis).values, expected)
            ranks = np.maximum((numbers - 1) // 2, 0)
            expected = np.take_along_axis(inside, ranks, axis)
            found = x.nanmedian(axis, keepdim=True)
            assert_same(found.values, expected)
        assert (
            x.nanmedian().numpy()
            == np.sort(array[array == array], axis=None)[((array == array).sum() - 1) // 2]
        )


def test_mode_is_the_smallest_of_the_most_frequent_and_its_last_index() -> None:
    x = grad.tensor([[2, 1, 2, 1, 0], [5, 5, 5, 1, 1], [3, 2, 1, 0, 4]])
    found = x.mode()
    assert found.values.tolist() == [1, 5, 0] and found.indices.tolist() == [3, 2, 3]
    random = np.random.default_rng(0).integers(0, 4, (6, 20))
    for axis in (0, 1):
        found = grad.mode(grad.tensor(random), axis, keepdim=True)
        for line, value, index in zip(
            np.moveaxis(random, axis, -1),
            found.values.numpy().reshape(-1),
            found.indices.numpy().reshape(-1),
            strict=True,
        ):
            numbers, counts = np.unique(line, return_counts=True)
            assert value == numbers[counts.argmax()]
            assert index == np.flatnonzero(line == value).max()


def test_gradients_go_where_the_values_came_from() -> None:
    array = np.random.default_rng(2).permutation(24).reshape(4, 6).astype(np.float64)
    functions = {
        "sort": lambda x: x.sort(0, True).values,
        "topk": lambda x: x.topk(2, 1).values,
        "kthvalue": lambda x: x.kthvalue(3, 1, True).values,
        "median": lambda x: x.median(),
        "median of lines": lambda x: x.median(1).values,
        "nanmedian": lambda x: x.nanmedian(0).values,
        "mode": lambda x: x.mode(1).values,
        "quantile": lambda x: x.quantile(grad.tensor([0.1, 0.55], dtype=grad.float64), 1),
    }
    for name, function in functions.items():
        x = grad.tensor(array, requires_grad=True)
        assert grad.gradcheck(function, (x,)), name
        assert grad.gradgradcheck(lambda x, f=function: f(x) ** 2, (x,)), name


@pytest.mark.parametrize(
    "choose",
    [
        lambda x: x.median(-1).values,
        lambda x: x.nanmedian(-1).values,
        lambda x: x.mode(-1).values,
        lambda x: x.kthvalue(2, -1, True).values,
        lambda x: x.topk(2, -1).values,
        lambda x: x.sort(-1).values,
        lambda x: x.median(),
        lambda x: x.nanmedian(),
    ],
)
def test_what_is_chosen_of_nothing_has_a_history(choose: Any) -> None:
    for _ in range(3):
        x = grad.zeros(0, 3, requires_grad=True)
        found = choose(x)
        assert found.requires_grad and found.is_contiguous()
        found.sum().backward()
        assert x.grad.shape == (0, 3)


def test_everything_stays_lazy_and_replays() -> None:
    x = grad.randn(50, 20)
    for result in (x.sort().values, x.topk(3).indices, x.median(1).values, x.quantile(0.5, 1)):
        assert not result.node.is_realized

    @grad.compile
    def function(x: Tensor) -> Tensor:
        return x.sort(1).values[:, :3] + x.topk(3, 1).values + x.median(1, keepdim=True).values

    for array in np.random.default_rng(0).standard_normal((5, 30, 11)).astype(np.float32):
        inside = np.sort(array, 1)
        expected = inside[:, :3] + inside[:, :-4:-1] + inside[:, 5:6]
        np.testing.assert_allclose(function(grad.tensor(array)).numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_share_the_rows(threads: int) -> None:
    array = np.random.default_rng(3).standard_normal((700, 300)).astype(np.float32)
    before = grad.get_num_threads()
    grad.set_num_threads(threads)
    try:
        found = grad.tensor(array).sort(1)
        assert_same(found.values, np.sort(array, 1))
        np.testing.assert_array_equal(found.indices.numpy(), np.argsort(array, 1, kind="stable"))
    finally:
        grad.set_num_threads(before)


def test_errors_are_raised_at_the_call() -> None:
    x = grad.tensor(np.ones((2, 3), np.float32))
    for k in (-1, 4):
        with pytest.raises(ArgumentError, match="out of range"):
            x.topk(k)
    for k in (0, 4):
        with pytest.raises(ArgumentError, match="out of range"):
            x.kthvalue(k)
    with pytest.raises(AxisError):
        x.sort(2)
    with pytest.raises(AxisError):
        grad.zeros(2, 0).median(1)
    with pytest.raises(AxisError):
        grad.zeros(0, 2).mode(0)
    with pytest.raises(ArgumentError, match="range"):
        x.quantile(grad.tensor([0.5, 1.5]))
    with pytest.raises(ShapeError, match="empty"):
        grad.zeros(0).quantile(0.5)
    assert math.isnan(grad.zeros(0).median().item())


@pytest.mark.parametrize("dtype", [dtypes.float32, dtypes.int32, dtypes.uint8, dtypes.bool])
@pytest.mark.parametrize("size", [64, 97, 1003])
def test_few_of_many(dtype: DType, size: int) -> None:
    """Where groups are looked at first; with many that are equal, in groups and out of them."""
    for shape, axis in (((3, size), 1), ((size, 2), 0)):
        array = values(dtype, shape, size)
        x = grad.tensor(array, dtype=dtype)
        for count in (1, 3, size // 16):
            for largest in (False, True):
                found = x.topk(count, axis, largest)
                expected = np.take(order(array, axis, largest), range(count), axis)
                assert_same(found.indices, expected)
                assert_same(found.values, at(array, expected, axis))
