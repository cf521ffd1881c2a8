"""Parts of large matrices: `svd_lowrank`, `pca_lowrank`, by products with random matrices; and
`lu_unpack`, which takes apart what `linalg.lu_factor` gives.

The random ones follow Halko, Martinsson, Tropp, "Finding structure with randomness", 2009,
algorithms 4.4 and 5.1.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from grad.dtype import dtypes
from grad.errors import ArgumentError, ShapeError
from grad.ops.creation import eye
from grad.ops.factorizations import permutation, qr, svd
from grad.ops.lapack import TYPES, lapack, orders_of_rows, require_matrices
from grad.ops.promotion import wrap
from grad.ops.random import randn
from grad.ops.registry import op


class LuUnpackResult(NamedTuple):
    """What `lu_unpack` gives."""

    P: Any
    L: Any
    U: Any


@op(function="lu_unpack", dtypes=TYPES, composite=True)
class LuUnpack:
    """P, L and U of ``A = P @ L @ U`` from the result of `linalg.lu_factor`.

    Without `unpack_data` L and U are empty, without `unpack_pivots` P is.
    """

    @staticmethod
    def forward(
        LU_data: Any, LU_pivots: Any, unpack_data: bool = True, unpack_pivots: bool = True
    ) -> LuUnpackResult:
        require_matrices("lu_unpack", LU_data)
        m, n = LU_data.shape[-2:]
        k = min(m, n)
        p = lower = upper = LU_data.new_empty((0,))
        if unpack_data:
            lower = LU_data.narrow(-1, 0, k).tril(-1) + eye(m, k, dtype=LU_data.dtype)
            upper = LU_data.narrow(-2, 0, k).triu()
        if unpack_pivots:
            if LU_pivots.shape != (*LU_data.shape[:-2], k):
                raise ShapeError(
                    f"lu_unpack: pivots of shape {tuple(LU_pivots.shape)} do not belong to "
                    f"matrices of {tuple(LU_data.shape)}."
                )
            pivots = LU_pivots.detach().unsqueeze(-2)
            order = wrap(lapack(orders_of_rows, [pivots], (1, m))).squeeze(-2)
            p = permutation(order.to(dtypes.int64), LU_data.dtype)
        return LuUnpackResult(p, lower, upper)


def _range(a: Any, q: int, niter: int) -> Any:
    """Orthonormal columns that nearly span what the large singular values of `a` belong to."""
    found = qr(a @ randn(a.shape[-1], q, dtype=a.dtype)).Q
    for _ in range(niter):
        found = qr(a @ qr(a.mT @ found).Q).Q
    return found


def _largest(a: Any, q: int, niter: int) -> tuple[Any, Any, Any]:
    if a.shape[-2] < a.shape[-1]:
        v, s, u = _largest(a.mT, q, niter)
        return u, s, v
    basis = _range(a, q, niter)
    u, s, vh = svd(basis.mT @ a, False)
    return basis @ u, s, vh.mT


@op(function="svd_lowrank", dtypes=TYPES, composite=True)
class SvdLowRank:
    """About the `q` largest singular values, and their vectors, of large matrices.

    Args:
        q: somewhat more than the rank that is sought. niter: how often the products are repeated.
        M: what is subtracted from `A` first.

    Returns:
        ``(U, S, V)`` with ``A`` near ``U @ diag(S) @ V.mT``; they depend on the random numbers.
    """

    @staticmethod
    def forward(A: Any, q: int | None = 6, niter: int | None = 2, M: Any = None) -> Any:
        require_matrices("svd_lowrank", A)
        count = 6 if q is None else q
        if not 0 <= count <= min(A.shape[-2:]):
            raise ArgumentError(
                f"svd_lowrank: q(={count}) must be non-negative integer and not greater than "
                f"min(m, n)={min(A.shape[-2:])}"
            )
        return _largest(A if M is None else A - M, count, 2 if niter is None else niter)


@op(function="pca_lowrank", dtypes=TYPES, composite=True)
class PcaLowRank:
    """The principal components of rows of numbers: `svd_lowrank` of the columns less their means.

    Args:
        q: how many, 6 unless given (or fewer, for small matrices). center: whether means are taken
            off.
    """

    @staticmethod
    def forward(A: Any, q: int | None = None, center: bool = True, niter: int = 2) -> Any:
        require_matrices("pca_lowrank", A)
        count = min(6, *A.shape[-2:]) if q is None else q
        if not 0 <= count <= min(A.shape[-2:]) or niter < 0:
            raise ArgumentError(
                f"pca_lowrank: q(={count}) must be non-negative integer and not greater than "
                f"min(m, n)={min(A.shape[-2:])}, and niter not negative."
            )
        return _largest(A - A.mean(-2, keepdim=True) if center else A, count, niter)
