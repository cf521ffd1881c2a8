"""Attention in tensor methods, with all scores in memory: the form that has gradients of any order.

A product with weights that a mask makes zero would turn NaN and infinities behind the mask into
NaN. `Scores` and `Weighted` leave them out, and are each other's gradients. `attention.py` uses the
definition for gradients of gradients, and where an axis is empty.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from grad.autograd.function import Context, Function
from grad.dtype import dtypes
from grad.graph.node import iota, pointwise, reshape
from grad.graph.primitives import LT
from grad.ops.promotion import wrap


class Definition(NamedTuple):
    """``softmax(query @ key.mT * scale + mask) @ value`` and its gradients.

    Attributes:
        mask: bool (False: not attended to) or added to the scores; None.
        kept: what the weights are multiplied by at the end (dropout); None.
        group: heads of query that share one of key and value (`Attend.group`).
    """

    query: Any
    key: Any
    value: Any
    mask: Any
    kept: Any
    is_causal: bool
    scale: float
    group: int = 1

    def weights(self) -> Any:
        allowed = self.allowed()
        key = repeated_heads(self.key, self.group)
        scores = scores_of(self.query * self.scale, key, allowed)
        if self.mask is not None and self.mask.dtype is not dtypes.bool:
            scores = scores + self.mask
        if allowed is not None:
            scores = scores.masked_fill(~allowed, -math.inf)
        # A row that attends to nothing gives zeros, and no gradient.
        nothing = (scores == -math.inf).all(-1, keepdim=True)
        return scores.masked_fill(nothing, 0.0).softmax(-1).masked_fill(nothing, 0.0)

    def allowed(self) -> Any:
        """Which row may attend to which key; None if all to all."""
        rows, columns = self.query.shape[-2], self.key.shape[-2]
        allowed = None
        if self.mask is not None:
            mask = self.mask.detach()
            allowed = mask if mask.dtype is dtypes.bool else mask != -math.inf
            allowed = allowed.expand(*mask.shape[:-2], rows, columns)
        if self.is_causal:
            lower = causal(rows, columns)
            allowed = lower if allowed is None else allowed & lower
        return allowed

    def result(self) -> Any:
        value = repeated_heads(self.value, self.group)
        return weighted_sum(self.dropped(self.weights()), value, self.allowed())

    def dropped(self, weights: Any) -> Any:
        """After dropout: zero where it drops a weight, whatever that was."""
        if self.kept is None:
            return weights
        return (weights * self.kept).masked_fill(self.kept == 0, 0.0)

    def of_scores(self, slope: Any) -> Any:
        """The gradient of the scores, and so of a floating mask, when `slope` is the result's."""
        weights, allowed = self.weights(), self.allowed()
        of_weights = scores_of(slope, repeated_heads(self.value, self.group), allowed)
        if self.kept is not None:  # NaN stays NaN here, as it does in the result of the row
            of_weights = of_weights * self.kept
        found = weights * (of_weights - (weights * of_weights).sum(-1, keepdim=True))
        return found if allowed is None else found.masked_fill(~allowed, 0.0)

    def gradients(self, slope: Any) -> tuple[Any, ...]:
        """Of query, key, value and a floating mask, when that of the result is `slope`."""
        of_scores, allowed = self.of_scores(slope), self.allowed()
        across = None if allowed is None else allowed.mT
        key = repeated_heads(self.key, self.group)
        dropped = self.dropped(self.weights())
        return (
            weighted_sum(of_scores, key, allowed) * self.scale,
            _summed_heads(weighted_sum(of_scores.mT, self.query, across) * self.scale, self.group),
            _summed_heads(weighted_sum(dropped.mT, slope, across), self.group),
            of_scores,
        )


def causal(rows: int, columns: int) -> Any:
    """Where a row may attend to a column that does not come after it."""
    return ~wrap(pointwise(LT, reshape(iota(rows), (rows, 1)), iota(columns)))


def scores_of(rows: Any, columns: Any, allowed: Any) -> Any:
    """``rows @ columns.mT``, zero where not `allowed` (None: everywhere)."""
    return rows @ columns.mT if allowed is None else Scores.apply(rows, columns, allowed)


def weighted_sum(weights: Any, values: Any, allowed: Any) -> Any:
    """``weights @ values`` over what is `allowed` (None: everything)."""
    return weights @ values if allowed is None else Weighted.apply(weights, values, allowed)


class Scores(Function):
    """``rows @ columns.mT``, zero where not allowed."""

    @staticmethod
    def forward(ctx: Context, rows: Any, columns: Any, allowed: Any) -> Any:
        ctx.save_for_backward(rows, columns, allowed)
        return (rows @ columns.mT).masked_fill(~allowed, 0.0)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        rows, columns, allowed = ctx.saved_tensors
        of_rows = Weighted.apply(grad, columns, allowed)
        return of_rows, Weighted.apply(grad.mT, rows, allowed.mT), None


class Weighted(Function):
    """``weights @ values``, where what is not allowed is left out rather than multiplied by zero.

    Values that are not finite are left out of the product; another one counts those that a weight
    meets, whose sums are NaN.
    """

    @staticmethod
    def forward(ctx: Context, weights: Any, values: Any, allowed: Any) -> Any:
        ctx.save_for_backward(weights, values, allowed)
        weights = weights.masked_fill(~allowed, 0.0)
        special = ~values.isfinite()
        met = allowed.to(weights.dtype) @ special.to(weights.dtype)
        result = weights @ values.masked_fill(special, 0.0)
        return result.masked_fill(met != 0, math.nan)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        weights, values, allowed = ctx.saved_tensors
        of_weights = Scores.apply(grad, values, allowed)
        return of_weights, Weighted.apply(weights.mT, grad, allowed.mT), None


def repeated_heads(tensor: Any, group: int) -> Any:
    """`tensor` with each of its heads `group` times."""
    if group == 1:
        return tensor
    *lead, heads, length, size = tensor.shape
    spread = tensor.unsqueeze(-3).expand(*lead, heads, group, length, size)
    return spread.reshape(*lead, heads * group, length, size)


def _summed_heads(tensor: Any, group: int) -> Any:
    """The sum over the heads of each group."""
    if group == 1:
        return tensor
    *lead, heads, length, size = tensor.shape
    return tensor.reshape(*lead, heads // group, group, length, size).sum(-3)
