"""The logistic-normal distribution: normal vectors as probabilities."""

from __future__ import annotations

from typing import Any

from grad.distributions import constraints
from grad.distributions.normal import Normal
from grad.distributions.transformed_distribution import TransformedDistribution
from grad.distributions.transforms import StickBreakingTransform
from grad.tensor import Tensor


class LogisticNormal(TransformedDistribution):
    """Probabilities, one more than there are normal numbers, by `StickBreakingTransform`.

    Example:
        >>> LogisticNormal(grad.zeros(3), grad.ones(3)).sample().shape
        torch.Size([4])
    """

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support: Any = constraints.simplex

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        base = Normal(loc, scale, validate_args=validate_args)
        if not base.batch_shape:
            base = base.expand([1])
        super().__init__(base, StickBreakingTransform(), validate_args)

    @property
    def loc(self) -> Tensor:
        """The means of the normal numbers."""
        return self.base_dist.base_dist.loc

    @property
    def scale(self) -> Tensor:
        """Their standard deviations."""
        return self.base_dist.base_dist.scale
