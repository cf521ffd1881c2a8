"""The distribution of Wishart: how much normal vectors scatter, as a matrix."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from grad.distributions import constraints
from grad.distributions.distribution import Distribution
from grad.distributions.multivariate_normal import MultivariateNormal
from grad.distributions.utils import lazy_property
from grad.ops.creators import CREATORS
from grad.ops.factorizations import cholesky
from grad.ops.random_gamma import StandardGamma
from grad.ops.registry import REGISTRY
from grad.ops.systems import solve_triangular
from grad.tensor import Tensor
from grad.utils.size import Size


class Wishart(Distribution):
    """The sum of ``x @ x.T`` for `df` normal vectors x of mean 0, of a covariance that is given in
    one of three ways, as for `MultivariateNormal`; `df` may be a fraction.

    Args:
        df: above ``n - 1``.
        covariance_matrix, precision_matrix, scale_tril: of shape ``(..., n, n)``.

    Raises:
        ValueError: none or several of them are given, or one has too few axes.

    Example:
        >>> Wishart(grad.tensor(3.0), grad.eye(2)).mean
        tensor([[3., 0.],
                [0., 3.]])
    """

    support = constraints.positive_definite
    has_rsample = True
    df: Tensor

    def __init__(
        self,
        df: Any,
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
        if not isinstance(df, Tensor):
            df = matrix.new_tensor(df)
        batch = REGISTRY["broadcast_shapes"](matrix.shape[:-2], df.shape)
        event = matrix.shape[-2:]
        self.df = df.expand(batch)
        setattr(self, name, matrix.expand(*batch, -1, -1))
        super().__init__(batch, event, validate_args)
        # Of the normal vectors, whose matrices these are too.
        zero = matrix.new_zeros(event[:1]).expand(*batch, -1)
        self._normal = MultivariateNormal(zero, **{name: matrix}, validate_args=False)

    def expand(self, batch_shape: Iterable[int], _instance: Any = None) -> Any:
        new = super().expand(batch_shape, _instance)
        new._normal = self._normal.expand(batch_shape)
        return new

    @property
    def arg_constraints(self) -> dict[str, Any]:
        return {
            "covariance_matrix": constraints.positive_definite,
            "precision_matrix": constraints.positive_definite,
            "scale_tril": constraints.lower_cholesky,
            "df": constraints.greater_than(self._event_shape[-1] - 1),
        }

    @lazy_property
    def scale_tril(self) -> Tensor:
        return self._normal.scale_tril

    @lazy_property
    def covariance_matrix(self) -> Tensor:
        return self._normal.covariance_matrix

    @lazy_property
    def precision_matrix(self) -> Tensor:
        return self._normal.precision_matrix

    @property
    def _size(self) -> int:
        return self._event_shape[-1]

    @property
    def mean(self) -> Tensor:
        return self.df[..., None, None] * self.covariance_matrix

    @property
    def mode(self) -> Tensor:
        """NaN for a `df` of ``n + 1`` or less."""
        factor = self.df - self._size - 1
        factor = factor.masked_fill(factor <= 0, math.nan)
        return factor[..., None, None] * self.covariance_matrix

    @property
    def variance(self) -> Tensor:
        matrix = self.covariance_matrix
        own = matrix.diagonal(dim1=-2, dim2=-1)
        return self.df[..., None, None] * (matrix.square() + own.unsqueeze(-1) * own.unsqueeze(-2))

    def rsample(self, sample_shape: Iterable[int] = Size()) -> Tensor:
        # The triangle of a standard one has independent elements (Bartlett, 1933).
        shape = self._extended_shape(sample_shape)
        halves = self._halves().expand(shape[:-1])
        diagonal = (2 * StandardGamma.apply(halves)).sqrt()
        below = CREATORS["randn"](shape, dtype=self.df.dtype).tril(-1)
        factor = self.scale_tril @ (below + diagonal.diag_embed())
        return factor @ factor.mT

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        n, root = self._size, cholesky(value)
        lead = REGISTRY["broadcast_shapes"](root.shape[:-2], self._batch_shape)
        ours, root = (x.expand(*lead, n, n) for x in (self.scale_tril, root))
        trace = solve_triangular(ours, root, upper=False).square().sum((-2, -1))
        log_det = 2 * root.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        ways = (0.5 * self.df).mvlgamma(n) + self.df * (0.5 * n * math.log(2) + self._half_log_det)
        return 0.5 * (self.df - n - 1) * log_det - 0.5 * trace - ways

    def entropy(self) -> Tensor:
        n = self._size
        slopes = self._halves().digamma().sum(-1)
        volume = (n + 1) * (self._half_log_det + 0.5 * n * math.log(2))
        rest = 0.5 * (self.df * n - (self.df - n - 1) * slopes)
        return volume + (0.5 * self.df).mvlgamma(n) + rest

    @property
    def _half_log_det(self) -> Tensor:
        return self.scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)

    def _halves(self) -> Tensor:
        """Half of `df`, less 0, 1 / 2, 1 ... along a new last axis."""
        steps = CREATORS["arange"](self._size, dtype=self.df.dtype)
        return 0.5 * (self.df.unsqueeze(-1) - steps)
