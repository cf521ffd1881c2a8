"""Bernoulli's distribution made smooth: numbers between 0 and 1 that gradients go through.

Maddison, Mnih, Teh, "The Concrete distribution", 2017; Jang, Gu, Poole, "Categorical
reparameterization with Gumbel-softmax", 2017.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from grad.distributions import constraints
from grad.distributions.odds import Odds
from grad.distributions.relaxed import Relaxed
from grad.distributions.transforms import SigmoidTransform
from grad.distributions.utils import broadcast_all, clamp_probs
from grad.ops.creators import CREATORS
from grad.tensor import Tensor
from grad.utils.size import Size


class LogitRelaxedBernoulli(Odds):
    """Log odds of the numbers of `RelaxedBernoulli`: those of the law, with noise, divided by the
    temperature.
    """

    support = constraints.real
    has_rsample = True

    def __init__(
        self,
        temperature: Any,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        self.temperature = temperature
        super().__init__(self._take(probs, logits), validate_args=validate_args)

    def rsample(self, sample_shape: Iterable[int] = Size()) -> Tensor:
        shape, dtype = self._extended_shape(sample_shape), self._param.dtype
        uniform = clamp_probs(CREATORS["rand"](shape, dtype=dtype))
        return (uniform.log() - (-uniform).log1p() + self.logits) / self.temperature

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        (temperature,) = broadcast_all(self.temperature)
        apart = logits - temperature * value
        return temperature.log() + apart - 2 * apart.softplus()


class RelaxedBernoulli(Relaxed):
    """Numbers between 0 and 1, nearer to these the lower the temperature is; of `probs` (or
    `logits`) in the limit.

    Args:
        temperature: positive; a tensor or a number.

    Example:
        >>> RelaxedBernoulli(grad.tensor(0.5), grad.tensor([0.1, 0.9])).rsample().shape
        torch.Size([2])
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support: Any = constraints.unit_interval
    noisy = LogitRelaxedBernoulli
    transform = SigmoidTransform
