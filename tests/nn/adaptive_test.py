"""Likelihoods of many classes: the adaptive softmax, and a linear layer together with its loss."""

from __future__ import annotations

import numpy as np
import pytest

import grad
from grad import nn
from grad.nn import functional as F

RANDOM = np.random.default_rng(0)


def made(**settings):
    grad.manual_seed(1)
    layer = nn.AdaptiveLogSoftmaxWithLoss(12, 40, [6, 15], div_value=2.0, **settings)
    x = grad.tensor(RANDOM.normal(size=(9, 12)).astype(np.float32))
    return layer, x, grad.tensor([0, 5, 6, 14, 15, 39, 2, 20, 7])


def log_probabilities(layer, x):
    """By the definition: a class of a cluster is that of the cluster times that within it."""

    def softmax(scores):
        powers = np.exp(scores - scores.max(1, keepdims=True))
        return powers / powers.sum(1, keepdims=True)

    head = softmax(layer.head(x).detach().numpy().astype(np.float64))
    parts = [head[:, :6]]
    for number, part in enumerate(layer.tail):
        inside = softmax(part(x).detach().numpy().astype(np.float64))
        parts.append(head[:, 6 + number, None] * inside)
    return np.log(np.concatenate(parts, 1))


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("head_bias", [False, True])
def test_values_and_gradients(head_bias, compiled):
    layer, x, target = made(head_bias=head_bias)
    expected = log_probabilities(layer, x)[np.arange(9), target.numpy()]
    call = grad.compile(layer) if compiled else layer
    for _ in range(3):
        layer.zero_grad()
        output, loss = call(x, target)
        loss.backward()
    np.testing.assert_allclose(output.detach().numpy(), expected, rtol=1e-5)
    assert loss.item() == pytest.approx(-expected.mean(), rel=1e-5)
    found = [p.grad.numpy() for p in layer.parameters()]
    layer.zero_grad()
    picked = layer.log_prob(x).gather(1, target.unsqueeze(1))
    (-picked.mean()).backward()
    for gradient, parameter in zip(found, layer.parameters(), strict=True):
        np.testing.assert_allclose(gradient, parameter.grad.numpy(), rtol=1e-4, atol=1e-6)


def test_all_classes():
    layer, x, target = made()
    np.testing.assert_allclose(
        layer.log_prob(x).detach().numpy(), log_probabilities(layer, x), rtol=1e-5, atol=1e-5
    )
    assert layer.predict(x).tolist() == log_probabilities(layer, x).argmax(1).tolist()
    alone, loss = layer(x[4], target[4])
    assert alone.shape == loss.shape == ()
    assert alone.item() == pytest.approx(layer(x, target).output[4].item(), rel=1e-5)


def test_clusters_without_a_sample_get_no_gradient():
    layer, x, _ = made()
    layer(x[:2], grad.tensor([3, 8])).loss.backward()
    used, unused = layer.tail
    assert used[0].weight.grad is not None and unused[0].weight.grad is None


def test_what_is_refused():
    layer, x, target = made()
    for bad in (target + 1, target - 1):
        with pytest.raises(RuntimeError, match=r"\[0, 39\]"):
            layer(x, bad)
    for inputs in ((x[:3], target), (x[0], target), (x, target[0]), (x, target.reshape(3, 3))):
        with pytest.raises(RuntimeError):
            layer(*inputs)
    for cutoffs in ([], [0, 4], [4, 4], [5, 3], [40], [2.5]):
        with pytest.raises(ValueError, match="cutoffs"):
            nn.AdaptiveLogSoftmaxWithLoss(12, 40, cutoffs)


@pytest.mark.parametrize("inner", [(), (3,), (2, 3)])
@pytest.mark.parametrize("bias", [False, True])
def test_linear_cross_entropy(inner, bias):
    loss = nn.LinearCrossEntropyLoss(
        5, 7, out_features=inner, bias=bias, options=nn.LinearCrossEntropyOptions()
    )
    x = grad.tensor(RANDOM.normal(size=(4, 5)).astype(np.float32), requires_grad=True)
    target = grad.tensor(RANDOM.integers(0, 7, (4, *inner)))
    scores = loss.linear(x).reshape((4, 7, *inner))
    assert loss(x, target).item() == pytest.approx(F.cross_entropy(scores, target).item())
    soft = grad.tensor(RANDOM.random((4, 7, *inner)).astype(np.float32))
    assert loss(x, soft).item() == pytest.approx(F.cross_entropy(scores, soft).item())
    loss(x, target).backward()
    assert x.grad.shape == x.shape and loss.linear.weight.grad is not None


def test_linear_cross_entropy_refuses():
    x, weight, target = grad.ones(4, 5), grad.ones(7, 5), grad.zeros(4, dtype=grad.int64)
    bad = [
        (grad.ones(4, 5, 1), weight, target, {}),
        (x, grad.ones(7), target, {}),
        (x, grad.ones(7, 4), target, {}),
        (x, weight, target, {"linear_bias": grad.ones(5)}),
        (x[0], grad.ones(7, 2, 5), target, {}),
        (x, weight, grad.ones(4, 7), {"ignore_index": 3}),
    ]
    for *tensors, settings in bad:
        with pytest.raises(RuntimeError):
            F.linear_cross_entropy(*tensors, **settings)
    for settings in ({"acc_policy": "x"}, {"chunking_method": "x"}, {"batch_chunk_size": 0}):
        with pytest.raises(ValueError, match=r"chunk|policy"):
            nn.LinearCrossEntropyOptions(**settings)
