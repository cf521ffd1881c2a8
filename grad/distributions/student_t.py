"""Student's t-distribution: means of few normal numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from grad.distributions import constraints
from grad.distributions.distribution import Distribution
from grad.ops.creators import CREATORS
from grad.ops.random_gamma import StandardGamma
from grad.tensor import Tensor
from grad.utils.size import Size


class StudentT(Distribution):
    """Numbers around `loc` whose tails are heavier, the fewer degrees of freedom `df` there are.

    Example:
        >>> StudentT(grad.tensor([3.0, 4.0])).variance
        tensor([3., 2.])
    """

    arg_constraints = {
        "df": constraints.positive,
        "loc": constraints.real,
        "scale": constraints.positive,
    }
    support = constraints.real
    has_rsample = True
    df: Tensor
    loc: Tensor
    scale: Tensor

    def __init__(
        self, df: Any, loc: Any = 0.0, scale: Any = 1.0, validate_args: bool | None = None
    ) -> None:
        shape = self._broadcast(df=df, loc=loc, scale=scale)
        super().__init__(shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.loc.masked_fill(self.df <= 1, math.nan)

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        found = self.scale.square() * self.df / (self.df - 2)
        return found.masked_fill(self.df <= 2, math.inf).masked_fill(self.df <= 1, math.nan)

    def rsample(self, sample_shape: Iterable[int] = Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        noise = CREATORS["randn"](shape, dtype=self.df.dtype)
        squares = 2 * StandardGamma.apply((0.5 * self.df).expand(shape))
        return self.loc + self.scale * noise * (squares / self.df).rsqrt()

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        squared = ((value - self.loc) / self.scale).square()
        return (
            -0.5 * (self.df + 1) * (squared / self.df).log1p()
            - self.scale.log()
            - 0.5 * (self.df * math.pi).log()
            - (0.5 * self.df).lgamma()
            + (0.5 * (self.df + 1)).lgamma()
        )

    def entropy(self) -> Tensor:
        half, more = 0.5 * self.df, 0.5 * (self.df + 1)
        ways = half.lgamma() + math.lgamma(0.5) - more.lgamma()
        return (
            self.scale.log() + more * (more.digamma() - half.digamma()) + 0.5 * self.df.log() + ways
        )
