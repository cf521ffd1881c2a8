"""The binomial distribution: successes among trials."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from grad.autograd.modes import no_grad
from grad.distributions import constraints
from grad.distributions.odds import Odds
from grad.ops.creators import CREATORS
from grad.ops.registry import REGISTRY
from grad.tensor import Tensor
from grad.utils.size import Size


class Binomial(Odds):
    """How many of `total_count` trials succeed, which each does with probability `probs`.

    Example:
        >>> Binomial(10, grad.tensor([0.0, 1.0])).sample()
        tensor([ 0., 10.])
    """

    arg_constraints = {
        "total_count": constraints.nonnegative_integer,
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    has_enumerate_support = True
    total_count: Tensor

    def __init__(
        self,
        total_count: Any = 1,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        shape = self._take(probs, logits, total_count=total_count)
        self.total_count = self.total_count.to(self._param.dtype)
        super().__init__(shape, validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Any:
        return constraints.integer_interval(0, self.total_count)

    @property
    def mean(self) -> Tensor:
        return self.total_count * self.probs

    @property
    def mode(self) -> Tensor:
        return ((self.total_count + 1) * self.probs).floor().minimum(self.total_count)

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Iterable[int] = Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        with no_grad():
            return REGISTRY["binomial"](self.total_count.expand(shape), self.probs.expand(shape))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        failures = self.total_count - value
        ways = (self.total_count + 1).lgamma() - (value + 1).lgamma() - (failures + 1).lgamma()
        # log p and log(1 - p), each of which may be far below the other.
        return ways - value * (-self.logits).softplus() - failures * self.logits.softplus()

    def entropy(self) -> Tensor:
        log_prob = self.log_prob(self.enumerate_support(False))
        return -(log_prob.exp() * log_prob).sum(0)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """As of any distribution.

        Raises:
            NotImplementedError: the counts differ.
        """
        most = int(self.total_count.max().item())
        if self.total_count.min().item() != most:
            raise NotImplementedError(
                "Inhomogeneous total count not supported by `enumerate_support`."
            )
        values = CREATORS["arange"](1 + most, dtype=self._param.dtype)
        values = values.reshape(-1, *[1] * len(self._batch_shape))
        return values.expand(-1, *self._batch_shape) if expand else values
