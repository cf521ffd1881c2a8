"""`LocationScale`: families of one shape each, moved by `loc` and stretched by `scale`."""

from __future__ import annotations

from typing import Any

from grad.distributions import constraints
from grad.distributions.distribution import Distribution
from grad.tensor import Tensor


class LocationScale(Distribution):
    """Numbers ``loc + scale * x``, where x are of one law for the whole family."""

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real
    has_rsample = True
    loc: Tensor
    scale: Tensor

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        super().__init__(self._broadcast(loc=loc, scale=scale), validate_args=validate_args)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    def _standardized(self, value: Tensor) -> Tensor:
        """`value`, which is looked at, as the x above."""
        if self._validate_args:
            self._validate_sample(value)
        return (value - self.loc) / self.scale
