"""Tensors on the memory of something else."""

from __future__ import annotations

import numpy as np
import pytest

import grad
from grad.errors import ArgumentError


def test_buffers_are_shared() -> None:
    memory = bytearray(8)
    x = grad.frombuffer(memory, dtype=grad.int16, count=2, offset=2)
    x[0] = 258
    assert list(memory) == [0, 0, 2, 1, 0, 0, 0, 0] and x.shape == (2,)
    assert grad.frombuffer(b"\x01\x02", dtype=grad.uint8).add_(1).tolist() == [2, 3]
    for size, dtype in ((0, grad.int8), (3, grad.int16)):
        with pytest.raises(ArgumentError):
            grad.frombuffer(bytearray(size), dtype=dtype)


def test_asarray() -> None:
    array = np.zeros(2)
    grad.asarray(array)[0] = 5
    assert array.tolist() == [5, 0]
    grad.asarray(array, copy=True)[0] = 7
    assert array.tolist() == [5, 0]
    x = grad.ones(2)
    grad.asarray(x).mul_(3)
    assert x.tolist() == [3, 3]
    assert grad.asarray([1, 2], dtype=grad.float32, requires_grad=True).requires_grad
    assert grad.asarray(x, dtype=grad.float64).dtype is grad.float64
    for source in ([1.0], grad.ones(1, dtype=grad.int32)):
        with pytest.raises(ValueError):
            grad.asarray(source, dtype=grad.float32, copy=False)


def test_functional_forms() -> None:
    assert grad.func.functionalize(grad.sin) is grad.sin
    module = grad.nn.Sequential(grad.nn.BatchNorm1d(3), grad.nn.Linear(3, 2))
    assert grad.func.replace_all_batch_norm_modules_(module) is module
    assert module[0].running_mean is None and module(grad.randn(4, 3)).shape == (4, 2)


@pytest.mark.parametrize("size", [1, 3, 4])
def test_cross_map_norm(size: int) -> None:
    x = np.random.default_rng(0).normal(size=(2, 5, 2, 2))
    found = grad.nn.CrossMapLRN2d(size, 0.5, 0.75, 2.0)(grad.tensor(x)).numpy()
    reach = (size - 1) // 2
    for channel in range(5):
        near = x[:, max(channel - reach, 0) : channel + reach + 1]
        scale = (2 + 0.5 / size * (near**2).sum(1)) ** 0.75
        np.testing.assert_allclose(found[:, channel], x[:, channel] / scale)
