"""Recurrent cells over all steps: one node of the graph forward, and one backward.

`Recurrence` makes the nodes, whose kernels run over time by themselves (graph/recurrence.py), so a
layer costs as many nodes for a thousand steps as for one. Gradients of gradients, and what the
kernels leave out, go through the definition (recurrence_definition.py). The weight's gradient is
one product over all steps.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from grad.autograd.engine import gradients
from grad.autograd.function import Context, Function
from grad.autograd.modes import enable_grad, mode
from grad.dtype import dtypes
from grad.engine.recording import recording
from grad.graph.arrays import table_of
from grad.graph.recurrence import Recur, gradient_nodes, recurrence_nodes
from grad.ops.promotion import accumulation_dtype, wrap, zeros_like
from grad.ops.recurrence_definition import Step, walk
from grad.ops.registry import REGISTRY

Rows = tuple[int, ...]


def recurrence(
    step: Step, projected: Any, state: Any, cell: Any, backwards: bool, rows: Rows | None
) -> tuple[Any, Any, Any]:
    """Outputs, last state and last cell of `step` at all steps.

    Args:
        projected: ``(steps, batch, gates * hidden)``, ``(batch, gates * hidden)`` for one step;
            with `rows`, packed.
        state, cell: ``(batch, ...)`` before the first step; cell None but for a lstm.
        rows: how many sequences have each step, of packed ones.
    """
    if _stands_in() or not math.prod(projected.shape):
        states, cells = walk(step, projected, state, cell, backwards, rows)
        return states, _last(states, backwards, rows), _last(cells, backwards, rows)
    if step.projection is not None:
        return _projecting(step, projected, state, cell, backwards, rows)
    dtype = _result_dtype(step, projected, state, cell)
    wide = accumulation_dtype(dtype)
    given = [
        t if t is None or t.dtype is wide else t.to(wide)
        for t in (projected, step.weight, state, cell, step.bias)
    ]
    states, cells = Recurrence.apply(*given, step.kind, backwards, rows)
    if dtype is not wide:
        states, cells = states.to(dtype), None if cells is None else cells.to(dtype)
    return states, _last(states, backwards, rows), _last(cells, backwards, rows)


def _result_dtype(step: Step, projected: Any, state: Any, cell: Any) -> Any:
    """Inside `autocast`, where what is projected is narrow, these have the type of the state (gru)
    or of the cell (one step of a lstm), as in PyTorch.
    """
    dtype = projected.dtype
    other = state if step.kind == "gru" else cell if len(projected.shape) == 2 else None
    return dtype if other is None or other.dtype.itemsize <= dtype.itemsize else other.dtype


def _projecting(
    step: Step, projected: Any, state: Any, cell: Any, backwards: bool, rows: Rows | None
) -> tuple[Any, Any, Any]:
    """A lstm that projects its states, as one that does not: ``weight @ (projection @ hidden)`` is
    ``(weight @ projection) @ hidden``. States are projected afterwards, all at once.
    """
    dtype = projected.dtype
    wide = accumulation_dtype(dtype)
    weight, projection = step.weight.to(wide), step.projection.to(wide)
    # The state at the beginning is no projection of anything: it is part of what is projected.
    start = state.to(wide) @ weight.mT
    projected = _added_first(projected.to(wide), start, backwards, rows)
    plain, cell = Step(step.kind, weight @ projection), cell.to(wide)
    hidden, _, cell = recurrence(plain, projected, zeros_like(cell), cell, backwards, rows)
    states = (hidden @ projection.mT).to(dtype)
    return states, _last(states, backwards, rows), cell.to(dtype)


def _added_first(sequence: Any, amounts: Any, backwards: bool, rows: Rows | None) -> Any:
    """`sequence` with `amounts` added at the first step of each of the batch."""
    if rows is None:
        if len(sequence.shape) == 2:
            return sequence + amounts
        first = sequence.shape[0] - 1 if backwards else 0
        return sequence.index_add(0, _numbers([first]), amounts.unsqueeze(0))
    places = _last_places(rows) if backwards else np.arange(rows[0])
    return sequence.index_add(0, _numbers(places), amounts)


def _stands_in() -> bool:
    """Whether the values may be stand-ins for a batch of them (grad/func)."""
    return recording.recorder is not None and recording.recorder.stands_in


def _last(sequence: Any, backwards: bool, rows: Rows | None) -> Any:
    """``(batch, ...)``: the elements of the last step of each sequence; None of None."""
    if sequence is None:
        return None
    if rows is None:
        if len(sequence.shape) == 2:
            return sequence
        return sequence[0 if backwards else -1]
    if backwards:
        return sequence[: rows[0]]
    return sequence.index_select(0, _numbers(_last_places(rows)))


def _last_places(rows: Rows) -> np.ndarray[Any, Any]:
    """Where the last step of each packed sequence is."""
    numbers = np.arange(rows[0])
    lengths = (numbers < np.asarray(rows)[:, None]).sum(0)
    return _starts(rows)[lengths - 1] + numbers


def _starts(rows: Rows) -> np.ndarray[Any, Any]:
    return np.concatenate([[0], np.cumsum(rows)])


def _numbers(values: Any) -> Any:
    return wrap(table_of(np.asarray(values, np.int64), dtypes.int64))


def _before(first: Any, sequence: Any, backwards: bool, rows: Rows | None) -> Any:
    """What came before each step: `first`, then the elements of `sequence`."""
    cat = REGISTRY["cat"]
    if rows is None:
        if len(sequence.shape) == 2:
            return first
        start = first.unsqueeze(0)
        parts = (sequence[1:], start) if backwards else (start, sequence[:-1])
        return cat(parts, 0)
    counts, starts = np.asarray(rows), _starts(rows)
    batch = rows[0]
    step = np.repeat(np.arange(len(rows)), counts)
    number = np.arange(starts[-1]) - starts[step]  # of the sequence
    neighbour = step + 1 if backwards else step - 1
    inside = (neighbour >= 0) & (neighbour < len(rows))
    neighbour = np.where(inside, neighbour, 0)
    inside &= number < counts[neighbour]
    places = np.where(inside, batch + starts[neighbour] + number, number)
    return cat((first, sequence), 0).index_select(0, _numbers(places))


class Recurrence(Function):
    """States, and cells of a lstm (else None), at all steps; operands of one type."""

    @staticmethod
    def forward(
        ctx: Context,
        projected: Any,
        weight: Any,
        state: Any,
        cell: Any,
        bias: Any,
        kind: str,
        backwards: bool,
        rows: Rows | None,
    ) -> tuple[Any, Any]:
        packed, biased = rows is not None, bias is not None
        how = Recur(kind, backwards, biased, packed, False, state.shape[0], "")
        starts = _numbers(_starts(rows)) if rows is not None else None
        tensors = (projected, weight, state, cell, bias, starts)
        found = recurrence_nodes(tuple(t.node for t in tensors if t is not None), how)
        results = {part: wrap(node) for part, node in found.items()}
        ctx.how, ctx.rows = how, rows
        saved = (results["states"], results.get("cells"), results.get("gates"))
        ctx.save_for_backward(projected, weight, state, cell, bias, starts, *saved)
        ctx.set_materialize_grads(False)
        return results["states"], results.get("cells")

    @staticmethod
    def backward(ctx: Context, slope: Any, cell_slope: Any = None) -> Any:
        if slope is None and cell_slope is None:
            return (None,) * 8
        if mode.enabled or _stands_in():
            return (*_defined_gradients(ctx, slope, cell_slope), None, None, None)
        _, weight, state, cell, _, starts, states, cells, gates = ctx.saved_tensors
        how: Recur = ctx.how._replace(cell_slope=cell_slope is not None)
        if slope is None:
            slope = zeros_like(states)
        before = _before(state, states, how.backwards, ctx.rows)
        saved = {
            "gates": gates,
            "cells": cells,
            "states": states,
            "before": before if cell is None else _before(cell, cells, how.backwards, ctx.rows),
            "weight": weight,
            "slope": slope,
            "cell_slope": cell_slope,
            "starts": starts,
        }
        sources = tuple(saved[name].node for name in how.gradient_operands)
        found = {part: wrap(node) for part, node in gradient_nodes(sources, how).items()}
        slopes, inner = found["slopes"], found.get("inner")
        of_weight = _weight_gradient(slopes, inner, before)
        of_bias = None if inner is None else inner.reshape(-1, inner.shape[-1]).sum(0)
        return slopes, of_weight, found["state"], found.get("cell"), of_bias, None, None, None


def _weight_gradient(slopes: Any, inner: Any, before: Any) -> Any:
    """``(gates * hidden, hidden)``: the sum over all steps and sequences."""
    rows = before.reshape(-1, before.shape[-1])
    flat = slopes.reshape(-1, slopes.shape[-1])
    if inner is None:
        return flat.mT @ rows
    hidden = inner.shape[-1]
    last = inner.reshape(-1, hidden).mT @ rows
    return REGISTRY["cat"]((flat[:, : 2 * hidden].mT @ rows, last), 0)


def _defined_gradients(ctx: Context, slope: Any, cell_slope: Any) -> list[Any]:
    """The gradients by the definition, which is run again: gradients that have gradients."""
    create_graph = mode.enabled
    wanted = [i for i, needed in enumerate(ctx.needs_input_grad[:5]) if needed]
    with enable_grad():
        # Copies, since one operand may depend on another.
        given = [t if t is None else (t * 1).requires_grad_() for t in ctx.saved_tensors[:5]]
        projected, weight, state, cell, bias = given
        step = Step(ctx.how.kind, weight, bias)
        states, cells = walk(step, projected, state, cell, ctx.how.backwards, ctx.rows)
        roots = [(s, g) for s, g in ((states, slope), (cells, cell_slope)) if g is not None]
        found = gradients(
            [root for root, _ in roots],
            [given[i] for i in wanted],
            [arrived for _, arrived in roots],
            create_graph=create_graph,
            allow_unused=True,
        )
    results: list[Any] = [None] * 5
    for i, gradient in zip(wanted, found, strict=True):
        results[i] = gradient
    return results
