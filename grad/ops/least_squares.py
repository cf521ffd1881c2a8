"""Matrices that have no inverse: ranks, pseudo-inverses, least squares.

All follow from singular values (factorizations.py). `grad/linalg` shows these to users.
"""

from __future__ import annotations

from typing import Any

from grad.autograd.function import Context, Function
from grad.dtype import dtypes
from grad.errors import ArgumentError, ShapeError
from grad.ops.autocast import autocasts
from grad.ops.factorizations import eigh, svd, svdvals
from grad.ops.lapack import require_matrices
from grad.ops.out import takes_out
from grad.ops.promotion import is_tensor, require_tensors
from grad.ops.systems import LstsqResult

# Distance from 1 to the next number, by type.
_STEP = {dtypes.float32: 2.0**-23, dtypes.float64: 2.0**-52}


def _tolerance(x: Any, largest: Any, atol: Any, rtol: Any) -> Any:
    """Up to where singular values count as zero: ``max(atol, rtol * largest)``; without either,
    `rtol` is the precision of the type times the larger side.
    """
    if rtol is None:
        given = atol is not None and (is_tensor(atol) or atol > 0)
        rtol = 0.0 if given else max(x.shape[-2:]) * _STEP[x.dtype]
    atol = 0.0 if atol is None else atol
    absolute, relative = (
        value.unsqueeze(-1) if is_tensor(value) and value.shape else value for value in (atol, rtol)
    )
    return (largest * relative).clamp(min=absolute)


@takes_out
@autocasts
def matrix_rank(x: Any, *, atol: Any = None, rtol: Any = None, hermitian: bool = False) -> Any:
    """How many singular values are above ``max(atol, rtol * largest)``; int64.

    Args:
        atol, rtol: numbers, or tensors of one for each matrix. Without either `rtol` is the
            precision of the type times the larger side of the matrices.
        hermitian: the matrices are symmetric: eigenvalues are found faster.
    """
    require_matrices("matrix_rank", x)
    values = eigh(x.detach()).eigenvalues.abs() if hermitian else svdvals(x.detach())
    return _rank(x, values, atol, rtol)


def _rank(x: Any, values: Any, atol: Any, rtol: Any) -> Any:
    """How many of `values`, the singular values of `x`, count as more than zero."""
    if not values.shape[-1]:
        return values.new_zeros(values.shape[:-1], dtype=dtypes.int64)
    largest = values.amax(-1, keepdim=True)
    return (values > _tolerance(x, largest, atol, rtol)).sum(-1)


class Pinv(Function):
    """Pseudo-inverses. Gradient: Golub and Pereyra, "The Differentiation of Pseudo-Inverses and
    Nonlinear Least Squares Problems Whose Variables Separate", 1973, for a constant rank.
    """

    @staticmethod
    def forward(ctx: Context, x: Any, atol: Any, rtol: Any, hermitian: bool) -> Any:
        require_matrices("pinv", x, square=hermitian)
        a = x.detach()
        if 0 in x.shape:
            result = a.new_zeros((*x.shape[:-2], x.shape[-1], x.shape[-2]))
        elif hermitian:
            values, vectors = eigh(a)
            size = values.abs()
            wanted = size > _tolerance(a, size.amax(-1, keepdim=True), atol, rtol)
            scale = (1 / values).masked_fill(~wanted, 0)
            result = vectors * scale.unsqueeze(-2) @ vectors.mT
        else:
            u, s, v = svd(a, False)
            wanted = s > _tolerance(a, s.amax(-1, keepdim=True), atol, rtol)
            scale = (1 / s).masked_fill(~wanted, 0)
            result = v.mT * scale.unsqueeze(-2) @ u.mT
        ctx.save_for_backward(x, result)
        return result

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        x, inverse = ctx.saved_tensors
        across, turned = inverse.mT, grad.mT
        if x.shape[-2] <= x.shape[-1]:
            inner = turned @ inverse
            outer = inner @ across
            result = outer - (inverse @ inner).mT - (x @ inverse) @ outer
            result = result + (across @ inverse) @ (turned - inner @ x)
        else:
            inner = inverse @ turned
            outer = across @ inner
            result = outer - (inner @ inverse).mT + (turned - x @ inner) @ inverse @ across
            result = result - (outer @ inverse) @ x
        return result, None, None, None


@takes_out
@autocasts
def pinv(x: Any, *, atol: Any = None, rtol: Any = None, hermitian: bool = False) -> Any:
    """The pseudo-inverse (Moore-Penrose); singular values up to ``max(atol, rtol * largest)`` count
    as zero. See `matrix_rank` for the arguments.
    """
    return Pinv.apply(x, atol, rtol, hermitian)


_DRIVERS = (None, "gels", "gelsy", "gelsd", "gelss")


@takes_out
@autocasts
def lstsq(a: Any, b: Any, rcond: float | None = None, *, driver: str | None = None) -> Any:
    """The X for which the rows of ``a @ X - b`` are smallest, of least norm.

    All drivers compute it from singular values; those up to ``rcond * largest`` count as zero.

    Returns:
        ``(solution, residuals, rank, singular_values)``. Residuals are sums of squares where there
        are more equations than unknowns and the rank is full, else empty; rank is empty with
        driver "gels", singular values but with "gelsd" and "gelss", as in PyTorch.
    """
    require_tensors("linalg.lstsq", B=b)
    require_matrices("lstsq", a)
    if driver not in _DRIVERS:
        raise ArgumentError(
            f"linalg.lstsq: parameter `driver` should be one of (gels, gelsy, gelsd, gelss), got "
            f"{driver!r}."
        )
    driver = driver or "gelsy"
    m, n = a.shape[-2:]
    vectors = len(a.shape) - 1 == len(b.shape) and a.shape[:-1] == b.shape
    right = b.unsqueeze(-1) if vectors else b
    if len(right.shape) < 2 or right.shape[-2] != m:
        raise ShapeError(
            f"linalg.lstsq: input.size(-2) should match other.size(-2), got {tuple(a.shape)} and "
            f"{tuple(b.shape)}."
        )
    rtol = max(m, n) * _STEP[a.dtype] if rcond is None else rcond
    solution = pinv(a, rtol=rtol) @ right
    values = svdvals(a.detach())
    rank = _rank(a, values, None, rtol)
    residuals = a.new_empty((0,))
    if m > n and driver != "gelsy" and bool((rank == n).all()):
        residuals = (a @ solution - right).square().sum(-2)
    return LstsqResult(
        solution.squeeze(-1) if vectors else solution,
        residuals,
        a.new_empty((0,), dtype=dtypes.int64) if driver == "gels" else rank,
        values if driver in ("gelsd", "gelss") else a.new_empty((0,)),
    )
