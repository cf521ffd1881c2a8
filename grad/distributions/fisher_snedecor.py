"""The distribution of Fisher and Snedecor: ratios of two estimates of one variance."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from grad.distributions import constraints
from grad.distributions.distribution import Distribution
from grad.distributions.utils import limits
from grad.ops.random_gamma import StandardGamma
from grad.tensor import Tensor
from grad.utils.size import Size


class FisherSnedecor(Distribution):
    """``(x / df1) / (y / df2)`` for numbers x and y of chi squared, of so many degrees of freedom.

    Example:
        >>> FisherSnedecor(1.0, 4.0).mean
        tensor(2.)
    """

    arg_constraints = {"df1": constraints.positive, "df2": constraints.positive}
    support = constraints.positive
    has_rsample = True
    df1: Tensor
    df2: Tensor

    def __init__(self, df1: Any, df2: Any, validate_args: bool | None = None) -> None:
        super().__init__(self._broadcast(df1=df1, df2=df2), validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """NaN for a `df2` of 2 or less."""
        return (self.df2 / (self.df2 - 2)).masked_fill(self.df2 <= 2, math.nan)

    @property
    def mode(self) -> Tensor:
        """NaN for a `df1` of 2 or less."""
        found = (self.df1 - 2) / self.df1 * self.df2 / (self.df2 + 2)
        return found.masked_fill(self.df1 <= 2, math.nan)

    @property
    def variance(self) -> Tensor:
        """NaN for a `df2` of 4 or less."""
        a, b = self.df1, self.df2
        found = 2 * b.square() * (a + b - 2) / (a * (b - 2).square() * (b - 4))
        return found.masked_fill(b <= 4, math.nan)

    def rsample(self, sample_shape: Iterable[int] = Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        above, below = (
            StandardGamma.apply((df / 2).expand(shape)) / df for df in (self.df1, self.df2)
        )
        tiny = float(limits(self.df1).tiny)
        return (above / below.clamp(min=tiny)).clamp(min=tiny)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        a, b, ratio = self.df1 / 2, self.df2 / 2, self.df1 / self.df2
        ways = (a + b).lgamma() - a.lgamma() - b.lgamma()
        powers = a * ratio.log() + (a - 1) * value.log() - (a + b) * (ratio * value).log1p()
        return ways + powers
