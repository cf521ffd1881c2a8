"""Running sums, products and extrema along one axis."""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np

from grad.autograd.function import Context, Function
from grad.dtype import dtypes
from grad.engine.recording import recording
from grad.graph.node import cast, iota, pointwise, reshape, scan
from grad.graph.primitives import ADD, EQ, MAXIMUM, MINIMUM, MUL, NE, OR, WHERE, Primitive
from grad.ops.axes import normal_axis
from grad.ops.promotion import number, zeros_like
from grad.ops.reduction import accumulated
from grad.ops.registry import ALL, NUMERIC, op
from grad.ops.samples import distinct, operands, positive

_LINES = (*operands(((3, 4),), arguments=(1,)), *operands(((4, 3, 2),), arguments=(0,)))


class _Running(Function):
    """A running `primitive` of x along `dim`."""

    primitive: ClassVar[Primitive]

    @classmethod
    def forward(cls, ctx: Context, x: Any, dim: int, *, dtype: Any = None) -> Any:
        axis = normal_axis(cls.__name__.lower(), dim, len(x.shape))
        node, kind = accumulated(x, dtype)
        if x.shape:
            node = scan(cls.primitive, node, axis)
        result = x._wrap(cast(node, kind))
        ctx.axis = axis
        ctx.save_for_backward(x, result)
        return result


@op(
    method="cumsum",
    inplace=True,
    reference=lambda x, dim: np.cumsum(x, axis=dim),
    samples=_LINES,
    dtypes=ALL,
)
class CumSum(_Running):
    """Sums of the elements up to each along `dim`; integers and bool are summed in int64."""

    primitive = ADD

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return _sums_after(grad, ctx.axis)


class _SumsAfter(Function):
    """For each element the sum of it and those after it."""

    @staticmethod
    def forward(ctx: Context, x: Any, axis: int) -> Any:
        ctx.axis = axis
        return x._wrap(scan(ADD, x.node, axis, backwards=True)) if x.shape else x

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return CumSum.apply(grad, ctx.axis), None


def _sums_after(x: Any, axis: int) -> Any:
    return _SumsAfter.apply(x, axis) if x.shape else x


@op(
    method="cumprod",
    inplace=True,
    reference=lambda x, dim: np.cumprod(x, axis=dim),
    samples=(
        *operands(((3, 4),), arguments=(1,), first=positive),
        *operands(((3, 2),), arguments=(0,)),
    ),
    dtypes=ALL,
)
class CumProd(_Running):
    """Products of the elements up to each along `dim`; of integers and bool in int64."""

    primitive = MUL

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        x, result = ctx.saved_tensors
        axis = ctx.axis
        if not x.shape or x.shape[axis] == 1:
            return grad  # each product is of one element
        if recording.recorder is None and not bool((x == 0).any().item()):
            return _sums_after(grad * result, axis) / x
        # Division fails at zeros. Element k's factor in product i is that of all others up to i:
        # a table over (k, i), whose diagonal is left out, multiplied along i.
        rows, size = x.movedim(axis, -1), x.shape[axis]
        position = x._wrap(iota(size))
        diagonal = position.unsqueeze(-1) == position
        others = rows.unsqueeze(-2).expand((*rows.shape, size)).masked_fill(diagonal, 1).cumprod(-1)
        upper = (position >= position.unsqueeze(-1)).to(grad.dtype)
        weights = others * upper * grad.movedim(axis, -1).unsqueeze(-2)
        return weights.sum(-1).movedim(-1, axis)


class CumulativeResult(NamedTuple):
    """What ``x.cummax(dim)`` and ``x.cummin(dim)`` give."""

    values: Any
    indices: Any


class _RunningExtremum(Function):
    """The extremum so far, and where it was last met."""

    primitive: ClassVar[Primitive]

    @classmethod
    def forward(cls, ctx: Context, x: Any, dim: int) -> CumulativeResult:
        axis = normal_axis(cls.__name__.lower(), dim, len(x.shape))
        node, shape = x.node, x.shape
        if not shape:
            return CumulativeResult(x._wrap(node), x._wrap(number(0, dtypes.int64)))
        values = scan(cls.primitive, node, axis)
        met = pointwise(EQ, node, values)
        if node.dtype.is_floating_point:
            met = pointwise(OR, met, pointwise(NE, node, node))
        position = reshape(iota(shape[axis]), (shape[axis], *[1] * (len(shape) - axis - 1)))
        last = scan(MAXIMUM, pointwise(WHERE, met, position, number(0, dtypes.int64)), axis)
        result = CumulativeResult(x._wrap(values), x._wrap(last))
        ctx.axis = axis
        ctx.save_for_backward(result.indices)
        ctx.mark_non_differentiable(result.indices)
        return result

    @staticmethod
    def backward(ctx: Context, grad: Any, _: Any) -> Any:
        if not grad.shape:
            return grad
        (indices,) = ctx.saved_tensors
        return zeros_like(grad).scatter_add(ctx.axis, indices, grad)


_DISTINCT = operands(((3, 4),), arguments=(1,), first=distinct)


@op(method="cummax", samples=_DISTINCT, dtypes=NUMERIC)
class CumMax(_RunningExtremum):
    """The largest element so far along `dim`, and its index: ``(values, indices)``."""

    primitive = MAXIMUM


@op(method="cummin", samples=_DISTINCT, dtypes=NUMERIC)
class CumMin(_RunningExtremum):
    """The smallest element so far along `dim`, and its index: ``(values, indices)``."""

    primitive = MINIMUM
