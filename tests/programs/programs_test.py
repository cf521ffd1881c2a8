"""Ordinary PyTorch programs run here, and train to the losses that PyTorch has.

losses.json is what PyTorch gave, from the same weights and batches (training.py says how, and which
of them are trained in float64). Networks with many kinks are looked at in float32 for some steps.
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import grad
from tests.programs.loader import DIRECTORY, load

TRAINING = load("training", "grad")
RECORDED = json.loads((DIRECTORY / "losses.json").read_text())["losses"]
KINKED = ("resnet18", "unet")
OTHERS = sorted(path.name for path in (DIRECTORY / "others").glob("*.py"))

each_program = pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow) if name in KINKED else name
        for name in TRAINING.PROGRAMS
    ],
)


@cache
def program(name: str) -> ModuleType:
    return load(name, "grad")


@each_program
@pytest.mark.parametrize("optimizer", TRAINING.OPTIMIZERS)
def test_losses_are_those_of_pytorch(name: str, optimizer: str) -> None:
    expected = RECORDED[name][optimizer]
    assert len(expected) == 50 and sum(expected[-5:]) < sum(expected[:5])
    losses = TRAINING.train(program(name), optimizer)
    if TRAINING.precision(name, optimizer) is grad.float64:
        # LBFGS amplifies rounding: 1e-16 has become 1e-8 after 45 steps.
        np.testing.assert_allclose(losses[:20], expected[:20], rtol=1e-8)
        np.testing.assert_allclose(losses, expected, rtol=1e-5)
    else:
        np.testing.assert_allclose(losses, expected, rtol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", KINKED)
def test_losses_in_float32_begin_as_those_of_pytorch(name: str) -> None:
    losses = TRAINING.train(program(name), "AdamW", 10, dtype=grad.float32)
    np.testing.assert_allclose(losses, RECORDED[name]["AdamW"][:10], rtol=1e-4)


@each_program
def test_a_compiled_step_has_the_same_losses(name: str) -> None:
    eager, compiled = (
        TRAINING.train(program(name), "AdamW", 10, transform)
        for transform in (lambda step: step, grad.compile)
    )
    np.testing.assert_allclose(compiled, eager, rtol=1e-4)


def continued(name: str, state: dict[str, Any]) -> list[float]:
    """The losses of three more steps of a run whose checkpoint is `state`."""
    model, optimizer, batches = TRAINING.start(program(name), "Adam")
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    step = TRAINING.make_step(program(name), model, optimizer)
    return [step(*batch).item() for batch in batches[:3]]


@each_program
def test_training_goes_on_from_a_checkpoint(name: str) -> None:
    model, optimizer, batches = TRAINING.start(program(name), "Adam")
    step = TRAINING.make_step(program(name), model, optimizer)
    for batch in batches[:3]:
        step(*batch)
    file = io.BytesIO()
    grad.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
    file.seek(0)
    expected = [step(*batch).item() for batch in batches[:3]]
    assert continued(name, grad.load(file)) == expected


@pytest.mark.slow
@pytest.mark.parametrize("script", OTHERS)
def test_a_script_runs_as_it_is(script: str, tmp_path: Path) -> None:
    """Each checks itself what it should have learnt."""
    command = [sys.executable, "-m", "grad.as_torch", str(DIRECTORY / "others" / script)]
    found = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path
    )
    assert found.returncode == 0, found.stderr
