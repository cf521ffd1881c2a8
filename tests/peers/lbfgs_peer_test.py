"""LBFGS beside PyTorch's: the path on Rosenbrock's function and on a small regression, and going on
from what the other saved.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import grad
from tests.peers.optim_peer_test import converted, described

torch = pytest.importorskip("torch")

SETTINGS: list[dict[str, Any]] = [
    {"lr": 0.1},
    {"lr": 0.5, "max_iter": 4, "history_size": 3},
    {"line_search_fn": "strong_wolfe"},
    {"line_search_fn": "strong_wolfe", "lr": 0.5, "max_iter": 5, "history_size": 2},
    {"line_search_fn": "strong_wolfe", "max_eval": 6, "tolerance_change": 1e-4},
]


class Fit:
    """Least squares with a bend, in two parameters that are one vector to LBFGS."""

    def __init__(self, library: Any, settings: Any, dtype: str = "float64") -> None:
        random = np.random.default_rng(5)
        made = [random.normal(size=s).astype(dtype) for s in ((20, 3), (20,), (3,), (1,))]
        self.library = library
        self.x, self.y = library.tensor(made[0]), library.tensor(made[1])
        self.parameters = [library.nn.Parameter(library.tensor(v)) for v in made[2:]]
        self.optimizer = library.optim.LBFGS(self.parameters, **settings)
        self.evaluations = 0

    def closure(self) -> Any:
        self.evaluations += 1
        self.optimizer.zero_grad()
        weight, bias = self.parameters
        loss = (((self.x @ weight).tanh() + bias - self.y) ** 2).mean() + (weight**4).sum() * 0.1
        loss.backward()
        return loss

    def values(self) -> Any:
        return np.concatenate([p.detach().numpy().reshape(-1) for p in self.parameters])


@pytest.mark.parametrize("settings", SETTINGS)
def test_steps_are_those_of_pytorch(settings):
    ours, theirs = Fit(grad, settings), Fit(torch, settings)
    assert repr(ours.optimizer) == repr(theirs.optimizer)
    for _ in range(6):
        losses = [side.optimizer.step(side.closure).item() for side in (ours, theirs)]
        assert losses[0] == pytest.approx(losses[1], rel=1e-9)
        assert ours.evaluations == theirs.evaluations
        np.testing.assert_allclose(ours.values(), theirs.values(), rtol=1e-6, atol=1e-9)


def test_rosenbrock_is_solved_as_pytorch_solves_it():
    paths = []
    for library in (grad, torch):
        x = library.nn.Parameter(library.tensor(np.array([-1.2, 1.0])))
        optimizer = library.optim.LBFGS([x], max_iter=60, line_search_fn="strong_wolfe")

        def closure(x=x, optimizer=optimizer):
            optimizer.zero_grad()
            loss = 100 * (x[1] - x[0] ** 2) ** 2 + (1 - x[0]) ** 2
            loss.backward()
            return loss

        optimizer.step(closure)
        paths.append((optimizer.state[x]["func_evals"], x.detach().numpy()))
    assert paths[0][0] == paths[1][0]
    np.testing.assert_allclose(paths[0][1], 1, atol=1e-4)
    np.testing.assert_allclose(paths[0][1], paths[1][1], atol=1e-7)


@pytest.mark.parametrize("settings", [SETTINGS[1], SETTINGS[3]])
def test_each_goes_on_from_what_the_other_saved(settings):
    sides = [Fit(library, settings) for library in (grad, torch)]
    for side in sides:
        for _ in range(2):
            side.optimizer.step(side.closure)
    saved = [side.optimizer.state_dict() for side in sides]
    names = [set(state["state"][0]) for state in saved]
    assert names[0] == names[1]
    for name in ("d", "old_dirs", "old_stps", "ro", "al", "prev_flat_grad", "n_iter", "H_diag"):
        assert described(saved[0]["state"][0][name]) == described(saved[1]["state"][0][name])
    for library, other, state in zip((grad, torch), reversed(sides), reversed(saved)):
        side = Fit(library, settings)
        for parameter, source in zip(side.parameters, other.parameters, strict=True):
            parameter.data = library.tensor(np.array(source.detach().numpy()))
        side.optimizer.load_state_dict(converted(state, library))
        sides.append(side)
    for _ in range(3):
        for side in sides:
            side.optimizer.step(side.closure)
    for side in sides:
        np.testing.assert_allclose(side.values(), sides[1].values(), rtol=1e-6, atol=1e-9)


def test_float32_gets_as_low():
    settings = {"line_search_fn": "strong_wolfe", "max_iter": 50}
    lowest = []
    for library in (grad, torch):
        side = Fit(library, settings, "float32")
        side.optimizer.step(side.closure)
        lowest.append(side.closure().item())
    assert lowest[0] == pytest.approx(lowest[1], rel=1e-5)
