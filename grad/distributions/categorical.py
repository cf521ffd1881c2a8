"""The categorical distribution: one of some positions."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from grad.autograd.modes import no_grad
from grad.distributions import constraints
from grad.distributions.distribution import Distribution
from grad.distributions.utils import (
    lazy_property,
    limits,
    logits_to_probs,
    one_of,
    probs_to_logits,
)
from grad.ops.creators import CREATORS
from grad.ops.registry import REGISTRY
from grad.tensor import Tensor
from grad.utils.size import Size


class Categorical(Distribution):
    """A position along the last axis of `probs`, each as likely as its element is large.

    Args:
        probs: not negative; they are divided by their sum.
        logits: in place of them, logarithms of numbers in proportion to them.

    Raises:
        ValueError: none or both of them are given, or a number.

    Example:
        >>> Categorical(grad.tensor([0.0, 2.0, 0.0])).sample((4,))
        tensor([1, 1, 1, 1])
    """

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    has_enumerate_support = True
    _given: str

    def __init__(
        self, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        self._given, value = one_of(probs=probs, logits=logits)
        if value.ndim < 1:
            raise ValueError(f"`{self._given}` parameter must be at least one-dimensional.")
        if self._given == "probs":
            self.probs = value / value.sum(-1, keepdim=True)
        else:
            self.logits = value - value.logsumexp(-1, keepdim=True)
        super().__init__(value.shape[:-1], validate_args=validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Any:
        return constraints.integer_interval(0, self._num_events - 1)

    @lazy_property
    def logits(self) -> Tensor:
        return probs_to_logits(self.probs)

    @lazy_property
    def probs(self) -> Tensor:
        return logits_to_probs(self.logits)

    @property
    def _param(self) -> Tensor:
        return self.__dict__[self._given]

    @property
    def _num_events(self) -> int:
        return self._param.shape[-1]

    @property
    def param_shape(self) -> Size:
        """The shape of `probs` and `logits`."""
        return self._param.shape

    @property
    def mean(self) -> Tensor:
        """NaN: positions are no quantities."""
        return self.probs.new_full(self._extended_shape(), math.nan)

    @property
    def mode(self) -> Tensor:
        return self.probs.argmax(-1)

    @property
    def variance(self) -> Tensor:
        """NaN: positions are no quantities."""
        return self.probs.new_full(self._extended_shape(), math.nan)

    def sample(self, sample_shape: Iterable[int] = Size()) -> Tensor:
        sample_shape = Size(sample_shape)
        rows = self.probs.detach().reshape(-1, self._num_events)
        if not rows.numel() or not sample_shape.numel():
            return CREATORS["zeros"](self._extended_shape(sample_shape)).long()
        with no_grad():
            found = REGISTRY["multinomial"](rows, sample_shape.numel(), True).T
            return found.reshape(self._extended_shape(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        value, logits = REGISTRY["broadcast_tensors"](value.long().unsqueeze(-1), self.logits)
        return logits.gather(-1, value[..., :1]).squeeze(-1)

    def entropy(self) -> Tensor:
        # 0 * -inf would be NaN.
        logits = self.logits.clamp(min=float(limits(self.logits).min))
        return -(logits * self.probs).sum(-1)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        values = CREATORS["arange"](self._num_events)
        values = values.reshape(-1, *[1] * len(self._batch_shape))
        return values.expand(-1, *self._batch_shape) if expand else values
