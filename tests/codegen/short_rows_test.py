"""Rows so short that vectors of them are written out, their masks constants: nothing beside them
is written, whatever is left over and however the value is made narrower.
"""

from __future__ import annotations

import numpy as np
import pytest

import grad
from grad.dtype import dtypes

CASTS = [
    (dtypes.int64, dtypes.int16),
    (dtypes.int64, dtypes.int8),
    (dtypes.int64, dtypes.int32),
    (dtypes.int32, dtypes.uint8),
    (dtypes.int8, dtypes.int64),
    (dtypes.float64, dtypes.float32),
    (dtypes.float32, dtypes.float16),
    (dtypes.float16, dtypes.float64),
    (dtypes.float32, dtypes.int8),
    (dtypes.int64, dtypes.bool),
]


@pytest.mark.parametrize("size", [1, 2, 3, 8, 9, 15, 16, 17, 31, 33, 34, 63, 65, 97])
@pytest.mark.parametrize(("source", "target"), CASTS)
def test_columns_of_a_larger_tensor(source: grad.dtype, target: grad.dtype, size: int) -> None:
    array = np.random.default_rng(size).integers(-9, 99, (4, size)).astype(source.numpy)
    for order in (1, -1):
        whole = grad.ones(4, size + 20, dtype=target)
        x = grad.tensor(array)
        whole[:, 5 : 5 + size] = (x if order == 1 else x.flip(1)).to(target)
        expected = np.ones((4, size + 20), target.numpy)
        expected[:, 5 : 5 + size] = array[:, ::order].astype(target.numpy)
        np.testing.assert_array_equal(whole.numpy(), expected)


@pytest.mark.parametrize("size", [1, 9, 17, 26, 33, 40])
@pytest.mark.parametrize("before", [0, 1, 16, 17])
def test_guards_in_what_is_written_out(size: int, before: int) -> None:
    array = np.random.default_rng(0).integers(-9, 99, (7, size))
    padded = grad.nn.functional.pad(grad.tensor(array), (before, 3)).to(dtypes.int16)
    expected = np.pad(array, ((0, 0), (before, 3))).astype(np.int16)
    np.testing.assert_array_equal((padded * 2).numpy(), expected * 2)
    rolled = grad.tensor(array).roll(before, 1).to(dtypes.int8)
    np.testing.assert_array_equal(rolled.numpy(), np.roll(array, before, 1).astype(np.int8))


@pytest.mark.parametrize("size", [9, 17, 33, 34, 65])
@pytest.mark.parametrize(("source", "target"), CASTS)
def test_rows_that_are_written_side_by_side(
    source: grad.dtype, target: grad.dtype, size: int
) -> None:
    array = np.random.default_rng(size).integers(0, 40, (3, 3, size)).astype(source.numpy)
    x = grad.tensor(array)
    larger = grad.maximum(x, x.sum(1, keepdim=True).to(source))
    actual = (x + larger.sum(1, keepdim=True).to(source)).to(target)
    larger = np.maximum(array, array.sum(1, keepdims=True).astype(source.numpy))
    expected = (array + larger.sum(1, keepdims=True).astype(source.numpy)).astype(target.numpy)
    if source.kind != "f":
        np.testing.assert_array_equal(actual.numpy(), expected)
    else:
        np.testing.assert_allclose(actual.numpy(), expected, 1e-2)
