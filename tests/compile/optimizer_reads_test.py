"""What a compiled function's own Python reads of an optimiser is what it is at each call."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

import grad
from grad import optim

NAMES = {"state": "state", "groups": "param_groups"}

READS: dict[str, Callable[[Any, Any], Any]] = {
    "vars, groups": lambda o, p: vars(o)["param_groups"][0]["lr"],
    "vars, state": lambda o, p: len(vars(o)["state"][p]),
    "vars, number of states": lambda o, p: len(vars(o)["state"]),
    "vars, count": lambda o, p: float(vars(o)["state"][p].get("step", 1)),
    "vars, missing": lambda o, p: vars(o).get("extra", 1),
    "dict, groups": lambda o, p: o.__dict__["param_groups"][0]["lr"],
    "dict, state": lambda o, p: len(o.__dict__["state"][p]),
    "getattr, groups": lambda o, p: getattr(o, NAMES["groups"])[0]["lr"],
    "getattr, made up": lambda o, p: getattr(o, f"param_{'groups'}")[0]["lr"],
    "getattr, state": lambda o, p: len(getattr(o, NAMES["state"])[p]),
    "getattr, missing": lambda o, p: getattr(o, "extra", 1),
    "hasattr, made up": lambda o, p: 2 if hasattr(o, "_".join(("more", "extra"))) else 3,
    "state": lambda o, p: len(o.state[p]),
    "state, entry": lambda o, p: o.state[p].get("more", 1),
    "state, values": lambda o, p: sum(s.get("more", 1) for s in o.state.values()),
    "state dict": lambda o, p: o.state_dict()["param_groups"][0]["lr"],
    "state dict, state": lambda o, p: len(o.state_dict()["state"]),
    "text": lambda o, p: str(o).count("0"),
    "defaults": lambda o, p: o.defaults["lr"],
    "subclass": lambda o, p: o.scaled(2),
}


class Scaled(optim.SGD):
    """Has a method of its own."""

    scale = 3.0

    def scaled(self, number: float) -> float:
        return number * self.scale


MAKERS: dict[str, Callable[[Any], Any]] = {
    "sgd": lambda p: optim.SGD([p], lr=0.5, momentum=0.9),
    "adam": lambda p: optim.Adam([p], lr=0.5),
    "scaled": lambda p: Scaled([p], lr=0.5),
}


def values(make: Callable[[Any], Any], read: Callable[[Any, Any], Any], wrap: Any) -> list[Any]:
    parameter = grad.ones(2).requires_grad_()
    optimizer = make(parameter)
    kind = type(optimizer)
    found = []

    def step() -> None:
        optimizer.zero_grad()
        (parameter * parameter).sum().backward()
        optimizer.step()

    def state(name: str) -> None:
        optimizer.state[parameter][name] = optimizer.state[parameter].get(name, 1) + 1

    changes: list[Callable[[], None]] = [
        lambda: None,
        step,
        lambda: optimizer.param_groups[0].update(lr=optimizer.param_groups[0]["lr"] / 2),
        lambda: setattr(optimizer, "extra", getattr(optimizer, "extra", 1) + 1),
        lambda: setattr(optimizer, "more_extra", 1),
        lambda: state("more"),
        lambda: optimizer.defaults.update(lr=optimizer.defaults["lr"] / 2),
        lambda: setattr(kind, "scale", getattr(kind, "scale", 3.0) + 1),
        optimizer.state.clear,
    ]
    function = wrap(lambda x: x * read(optimizer, parameter))
    step()
    for change in changes:
        for _ in range(3):
            change()
            found.append(function(grad.ones(())).item())
    return found


@pytest.mark.parametrize("read", READS)
@pytest.mark.parametrize("kind", MAKERS)
def test_what_is_read_is_up_to_date(kind: str, read: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if read == "subclass" and kind != "scaled":
        pytest.skip("has no such method")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it runs uncompiled, perhaps
        found = []
        for wrap in (grad.compile, lambda function: function):
            monkeypatch.setattr(MAKERS[kind](grad.ones(1)).__class__, "scale", 3.0, raising=False)
            found.append(values(MAKERS[kind], READS[read], wrap))
    assert found[0] == found[1]


def test_factors_of_a_scaler() -> None:
    scaler = grad.amp.GradScaler("cpu", growth_factor=2.0)
    compiled = grad.compile(lambda x: x * scaler.get_growth_factor())
    for factor in (2.0, 2.0, 2.0, 3.0, 3.0, 4.0):
        scaler.set_growth_factor(factor)
        assert compiled(grad.ones(())).item() == factor


def test_rates_that_a_schedule_works_out() -> None:
    optimizer = optim.SGD([grad.ones(1).requires_grad_()], lr=0.5)
    schedule = optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    compiled = grad.compile(lambda x: x * schedule.state_dict()["_last_lr"][0])
    for _ in range(5):
        assert compiled(grad.ones(())).item() == schedule.get_last_lr()[0]
        optimizer.step()
        schedule.step()


def test_names_that_are_made_up_elsewhere_leave_a_step_recorded() -> None:
    class Layers(grad.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer0, self.layer1 = grad.nn.Linear(2, 2), grad.nn.Linear(2, 2)

        def forward(self, x: Any) -> Any:
            for number in range(2):
                x = getattr(self, f"layer{number}")(x)
            return x

    model = Layers()
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    schedule = optim.lr_scheduler.ExponentialLR(optimizer, 0.5)

    @grad.compile
    def step(x: Any) -> Any:
        optimizer.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        optimizer.step()
        schedule.step()
        return loss

    for _ in range(6):
        step(grad.ones(3, 2))
    assert step.recordings == 1
