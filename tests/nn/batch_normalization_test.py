"""Batch, instance and group normalisation: derivatives, running statistics, what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import grad
import grad.nn.functional as F
from grad import nn, optim
from grad.dtype import dtypes
from tests.ops.cases import assert_close

Array = np.ndarray[Any, Any]


def _numbers(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(1.0, 2.0, shape)


def _normalised(x: Array, weight: Array, bias: Array, eps: float = 1e-5) -> Array:
    axes = (0, *range(2, x.ndim))
    shape = (-1, *[1] * (x.ndim - 2))
    normal = (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + eps)
    return normal * weight.reshape(shape) + bias.reshape(shape)


@pytest.mark.parametrize("shape", [(7, 3), (5, 3, 11), (4, 3, 9, 7), (2, 3, 3, 5, 2), (2, 3, 8, 8)])
@pytest.mark.parametrize("dtype", [dtypes.float64, dtypes.float32, dtypes.float16])
def test_batch_norm(shape: Any, dtype: Any) -> None:
    x, weight, bias = _numbers(*shape), _numbers(3, seed=1), _numbers(3, seed=2)
    given = [grad.tensor(a).to(dtype) for a in (x, weight, bias)]
    exact = [t.double().numpy() for t in given]
    actual = F.batch_norm(given[0], None, None, given[1], given[2], training=True)
    assert actual.dtype is dtype
    tolerance = {dtypes.float64: 1e-10, dtypes.float32: 1e-5, dtypes.float16: 1e-2}[dtype]
    assert_close(actual, _normalised(*exact), tolerance)


def test_first_and_second_derivatives() -> None:
    arrays = [_numbers(3, 2, 4, 3), _numbers(2, seed=1), _numbers(2, seed=2)]
    ways = [_numbers(*a.shape, seed=5 + n) for n, a in enumerate(arrays)]
    directions = [_numbers(*a.shape, seed=8 + n) for n, a in enumerate(arrays)]

    def gradients(values: list[Array], keep: bool) -> Any:
        leaves = [grad.tensor(v, requires_grad=True) for v in values]
        out = F.batch_norm(leaves[0], None, None, leaves[1], leaves[2], training=True)
        loss = (out * out * out).sum()
        return leaves, loss, grad.autograd.grad(loss, leaves, create_graph=keep)

    def slope(value: Any) -> float:
        moved = [
            value([a + sign * 1e-5 * d for a, d in zip(arrays, directions, strict=True)])
            for sign in (1, -1)
        ]
        return (moved[0] - moved[1]) / 2e-5

    leaves, _, first = gradients(arrays, True)
    along = sum(float((g.detach().numpy() * d).sum()) for g, d in zip(first, directions))
    assert along == pytest.approx(slope(lambda v: gradients(v, False)[1].item()), rel=1e-6)
    total = sum((g * grad.tensor(way)).sum() for g, way in zip(first, ways))
    second = grad.autograd.grad(total, leaves, allow_unused=True)
    along = sum(float((g.numpy() * d).sum()) for g, d in zip(second, directions) if g is not None)

    def weighted(values: list[Array]) -> float:
        found = gradients(values, False)[2]
        return sum(float((g.numpy() * way).sum()) for g, way in zip(found, ways))

    assert along == pytest.approx(slope(weighted), rel=1e-5)


def test_running_statistics_follow_the_batches() -> None:
    layer = nn.BatchNorm2d(3, momentum=0.25)
    mean, variance = np.zeros(3), np.ones(3)
    for step in range(3):
        x = _numbers(4, 3, 5, 6, seed=step).astype(np.float32)
        layer(grad.tensor(x))
        mean += 0.25 * (x.mean((0, 2, 3)) - mean)
        variance += 0.25 * (x.var((0, 2, 3), ddof=1) - variance)
    assert layer.running_mean is not None
    assert layer.running_var is not None
    assert layer.num_batches_tracked is not None
    np.testing.assert_allclose(layer.running_mean.numpy(), mean, rtol=1e-5)
    np.testing.assert_allclose(layer.running_var.numpy(), variance, rtol=1e-5)
    assert layer.num_batches_tracked.item() == 3
    layer.eval()
    x = _numbers(2, 3, 4, 4, seed=9)
    expected = (x - mean.reshape(3, 1, 1)) / np.sqrt(variance.reshape(3, 1, 1) + 1e-5)
    np.testing.assert_allclose(
        layer(grad.tensor(x).float()).detach().numpy(), expected, rtol=1e-4, atol=1e-5
    )
    assert layer.num_batches_tracked.item() == 3


def test_without_momentum_they_are_averages() -> None:
    layer = nn.BatchNorm1d(2, momentum=None)
    batches = [_numbers(5, 2, seed=n).astype(np.float32) for n in range(4)]
    for batch in batches:
        layer(grad.tensor(batch))
    assert layer.running_mean is not None
    expected = np.mean([batch.mean(0) for batch in batches], 0)
    np.testing.assert_allclose(layer.running_mean.numpy(), expected, rtol=1e-5)


def test_statistics_are_computed_with_the_step() -> None:
    """They hold no history back, and asking for them computes nothing."""
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(48, 2))
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        model(grad.randn((4, 1, 6, 6))).square().mean().backward()
        optimizer.step()
        for name, value in model.named_buffers():
            assert value.node.is_realized, name


def test_compiled_steps_keep_the_statistics() -> None:
    def run(compiled: bool) -> list[Array]:
        grad.manual_seed(0)
        model = nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 1))
        optimizer = optim.SGD(model.parameters(), lr=0.1)

        def step(x: Any) -> Any:
            optimizer.zero_grad()
            loss = model(x).square().mean()
            loss.backward()
            optimizer.step()
            return loss

        call = grad.compile(step) if compiled else step
        for seed in range(6):
            call(grad.tensor(_numbers(8, 4, seed=seed).astype(np.float32)))
        return [value.numpy() for value in model.state_dict().values()]

    for actual, expected in zip(run(True), run(False), strict=True):
        np.testing.assert_allclose(actual, expected, rtol=1e-6, atol=1e-7)


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="4D"):
        nn.BatchNorm2d(3)(grad.ones((3, 4, 4)))
    with pytest.raises(ValueError, match="more than 1 value"):
        nn.BatchNorm1d(3)(grad.ones((1, 3)))
    with pytest.raises(RuntimeError, match="running_mean should contain 3"):
        nn.BatchNorm2d(4)(grad.ones((2, 3, 4, 4)))
    with pytest.raises(RuntimeError, match="evaluation mode"):
        F.batch_norm(grad.ones((2, 3)), None, None)
    with pytest.raises(ValueError, match="spatial element"):
        nn.InstanceNorm2d(3)(grad.ones((3, 1, 1)))
    with pytest.raises(RuntimeError, match="num_groups=2"):
        F.group_norm(grad.ones((2, 3, 4)), 2)
    with pytest.raises(ValueError, match="divisible"):
        nn.GroupNorm(2, 3)
