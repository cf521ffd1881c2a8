"""Factorizations of matrices with their gradients: Cholesky, QR, LU, eigenvalues, singular values.

LAPACK computes them (lapack.py). The gradients are written in Tensor methods, so that they have
gradients; sources are given with each. `grad/linalg` shows these functions to users.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from grad.autograd.function import Context, Function
from grad.dtype import dtypes
from grad.errors import ArgumentError, GradientError
from grad.graph.node import cast, iota
from grad.ops.autocast import autocasts
from grad.ops.creation import eye
from grad.ops.lapack import (
    cholesky_factors,
    eigen_factors,
    lapack,
    lu_factors,
    qr_factors,
    require_matrices,
    singular_factors,
    unpacked,
)
from grad.ops.out import takes_out
from grad.ops.promotion import wrap, zeros_like
from grad.ops.systems import SolveTriangular, beside, triangle


class QRResult(NamedTuple):
    """What `linalg.qr` gives."""

    Q: Any
    R: Any


class EighResult(NamedTuple):
    """What `linalg.eigh` gives."""

    eigenvalues: Any
    eigenvectors: Any


class SVDResult(NamedTuple):
    """What `linalg.svd` gives."""

    U: Any
    S: Any
    Vh: Any


class LUResult(NamedTuple):
    """What `linalg.lu` gives."""

    P: Any
    L: Any
    U: Any


def _diagonal_halved(x: Any) -> Any:
    """The lower triangle, with half of the diagonal."""
    return (x.tril() + x.tril(-1)) * 0.5


def _optional(gradient: Any, like: Any) -> Any:
    return zeros_like(like) if gradient is None else gradient


# -- Cholesky --------------------------------------------------------------------------------------
class Cholesky(Function):
    """L of ``A = L @ L.mT``; the gradient is symmetric, as A is taken to be.

    Gradient: Murray, "Differentiation of the Cholesky decomposition", 2016, section 3.1.
    """

    @staticmethod
    def forward(ctx: Context, x: Any, upper: bool = False) -> Any:
        require_matrices("cholesky", x, square=True)
        result = x._wrap(lapack(cholesky_factors, [x], x.shape[-2:], upper))
        ctx.upper = upper
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (factor,) = ctx.saved_tensors
        if ctx.upper:
            factor, grad = factor.mT, grad.mT
        inner = _diagonal_halved(factor.mT @ grad)
        # L^-T inner L^-1
        half = SolveTriangular.apply(factor.mT, inner, True, True, False)
        whole = SolveTriangular.apply(factor, half, False, False, False)
        return (whole + whole.mT) * 0.5, None


@takes_out
@autocasts
def cholesky(x: Any, *, upper: bool = False) -> Any:
    """The lower triangular L of the symmetric positive-definite ``x = L @ L.mT``, or ``L.mT`` if
    `upper`. Only the triangle of that name is read.

    Raises:
        LinAlgError: `x` is not positive-definite.
    """
    return Cholesky.apply(x, upper)


# -- QR --------------------------------------------------------------------------------------------
class QR(Function):
    """Q and R. Gradient: Walter and Lehmann, "Algorithmic differentiation of linear algebra
    functions with application in optimum experimental design", 2011; for wide matrices Roberts and
    Roberts, "QR and LQ Decomposition Matrix Backpropagation Algorithms", 2020.
    """

    @staticmethod
    def forward(ctx: Context, x: Any, mode: str = "reduced") -> Any:
        require_matrices("qr", x)
        if mode not in ("reduced", "complete", "r"):
            raise ArgumentError(
                f"linalg.qr: received unrecognized mode '{mode}' but expected one of 'reduced', "
                "'r', or 'complete'."
            )
        m, n = x.shape[-2:]
        k = m if mode == "complete" else min(m, n)
        numpy_mode = "complete" if mode == "complete" else "reduced"
        node = lapack(qr_factors, [x], (m * k + k * n,), numpy_mode)
        q, r = (x._wrap(part) for part in unpacked(node, (m, k), (k, n)))
        ctx.mode = mode
        ctx.save_for_backward(x, q, r)
        ctx.set_materialize_grads(False)
        return q, r

    @staticmethod
    def backward(ctx: Context, grad_q: Any, grad_r: Any) -> Any:
        x, q, r = ctx.saved_tensors
        m, n = x.shape[-2:]
        if ctx.mode == "r":
            raise GradientError("linalg.qr: mode='r' has no gradient; use mode='reduced'.")
        if ctx.mode == "complete" and m > n:
            raise GradientError(
                "linalg.qr: mode='complete' has no gradient for matrices of more rows than "
                "columns; use mode='reduced'."
            )
        grad_q, grad_r = _optional(grad_q, q), _optional(grad_r, r)
        if m >= n:
            return _qr_gradient(q, r, grad_q, grad_r), None
        right = x.narrow(-1, m, n - m)
        first, second = grad_r.narrow(-1, 0, m), grad_r.narrow(-1, m, n - m)
        left = _qr_gradient(q, r.narrow(-1, 0, m), grad_q + right @ second.mT, first)
        return beside(left, q @ second), None


def _qr_gradient(q: Any, r: Any, grad_q: Any, grad_r: Any) -> Any:
    inner = r @ grad_r.mT - grad_q.mT @ q
    symmetric = inner.tril() + inner.tril(-1).mT
    # (grad_q + q symmetric) R^-T
    return SolveTriangular.apply(r.mT, grad_q + q @ symmetric, False, False, False)


@takes_out
@autocasts
def qr(x: Any, mode: str = "reduced") -> Any:
    """``x = Q @ R`` with orthonormal columns in Q and an upper triangular R.

    Args:
        mode: "reduced" for Q of as many columns as the smaller side of `x`, "complete" for a
            square Q, "r" for R alone (Q is empty).
    """
    q, r = QR.apply(x, mode)
    return QRResult(x.new_empty((0,)) if mode == "r" else q, r)


# -- eigenvalues -----------------------------------------------------------------------------------
class Eigh(Function):
    """Eigenvalues and eigenvectors. Gradient: Giles, "Collected Matrix Derivative Results for
    Forward and Reverse Mode Algorithmic Differentiation", 2008, section 3.1.
    """

    @staticmethod
    def forward(ctx: Context, x: Any, triangle: str = "L") -> Any:
        require_matrices("eigh", x, square=True)
        if triangle not in ("L", "U"):
            raise ArgumentError(f"linalg.eigh: UPLO must be 'L' or 'U', got {triangle!r}.")
        n = x.shape[-1]
        node = lapack(eigen_factors, [x], (n + n * n,), triangle)
        values, vectors = (x._wrap(part) for part in unpacked(node, (n,), (n, n)))
        ctx.save_for_backward(values, vectors)
        ctx.set_materialize_grads(False)
        return values, vectors

    @staticmethod
    def backward(ctx: Context, grad_values: Any, grad_vectors: Any) -> Any:
        values, vectors = ctx.saved_tensors
        one = eye(values.shape[-1], dtype=values.dtype)
        inner = _optional(grad_values, values).unsqueeze(-1) * one
        if grad_vectors is not None:
            gaps = values.unsqueeze(-2) - values.unsqueeze(-1)
            gaps = gaps.masked_fill(one.bool(), math.inf)
            inner = inner + vectors.mT @ grad_vectors / gaps
        return vectors @ inner @ vectors.mT, None


@takes_out
@autocasts
def eigh(x: Any, UPLO: str = "L") -> Any:
    """The eigenvalues of symmetric matrices in ascending order, and the eigenvectors in columns.

    Only the lower triangle is read, or the upper with ``UPLO="U"``. Where eigenvalues are equal,
    the gradient through the eigenvectors is infinite.
    """
    return EighResult(*Eigh.apply(x, UPLO))


@takes_out
@autocasts
def eigvalsh(x: Any, UPLO: str = "L") -> Any:
    """The eigenvalues of symmetric matrices in ascending order."""
    return Eigh.apply(x, UPLO)[0]


# -- singular values -------------------------------------------------------------------------------
class SVD(Function):
    """U, S and V transposed. Gradient: Townsend, "Differentiating the Singular Value
    Decomposition", 2016.
    """

    @staticmethod
    def forward(ctx: Context, x: Any, full_matrices: bool = True) -> Any:
        require_matrices("svd", x)
        m, n = x.shape[-2:]
        k = min(m, n)
        rows, columns = (m, n) if full_matrices else (k, k)
        node = lapack(singular_factors, [x], (m * rows + k + columns * n,), full_matrices)
        u, s, v = (x._wrap(part) for part in unpacked(node, (m, rows), (k,), (columns, n)))
        ctx.save_for_backward(u, s, v)
        ctx.set_materialize_grads(False)
        return u, s, v

    @staticmethod
    def backward(ctx: Context, grad_u: Any, grad_s: Any, grad_v: Any) -> Any:
        u, s, v = ctx.saved_tensors
        k = s.shape[-1]
        u, v = u.narrow(-1, 0, k), v.narrow(-2, 0, k)
        one = eye(k, dtype=s.dtype)
        inner = _optional(grad_s, s).unsqueeze(-1) * one
        square = s * s
        gaps = (square.unsqueeze(-2) - square.unsqueeze(-1)).masked_fill(one.bool(), 1)
        row, column = s.unsqueeze(-2), s.unsqueeze(-1)
        rest = None
        if grad_u is not None:
            grad_u = grad_u.narrow(-1, 0, k)
            turned = u.mT @ grad_u
            inner = inner + (turned - turned.mT) / gaps * row
            if u.shape[-2] > k:
                rest = (grad_u - u @ turned) / row @ v
        if grad_v is not None:
            grad_v = grad_v.narrow(-2, 0, k)
            turned = v @ grad_v.mT
            inner = inner + column * ((turned - turned.mT) / gaps)
            if v.shape[-1] > k:
                outside = u @ ((grad_v - turned.mT @ v) / column)
                rest = outside if rest is None else rest + outside
        whole = u @ inner @ v
        return whole if rest is None else whole + rest, None


@takes_out
@autocasts
def svd(x: Any, full_matrices: bool = True) -> Any:
    """``x = U @ diag(S) @ Vh`` with orthonormal columns in U and rows in Vh, and S descending.

    With `full_matrices` U and Vh are square. Where singular values are equal, the gradient through
    U and Vh is infinite; `svdvals` has one always.
    """
    return SVDResult(*SVD.apply(x, full_matrices))


@takes_out
@autocasts
def svdvals(x: Any) -> Any:
    """The singular values, in descending order."""
    return SVD.apply(x, False)[1]


# -- LU --------------------------------------------------------------------------------------------
class LU(Function):
    """L and U in one matrix, the order of the rows, and their exchanges from 0 on.

    With ``A = P @ L @ U`` square, ``P.mT @ dA = dL @ U + L @ dU``, so ``inv(L) @ P.mT @ dA @
    inv(U)`` is the sum of a strict lower and an upper triangle, which says what each part of the
    gradient goes through. What a matrix has below or beside the square follows by blocks.
    """

    @staticmethod
    def forward(ctx: Context, x: Any) -> Any:
        require_matrices("lu", x)
        m, n = x.shape[-2:]
        k = min(m, n)
        node = lapack(lu_factors, [x], (m * n + m + k,))
        factors, order, pivots = unpacked(node, (m, n), (m,), (k,))
        result = (
            x._wrap(factors),
            x._wrap(cast(order, dtypes.int64)),
            x._wrap(cast(pivots, dtypes.int32)),
        )
        ctx.save_for_backward(*result[:2])
        ctx.mark_non_differentiable(*result[1:])
        return result

    @staticmethod
    def backward(ctx: Context, grad: Any, *_: Any) -> Any:
        factors, order = ctx.saved_tensors
        m, n = factors.shape[-2:]
        k = min(m, n)
        square = factors.narrow(-2, 0, k).narrow(-1, 0, k)
        upper = square.triu()
        below, above = grad.tril(-1), grad.triu()
        first_below = below.narrow(-2, 0, k).narrow(-1, 0, k)
        first_above = above.narrow(-2, 0, k).narrow(-1, 0, k)
        lower = triangle(square, False, True)
        inner_l, inner_u = lower.mT @ first_below, first_above @ upper.mT
        rest_l, rest_u = below.narrow(-2, k, m - k), above.narrow(-1, k, n - k)
        if m > n:
            inner_u = inner_u - factors.narrow(-2, k, m - k).mT @ rest_l
        elif n > m:
            inner_l = inner_l - rest_u @ factors.narrow(-1, k, n - k).mT
        inner = inner_l.tril(-1) + inner_u.triu()
        inner = SolveTriangular.apply(lower.mT, inner, True, True, True)
        if m > n:
            inner = beside(inner.mT, rest_l.mT).mT
        inner = SolveTriangular.apply(upper.mT, inner, False, False, False)
        if n > m:
            inner = beside(inner, SolveTriangular.apply(lower.mT, rest_u, True, True, True))
        return permutation(order, grad.dtype) @ inner


def permutation(order: Any, dtype: Any) -> Any:
    """The matrices P of ``x = P @ L @ U`` where row i of ``L @ U`` is row ``order[i]`` of x."""
    place = wrap(iota(order.shape[-1]))
    return (place.unsqueeze(-1) == order.unsqueeze(-2)).to(dtype)


def require_pivoting(name: str, pivot: bool) -> None:
    """Raise where rows are not to be exchanged, which PyTorch cannot do on the CPU either."""
    if not pivot:
        raise ArgumentError(
            f"linalg.{name}: LU without pivoting is not implemented on the CPU; leave pivot=True."
        )


@takes_out
@autocasts
def lu(x: Any, *, pivot: bool = True) -> Any:
    """``x = P @ L @ U``: a permutation, a lower triangle with a diagonal of ones, an upper one."""
    require_pivoting("lu", pivot)
    factors, order, _ = LU.apply(x)
    m, n = x.shape[-2:]
    k = min(m, n)
    lower = factors.narrow(-1, 0, k).tril(-1) + eye(m, k, dtype=x.dtype)
    return LUResult(permutation(order, x.dtype), lower, factors.narrow(-2, 0, k).triu())
