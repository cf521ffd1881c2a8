"""The categorical distribution made smooth: vectors of the simplex that gradients go through.

relaxed_bernoulli.py names the papers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from grad.distributions import constraints
from grad.distributions.categorical import Categorical
from grad.distributions.over_categorical import OverCategorical
from grad.distributions.relaxed import Relaxed
from grad.distributions.transforms import ExpTransform
from grad.distributions.utils import broadcast_all, clamp_probs
from grad.ops.creators import CREATORS
from grad.tensor import Tensor
from grad.utils.size import Size


class ExpRelaxedCategorical(OverCategorical):
    """Logarithms of the vectors of `RelaxedOneHotCategorical`."""

    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self,
        temperature: Any,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        self._categorical = Categorical(probs, logits, validate_args=False)
        self.temperature = temperature
        super().__init__(
            self._categorical.batch_shape, self._categorical.param_shape[-1:], validate_args
        )

    def rsample(self, sample_shape: Iterable[int] = Size()) -> Tensor:
        shape, dtype = self._extended_shape(sample_shape), self.logits.dtype
        uniform = clamp_probs(CREATORS["rand"](shape, dtype=dtype))
        return ((self.logits - (-uniform.log()).log()) / self.temperature).log_softmax(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        (temperature,) = broadcast_all(self.temperature)
        count = self._event_shape[0]
        score = (logits - temperature * value).log_softmax(-1).sum(-1)
        return score + (math.lgamma(count) + (count - 1) * temperature.log())


class RelaxedOneHotCategorical(Relaxed):
    """Vectors of numbers that add up to 1, nearer to a single 1 the lower the temperature is; of
    `probs` (or `logits`) in the limit.

    Args:
        temperature: positive; a tensor or a number.

    Example:
        >>> RelaxedOneHotCategorical(grad.tensor(0.5), grad.ones(2, 3)).rsample().shape
        torch.Size([2, 3])
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support: Any = constraints.simplex
    noisy = ExpRelaxedCategorical
    transform = ExpTransform
