"""Schedules of the learning rate: their values, and going on from a saved state."""

from __future__ import annotations

import math

import pytest

from grad import nn, optim
from grad.optim import lr_scheduler
from grad.tensor import Tensor


def optimizer(lr: float = 1.0) -> optim.SGD:
    return optim.SGD([nn.Parameter(Tensor([1.0]))], lr=lr)


def rates(scheduler, count: int) -> list[float]:
    """The rate at each of `count` epochs."""
    scheduler.optimizer.step()
    found = []
    for _ in range(count):
        found.append(scheduler.get_last_lr()[0])
        assert scheduler.optimizer.param_groups[0]["lr"] == found[-1]
        scheduler.step()
    return found


CASES = [
    (lambda o: lr_scheduler.StepLR(o, 2, 0.5), [1, 1, 0.5, 0.5, 0.25]),
    (lambda o: lr_scheduler.MultiStepLR(o, [1, 3], 0.1), [1, 0.1, 0.1, 0.01, 0.01]),
    (lambda o: lr_scheduler.ExponentialLR(o, 0.5), [1, 0.5, 0.25, 0.125]),
    (lambda o: lr_scheduler.LambdaLR(o, lambda e: 1 / (e + 1)), [1, 1 / 2, 1 / 3]),
    (lambda o: lr_scheduler.LinearLR(o, 0.5, 1.0, 2), [0.5, 0.75, 1, 1]),
    (lambda o: lr_scheduler.ConstantLR(o, 0.5, 2), [0.5, 0.5, 1, 1]),
    (
        lambda o: lr_scheduler.CosineAnnealingLR(o, 4, 0.1),
        [0.1 + 0.9 * (1 + math.cos(math.pi * e / 4)) / 2 for e in range(6)],
    ),
    (
        lambda o: lr_scheduler.SequentialLR(
            o,
            [lr_scheduler.LinearLR(o, 0.5, 1.0, 2), lr_scheduler.ExponentialLR(o, 0.5)],
            [2],
        ),
        [0.5, 0.75, 1, 0.5, 0.25],
    ),
]


@pytest.mark.parametrize(("make", "expected"), CASES)
def test_rates(make, expected):
    assert rates(make(optimizer()), len(expected)) == pytest.approx(expected)


@pytest.mark.parametrize(("make", "expected"), CASES)
def test_a_saved_schedule_goes_on(make, expected):
    first = make(optimizer())
    rates(first, 2)
    second = make(optimizer())
    second.load_state_dict(first.state_dict())
    second.optimizer.param_groups[0]["lr"] = first.get_last_lr()[0]
    assert rates(second, len(expected) - 2) == pytest.approx(expected[2:])


def test_every_group_has_its_rate():
    made = optim.SGD(
        [
            {"params": nn.Parameter(Tensor([1.0])), "lr": 2.0},
            {"params": nn.Parameter(Tensor([1.0]))},
        ],
        lr=1.0,
    )
    scheduler = lr_scheduler.LambdaLR(made, [lambda e: 0.5, lambda e: e])
    assert scheduler.get_last_lr() == [1.0, 0.0]


def test_reduce_on_plateau():
    made = optimizer()
    scheduler = lr_scheduler.ReduceLROnPlateau(made, factor=0.5, patience=1, cooldown=1, min_lr=0.2)
    seen = []
    for loss in [1.0, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9, 0.9]:
        scheduler.step(Tensor([loss]).sum())
        seen.append(scheduler.get_last_lr()[0])
    assert seen == [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.2]
    upward = lr_scheduler.ReduceLROnPlateau(optimizer(), "max", patience=0, threshold_mode="abs")
    for metric in (1.0, 2.0, 2.00001):
        upward.step(metric)
    assert upward.get_last_lr() == pytest.approx([0.1])


@pytest.mark.parametrize(
    "make",
    [
        lambda o: lr_scheduler.LinearLR(o, 0.0),
        lambda o: lr_scheduler.ConstantLR(o, 2.0),
        lambda o: lr_scheduler.LambdaLR(o, [lambda e: 1, lambda e: 1]),
        lambda o: lr_scheduler.SequentialLR(o, [lr_scheduler.StepLR(o, 1)], [1]),
        lambda o: lr_scheduler.ReduceLROnPlateau(o, factor=1.0),
        lambda o: lr_scheduler.ReduceLROnPlateau(o, "down"),
    ],
)
def test_bad_settings_raise(make):
    with pytest.raises(ValueError):
        make(optimizer())


def test_resuming_needs_the_first_rate():
    with pytest.raises(KeyError, match="initial_lr"):
        lr_scheduler.StepLR(optimizer(), 1, last_epoch=3)
    with pytest.raises(TypeError):
        lr_scheduler.StepLR(None, 1)  # type: ignore[arg-type]
