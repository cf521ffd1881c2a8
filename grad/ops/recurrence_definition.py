"""Recurrent cells in tensor methods: one step, and steps over time, with gradients of any order.

`recurrence.py` computes the same by kernels that run over time; it takes the definition for
gradients of gradients and for what the kernels leave out. What a step adds to its projected input
needs only the state before, so the input is projected for all steps at once by the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from grad.ops.registry import REGISTRY


class Step(NamedTuple):
    """What one direction of one layer does at every step.

    Attributes:
        kind: "tanh", "relu", "lstm" or "gru".
        weight: ``(gates * hidden, state)``.
        bias: ``(hidden,)``, added inside the reset gate's product (gru); None.
        projection: ``(state, hidden)``, of the hidden numbers of a lstm; None.
    """

    kind: str
    weight: Any
    bias: Any = None
    projection: Any = None

    def __call__(self, projected: Any, state: Any, cell: Any = None) -> tuple[Any, Any]:
        """State and cell after a step; `projected` ``(rows, gates * hidden)``."""
        recurrent = state @ self.weight.mT
        if self.kind == "gru":
            return self._gru(projected, recurrent, state), None
        gates = projected + recurrent
        if self.kind != "lstm":
            return (gates.tanh() if self.kind == "tanh" else gates.relu()), None
        enter, forget, candidate, leave = gates.chunk(4, -1)
        cell = forget.sigmoid() * cell + enter.sigmoid() * candidate.tanh()
        state = leave.sigmoid() * cell.tanh()
        return state if self.projection is None else state @ self.projection.mT, cell

    def _gru(self, projected: Any, recurrent: Any, state: Any) -> Any:
        of_reset, of_update, of_new = projected.chunk(3, -1)
        by_reset, by_update, by_new = recurrent.chunk(3, -1)
        if self.bias is not None:
            by_new = by_new + self.bias
        reset = (of_reset + by_reset).sigmoid()
        update = (of_update + by_update).sigmoid()
        new = (of_new + reset * by_new).tanh()
        return new + update * (state - new)


def walk(
    step: Step,
    projected: Any,
    state: Any,
    cell: Any,
    backwards: bool,
    rows: Sequence[int] | None = None,
) -> tuple[Any, Any]:
    """States, and cells of a lstm (else None), at all steps.

    Args:
        projected: ``(steps, batch, gates * hidden)``, ``(batch, gates * hidden)`` for one step;
            with `rows`, packed: step t has the first ``rows[t]`` sequences of the batch.
        state, cell: ``(batch, ...)`` before the first step.
    """
    if rows is None and len(projected.shape) == 2:
        return step(projected, state, cell)
    pieces = projected.unbind(0) if rows is None else projected.split(list(rows), 0)
    states, cells = [], []
    for piece in reversed(pieces) if backwards else pieces:
        count = piece.shape[0]
        moved, after = step(piece, state[:count], None if cell is None else cell[:count])
        states.append(moved)
        state = _with(moved, state)
        if cell is not None:
            cells.append(after)
            cell = _with(after, cell)
    return _joined(states, backwards, rows), _joined(cells, backwards, rows)


def _with(first: Any, whole: Any) -> Any:
    """`whole` with its first rows replaced."""
    count = first.shape[0]
    return first if count == whole.shape[0] else REGISTRY["cat"]((first, whole[count:]), 0)


def _joined(found: list[Any], backwards: bool, rows: Sequence[int] | None) -> Any:
    if not found:
        return None
    ordered = tuple(reversed(found) if backwards else found)
    return REGISTRY["stack"](ordered) if rows is None else REGISTRY["cat"](ordered, 0)
