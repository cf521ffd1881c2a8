"""Linear algebra, with the names of ``torch.linalg``.

Factorizations and solvers are LAPACK's, with gradients of our own; matrices come in stacks, along
all axes but the last two. What is not made of others here is in `grad/ops`: factorizations.py,
systems.py, least_squares.py, chains.py, products.py, norms.py.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from grad.dtype import dtypes
from grad.errors import ArgumentError, DTypeError, LinAlgError, ShapeError
from grad.ops import chains, householder, norms, products, vandermonde
from grad.ops.autocast import autocasts
from grad.ops.creation import eye
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
from grad.ops.out import takes_out
from grad.ops.promotion import require_tensors, wrap
from grad.ops.systems import det, inv, matrix_exp, slogdet, solve, solve_triangular

__all__ = [
    "LinAlgError", "cholesky", "cholesky_ex", "cond", "cross", "det", "diagonal", "eigh",
    "eigvalsh", "householder_product", "inv", "inv_ex", "lstsq", "lu", "lu_factor", "lu_factor_ex",
    "lu_solve", "matmul", "matrix_exp", "matrix_norm", "matrix_power", "matrix_rank", "multi_dot",
    "norm", "pinv", "qr", "slogdet", "solve", "solve_ex", "solve_triangular", "svd", "svdvals",
    "tensorinv", "tensorsolve", "vander", "vecdot", "vector_norm",
]  # fmt: skip


class LUFactorResult(NamedTuple):
    """What `lu_factor` gives."""

    LU: Any
    pivots: Any


class LUFactorExResult(NamedTuple):
    """What `lu_factor_ex` gives."""

    LU: Any
    pivots: Any
    info: Any


class SolveExResult(NamedTuple):
    """What `solve_ex` gives."""

    result: Any
    info: Any


class CholeskyExResult(NamedTuple):
    """What `cholesky_ex` gives."""

    L: Any
    info: Any


class InvExResult(NamedTuple):
    """What `inv_ex` gives."""

    inverse: Any
    info: Any


@takes_out
@autocasts
def lu_factor(A: Any, *, pivot: bool = True) -> Any:
    """L and U of ``A = P @ L @ U`` in one matrix, and which rows were exchanged.

    Returns:
        ``(LU, pivots)``: row i was exchanged with row ``pivots[i] - 1``; int32, as LAPACK's.
    """
    require_pivoting("lu_factor", pivot)
    factors, _, pivots = LU.apply(A)
    return LUFactorResult(factors, pivots + 1)


@takes_out
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


@takes_out
def cholesky_ex(A: Any, *, upper: bool = False, check_errors: bool = False) -> Any:
    """As `cholesky`, and a 0 for each matrix; raises for matrices that are not positive-definite,
    whether `check_errors` or not.
    """
    return CholeskyExResult(cholesky(A, upper=upper), A.new_zeros(A.shape[:-2], dtype=dtypes.int32))


@takes_out
def inv_ex(A: Any, *, check_errors: bool = False) -> Any:
    """As `inv`, and a 0 for each matrix; raises for singular ones, whether `check_errors` or
    not.
    """
    return InvExResult(inv(A), A.new_zeros(A.shape[:-2], dtype=dtypes.int32))


@takes_out
def lu_factor_ex(A: Any, *, pivot: bool = True, check_errors: bool = False) -> Any:
    """As `lu_factor`, and for each matrix which is the first 0 on the diagonal of its U, counted
    from 1; 0 where there is none. With `check_errors` such a matrix raises.
    """
    factors, pivots = lu_factor(A, pivot=pivot)
    there = diagonal(factors.detach()) != 0
    first = there.cumprod(-1, dtype=dtypes.int32).sum(-1, dtype=dtypes.int32) + 1
    info = first.where(~there.all(-1), 0)
    if check_errors and info.any():
        raise LinAlgError(
            f"linalg.lu_factor_ex: a 0 is on the diagonal of U (places, from 1: {info.tolist()})."
        )
    return LUFactorExResult(factors, pivots, info)


@takes_out
def solve_ex(A: Any, B: Any, *, left: bool = True, check_errors: bool = False) -> Any:
    """As `solve`, and a 0 for each matrix; raises for singular ones, whether `check_errors` or
    not.
    """
    return SolveExResult(solve(A, B, left=left), A.new_zeros(A.shape[:-2], dtype=dtypes.int32))


@takes_out
def householder_product(A: Any, tau: Any) -> Any:
    """The first columns of a product of Householder reflections; see `grad.orgqr`."""
    return householder.Orgqr.forward(A, tau)


@takes_out
def cond(A: Any, p: Any = None) -> Any:
    """Condition numbers: the norm of each matrix times that of its inverse; infinite for singular
    matrices.

    Args:
        p: None or 2 for the largest singular value by the smallest, -2 for the inverse of that, or
            a norm of `matrix_norm`, then of square matrices.

    Example:
        >>> grad.linalg.cond(grad.tensor([[2.0, 0.0], [0.0, 4.0]])).item()
        2.0
    """
    if len(A.shape) < 2:
        raise ShapeError("linalg.cond: The input tensor must have at least 2 dimensions.")
    if p not in (None, 1, -1, 2, -2, math.inf, -math.inf, "fro", "nuc"):
        raise ArgumentError(f"linalg.cond got an invalid norm type: {p}")
    if 0 in A.shape:
        return A.new_zeros(A.shape[:-2])
    if p in (None, 2, -2):
        values = svdvals(A)
        ends = values.select(-1, 0), values.select(-1, values.shape[-1] - 1)
        return ends[1] / ends[0] if p == -2 else ends[0] / ends[1]
    if A.shape[-1] != A.shape[-2]:
        raise ShapeError(
            f"linalg.cond(ord={p}): A must be batches of square matrices, but they are "
            f"{A.shape[-2]} by {A.shape[-1]} matrices"
        )
    singular = slogdet(A.detach())[1] == -math.inf
    one = eye(A.shape[-1], dtype=A.dtype)
    inverse = inv(one.where(singular.unsqueeze(-1).unsqueeze(-1), A))
    found = matrix_norm(A, p) * matrix_norm(inverse, p)
    return found.masked_fill(singular, math.inf)


@takes_out
@autocasts
def tensorinv(A: Any, ind: int = 2) -> Any:
    """The inverse of `A` as a map from its last axes to its first `ind` ones."""
    first, last = A.shape[:ind], A.shape[ind:]
    if ind <= 0 or math.prod(first) != math.prod(last):
        raise ShapeError(
            f"linalg.tensorinv: Expected self to satisfy the requirement prod(self.shape[ind:]) == "
            f"prod(self.shape[:ind]), got {tuple(A.shape)} and ind={ind}."
        )
    return inv(A.reshape(math.prod(first), -1)).reshape((*last, *first))


@takes_out
@autocasts
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


# -- products --------------------------------------------------------------------------------------
@takes_out
def matmul(input: Any, other: Any) -> Any:
    """The product of matrices or vectors, ``input @ other``."""
    return input.matmul(other)


@takes_out
@autocasts
def multi_dot(tensors: Any) -> Any:
    """The product of two or more matrices, in the order with the fewest multiplications.

    Args:
        tensors: matrices; the first and the last may be vectors, a row and a column.

    Raises:
        ShapeError: they do not fit. DTypeError: their types differ.

    Example:
        >>> grad.linalg.multi_dot([grad.ones(2, 3), grad.ones(3, 4), grad.ones(4)]).shape
        torch.Size([2])
    """
    return chains.multi_dot(tensors)


@takes_out
def matrix_power(A: Any, n: int) -> Any:
    """Square matrices times themselves, `n` factors in all; of the inverses for negative `n`."""
    return A.matrix_power(n)


@takes_out
@autocasts
def vecdot(x: Any, y: Any, *, dim: int = -1) -> Any:
    """Inner products of vectors that lie along `dim`; other axes broadcast.

    Example:
        >>> grad.linalg.vecdot(grad.ones(2, 3), grad.ones(3)).tolist()
        [3.0, 3.0]
    """
    return products.vector_products(x, y, dim)


@takes_out
def cross(input: Any, other: Any, *, dim: int = -1) -> Any:
    """Cross products of vectors of three numbers that lie along `dim`; other axes broadcast."""
    return products.cross_product("linalg.cross", input, other, dim)


def diagonal(A: Any, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """The diagonals of matrices as a last axis: a view; see `Tensor.diagonal`."""
    require_tensors("linalg.diagonal", A=A)
    return A.diagonal(offset, dim1, dim2)


@takes_out
def vander(x: Any, *, N: int | None = None) -> Any:
    """Matrices with the powers 0 to ``N - 1`` of each element of x in a row.

    Shape:
        ``(..., n)`` gives ``(..., n, N)``; N is n unless given, and 2 at least.
    """
    if x.dtype is dtypes.bool:
        raise DTypeError("linalg.vander: supports floating point and integer tensors, not bool.")
    if not x.shape:
        x = x.reshape((1,))
    count = x.shape[-1] if N is None else N
    if count <= 1:
        raise ArgumentError(f"linalg.vander: N must be greater than 1, got {count}.")
    return vandermonde.powers(x, count)


# -- norms -----------------------------------------------------------------------------------------
@takes_out
def vector_norm(
    x: Any, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Any:
    """``sum(|x| ** ord) ** (1 / ord)`` over `dim` (an axis, several, or all).

    Args:
        ord: any number; 0 counts what is not 0, the infinities give the largest and the smallest
            magnitude.
        dtype: what x is converted to first.

    Raises:
        ShapeError: there are no elements, and `ord` is negative or infinite.

    Example:
        >>> grad.linalg.vector_norm(grad.tensor([3.0, 4.0])).item()
        5.0
    """
    return norms.vector_norm(x, ord, dim, keepdim, dtype=dtype)


@takes_out
def matrix_norm(
    A: Any, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: Any = None
) -> Any:
    """A norm of matrices that lie in the two axes `dim`.

    Args:
        ord: "fro" is the root of the sum of squares; 1 and inf are the largest sum of magnitudes of
            a column and of a row, -1 and -inf the smallest; "nuc" is the sum of the singular
            values, 2 and -2 the largest and the smallest.
        dtype: what A is converted to first.

    Example:
        >>> grad.linalg.matrix_norm(grad.tensor([[1.0, -2.0], [3.0, 4.0]]), 1).item()
        6.0
    """
    return norms.matrix_norm(A, ord, dim, keepdim, dtype=dtype)


@takes_out
def norm(
    A: Any, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: Any = None
) -> Any:
    """`matrix_norm` where two axes are meant and an `ord` is given, else `vector_norm`.

    Two axes are meant by a `dim` of two, and by a matrix without `dim`. Without `ord` it is the
    root of the sum of squares, over `dim` or all axes.
    """
    if ord is None:
        return vector_norm(A, 2, dim, keepdim, dtype=dtype)
    if dim is None and len(A.shape) not in (1, 2):
        raise ShapeError(
            f"linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. Got "
            f"{len(A.shape)}D."
        )
    several = isinstance(dim, list | tuple)
    if several and len(dim) not in (1, 2):
        raise ArgumentError(
            f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {list(dim)}."
        )
    matrices = len(A.shape) == 2 if dim is None else several and len(dim) == 2
    if matrices or isinstance(ord, str):
        return matrix_norm(A, ord, (-2, -1) if dim is None else dim, keepdim, dtype=dtype)
    return vector_norm(A, ord, dim, keepdim, dtype=dtype)
