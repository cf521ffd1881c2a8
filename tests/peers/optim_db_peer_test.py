"""PyTorch's own database of optimisers, run on ours: settings, states, and what must raise.

Five steps with the same gradients, with each of the database's settings, as they are and with
``foreach=True``; parameters, state dicts and texts have to be the same. `optim_peer_test.py` goes
further with fewer settings.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grad

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")
common = pytest.importorskip("torch.testing._internal.common_optimizers")

from tests.peers.op_db_values import NotComparable, Raised, difference, error_difference, ours  # noqa: E402
from tests.peers.optim_peer_test import described, tolerance  # noqa: E402

INFOS = {
    info.optim_cls.__name__: info for info in common.optim_db if not info.only_supports_sparse_grads
}
SHAPES = ((3, 4), (4, 2), (4,), ())
STEPS = 5


def told(value: Any) -> Any:
    """Settings of PyTorch as ours; parameters stay leaves."""
    if isinstance(value, dict):
        return {key: told(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(told(item) for item in value)
    if isinstance(value, torch.nn.Parameter):
        return grad.nn.Parameter(ours(value.detach()))
    return ours(value)


def run(library: Any, name: str, settings: dict[str, Any], dtype: str) -> tuple[Any, Any]:
    """Parameters and optimiser after five steps."""
    random = np.random.default_rng(0)
    shapes = [shape for shape in SHAPES if len(shape) == 2 or name != "Muon"]

    def draw(shape: tuple[int, ...]) -> Any:
        return library.tensor(np.asarray(random.normal(size=shape)).astype(dtype))

    parameters = [library.nn.Parameter(draw(shape)) for shape in shapes]
    given = told(settings) if library is grad else settings
    optimizer = getattr(library.optim, name)(parameters, **given)
    fixed = [draw(shape) for shape in shapes]
    for _ in range(STEPS):
        # Another function at each step would have LBFGS estimate nonsense.
        directions = fixed if name == "LBFGS" else [draw(shape) for shape in shapes]

        def closure(directions: Any = directions) -> Any:
            optimizer.zero_grad()
            losses = [((p * p) * 0.5 + p * d).sum() for p, d in zip(parameters, directions)]
            loss = sum(losses[1:], losses[0])
            loss.backward()
            return loss

        optimizer.step(closure)
    return parameters, optimizer


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", INFOS)
def test_as_pytorch(name: str, record_property: Callable[[str, Any], None]) -> None:
    info = INFOS[name]
    passed, skipped, found = 0, 0, []
    for row in info.optim_inputs_func(device="cpu"):
        for more in [{}] + [{"foreach": True}] * ("foreach" in info.supported_impls):
            if more and isinstance(row.kwargs.get("lr"), torch.Tensor):
                continue
            for dtype in ("float64", "float32"):
                message = _differs(name, {**row.kwargs, **more}, dtype)
                passed += message is None
                found += [f"{name} {row.kwargs} {dtype}: {message}"] * (message is not None)
    for failure in info.optim_error_inputs_func(device="cpu", dtype=torch.float32):
        try:
            message = _failure_differs(name, failure)
        except NotComparable:
            skipped += 1
            continue
        passed += message is None
        found += [f"{name} {failure.optimizer_error_input}: {message}"] * (message is not None)
    record_property("optimizers", (name, passed, len(found), 0, skipped))
    assert not found, "\n".join(found)


def _differs(name: str, settings: dict[str, Any], dtype: str) -> str | None:
    theirs, their_optimizer = run(torch, name, settings, dtype)
    mine, optimizer = run(grad, name, settings, dtype)
    limit = tolerance(name, dtype)
    if name == "LBFGS":
        limit = max(limit, 1e-6) if dtype == "float64" else 1e-3
    for number, (a, b) in enumerate(zip(mine, theirs, strict=True)):
        if not np.allclose(a.detach().numpy(), b.detach().numpy(), rtol=limit, atol=limit):
            return f"parameter {number}: {a}, not {b}"
    if repr(optimizer) != repr(their_optimizer):
        return f"text: {optimizer}, not {their_optimizer}"
    saved, their_saved = optimizer.state_dict(), their_optimizer.state_dict()
    if name == "LBFGS":  # how often it tried depends on the last bits
        names, their_names = (sorted(s["state"][0]) for s in (saved, their_saved))
        return None if names == their_names else f"state: {names}, not {their_names}"
    if described(saved) != described(their_saved):
        return f"state: {described(saved)}, not {described(their_saved)}"
    if name == "Muon":  # of bfloat16
        return None
    for number, state in their_saved["state"].items():
        for key, value in state.items():
            message = difference(saved["state"][number][key], value)
            if message:
                return f"state {number}, {key}: {message}"
    return None


def _failure_differs(name: str, failure: Any) -> str | None:
    given = failure.optimizer_error_input
    raised: list[Raised] = []
    for library in (torch, grad):
        one = torch.nn.Parameter(torch.ones(2, 2))
        params = [one] if given.params is None else given.params
        settings = given.kwargs
        if library is grad:
            known: dict[int, Any] = {}
            params, settings = _shared(params, known), told(settings)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                optimizer = getattr(library.optim, name)(params, **settings)
                if failure.error_on == common.OptimizerErrorEnum.STEP_ERROR:
                    for group in optimizer.param_groups:
                        for parameter in group["params"]:
                            parameter.grad = library.ones_like(parameter)
                    optimizer.step()
        except Exception as error:
            raised.append(type(error))
        else:
            raised.append(None)
    return error_difference(*raised)


def _shared(value: Any, known: dict[int, Any]) -> Any:
    """Parameters as ours, one for each."""
    if isinstance(value, torch.Tensor):
        return known.setdefault(id(value), told(value))
    if isinstance(value, dict):
        return {key: _shared(item, known) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_shared(item, known) for item in value)
    return told(value)
