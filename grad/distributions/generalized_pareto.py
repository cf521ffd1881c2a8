"""The generalized distribution of Pareto: what exceeds a high threshold, and by how much."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from grad.distributions import constraints
from grad.distributions.distribution import Distribution
from grad.ops.creators import CREATORS
from grad.tensor import Tensor
from grad.utils.size import Size


class GeneralizedPareto(Distribution):
    """Numbers from `loc` on, of tails that are heavier, the larger `concentration` is: exponential
    where that is 0, and of a longest number where it is negative.

    Example:
        >>> GeneralizedPareto(0.0, 1.0, 0.5).mean
        tensor(2.)
    """

    arg_constraints = {
        "loc": constraints.real,
        "scale": constraints.positive,
        "concentration": constraints.real,
    }
    has_rsample = True
    loc: Tensor
    scale: Tensor
    concentration: Tensor

    def __init__(
        self, loc: Any, scale: Any, concentration: Any, validate_args: bool | None = None
    ) -> None:
        shape = self._broadcast(loc=loc, scale=scale, concentration=concentration)
        super().__init__(shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        c = self.concentration
        end = (self.loc - self.scale / c).where(c < 0, math.inf)
        return constraints.interval(self.loc, end)

    @property
    def mean(self) -> Tensor:
        """Infinite for a concentration of 1 or more."""
        c = self.concentration
        return self.loc + (self.scale / (1 - c)).masked_fill(c >= 1, math.inf)

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        """Infinite for a concentration of 1 / 2 or more."""
        c = self.concentration
        found = (self.scale / (1 - c)).square() / (1 - 2 * c)
        return found.masked_fill(c >= 0.5, math.inf)

    def rsample(self, sample_shape: Iterable[int] = Size()) -> Tensor:
        return self.icdf(CREATORS["rand"](self._extended_shape(sample_shape), dtype=self.loc.dtype))

    def log_survival_function(self, value: Tensor) -> Tensor:
        """The logarithm of the probability of all above `value`."""
        if self._validate_args:
            self._validate_sample(value)
        return -self._grown(value)

    def log_cdf(self, value: Tensor) -> Tensor:
        """The logarithm of `cdf`."""
        return (-self.log_survival_function(value).exp()).log1p()

    def cdf(self, value: Tensor) -> Tensor:
        return -self.log_survival_function(value).expm1()

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return -(1 + self.concentration) * self._grown(value) - self.scale.log()

    def icdf(self, value: Tensor) -> Tensor:
        c, flat = self._parted()
        left = -((-value).log1p())
        return self.loc + self.scale * left.where(flat, (c * left).expm1() / c)

    def entropy(self) -> Tensor:
        return self.scale.log() + self.concentration + 1

    def _grown(self, value: Tensor) -> Tensor:
        """``log(1 + c * z) / c``, which is z where c is 0."""
        c, flat = self._parted()
        z = (value - self.loc) / self.scale
        return z.where(flat, (c * z).log1p() / c)

    def _parted(self) -> tuple[Tensor, Tensor]:
        """The concentrations, 1 in the place of 0, and where that is."""
        flat = self.concentration == 0
        return self.concentration.masked_fill(flat, 1), flat
