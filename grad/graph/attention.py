"""Attention as a value of the graph: what it computes, in NumPy, and the nodes for it.

One forward pass has two results, the output and two numbers a row that the backward pass needs; a
backward pass has three. Each result is a node of its own (its `Attend.part`); nodes that differ in
nothing else are computed by one kernel (schedule/group.py). docs/design/015 has the reasons.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from grad.graph import reference
from grad.graph.node import Node
from grad.graph.primitives import ATTENTION, ATTENTION_GRADIENT

Array = np.ndarray[Any, Any]


class Attend(NamedTuple):
    """What an attention node needs besides its sources.

    The sources of `ATTENTION` are query, key and value; then, if `masked`, a mask of shape
    (..., L, S), bool or floating; then, if `dropout`, the key of random numbers (uint64). The
    values have the rows as their last source, so that whoever computes them finds out whether the
    rows are wanted too. `ATTENTION_GRADIENT` has the output, its rows and its gradient behind
    value.

    Attributes:
        scale: factor of the scores. is_causal: row i attends to columns up to i.
        dropout: probability that a weight is dropped; its random number is that of its position.
        group: heads of the query, side by side on the last leading axis, that share one head of
            key and value; all other leading axes are equal.
        part: "values" (..., L, Ev) or "rows" (..., L, 2): largest score times log2(e) and 1 / sum
            of the row; of the gradient: "query", "key", "value" or, (..., L, S), "mask". If
            causal, the kernel leaves that of columns after the row undefined.
    """

    scale: float
    is_causal: bool
    masked: bool
    dropout: float
    group: int
    part: str

    @property
    def operands(self) -> tuple[str, ...]:
        """Names of the sources of `ATTENTION`, in order."""
        names = ("query", "key", "value")
        names += ("mask",) * self.masked + ("random",) * (self.dropout > 0)
        return names + ("rows",) * (self.part == "values")

    @property
    def gradient_operands(self) -> tuple[str, ...]:
        """Names of the sources of `ATTENTION_GRADIENT`, in order."""
        first = self._replace(part="rows").operands
        return (*first[:3], "output", "rows", "slope", *first[3:])

    @property
    def companions(self) -> int:
        """How many sources at the end are other results."""
        return 1 if self.part == "values" else 0


GRADIENT_PARTS = ("query", "key", "value")


def attention_nodes(sources: tuple[Node, ...], how: Attend) -> tuple[Node, Node]:
    """Output and rows. Leading axes fit already, and types are equal."""
    query, _, value, *_ = sources
    lead = query.shape[:-1]
    rows = Node(ATTENTION, sources, how._replace(part="rows"), (*lead, 2), query.dtype)
    shape = (*lead, value.shape[-1])
    how = how._replace(part="values")
    return Node(ATTENTION, (*sources, rows), how, shape, query.dtype), rows


def gradient_nodes(
    sources: tuple[Node, ...],
    output: Node,
    rows: Node,
    slope: Node,
    how: Attend,
    parts: tuple[str, ...] = GRADIENT_PARTS,
) -> tuple[Node, ...]:
    """The gradients `parts`; `sources` are those of the forward pass, a mask among them."""
    everything = (*sources[:3], output, rows, slope, *sources[3:])
    sized: dict[str, Node] = dict(zip(("query", "key", "value", "mask"), sources, strict=False))
    return tuple(
        Node(
            ATTENTION_GRADIENT, everything, how._replace(part=part), sized[part].shape, output.dtype
        )
        for part in parts
    )


LOG2_E = math.log2(math.e)


# -- the definition --------------------------------------------------------------------------------
def forward(how: Attend, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Output and rows, computed in float64."""
    scores = _scores(how, arrays)
    peak = np.max(scores, axis=-1, keepdims=True, initial=-np.inf)
    peak = np.where(peak == -np.inf, 0, peak)
    weights = np.exp2(scores - peak)
    total = weights.sum(-1, keepdims=True)
    inverse = np.divide(1, total, out=np.zeros_like(total), where=total != 0)
    dropped = _drop(weights, _kept(how, arrays, scores.shape))
    rows = np.concatenate([peak, inverse], axis=-1)
    value = _spread(how, arrays["value"]).astype(np.float64)
    return {"values": weighted(dropped, _allowed(how, arrays), value) * inverse, "rows": rows}


def gradient(how: Attend, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Gradients of query, key, value and an added mask, computed in float64."""
    query, slope, output, rows = (
        arrays[name].astype(np.float64) for name in ("query", "slope", "output", "rows")
    )
    key, value = (_spread(how, arrays[name]).astype(np.float64) for name in ("key", "value"))
    scores = _scores(how, arrays)
    kept = _kept(how, arrays, scores.shape)
    weights = np.exp2(scores - rows[..., :1]) * rows[..., 1:]
    inner = (slope * output).sum(-1, keepdims=True)
    of_scores = weights * (_drop(slope @ np.swapaxes(value, -1, -2), kept) - inner)
    allowed = _allowed(how, arrays)
    across = None if allowed is None else np.swapaxes(allowed, -1, -2)
    dropped = _drop(weights, kept)
    of_scores = of_scores if allowed is None else np.where(allowed, of_scores, 0)
    of_key = weighted(np.swapaxes(of_scores, -1, -2), across, query)
    return {
        "query": weighted(of_scores, allowed, key) * how.scale,
        "key": _gathered(how, of_key * how.scale),
        "value": _gathered(how, weighted(np.swapaxes(dropped, -1, -2), across, slope)),
        "mask": of_scores,
    }


def _allowed(how: Attend, arrays: Mapping[str, Array]) -> Array | None:
    """Which rows may attend to which keys, if not all to all."""
    allowed = None
    if how.masked:
        mask = arrays["mask"]
        allowed = mask if mask.dtype == bool else mask != -np.inf
    if how.is_causal:
        lower = np.tri(arrays["query"].shape[-2], arrays["key"].shape[-2], dtype=bool)
        allowed = lower if allowed is None else allowed & lower
    return allowed


def weighted(weights: Array, allowed: Array | None, values: Array) -> Array:
    """``weights @ values``, where what is not allowed is left out rather than multiplied by 0."""
    if allowed is None:
        return weights @ values
    weights = np.where(allowed, weights, 0)
    if np.isfinite(values).all():
        return weights @ values
    terms = weights[..., :, :, None] * values[..., None, :, :]
    return np.where(allowed[..., None], terms, 0).sum(-2)


def _spread(how: Attend, array: Array) -> Array:
    """Key or value with a head for each head of the query."""
    return array if how.group == 1 else np.repeat(array, how.group, axis=-3)


def _gathered(how: Attend, gradient: Array) -> Array:
    """The sum over the heads of each group."""
    if how.group == 1:
        return gradient
    *lead, heads, length, size = gradient.shape
    return gradient.reshape(*lead, heads // how.group, how.group, length, size).sum(-3)


def _scores(how: Attend, arrays: Mapping[str, Array]) -> Array:
    """Scores times log2(e), -inf where a row may not attend to a key, whatever is there.

    A finite mask stays finite: its least number is no infinity.
    """
    query, key = arrays["query"].astype(np.float64), _spread(how, arrays["key"]).astype(np.float64)
    scores = query @ np.swapaxes(key, -1, -2) * (how.scale * LOG2_E)
    if how.masked:
        mask = arrays["mask"]
        if mask.dtype == bool:
            scores = np.where(mask, scores, -np.inf)
        else:
            lowest = np.finfo(mask.dtype).min
            finite = np.maximum(mask.astype(np.float64) * LOG2_E, lowest)
            scores = np.where(mask == -np.inf, -np.inf, scores + finite)
    if how.is_causal:
        scores = np.where(np.tri(*scores.shape[-2:], dtype=bool), scores, -np.inf)
    return scores


def _drop(weights: Array, kept: Any) -> Array:
    """Weights after dropout: zero where it drops them, NaN or not."""
    return np.where(kept == 0, 0, weights * kept)


def _kept(how: Attend, arrays: Mapping[str, Array], shape: tuple[int, ...]) -> Any:
    """0 where a weight is dropped, else what keeps the mean; the numbers of `uniform_node`."""
    if not how.dropout:
        return 1.0
    counter = np.arange(math.prod(shape), dtype=np.uint64)
    bits = reference.threefry(np.asarray(arrays["random"], np.uint64), counter)
    fraction = (bits >> np.uint64(40)).astype(np.float32) * np.float32(2.0**-24)
    factor = 1 / (1 - how.dropout) if how.dropout < 1 else 0.0
    return (fraction >= np.float32(how.dropout)).reshape(shape) * factor
