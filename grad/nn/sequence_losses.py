"""Losses of sequences. `ops/ctc.py` computes them."""

from __future__ import annotations

from typing import Any

from grad.ops.registry import REGISTRY
from grad.tensor import Tensor


def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """Minus the log-probability of labels whose times are not known.

    Log-probabilities ``(T, N, C)``, targets ``(N, S)``, lengths ``(N,)``; the reference of
    `grad.ctc_loss` has the details.
    """
    return REGISTRY["ctc_loss"](
        log_probs, targets, input_lengths, target_lengths, blank, reduction, zero_infinity
    )
