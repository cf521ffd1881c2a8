"""The normal distribution of vectors."""

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


class MultivariateNormal(Distribution):
    """Normal vectors of mean `loc`, with covariances that are given in one of three ways.

    Args:
        loc: of shape ``(..., n)``.
        covariance_matrix: positive-definite, ``(..., n, n)``.
        precision_matrix: its inverse.
        scale_tril: its lower triangular factor of a positive diagonal; the quickest.

    Raises:
        ValueError: none or several of them are given, or one has too few axes.

    Example:
        >>> MultivariateNormal(grad.zeros(2), grad.eye(2)).log_prob(grad.zeros(2))
        tensor(-1.8379)
    """

    arg_constraints = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self,
        loc: Tensor,
        covariance_matrix: Tensor | None = None,
        precision_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        matrices = {
            "covariance_matrix": covariance_matrix,
            "precision_matrix": precision_matrix,
            "scale_tril": scale_tril,
        }
        given = [(name, matrix) for name, matrix in matrices.items() if matrix is not None]
        if loc.ndim < 1:
            raise ValueError("loc must be at least one-dimensional.")
        if len(given) != 1:
            raise ValueError(
                "Exactly one of covariance_matrix or precision_matrix or scale_tril may be "
                "specified."
            )
        ((name, matrix),) = given
        if matrix.ndim < 2:
            raise ValueError(
                f"{name} must be at least two-dimensional, with optional leading batch dimensions"
            )
        batch = REGISTRY["broadcast_shapes"](matrix.shape[:-2], loc.shape[:-1])
        setattr(self, name, matrix.expand(*batch, -1, -1))
        self.loc = loc.expand(*batch, -1)
        super().__init__(batch, self.loc.shape[-1:], validate_args)
        self._factor = _FACTORS[name](matrix)

    @lazy_property
    def scale_tril(self) -> Tensor:
        return self._factor.expand(self._matrix_shape)

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        return (self._factor @ self._factor.mT).expand(self._matrix_shape)

    @lazy_property
    def precision_matrix(self) -> Tensor:
        inverse = _inverse_of_triangle(self._factor)
        return (inverse.mT @ inverse).expand(self._matrix_shape)

    @property
    def _matrix_shape(self) -> Size:
        return self._batch_shape + self._event_shape * 2

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return self._factor.square().sum(-1).expand(self._batch_shape + self._event_shape)

    def rsample(self, sample_shape: Iterable[int] = Size()) -> Tensor:
        noise = CREATORS["randn"](self._extended_shape(sample_shape), dtype=self.loc.dtype)
        return self.loc + (self._factor @ noise.unsqueeze(-1)).squeeze(-1)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        squared = mahalanobis(self._factor, value - self.loc)
        return (
            -0.5 * (self._event_shape[0] * math.log(2 * math.pi) + squared) - self._half_log_det()
        )

    def entropy(self) -> Tensor:
        found = 0.5 * self._event_shape[0] * (1 + math.log(2 * math.pi)) + self._half_log_det()
        return found.expand(self._batch_shape)

    def _half_log_det(self) -> Tensor:
        return self._factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def mahalanobis(factor: Tensor, distance: Tensor) -> Tensor:
    """The squared lengths of vectors, in units of the normal distribution whose covariance has the
    triangular `factor`; the axes in front broadcast.
    """
    lead = REGISTRY["broadcast_shapes"](factor.shape[:-2], distance.shape[:-1])
    size = factor.shape[-1]
    columns = distance.expand(*lead, size).unsqueeze(-1)
    return (
        solve_triangular(factor.expand(*lead, size, size), columns, upper=False)
        .square()
        .sum((-2, -1))
    )


def _inverse_of_triangle(factor: Tensor) -> Tensor:
    identity = CREATORS["eye"](factor.shape[-1], dtype=factor.dtype)
    return solve_triangular(factor, identity.expand(factor.shape), upper=False)


def _factor_of_inverse(matrix: Tensor) -> Tensor:
    """The lower triangular factor of the inverse of `matrix`: that of the matrix read from its end,
    which is upper triangular read from the front, is the inverse of a transposed one.
    """
    upper = cholesky(matrix.flip((-2, -1))).flip((-2, -1))
    return _inverse_of_triangle(upper.mT)


_FACTORS = {
    "covariance_matrix": cholesky,
    "precision_matrix": _factor_of_inverse,
    "scale_tril": lambda matrix: matrix,
}
