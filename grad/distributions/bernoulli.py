"""The distribution of Bernoulli: 1 or 0."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from grad.autograd.modes import no_grad
from grad.distributions import constraints
from grad.distributions.odds import Odds
from grad.distributions.utils import broadcast_all
from grad.dtype import dtypes
from grad.nn.functional import binary_cross_entropy_with_logits
from grad.ops.creators import CREATORS
from grad.tensor import Tensor
from grad.utils.size import Size


class Bernoulli(Odds):
    """1 with probability `probs` (or log odds `logits`), else 0.

    Example:
        >>> Bernoulli(grad.tensor([0.0, 1.0])).sample()
        tensor([0., 1.])
    """

    support = constraints.boolean
    has_enumerate_support = True

    def __init__(
        self, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        super().__init__(self._take(probs, logits), validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def mode(self) -> Tensor:
        return (self.probs >= 0.5).to(self.probs.dtype).masked_fill(self.probs == 0.5, math.nan)

    @property
    def variance(self) -> Tensor:
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Iterable[int] = Size()) -> Tensor:
        with no_grad():
            # Halves would know few numbers below 1.
            wide = dtypes.float64 if self.probs.dtype is dtypes.float64 else dtypes.float32
            uniform = CREATORS["rand"](self._extended_shape(sample_shape), dtype=wide)
            return (uniform < self.probs).to(self.probs.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        return -binary_cross_entropy_with_logits(logits, value, reduction="none")

    def entropy(self) -> Tensor:
        return binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")

    def enumerate_support(self, expand: bool = True) -> Tensor:
        values = CREATORS["arange"](2, dtype=self._param.dtype)
        values = values.reshape(-1, *[1] * len(self._batch_shape))
        return values.expand(-1, *self._batch_shape) if expand else values
