"""The multinomial distribution: how often each position comes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from grad.distributions import constraints
from grad.distributions.binomial import Binomial
from grad.distributions.categorical import Categorical
from grad.distributions.over_categorical import OverCategorical
from grad.tensor import Tensor
from grad.utils.size import Size


class Multinomial(OverCategorical):
    """How often each position is drawn in `total_count` draws, each as likely as its element of
    `probs` is large.

    Raises:
        NotImplementedError: `total_count` is no int.

    Example:
        >>> Multinomial(5, grad.tensor([0.0, 1.0])).sample()
        tensor([0., 5.])
    """

    total_count: int

    def __init__(
        self,
        total_count: int = 1,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        if not isinstance(total_count, int):
            raise NotImplementedError("inhomogeneous total_count is not supported")
        self.total_count = total_count
        self._categorical = Categorical(probs, logits, validate_args=False)
        self._binomial = Binomial(total_count, probs=self.probs, validate_args=False)
        super().__init__(
            self._categorical.batch_shape, self._categorical.param_shape[-1:], validate_args
        )

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self) -> Any:
        return constraints.multinomial(self.total_count)

    @property
    def mean(self) -> Tensor:
        return self.probs * self.total_count

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Iterable[int] = Size()) -> Tensor:
        drawn = self._categorical.sample((self.total_count, *sample_shape)).movedim(0, -1)
        counts = self.probs.detach().new_zeros(self._extended_shape(sample_shape))
        return counts.scatter_add(-1, drawn, counts.new_ones(drawn.shape))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits = self.logits.masked_fill((value == 0) & (self.logits == -float("inf")), 0)
        ways = (value.sum(-1) + 1).lgamma() - (value + 1).lgamma().sum(-1)
        return ways + (logits * value).sum(-1)

    def entropy(self) -> Tensor:
        count = self.probs.new_full((), self.total_count)
        support = self._binomial.enumerate_support(expand=False)[1:]
        chances = self._binomial.log_prob(support).exp()
        expected = (chances * (support + 1).lgamma()).sum((0, -1))
        return count * self._categorical.entropy() - (count + 1).lgamma() + expected
