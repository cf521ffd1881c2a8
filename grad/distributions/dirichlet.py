"""The distribution of Dirichlet: probabilities that are random themselves."""

from __future__ import annotations

from collections.abc import Iterable

from grad.distributions import constraints
from grad.distributions.distribution import Distribution
from grad.nn.functional import one_hot
from grad.ops.random_gamma import StandardGamma
from grad.tensor import Tensor
from grad.utils.size import Size


class Dirichlet(Distribution):
    """Vectors of numbers that add up to 1; the larger `concentration`, the nearer to its shares.

    Raises:
        ValueError: `concentration` has no axis.

    Example:
        >>> Dirichlet(grad.tensor([1.0, 3.0])).mean
        tensor([0.2500, 0.7500])
    """

    arg_constraints = {"concentration": constraints.independent(constraints.positive, 1)}
    support = constraints.simplex
    has_rsample = True

    def __init__(self, concentration: Tensor, validate_args: bool | None = None) -> None:
        if concentration.ndim < 1:
            raise ValueError("`concentration` parameter must be at least one-dimensional.")
        self.concentration = concentration
        shape = concentration.shape
        super().__init__(shape[:-1], shape[-1:], validate_args)

    @property
    def mean(self) -> Tensor:
        return self.concentration / self.concentration.sum(-1, keepdim=True)

    @property
    def mode(self) -> Tensor:
        above = (self.concentration - 1).clamp(min=0.0)
        # Where all lie below 1, the corners are likely, of which one is given.
        corner = one_hot(above.argmax(-1), above.shape[-1]).to(above.dtype)
        flat = (self.concentration < 1).all(-1, keepdim=True)
        return corner.where(flat, above / above.sum(-1, keepdim=True))

    @property
    def variance(self) -> Tensor:
        total = self.concentration.sum(-1, keepdim=True)
        share = self.concentration / total
        return share * (1 - share) / (total + 1)

    def rsample(self, sample_shape: Iterable[int] = Size()) -> Tensor:
        drawn = StandardGamma.apply(self.concentration.expand(self._extended_shape(sample_shape)))
        return drawn / drawn.sum(-1, keepdim=True)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        a = self.concentration
        return (a - 1).xlogy(value).sum(-1) + a.sum(-1).lgamma() - a.lgamma().sum(-1)

    def entropy(self) -> Tensor:
        a, total = self.concentration, self.concentration.sum(-1)
        return (
            a.lgamma().sum(-1)
            - total.lgamma()
            - (a.shape[-1] - total) * total.digamma()
            - ((a - 1.0) * a.digamma()).sum(-1)
        )
