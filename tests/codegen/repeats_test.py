"""Loads in which neighbouring lanes read the same element, at the end of memory too."""

from __future__ import annotations

import numpy as np
import pytest

import grad
from grad.dtype import dtypes


@pytest.mark.parametrize("times", [2, 3, 4, 8])
@pytest.mark.parametrize("size", [1, 2, 7, 16, 31, 100])
@pytest.mark.parametrize("dtype", [dtypes.float32, dtypes.float64, dtypes.float16, dtypes.int8])
def test_repeated_columns(times: int, size: int, dtype: grad.dtype) -> None:
    array = np.random.default_rng(0).integers(-50, 50, (5, size)).astype(dtype.numpy)
    columns = grad.tensor(array).reshape(5, size, 1).expand(5, size, times)
    other = np.random.default_rng(1).integers(-50, 50, (5, size * times)).astype(dtype.numpy)
    actual = columns.reshape(5, size * times) + grad.tensor(other)
    np.testing.assert_array_equal(actual.numpy(), np.repeat(array, times, 1) + other)


@pytest.mark.parametrize("before", [0, 1, 3])
@pytest.mark.parametrize("size", [5, 16, 33])
def test_repeated_and_padded(before: int, size: int) -> None:
    array = np.random.default_rng(0).normal(size=(3, size)).astype(np.float32)
    repeated = grad.tensor(array).reshape(3, size, 1).expand(3, size, 2).reshape(3, 2 * size)
    actual = grad.nn.functional.pad(repeated, (before, 3)) * 2
    expected = np.pad(np.repeat(array, 2, 1), ((0, 0), (before, 3))) * 2
    np.testing.assert_array_equal(actual.numpy(), expected)


@pytest.mark.parametrize("size", [3, 4, 7, 16, 64])
@pytest.mark.parametrize("after", [1, 3])
def test_repeated_columns_of_gathered_rows(size: int, after: int) -> None:
    """The row is another one in each lane: columns are repeated, rows are not."""
    random = np.random.default_rng(size)
    array = random.normal(size=(5, size)).astype(np.float32)
    rows = random.integers(0, 5, 9)
    taken = grad.tensor(array).index_select(0, grad.tensor(rows)).unsqueeze(-1)
    padded = grad.nn.functional.pad(taken, (0, after))
    expected = np.pad(array[rows][..., None], ((0, 0), (0, 0), (0, after)))
    np.testing.assert_array_equal(padded.numpy(), expected)
    places = random.integers(0, 5, (4, size * (1 + after)))
    wide = grad.nn.functional.pad(grad.tensor(array).unsqueeze(-1), (0, after)).flatten(-2)
    found = grad.nn.functional.pad(wide.gather(0, grad.tensor(places)), (1, 1))
    flat = np.pad(array[..., None], ((0, 0), (0, 0), (0, after))).reshape(5, -1)
    expected = np.pad(np.take_along_axis(flat, places, 0), ((0, 0), (1, 1)))
    np.testing.assert_array_equal(found.numpy(), expected)


@pytest.mark.parametrize("step", [2, 3, 4])
def test_gradient_of_every_few_columns_from_gathered_rows(step: int) -> None:
    random = np.random.default_rng(step)
    array, rows = random.normal(size=(4, 6)).astype(np.float32), np.array([2, 3, 0, 2])
    x = grad.zeros(4, 6 * step, requires_grad=True)
    x[:, ::step].backward(grad.tensor(array)[grad.tensor(rows)])
    expected = np.zeros((4, 6 * step), np.float32)
    expected[:, ::step] = array[rows]
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), expected)
