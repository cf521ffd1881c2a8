"""Layers and initialisations that draw do so by the law they say.

Functions of tensors are in ops/random_statistics_test.py. Seeds are fixed. What was drawn is
refused where it is less likely than `RARE`, and so is a law that is ten percent away.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

import grad
import grad.nn.functional as F
from grad import nn

RARE = 1e-4
COUNT = 20_000
FLOATING = (grad.float16, grad.bfloat16, grad.float32, grad.float64)


def values_of(x: Any) -> np.ndarray:
    return x.detach().double().numpy().ravel()


@pytest.mark.parametrize("kind", FLOATING, ids=str)
@pytest.mark.parametrize(
    "name", ["dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"]
)
def test_dropout(name: str, kind: Any) -> None:
    grad.manual_seed(0)
    x = grad.randn(100, 200, 3, dtype=kind)
    result = getattr(grad, name)(x, 0.3, True)
    alpha = "alpha" in name
    numbers, counts = np.unique(values_of(result), return_counts=True)
    kept = values_of(result).reshape(x.shape) != numbers[counts.argmax()]
    if "feature" in name:
        if kind in (grad.float32, grad.float64):  # a half may come out as what is dropped does
            assert (kept == kept[:, :, :1]).all()
        kept = kept.any(-1)
    assert stats.binomtest(int(kept.sum()), kept.size, 0.7).pvalue > RARE
    assert stats.binomtest(int(kept.sum()), kept.size, 0.75).pvalue < RARE
    if alpha:
        values = values_of(result)
        assert abs(values.mean()) < 0.03 and abs(values.var() - 1) < 0.03
    else:
        chosen = (result != 0) & (x != 0)
        np.testing.assert_allclose(values_of(result[chosen]), values_of(x[chosen]) / 0.7, rtol=1e-2)


@pytest.mark.parametrize(
    ("function", "shape", "mask"),
    [
        (F.dropout, (50, 400), (50, 400)),
        (F.dropout1d, (100, 100, 2), (100, 100, 1)),
        (F.dropout1d, (10_000, 2), (10_000, 1)),
        (F.dropout2d, (100, 100, 2, 2), (100, 100, 1, 1)),
        (F.dropout3d, (100, 100, 2, 1, 2), (100, 100, 1, 1, 1)),
        (F.dropout3d, (10_000, 2, 1, 2), (10_000, 1, 1, 1)),
    ],
)
@pytest.mark.parametrize("inplace", [False, True])
def test_dropout_of_channels(function: Any, shape: Any, mask: Any, inplace: bool) -> None:
    grad.manual_seed(0)
    x = grad.ones(shape)
    result = function(x, 0.25, True, inplace)
    assert (result is x) is inplace
    first = result[tuple(slice(0, size) for size in mask)]
    assert grad.equal(result, first.expand(shape))
    kept = int((first != 0).sum())
    assert stats.binomtest(kept, math.prod(mask), 0.75).pvalue > RARE


def test_slopes_and_choices() -> None:
    grad.manual_seed(0)
    slopes = -values_of(F.rrelu(-grad.ones(COUNT), 0.1, 0.4, training=True))
    assert stats.kstest(slopes, stats.uniform(0.1, 0.3).cdf).pvalue > RARE
    logits = grad.tensor([0.0, 1.0, -1.0, 0.5], dtype=grad.float64)
    chosen = F.gumbel_softmax(logits.expand(COUNT, 4), hard=True).sum(0).numpy()
    assert stats.chisquare(chosen, COUNT * logits.softmax(0).numpy()).pvalue > RARE


OUT, IN = 120, 200
INITIAL = [
    ("uniform_", {"a": -2, "b": 3}, stats.uniform(-2, 5)),
    ("normal_", {"mean": 1, "std": 2}, stats.norm(1, 2)),
    ("trunc_normal_", {"a": -1, "b": 2}, stats.truncnorm(-1, 2)),
    ("trunc_normal_", {"mean": 2, "std": 3, "a": 8, "b": 20}, stats.truncnorm(2, 6, 2, 3)),
    (
        "trunc_normal_",
        {"mean": 2, "std": 3, "a": -20, "b": -10},
        stats.truncnorm(-22 / 3, -4, 2, 3),
    ),
    ("kaiming_uniform_", {"a": 1}, stats.uniform(-math.sqrt(3 / IN), 2 * math.sqrt(3 / IN))),
    (
        "kaiming_normal_",
        {"mode": "fan_out", "nonlinearity": "relu"},
        stats.norm(0, math.sqrt(2 / OUT)),
    ),
    (
        "xavier_uniform_",
        {},
        stats.uniform(-math.sqrt(6 / (IN + OUT)), 2 * math.sqrt(6 / (IN + OUT))),
    ),
    ("xavier_normal_", {"gain": 2}, stats.norm(0, 2 * math.sqrt(2 / (IN + OUT)))),
]


@pytest.mark.parametrize(("name", "options", "law"), INITIAL)
@pytest.mark.parametrize("kind", (grad.float16, grad.float32), ids=str)
def test_initialisations(name: str, options: dict[str, Any], law: Any, kind: Any) -> None:
    grad.manual_seed(0)
    values = values_of(getattr(nn.init, name)(grad.empty(OUT, IN, dtype=kind), **options))
    assert stats.kstest(values, law.cdf).pvalue > RARE
    wrong = values * 1.1
    assert stats.kstest(wrong, law.cdf).pvalue < RARE


def test_sparse_and_orthogonal_initialisation() -> None:
    grad.manual_seed(0)
    sparse = nn.init.sparse_(grad.empty(10, 3000), 0.25, std=2).numpy()
    assert stats.chisquare((sparse == 0).sum(1)).pvalue > RARE  # each row alike
    assert stats.kstest(sparse[sparse != 0], stats.norm(0, 2).cdf).pvalue > RARE
    # The entry of a random rotation of 3 axes is uniform in [-1, 1] (Archimedes).
    entries = [nn.init.orthogonal_(grad.empty(3, 3)).numpy() for _ in range(1000)]
    for row, column in itertools.product(range(3), repeat=2):
        values = np.array([matrix[row, column] for matrix in entries])
        assert stats.kstest(values, stats.uniform(-1, 2).cdf).pvalue > RARE
