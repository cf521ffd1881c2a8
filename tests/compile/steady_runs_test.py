"""Which replays do only what may have changed (`Runner._run_again`), and look at nothing else.

Values are compared elsewhere (in_place_test.py and capture_test.py); here each scenario is also
compared with what it gives uncompiled, so that none is quick and wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grad
from grad import nn, optim
from grad.compile.run import Runner

CALLS = 10
# The first call, the recorded one, and two replays until gradients are those of a replay.
UNTIL_STEADY = 4

Step = Callable[[int], Any]
Scenario = Callable[[Callable[[Any], Any]], Step]


def numbers(*shape: int, seed: int = 0) -> grad.Tensor:
    return grad.tensor(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was called, of the two that take long."""
    called: list[str] = []
    for name in ("_run_anew", "_comparison"):
        monkeypatch.setattr(Runner, name, noted(getattr(Runner, name), name, called))
    return called


def noted(method: Callable[..., Any], name: str, called: list[str]) -> Callable[..., Any]:
    def call(self: Runner, *arguments: Any) -> Any:
        called.append(name)
        return method(self, *arguments)

    return call


def training(
    parameters: list[Any], loss: Callable[..., Any], compile_it: Callable[[Any], Any]
) -> Callable[..., list[Any]]:
    """A compiled step of Adam; it gives the loss and the parameters after it."""
    optimizer = optim.Adam(parameters, lr=0.01)

    @compile_it
    def step(*batch: Any) -> Any:
        optimizer.zero_grad()
        value = loss(*batch)
        value.backward()
        optimizer.step()
        return value.detach()

    return lambda *batch: [step(*batch).item(), *(p.detach().clone() for p in parameters)]


def cross_attention(compile_it: Callable[[Any], Any]) -> Step:
    """Slices of one weight make queries, and keys and values."""
    grad.manual_seed(0)
    layer = nn.MultiheadAttention(8, 2, batch_first=True)

    def loss(x: grad.Tensor, y: grad.Tensor) -> grad.Tensor:
        return layer(x, y, y, need_weights=False)[0].square().mean()

    step = training(list(layer.parameters()), loss, compile_it)
    return lambda n: step(numbers(2, 5, 8, seed=n), numbers(2, 3, 8, seed=n + 50))


def recurrent_layers(compile_it: Callable[[Any], Any]) -> Step:
    """The two biases of a layer have one gradient."""
    grad.manual_seed(0)
    layer = nn.LSTM(6, 4, 2)
    step = training(list(layer.parameters()), lambda x: layer(x)[0].square().mean(), compile_it)
    return lambda n: step(numbers(5, 3, 6, seed=n))


def values_that_trade_places(compile_it: Callable[[Any], Any]) -> Step:
    """Neither can be stored where it is: the other one is made of what is there."""
    a, b = numbers(4, 4), numbers(4, 4, seed=1)

    @compile_it
    def step(x: grad.Tensor) -> grad.Tensor:
        before = a @ x
        a.copy_(b.T * 0.9)
        b.copy_(before)
        return a.sum() + b.mean()

    return lambda n: [step(numbers(4, 4, seed=n)), a.clone(), b.clone()]


def gradients_dropped_at_the_end(compile_it: Callable[[Any], Any]) -> Step:
    weight = numbers(3, 2).requires_grad_()
    optimizer = optim.SGD([weight], lr=0.1, momentum=0.9)

    @compile_it
    def step(x: grad.Tensor) -> grad.Tensor:
        loss = (x @ weight).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.detach()

    return lambda n: [step(numbers(4, 3, seed=n)), weight.detach().clone()]


def some_gradients_dropped(compile_it: Callable[[Any], Any]) -> Step:
    first, second = numbers(3, 2).requires_grad_(), numbers(2, 2, seed=1).requires_grad_()

    @compile_it
    def step(x: grad.Tensor) -> grad.Tensor:
        first.grad = second.grad = None
        loss = (x @ first @ second).square().mean()
        loss.backward()
        assert first.grad is not None
        kept = first.grad.norm()
        first.grad = None
        return kept

    def seen(n: int) -> list[Any]:
        norm = step(numbers(4, 3, seed=n))
        assert first.grad is None and second.grad is not None
        return [norm, second.grad.clone()]

    return seen


def values_that_are_set_between(compile_it: Callable[[Any], Any]) -> Step:
    """They are only read: by a view, too."""
    scale, rows = grad.ones(()), numbers(6, 4)
    total = numbers(4)

    @compile_it
    def step(x: grad.Tensor) -> grad.Tensor:
        total.add_(x * scale + rows[1:3].sum(0))
        return total * 2

    def seen(n: int) -> list[Any]:
        result = step(numbers(4, seed=n))
        scale.fill_(n / 10)
        rows[n % 6] = n
        return [result, total.clone()]

    return seen


SCENARIOS = [
    values_that_are_set_between,
    cross_attention,
    recurrent_layers,
    values_that_trade_places,
    gradients_dropped_at_the_end,
    some_gradients_dropped,
]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_runs_look_at_everything_only_at_first(scenario: Scenario, looks: list[str]) -> None:
    def as_it_is(function: Any) -> Any:
        return function

    uncompiled, compiled = scenario(as_it_is), scenario(grad.compile)
    for n in range(CALLS):
        for got, wanted in zip(compiled(n), uncompiled(n), strict=True):
            np.testing.assert_allclose(np.array(got), np.array(wanted), rtol=2e-4, atol=2e-5)
        if n + 1 == UNTIL_STEADY:
            assert "_comparison" in looks, "no run wrote down what it found"
            looks.clear()
    assert looks == []


def test_gradients_that_are_one_value_are_apart_once_one_is_changed() -> None:
    """Before the next step, and so that the next step does not write over it."""
    first, second = numbers(3).requires_grad_(), numbers(3, seed=1).requires_grad_()

    def loss(x: grad.Tensor) -> grad.Tensor:
        return (x + first + second).square().mean()

    @grad.compile
    def step(x: grad.Tensor) -> grad.Tensor:
        first.grad = second.grad = None
        value = loss(x)
        value.backward()
        return value

    for n in range(CALLS):
        x = numbers(4, 3, seed=n)
        step(x)
        wanted = ((x + first + second) * 2 / 12).sum(0).detach().numpy()
        np.testing.assert_allclose(second.grad.numpy(), wanted, rtol=1e-5)
        if n % 3 == 2:
            first.grad.mul_(2)
            held = second.grad
            np.testing.assert_allclose(first.grad.numpy(), 2 * wanted, rtol=1e-5)
            step(numbers(4, 3, seed=100))
            np.testing.assert_allclose(held.numpy(), wanted, rtol=1e-5)


def test_what_is_never_found_again_is_written_down_ever_more_seldom(looks: list[str]) -> None:
    """Who writes to a parameter after each step makes the next one look at everything."""
    weight = numbers(8)

    @grad.compile
    def step(x: grad.Tensor) -> None:
        weight.add_(x)

    wanted = weight.numpy().copy()
    for n in range(100):
        x = numbers(8, seed=n)
        step(x)
        weight.clamp_(-2, 2)
        wanted = np.clip(wanted + x.numpy(), -2, 2)
    assert looks.count("_run_anew") > 90
    assert looks.count("_comparison") < 10
    np.testing.assert_allclose(weight.numpy(), wanted, rtol=1e-4, atol=1e-4)
