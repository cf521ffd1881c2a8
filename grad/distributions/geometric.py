"""The geometric distribution: failures before the first success."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from grad.autograd.modes import no_grad
from grad.distributions import constraints
from grad.distributions.odds import Odds
from grad.distributions.utils import broadcast_all, limits
from grad.nn.functional import binary_cross_entropy_with_logits
from grad.ops.creators import CREATORS
from grad.tensor import Tensor
from grad.utils.size import Size


class Geometric(Odds):
    """How many trials fail before one succeeds, which each does with probability `probs`.

    Raises:
        ValueError: a probability is 0: none ever succeeds.

    Example:
        >>> Geometric(grad.tensor(1.0)).sample()
        tensor(0.)
    """

    support = constraints.nonnegative_integer
    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}

    def __init__(
        self, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        super().__init__(self._take(probs, logits), validate_args=validate_args)
        if self._validate_args and self._given == "probs":
            self._require(
                [(self.probs, constraints.positive)],
                lambda _: (
                    f"Expected parameter probs of distribution {self!r} to be positive, but found "
                    f"invalid values:\n{self.probs}"
                ),
            )

    @property
    def mean(self) -> Tensor:
        return 1.0 / self.probs - 1.0

    @property
    def mode(self) -> Tensor:
        return self.probs.new_zeros(self.probs.shape)

    @property
    def variance(self) -> Tensor:
        return (1.0 / self.probs - 1.0) / self.probs

    def sample(self, sample_shape: Iterable[int] = Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        with no_grad():
            uniform = CREATORS["rand"](shape, dtype=self.probs.dtype)
            uniform = uniform.clamp(min=float(limits(self.probs).tiny))
            # Of certain successes the quotient is 0, by a logarithm that is infinite.
            return (uniform.log() / (-self.probs).log1p()).floor().abs()

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        value, probs = broadcast_all(value, self.probs)
        probs = probs.masked_fill((probs == 1) & (value == 0), 0)
        return value * (-probs).log1p() + self.probs.log()

    def entropy(self) -> Tensor:
        found = binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")
        return found / self.probs
