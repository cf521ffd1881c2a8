"""Layers over time: directions and layers of recurrent cells, on padded or packed sequences.

The input of all steps is multiplied by the input's weight at once. What is left of a step, the
product with the state, is `Step` (ops/recurrence_definition.py). `recurrent.py` has the modules.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from grad.nn.dropout_functions import dropout
from grad.ops.recurrence import recurrence
from grad.ops.recurrence_definition import Step
from grad.ops.registry import REGISTRY
from grad.tensor import Tensor


class Weights(NamedTuple):
    """The parameters of one direction of one layer, as PyTorch names them."""

    weight_ih: Tensor
    weight_hh: Tensor
    bias_ih: Tensor | None = None
    bias_hh: Tensor | None = None
    weight_hr: Tensor | None = None

    def projected(self, kind: str, input: Tensor) -> Tensor:
        """The input's part of the gates, with all biases that are only added."""
        bias = self.bias_ih
        if bias is not None and self.bias_hh is not None:
            added = self.bias_hh
            if kind == "gru":  # the last third is inside the reset gate
                added = REGISTRY["cat"]((added[: -self._hidden], added.new_zeros(self._hidden)))
            bias = bias + added
        return REGISTRY["linear"](input, self.weight_ih, bias)

    def step(self, kind: str) -> Step:
        bias = None
        if kind == "gru" and self.bias_hh is not None:
            bias = self.bias_hh[-self._hidden :]
        return Step(kind, self.weight_hh, bias, self.weight_hr)

    @property
    def _hidden(self) -> int:
        return self.weight_ih.shape[0] // 3


class Sequences(NamedTuple):
    """Outputs of a stack of layers, ``(steps, batch, directions * state)`` or packed; last states
    and cells of each layer and direction, ``(layers * directions, batch, ...)``.
    """

    output: Tensor
    state: Tensor
    cell: Tensor | None


def direction(
    kind: str,
    weights: Weights,
    input: Tensor,
    state: Tensor,
    cell: Tensor | None,
    backwards: bool,
    rows: Sequence[int] | None,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Outputs, last state and last cell of one direction of one layer."""
    numbers = None if rows is None else tuple(rows)
    step, projected = weights.step(kind), weights.projected(kind, input)
    return recurrence(step, projected, state, cell, backwards, numbers)


def layers(
    kind: str,
    weights: Sequence[Sequence[Weights]],
    input: Tensor,
    state: Tensor,
    cell: Tensor | None,
    rows: Sequence[int] | None = None,
    drop: float = 0.0,
) -> Sequences:
    """All layers, with dropout between them.

    Args:
        weights: for each layer those of each direction, the second of which runs backwards.
        input: ``(steps, batch, size)``; with `rows`, packed: ``(sum of rows, size)``.
        state, cell: ``(layers * directions, batch, ...)``.
    """
    states = state.unbind(0)
    cells = [None] * len(states) if cell is None else cell.unbind(0)
    ends = []
    for depth, both in enumerate(weights):
        if depth and drop:
            input = dropout(input, drop)
        outputs = []
        for number, one in enumerate(both):
            place = len(ends)
            found = direction(kind, one, input, states[place], cells[place], number == 1, rows)
            outputs.append(found[0])
            ends.append(found[1:])
        input = outputs[0] if len(outputs) == 1 else REGISTRY["cat"](tuple(outputs), -1)
    stack = REGISTRY["stack"]
    last = stack(tuple(end[0] for end in ends))
    return Sequences(input, last, None if cell is None else stack(tuple(end[1] for end in ends)))
