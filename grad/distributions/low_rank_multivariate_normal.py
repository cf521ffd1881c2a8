"""The normal distribution of long vectors: a covariance of low rank beside a diagonal.

With ``C = W @ W.T + D`` of shape (n, n), W of (n, m) and m small, everything is worked out by the
capacitance ``1 + W.T @ D**-1 @ W`` of shape (m, m) (Woodbury's identity, and the lemma for
determinants), of which the triangular factor is kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from grad.distributions import constraints
from grad.distributions.distribution import Distribution
from grad.distributions.utils import lazy_property
from grad.ops.creators import CREATORS
from grad.ops.factorizations import cholesky
from grad.ops.registry import REGISTRY
from grad.ops.systems import solve_triangular
from grad.tensor import Tensor
from grad.utils.size import Size


class LowRankMultivariateNormal(Distribution):
    """Normal vectors of mean `loc` and covariance
    ``cov_factor @ cov_factor.T + diag(cov_diag)``.

    Args:
        loc: of shape ``(..., n)``.
        cov_factor: ``(..., n, m)``. cov_diag: positive, ``(..., n)``.

    Raises:
        ValueError: a shape does not fit.

    Example:
        >>> LowRankMultivariateNormal(grad.zeros(2), grad.ones(2, 1), grad.ones(2)).variance
        tensor([2., 2.])
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self,
        loc: Tensor,
        cov_factor: Tensor,
        cov_diag: Tensor,
        validate_args: bool | None = None,
    ) -> None:
        if loc.ndim < 1:
            raise ValueError("loc must be at least one-dimensional.")
        event = loc.shape[-1:]
        if cov_factor.ndim < 2:
            raise ValueError(
                "cov_factor must be at least two-dimensional, with optional leading batch "
                "dimensions"
            )
        if cov_factor.shape[-2:-1] != event:
            raise ValueError(f"cov_factor must be a batch of matrices with shape {event[0]} x m")
        if cov_diag.shape[-1:] != event:
            raise ValueError(f"cov_diag must be a batch of vectors with shape {event}")
        batch = REGISTRY["broadcast_shapes"](
            loc.shape[:-1], cov_factor.shape[:-2], cov_diag.shape[:-1]
        )
        self.loc, self.cov_diag = loc.expand(*batch, -1), cov_diag.expand(*batch, -1)
        self.cov_factor = cov_factor.expand(*batch, -1, -1)
        super().__init__(batch, event, validate_args)

    def expand(self, batch_shape: Iterable[int], _instance: object = None) -> object:
        new = super().expand(batch_shape, _instance)
        for name in ("_capacitance_factor", "_whitened"):
            new.__dict__.pop(name, None)
        return new

    @lazy_property
    def _capacitance_factor(self) -> Tensor:
        w = self.cov_factor
        inner = w.mT @ (w / self.cov_diag.unsqueeze(-1))
        return cholesky(inner + CREATORS["eye"](w.shape[-1], dtype=w.dtype))

    @lazy_property
    def _whitened(self) -> Tensor:
        """The A of shape (m, n) with which the inverse of the covariance is ``D**-1 - A.T @ A``."""
        scaled = (self.cov_factor / self.cov_diag.unsqueeze(-1)).mT
        return solve_triangular(self._capacitance_factor, scaled, upper=False)

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return self.cov_factor.square().sum(-1) + self.cov_diag

    @property
    def covariance_matrix(self) -> Tensor:
        """Of shape ``(..., n, n)``."""
        return self.cov_factor @ self.cov_factor.mT + self.cov_diag.diag_embed()

    @property
    def precision_matrix(self) -> Tensor:
        """Its inverse."""
        return self.cov_diag.reciprocal().diag_embed() - self._whitened.mT @ self._whitened

    @property
    def scale_tril(self) -> Tensor:
        """Its lower triangular factor."""
        return cholesky(self.covariance_matrix)

    @property
    def columns(self) -> Tensor:
        """``(..., n, m + n)``: the covariance is the product of this and its transpose."""
        return REGISTRY["cat"]([self.cov_factor, self.cov_diag.sqrt().diag_embed()], -1)

    def rsample(self, sample_shape: Iterable[int] = Size()) -> Tensor:
        shape, dtype = self._extended_shape(sample_shape), self.loc.dtype
        of_factor = CREATORS["randn"](shape[:-1] + self.cov_factor.shape[-1:], dtype=dtype)
        moved = (self.cov_factor @ of_factor.unsqueeze(-1)).squeeze(-1)
        return self.loc + moved + self.cov_diag.sqrt() * CREATORS["randn"](shape, dtype=dtype)

    def squared_lengths(self, vectors: Tensor) -> Tensor:
        """Of vectors ``(..., n, k)``, in units of this distribution, added up over k."""
        plain = (vectors.square() / self.cov_diag.unsqueeze(-1)).sum((-2, -1))
        return plain - (self._whitened @ vectors).square().sum((-2, -1))

    def log_det(self) -> Tensor:
        """The logarithm of the covariance's determinant."""
        diagonal = self._capacitance_factor.diagonal(dim1=-2, dim2=-1)
        return 2 * diagonal.log().sum(-1) + self.cov_diag.log().sum(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        squared = self.squared_lengths((value - self.loc).unsqueeze(-1))
        return -0.5 * (self._event_shape[0] * math.log(2 * math.pi) + self.log_det() + squared)

    def entropy(self) -> Tensor:
        return 0.5 * (self._event_shape[0] * (1 + math.log(2 * math.pi)) + self.log_det())
