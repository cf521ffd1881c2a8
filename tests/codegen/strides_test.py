"""Loads in which neighbouring lanes read elements a few apart; borders_test.py has the ends."""

from __future__ import annotations

import numpy as np
import pytest

import grad
from grad.dtype import dtypes

TYPES = [dtypes.float32, dtypes.float64, dtypes.float16, dtypes.int8, dtypes.int64, dtypes.bool]


@pytest.mark.parametrize("step", [2, 3, 4, 5])
@pytest.mark.parametrize("size", [1, 2, 7, 12, 16, 31, 33, 64, 100, 257])
@pytest.mark.parametrize("dtype", TYPES)
def test_every_few_columns(step: int, size: int, dtype: grad.dtype) -> None:
    random = np.random.default_rng(size)
    array = random.integers(0, 100, (5, step * size)).astype(dtype.numpy)
    other = random.integers(0, 100, (5, size)).astype(dtype.numpy)
    for start in (0, step - 1):
        actual = grad.tensor(array)[:, start::step] == grad.tensor(other)
        np.testing.assert_array_equal(actual.numpy(), array[:, start::step] == other)
        actual = grad.tensor(array)[:, start::step].clone()
        np.testing.assert_array_equal(actual.numpy(), array[:, start::step])


@pytest.mark.parametrize("step", [2, 3, 4])
@pytest.mark.parametrize("before", [0, 1, 5])
def test_every_few_columns_of_what_is_padded(step: int, before: int) -> None:
    array = np.random.default_rng(0).normal(size=(3, 41)).astype(np.float32)
    padded = grad.nn.functional.pad(grad.tensor(array), (before, 7))
    expected = np.pad(array, ((0, 0), (before, 7)))[:, ::step]
    np.testing.assert_array_equal((padded[:, ::step] * 2).numpy(), expected * 2)
