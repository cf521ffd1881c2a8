"""The distribution of Laplace: two exponential ones, back to back."""

from __future__ import annotations

import math
from collections.abc import Iterable

from grad.distributions.location_scale import LocationScale
from grad.distributions.utils import limits
from grad.tensor import Tensor
from grad.utils.size import Size


class Laplace(LocationScale):
    """Numbers around `loc`, at distances of the mean `scale` that are exponentially distributed.

    Example:
        >>> Laplace(grad.zeros(3), 1.0).sample((2,)).shape
        torch.Size([2, 3])
    """

    @property
    def variance(self) -> Tensor:
        return 2 * self.scale.square()

    @property
    def stddev(self) -> Tensor:
        return math.sqrt(2) * self.scale

    def rsample(self, sample_shape: Iterable[int] = Size()) -> Tensor:
        empty = self.loc.new_empty(self._extended_shape(sample_shape))
        uniform = empty.uniform_(float(limits(self.loc).eps) - 1, 1)
        return self.loc - self.scale * uniform.sign() * (-uniform.abs()).log1p()

    def log_prob(self, value: Tensor) -> Tensor:
        return -self._standardized(value).abs() - (2 * self.scale).log()

    def cdf(self, value: Tensor) -> Tensor:
        x = self._standardized(value)
        return 0.5 - 0.5 * x.sign() * (-x.abs()).expm1()

    def icdf(self, value: Tensor) -> Tensor:
        beside = value - 0.5
        return self.loc - self.scale * beside.sign() * (-2 * beside.abs()).log1p()

    def entropy(self) -> Tensor:
        return 1 + (2 * self.scale).log()
