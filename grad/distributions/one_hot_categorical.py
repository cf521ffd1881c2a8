"""The categorical distribution, as vectors with a 1 at the position."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from grad.distributions import constraints
from grad.distributions.categorical import Categorical
from grad.distributions.over_categorical import OverCategorical
from grad.nn.functional import one_hot
from grad.ops.creators import CREATORS
from grad.tensor import Tensor
from grad.utils.size import Size


class OneHotCategorical(OverCategorical):
    """Vectors with one 1, each position as likely as its element of `probs` is large.

    Example:
        >>> OneHotCategorical(grad.tensor([0.0, 2.0, 0.0])).sample()
        tensor([0., 1., 0.])
    """

    support = constraints.one_hot
    has_enumerate_support = True

    def __init__(
        self, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        self._categorical = Categorical(probs, logits, validate_args=False)
        super().__init__(
            self._categorical.batch_shape, self._categorical.param_shape[-1:], validate_args
        )

    @property
    def _param(self) -> Tensor:
        return self._categorical._param

    @property
    def mean(self) -> Tensor:
        return self.probs

    @property
    def mode(self) -> Tensor:
        return one_hot(self.probs.argmax(-1), self._event_shape[0]).to(self.probs.dtype)

    @property
    def variance(self) -> Tensor:
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Iterable[int] = Size()) -> Tensor:
        found = self._categorical.sample(sample_shape)
        return one_hot(found, self._event_shape[0]).to(self.probs.dtype)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return self._categorical.log_prob(value.argmax(-1))

    def entropy(self) -> Tensor:
        return self._categorical.entropy()

    def enumerate_support(self, expand: bool = True) -> Tensor:
        count = self._event_shape[0]
        values = CREATORS["eye"](count, dtype=self._param.dtype)
        values = values.reshape(count, *[1] * len(self._batch_shape), count)
        return values.expand(count, *self._batch_shape, count) if expand else values


class OneHotCategoricalStraightThrough(OneHotCategorical):
    """As `OneHotCategorical`; gradients go to the probabilities as if these were the sample."""

    has_rsample = True

    def rsample(self, sample_shape: Iterable[int] = Size()) -> Tensor:
        probs = self.probs
        return self.sample(sample_shape) + (probs - probs.detach())
