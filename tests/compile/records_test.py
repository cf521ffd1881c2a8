"""Several recordings of one kind of call: modes come and go, gradients are other tensors."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grad
import grad.nn.functional as F
from grad import nn
from grad.compile.compiled import MOST_REPEATED, Compiled

Call = Callable[..., Any]


def network() -> nn.Sequential:
    grad.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.ReLU(), nn.Linear(8, 2))


def batch(seed: int) -> grad.Tensor:
    return grad.tensor(np.random.default_rng(seed).standard_normal((5, 4)).astype(np.float32))


@pytest.fixture(autouse=True)
def no_warning() -> Any:
    """Functions that go on being recorded end with a warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def test_training_and_evaluation_have_a_recording_each() -> None:
    model = network()
    compiled = Compiled(lambda x: model(x))
    for epoch in range(MOST_REPEATED + 3):
        for training in (True, False):
            model.train(training)
            for step in range(3):
                found = compiled(x := batch(step))
                if not training:
                    np.testing.assert_allclose(found.detach(), model(x).detach(), rtol=1e-5)
            assert compiled.recordings == (2 if epoch or not training else 1)


def test_what_never_comes_back_is_not_kept() -> None:
    model = network()
    compiled = Compiled(lambda x: model(x))
    for seed in range(4):
        model[0].weight = nn.Parameter(grad.randn(8, 4) + seed)
        model.eval()
        for _ in range(3):
            found = compiled(batch(0))
        np.testing.assert_allclose(found.detach(), model(batch(0)).detach(), rtol=1e-5)
    (entry,) = compiled._entries.values()
    assert len(entry.records) == 1


def accumulated(compile_it: Call, forget: Call) -> tuple[list[float], Any]:
    """Losses of training with gradients added up over four batches; and the compiled part."""
    model = network().eval()
    optimizer = grad.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def part(x: grad.Tensor) -> grad.Tensor:
        loss = model(x).square().mean() / 4
        loss.backward()
        return loss

    call = compile_it(part)
    losses = []
    for step in range(40):
        losses.append(call(batch(step)).item())
        if step % 4 == 3:
            optimizer.step()
            forget(model, optimizer)
    return losses, call


def set_to_none(model: nn.Sequential, optimizer: grad.optim.SGD) -> None:
    optimizer.zero_grad()


def set_to_zero(model: nn.Sequential, optimizer: grad.optim.SGD) -> None:
    optimizer.zero_grad(set_to_none=False)


def set_to_others(model: nn.Sequential, optimizer: grad.optim.SGD) -> None:
    for parameter in model.parameters():
        parameter.grad = grad.zeros_like(parameter)


def set_to_shared(model: nn.Sequential, optimizer: grad.optim.SGD) -> None:
    """What is added to the one is added to the other."""
    zeros = grad.zeros(8, 4)
    for parameter in model.parameters():
        parameter.grad = zeros if parameter.shape == (8, 4) else grad.zeros_like(parameter)
    model[3].bias.grad = zeros[0, :2]


@pytest.mark.parametrize("forget", [set_to_none, set_to_zero, set_to_others, set_to_shared])
def test_gradients_that_are_added_up(forget: Call) -> None:
    eager, _ = accumulated(lambda function: function, forget)
    compiled, call = accumulated(Compiled, forget)
    np.testing.assert_allclose(compiled, eager, rtol=1e-5)
    if forget is not set_to_shared:
        assert call.recordings <= 2


def test_a_gradient_that_is_an_argument_too() -> None:
    """A replay made for other memory would read it before it is written."""
    weight = nn.Parameter(grad.ones(3))

    def add(x: grad.Tensor) -> grad.Tensor:
        (weight * x).sum().backward()
        return x * 2

    seen = []
    for call in (add, Compiled(add)):
        weight.grad = None
        found = []
        for turn in range(6):
            x = grad.full((3,), float(turn + 1))
            if turn == 4:
                weight.grad = x
            found.append(call(x).tolist())
            assert weight.grad is not None
            found.append(weight.grad.tolist())
        seen.append(found)
    assert seen[0] == seen[1]


def test_a_recording_before_which_much_was_pending() -> None:
    """Losses wait to be computed with whatever is; that of a recording is not to be computed with
    what its function reads.
    """
    weight = nn.Parameter(grad.ones(3, 3))

    def step(x: grad.Tensor) -> grad.Tensor:
        loss = (x @ weight).square().sum()
        loss.backward()
        return loss

    compiled = Compiled(step)
    for _ in range(4):
        compiled(grad.ones(2, 3))  # the gradient is pending when the next call reads it
    assert compiled.recordings == 1
    (entry,) = compiled._entries.values()
    assert entry.records and not entry.hopeless


def step_with(layer: Call) -> tuple[Call, nn.Conv2d]:
    """A training step's forward and backward through `layer`, and its module."""
    grad.manual_seed(0)
    module = nn.Conv2d(2, 2, 1)

    def step(x: grad.Tensor) -> grad.Tensor:
        module.zero_grad()
        loss = layer(module(x)).square().sum()
        loss.backward()
        return loss

    return step, module


TABLES: dict[str, Call] = {
    "bilinear": lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True),
    "antialias": lambda x: F.interpolate(x, size=(3, 3), mode="bilinear", antialias=True),
    "nearest": lambda x: F.interpolate(x, size=(5, 13)),
    "adaptive": lambda x: F.adaptive_avg_pool2d(x, (3, 5)),
    "average": lambda x: F.avg_pool2d(x, 3, 2, padding=1, count_include_pad=False),
}


@pytest.mark.parametrize("name", TABLES)
def test_tables_of_places_and_weights_are_kept(name: str) -> None:
    step, module = step_with(TABLES[name])
    compiled = Compiled(step)
    for size in (8, 8, 8, 7, 7, 7, 8):
        x = grad.randn(2, 2, size, 6)
        loss, found = compiled(x).item(), [p.grad.numpy().copy() for p in module.parameters()]
        np.testing.assert_allclose(loss, step(x).item(), rtol=1e-5)
        for actual, parameter in zip(found, module.parameters()):
            np.testing.assert_allclose(actual, parameter.grad.numpy(), rtol=1e-5, atol=1e-5)
    assert all(entry.records for entry in compiled._entries.values())
    assert compiled.recordings == 2
