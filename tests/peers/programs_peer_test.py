"""The programs of tests/programs with PyTorch: equal losses, and files that go back and forth."""

from __future__ import annotations

import io
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import grad
from tests.programs.loader import load

torch = pytest.importorskip("torch")

FRAMEWORKS = {"grad": grad, "torch": torch}
TRAINING = {name: load("training", name) for name in FRAMEWORKS}
each_program = pytest.mark.parametrize("name", TRAINING["torch"].PROGRAMS)


@cache
def program(name: str, framework: str) -> ModuleType:
    return load(name, framework)


def losses(name: str, framework: str, optimizer: str, dtype: str, steps: int) -> list[float]:
    kind = getattr(FRAMEWORKS[framework], dtype)
    return TRAINING[framework].train(program(name, framework), optimizer, steps, dtype=kind)


@each_program
@pytest.mark.parametrize("optimizer", TRAINING["torch"].OPTIMIZERS)
def test_losses(name: str, optimizer: str) -> None:
    # Positions of the transformer are sines of float32, whose last bit is each library's own.
    exact = 1e-8 if name == "transformer" else 1e-9
    for dtype, steps, rtol in (("float64", 20, exact), ("float32", 6, 1e-4)):
        actual, expected = (losses(name, which, optimizer, dtype, steps) for which in FRAMEWORKS)
        np.testing.assert_allclose(actual, expected, rtol=rtol)


def trained(name: str, framework: str) -> tuple[Any, Any, Any]:
    """A model after three steps of Adam, the optimiser, and the step that trains it further."""
    training, ours = TRAINING[framework], program(name, framework)
    model, optimizer, batches = training.start(ours, "Adam")
    step = training.make_step(ours, model, optimizer)
    for batch in batches[:3]:
        step(*batch)
    return model, optimizer, lambda: [step(*batch).item() for batch in batches[3:]]


@each_program
@pytest.mark.parametrize(("writer", "reader"), [("torch", "grad"), ("grad", "torch")])
def test_checkpoints(name: str, writer: str, reader: str) -> None:
    """Weights arrive to the bit; outputs and further training agree."""
    model, optimizer, go_on = trained(name, writer)
    file = io.BytesIO()
    state = {"model": model.state_dict(), "optimizer": optimizer.state_dict()}
    FRAMEWORKS[writer].save(state, file)
    file.seek(0)
    loaded = FRAMEWORKS[reader].load(file)
    training, ours = TRAINING[reader], program(name, reader)
    copy, resumed, batches = training.start(ours, "Adam")
    copy.load_state_dict(loaded["model"])
    resumed.load_state_dict(loaded["optimizer"])
    assert list(copy.state_dict()) == list(state["model"])
    for key, value in copy.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), state["model"][key].numpy(), err_msg=key)
    step = training.make_step(ours, copy, resumed)
    actual = [step(*batch).item() for batch in batches[3:]]
    np.testing.assert_allclose(actual, go_on(), rtol=1e-5)
