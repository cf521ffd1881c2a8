"""Every schedule beside PyTorch's: rates and momenta epoch by epoch, saved states, jumps to an
epoch, and warnings.
"""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import pytest

import grad

torch = pytest.importorskip("torch")

EPOCHS = 30


class Square:
    """A function that holds something, so that it is saved."""

    def __init__(self, scale: float) -> None:
        self.scale = scale

    def __call__(self, epoch: float) -> float:
        return self.scale / (1 + epoch) ** 2


def chained(s: Any, o: Any) -> Any:
    return s.ChainedScheduler([s.ConstantLR(o, 0.1, 4), s.ExponentialLR(o, 0.9)], optimizer=o)


def sequential(s: Any, o: Any) -> Any:
    return s.SequentialLR(
        o, [s.ConstantLR(o, 0.1, 4), s.LinearLR(o), s.ExponentialLR(o, 0.9)], milestones=[3, 9]
    )


def nested(s: Any, o: Any) -> Any:
    inner = s.SequentialLR(o, [s.LinearLR(o, 0.5), s.StepLR(o, 2)], milestones=[4])
    return s.SequentialLR(o, [inner, s.CosineAnnealingLR(o, 5)], milestones=[8])


def once(lr_scheduler: Any, optimizer: Any) -> Any:
    return lr_scheduler.OneCycleLR(optimizer, 2.0, epochs=5, steps_per_epoch=7)


CASES: dict[str, Any] = {
    "lambda": lambda s, o: s.LambdaLR(o, lambda e: 0.9**e),
    "lambdas": lambda s, o: s.LambdaLR(o, [Square(2.0), lambda e: 1 / (e + 1)]),
    "multiplicative": lambda s, o: s.MultiplicativeLR(o, [Square(3.0), lambda e: 0.95]),
    "step": lambda s, o: s.StepLR(o, 3, 0.5),
    "multi step": lambda s, o: s.MultiStepLR(o, [5, 2, 5, 9], 0.5),
    "constant": lambda s, o: s.ConstantLR(o, 0.25, 6),
    "linear": lambda s, o: s.LinearLR(o, 0.1, 0.7, 8),
    "exponential": lambda s, o: s.ExponentialLR(o, 0.93),
    "polynomial": lambda s, o: s.PolynomialLR(o, 9, 1.7),
    "cosine": lambda s, o: s.CosineAnnealingLR(o, 7, 0.01),
    "restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 4, 2, 0.01),
    "equal restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 5),
    "triangles": lambda s, o: s.CyclicLR(o, 0.1, 1.0, 4, 6),
    "halving triangles": lambda s, o: s.CyclicLR(o, [0.1, 0.2], [1.0, 3.0], 4, mode="triangular2"),
    "falling triangles": lambda s, o: s.CyclicLR(o, 0.1, 1.0, 4, mode="exp_range", gamma=0.9),
    "own triangles": lambda s, o: s.CyclicLR(o, 0.1, 1.0, 4, scale_fn=Square(5.0)),
    "rates in triangles": lambda s, o: s.CyclicLR(o, 0.1, 1.0, 3, cycle_momentum=False),
    "one cycle": once,
    "three phases": lambda s, o: s.OneCycleLR(
        o, [1.0, 2.0], 40, three_phase=True, anneal_strategy="linear", div_factor=10
    ),
    "chained": chained,
    "sequential": sequential,
    "nested": nested,
    "average": lambda s, o: s.SWALR(o, 0.05, 6),
    "average, straight": lambda s, o: s.SWALR(o, [0.05, 0.1], 6, "linear"),
}
OPTIMIZERS: dict[str, Any] = {
    "SGD": lambda optim, groups: optim.SGD(groups, lr=1.0, momentum=0.9),
    "Adam": lambda optim, groups: optim.Adam(groups, lr=1.0),
}


class Side:
    """An optimiser with a schedule, of one library."""

    def __init__(self, library: Any, make: Any, optimizer: str = "SGD", lr: Any = 0.5) -> None:
        self.library = library
        groups = [
            {"params": [library.nn.Parameter(library.ones(1))]},
            {"params": [library.nn.Parameter(library.ones(1))], "lr": lr},
        ]
        self.optimizer = OPTIMIZERS[optimizer](library.optim, groups)
        swa = library.optim.swa_utils
        self.schedules = library.optim.lr_scheduler
        kept = {name: getattr(self.schedules, name) for name in self.schedules.__all__}
        names = type("Schedules", (), {**kept, "SWALR": swa.SWALR})
        self.scheduler = make(names, self.optimizer)
        self.optimizer.step()

    def numbers(self) -> list[float]:
        groups = self.optimizer.param_groups
        settings = [g["betas"][0] if "betas" in g else g["momentum"] for g in groups]
        rates = [float(rate) for rate in self.scheduler.get_last_lr()]
        return [*rates, *[float(group["lr"]) for group in groups], *settings]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("name", CASES)
def test_every_epoch_is_as_in_pytorch(name, optimizer):
    ours, theirs = [Side(library, CASES[name], optimizer) for library in (grad, torch)]
    for _ in range(EPOCHS):
        np.testing.assert_allclose(ours.numbers(), theirs.numbers(), rtol=1e-12)
        for side in (ours, theirs):
            side.scheduler.step()


@pytest.mark.parametrize("name", CASES)
def test_each_goes_on_from_what_the_other_saved(name):
    sides = [Side(library, CASES[name]) for library in (grad, torch)]
    for side in sides:
        for _ in range(5):
            side.scheduler.step()
    saved = [side.scheduler.state_dict() for side in sides]
    assert saved[0].keys() == saved[1].keys()
    for number, library in enumerate((grad, torch)):
        other = sides[1 - number]
        fresh = Side(library, CASES[name])
        fresh.optimizer.load_state_dict(
            {**fresh.optimizer.state_dict(), "param_groups": _groups(other.optimizer)}
        )
        fresh.scheduler.load_state_dict(copy.deepcopy(saved[1 - number]))
        sides.append(fresh)
    for _ in range(10):
        for side in sides:
            side.scheduler.step()
            np.testing.assert_allclose(side.numbers(), sides[0].numbers(), rtol=1e-12)


def _groups(optimizer: Any) -> list[dict[str, Any]]:
    return copy.deepcopy(optimizer.state_dict()["param_groups"])


@pytest.mark.parametrize(
    "name", ["step", "multi step", "constant", "linear", "exponential", "polynomial", "cosine"]
)
def test_an_epoch_can_be_named(name):
    ours, theirs = [Side(library, CASES[name]) for library in (grad, torch)]
    for epoch in (3, 9, 1, 20):
        for side in (ours, theirs):
            with pytest.warns(UserWarning, match="epoch parameter"):
                side.scheduler.step(epoch)
        np.testing.assert_allclose(ours.numbers(), theirs.numbers(), rtol=1e-12)


def test_restarts_within_an_epoch():
    for name in ("restarts", "equal restarts"):
        ours, theirs = [Side(library, CASES[name]) for library in (grad, torch)]
        for epoch in (0.5, 3.25, 4.0, 13.5, 30, 2):
            for side in (ours, theirs):
                side.scheduler.step(epoch)
            np.testing.assert_allclose(ours.numbers(), theirs.numbers(), rtol=1e-12)
        for side in (ours, theirs):
            side.scheduler.step()
        np.testing.assert_allclose(ours.numbers(), theirs.numbers(), rtol=1e-12)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"mode": "max", "factor": 0.5, "patience": 1, "cooldown": 2},
        {"patience": 2, "threshold": 0.05, "threshold_mode": "abs", "min_lr": [0.2, 0.01]},
        {"mode": "max", "patience": 0, "threshold": 0.1, "factor": 0.7, "eps": 0.05},
    ],
)
def test_plateaus_are_as_in_pytorch(settings):
    sides = [
        Side(library, lambda s, o: s.ReduceLROnPlateau(o, **settings)) for library in (grad, torch)
    ]
    losses = np.random.default_rng(2).normal(size=40).cumsum() * 0.1 + 2
    for number, loss in enumerate(losses):
        for side in sides:
            side.scheduler.step(side.library.tensor(float(loss)))
        np.testing.assert_allclose(sides[0].numbers(), sides[1].numbers(), rtol=1e-12)
        if number == 20:
            states = [side.scheduler.state_dict() for side in sides]
            assert states[0].keys() == states[1].keys()
            for side, state in zip(sides, reversed(states), strict=True):
                side.scheduler.load_state_dict(state)


@pytest.mark.parametrize("name", ["step", "cosine", "sequential", "exponential"])
def test_rates_that_are_tensors_stay_the_same_objects(name):
    sides = []
    for library in (grad, torch):
        rate = library.tensor(0.25, dtype=library.float64)
        side = Side(library, CASES[name], lr=rate)
        for _ in range(6):
            side.scheduler.step()
        assert side.optimizer.param_groups[1]["lr"] is rate
        sides.append(side)
    np.testing.assert_allclose(sides[0].numbers(), sides[1].numbers(), rtol=1e-12)


def test_resuming_by_the_last_epoch():
    for name in ("step", "exponential", "cosine", "linear"):
        sides = [Side(library, CASES[name]) for library in (grad, torch)]
        numbers = []
        for side in sides:
            for _ in range(4):
                side.scheduler.step()
            kind = type(side.scheduler)
            arguments = {"step": (3, 0.5), "exponential": (0.93,), "cosine": (7, 0.01)}
            side.scheduler = kind(side.optimizer, *arguments.get(name, ()), last_epoch=4)
            for _ in range(4):
                side.scheduler.step()
            numbers.append(side.numbers())
        np.testing.assert_allclose(numbers[0], numbers[1], rtol=1e-12)


def _messages(action: Any) -> list[str]:
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        action()
    return [str(warning.message).split(".")[0] for warning in seen]


def test_warnings_are_those_of_pytorch():
    found = []
    for library in (grad, torch):
        optimizer = library.optim.SGD([library.nn.Parameter(library.ones(1))], lr=1.0)
        scheduler = library.optim.lr_scheduler.StepLR(optimizer, 2)
        messages = [_messages(scheduler.step)]  # before the optimiser's
        messages += [_messages(scheduler.step), _messages(scheduler.get_lr)]
        found.append(messages)
    assert found[0] == found[1]
    assert [len(messages) for messages in found[0]] == [1, 0, 1]


@pytest.mark.parametrize(
    "make",
    [
        lambda s, o: s.LinearLR(o, 0.0),
        lambda s, o: s.ConstantLR(o, 2.0),
        lambda s, o: s.LambdaLR(o, [lambda e: 1]),
        lambda s, o: s.MultiplicativeLR(o, 0.5),
        lambda s, o: s.StepLR(None, 1),
        lambda s, o: s.StepLR(o, 1, last_epoch=3),
        lambda s, o: s.SequentialLR(o, [], []),
        lambda s, o: s.SequentialLR(o, [s.StepLR(o, 1)], [1]),
        lambda s, o: s.SequentialLR(o, [s.ReduceLROnPlateau(o), s.StepLR(o, 1)], [1]),
        lambda s, o: s.SequentialLR(o, [3, s.StepLR(o, 1)], [1]),
        lambda s, o: s.ChainedScheduler([]),
        lambda s, o: s.ReduceLROnPlateau(o, factor=1.0),
        lambda s, o: s.ReduceLROnPlateau(o, "down"),
        lambda s, o: s.ReduceLROnPlateau(o, min_lr=[0.1]),
        lambda s, o: s.CyclicLR(o, 0.1, 1.0, mode="wave"),
        lambda s, o: s.CyclicLR(o, [0.1], 1.0),
        lambda s, o: s.OneCycleLR(o, 1.0),
        lambda s, o: s.OneCycleLR(o, 1.0, total_steps=0),
        lambda s, o: s.OneCycleLR(o, 1.0, 10, pct_start=1.5),
        lambda s, o: s.OneCycleLR(o, 1.0, 10, anneal_strategy="step"),
        lambda s, o: [step() for step in [s.OneCycleLR(o, 1.0, 2).step] * 3],
        lambda s, o: s.CosineAnnealingWarmRestarts(o, 0),
        lambda s, o: s.CosineAnnealingWarmRestarts(o, 2, 0),
        lambda s, o: s.CosineAnnealingWarmRestarts(o, 2).step(-1),
        lambda s, o: s.SWALR(o, 0.1, anneal_strategy="step"),
        lambda s, o: s.SWALR(o, 0.1, anneal_epochs=-1),
        lambda s, o: s.SWALR(o, [0.1]),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_misuse_raises_what_pytorch_raises(make):
    raised = []
    for library in (grad, torch):
        with pytest.raises(Exception) as caught:
            Side(library, make)
        raised.append(caught.type)
    assert raised[0] is raised[1]
