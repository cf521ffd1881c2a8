"""Norms of vectors and matrices, and `renorm`, which limits them.

`vector_norm` is ``sum(|x| ** p) ** (1 / p)`` over any axes, with the limits for p of 0 and of both
infinities; `matrix_norm` has the norms that look at rows, columns or singular values. Gradients are
0 where a norm is 0. Halves are summed in float32. `norm` is PyTorch's older function of all of them
(`linalg.norm` chooses by other rules).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from grad.autograd.function import Context, Function
from grad.autograd.rebuilt import plainly_rebuilt
from grad.autograd.remembered import remembered
from grad.dtype import as_dtype
from grad.errors import ArgumentError, DTypeError, IndexOutOfRangeError, ShapeError
from grad.graph.node import cast, pointwise, reduce
from grad.graph.primitives import ABS, MUL, NE, POW, SQRT, SUM
from grad.ops.axes import (
    Dims,
    keep_axes,
    like_operand,
    normal_axes,
    normal_axis,
    reduced_size,
)
from grad.ops.factorizations import svdvals
from grad.ops.promotion import accumulation_dtype, is_tensor, number, unsupported
from grad.ops.reduction import axes_samples, total
from grad.ops.registry import FLOATING, Failure, Sample, op
from grad.ops.samples import operands, positive


@plainly_rebuilt
@remembered
class EuclideanNorm(Function):
    """``sqrt(sum(x * x))``, with gradient 0 at 0."""

    @staticmethod
    def forward(ctx: Context, x: Any, axes: tuple[int, ...], keepdim: bool) -> Any:
        node = cast(x.node, accumulation_dtype(x.dtype))
        root = pointwise(SQRT, total(pointwise(MUL, node, node), axes))
        result = x._wrap(keep_axes(cast(root, x.dtype), x.shape, axes, keepdim))
        ctx.save_for_backward(x, result)
        ctx.axes = axes
        return result

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        x, result = ctx.saved_tensors
        scale = (grad / result).masked_fill(result == 0, 0)
        return x * like_operand(scale, x.shape, ctx.axes), None, None


@plainly_rebuilt
@remembered
class PowerNorm(Function):
    """``sum(|x| ** p) ** (1 / p)`` for any finite p but 0, with gradient 0 where it is 0 (and for p
    below 1 where x is).
    """

    @staticmethod
    def forward(ctx: Context, x: Any, p: float, axes: tuple[int, ...], keepdim: bool) -> Any:
        node = cast(x.node, accumulation_dtype(x.dtype))
        powers = pointwise(POW, pointwise(ABS, node), number(p, node.dtype))
        summed = reduce(SUM, powers, axes)
        root = pointwise(POW, summed, number(1 / p, node.dtype))
        result = x._wrap(keep_axes(cast(root, x.dtype), x.shape, axes, keepdim))
        ctx.save_for_backward(x, result)
        ctx.p, ctx.axes = p, axes
        return result

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        x, result = ctx.saved_tensors
        p = ctx.p
        powers = x.abs() ** (p - 1)
        if p < 1:
            powers = powers.masked_fill(x == 0, 0)
            scale = grad * result ** (1 - p)
        else:
            scale = (grad / result ** (p - 1)).masked_fill(result == 0, 0)
        return x.sign() * powers * like_operand(scale, x.shape, ctx.axes), None, None, None


@remembered
class CountingNorm(Function):
    """How many elements are not 0, with gradient 0."""

    @staticmethod
    def forward(ctx: Context, x: Any, axes: tuple[int, ...], keepdim: bool) -> Any:
        ctx.shape = x.shape
        counted = cast(pointwise(NE, x.node, number(0, x.dtype)), accumulation_dtype(x.dtype))
        found = cast(reduce(SUM, counted, axes), x.dtype)
        return x._wrap(keep_axes(found, x.shape, axes, keepdim))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return grad.new_zeros(ctx.shape), None, None


def _require_floating(name: str, x: Any) -> None:
    if not is_tensor(x):
        raise unsupported(name, x)
    if not x.dtype.is_floating_point:
        raise DTypeError(
            f"{name}: Expected a floating point tensor as input. Got {x.dtype.name}; use x.float()."
        )


def converted(name: str, x: Any, dtype: Any) -> Any:
    """`x` in the type that a norm is asked for in, which holds all its numbers."""
    _require_floating(name, x)
    if dtype is None:
        return x
    kind = as_dtype(dtype)
    if not kind.is_floating_point or kind.itemsize < x.dtype.itemsize:
        raise DTypeError(
            f"{name}: dtype {kind.name} cannot hold the norm of a {x.dtype.name} tensor; use a "
            f"floating type that is at least as wide."
        )
    return x.to(kind)


def vector_norm(
    x: Any, ord: Any = 2, dim: Dims = None, keepdim: bool = False, *, dtype: Any = None
) -> Any:
    """The `ord`-norm over `dim`; see `linalg.vector_norm`."""
    x = converted("linalg.vector_norm", x, dtype)
    if isinstance(ord, np.number):
        ord = ord.item()
    if isinstance(ord, bool) or not isinstance(ord, int | float):
        raise DTypeError(f"linalg.vector_norm: ord must be a number, not {ord!r}.")
    axes = normal_axes("linalg.vector_norm", dim, len(x.shape))
    if (ord < 0 or ord == math.inf) and reduced_size(x.shape, axes) == 0:
        raise ShapeError(
            f"linalg.vector_norm: cannot compute the {ord} norm over {tuple(axes)} of "
            f"{tuple(x.shape)}, because there are no elements and the operation does not have an "
            f"identity."
        )
    if ord == 2:
        return EuclideanNorm.apply(x, axes, keepdim)
    if ord == 1:
        return x.abs().sum(axes, keepdim)
    if ord == 0:
        return CountingNorm.apply(x, axes, keepdim)
    if ord == math.inf:
        return x.abs().amax(axes, keepdim)
    if ord == -math.inf:
        return x.abs().amin(axes, keepdim)
    return PowerNorm.apply(x, float(ord), axes, keepdim)


# -- matrices --------------------------------------------------------------------------------------
# For each order: the norm along rows or columns (0: the first of the two axes, 1: the second) and
# which of the sums is taken.
_SUMS = {1: (0, "amax"), -1: (0, "amin"), math.inf: (1, "amax"), -math.inf: (1, "amin")}
_SINGULAR = {"nuc": "sum", 2: "amax", -2: "amin"}


def matrix_norm(
    x: Any,
    ord: Any = "fro",
    dim: Any = (-2, -1),
    keepdim: bool = False,
    *,
    dtype: Any = None,
) -> Any:
    """The `ord`-norm of matrices in the two axes `dim`; see `linalg.matrix_norm`."""
    x = converted("linalg.matrix_norm", x, dtype)
    rank = len(x.shape)
    if rank < 2:
        raise ShapeError(
            f"linalg.matrix_norm: The input tensor A must have at least 2 dimensions, got "
            f"{tuple(x.shape)}."
        )
    if not isinstance(dim, list | tuple) or len(dim) != 2:
        raise ArgumentError(f"linalg.matrix_norm: dim must be a 2-tuple. Got {dim}.")
    axes = tuple([normal_axis("linalg.matrix_norm", d, rank) for d in dim])
    if axes[0] == axes[1]:
        raise ArgumentError(f"linalg.matrix_norm: dims must be different. Got {dim}.")
    if ord == "fro":
        return EuclideanNorm.apply(x, tuple(sorted(axes)), keepdim)
    if (isinstance(ord, str) and ord != "nuc") or ord not in (*_SUMS, *_SINGULAR):
        raise ArgumentError(
            f"linalg.matrix_norm: Order {ord} not supported; use 'fro', 'nuc', inf, -inf, 1, -1, 2 "
            f"or -2."
        )
    if ord in _SINGULAR:
        values = svdvals(x.movedim(axes, (-2, -1)))
        found = _chosen(_SINGULAR[ord], values, -1)
        found = found.squeeze(-1)
        return _with_axes(found, axes, rank) if keepdim else found
    along, choice = _SUMS[ord]
    found = _chosen(choice, x.abs().sum(axes[along], keepdim=True), axes[1 - along])
    return found if keepdim else found.squeeze(axes)


def _chosen(choice: str, x: Any, axis: int) -> Any:
    """The sum, largest or smallest of numbers of 0 or more along `axis`, which stays."""
    if x.shape[axis] == 0 and choice == "amin":
        raise IndexOutOfRangeError(
            f"linalg.matrix_norm: Expected dim {axis} to have non-zero size: there is no smallest "
            f"of nothing."
        )
    # The largest of nothing is 0, as is the sum.
    return getattr(x, "sum" if x.shape[axis] == 0 else choice)(axis, keepdim=True)


def _with_axes(x: Any, axes: tuple[int, ...], rank: int) -> Any:
    for axis in sorted(axes):
        x = x.unsqueeze(axis)
    return x


# -- PyTorch's older functions ---------------------------------------------------------------------
@op(
    method="norm",
    reference=lambda x, p=2, dim=None, keepdim=False: (
        np.sum(np.abs(x) ** p, axis=dim, keepdims=keepdim) ** (1 / p)
    ),
    samples=(
        *axes_samples(),
        *operands(((3, 4),), kwargs={"p": 1, "dim": 1}),
        *operands(((3, 4),), kwargs={"p": 3, "dim": 1}, first=positive),
    ),
    errors=(
        Failure(((2, 3),), ("max",), error=ArgumentError),
        Failure(((3,),), ("nuc",), match="2 dimensions"),
    ),
    dtypes=FLOATING,
    composite=True,
)
class Norm(Function):
    """Vector norm ``sum(|x| ** p) ** (1 / p)`` over `dim`; `p` may be infinite, 0 (counts
    nonzeros), "fro" (2) or "nuc" (the sum of singular values, of two axes).
    """

    @staticmethod
    def forward(
        x: Any, p: Any = "fro", dim: Dims = None, keepdim: bool = False, *, dtype: Any = None
    ) -> Any:
        if p == "nuc":
            if dim is None and len(x.shape) != 2:
                raise ShapeError(
                    f"norm: the nuclear norm is of 2 dimensions, got {tuple(x.shape)}; say dim."
                )
            return matrix_norm(x, "nuc", (0, 1) if dim is None else dim, keepdim, dtype=dtype)
        if p == "fro" and isinstance(dim, list | tuple) and len(dim) > 2:
            raise ArgumentError(
                f"norm: dim must be one or two axes for p='fro', got {dim}; use p=2."
            )
        if p == "fro" or p is None:
            p = 2
        if not isinstance(p, int | float | np.number):
            raise ArgumentError(f"norm: p={p!r}; use a number, math.inf, 'fro' or 'nuc'.")
        return vector_norm(x, p, dim, keepdim, dtype=dtype)


@op(
    method="renorm",
    inplace=True,
    reference=lambda x, p, dim, maxnorm: _limited(x, p, dim, maxnorm),
    samples=(
        Sample(((3, 4),), (2, 0, 3.0)),
        Sample(((2, 3, 2),), (1, -1, 2.0)),
    ),
    errors=(
        Failure(((3,),), (2, 0, 1.0), match="2 dimensions"),
        Failure(((3, 4),), (0, 0, 1.0), error=ArgumentError, match="non-positive"),
        Failure(((3, 4),), (2, 0, -1.0), error=ArgumentError, match="maxnorm"),
    ),
    dtypes=FLOATING,
    composite=True,
)
class Renorm(Function):
    """`x` with each part along `dim` scaled so that its p-norm is `maxnorm` at most."""

    @staticmethod
    def forward(x: Any, p: float, dim: int, maxnorm: float) -> Any:
        _require_floating("renorm", x)
        if len(x.shape) < 2:
            raise ShapeError(
                f"renorm: input needs at least 2 dimensions, got {len(x.shape)} dimensions."
            )
        if not p > 0:
            raise ArgumentError(f"renorm: non-positive norm not supported: p={p}.")
        if not maxnorm >= 0:
            raise ArgumentError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}.")
        axis = normal_axis("renorm", dim, len(x.shape))
        rest = tuple([a for a in range(len(x.shape)) if a != axis])
        wide = x.to(accumulation_dtype(x.dtype))
        norms = vector_norm(wide, p, rest, True)
        # Not quite `maxnorm`, so that rounding does not go beyond it: PyTorch's constant.
        scale = (maxnorm / (norms + 1e-7)).masked_fill(norms <= maxnorm, 1)
        return x * scale.to(x.dtype)


def _limited(x: Any, p: float, dim: int, maxnorm: float) -> Any:
    rest = tuple(a for a in range(x.ndim) if a != dim % x.ndim)
    norms = np.sum(np.abs(x) ** p, axis=rest, keepdims=True) ** (1 / p)
    return x * np.where(norms > maxnorm, maxnorm / (norms + 1e-7), 1)
