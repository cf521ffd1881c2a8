"""Initialisation: bounds and moments of each distribution."""

from __future__ import annotations

import math

import numpy as np
import pytest

import grad
from grad import nn
from grad.nn import init
from grad.tensor import Tensor

FAN_IN, FAN_OUT = 300, 200


def filled(function, **kwargs) -> np.ndarray:
    grad.manual_seed(0)
    weight = nn.Parameter(Tensor.empty(FAN_OUT, FAN_IN))
    assert function(weight, **kwargs) is weight and weight.is_leaf
    return weight.detach().numpy()


@pytest.mark.parametrize(
    ("function", "kwargs", "bound"),
    [
        (init.uniform_, {"a": -2, "b": 2}, 2.0),
        (init.kaiming_uniform_, {"nonlinearity": "relu"}, math.sqrt(6 / FAN_IN)),
        (init.kaiming_uniform_, {"a": math.sqrt(5)}, 1 / math.sqrt(FAN_IN)),
        (init.kaiming_uniform_, {"mode": "fan_out"}, math.sqrt(6 / FAN_OUT)),
        (init.xavier_uniform_, {"gain": 2.0}, 2 * math.sqrt(6 / (FAN_IN + FAN_OUT))),
    ],
)
def test_uniform(function, kwargs, bound):
    values = filled(function, **kwargs)
    assert 0.999 * bound < abs(values).max() <= bound * (1 + 1e-6)
    assert abs(values.std() * math.sqrt(3) / bound - 1) < 0.01
    assert abs(values.mean()) < 0.02 * bound


@pytest.mark.parametrize(
    ("function", "kwargs", "deviation"),
    [
        (init.normal_, {"std": 3.0}, 3.0),
        (init.kaiming_normal_, {"nonlinearity": "tanh"}, 5 / 3 / math.sqrt(FAN_IN)),
        (init.xavier_normal_, {}, math.sqrt(2 / (FAN_IN + FAN_OUT))),
    ],
)
def test_normal(function, kwargs, deviation):
    values = filled(function, **kwargs)
    assert abs(values.std() / deviation - 1) < 0.01
    assert abs(values.mean()) < 0.02 * deviation


def test_truncated_normal():
    values = filled(init.trunc_normal_, std=1.0, a=-1.0, b=2.0)
    assert values.min() >= -1 and values.max() <= 2
    # Mean of the standard normal restricted to [-1, 2]: (phi(-1) - phi(2)) / (Phi(2) - Phi(-1)).
    assert abs(values.mean() - 0.22956) < 0.01
    with pytest.raises(ValueError, match="trunc_normal_"):
        filled(init.trunc_normal_, a=8.0, b=9.0)


def test_fixed_values():
    assert (filled(init.ones_) == 1).all() and (filled(init.zeros_) == 0).all()
    assert (filled(init.constant_, val=2.5) == 2.5).all()
    np.testing.assert_array_equal(filled(init.eye_), np.eye(FAN_OUT, FAN_IN))


def test_refusals():
    with pytest.raises(ValueError, match="fewer than 2"):
        init.xavier_uniform_(Tensor.zeros(3))
    with pytest.raises(ValueError, match="Mode"):
        init.kaiming_normal_(Tensor.zeros(3, 3), mode="fan")
    with pytest.raises(ValueError, match="nonlinearity"):
        init.calculate_gain("swish")
