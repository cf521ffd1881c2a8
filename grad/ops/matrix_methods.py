"""Decompositions, determinants and inverses by their names of old: ``x.det()``, ``grad.svd(x)``.

PyTorch has them beside those of `linalg`, some with other arguments and results. They are the same
functions (factorizations.py, systems.py, least_squares.py).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from grad.errors import ShapeError
from grad.ops import factorizations, least_squares, systems
from grad.ops.lapack import TYPES
from grad.ops.registry import Failure, Sample, op


class SvdResult(NamedTuple):
    """What `svd` gives."""

    U: Any
    S: Any
    V: Any


def _well_conditioned(*lead: int) -> Any:
    """Makes square matrices whose inverses are no larger than they."""

    def make(random: np.random.Generator, dtype: Any) -> list[Any]:
        noise = random.uniform(-1, 1, (*lead, 3, 3))
        return [(noise + 4 * np.eye(3)).astype(dtype.numpy)]

    return make


_SQUARE = (
    Sample(((3, 3),), make=_well_conditioned(), name="one"),
    Sample(((2, 3, 3),), make=_well_conditioned(2), name="stack"),
)
_NOT_SQUARE = (Failure(((2, 3),), error=ShapeError, match="square"),)


@op(
    method="det", composite=True, dtypes=TYPES, reference=np.linalg.det, samples=_SQUARE,
    errors=_NOT_SQUARE,
)  # fmt: skip
class Det:
    """The determinants of square matrices."""

    @staticmethod
    def forward(x: Any) -> Any:
        return systems.det(x)


@op(method="slogdet", composite=True, dtypes=TYPES)
class Slogdet:
    """The signs of determinants, and the logarithms of their magnitudes."""

    @staticmethod
    def forward(x: Any) -> Any:
        return systems.slogdet(x)


@op(method="logdet", composite=True, dtypes=TYPES, errors=_NOT_SQUARE)
class Logdet:
    """The logarithms of determinants; NaN where one is negative."""

    @staticmethod
    def forward(x: Any) -> Any:
        return systems.logdet(x)


@op(method="inverse", composite=True, dtypes=TYPES, errors=_NOT_SQUARE)
class Inverse:
    """The inverse of square matrices; raises LinAlgError for a singular one."""

    @staticmethod
    def forward(x: Any) -> Any:
        return systems.inv(x)


@op(method="pinverse", composite=True, dtypes=TYPES)
class Pinverse:
    """The pseudo-inverse; singular values up to `rcond` times the largest count as zero."""

    @staticmethod
    def forward(x: Any, rcond: float = 1e-15) -> Any:
        return least_squares.pinv(x, rtol=rcond)


@op(method="matrix_exp", composite=True, dtypes=TYPES, samples=())
class MatrixExp:
    """The exponential of square matrices: the sum of ``A^k / k!``."""

    @staticmethod
    def forward(x: Any) -> Any:
        return systems.matrix_exp(x)


@op(method="cholesky", composite=True, dtypes=TYPES, errors=_NOT_SQUARE)
class Cholesky:
    """The triangular factor of symmetric positive-definite matrices; see `linalg.cholesky`."""

    @staticmethod
    def forward(x: Any, upper: bool = False) -> Any:
        return factorizations.cholesky(x, upper=upper)


@op(method="cholesky_solve", composite=True, dtypes=TYPES)
class CholeskySolve:
    """X of ``A @ X = x`` for ``A = L @ L.mT`` (or ``L.mT @ L`` if `upper`), given its factor."""

    @staticmethod
    def forward(x: Any, L: Any, upper: bool = False) -> Any:
        first, second = (L.mT, L) if upper else (L, L.mT)
        middle = systems.solve_triangular(first, x, upper=False)
        return systems.solve_triangular(second, middle, upper=True)


@op(method="cholesky_inverse", composite=True, dtypes=TYPES)
class CholeskyInverse:
    """The inverse of ``L @ L.mT`` (or ``L.mT @ L`` if `upper`), given the factor L."""

    @staticmethod
    def forward(x: Any, upper: bool = False) -> Any:
        factor = x.mT if upper else x
        return systems.inv(factor.tril() @ factor.tril().mT)


@op(method="qr", composite=True, dtypes=TYPES)
class QR:
    """``x = Q @ R``; `some` is ``mode="reduced"`` of `linalg.qr`, else "complete"."""

    @staticmethod
    def forward(x: Any, some: bool = True) -> Any:
        return factorizations.qr(x, "reduced" if some else "complete")


@op(method="svd", composite=True, dtypes=TYPES)
class SVD:
    """``x = U @ diag(S) @ V.mT``; unlike `linalg.svd` it gives V, and reduced matrices if `some`.

    Without `compute_uv` U and V are zeros.
    """

    @staticmethod
    def forward(x: Any, some: bool = True, compute_uv: bool = True) -> SvdResult:
        if compute_uv:
            u, s, v = factorizations.svd(x, not some)
            return SvdResult(u, s, v.mT)
        m, n = x.shape[-2:]
        lead = x.shape[:-2]
        return SvdResult(
            x.new_zeros((*lead, m, m)), factorizations.svdvals(x), x.new_zeros((*lead, n, n))
        )
