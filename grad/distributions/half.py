"""Halves of symmetric distributions: the sizes of their numbers."""

from __future__ import annotations

import math
from typing import Any

from grad.distributions import constraints
from grad.distributions.cauchy import Cauchy
from grad.distributions.normal import Normal
from grad.distributions.transformed_distribution import TransformedDistribution
from grad.distributions.transforms import AbsTransform
from grad.tensor import Tensor


class Half(TransformedDistribution):
    """The absolute values of a distribution that is symmetric around 0."""

    arg_constraints = {"scale": constraints.positive}
    support: Any = constraints.nonnegative
    _base: Any

    def __init__(self, scale: Any, validate_args: bool | None = None) -> None:
        base = self._base(0, scale, validate_args=False)
        super().__init__(base, AbsTransform(), validate_args=validate_args)

    @property
    def scale(self) -> Tensor:
        """That of the whole."""
        return self.base_dist.scale

    @property
    def mode(self) -> Tensor:
        return self.scale.new_zeros(self.scale.shape)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return (self.base_dist.log_prob(value) + math.log(2)).masked_fill(value < 0, -math.inf)

    def cdf(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return 2 * self.base_dist.cdf(value) - 1

    def icdf(self, value: Tensor) -> Tensor:
        return self.base_dist.icdf((value + 1) / 2)

    def entropy(self) -> Tensor:
        return self.base_dist.entropy() - math.log(2)


class HalfNormal(Half):
    """The absolute values of normal numbers of mean 0 and standard deviation `scale`.

    Example:
        >>> HalfNormal(1.0).icdf(grad.tensor(0.5))
        tensor(0.6745)
    """

    _base = Normal

    @property
    def mean(self) -> Tensor:
        return self.scale * math.sqrt(2 / math.pi)

    @property
    def variance(self) -> Tensor:
        return self.scale.square() * (1 - 2 / math.pi)


class HalfCauchy(Half):
    """The absolute values of Cauchy's numbers of median 0.

    Example:
        >>> HalfCauchy(2.0).icdf(grad.tensor(0.5))
        tensor(2.)
    """

    _base = Cauchy

    @property
    def mean(self) -> Tensor:
        """Infinite."""
        return self.scale.new_full(self._extended_shape(), math.inf)

    @property
    def variance(self) -> Tensor:
        """Infinite."""
        return self.base_dist.variance
