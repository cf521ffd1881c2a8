"""Systems of linear equations and what follows from them: `solve`, `inv`, `det`, `pinv`, `lstsq`,
`matrix_exp`.

LAPACK solves them (lapack.py); gradients are in Tensor methods. `grad/linalg` shows these to users.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from grad.autograd.function import Context, Function
from grad.errors import ArgumentError, DTypeError, ShapeError
from grad.graph.node import broadcast_shapes
from grad.ops.autocast import autocasts
from grad.ops.creation import eye
from grad.ops.join import Cat
from grad.ops.lapack import (
    cofactor_matrices,
    determinants,
    determinants_by_logarithm,
    exponentials,
    inverses,
    lapack,
    require_matrices,
    solutions,
    unpacked,
)
from grad.ops.out import takes_out


class SlogdetResult(NamedTuple):
    """What `linalg.slogdet` gives."""

    sign: Any
    logabsdet: Any


class LstsqResult(NamedTuple):
    """What `linalg.lstsq` gives."""

    solution: Any
    residuals: Any
    rank: Any
    singular_values: Any


def _require_equal_types(name: str, a: Any, b: Any) -> None:
    if a.dtype is not b.dtype:
        raise DTypeError(
            f"linalg.{name}: Expected A and B to have the same dtype, but found A of type "
            f"{a.dtype.name} and B of type {b.dtype.name} instead."
        )


def _expanded(name: str, a: Any, b: Any) -> tuple[Any, Any]:
    """Two stacks of matrices with leading axes that broadcast, expanded to the same."""
    lead = broadcast_shapes(f"linalg.{name}", a.shape[:-2], b.shape[:-2])
    return a.expand((*lead, *a.shape[-2:])), b.expand((*lead, *b.shape[-2:]))


def beside(left: Any, right: Any) -> Any:
    """Two stacks of matrices as one, side by side."""
    return Cat.forward((left, right), -1)


# -- solving ---------------------------------------------------------------------------------------
class Solve(Function):
    """X of ``A @ X = B``, for stacks of the same leading axes."""

    @staticmethod
    def forward(ctx: Context, a: Any, b: Any, name: str) -> Any:
        result = a._wrap(lapack(solutions, [a, b], b.shape[-2:], name))
        ctx.what = name
        ctx.save_for_backward(a, result)
        return result

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        a, x = ctx.saved_tensors
        right = Solve.apply(a.mT, grad, ctx.what)
        return -right @ x.mT, right, None


class SolveTriangular(Function):
    """X of ``A @ X = B`` (or ``X @ A = B`` unless `left`) with a triangular A, of which only the
    triangle is read; for stacks of the same leading axes.
    """

    @staticmethod
    def forward(ctx: Context, a: Any, b: Any, upper: bool, left: bool, unit: bool) -> Any:
        matrix = triangle(a.detach(), upper, unit)
        right = b.detach()
        if not left:
            matrix, right = matrix.mT, right.mT
        result = a._wrap(lapack(solutions, [matrix, right], right.shape[-2:], "solve_triangular"))
        result = result if left else result.mT
        ctx.how = upper, left, unit
        ctx.save_for_backward(a, result)
        return result

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        upper, left, unit = ctx.how
        a, x = ctx.saved_tensors
        right = SolveTriangular.apply(a.mT, grad, not upper, left, unit)
        whole = -right @ x.mT if left else -x.mT @ right
        inside = whole.triu(int(unit)) if upper else whole.tril(-int(unit))
        return inside, right, None, None, None


def triangle(a: Any, upper: bool, unit: bool) -> Any:
    """The triangle of square matrices, with ones on the diagonal if `unit`."""
    if not unit:
        return a.triu() if upper else a.tril()
    return (a.triu(1) if upper else a.tril(-1)) + eye(a.shape[-1], dtype=a.dtype)


@takes_out
@autocasts
def solve(a: Any, b: Any, *, left: bool = True) -> Any:
    """X of ``a @ X = b`` for square matrices `a`, or of ``X @ a = b`` unless `left`.

    `b` is matrices, or vectors: if it has one axis, or the shape of `a` without its last axis.
    Leading axes broadcast.

    Raises:
        LinAlgError: `a` is singular.
    """
    require_matrices("solve", a, square=True)
    _require_equal_types("solve", a, b)
    vectors = len(b.shape) == 1 or (len(b.shape) == len(a.shape) - 1 and b.shape == a.shape[:-1])
    right = b.unsqueeze(-1) if vectors else b
    if not left:
        if vectors:
            raise ArgumentError("linalg.solve: vectors cannot be solved from the right.")
        a, right = a.mT, right.mT
    if len(right.shape) < 2 or right.shape[-2] != a.shape[-1]:
        raise ShapeError(
            f"linalg.solve: Incompatible shapes of A and B for the equation "
            f"{'AX = B' if left else 'XA = B'} ({tuple(a.shape)} and {tuple(b.shape)})."
        )
    result = Solve.apply(*_expanded("solve", a, right), "solve")
    if vectors:
        return result.squeeze(-1)
    return result if left else result.mT


@takes_out
@autocasts
def solve_triangular(
    a: Any, b: Any, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Any:
    """X of ``a @ X = b`` (of ``X @ a = b`` unless `left`) for triangular matrices `a`.

    Only the triangle is read, and with `unitriangular` not the diagonal, which counts as ones.

    Raises:
        LinAlgError: there is a zero on the diagonal.
    """
    require_matrices("solve_triangular", a, square=True)
    _require_equal_types("solve_triangular", a, b)
    side = -2 if left else -1
    if len(b.shape) < 2 or b.shape[side] != a.shape[-1]:
        raise ShapeError(
            f"linalg.solve_triangular: Incompatible shapes of A and B for the equation "
            f"{'AX = B' if left else 'XA = B'} ({tuple(a.shape)} and {tuple(b.shape)})."
        )
    return SolveTriangular.apply(*_expanded("solve_triangular", a, b), upper, left, unitriangular)


# -- inverses and determinants ---------------------------------------------------------------------
class Inverse(Function):
    """Inverse matrices."""

    @staticmethod
    def forward(ctx: Context, a: Any) -> Any:
        require_matrices("inv", a, square=True)
        result = a._wrap(lapack(inverses, [a], a.shape[-2:]))
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (result,) = ctx.saved_tensors
        return -(result.mT @ grad @ result.mT)


@takes_out
@autocasts
def inv(a: Any) -> Any:
    """The inverse of square matrices.

    Raises:
        LinAlgError: one of them is singular.
    """
    return Inverse.apply(a)


class Cofactors(Function):
    """The derivatives of determinants. Its own gradient is that of ``det(A) inv(A).mT``, which
    singular matrices do not have.
    """

    @staticmethod
    def forward(ctx: Context, a: Any) -> Any:
        ctx.save_for_backward(a)
        return a._wrap(lapack(cofactor_matrices, [a], a.shape[-2:]))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (a,) = ctx.saved_tensors
        inverse = Inverse.apply(a)
        size = Det.apply(a).unsqueeze(-1).unsqueeze(-1)
        transposed = inverse.mT
        along = (grad * transposed).sum((-2, -1), True)
        return size * (along * transposed - transposed @ grad.mT @ transposed)


class Det(Function):
    """Determinants."""

    @staticmethod
    def forward(ctx: Context, a: Any) -> Any:
        require_matrices("det", a, square=True)
        ctx.save_for_backward(a)
        return a._wrap(lapack(determinants, [a], ()))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (a,) = ctx.saved_tensors
        return grad.unsqueeze(-1).unsqueeze(-1) * Cofactors.apply(a)


class Slogdet(Function):
    """Signs and logarithms of magnitudes of determinants."""

    @staticmethod
    def forward(ctx: Context, a: Any) -> Any:
        require_matrices("slogdet", a, square=True)
        sign, logarithm = unpacked(lapack(determinants_by_logarithm, [a], (2,)), (), ())
        result = a._wrap(sign), a._wrap(logarithm)
        ctx.save_for_backward(a)
        ctx.mark_non_differentiable(result[0])
        return result

    @staticmethod
    def backward(ctx: Context, _: Any, grad: Any) -> Any:
        (a,) = ctx.saved_tensors
        return grad.unsqueeze(-1).unsqueeze(-1) * Inverse.apply(a).mT


@takes_out
@autocasts
def det(a: Any) -> Any:
    """The determinants of square matrices."""
    return Det.apply(a)


@takes_out
@autocasts
def slogdet(a: Any) -> Any:
    """The signs of determinants, and the logarithms of their magnitudes."""
    return SlogdetResult(*Slogdet.apply(a))


def logdet(a: Any) -> Any:
    """The logarithms of determinants; NaN where one is negative."""
    sign, logarithm = Slogdet.apply(a)
    return logarithm.masked_fill(sign < 0, float("nan"))


# -- the exponential -------------------------------------------------------------------------------
class MatrixExp(Function):
    """Matrix exponentials. The derivative in direction E is the upper right block of the
    exponential of ``[[A, E], [0, A]]``: Najfeld and Havel, "Derivatives of the Matrix Exponential
    and Their Computation", 1995.
    """

    @staticmethod
    def forward(ctx: Context, a: Any) -> Any:
        require_matrices("matrix_exp", a, square=True)
        ctx.save_for_backward(a)
        return a._wrap(lapack(exponentials, [a], a.shape[-2:]))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (a,) = ctx.saved_tensors
        size, across = a.shape[-1], a.mT
        upper, lower = beside(across, grad), beside(a.new_zeros(a.shape), across)
        found = MatrixExp.apply(beside(upper.mT, lower.mT).mT)
        return found.narrow(-2, 0, size).narrow(-1, size, size)


def matrix_exp(a: Any) -> Any:
    """The exponential of square matrices: the sum of ``A^k / k!``."""
    return MatrixExp.apply(a)
