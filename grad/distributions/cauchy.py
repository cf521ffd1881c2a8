"""The distribution of Cauchy, which has no mean."""

from __future__ import annotations

import math
from collections.abc import Iterable

from grad.distributions.location_scale import LocationScale
from grad.tensor import Tensor
from grad.utils.size import Size


class Cauchy(LocationScale):
    """Numbers of median `loc`, half of which are nearer to it than `scale`.

    Example:
        >>> Cauchy(grad.zeros(3), 1.0).sample((2,)).shape
        torch.Size([2, 3])
    """

    @property
    def mean(self) -> Tensor:
        """NaN: there is none."""
        return self.loc.new_full(self._extended_shape(), math.nan)

    @property
    def variance(self) -> Tensor:
        """Infinite."""
        return self.loc.new_full(self._extended_shape(), math.inf)

    def rsample(self, sample_shape: Iterable[int] = Size()) -> Tensor:
        drawn = self.loc.new_empty(self._extended_shape(sample_shape)).cauchy_()
        return self.loc + drawn * self.scale

    def log_prob(self, value: Tensor) -> Tensor:
        x = self._standardized(value)
        return -math.log(math.pi) - self.scale.log() - x.square().log1p()

    def cdf(self, value: Tensor) -> Tensor:
        return self._standardized(value).atan() / math.pi + 0.5

    def icdf(self, value: Tensor) -> Tensor:
        return (math.pi * (value - 0.5)).tan() * self.scale + self.loc

    def entropy(self) -> Tensor:
        return math.log(4 * math.pi) + self.scale.log()
