"""The inverse gamma distribution: reciprocals of numbers of the gamma law."""

from __future__ import annotations

import math
from typing import Any

from grad.distributions import constraints
from grad.distributions.gamma import Gamma
from grad.distributions.transformed_distribution import TransformedDistribution
from grad.distributions.transforms import PowerTransform
from grad.tensor import Tensor


class InverseGamma(TransformedDistribution):
    """``1 / x`` for numbers x of ``Gamma(concentration, rate)``.

    Example:
        >>> InverseGamma(3.0, 1.0).mean
        tensor(0.5000)
    """

    arg_constraints = {"concentration": constraints.positive, "rate": constraints.positive}
    support: Any = constraints.positive

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None) -> None:
        base = Gamma(concentration, rate, validate_args=validate_args)
        inverse = PowerTransform(-base.rate.new_ones(()))
        super().__init__(base, inverse, validate_args)

    @property
    def concentration(self) -> Tensor:
        """That of the numbers x."""
        return self.base_dist.concentration

    @property
    def rate(self) -> Tensor:
        """That of the numbers x."""
        return self.base_dist.rate

    @property
    def mean(self) -> Tensor:
        """Infinite for a concentration of 1 or less."""
        a = self.concentration
        return (self.rate / (a - 1)).masked_fill(a <= 1, math.inf)

    @property
    def mode(self) -> Tensor:
        return self.rate / (self.concentration + 1)

    @property
    def variance(self) -> Tensor:
        """Infinite for a concentration of 2 or less."""
        a = self.concentration
        found = self.rate.square() / ((a - 1).square() * (a - 2))
        return found.masked_fill(a <= 2, math.inf)

    def entropy(self) -> Tensor:
        a = self.concentration
        return a + self.rate.log() + a.lgamma() - (1 + a) * a.digamma()
