"""Steps compile once: no rate, momentum, decay or count makes a new plan, eagerly or in
`grad.compile`; and a compiled step does what the plain one does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grad
from grad import engine, nn, optim
from grad.tensor import Tensor

# For each optimiser settings, and how each number among its settings changes with the step.
RULES: list[tuple[type[optim.Optimizer], dict[str, Any]]] = [
    (optim.SGD, {"lr": 0.1, "momentum": 0.9, "dampening": 0.1, "weight_decay": 0.1}),
    (optim.Adam, {"lr": 0.1, "weight_decay": 0.1, "amsgrad": True}),
    (optim.AdamW, {"lr": 0.1}),
    (optim.Adamax, {"lr": 0.1, "weight_decay": 0.1}),
    (optim.NAdam, {"lr": 0.1, "weight_decay": 0.1}),
    (optim.RAdam, {"lr": 0.1, "betas": (0.8, 0.8)}),
    (optim.RMSprop, {"lr": 0.1, "momentum": 0.9, "centered": True, "weight_decay": 0.1}),
    (optim.Adagrad, {"lr": 0.1, "lr_decay": 0.1}),
    (optim.Adadelta, {"lr": 0.1, "weight_decay": 0.1}),
    (optim.ASGD, {"lr": 0.1, "lambd": 0.1, "t0": 2}),
    (optim.Rprop, {"lr": 0.1}),
    (optim.Adafactor, {"lr": 0.1, "weight_decay": 0.1}),
    (optim.Muon, {"lr": 0.1}),
]
IDS = [kind.__name__ for kind, _ in RULES]
ONE_LAUNCH = [rule for rule in RULES if rule[0] not in (optim.Adafactor, optim.Muon)]


def changed(value: Any, step: int) -> Any:
    """A setting somewhat smaller at each step, unless it is a choice."""
    if isinstance(value, float) and value != 0:
        return value * (1 - 0.01 * step)
    if isinstance(value, tuple) and all(isinstance(part, float) for part in value):
        return tuple([changed(part, step) for part in value])
    return value


class Training:
    """A small network whose optimiser's settings can all change at every step."""

    def __init__(self, kind: Any, settings: dict[str, Any]) -> None:
        grad.manual_seed(1)
        self.net = nn.Sequential(
            nn.Linear(3, 5, bias=False), nn.Tanh(), nn.Linear(5, 2, bias=False)
        )
        self.optimizer = kind(self.net.parameters(), **settings)
        self.first = dict(self.optimizer.param_groups[0])
        self.x = grad.tensor(np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32))

    def step(self) -> Tensor:
        self.optimizer.zero_grad()
        loss = (self.net(self.x) ** 2).mean()
        loss.backward()
        self.optimizer.step()
        return loss

    def change_settings(self, number: int) -> None:
        group = self.optimizer.param_groups[0]
        group.update({n: changed(v, number) for n, v in self.first.items() if n != "params"})


def run(training: Training, step: Callable[[], Tensor], steps: int = 8) -> list[float]:
    losses = []
    for number in range(steps):
        training.change_settings(number)
        losses.append(step().item())
    return losses


@pytest.mark.parametrize(("kind", "settings"), RULES, ids=IDS)
def test_no_change_of_a_number_makes_a_plan(kind, settings):
    training = Training(kind, settings)
    misses = []

    def step() -> Tensor:
        loss = training.step()
        misses.append(engine.cache.misses)
        return loss

    run(training, step)
    assert misses[1:] == [misses[1]] * 7


@pytest.mark.parametrize(("kind", "settings"), RULES, ids=IDS)
def test_a_compiled_step_is_the_plain_one_and_is_recorded_once(kind, settings):
    plain, other = Training(kind, settings), Training(kind, settings)
    compiled = grad.compile(other.step)
    np.testing.assert_allclose(run(other, compiled), run(plain, plain.step), rtol=2e-5)
    assert compiled.recordings == 1
    for mine, its in zip(other.net.parameters(), plain.net.parameters(), strict=True):
        np.testing.assert_allclose(
            mine.detach().numpy(), its.detach().numpy(), rtol=1e-4, atol=1e-5
        )
    mine, its = other.optimizer.state_dict()["state"], plain.optimizer.state_dict()["state"]
    for number, values in its.items():
        for name, value in values.items():
            if value.ndim == 0:  # counts
                assert mine[number][name].item() == pytest.approx(value.item())


@pytest.mark.parametrize(("kind", "settings"), ONE_LAUNCH, ids=[k.__name__ for k, _ in ONE_LAUNCH])
def test_a_step_is_one_launch_for_all_parameters(kind, settings):
    parameters = [nn.Parameter(Tensor.ones(shape)) for shape in ((3, 4), (5,), (2, 2, 2), ())]
    optimizer = kind(parameters, **settings)
    kernels = []
    for _ in range(4):
        for parameter in parameters:
            parameter.grad = Tensor.ones_like(parameter).realize()
        before = engine.cache.kernels
        optimizer.step()
        kernels.append(engine.cache.kernels - before)
    # Adadelta's average of changes is no part of what the parameter is made of.
    launches = 2 if kind is optim.Adadelta else 1
    assert kernels[1:] == [launches] * 3


MOMENTUM_SCHEDULES: dict[str, Callable[[Any], Any]] = {
    "one cycle": lambda o: optim.lr_scheduler.OneCycleLR(o, 0.1, 20),
    "triangles": lambda o: optim.lr_scheduler.CyclicLR(o, 0.01, 0.1, 3),
    "sequential": lambda o: optim.lr_scheduler.SequentialLR(
        o,
        [optim.lr_scheduler.LinearLR(o, 0.5), optim.lr_scheduler.CosineAnnealingLR(o, 8)],
        [4],
    ),
    "chained": lambda o: optim.lr_scheduler.ChainedScheduler(
        [optim.lr_scheduler.ConstantLR(o, 0.5, 3), optim.lr_scheduler.ExponentialLR(o, 0.9)]
    ),
    "restarts": lambda o: optim.lr_scheduler.CosineAnnealingWarmRestarts(o, 3),
    "multiplicative": lambda o: optim.lr_scheduler.MultiplicativeLR(o, lambda epoch: 0.9),
    "average": lambda o: optim.swa_utils.SWALR(o, 0.01, 4),
}


@pytest.mark.parametrize("inside", [True, False], ids=["inside", "outside"])
@pytest.mark.parametrize("name", MOMENTUM_SCHEDULES)
@pytest.mark.parametrize("kind", [optim.SGD, optim.AdamW])
def test_schedules_compile_nothing_inside_or_outside(kind, name, inside):
    settings = {"lr": 0.1, "momentum": 0.9} if kind is optim.SGD else {"lr": 0.1}
    runs = []
    for compile_it in (True, False):
        training = Training(kind, settings)
        scheduler = MOMENTUM_SCHEDULES[name](training.optimizer)

        def step(training=training, scheduler=scheduler) -> Tensor:
            loss = training.step()
            if inside:
                scheduler.step()
            return loss

        function = grad.compile(step) if compile_it else step
        seen = []
        for _ in range(12):
            loss = function().item()
            if not inside:
                scheduler.step()
            seen += [loss, scheduler.get_last_lr()[0]]
        if compile_it:
            assert function.recordings == 1
        runs.append(seen)
    np.testing.assert_allclose(runs[0], runs[1], rtol=2e-5)


def test_a_switch_that_is_turned_on_is_seen():
    plain, other = [Training(optim.SGD, {"lr": 0.1}) for _ in range(2)]
    compiled = grad.compile(other.step)
    for settings in ({}, {}, {}, {"weight_decay": 0.5}, {}, {"momentum": 0.5}, {}, {}, {}):
        for training, step in ((plain, plain.step), (other, compiled)):
            training.optimizer.param_groups[0].update(settings)
            step()
    for mine, its in zip(other.net.parameters(), plain.net.parameters(), strict=True):
        np.testing.assert_allclose(mine.detach().numpy(), its.detach().numpy(), rtol=1e-5)


def test_a_rate_that_is_a_tensor_is_read_at_each_replay():
    runs = []
    for compile_it in (True, False):
        training = Training(optim.Adam, {"lr": Tensor(0.1)})
        rate = training.optimizer.param_groups[0]["lr"]
        step: Any = grad.compile(training.step) if compile_it else training.step
        losses = []
        for number in range(6):
            rate.fill_(0.1 / (number + 1))
            losses.append(step().item())
        if compile_it:
            assert step.recordings == 1
        runs.append(losses)
    np.testing.assert_allclose(runs[0], runs[1], rtol=2e-5)


def test_a_rate_that_the_function_computes_is_right():
    runs = []
    for compile_it in (True, False):
        training = Training(optim.SGD, {"lr": Tensor(0.1)})
        rate = training.optimizer.param_groups[0]["lr"]

        def step(training=training, rate=rate) -> Tensor:
            with grad.no_grad():
                rate.mul_(0.9)
            return training.step()

        function = grad.compile(step) if compile_it else step
        runs.append([function().item() for _ in range(6)])
    np.testing.assert_allclose(runs[0], runs[1], rtol=2e-5)


def test_hooks_are_called_around_compiled_steps():
    training = Training(optim.SGD, {"lr": 0.1})
    compiled = grad.compile(training.step)
    for _ in range(3):
        compiled()
    seen = []
    training.optimizer.register_step_post_hook(lambda *given: seen.append(given))
    for _ in range(3):
        compiled()
    assert len(seen) == 3


def test_lbfgs_makes_no_plan_for_a_longer_history():
    parameter = nn.Parameter(Tensor.ones(6))
    scale = grad.arange(6) + 1.0
    optimizer = optim.LBFGS([parameter], lr=0.1, max_iter=1)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (scale * (parameter - 2) ** 2).sum() + (parameter**4).sum()
        loss.backward()
        return loss

    misses = []
    for _ in range(8):
        optimizer.step(closure)
        misses.append(engine.cache.misses)
    assert misses[3:] == [misses[3]] * 5
    assert len(optimizer.state[parameter]["old_dirs"]) == 7


@pytest.mark.parametrize("decay", [None, 0.9])
def test_averages_are_kept_within_a_compiled_step(decay):
    runs = []
    for compile_it in (True, False):
        training = Training(optim.SGD, {"lr": 0.1})
        swa = optim.swa_utils
        average = None if decay is None else swa.get_ema_multi_avg_fn(decay)
        averaged = swa.AveragedModel(training.net, multi_avg_fn=average)

        def step(training=training, averaged=averaged) -> Tensor:
            loss = training.step()
            averaged.update_parameters(training.net)
            return loss

        function = grad.compile(step) if compile_it else step
        for _ in range(6):
            function()
        assert averaged.n_averaged.item() == 6
        if compile_it:
            assert function.recordings == 1
        runs.append([p.detach().numpy() for p in averaged.parameters()])
    for mine, its in zip(*runs, strict=True):
        np.testing.assert_allclose(mine, its, rtol=1e-5)


def _data(optimizer: Any, parameter: Any) -> None:
    parameter.data = grad.tensor([10.0, 20.0])


def _state(optimizer: Any, parameter: Any) -> None:
    optimizer.state[parameter] = {**optimizer.state[parameter]}
    optimizer.state[parameter]["step"] = 1


def _average(optimizer: Any, parameter: Any) -> None:
    optimizer.state[parameter]["exp_avg"] = grad.tensor([5.0, 5.0])


def _step(optimizer: Any, parameter: Any) -> None:
    optimizer.state[parameter]["step"] = 1


def _apart(optimizer: Any, parameter: Any) -> None:
    gradient, parameter.grad = parameter.grad, None
    optimizer.step()  # the others have taken one step more from now on
    parameter.grad = gradient


@pytest.mark.parametrize("change", [_data, _state, _average, _step, _apart])
def test_a_replayed_step_sees_what_became_of_its_state(change: Any) -> None:
    values: list[Any] = []
    for compiled in (False, True):
        parameters = [grad.tensor([1.0, 2.0], requires_grad=True) for _ in range(2)]
        optimizer = grad.optim.Adam(parameters, lr=0.1)
        step = grad.compile(lambda o=optimizer: o.step()) if compiled else optimizer.step
        for number in range(8):
            for parameter in parameters:
                parameter.grad = grad.tensor([1.0 + number, 0.5])
            if number == 5:
                change(optimizer, parameters[0])
            step()
        values.append([parameter.tolist() for parameter in parameters])
    assert values[0] == values[1]


READS: dict[str, Callable[[Any], Any]] = {
    "state": lambda optimizer: next(iter(optimizer.state.values()))["step"],
    "by name": lambda optimizer: next(iter(getattr(optimizer, "st" + "ate").values()))["step"],
    "state dict": lambda optimizer: optimizer.state_dict()["state"][0]["step"],
}


@pytest.mark.filterwarnings("ignore:grad.compile")
@pytest.mark.parametrize("how", READS)
@pytest.mark.parametrize("kind", [optim.Adam, optim.NAdam, optim.ASGD])
def test_a_count_of_steps_that_the_compiled_function_reads(kind: Any, how: str) -> None:
    def step(training: Training) -> Tensor:
        return training.step() * READS[how](training.optimizer)

    losses = []
    for compile_it in (False, True):
        training = Training(kind, {"lr": 0.1})
        function = grad.compile(step) if compile_it else step
        losses.append([function(training).item() for _ in range(40)])
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-5)
