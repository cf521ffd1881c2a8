"""Loads in which some neighbouring lanes read elements in a row: axes that are joined, not beside
each other. strides_test.py and repeats_test.py have other ways along the lanes.
"""

from __future__ import annotations

import numpy as np
import pytest

import grad
from grad.dtype import dtypes

TYPES = [dtypes.float32, dtypes.float64, dtypes.float16, dtypes.int8, dtypes.int64]


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("heads", [1, 3, 5])
@pytest.mark.parametrize("size", [1, 2, 4, 6, 8, 12, 16, 24, 32, 48, 100])
def test_heads_put_together(dtype: grad.dtype, heads: int, size: int) -> None:
    """As rows, beside others, padded, cut, and where a condition holds."""
    random = np.random.default_rng(size)
    array = random.integers(-99, 99, (2, heads, 3, size)).astype(dtype.numpy)
    joined = array.transpose(0, 2, 1, 3).reshape(2, 3, heads * size)
    x = grad.tensor(array).transpose(1, 2).reshape(2, 3, heads * size)
    np.testing.assert_array_equal((x + x).numpy(), joined + joined)
    beside = np.concatenate([joined, joined[..., 1:], joined], -1)
    np.testing.assert_array_equal(grad.cat([x, x[..., 1:], x], -1).numpy(), beside)
    padded = np.pad(joined, ((0, 0), (0, 0), (3, 5)))
    np.testing.assert_array_equal(grad.nn.functional.pad(x, (3, 5)).numpy(), padded)
    zero = np.zeros((), dtype.numpy)
    np.testing.assert_array_equal(
        grad.where(x > 0, x, grad.tensor(zero)).numpy(), np.where(joined > 0, joined, zero)
    )


def test_every_joining_of_permuted_axes() -> None:
    random = np.random.default_rng(0)
    for _ in range(100):
        shape = [int(n) for n in random.integers(1, 9, random.integers(3, 6))]
        shape[-1] *= int(random.choice([1, 2, 4, 8, 16]))
        order = [*(int(n) for n in random.permutation(len(shape) - 1)), len(shape) - 1]
        array = random.normal(size=shape).astype(np.float32)
        kept = int(random.integers(0, len(shape) - 1))
        expected = array.transpose(order)
        new = (*expected.shape[:kept], -1)
        actual = grad.tensor(array).permute(*order).reshape(*new)
        np.testing.assert_array_equal((actual * 2).numpy(), expected.reshape(new) * 2)


def test_runs_are_loaded_as_rows() -> None:
    """No lane has an address of its own."""

    def joined(x: grad.Tensor) -> grad.Tensor:
        return grad.cat([x.transpose(1, 2).reshape(12, 64, 128), grad.zeros(12, 64, 1)], -1)

    (kernel,) = grad.explain(joined, grad.ones(12, 4, 64, 32)).kernels
    assert "gather" not in kernel.llvm
    (kernel,) = grad.explain(joined, grad.ones(12, 64, 64, 2)).kernels
    assert "gather" in kernel.llvm
