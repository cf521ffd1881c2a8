"""Linear algebra, with the names of ``torch.linalg``.

Factorizations and solvers are LAPACK's, with gradients of our own; matrices come in stacks, along
all axes but the last two. What is not made of others here is in `grad/ops`: factorizations.py,
systems.py, least_squares.py.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from grad.dtype import dtypes
from grad.errors import LinAlgError, ShapeError
from grad.ops.factorizations import (
    LU,
    cholesky,
    eigh,
    eigvalsh,
    lu,
    permutation,
    qr,
    require_pivoting,
    svd,
    svdvals,
)
from grad.ops.lapack import lapack, orders_of_rows
from grad.ops.least_squares import lstsq, matrix_rank, pinv
from grad.ops.promotion import wrap
from grad.ops.systems import det, inv, matrix_exp, slogdet, solve, solve_triangular

__all__ = [
    "LinAlgError", "cholesky", "cholesky_ex", "det", "diagonal", "eigh", "eigvalsh", "inv",
    "inv_ex", "lstsq", "lu", "lu_factor", "lu_solve", "matrix_exp", "matrix_rank", "pinv", "qr",
    "slogdet", "solve", "solve_triangular", "svd", "svdvals", "tensorinv", "tensorsolve",
]  # fmt: skip


class LUFactorResult(NamedTuple):
    """What `lu_factor` gives."""

    LU: Any
    pivots: Any


class CholeskyExResult(NamedTuple):
    """What `cholesky_ex` gives."""

    L: Any
    info: Any


class InvExResult(NamedTuple):
    """What `inv_ex` gives."""

    inverse: Any
    info: Any


def diagonal(A: Any, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """The diagonals of a stack of matrices, as a last axis: a view."""
    return A.diagonal(offset, dim1, dim2)


def lu_factor(A: Any, *, pivot: bool = True) -> Any:
    """L and U of ``A = P @ L @ U`` in one matrix, and which rows were exchanged.

    Returns:
        ``(LU, pivots)``: row i was exchanged with row ``pivots[i] - 1``; int32, as LAPACK's.
    """
    require_pivoting("lu_factor", pivot)
    factors, _, pivots = LU.apply(A)
    return LUFactorResult(factors, pivots + 1)


def lu_solve(
    LU: Any,
    pivots: Any,
    B: Any,
    *,
    left: bool = True,
    adjoint: bool = False,
) -> Any:
    """X of ``A @ X = B`` (of ``X @ A = B`` unless `left`), given what `lu_factor` made of A.

    With `adjoint` of ``A.mT @ X = B``.
    """
    if not left:
        return lu_solve(LU, pivots, B.mT, adjoint=not adjoint).mT
    size = LU.shape[-1]
    order = wrap(lapack(orders_of_rows, [pivots.unsqueeze(-2)], (1, size))).squeeze(-2)
    exchange = permutation(order.to(dtypes.int64), LU.dtype)
    if adjoint:
        middle = solve_triangular(LU.mT, B, upper=False)
        return exchange @ solve_triangular(LU.mT, middle, upper=True, unitriangular=True)
    middle = solve_triangular(LU, exchange.mT @ B, upper=False, unitriangular=True)
    return solve_triangular(LU, middle, upper=True)


def cholesky_ex(A: Any, *, upper: bool = False, check_errors: bool = False) -> Any:
    """As `cholesky`, and a 0 for each matrix; raises for matrices that are not positive-definite,
    whether `check_errors` or not.
    """
    return CholeskyExResult(cholesky(A, upper=upper), A.new_zeros(A.shape[:-2], dtype=dtypes.int32))


def inv_ex(A: Any, *, check_errors: bool = False) -> Any:
    """As `inv`, and a 0 for each matrix; raises for singular ones, whether `check_errors` or
    not.
    """
    return InvExResult(inv(A), A.new_zeros(A.shape[:-2], dtype=dtypes.int32))


def tensorinv(A: Any, ind: int = 2) -> Any:
    """The inverse of `A` as a map from its last axes to its first `ind` ones."""
    first, last = A.shape[:ind], A.shape[ind:]
    if ind <= 0 or math.prod(first) != math.prod(last):
        raise ShapeError(
            f"linalg.tensorinv: Expected self to satisfy the requirement prod(self.shape[ind:]) == "
            f"prod(self.shape[:ind]), got {tuple(A.shape)} and ind={ind}."
        )
    return inv(A.reshape(math.prod(first), -1)).reshape((*last, *first))


def tensorsolve(A: Any, B: Any, dims: Any = None) -> Any:
    """X of ``tensordot(A, X, X.ndim) = B``; `dims` are moved to the end of `A` first."""
    if dims is not None:
        A = A.movedim(tuple(dims), tuple(range(len(A.shape) - len(dims), len(A.shape))))
    rest = A.shape[len(B.shape) :]
    if math.prod(rest) != math.prod(B.shape):
        raise ShapeError(
            f"linalg.tensorsolve: Expected self to satisfy the requirement "
            f"prod(self.shape[other.ndim:]) == prod(self.shape[:other.ndim]), got "
            f"{tuple(A.shape)} and {tuple(B.shape)}."
        )
    return solve(A.reshape(math.prod(B.shape), -1), B.reshape(-1)).reshape(rest)
