"""The negative binomial distribution: successes until so many trials have failed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from grad.autograd.modes import no_grad
from grad.distributions import constraints
from grad.distributions.odds import Odds
from grad.distributions.utils import broadcast_all
from grad.ops.random_gamma import StandardGamma
from grad.ops.registry import REGISTRY
from grad.tensor import Tensor
from grad.utils.size import Size


class NegativeBinomial(Odds):
    """How many trials of success probability `probs` (or log odds `logits`) succeed until
    `total_count` have failed, which may be a fraction.

    Example:
        >>> NegativeBinomial(3, grad.tensor(0.5)).mean
        tensor(3.)
    """

    arg_constraints = {
        "total_count": constraints.greater_than_eq(0),
        "probs": constraints.half_open_interval(0.0, 1.0),
        "logits": constraints.real,
    }
    support = constraints.nonnegative_integer
    total_count: Tensor

    def __init__(
        self,
        total_count: Any,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        shape = self._take(probs, logits, total_count=total_count)
        self.total_count = self.total_count.to(self._param.dtype)
        super().__init__(shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.total_count * self.logits.exp()

    @property
    def mode(self) -> Tensor:
        return ((self.total_count - 1) * self.logits.exp()).floor().clamp(min=0)

    @property
    def variance(self) -> Tensor:
        return self.mean / (-self.logits).sigmoid()

    def sample(self, sample_shape: Iterable[int] = Size()) -> Tensor:
        with no_grad():
            count = self.total_count.expand(self._extended_shape(sample_shape))
            # The law of Poisson whose rate is of the gamma law.
            rate = StandardGamma.apply(count.masked_fill(count == 0, 1)) * self.logits.exp()
            return REGISTRY["poisson"](rate.masked_fill(count == 0, 0))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        count, logits, value = broadcast_all(self.total_count, self.logits, value)
        ways = (count + value).lgamma() - (1 + value).lgamma() - count.lgamma()
        chance = -count * logits.softplus() - value * (-logits).softplus()
        return chance + ways.masked_fill((count == 0) & (value == 0), 0)
