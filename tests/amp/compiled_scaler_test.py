"""`GradScaler` in a compiled training step does what it does in a plain one, and is replayed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import grad
from grad import nn, optim

# The factors of the inputs of each step: some make gradients that are not finite.
FACTORS = (np.inf, 1.0, 1.0, np.inf, 1.0, np.nan, np.inf, 1.0, 1.0, 1.0, 1.0, 1.0, np.inf, 1.0)
KINDS: list[tuple[Any, dict[str, Any]]] = [
    (optim.SGD, {"lr": 0.1}),
    (optim.SGD, {"lr": 0.1, "momentum": 0.9}),
    (optim.Adam, {"lr": 0.01, "amsgrad": True}),
    (optim.NAdam, {"lr": 0.01}),
]


class Training:
    """A small network; `outside` says what of the scaler is called outside of the step."""

    def __init__(self, kind: Any, settings: dict[str, Any], outside: str) -> None:
        grad.manual_seed(0)
        self.outside = outside
        self.net = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 1))
        self.optimizer = kind(self.net.parameters(), **settings)
        self.scaler = grad.amp.GradScaler(
            "cpu", init_scale=1024.0, growth_interval=3, growth_factor=2.5
        )

    def step(self, x: Any) -> Any:
        self.optimizer.zero_grad()
        loss = (self.net(x) ** 2).mean()
        self.scaler.scale(loss).backward()
        if self.outside != "unscaling":
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_([*self.net.parameters()], 0.5)
        if self.outside != "step":
            self.scaler.step(self.optimizer)
            if self.outside != "update":
                self.scaler.update()
        return loss

    def after(self) -> None:
        if self.outside == "step":
            self.scaler.step(self.optimizer)
        if self.outside in ("step", "update"):
            self.scaler.update()

    def seen(self) -> list[Any]:
        parameters = [*self.net.parameters()]
        found = [*self.scaler.state_dict().values(), *[p.detach().numpy() for p in parameters]]
        for parameter in parameters:
            for value in self.optimizer.state[parameter].values():
                found.append(value.numpy() if isinstance(value, grad.Tensor) else value)
        return [np.array(value) for value in found]


def batches() -> list[Any]:
    random = np.random.default_rng(0)
    made = [grad.tensor(random.normal(size=(5, 4)).astype(np.float32)) for _ in FACTORS]
    return [x * factor for x, factor in zip(made, FACTORS, strict=True)]


@pytest.mark.parametrize("outside", ["nothing", "unscaling", "step", "update"])
@pytest.mark.parametrize(("kind", "settings"), KINDS)
def test_training(kind: Any, settings: dict[str, Any], outside: str) -> None:
    plain, compiled = [Training(kind, settings, outside) for _ in range(2)]
    step = grad.compile(compiled.step)
    for x in batches():
        np.testing.assert_allclose(step(x).item(), plain.step(x).item(), rtol=1e-5)
        plain.after()
        compiled.after()
        for mine, its in zip(compiled.seen(), plain.seen(), strict=True):
            np.testing.assert_allclose(mine, its, rtol=1e-4, atol=1e-6)
    assert step.recordings <= 2


def test_a_scale_that_the_function_reads_or_has_updated() -> None:
    def step(training: Training, x: Any) -> Any:
        before = training.scaler.get_scale() if training.outside == "reads" else 0.0
        training.step(x)
        training.step(x * 0.5)
        return grad.tensor(before) + training.scaler.get_scale()

    for outside in ("nothing", "reads"):
        plain, compiled = [Training(optim.SGD, {"lr": 0.1}, outside) for _ in range(2)]
        function = grad.compile(step)
        for x in batches():
            assert function(compiled, x).item() == step(plain, x).item()


def test_two_steps_with_one_scaler() -> None:
    def step(training: Training, x: Any) -> None:
        training.step(x)
        training.step(x * 0.5)

    plain, compiled = [Training(optim.Adam, {"lr": 0.1}, "nothing") for _ in range(2)]
    function = grad.compile(step)
    for x in batches():
        step(plain, x)
        function(compiled, x)
        for mine, its in zip(compiled.seen(), plain.seen(), strict=True):
            np.testing.assert_allclose(mine, its, rtol=1e-4, atol=1e-6)


class Descent(optim.Optimizer):
    """A user's own optimiser."""

    def __init__(self, params: Any) -> None:
        super().__init__(params, {})

    @grad.no_grad()
    def step(self, closure: Any = None) -> None:
        for parameter in self.param_groups[0]["params"]:
            parameter.sub_(parameter.grad * 0.1)


def test_an_optimiser_of_the_users() -> None:
    plain, compiled = [Training(lambda p: Descent(p), {}, "nothing") for _ in range(2)]
    step = grad.compile(compiled.step)
    for x in batches():
        plain.step(x)
        step(x)
        for mine, its in zip(compiled.seen(), plain.seen(), strict=True):
            np.testing.assert_allclose(mine, its, rtol=1e-4, atol=1e-6)
