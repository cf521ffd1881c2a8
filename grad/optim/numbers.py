"""Numbers of a step: read from settings, checked, and brought into the graph as arguments.

A learning rate, a decay or a step count changes all the time, so none is a constant of the graph:
`SharedNumbers` makes arguments of them, also in `grad.compile`. Settings may be Python numbers or
tensors of one element (`scalar`). optimizer.py and rule.py use this.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from grad.dtype import DType
from grad.engine.recording import recording
from grad.graph.node import argument
from grad.tensor import Tensor

Numbers = Mapping[str, Tensor]


class SharedNumbers:
    """The numbers of one step (rates, decays, corrections) as 0-dimensional tensors.

    All are arguments of the graph, constant or not, so that no change of a setting compiles
    anything. Parameters that have one dictionary of numbers share them, which keeps the graph
    small; names keep apart what happens to be equal, so that the graph is the same at every step.

    Args:
        values: for each parameter its numbers by name. A recording fills the list anew at each
            replay.
    """

    def __init__(self, values: Sequence[Mapping[str, float]]) -> None:
        self._values = values
        self._made: dict[tuple[int, DType], dict[str, Tensor]] = {}

    def of(self, position: int, dtype: DType) -> Numbers:
        """The numbers of the parameter at `position`, as tensors of `dtype`."""
        values = self._values[position]
        key = (id(values), dtype)
        found = self._made.get(key)
        if found is None:
            found = self._made[key] = {
                name: self._tensor(position, name, value, dtype) for name, value in values.items()
            }
        return found

    def _tensor(self, position: int, name: str, value: float, dtype: DType) -> Tensor:
        node = argument(value, dtype)
        if recording.recorder is not None:
            recording.recorder.argument(node, lambda: self._values[position][name])
        return Tensor._wrap(node)


def scalar(value: Any) -> float:
    """A setting as a Python number. A tensor is read, outside of what is being recorded: each
    replay reads it again, as it is before the recorded function runs.
    """
    if not isinstance(value, Tensor):
        return value
    recorder = recording.recorder
    if recorder is None:
        return value.item()
    if not value._storage.node.is_realized:
        recorder.give_up("a setting of the optimiser is a tensor that the function computes")
        return value.item()
    recording.recorder = None
    try:
        return value.item()
    finally:
        recording.recorder = recorder


def is_on(value: Any) -> bool:
    """Whether a setting that does nothing when it is zero does something. A tensor does, whatever
    its value.
    """
    return isinstance(value, Tensor) or value != 0


def rounded(value: float) -> float:
    """`value` as a state dict keeps it, so that going on from a file is the same as going on."""
    return float(np.float32(value))


def check_not_negative(**settings: Any) -> None:
    """Raise ValueError for a setting that is negative (or NaN); names as in PyTorch's messages."""
    for name, value in settings.items():
        if isinstance(value, Tensor) and value.numel() != 1:
            raise ValueError(f"Tensor {name} must be 1-element")
        if not scalar(value) >= 0.0:
            label = "learning rate" if name == "lr" else f"{name} value"
            raise ValueError(f"Invalid {label}: {value}")


def check_betas(betas: Sequence[Any]) -> None:
    """Raise ValueError unless each is in [0, 1)."""
    for index, beta in enumerate(betas):
        if isinstance(beta, Tensor) and beta.numel() != 1:
            raise ValueError(f"Tensor betas[{index}] must be 1-element")
        if not 0.0 <= scalar(beta) < 1.0:
            raise ValueError(f"Invalid beta parameter at index {index}: {beta}")
