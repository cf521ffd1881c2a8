"""Recurrences whose sizes meet every border of the kernels, compared with the definition in NumPy.

`check_all` is called by recurrence_test.py in its own process, on lesser CPUs and with operands
that end where memory ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

import grad
from grad.graph import recurrence as definition
from grad.graph.recurrence import GATES, Recur
from grad.ops.recurrence import Recurrence

Array = np.ndarray[Any, Any]
Make = Callable[[Array], Any]


class Case(NamedTuple):
    """Kind, steps, sequences, hidden numbers, direction, rows of each step if packed."""

    kind: str
    steps: int
    batch: int
    hidden: int
    backwards: bool = False
    rows: tuple[int, ...] | None = None
    cells_matter: bool = False
    dtype: type = np.float32
    alone: bool = False  # the one step is no axis


CASES = [
    Case("tanh", 1, 1, 1),
    Case("tanh", 3, 9, 16),
    Case("relu", 4, 2, 17, True),
    Case("relu", 2, 50, 5),
    Case("lstm", 1, 1, 3),
    Case("lstm", 3, 7, 16, cells_matter=True),
    Case("lstm", 3, 4, 33, True, cells_matter=True),
    Case("lstm", 2, 8, 48),
    Case("lstm", 2, 130, 20, cells_matter=True),
    Case("lstm", 3, 6, 9, True, dtype=np.float64),
    Case("gru", 3, 3, 16),
    Case("gru", 2, 2, 35, True),
    Case("gru", 2, 17, 7, dtype=np.float64),
    Case("gru", 4, 24, 31),
    Case("tanh", 3, 9, 5, False, (9, 9, 2)),
    Case("relu", 4, 20, 4, True, (20, 12, 5, 1)),
    Case("lstm", 4, 20, 18, False, (20, 12, 5, 1), True),
    Case("lstm", 4, 20, 18, True, (20, 12, 5, 1), True),
    Case("gru", 3, 11, 16, True, (11, 8, 8)),
    Case("gru", 3, 11, 9, False, (11, 8, 1)),
    Case("lstm", 1, 19, 20, cells_matter=True, alone=True),
    Case("gru", 1, 3, 17, alone=True),
]


def operands(case: Case) -> dict[str, Array]:
    random = np.random.default_rng(case.steps * 7 + case.hidden)
    lead = (case.steps, case.batch) if case.rows is None else (sum(case.rows),)
    lead = lead[1:] if case.alone else lead
    gates = GATES[case.kind] * case.hidden
    shapes: dict[str, tuple[int, ...]] = {
        "projected": (*lead, gates),
        "weight": (gates, case.hidden),
        "state": (case.batch, case.hidden),
    }
    if case.kind == "lstm":
        shapes["cell"] = (case.batch, case.hidden)
    if case.kind == "gru":
        shapes["bias"] = (case.hidden,)
    arrays = {name: random.normal(size=shape) for name, shape in shapes.items()}
    arrays["weight"] /= np.sqrt(case.hidden)
    arrays["slope"] = random.normal(size=(*lead, case.hidden))
    arrays["cell_slope"] = random.normal(size=(*lead, case.hidden))
    return {name: array.astype(case.dtype) for name, array in arrays.items()}


def places_before(case: Case) -> list[int]:
    """For each row of a sequence the row of ``[first, sequence]`` that came before it."""
    counts = case.rows or (case.batch,) * case.steps
    starts = np.concatenate([[0], np.cumsum(counts)])
    found = []
    for step, count in enumerate(counts):
        other = step + 1 if case.backwards else step - 1
        for number in range(count):
            inside = 0 <= other < case.steps and number < counts[other]
            found.append(case.batch + int(starts[other]) + number if inside else number)
    return found


def expected(case: Case, arrays: dict[str, Array]) -> dict[str, Array]:
    """States, cells and all gradients."""
    packed = case.rows is not None
    how = Recur(
        case.kind, case.backwards, case.kind == "gru", packed, case.cells_matter, case.batch, ""
    )
    counts = case.rows or (case.batch,) * case.steps
    starts = np.concatenate([[0], np.cumsum(counts)])
    given = {**arrays, "starts": starts}
    found = definition.forward(how, given)
    hidden, places = case.hidden, places_before(case)

    def before(first: str, sequence: str) -> Array:
        rows = np.concatenate([arrays[first], found[sequence].reshape(-1, hidden)])
        return rows[places]

    states_before = before("state", "states")
    lead = arrays["slope"].shape[:-1]
    saved = before("cell", "cells") if case.kind == "lstm" else states_before
    slopes = definition.gradient(how, {**given, **found, "before": saved.reshape(*lead, hidden)})
    flat = slopes["slopes"].reshape(-1, arrays["weight"].shape[0])
    if case.kind == "gru":
        inner = slopes["inner"].reshape(-1, hidden)
        flat = np.concatenate([flat[:, : 2 * hidden], inner], 1)
        slopes["bias"] = inner.sum(0)
    result = {"states": found["states"], "of_projected": slopes["slopes"]}
    result |= {"of_weight": flat.T @ states_before, "of_state": slopes["state"]}
    if case.kind == "lstm":
        result |= {"cells": found["cells"], "of_cell": slopes["cell"]}
    if case.kind == "gru":
        result |= {"of_bias": slopes["bias"]}
    return result


def computed(
    case: Case, arrays: dict[str, Array], make: Make, create_graph: bool = False
) -> dict[str, Array]:
    tensors = {name: make(array) for name, array in arrays.items()}
    names = [n for n in ("projected", "weight", "state", "cell", "bias") if n in tensors]
    sources = [tensors[name].requires_grad_() for name in names]
    given = [tensors.get(name) for name in ("projected", "weight", "state", "cell", "bias")]
    states, cells = Recurrence.apply(*given, case.kind, case.backwards, case.rows)
    roots, slopes = [states], [tensors["slope"]]
    if case.cells_matter:
        roots, slopes = [states, cells], [tensors["slope"], tensors["cell_slope"]]
    found = grad.autograd.grad(roots, sources, slopes, create_graph=create_graph)
    result = {"states": states, **{f"of_{n}": g for n, g in zip(names, found, strict=True)}}
    if cells is not None:
        result["cells"] = cells
    return {name: tensor.detach().numpy() for name, tensor in result.items()}


def check(case: Case, make: Make, create_graph: bool = False) -> None:
    arrays = operands(case)
    tolerance = 5e-5 if case.dtype is np.float32 else 1e-11
    wanted, found = expected(case, arrays), computed(case, arrays, make, create_graph)
    assert wanted.keys() == found.keys()
    for name, array in wanted.items():
        np.testing.assert_allclose(
            found[name], array, rtol=tolerance, atol=tolerance, err_msg=f"{name} of {case}"
        )


def check_all(make: Make, cases: Sequence[Case] = CASES) -> None:
    for case in cases:
        check(case, make)
