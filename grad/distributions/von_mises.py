"""The distribution of von Mises: angles around a direction."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from grad.autograd.modes import no_grad
from grad.distributions import constraints
from grad.distributions.distribution import Distribution
from grad.distributions.utils import lazy_property
from grad.ops.random_angles import angles_around_zero
from grad.ops.registry import REGISTRY
from grad.tensor import Tensor
from grad.utils.size import Size


class VonMises(Distribution):
    """Angles around `loc`, in radians, of a density in proportion to
    ``exp(concentration * cos(x - loc))``.

    Samples are between -pi and pi.

    Example:
        >>> VonMises(grad.zeros(3), 1.0).sample((2,)).shape
        torch.Size([2, 3])
    """

    arg_constraints = {"loc": constraints.real, "concentration": constraints.positive}
    support = constraints.real
    loc: Tensor
    concentration: Tensor

    def __init__(self, loc: Any, concentration: Any, validate_args: bool | None = None) -> None:
        shape = self._broadcast(loc=loc, concentration=concentration)
        super().__init__(shape, validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        """The mean direction."""
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @lazy_property
    def variance(self) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """The circular one: 1 less the length of the mean of the directions as vectors."""
        c = self.concentration
        return 1 - REGISTRY["special_i1e"](c) / REGISTRY["special_i0e"](c)

    def sample(self, sample_shape: Iterable[int] = Size()) -> Tensor:
        with no_grad():
            shape = self._extended_shape(sample_shape)
            angles = angles_around_zero(self.concentration.expand(shape))
            return (angles + self.loc + math.pi) % (2 * math.pi) - math.pi

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        c = self.concentration
        # log I0 is log i0e + c.
        away = (value - self.loc).cos() - 1
        return c * away - math.log(2 * math.pi) - REGISTRY["special_i0e"](c).log()
