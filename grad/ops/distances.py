"""Distances and similarities of vectors: pairs of them, all with all, and the product of two by a
third tensor, `bilinear`.

Differences of all with all are never stored: they are summed as they are made. Gradients are 0
where a distance is 0.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from grad.autograd.function import Context, Function
from grad.autograd.rebuilt import rebuilt
from grad.dtype import dtypes
from grad.errors import ArgumentError, DTypeError, ShapeError
from grad.graph.arrays import node_of
from grad.graph.node import broadcast_shapes
from grad.ops.contraction import Einsum
from grad.ops.matmul import require_matching
from grad.ops.norms import vector_norm
from grad.ops.promotion import is_tensor, promote, unsupported, wrap
from grad.ops.registry import FLOATING, Failure, Sample, op
from grad.ops.samples import operands

_TYPES = (dtypes.float32, dtypes.float64)
_MODES = (
    "use_mm_for_euclid_dist_if_necessary",
    "use_mm_for_euclid_dist",
    "donot_use_mm_for_euclid_dist",
)
# From more vectors than this on a matrix product is the faster way to Euclidean distances; it loses
# digits of small distances far from 0, as it does in PyTorch, which has the same limit.
_FEW_VECTORS = 25


def _p_norm(x: np.ndarray, p: float, axis: Any = None) -> Any:
    if p == 0:
        return np.sum(x != 0, axis=axis).astype(x.dtype)
    if p == math.inf:
        return np.max(np.abs(x), axis=axis, initial=0)
    return np.sum(np.abs(x) ** p, axis=axis) ** (1 / p)


@op(
    method="dist",
    reference=lambda x, y, p=2: _p_norm(x - y, p),
    samples=(
        *operands(((3, 4), (3, 4))),
        *operands(((3, 1), (4,)), (1.5,)),
    ),
    dtypes=FLOATING,
    composite=True,
)
class Dist(Function):
    """The p-norm of ``x - other``, one number."""

    @staticmethod
    @rebuilt
    def forward(x: Any, other: Any, p: float = 2) -> Any:
        if not is_tensor(other):
            raise unsupported("dist", other)
        return vector_norm(x - other, p)


@op(
    function="pairwise_distance",
    reference=lambda x, y, p=2.0, eps=1e-6, keepdim=False: _p_norm(x - y + eps, p, -1),
    samples=(
        *operands(((3, 4), (3, 4))),
        *operands(((2, 3, 4), (4,)), (1.0,)),
    ),
    dtypes=FLOATING,
    composite=True,
)
class PairwiseDistance(Function):
    """The p-norm of ``x1 - x2 + eps`` along the last axis.

    Shape:
        ``(..., d)`` and ``(..., d)``, which broadcast, give ``(...)``; ``(..., 1)`` if `keepdim`.
    """

    @staticmethod
    @rebuilt
    def forward(x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Any:
        for tensor in (x1, x2):
            if not is_tensor(tensor):
                raise unsupported("pairwise_distance", tensor)
        return vector_norm(x1 - x2 + eps, p, -1, keepdim)


def _cosine(x: np.ndarray, y: np.ndarray, dim: int = 1, eps: float = 1e-8) -> Any:
    x, y = np.broadcast_arrays(x, y)
    lengths = [np.maximum(np.linalg.norm(v, axis=dim), eps) for v in (x, y)]
    return np.sum(x * y, axis=dim) / lengths[0] / lengths[1]


@op(
    function="cosine_similarity",
    reference=_cosine,
    samples=(
        *operands(((3, 4), (3, 4))),
        *operands(((2, 3, 4), (3, 1)), (-2,)),
    ),
    dtypes=FLOATING,
    composite=True,
)
class CosineSimilarity(Function):
    """``sum(x1 * x2) / (|x1| * |x2|)`` along `dim`, of lengths that count as `eps` at least.

    Shape:
        the operands broadcast; `dim` disappears.
    """

    @staticmethod
    @rebuilt
    def forward(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Any:
        for tensor in (x1, x2):
            if not is_tensor(tensor):
                raise unsupported("cosine_similarity", tensor)
        if x1.dtype is not x2.dtype:
            x1, x2 = promote("cosine_similarity", x1, x2)
        if not x1.dtype.is_floating_point:
            raise DTypeError(
                f"cosine_similarity: expected common dtype to be floating point, yet common dtype "
                f"is {x1.dtype.name}; use x.float()."
            )
        shape = broadcast_shapes("cosine_similarity", x1.shape, x2.shape)
        x1, x2 = x1.expand(shape), x2.expand(shape)
        first, second = (x / vector_norm(x, 2, dim, True).clamp(min=eps) for x in (x1, x2))
        return (first * second).sum(dim)


# -- all with all ----------------------------------------------------------------------------------
class EuclideanByProduct(Function):
    """Distances of the rows of x to those of y by ``|x|^2 + |y|^2 - 2 x @ y.mT``."""

    @staticmethod
    def forward(ctx: Context, x: Any, y: Any) -> Any:
        a, b = x.detach(), y.detach()
        squares = (a * a).sum(-1, True) + (b * b).sum(-1, True).mT
        result = (squares - (a @ b.mT) * 2).clamp(min=0).sqrt()
        ctx.save_for_backward(x, y, result)
        return result

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        x, y, result = ctx.saved_tensors
        ratio = (grad / result).masked_fill(result == 0, 0)
        return (
            x * ratio.sum(-1, True) - ratio @ y,
            y * ratio.sum(-2).unsqueeze(-1) - ratio.mT @ x,
        )


def _check_all_with_all(x1: Any, x2: Any, p: float, compute_mode: str) -> None:
    require_matching("cdist", x1=x1, x2=x2)
    if min(len(x1.shape), len(x2.shape)) < 2 or x1.shape[-1] != x2.shape[-1]:
        raise ShapeError(
            f"cdist: needs at least two dimensions and the same number of columns for X1 and X2, "
            f"got {tuple(x1.shape)} and {tuple(x2.shape)}."
        )
    if x1.dtype not in _TYPES:
        raise DTypeError(
            f"cdist: only supports float32 and float64, X1 got: {x1.dtype.name}; use x.float()."
        )
    if not p >= 0:
        raise ArgumentError(f"cdist: only supports non-negative p values, got {p}.")
    if compute_mode not in _MODES:
        raise ArgumentError(f"cdist: {compute_mode!r} is not a valid value for compute_mode.")


@op(
    function="cdist",
    reference=lambda x, y, p=2.0, compute_mode="": _p_norm(
        x[..., :, None, :] - y[..., None, :, :], p, -1
    ),
    samples=(
        Sample(((3, 4), (2, 4))),
        Sample(((2, 3, 4), (2, 4)), (1.0,)),
        Sample(((3, 4), (2, 4)), (0.5,)),
        Sample(((3, 4), (2, 4)), (math.inf,)),
        Sample(((2, 3), (4, 3)), kwargs={"compute_mode": "use_mm_for_euclid_dist"}),
    ),
    errors=(
        Failure(((3, 4), (2, 3)), match="columns"),
        Failure(((4,), (2, 4)), match="two dimensions"),
        Failure(((3, 4), (2, 4)), (-1.0,), error=ArgumentError),
        Failure(((3, 4), (2, 4)), (2.0, "fast"), error=ArgumentError, match="compute_mode"),
    ),
    dtypes=_TYPES,
    composite=True,
)
class Cdist(Function):
    """The p-norm of the differences of each vector of x1 to each of x2.

    Shape:
        ``(..., n, d)`` and ``(..., m, d)`` give ``(..., n, m)``; leading axes broadcast.

    Raises:
        ShapeError: the vectors differ in length. ArgumentError: `p` is negative.

    Example:
        >>> grad.cdist(grad.tensor([[0.0, 0.0]]), grad.tensor([[3.0, 4.0], [0.0, 1.0]])).tolist()
        [[5.0, 1.0]]
    """

    @staticmethod
    @rebuilt
    def forward(
        x1: Any,
        x2: Any,
        p: float = 2.0,
        compute_mode: str = "use_mm_for_euclid_dist_if_necessary",
    ) -> Any:
        _check_all_with_all(x1, x2, p, compute_mode)
        many = max(x1.shape[-2], x2.shape[-2]) > _FEW_VECTORS
        if p == 2 and (compute_mode == _MODES[1] or (compute_mode == _MODES[0] and many)):
            lead = broadcast_shapes("cdist", x1.shape[:-2], x2.shape[:-2])
            return EuclideanByProduct.apply(
                x1.expand((*lead, *x1.shape[-2:])), x2.expand((*lead, *x2.shape[-2:]))
            )
        return _norm_or_zero(x1.unsqueeze(-2) - x2.unsqueeze(-3), p)


def _norm_or_zero(difference: Any, p: float) -> Any:
    """The norm along the last axis; of vectors without elements 0, whatever p."""
    return vector_norm(difference, 2.0 if difference.shape[-1] == 0 else p, -1)


def _all_pairs(x: np.ndarray, p: float = 2.0) -> Any:
    first, second = np.triu_indices(len(x), 1)
    return _p_norm(x[first] - x[second], p, -1)


@op(
    function="pdist",
    reference=_all_pairs,
    samples=(Sample(((4, 3),)), Sample(((3, 2),), (1.5,))),
    errors=(
        Failure(((4,),), match="2D"),
        Failure(((4, 3),), (-1.0,), error=ArgumentError, match="non-negative"),
    ),
    dtypes=_TYPES,
    composite=True,
)
class Pdist(Function):
    """The p-norms of the differences of all pairs of rows i < j, ordered by i, then j.

    Shape:
        ``(n, d)`` gives ``(n * (n - 1) / 2,)``.
    """

    @staticmethod
    @rebuilt
    def forward(x: Any, p: float = 2.0) -> Any:
        if len(x.shape) != 2:
            raise ShapeError(f"pdist: only supports 2D tensors, got: {len(x.shape)}D.")
        if x.dtype not in _TYPES:
            raise DTypeError(f"pdist: only supports floating-point dtypes, got {x.dtype.name}.")
        if not p >= 0:
            raise ArgumentError(f"pdist: only supports non-negative p values, got {p}.")
        first, second = np.triu_indices(x.shape[0], 1)
        rows = [
            x.index_select(0, wrap(node_of(places.astype(np.int64), dtypes.int64)))
            for places in (first, second)
        ]
        return _norm_or_zero(rows[0] - rows[1], p)


@op(
    function="bilinear",
    reference=lambda x1, x2, weight, bias=0: (
        np.einsum("...i,oij,...j->...o", x1, weight, x2) + bias
    ),
    samples=(
        Sample(((3, 2), (3, 4), (5, 2, 4), (5,))),
        Sample(((2, 3, 2), (2, 3, 4), (1, 2, 4))),
        Sample(((2,), (3,), (4, 2, 3))),
    ),
    errors=(
        Failure(((3, 2), (2, 4), (5, 2, 4)), match="batch"),
        Failure(((3, 2), (3, 4), (5, 4, 2)), match="weight"),
        Failure(((3, 2), (3, 4), (5, 2, 4), (4,)), match="bias"),
    ),
    composite=True,
)
class Bilinear(Function):
    """``x1 @ weight[o] @ x2 + bias[o]`` for each o.

    Shape:
        input1 ``(..., in1)``, input2 ``(..., in2)``, weight ``(out, in1, in2)``, bias ``(out,)`` or
        None; gives ``(..., out)``.
    """

    @staticmethod
    @rebuilt
    def forward(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Any:
        given = {"input1": input1, "input2": input2, "weight": weight}
        require_matching("bilinear", **given, **({} if bias is None else {"bias": bias}))
        given = f"{tuple(input1.shape)}, {tuple(input2.shape)} and weight {tuple(weight.shape)}"
        if input1.shape[:-1] != input2.shape[:-1]:
            raise ShapeError(f"bilinear: input batch dimensions do not match, got {given}.")
        if (
            len(weight.shape) != 3
            or not input1.shape
            or (input1.shape[-1], input2.shape[-1]) != weight.shape[1:]
        ):
            raise ShapeError(f"bilinear: input sizes do not match weight size, got {given}.")
        if bias is not None and bias.shape != weight.shape[:1]:
            raise ShapeError(
                f"bilinear: bias size {tuple(bias.shape)} does not match weight size "
                f"{tuple(weight.shape)}."
            )
        result = Einsum.forward("...i,oij,...j->...o", input1, weight, input2)
        return result if bias is None else result + bias
