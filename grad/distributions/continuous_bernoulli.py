"""The continuous distribution of Bernoulli: its likelihood, for all numbers between 0 and 1.

Loaiza-Ganem, Cunningham, "The continuous Bernoulli: fixing a pervasive error in variational
autoencoders", NeurIPS 2019. Its formulas are 0 / 0 at a probability of one half; between `lims`
their series in ``x = probs - 1 / 2`` are taken instead.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from grad.distributions import constraints
from grad.distributions.odds import Odds
from grad.distributions.utils import broadcast_all, clamp_probs
from grad.nn.functional import binary_cross_entropy_with_logits
from grad.ops.creators import CREATORS
from grad.tensor import Tensor
from grad.utils.size import Size


class ContinuousBernoulli(Odds):
    """Numbers between 0 and 1, of a density in proportion to
    ``probs ** x * (1 - probs) ** (1 - x)``.

    Args:
        lims: where `probs` counts as near to one half.

    Example:
        >>> ContinuousBernoulli(grad.tensor(0.5)).mean
        tensor(0.5000)
    """

    support = constraints.unit_interval
    has_rsample = True

    def __init__(
        self,
        probs: Any = None,
        logits: Any = None,
        lims: tuple[float, float] = (0.499, 0.501),
        validate_args: bool | None = None,
    ) -> None:
        super().__init__(self._take(probs, logits), validate_args=validate_args)
        self._lims = lims
        if "probs" in self.__dict__:
            self.probs = clamp_probs(self.probs)

    def _near_half(self) -> tuple[Tensor, Tensor, Tensor]:
        """Where `probs` is near to one half, how far it is from there, and `probs` elsewhere."""
        low, high = self._lims
        near = (self.probs > low) & (self.probs <= high)
        return near, (self.probs - 0.5).where(near, 0.0), self.probs.masked_fill(near, low)

    def _log_norm(self) -> Tensor:
        """The logarithm of what makes the density's integral 1."""
        near, x, p = self._near_half()
        found = (p.log() - (-p).log1p()).abs().log() - (1 - 2 * p).abs().log()
        squared = x.square()
        return (math.log(2) + (4 / 3 + 104 / 45 * squared) * squared).where(near, found)

    @property
    def mean(self) -> Tensor:
        near, x, p = self._near_half()
        found = p / (2 * p - 1) + 1 / ((-p).log1p() - p.log())
        return (0.5 + (1 / 3 + 16 / 45 * x.square()) * x).where(near, found)

    @property
    def variance(self) -> Tensor:
        near, x, p = self._near_half()
        found = p * (p - 1) / (1 - 2 * p).square() + 1 / ((-p).log1p() - p.log()).square()
        squared = x.square()
        return (1 / 12 - (1 / 15 - 128 / 945 * squared) * squared).where(near, found)

    def rsample(self, sample_shape: Iterable[int] = Size()) -> Tensor:
        shape, dtype = self._extended_shape(sample_shape), self._param.dtype
        return self.icdf(CREATORS["rand"](shape, dtype=dtype))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        likelihood = -binary_cross_entropy_with_logits(logits, value, reduction="none")
        return likelihood + self._log_norm()

    def cdf(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        near, _, p = self._near_half()
        found = (p**value * (1 - p) ** (1 - value) + p - 1) / (2 * p - 1)
        return value.where(near, found).clamp(0, 1)

    def icdf(self, value: Tensor) -> Tensor:
        near, _, p = self._near_half()
        below = (-p).log1p()
        found = ((-p + value * (2 * p - 1)).log1p() - below) / (p.log() - below)
        return value.where(near, found)

    def entropy(self) -> Tensor:
        return -(self.mean * self.logits + (-self.probs).log1p() + self._log_norm())
