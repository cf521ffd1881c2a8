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
