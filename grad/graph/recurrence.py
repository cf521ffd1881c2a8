"""Recurrent cells over time as values of the graph: what they compute, in NumPy, and their nodes.

The input of every step has been multiplied by its weight already; what is left depends on the step
before. All steps are one operation, whose results are nodes of their own (`Recur.part`) that one
kernel computes, as for attention (graph/attention.py). docs/design/030 has the reasons.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from grad.graph import reference
from grad.graph.node import Node
from grad.graph.primitives import RECURRENCE, RECURRENCE_GRADIENT

Array = np.ndarray[Any, Any]

# How many rows of the weight belong to one hidden number.
GATES = {"tanh": 1, "relu": 1, "lstm": 4, "gru": 3}
# Results in the order of their nodes; each has those in front of it as further sources, so that
# whoever computes it finds out whether they are wanted too.
PARTS = {
    "tanh": ("states",),
    "relu": ("states",),
    "lstm": ("gates", "cells", "states"),
    "gru": ("gates", "states"),
}
FURTHER_GRADIENTS = {"lstm": ("cell",), "gru": ("inner",)}


class Recur(NamedTuple):
    """What a recurrence needs besides its sources.

    Sequences are ``(steps, batch, ...)``, or ``(batch, ...)`` for one step; with `packed`
    ``(rows, ...)``: step t has the rows from ``starts[t]`` to ``starts[t + 1]``, of the first
    sequences of the batch.

    Attributes:
        kind: "tanh", "relu", "lstm" or "gru". backwards: from the last step to the first.
        biased: whether a bias is added inside the product of the reset gate (gru).
        packed: whether there are `starts` (int64), the last source.
        cell_slope: of the gradient: whether that of the cells is given.
        batch: the number of sequences.
        part: forward "states", "cells" (lstm), "gates": of lstm (..., 4 * hidden) after their
            functions; of gru (..., 4 * hidden), reset, update, new, and what is multiplied by
            reset. Backward "slopes" (..., gates * hidden): of what is projected; "inner" (gru): of
            what is multiplied by reset; "state", "cell": of those at the beginning.
    """

    kind: str
    backwards: bool
    biased: bool
    packed: bool
    cell_slope: bool
    batch: int
    part: str

    @property
    def operands(self) -> tuple[str, ...]:
        """Names of the sources of `RECURRENCE`, in order."""
        names = ("projected", "weight", "state") + ("cell",) * (self.kind == "lstm")
        return names + ("bias",) * self.biased + ("starts",) * self.packed

    @property
    def gradient_operands(self) -> tuple[str, ...]:
        """Names of the sources of `RECURRENCE_GRADIENT`, in order.

        "before" is what the cells (of gru: the states) were before each step.
        """
        saved = {"lstm": ("gates", "cells", "before"), "gru": ("gates", "before")}
        names = ("weight", *saved.get(self.kind, ("states",)), "slope")
        return names + ("cell_slope",) * self.cell_slope + ("starts",) * self.packed

    @property
    def companions(self) -> int:
        """How many sources at the end are other results."""
        parts = PARTS[self.kind]
        return parts.index(self.part) if self.part in parts else 0


def recurrence_nodes(sources: tuple[Node, ...], how: Recur) -> dict[str, Node]:
    """The results by part; types are equal, `sources` are ordered as ``how.operands``."""
    projected, weight = sources[:2]
    hidden = weight.shape[1]
    found: dict[str, Node] = {}
    for part, arg in _parts_of(how):
        size = 4 * hidden if part == "gates" else hidden
        shape = (*projected.shape[:-1], size)
        below = (*sources, *found.values())
        found[part] = Node(RECURRENCE, below, arg, shape, projected.dtype)
    return found


@lru_cache(256)
def _parts_of(how: Recur) -> tuple[tuple[str, Recur], ...]:
    """The results by part, in order, with the arguments of their nodes."""
    return tuple([(part, how._replace(part=part)) for part in PARTS[how.kind]])


def gradient_nodes(sources: tuple[Node, ...], how: Recur) -> dict[str, Node]:
    """The gradients by part; `sources` are ordered as ``how.gradient_operands``."""
    weight = sources[0]
    slope = sources[how.gradient_operands.index("slope")]
    rows, hidden = weight.shape
    lead = slope.shape[:-1]
    shapes = {
        "slopes": (*lead, rows),
        "inner": (*lead, hidden),
        "state": (how.batch, hidden),
        "cell": (how.batch, hidden),
    }
    parts = ("slopes", "state", *FURTHER_GRADIENTS.get(how.kind, ()))
    return {
        part: Node(
            RECURRENCE_GRADIENT, sources, how._replace(part=part), shapes[part], weight.dtype
        )
        for part in parts
    }


# -- the definition --------------------------------------------------------------------------------
def _steps(how: Recur, arrays: Mapping[str, Array], sequence: Array) -> Iterator[tuple[Any, int]]:
    """Where each step's rows are in a sequence, in the order of computation, and their number."""
    if how.packed:
        starts = arrays["starts"].tolist()
        found = [(slice(a, b), b - a) for a, b in itertools.pairwise(starts)]
    elif sequence.ndim == 2:
        found = [(slice(None), len(sequence))]
    else:
        found = [(step, sequence.shape[1]) for step in range(sequence.shape[0])]
    yield from reversed(found) if how.backwards else found


def forward(how: Recur, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """All results, computed in float64."""
    wide = {name: array.astype(np.float64) for name, array in arrays.items() if name != "starts"}
    projected, weight = wide["projected"], wide["weight"]
    hidden = weight.shape[1]
    state, cell = wide["state"].copy(), wide.get("cell", np.zeros(0)).copy()
    sizes = {"states": hidden, "cells": hidden, "gates": 4 * hidden}
    found = {part: np.empty((*projected.shape[:-1], sizes[part])) for part in PARTS[how.kind]}
    for at, count in _steps(how, arrays, projected):
        before = state[:count]
        recurrent = before @ weight.T
        if how.kind == "gru":
            inner = recurrent[:, 2 * hidden :] + wide.get("bias", 0)
            both = projected[at][:, : 2 * hidden] + recurrent[:, : 2 * hidden]
            reset, update = np.split(reference.sigmoid(both), 2, -1)
            new = np.tanh(projected[at][:, 2 * hidden :] + reset * inner)
            found["gates"][at] = np.concatenate([reset, update, new, inner], -1)
            after = new + update * (before - new)
        elif how.kind == "lstm":
            enter, forget, candidate, leave = np.split(projected[at] + recurrent, 4, -1)
            enter, forget, leave = map(reference.sigmoid, (enter, forget, leave))
            candidate = np.tanh(candidate)
            found["gates"][at] = np.concatenate([enter, forget, candidate, leave], -1)
            cell[:count] = found["cells"][at] = forget * cell[:count] + enter * candidate
            after = leave * np.tanh(cell[:count])
        else:
            total = projected[at] + recurrent
            after = np.tanh(total) if how.kind == "tanh" else np.maximum(total, 0)
        state[:count] = found["states"][at] = after
    return found


def gradient(how: Recur, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """All gradients, computed in float64."""
    wide = {name: array.astype(np.float64) for name, array in arrays.items() if name != "starts"}
    weight, slope = wide["weight"], wide["slope"]
    hidden = weight.shape[1]
    lead = slope.shape[:-1]
    found = {"slopes": np.empty((*lead, len(weight))), "inner": np.empty((*lead, hidden))}
    state, cell = np.zeros((2, how.batch, hidden))
    for at, count in reversed(list(_steps(how, arrays, slope))):
        of_state = slope[at] + state[:count]
        kept: Any = 0.0
        if how.kind == "gru":
            reset, update, new, inner = np.split(wide["gates"][at], 4, -1)
            of_new = of_state * (1 - update) * (1 - new * new)
            of_update = of_state * (wide["before"][at] - new) * update * (1 - update)
            of_reset = of_new * inner * reset * (1 - reset)
            found["slopes"][at] = np.concatenate([of_reset, of_update, of_new], -1)
            found["inner"][at] = of_new * reset
            parts = [of_reset, of_update, of_new * reset]
            kept = of_state * update
        elif how.kind == "lstm":
            enter, forget, candidate, leave = np.split(wide["gates"][at], 4, -1)
            bent = np.tanh(wide["cells"][at])
            of_cell = cell[:count] + of_state * leave * (1 - bent * bent)
            of_cell = of_cell + (wide["cell_slope"][at] if how.cell_slope else 0)
            parts = [
                of_cell * candidate * enter * (1 - enter),
                of_cell * wide["before"][at] * forget * (1 - forget),
                of_cell * enter * (1 - candidate * candidate),
                of_state * bent * leave * (1 - leave),
            ]
            found["slopes"][at] = np.concatenate(parts, -1)
            cell[:count] = of_cell * forget
        else:
            states = wide["states"][at]
            factor = 1 - states * states if how.kind == "tanh" else states > 0
            parts = [of_state * factor]
            found["slopes"][at] = parts[0]
        state[:count] = kept + np.concatenate(parts, -1) @ weight
    return found | {"state": state, "cell": cell}
