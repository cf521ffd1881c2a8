"""Gradient clipping, and parameters as a vector."""

from __future__ import annotations

import math

import numpy as np
import pytest

import grad
from grad import nn
from grad.nn.utils import (
    clip_grad_norm_,
    clip_grad_value_,
    parameters_to_vector,
    vector_to_parameters,
)
from grad.tensor import Tensor


def parameters() -> list[nn.Parameter]:
    made = [
        nn.Parameter(Tensor.zeros(2)),
        nn.Parameter(Tensor.zeros(1, 2)),
        nn.Parameter(Tensor([0.0])),
    ]
    made[0].grad, made[1].grad = Tensor([3.0, 0.0]), Tensor([[0.0, -4.0]])
    return made


@pytest.mark.parametrize(("order", "norm"), [(2.0, 5.0), (1.0, 7.0), (math.inf, 4.0)])
def test_clip_grad_norm(order, norm):
    given = parameters()
    assert clip_grad_norm_(given, 1.0, order).item() == pytest.approx(norm)
    np.testing.assert_allclose(given[0].grad.numpy(), [3 / norm, 0], rtol=1e-5)
    assert given[2].grad is None
    small = parameters()
    clip_grad_norm_(small, 100.0, order)
    assert small[0].grad.tolist() == [3.0, 0.0]


def test_clip_grad_norm_nonfinite():
    given = parameters()
    given[0].grad = Tensor([math.nan, 0.0])
    with pytest.raises(RuntimeError, match="non-finite"):
        clip_grad_norm_(given, 1.0, error_if_nonfinite=True)
    assert clip_grad_norm_([given[2]], 1.0).item() == 0.0


def test_clip_grad_value():
    given = parameters()
    clip_grad_value_(given, 2.0)
    assert given[1].grad.tolist() == [[0.0, -2.0]]


def test_vector_of_parameters():
    layer = nn.Linear(2, 2)
    vector_to_parameters(grad.arange(6).float(), layer.parameters())
    assert layer.weight.tolist() == [[0.0, 1.0], [2.0, 3.0]] and layer.bias.tolist() == [4.0, 5.0]
    assert parameters_to_vector(layer.parameters()).tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
