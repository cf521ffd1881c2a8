"""Optimisers step by step beside PyTorch's, from one and the same start, and across: what one has
saved, the other goes on from.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import grad

torch = pytest.importorskip("torch")

STEPS = 24
SHAPES = ((3, 4), (4,), ())
CASES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "maximize": True}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.5}),
    ("Adam", {"lr": 0.1}),
    ("Adam", {"lr": 0.1, "betas": (0.5, 0.6), "eps": 1e-3, "weight_decay": 0.1, "amsgrad": True}),
    ("Adam", {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("AdamW", {"lr": 0.1}),
    ("AdamW", {"lr": 0.1, "weight_decay": 0.5, "amsgrad": True, "maximize": True}),
    ("Adamax", {"lr": 0.1}),
    ("Adamax", {"lr": 0.1, "betas": (0.5, 0.6), "weight_decay": 0.1, "maximize": True}),
    ("NAdam", {"lr": 0.1}),
    ("NAdam", {"lr": 0.1, "weight_decay": 0.1, "momentum_decay": 0.1}),
    ("NAdam", {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("RAdam", {"lr": 0.1}),
    ("RAdam", {"lr": 0.1, "betas": (0.5, 0.6), "weight_decay": 0.1}),
    ("RAdam", {"lr": 0.1, "weight_decay": 0.1, "decoupled_weight_decay": True, "maximize": True}),
    ("RMSprop", {"lr": 0.1}),
    ("RMSprop", {"lr": 0.1, "alpha": 0.5, "momentum": 0.9, "centered": True, "eps": 0.1}),
    ("RMSprop", {"lr": 0.1, "weight_decay": 0.1, "maximize": True}),
    ("Adagrad", {"lr": 0.1}),
    (
        "Adagrad",
        {"lr": 0.1, "lr_decay": 0.1, "initial_accumulator_value": 0.5, "weight_decay": 0.1},
    ),
    ("Adadelta", {}),
    ("Adadelta", {"lr": 0.5, "rho": 0.5, "eps": 1e-3, "weight_decay": 0.1, "maximize": True}),
    ("ASGD", {"lr": 0.1}),
    ("ASGD", {"lr": 0.1, "lambd": 0.1, "alpha": 0.5, "t0": 5, "weight_decay": 0.1}),
    ("Rprop", {"lr": 0.1}),
    ("Rprop", {"lr": 0.1, "etas": (0.3, 1.5), "step_sizes": (0.05, 0.2), "maximize": True}),
    ("Adafactor", {"lr": 0.1}),
    ("Adafactor", {"lr": 0.1, "weight_decay": 0.1, "d": 1.5, "eps": (1e-3, 0.1), "maximize": True}),
    ("Muon", {"lr": 0.1}),
    ("Muon", {"lr": 0.1, "nesterov": False, "adjust_lr_fn": "match_rms_adamw", "ns_steps": 3}),
]
IDS = [f"{name}-{'-'.join(map(str, settings))}" for name, settings in CASES]
# One float32 rounding at each step, and Muon's directions are of bfloat16.
TOLERANCE = {"float64": 1e-9, "float32": 2e-5}
MUON_TOLERANCE = 0.02
# PyTorch keeps some counts in float32 and its formulas take them from there.
COUNTED_IN_FLOAT32 = {"NAdam": 1e-6, "ASGD": 1e-6, "Adafactor": 1e-6}


def tolerance(name: str, dtype: str) -> float:
    if name == "Muon":
        return MUON_TOLERANCE
    return max(TOLERANCE[dtype], COUNTED_IN_FLOAT32.get(name, 0.0))


class Side:
    """Parameters with an optimiser of one library."""

    def __init__(self, library: Any, name: str, settings: Any, values: Any, **more: Any) -> None:
        self.library = library
        self.parameters = [library.nn.Parameter(library.tensor(v)) for v in values]
        if name == "Muon":
            self.parameters = [p for p in self.parameters if p.ndim == 2]
        self.optimizer = getattr(library.optim, name)(self.parameters, **settings, **more)

    def step(self, gradients: Any) -> None:
        for parameter, gradient in zip(self.parameters, gradients):
            parameter.grad = self.library.tensor(gradient)
        self.optimizer.step()

    def values(self) -> list[Any]:
        return [np.array(parameter.detach().numpy()) for parameter in self.parameters]


def problem(dtype: str) -> tuple[list[Any], list[list[Any]]]:
    random = np.random.default_rng(3)

    def draw() -> list[Any]:
        return [np.asarray(random.normal(size=shape)).astype(dtype) for shape in SHAPES]

    return draw(), [draw() for _ in range(STEPS)]


def converted(value: Any, library: Any) -> Any:
    """A state dict of one library as one of the other, through NumPy."""
    if isinstance(value, dict):
        return {key: converted(part, library) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(converted(part, library) for part in value)
    if isinstance(value, grad.Tensor | torch.Tensor):
        return library.tensor(np.array(value.detach().numpy()))
    return value


def described(value: Any) -> Any:
    """Names, order, shapes and types of a state dict, and its plain values."""
    if isinstance(value, dict):
        return {key: described(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [described(part) for part in value]
    if isinstance(value, grad.Tensor | torch.Tensor):
        return tuple(value.shape), str(value.dtype).removeprefix("torch.").removeprefix("grad.")
    return value


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize(("name", "settings"), CASES, ids=IDS)
def test_steps_are_those_of_pytorch(name, settings, dtype):
    values, gradients = problem(dtype)
    ours, theirs = [Side(library, name, settings, values) for library in (grad, torch)]
    assert repr(ours.optimizer) == repr(theirs.optimizer)
    for number, step in enumerate(gradients):
        for side in (ours, theirs):
            side.step(step)
        for mine, its in zip(ours.values(), theirs.values(), strict=True):
            limit = tolerance(name, dtype)
            np.testing.assert_allclose(
                mine, its, rtol=limit, atol=limit, err_msg=f"step {number + 1}"
            )


@pytest.mark.parametrize(("name", "settings"), CASES, ids=IDS)
def test_each_goes_on_from_what_the_other_saved(name, settings):
    values, gradients = problem("float32")
    sides = [Side(library, name, settings, values) for library in (grad, torch)]
    for step in gradients[:8]:
        for side in sides:
            side.step(step)
    saved = [side.optimizer.state_dict() for side in sides]
    assert described(saved[0]) == described(saved[1])
    assert [*saved[0]["param_groups"][0]] == [*saved[1]["param_groups"][0]]
    crossed = []
    for library, other, state in zip((grad, torch), reversed(sides), reversed(saved)):
        crossed.append(Side(library, name, {}, other.values()))
        crossed[-1].optimizer.load_state_dict(converted(state, library))
    for step in gradients[8:]:
        for side in (*sides, *crossed):
            side.step(step)
    limit = tolerance(name, "float32")
    for side in (sides[0], *crossed):
        for mine, its in zip(side.values(), sides[1].values(), strict=True):
            np.testing.assert_allclose(mine, its, rtol=limit, atol=limit)
