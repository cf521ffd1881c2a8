"""What the smooth forms of discrete distributions share (relaxed_bernoulli.py,
relaxed_categorical.py): a temperature, and a transform of a distribution that has noise added.
"""

from __future__ import annotations

from typing import Any, ClassVar

from grad.distributions.transform import Transform
from grad.distributions.transformed_distribution import TransformedDistribution
from grad.tensor import Tensor


class Relaxed(TransformedDistribution):
    """`transform` of `noisy`, which takes the same arguments and has the parameters."""

    noisy: ClassVar[Any]
    transform: ClassVar[type[Transform]]

    def __init__(
        self,
        temperature: Any,
        probs: Any = None,
        logits: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        base = self.noisy(temperature, probs, logits, validate_args)
        super().__init__(base, self.transform(), validate_args)

    @property
    def temperature(self) -> Any:
        """How smooth it is."""
        return self.base_dist.temperature

    @property
    def logits(self) -> Tensor:
        """The logarithms of `probs`, or of their odds."""
        return self.base_dist.logits

    @property
    def probs(self) -> Tensor:
        """The probabilities that are met in the limit."""
        return self.base_dist.probs
