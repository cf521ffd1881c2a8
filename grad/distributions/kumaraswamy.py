"""The distribution of Kumaraswamy: much like the beta distribution, with a simple quantile."""

from __future__ import annotations

import math
from typing import Any

from grad.distributions import constraints
from grad.distributions.transformed_distribution import TransformedDistribution
from grad.distributions.transforms import AffineTransform, PowerTransform
from grad.distributions.uniform import Uniform
from grad.distributions.utils import broadcast_all, euler_constant, limits
from grad.tensor import Tensor


class Kumaraswamy(TransformedDistribution):
    """Numbers between 0 and 1 that are below x with probability
    ``1 - (1 - x ** concentration1) ** concentration0``.

    Example:
        >>> Kumaraswamy(2.0, 1.0).cdf(grad.tensor(0.5))
        tensor(0.2500)
    """

    arg_constraints = {
        "concentration1": constraints.positive,
        "concentration0": constraints.positive,
    }
    support: Any = constraints.unit_interval
    concentration1: Tensor
    concentration0: Tensor

    def __init__(
        self, concentration1: Any, concentration0: Any, validate_args: bool | None = None
    ) -> None:
        self.concentration1, self.concentration0 = broadcast_all(concentration1, concentration0)
        # The density may be infinite at 0 and 1.
        known, shape = limits(self.concentration1), self.concentration1.shape
        ends = (float(known.tiny), 1 - float(known.eps) / 2)
        low, high = (self.concentration1.new_full(shape, end) for end in ends)
        maps = [
            PowerTransform(self.concentration0.reciprocal()),
            AffineTransform(1.0, -1.0),
            PowerTransform(self.concentration1.reciprocal()),
        ]
        super().__init__(Uniform(low, high, validate_args=validate_args), maps, validate_args)

    @property
    def mean(self) -> Tensor:
        return self._moment(1)

    @property
    def mode(self) -> Tensor:
        """NaN where the density is infinite at an end."""
        a, b = self.concentration1, self.concentration0
        found = ((a - 1) / (a * b - 1)) ** a.reciprocal()
        return found.masked_fill((a < 1) | (b < 1), math.nan)

    @property
    def variance(self) -> Tensor:
        return self._moment(2) - self._moment(1).square()

    def entropy(self) -> Tensor:
        a, b = self.concentration1, self.concentration0
        harmonic = (b + 1).digamma() + euler_constant
        return (1 - b.reciprocal()) + (1 - a.reciprocal()) * harmonic - a.log() - b.log()

    def _moment(self, order: int) -> Tensor:
        """The expected power."""
        b, c = self.concentration0, 1 + order / self.concentration1
        return b * (b.lgamma() + c.lgamma() - (b + c).lgamma()).exp()
