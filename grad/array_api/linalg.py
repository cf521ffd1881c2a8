"""The extension `linalg`: decompositions, solvers and norms of stacks of matrices.

They are the functions of `grad.linalg` under the standard's arguments.
"""

from __future__ import annotations

from typing import NamedTuple

from grad import linalg
from grad.array_api.linear_algebra import matmul, matrix_transpose, tensordot, vecdot
from grad.array_api.operands import operands, require_tensor
from grad.array_api.statistical import Axes, sum
from grad.dtype import DType
from grad.errors import ShapeError
from grad.tensor import Tensor

__all__ = [
    "EighResult", "QRResult", "SVDResult", "SlogdetResult", "cholesky", "cross", "det", "diagonal",
    "eigh", "eigvalsh", "inv", "matmul", "matrix_norm", "matrix_power", "matrix_rank",
    "matrix_transpose", "outer", "pinv", "qr", "slogdet", "solve", "svd", "svdvals", "tensordot",
    "trace", "vecdot", "vector_norm",
]  # fmt: skip


class EighResult(NamedTuple):
    """What `eigh` gives."""

    eigenvalues: Tensor
    eigenvectors: Tensor


class QRResult(NamedTuple):
    """What `qr` gives."""

    Q: Tensor
    R: Tensor


class SlogdetResult(NamedTuple):
    """What `slogdet` gives."""

    sign: Tensor
    logabsdet: Tensor


class SVDResult(NamedTuple):
    """What `svd` gives."""

    U: Tensor
    S: Tensor
    Vh: Tensor


# -- decompositions --------------------------------------------------------------------------------
def cholesky(x: Tensor, /, *, upper: bool = False) -> Tensor:
    """The triangular factor L of ``x = L @ L.mT``, or its transpose if `upper`."""
    return linalg.cholesky(require_tensor("cholesky", x), upper=upper)


def eigh(x: Tensor, /) -> EighResult:
    """Eigenvalues of symmetric matrices, ascending, and eigenvectors as columns."""
    return EighResult(*linalg.eigh(require_tensor("eigh", x)))


def eigvalsh(x: Tensor, /) -> Tensor:
    """Eigenvalues of symmetric matrices, ascending."""
    return linalg.eigvalsh(require_tensor("eigvalsh", x))


def qr(x: Tensor, /, *, mode: str = "reduced") -> QRResult:
    """``x = Q @ R``, Q with orthonormal columns, as many as rows if `mode` is "complete"."""
    return QRResult(*linalg.qr(require_tensor("qr", x), mode=mode))


def svd(x: Tensor, /, *, full_matrices: bool = True) -> SVDResult:
    """``x = U @ diag(S) @ Vh``, with square U and Vh if `full_matrices`."""
    return SVDResult(*linalg.svd(require_tensor("svd", x), full_matrices=full_matrices))


def svdvals(x: Tensor, /) -> Tensor:
    """Singular values of matrices, descending."""
    return linalg.svdvals(require_tensor("svdvals", x))


# -- solvers and determinants ----------------------------------------------------------------------
def solve(x1: Tensor, x2: Tensor, /) -> Tensor:
    """X of ``x1 @ X = x2``; `x2` is a vector if it has one axis, else a stack of matrices.

    (PyTorch takes ``(..., n)`` for a stack of vectors.)
    """
    matrix, right = operands("solve", require_tensor("solve", x1), require_tensor("solve", x2))
    if len(right.shape) == 1:
        return linalg.solve(matrix, right.unsqueeze(-1)).squeeze(-1)
    if len(right.shape) == len(matrix.shape) - 1:
        right = right.unsqueeze(0)
    return linalg.solve(matrix, right)


def det(x: Tensor, /) -> Tensor:
    """Determinants of square matrices."""
    return linalg.det(require_tensor("det", x))


def slogdet(x: Tensor, /) -> SlogdetResult:
    """The signs of determinants, and the logarithms of their magnitudes."""
    return SlogdetResult(*linalg.slogdet(require_tensor("slogdet", x)))


def inv(x: Tensor, /) -> Tensor:
    """Inverses of square matrices."""
    return linalg.inv(require_tensor("inv", x))


def pinv(x: Tensor, /, *, rtol: float | Tensor | None = None) -> Tensor:
    """Pseudo-inverses; singular values not above `rtol` times the largest count as 0."""
    return linalg.pinv(require_tensor("pinv", x), rtol=rtol)


def matrix_rank(x: Tensor, /, *, rtol: float | Tensor | None = None) -> Tensor:
    """How many singular values are above `rtol` times the largest; int64."""
    return linalg.matrix_rank(require_tensor("matrix_rank", x), rtol=rtol)


def matrix_power(x: Tensor, n: int, /) -> Tensor:
    """Square matrices times themselves, `n` factors; of the inverses for negative `n`."""
    return linalg.matrix_power(require_tensor("matrix_power", x), n)


# -- norms, products and diagonals -----------------------------------------------------------------
def matrix_norm(x: Tensor, /, *, keepdims: bool = False, ord: float | str | None = "fro") -> Tensor:
    """A norm of the matrices in the last two axes; see `grad.linalg.matrix_norm`."""
    kind = "fro" if ord is None else ord
    return linalg.matrix_norm(require_tensor("matrix_norm", x), kind, (-2, -1), keepdims)


def vector_norm(
    x: Tensor, /, *, axis: Axes | None = None, keepdims: bool = False, ord: int | float = 2
) -> Tensor:
    """``sum(|x| ** ord) ** (1 / ord)`` over `axis`, or of all; see `grad.linalg.vector_norm`."""
    if axis == ():
        x, axis, keepdims = require_tensor("vector_norm", x).unsqueeze(0), 0, False
    return linalg.vector_norm(require_tensor("vector_norm", x), ord, axis, keepdims)


def cross(x1: Tensor, x2: Tensor, /, *, axis: int = -1) -> Tensor:
    """Cross products of vectors of three elements along `axis`; other axes broadcast."""
    first, second = operands("cross", require_tensor("cross", x1), require_tensor("cross", x2))
    return linalg.cross(first, second, dim=axis)


def outer(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The products of each element of the vector `x1` with each of `x2`."""
    first, second = operands("outer", require_tensor("outer", x1), require_tensor("outer", x2))
    return first.outer(second)


def diagonal(x: Tensor, /, *, offset: int = 0) -> Tensor:
    """The diagonals of matrices as a last axis, `offset` above the main one: a view."""
    return linalg.diagonal(require_tensor("diagonal", x), offset=offset)


def trace(x: Tensor, /, *, offset: int = 0, dtype: DType | None = None) -> Tensor:
    """The sum of each diagonal, `offset` above the main one."""
    if len(require_tensor("trace", x).shape) < 2:
        raise ShapeError(f"trace: needs matrices, got shape {x._shape}.")
    return sum(diagonal(x, offset=offset), axis=-1, dtype=dtype)
