"""Adding to rows by index: in the order of the index, on any number of threads."""

from __future__ import annotations

import numpy as np
import pytest

import grad
from grad.kernel.ir import Loop, statements
from grad.runtime.cpu.threads import get_num_threads, set_num_threads
from tests.kernel.lower_test import kernels


@pytest.mark.parametrize("rows", [1, 3, 4, 5, 1001])
@pytest.mark.parametrize("width", [1, 15, 16, 100, 256, 257])
def test_values(rows: int, width: int) -> None:
    random = np.random.default_rng(rows * width)
    index = random.integers(0, rows, 5000)
    values = random.integers(-5, 6, (5000, width)).astype(np.float32)
    base = random.integers(-5, 6, (rows, width)).astype(np.float32)
    expected = base.copy()
    np.add.at(expected, index, values)
    x = grad.tensor(base)
    np.testing.assert_array_equal(
        x.index_add(0, grad.tensor(index), grad.tensor(values)).numpy(), expected
    )
    written = base.copy()
    for row, value in zip(index, values, strict=True):
        written[row] = value
    x[grad.tensor(index)] = grad.tensor(values)
    np.testing.assert_array_equal(x.numpy(), written)


@pytest.mark.parametrize("dtype", [grad.uint8, grad.int32, grad.int64])
def test_index_types(dtype: grad.dtype) -> None:
    index = np.random.default_rng(0).integers(0, 250, 4000)
    values = np.random.default_rng(1).integers(-5, 6, (4000, 64)).astype(np.float32)
    expected = np.zeros((250, 64), np.float32)
    np.add.at(expected, index, values)
    x = grad.zeros(250, 64).index_add(0, grad.tensor(index).to(dtype), grad.tensor(values))
    np.testing.assert_array_equal(x.numpy(), expected)


def test_columns_are_shared_and_the_bits_are_the_same_on_any_number_of_threads() -> None:
    random = np.random.default_rng(3)
    index = grad.tensor(random.integers(0, 50, 3000))
    values = grad.tensor(random.standard_normal((3000, 256)).astype(np.float32))
    summed = grad.zeros(50, 256).index_add(0, index, values)
    (kernel,) = kernels(summed.node)
    loops = [s for s, _ in statements(kernel) if isinstance(s, Loop) and s.parallel]
    assert loops[-1].variable.size == 4
    before = get_num_threads()
    found = set()
    for threads in (1, 2, 3, 8):
        set_num_threads(threads)
        found.add(grad.zeros(50, 256).index_add(0, index, values).numpy().tobytes())
    set_num_threads(before)
    assert len(found) == 1
