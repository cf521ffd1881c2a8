"""The distributions of Pareto: tails that fall as a power."""

from __future__ import annotations

from typing import Any

from grad.distributions import constraints
from grad.distributions.exponential import Exponential
from grad.distributions.transformed_distribution import TransformedDistribution
from grad.distributions.transforms import AffineTransform, ExpTransform
from grad.distributions.utils import broadcast_all
from grad.tensor import Tensor


class Pareto(TransformedDistribution):
    """Numbers from `scale` on that exceed x with probability ``(scale / x) ** alpha``.

    Example:
        >>> Pareto(1.0, 2.0).icdf(grad.tensor(0.75))
        tensor(2.)
    """

    arg_constraints = {"alpha": constraints.positive, "scale": constraints.positive}
    scale: Tensor
    alpha: Tensor

    def __init__(self, scale: Any, alpha: Any, validate_args: bool | None = None) -> None:
        self.scale, self.alpha = broadcast_all(scale, alpha)
        base = Exponential(self.alpha, validate_args=validate_args)
        maps = [ExpTransform(), AffineTransform(0, self.scale)]
        super().__init__(base, maps, validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        return constraints.greater_than_eq(self.scale)

    @property
    def mean(self) -> Tensor:
        """Infinite for an `alpha` of 1 or less."""
        a = self.alpha.clamp(min=1)
        return a * self.scale / (a - 1)

    @property
    def mode(self) -> Tensor:
        return self.scale

    @property
    def variance(self) -> Tensor:
        """Infinite for an `alpha` of 2 or less."""
        a = self.alpha.clamp(min=2)
        return self.scale.square() * a / ((a - 1).square() * (a - 2))

    def entropy(self) -> Tensor:
        return (self.scale / self.alpha).log() + (1 + self.alpha.reciprocal())
