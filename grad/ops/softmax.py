"""Softmax, its logarithm, and `logsumexp`: exponentials of a row, shifted by its maximum.

The shift makes the largest exponential 1, so that nothing overflows. Infinities behave as in
PyTorch: a row of -inf alone has softmax NaN and logsumexp -inf.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from grad.autograd.function import Context, Function
from grad.autograd.rebuilt import plainly_rebuilt, rebuilt
from grad.autograd.remembered import remembered
from grad.dtype import as_dtype
from grad.graph.node import Node, cast, expand, pointwise, reduce, reshape
from grad.graph.primitives import (
    ABS,
    ADD,
    DIV,
    EQ,
    EXP,
    LOG,
    MAX,
    MUL,
    SUB,
    SUM,
    WHERE,
)
from grad.ops.axes import (
    Dims,
    keep_axes,
    kept_shape,
    like_operand,
    normal_axes,
    normal_axis,
    reduced_size,
)
from grad.ops.promotion import accumulation_dtype, floating, number, require_floating
from grad.ops.registry import FLOATING, Array, op
from grad.ops.samples import operands


def _exponentials(x: Any, name: str, dim: int, dtype: Any) -> tuple[Node, Node, int, Any]:
    """``x - max``, the sum of its exponentials along `dim`, that axis, and the type of the
    result.
    """
    result = x.dtype if dtype is None else as_dtype(dtype)
    require_floating(name, result)
    axis = normal_axis(name, dim, len(x.shape))
    node = cast(x.node, accumulation_dtype(result))
    if not x.shape:
        node = reshape(node, (1,))
    if 0 in node.shape:
        return node, node, axis, result
    kept = kept_shape(node.shape, (axis,))
    shifted = pointwise(SUB, node, reshape(reduce(MAX, node, (axis,)), kept))
    total = reshape(reduce(SUM, pointwise(EXP, shifted), (axis,)), kept)
    return shifted, total, axis, result


def _softmax_reference(x: Array, dim: int) -> Array:
    e = np.exp(x - np.max(x, axis=dim, keepdims=True, initial=-np.inf))
    return e / e.sum(axis=dim, keepdims=True)


_ROWS = (*operands(((3, 4),), arguments=(1,)), *operands(((2, 3, 4),), arguments=(0,)))


@op(method="softmax", reference=_softmax_reference, samples=_ROWS, dtypes=FLOATING)
@plainly_rebuilt
@remembered
class Softmax(Function):
    """``exp(x) / sum(exp(x))`` along `dim`; NaN for a row of -inf alone."""

    @staticmethod
    def forward(ctx: Context, x: Any, dim: int, *, dtype: Any = None) -> Any:
        shifted, total, axis, kind = _exponentials(x, "softmax", dim, dtype)
        node = shifted
        if 0 not in x.shape:
            inverse = pointwise(DIV, number(1, node.dtype), total)
            node = pointwise(MUL, pointwise(EXP, shifted), inverse)
        result = x._wrap(reshape(cast(node, kind), x.shape))
        ctx.axis = axis
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (result,) = ctx.saved_tensors
        weighted = grad * result
        return weighted - result * weighted.sum(ctx.axis, True)


@op(
    method="log_softmax",
    reference=lambda x, dim: np.log(_softmax_reference(x, dim)),
    samples=_ROWS,
    dtypes=FLOATING,
)
@plainly_rebuilt
@remembered
class LogSoftmax(Function):
    """``x - logsumexp(x)`` along `dim`."""

    @staticmethod
    def forward(ctx: Context, x: Any, dim: int, *, dtype: Any = None) -> Any:
        shifted, total, axis, kind = _exponentials(x, "log_softmax", dim, dtype)
        node = pointwise(SUB, shifted, pointwise(LOG, total)) if 0 not in x.shape else shifted
        result = x._wrap(reshape(cast(node, kind), x.shape))
        ctx.axis = axis
        ctx.save_for_backward(result)
        return result

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (result,) = ctx.saved_tensors
        return grad - result.exp() * grad.sum(ctx.axis, True)


@op(
    method="softmin",
    reference=lambda x, dim: _softmax_reference(-x, dim),
    samples=operands(((3, 4),), arguments=(1,)),
    composite=True,
)
class Softmin(Function):
    """Softmax of ``-x``."""

    @staticmethod
    @rebuilt
    def forward(x: Any, dim: int, *, dtype: Any = None) -> Any:
        return Softmax.apply(-x, dim, dtype=dtype)


@op(
    method="logsumexp",
    reference=lambda x, dim=None, keepdim=False: np.log(
        np.sum(np.exp(x), axis=dim, keepdims=keepdim)
    ),
    samples=(
        *operands(((2, 3, 4),), kwargs={"dim": 1}),
        *operands(((2, 3, 4),), kwargs={"dim": (0, 2), "keepdim": True}),
    ),
    dtypes=FLOATING,
)
@plainly_rebuilt
class LogSumExp(Function):
    """``log(sum(exp(x)))`` over `dim`, without overflow."""

    @staticmethod
    def forward(ctx: Context, x: Any, dim: Dims = None, keepdim: bool = False) -> Any:
        shape, given = x.shape, floating(x)
        axes = normal_axes("logsumexp", dim, len(shape))
        node = cast(given, accumulation_dtype(given.dtype))
        if reduced_size(shape, axes) == 0:
            empty = expand(
                number(-math.inf, given.dtype),
                tuple(s for a, s in enumerate(shape) if a not in axes),
            )
            result = x._wrap(keep_axes(empty, shape, axes, keepdim))
        else:
            peak = reshape(reduce(MAX, node, axes), kept_shape(shape, axes))
            infinite = pointwise(EQ, pointwise(ABS, peak), number(math.inf, node.dtype))
            peak = pointwise(WHERE, infinite, number(0, node.dtype), peak)
            total = reduce(SUM, pointwise(EXP, pointwise(SUB, node, peak)), axes)
            found = pointwise(ADD, pointwise(LOG, total), reshape(peak, total.shape))
            result = x._wrap(keep_axes(cast(found, given.dtype), shape, axes, keepdim))
        ctx.axes = axes
        ctx.save_for_backward(x, result)
        return result

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        x, result = ctx.saved_tensors
        weights = (x - like_operand(result, x.shape, ctx.axes)).exp()
        return like_operand(grad, x.shape, ctx.axes) * weights
