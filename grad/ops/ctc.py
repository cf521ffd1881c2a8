"""Connectionist temporal classification: how likely a sequence of labels is, given for each time
the probability of each label or of none, wherever in time the labels lie.

ctc_paths.py adds up the ways in which they can lie. The gradient is that of logits, as in PyTorch:
it is right for log-probabilities that `log_softmax` has made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from grad.autograd.function import Context, Function
from grad.dtype import dtypes
from grad.engine.recording import recording
from grad.errors import ArgumentError, DTypeError, GradientError, ShapeError
from grad.graph.arrays import node_of
from grad.graph.host import host
from grad.graph.node import cast
from grad.ops.convert import array_view
from grad.ops.ctc_paths import ctc_gradients, ctc_losses
from grad.ops.promotion import accumulation_dtype, is_tensor, wrap
from grad.ops.registry import op

# PyTorch's numbers for `reduction`, which its function outside of nn.functional takes.
_REDUCTIONS = {0: "none", 1: "mean", 2: "sum"}


def _hosted(function: Callable[..., None], shape: Any, log_probs: Any, *rest: Any) -> Any:
    """What `function` makes of the batch, in the type of `log_probs`; halves in float32."""
    *sources, blank, zero_infinity = rest
    kind = accumulation_dtype(log_probs.dtype)
    given = [cast(log_probs.node, kind), *[source.node for source in sources]]
    found = host(function, given, shape, kind, blank, zero_infinity)
    return wrap(cast(found, log_probs.dtype))


class _Losses(Function):
    """The loss of each sequence, of log-probabilities (batch, time, class)."""

    @staticmethod
    def forward(ctx: Context, log_probs: Any, *rest: Any) -> Any:
        ctx.rest = rest
        ctx.save_for_backward(log_probs)
        return _hosted(ctc_losses, log_probs.shape[:1], log_probs, *rest)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (log_probs,) = ctx.saved_tensors
        slope = _Slope.apply(log_probs, *ctx.rest)
        return grad.reshape(-1, 1, 1) * slope, *[None] * len(ctx.rest)


class _Slope(Function):
    """The gradient of each loss, which has none of its own."""

    @staticmethod
    def forward(ctx: Context, log_probs: Any, *rest: Any) -> Any:
        return _hosted(ctc_gradients, log_probs.shape, log_probs, *rest)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        raise GradientError("ctc_loss: the derivative of its gradient is not implemented.")


# -- arguments -------------------------------------------------------------------------------------
def _lengths(name: str, given: Any, batch: int, most: int | None) -> Any:
    """Lengths as an int64 tensor of one for each sequence, none above `most`."""
    if is_tensor(given):
        if given.dtype.kind not in "iu":
            raise DTypeError(f"ctc_loss: {name} must be integral, got {given.dtype.name}.")
        lengths = given.detach().reshape(-1).to(dtypes.int64)
    elif isinstance(given, list | tuple):
        lengths = wrap(node_of(np.asarray(given, np.int64).reshape(-1), dtypes.int64))
    else:
        raise TypeError(f"ctc_loss: {name} must be a tensor or tuple of ints, got {given!r}.")
    if lengths.shape != (batch,):
        raise ShapeError(
            f"ctc_loss: {name} must be of size batch_size, {batch}, got {lengths.shape[0]}."
        )
    if recording.recorder is None:  # else they are looked at when they are known
        values = array_view(lengths)
        if batch and (values.min() < 0 or (most is not None and values.max() > most)):
            raise ShapeError(
                f"ctc_loss: Expected {name} to have value from 0 to {most}, got {values.tolist()}."
            )
    return lengths


def _in_rows(targets: Any, lengths: Any) -> Any:
    """Targets that lie one behind the other, as a row for each sequence."""
    values, counts = array_view(targets), array_view(lengths)
    if counts.sum() != len(values):
        raise ShapeError(
            f"ctc_loss: targets have {len(values)} elements, target_lengths add up to "
            f"{counts.sum()}."
        )
    rows = np.zeros((len(counts), counts.max(initial=0)), values.dtype)
    rows[np.arange(rows.shape[1]) < counts[:, None]] = values
    return wrap(node_of(rows, targets.dtype))


@op(function="ctc_loss", composite=True)
class CtcLoss:
    """Minus the log-probability of the labels `targets` for a time series of log-probabilities.

    Args:
        log_probs: by `log_softmax`, of shape ``(T, N, C)``, or ``(T, C)`` without a batch.
        targets: classes other than `blank`: ``(N, S)``, filled up at the end with anything, or one
            behind the other, ``(sum(target_lengths),)``.
        input_lengths, target_lengths: of each sequence, tensors or tuples of N ints.
        blank: the class that stands for no label.
        reduction: "none", "sum", or "mean": of each loss divided by its number of labels.
        zero_infinity: make losses 0 (and their gradients) that are infinite, since the labels do
            not fit into the time.

    Returns:
        one number, or with "none" one for each sequence.

    Raises:
        ShapeError: lengths or targets do not fit. ArgumentError: `blank` is no class.
        IndexOutOfRangeError: a target is no class, when the loss is computed.
    """

    @staticmethod
    def forward(
        log_probs: Any,
        targets: Any,
        input_lengths: Any,
        target_lengths: Any,
        blank: int = 0,
        reduction: str | int = "mean",
        zero_infinity: bool = False,
    ) -> Any:
        reduction = _REDUCTIONS.get(reduction, "") if isinstance(reduction, int) else reduction
        if reduction not in _REDUCTIONS.values():
            raise ArgumentError(f"ctc_loss: {reduction!r} is not a valid value for reduction.")
        if not log_probs.dtype.is_floating_point or len(log_probs.shape) not in (2, 3):
            raise ShapeError(
                f"ctc_loss: log_probs must be floating, of shape (T, N, C) or (T, C); got "
                f"{log_probs.dtype.name} of {tuple(log_probs.shape)}."
            )
        batched = log_probs.unsqueeze(1) if len(log_probs.shape) == 2 else log_probs
        times, batch, classes = batched.shape
        if not 0 <= blank < classes:
            raise ArgumentError(f"ctc_loss: blank must be in label range, 0 to {classes - 1}.")
        most = targets.shape[1] if len(targets.shape) == 2 else None
        inputs = _lengths("input_lengths", input_lengths, batch, times)
        lengths = _lengths("target_lengths", target_lengths, batch, most)
        rows = targets.detach() if most is not None else _in_rows(targets, lengths)
        if rows.shape[0] != batch:
            raise ShapeError(f"ctc_loss: Expected targets of {batch} rows, got {rows.shape[0]}.")
        losses = _Losses.apply(
            batched.transpose(0, 1), rows.to(dtypes.int64), inputs, lengths, blank, zero_infinity
        )
        if reduction == "sum":
            return losses.sum()
        if reduction == "mean":
            return (losses / lengths.clamp(min=1)).mean()
        return losses if len(log_probs.shape) == 3 else losses.squeeze(0)
