"""The normal distribution: sums of many small things."""

from __future__ import annotations

import math
from collections.abc import Iterable

from grad.distributions.location_scale import LocationScale
from grad.ops.creators import CREATORS
from grad.tensor import Tensor
from grad.utils.size import Size


class Normal(LocationScale):
    """Normal numbers of mean `loc` and standard deviation `scale`, an element each.

    Example:
        >>> Normal(grad.zeros(3), 1.0).sample((2,)).shape
        torch.Size([2, 3])
    """

    @property
    def stddev(self) -> Tensor:
        return self.scale

    @property
    def variance(self) -> Tensor:
        return self.scale.square()

    def rsample(self, sample_shape: Iterable[int] = Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return self.loc + CREATORS["randn"](shape, dtype=self.loc.dtype) * self.scale

    def log_prob(self, value: Tensor) -> Tensor:
        squared = self._standardized(value).square()
        return -0.5 * squared - self.scale.log() - 0.5 * math.log(2 * math.pi)

    def cdf(self, value: Tensor) -> Tensor:
        return 0.5 * (1 + (self._standardized(value) * math.sqrt(0.5)).erf())

    def icdf(self, value: Tensor) -> Tensor:
        return self.loc + self.scale * (2 * value - 1).erfinv() * math.sqrt(2)

    def entropy(self) -> Tensor:
        return 0.5 + 0.5 * math.log(2 * math.pi) + self.scale.log()
