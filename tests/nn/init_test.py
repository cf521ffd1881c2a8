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
        filled(init.trunc_normal_, a=40.0, b=41.0)
    with pytest.raises(ValueError, match="above"):
        filled(init.trunc_normal_, a=1.0, b=-1.0)


@pytest.mark.parametrize("side", [-1, 1])
def test_truncated_normal_of_a_tail(side):
    """Beyond 8 deviations the excess is nearly exponential, of mean 0.1227 deviations."""
    bounds = sorted((side * 8.0, side * 30.0))
    excess = filled(init.trunc_normal_, a=bounds[0], b=bounds[1]) * side - 8
    assert excess.min() >= 0
    assert abs(excess.mean() - 0.1227) < 0.002


@pytest.mark.parametrize("shape", [(30, 50), (50, 30), (20, 5, 3, 3)])
def test_orthogonal(shape):
    grad.manual_seed(0)
    weight = Tensor.empty(shape)
    assert init.orthogonal_(weight, gain=2.0) is weight
    matrix = weight.numpy().reshape(shape[0], -1)
    product = matrix @ matrix.T if shape[0] <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(product, 4 * np.eye(len(product)), atol=1e-5)


def test_sparse():
    values = filled(init.sparse_, sparsity=0.33, std=0.5)
    assert ((values == 0).sum(0) == 66).all()
    assert abs(values[values != 0].std() - 0.5) < 0.01
    assert len(np.unique((values == 0).argmax(0))) > 3  # not the same in each column


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("window", [(3,), (3, 5), (1, 3, 3)])
def test_dirac_gives_the_input_back(window, groups):
    weight = init.dirac_(Tensor.empty(4, 3, *window), groups)
    x = Tensor.randn(2, 3 * groups, *(7,) * len(window))
    convolve = getattr(nn.functional, f"conv{len(window)}d")
    result = convolve(x, weight, padding=tuple(size // 2 for size in window), groups=groups)
    each = min(4 // groups, 3)
    for group in range(groups):
        first = group * (4 // groups)
        expected = x[:, 3 * group : 3 * group + each]
        np.testing.assert_allclose(result[:, first : first + each].numpy(), expected.numpy())
    assert weight.sum().item() == groups * each


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
