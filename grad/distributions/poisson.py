"""The distribution of Poisson: how many events come."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from grad.autograd.modes import no_grad
from grad.distributions import constraints
from grad.distributions.distribution import Distribution
from grad.distributions.utils import broadcast_all
from grad.ops.registry import REGISTRY
from grad.tensor import Tensor
from grad.utils.size import Size


class Poisson(Distribution):
    """How many events come where `rate` of them are expected.

    Example:
        >>> Poisson(grad.zeros(3)).sample()
        tensor([0., 0., 0.])
    """

    arg_constraints = {"rate": constraints.nonnegative}
    support = constraints.nonnegative_integer
    rate: Tensor

    def __init__(self, rate: Any, validate_args: bool | None = None) -> None:
        super().__init__(self._broadcast(rate=rate), validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.rate

    @property
    def mode(self) -> Tensor:
        return self.rate.floor()

    @property
    def variance(self) -> Tensor:
        return self.rate

    def sample(self, sample_shape: Iterable[int] = Size()) -> Tensor:
        with no_grad():
            return REGISTRY["poisson"](self.rate.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        rate, value = broadcast_all(self.rate, value)
        return value.xlogy(rate) - rate - (value + 1).lgamma()
