"""The distribution of Weibull: times until something fails."""

from __future__ import annotations

from typing import Any

from grad.distributions import constraints
from grad.distributions.exponential import Exponential
from grad.distributions.transformed_distribution import TransformedDistribution
from grad.distributions.transforms import AffineTransform, PowerTransform
from grad.distributions.utils import broadcast_all, euler_constant
from grad.tensor import Tensor


class Weibull(TransformedDistribution):
    """Numbers that exceed x with probability ``exp(-(x / scale) ** concentration)``.

    Example:
        >>> Weibull(2.0, 1.0).mean
        tensor(2.)
    """

    arg_constraints = {"scale": constraints.positive, "concentration": constraints.positive}
    support: Any = constraints.positive
    scale: Tensor
    concentration: Tensor

    def __init__(self, scale: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.scale, self.concentration = broadcast_all(scale, concentration)
        base = Exponential(self.scale.new_ones(self.scale.shape), validate_args=validate_args)
        maps = [PowerTransform(self.concentration.reciprocal()), AffineTransform(0, self.scale)]
        super().__init__(base, maps, validate_args)

    @property
    def mean(self) -> Tensor:
        return self.scale * self._moment(1)

    @property
    def mode(self) -> Tensor:
        c = self.concentration
        return self.scale * ((c - 1) / c).clamp(min=0) ** c.reciprocal()

    @property
    def variance(self) -> Tensor:
        return self.scale.square() * (self._moment(2) - self._moment(1).square())

    def entropy(self) -> Tensor:
        c = self.concentration
        return euler_constant * (1 - c.reciprocal()) + (self.scale / c).log() + 1

    def _moment(self, order: int) -> Tensor:
        """The expected power of a number of scale 1."""
        return (1 + order / self.concentration).lgamma().exp()
