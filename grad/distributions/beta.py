"""The beta distribution: a probability that is random itself."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from grad.distributions import constraints
from grad.distributions.dirichlet import Dirichlet
from grad.distributions.distribution import Distribution
from grad.distributions.utils import limits
from grad.ops.registry import REGISTRY
from grad.tensor import Tensor
from grad.utils.size import Size


class Beta(Distribution):
    """Numbers between 0 and 1: the share of `concentration1` beside `concentration0`.

    Example:
        >>> Beta(grad.tensor(1.0), 3.0).mean
        tensor(0.2500)
    """

    arg_constraints = {
        "concentration1": constraints.positive,
        "concentration0": constraints.positive,
    }
    support = constraints.unit_interval
    has_rsample = True
    concentration1: Tensor
    concentration0: Tensor

    def __init__(
        self, concentration1: Any, concentration0: Any, validate_args: bool | None = None
    ) -> None:
        shape = self._broadcast(concentration1=concentration1, concentration0=concentration0)
        super().__init__(shape, validate_args=validate_args)

    @property
    def _dirichlet(self) -> Dirichlet:
        both = REGISTRY["stack"]([self.concentration1, self.concentration0], -1)
        return Dirichlet(both, validate_args=False)

    @property
    def mean(self) -> Tensor:
        return self.concentration1 / (self.concentration1 + self.concentration0)

    @property
    def mode(self) -> Tensor:
        return self._dirichlet.mode[..., 0]

    @property
    def variance(self) -> Tensor:
        total = self.concentration1 + self.concentration0
        return self.concentration1 * self.concentration0 / (total.square() * (total + 1))

    def rsample(self, sample_shape: Iterable[int] = Size()) -> Tensor:
        found, known = self._dirichlet.rsample(sample_shape)[..., 0], limits(self.concentration1)
        # The density may be infinite at 0 and 1.
        return found.clamp(float(known.tiny), 1 - float(known.eps) / 2)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        a, b = self.concentration1, self.concentration0
        ways = (a + b).lgamma() - a.lgamma() - b.lgamma()
        return (a - 1).xlogy(value) + (b - 1).xlogy(1 - value) + ways

    def entropy(self) -> Tensor:
        return self._dirichlet.entropy()
