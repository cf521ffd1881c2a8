"""The distribution of Gumbel: the largest of many numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable

from grad.distributions.location_scale import LocationScale
from grad.distributions.utils import euler_constant
from grad.tensor import Tensor
from grad.utils.size import Size


class Gumbel(LocationScale):
    """Numbers whose most likely value is `loc`, with a longer tail above.

    Example:
        >>> Gumbel(grad.zeros(3), 1.0).sample((2,)).shape
        torch.Size([2, 3])
    """

    @property
    def mean(self) -> Tensor:
        return self.loc + self.scale * euler_constant

    @property
    def stddev(self) -> Tensor:
        return (math.pi / math.sqrt(6)) * self.scale

    @property
    def variance(self) -> Tensor:
        return self.stddev.square()

    def rsample(self, sample_shape: Iterable[int] = Size()) -> Tensor:
        # The logarithm of an exponentially distributed number, which is never 0.
        drawn = self.loc.new_empty(self._extended_shape(sample_shape)).exponential_()
        return self.loc - self.scale * drawn.log()

    def log_prob(self, value: Tensor) -> Tensor:
        x = self._standardized(value)
        return -x - (-x).exp() - self.scale.log()

    def cdf(self, value: Tensor) -> Tensor:
        return (-(-self._standardized(value)).exp()).exp()

    def icdf(self, value: Tensor) -> Tensor:
        return self.loc - self.scale * (-value.log()).log()

    def entropy(self) -> Tensor:
        return self.scale.log() + (1 + euler_constant)
