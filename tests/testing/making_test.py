"""`grad.testing.make_tensor` keeps to the range, the type and the layout that it is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import grad
from grad.dtype import ALL_DTYPES, DType
from grad.testing import make_tensor


@pytest.mark.parametrize("dtype", ALL_DTYPES, ids=lambda dtype: dtype.name)
def test_ranges_of_types(dtype: DType) -> None:
    x = make_tensor(50, 40, dtype=dtype)
    values = np.asarray(x.tolist())
    low, high = {"b": (0, 1), "u": (0, 9), "i": (-9, 9), "f": (-9, 9)}[dtype.kind]
    assert x.dtype is dtype and x.shape == (50, 40)
    assert values.min() >= low and values.max() <= high
    assert values.min() < low + 1 and values.max() > high - 1 - (dtype.kind == "b")


def test_given_ranges() -> None:
    x = make_tensor((1000,), dtype=grad.float32, low=0.25, high=0.75)
    assert 0.25 <= x.min().item() < x.max().item() < 0.75
    assert set(make_tensor(100, dtype=grad.int8, low=1.5, high=3.5).tolist()) == {2, 3}
    assert set(make_tensor(100, dtype=grad.int8, low=126, high=1000).tolist()) == {126, 127}
    wide = make_tensor(100, dtype=grad.float16, low=-1e9, high=1e9)
    assert bool(wide.isfinite().all()) and wide.abs().max().item() > 1e4


def test_layouts_and_gradients() -> None:
    x = make_tensor((3, 4), dtype=grad.float32, noncontiguous=True, requires_grad=True)
    assert x.stride() == (8, 2) and x.requires_grad and x.is_leaf
    assert make_tensor(1, dtype=grad.float32, noncontiguous=True).is_contiguous()
    y = make_tensor((2, 3, 4, 5), dtype=grad.float32, memory_format=grad.channels_last)
    assert y.is_contiguous(memory_format=grad.channels_last)


@pytest.mark.parametrize("dtype", [grad.bool, grad.int64, grad.float16])
def test_zeros_are_replaced(dtype: DType) -> None:
    assert bool((make_tensor(200, dtype=dtype, exclude_zero=True) != 0).all())


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "an empty range": ({"low": 2, "high": 1}, "less than"),
    "NaN": ({"low": float("nan")}, "NaN"),
    "a range outside the type": ({"dtype": grad.uint8, "low": 300, "high": 301}, "only supports"),
    "gradients of integers": ({"dtype": grad.int32, "requires_grad": True}, "not supported"),
    "two layouts": (
        {"noncontiguous": True, "memory_format": grad.channels_last},
        "mutually exclusive",
    ),
}


@pytest.mark.parametrize(("options", "message"), REFUSED.values(), ids=list(REFUSED))
def test_it_refuses(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_tensor(2, 3, **{"dtype": grad.float32, **options})
