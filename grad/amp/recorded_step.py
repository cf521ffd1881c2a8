"""A step that may be left out, in what `grad.compile` records.

Whether gradients are finite is not known yet there, so the step is taken, and what it changes is
chosen between the old and the new value, in the graph. Counts of steps are Python numbers: they go
back when a run turns out to have been a bad one. grad_scaler.py is the user.
"""

from __future__ import annotations

from typing import Any

from grad.autograd.modes import no_grad
from grad.engine.recording import Recorder, recording
from grad.optim.rule import RuleOptimizer
from grad.tensor import Tensor


def tape() -> Recorder | None:
    """Who records what is replayed; None where values may be asked for."""
    recorder = recording.recorder
    return None if recorder is None or recorder.stands_in else recorder


def can_be_taken_back(optimizer: Any) -> bool:
    """Whether all that a step of `optimizer` changes is known, and there already."""
    if not isinstance(optimizer, RuleOptimizer):
        return False
    states = [optimizer._states.get(p) for p in _with_gradients(optimizer)]
    if optimizer._always_has_state:
        return all(states)
    return all(state is not None for state in states)


def step_unless(bad: Tensor, optimizer: RuleOptimizer, recorder: Recorder) -> None:
    """Take a step that changes nothing if `bad`, a tensor without dimensions, holds."""
    states = optimizer._states
    parameters = _with_gradients(optimizer)
    tensors = [*parameters]
    for parameter in parameters:
        tensors += [v for v in states[parameter].values() if isinstance(v, Tensor)]
    before = [(tensor, Tensor._wrap(tensor.node)) for tensor in tensors]
    counted: list[tuple[dict[str, Any], str, Any]] = []

    def save() -> None:
        counted[:] = [
            (states[p], name, states[p][name]) for p in parameters for name in optimizer._counts
        ]

    def end(values: Any) -> None:
        if values[0]:
            for state, name, value in counted:
                state[name] = value

    save()
    recorder.again(save)
    optimizer.step()
    with no_grad():
        for tensor, old in before:
            tensor.copy_(old.where(bad, tensor.detach()))
    if tape() is recorder:
        recorder.afterwards(end, [bad.node])
    else:
        end([bad.item()])  # the step cannot be recorded after all


def _with_gradients(optimizer: RuleOptimizer) -> list[Tensor]:
    groups = optimizer.param_groups
    return [p for group in groups for p in group["params"] if p.grad is not None]
