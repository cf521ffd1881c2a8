"""Gradients of reductions where the values themselves are infinite, NaN or too large."""

from __future__ import annotations

import math

import pytest

from grad.tensor import Tensor


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([math.inf, 1.0], [1.0, math.inf]),
        ([math.nan, 1.0], [1.0, math.nan]),
        ([1e30, 1e30], [1e30, 1e30]),
        ([1e-30, 1e-30], [1e-30, 1e-30]),
        ([0.0, 0.0, 2.0], [0.0, 0.0, 0.0]),
    ],
)
def test_gradient_of_prod_is_the_product_of_the_others(
    values: list[float], expected: list[float]
) -> None:
    x = Tensor(values, requires_grad=True)
    x.prod().backward()
    assert x.grad.tolist() == pytest.approx(expected, rel=1e-6, nan_ok=True)


@pytest.mark.parametrize("name", ["amax", "amin"])
def test_a_nan_extremum_takes_the_gradient(name: str) -> None:
    x = Tensor([1.0, math.nan, 2.0], requires_grad=True)
    getattr(x, name)().backward()
    assert x.grad.tolist() == [0.0, 1.0, 0.0]
