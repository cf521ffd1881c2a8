"""LAPACK's factorizations and solvers as functions of the graph (graph/host.py), through NumPy.

Each takes stacks of matrices, (stack, m, n), and has one result; where LAPACK has several they lie
side by side in the rows of a matrix, one row for each matrix of the stack, and `unpacked` takes
them apart. What users see, with gradients, is in factorizations.py and systems.py; how many threads
NumPy takes, in blas_threads.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np

from grad.dtype import dtypes
from grad.engine import realize
from grad.engine.recording import recording
from grad.errors import DTypeError, LinAlgError, ShapeError
from grad.graph.host import host, hosted
from grad.graph.node import Node, reshape, slice_axes
from grad.ops.blas_threads import on_few_threads
from grad.ops.promotion import require_tensors

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]
TYPES = (dtypes.float32, dtypes.float64)


# -- from tensors to stacks and back ---------------------------------------------------------------
def require_matrices(name: str, x: Any, square: bool = False) -> None:
    """Raise unless `x` is a matrix, or a stack of them, of floats (and square)."""
    require_tensors(f"linalg.{name}", A=x)
    if len(x.shape) < 2:
        raise ShapeError(
            f"linalg.{name}: The input tensor must have at least 2 dimensions, got "
            f"{tuple(x.shape)}."
        )
    if x.dtype not in TYPES:
        raise DTypeError(
            f"linalg.{name}: needs float32 or float64, got {x.dtype.name}; use x.float()."
        )
    if square and x.shape[-1] != x.shape[-2]:
        raise ShapeError(
            f"linalg.{name}: A must be batches of square matrices, but they are "
            f"{x.shape[-2]} by {x.shape[-1]} matrices."
        )


def lapack(
    function: Callable[..., None], sources: Sequence[Any], shape: Shape, *settings: Hashable
) -> Node:
    """What `function` makes of tensors with the same leading axes, a stack of results of `shape`;
    the leading axes come back. It is computed now, so that the error of a matrix that has no such
    thing is raised here, unless a recording computes it later.
    """
    lead = sources[0].shape[:-2]
    count = math.prod(lead)
    stacks = [reshape(x.node, (count, *x.shape[-2:])) for x in sources]
    node = host(function, stacks, (count, *shape), sources[0].dtype, *settings)
    if recording.recorder is None:
        realize([node])
    return reshape(node, (*lead, *shape))


def unpacked(node: Node, *shapes: Shape) -> list[Node]:
    """The parts of `shapes` that lie side by side along the last axis of `node`."""
    lead = node.shape[:-1]
    parts, start = [], 0
    for shape in shapes:
        size = math.prod(shape)
        ranges = [*[(0, 1, n) for n in lead], (start, 1, size)]
        parts.append(reshape(slice_axes(node, ranges), (*lead, *shape)))
        start += size
    return parts


def pack(result: Array, *parts: Array) -> None:
    """Put `parts`, stacks of anything, side by side into the rows of `result`."""
    start = 0
    for part in parts:
        flat = part.reshape(len(part), -1)
        result[:, start : start + flat.shape[1]] = flat
        start += flat.shape[1]


# -- factorizations --------------------------------------------------------------------------------
@hosted
@on_few_threads
def cholesky_factors(result: Array, matrices: Array, upper: bool) -> None:
    """Lower (or upper) triangular factors; reads only the triangle of the same name."""
    below = np.swapaxes(matrices, -1, -2) if upper else matrices
    try:
        factors = np.linalg.cholesky(below)
    except np.linalg.LinAlgError:
        raise LinAlgError(
            "linalg.cholesky: The factorization could not be completed because the input is not "
            "positive-definite."
        ) from None
    result[...] = np.swapaxes(factors, -1, -2) if upper else factors


@hosted
@on_few_threads
def qr_factors(result: Array, matrices: Array, mode: str) -> None:
    """Q and R."""
    found = np.linalg.qr(matrices, mode)  # type: ignore[call-overload]
    pack(result, *found)


@hosted
@on_few_threads
def eigen_factors(result: Array, matrices: Array, triangle: str) -> None:
    """Eigenvalues in ascending order, and the eigenvectors of symmetric matrices."""
    pack(result, *np.linalg.eigh(matrices, triangle))  # type: ignore[arg-type]


@hosted
@on_few_threads
def singular_factors(result: Array, matrices: Array, full: bool) -> None:
    """U, the singular values in descending order, and V transposed."""
    try:
        pack(result, *np.linalg.svd(matrices, full))
    except np.linalg.LinAlgError:
        raise LinAlgError(
            "linalg.svd: The algorithm failed to converge because the input matrix contained "
            "non-finite values."
        ) from None


@hosted
def lu_factors(result: Array, matrices: Array) -> None:
    """L below and U on and above the diagonal of one matrix, the rows in their new order, and the
    row that each was exchanged with.

    Gaussian elimination with partial pivoting (Golub and Van Loan, "Matrix Computations", 4th
    edition, algorithm 3.4.1), for the whole stack at once.
    """
    lu = matrices.copy()
    count, m, n = lu.shape
    order = np.broadcast_to(np.arange(m), (count, m)).copy()
    stack = np.arange(count)
    pivots = np.zeros((count, min(m, n)), int)
    for k in range(min(m, n)):
        pivot = pivots[:, k] = k + np.abs(lu[:, k:, k]).argmax(-1)
        for rows in (lu, order):
            rows[stack, k], rows[stack, pivot] = rows[stack, pivot], rows[stack, k].copy()
        head = lu[:, k, k, None]
        lu[:, k + 1 :, k] = np.where(head == 0, lu[:, k + 1 :, k], lu[:, k + 1 :, k] / head)
        lu[:, k + 1 :, k + 1 :] -= lu[:, k + 1 :, k, None] * lu[:, k, None, k + 1 :]
    pack(result, lu, order, pivots)


@hosted
def orders_of_rows(result: Array, pivots: Array) -> None:
    """The rows in their new order, after each was exchanged with that of its pivot, from 1 on."""
    order = result.reshape(len(result), -1)
    order[...] = np.arange(order.shape[-1])
    stack = np.arange(len(order))
    for k, pivot in enumerate(np.moveaxis(pivots[:, 0] - 1, -1, 0)):
        order[stack, k], order[stack, pivot] = order[stack, pivot], order[stack, k].copy()


# -- systems ---------------------------------------------------------------------------------------
@hosted
@on_few_threads
def solutions(result: Array, matrices: Array, right: Array, name: str) -> None:
    """X of ``matrices @ X = right``."""
    try:
        result[...] = np.linalg.solve(matrices, right)
    except np.linalg.LinAlgError:
        raise LinAlgError(
            f"linalg.{name}: The solver failed because the input matrix is singular."
        ) from None


@hosted
@on_few_threads
def inverses(result: Array, matrices: Array) -> None:
    """Inverse matrices."""
    try:
        result[...] = np.linalg.inv(matrices)
    except np.linalg.LinAlgError:
        raise LinAlgError(
            "linalg.inv: The diagonal element is zero, the inversion could not be completed "
            "because the input matrix is singular."
        ) from None


@hosted
@on_few_threads
def determinants(result: Array, matrices: Array) -> None:
    """Determinants."""
    result[...] = np.linalg.det(matrices)


@hosted
@on_few_threads
def determinants_by_logarithm(result: Array, matrices: Array) -> None:
    """Signs of determinants, and logarithms of their magnitudes."""
    sign, logarithm = np.linalg.slogdet(matrices)
    pack(result, sign[:, None], logarithm[:, None])


@hosted
@on_few_threads
def cofactor_matrices(result: Array, matrices: Array) -> None:
    """The derivative of the determinant, of singular matrices too: with ``A = U S V'`` it is
    ``det(U) det(V) U P V'``, where P has the products of all other singular values.
    """
    u, s, v = np.linalg.svd(matrices)
    size = s.shape[-1]
    others = np.where(np.eye(size, dtype=bool), 1, s[:, None, :]).prod(-1)
    signs = np.linalg.det(u) * np.linalg.det(v)
    result[...] = (u * (others * signs[:, None])[:, None, :]) @ v


# Coefficients and reach of the Pade approximant of degree 13: Higham, "The Scaling and Squaring
# Method for the Matrix Exponential Revisited", SIAM J. Matrix Anal. Appl. 26 (2005), table 2.3.
_PADE = (
    64764752532480000.0, 32382376266240000.0, 7771770303897600.0, 1187353796428800.0,
    129060195264000.0, 10559470521600.0, 670442572800.0, 33522128640.0, 1323241920.0, 40840800.0,
    960960.0, 16380.0, 182.0, 1.0,
)  # fmt: skip
_PADE_REACH = 5.371920351148152


@hosted
@on_few_threads
def exponentials(result: Array, matrices: Array) -> None:
    """Matrix exponentials by scaling and squaring, computed in float64."""
    a = matrices.astype(np.float64)
    norms = np.abs(a).sum(-2).max(-1, initial=0)
    ratio = np.where(np.isfinite(norms), norms, 0) / _PADE_REACH
    squarings = np.ceil(np.log2(np.maximum(ratio, 1))).astype(int)
    a = a / (2.0**squarings)[:, None, None]
    one = np.eye(a.shape[-1])
    two = a @ a
    four = two @ two
    six = four @ two
    b = _PADE
    odd = six @ (b[13] * six + b[11] * four + b[9] * two)
    odd = a @ (odd + b[7] * six + b[5] * four + b[3] * two + b[1] * one)
    even = six @ (b[12] * six + b[10] * four + b[8] * two)
    even = even + b[6] * six + b[4] * four + b[2] * two + b[0] * one
    bad = ~np.isfinite(norms)
    found = np.full_like(a, np.nan)
    found[~bad] = np.linalg.solve((even - odd)[~bad], (even + odd)[~bad])
    for turn in range(int(squarings.max(initial=0))):
        again = squarings > turn
        found[again] = found[again] @ found[again]
    result[...] = found
