"""The gamma distribution, and that of chi squared."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from grad.distributions import constraints
from grad.distributions.distribution import Distribution
from grad.ops.creators import CREATORS
from grad.ops.random_gamma import StandardGamma
from grad.tensor import Tensor
from grad.utils.size import Size


class Gamma(Distribution):
    """How long it takes until `concentration` events have come, where `rate` of them are expected
    in a unit of time; the concentration may be a fraction.

    Example:
        >>> Gamma(grad.ones(3), 1.0).sample((2,)).shape
        torch.Size([2, 3])
    """

    arg_constraints = {"concentration": constraints.positive, "rate": constraints.positive}
    support = constraints.nonnegative
    has_rsample = True
    concentration: Tensor
    rate: Tensor

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None) -> None:
        shape = self._broadcast(concentration=concentration, rate=rate)
        super().__init__(shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.rate

    @property
    def mode(self) -> Tensor:
        return ((self.concentration - 1) / self.rate).clamp(min=0)

    @property
    def variance(self) -> Tensor:
        return self.concentration / self.rate.square()

    def rsample(self, sample_shape: Iterable[int] = Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return StandardGamma.apply(self.concentration.expand(shape)) / self.rate

    def log_prob(self, value: Tensor) -> Tensor:
        value = CREATORS["as_tensor"](value, dtype=self.rate.dtype)
        if self._validate_args:
            self._validate_sample(value)
        return (
            self.concentration.xlogy(self.rate)
            + (self.concentration - 1).xlogy(value)
            - self.rate * value
            - self.concentration.lgamma()
        )

    def entropy(self) -> Tensor:
        a = self.concentration
        return a - self.rate.log() + a.lgamma() + (1.0 - a) * a.digamma()

    def cdf(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return self.concentration.igamma(self.rate * value)


class Chi2(Gamma):
    """The sum of the squares of `df` normal numbers of mean 0 and variance 1.

    Example:
        >>> Chi2(grad.tensor([1.0, 3.0])).mean
        tensor([1., 3.])
    """

    arg_constraints = {"df": constraints.positive}

    def __init__(self, df: Any, validate_args: bool | None = None) -> None:
        super().__init__(0.5 * df, 0.5, validate_args=validate_args)

    def expand(self, batch_shape: Iterable[int], _instance: Any = None) -> Any:
        new = super().expand(batch_shape, _instance)
        new.concentration = self.concentration.expand(new._batch_shape)
        new.rate = self.rate.expand(new._batch_shape)
        return new

    @property
    def df(self) -> Tensor:
        """How many they are."""
        return self.concentration * 2
