"""Scatters that combine: `scatter_reduce` and `index_reduce` with all of PyTorch's reductions, and
`index_add`.

The value is a scatter into `x`, or, without `include_self`, into the reduction's neutral element
where something arrives. The gradients are PyTorch's: a sum and a mean hand on what arrives, a
product divides by the factor (with care for zeros), an extremum shares among those that are equal
to it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from grad.autograd.function import Context, Function
from grad.dtype import DType, dtypes
from grad.errors import ArgumentError, DTypeError, GradientError, ShapeError
from grad.graph.node import Node, cast, constant, expand, pointwise, reshape
from grad.graph.node import scatter as scattered
from grad.graph.primitives import (
    DIV,
    EQ,
    FLOORDIV,
    MAX,
    MIN,
    NE,
    PROD,
    SUM,
    WHERE,
    Primitive,
    identity,
)
from grad.ops.axes import normal_axis
from grad.ops.bounds import within
from grad.ops.gather import Scatter, ScatterAdd, along, checked_scatter, source_gradient
from grad.ops.promotion import accumulation_dtype, is_tensor, number, refuse_bool, unsupported
from grad.ops.registry import ALL, op

# PyTorch's name, how the scatter combines, and what it starts from.
_MODES: dict[str, tuple[str, Primitive]] = {
    "sum": ("add", SUM),
    "prod": ("prod", PROD),
    "mean": ("add", SUM),
    "amax": ("amax", MAX),
    "amin": ("amin", MIN),
}


def reduced(
    node: Node, axis: int, index: Node, values: Node, reduce: str, include_self: bool
) -> Node:
    """`node` with `values` combined into it at `index`, all of one rank, 1 or more."""
    dtype = node.dtype
    mode, start = _MODES[reduce]
    wide = accumulation_dtype(dtype) if mode in ("add", "prod") else dtype
    node, values = _numbers(node, wide), _numbers(values, wide)
    if not include_self:
        neutral = expand(constant(identity(start, node.dtype), node.dtype), index.shape)
        node = scattered("set", node, neutral, (axis,), (index,))
    result = scattered(mode, node, values, (axis,), (index,))
    if reduce == "mean":
        ones = expand(constant(1, node.dtype), index.shape)
        count = expand(constant(int(include_self), node.dtype), node.shape)
        count = scattered("add", count, ones, (axis,), (index,))
        one = constant(1, node.dtype)
        nothing = pointwise(EQ, count, constant(0, node.dtype))
        count = pointwise(WHERE, nothing, one, count)
        result = pointwise(DIV if dtype.kind == "f" else FLOORDIV, result, count)
    if dtype is dtypes.bool:
        return pointwise(NE, result, number(0, result.dtype))
    return cast(result, dtype)


def _numbers(node: Node, dtype: DType) -> Node:
    """Truth values as numbers, which all scatters can combine; others as `dtype`."""
    return cast(node, dtypes.uint8 if dtype is dtypes.bool else dtype)


@op(method="scatter_reduce", inplace=True, dtypes=ALL)
class ScatterReduce(Function):
    """x with ``src[i][j]`` combined into ``x[index[i][j]][j]`` for ``dim=0``.

    Args:
        reduce: "sum", "prod", "mean", "amax" or "amin".
        include_self: whether the values of x take part, or are replaced where something arrives.

    Shape:
        index has as many dimensions as x and src, and is no larger than src; the result has the
        shape of x.

    Raises:
        ArgumentError: another `reduce`. DTypeError: the types of x and src differ. ShapeError,
        IndexOutOfRangeError: see `scatter`.

    Example:
        >>> x, index = grad.zeros(2), grad.tensor([0, 0, 1])
        >>> x.scatter_reduce(0, index, grad.tensor([1.0, 5.0, 2.0]), "amax").tolist()
        [5.0, 2.0]
    """

    @staticmethod
    def forward(
        ctx: Context,
        x: Any,
        dim: int,
        index: Any,
        src: Any,
        reduce: str,
        *,
        include_self: bool = True,
    ) -> Any:
        _require_reduction("scatter_reduce", reduce, _MODES)
        if not is_tensor(src):
            raise unsupported("scatter_reduce", src)
        if reduce == "mean":
            refuse_bool("scatter_reduce", x.dtype, instead="x.float() for a mean")
        axis = normal_axis("scatter_reduce", dim, len(x.shape))
        ctx.axis, ctx.reduce, ctx.include_self = axis, reduce, include_self
        ctx.source_shape = src.shape
        found = checked_scatter("scatter_reduce", x, axis, index, src)
        if found is None:
            result = x._wrap(x.node)
        else:
            node, positions, values = found
            node = reduced(node, axis, positions, values, reduce, include_self)
            result = x._wrap(reshape(node, x.shape))
        ctx.save_for_backward(x, index, src, result)
        return result

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        x, index, src, result = ctx.saved_tensors
        own, source = _GRADIENTS[ctx.reduce](ctx, grad, x, index, src, result)
        if own is not None and not ctx.include_self:
            own = Scatter.apply(own, ctx.axis, index, 0)
        return own, None, None, source, None


def _require_reduction(name: str, reduce: str, known: Any) -> None:
    if reduce not in known:
        names = ", ".join(repr(word) for word in known)
        raise ArgumentError(f"{name}: reduce={reduce!r}; use one of {names}.")


# -- gradients: of x and of src --------------------------------------------------------------------
def _of_sum(ctx: Context, grad: Any, x: Any, index: Any, src: Any, result: Any) -> Any:
    return grad, source_gradient(ctx, index, grad)


def _of_mean(ctx: Context, grad: Any, x: Any, index: Any, src: Any, result: Any) -> Any:
    counts = grad.new_full(grad.shape, int(ctx.include_self))
    counts = counts.scatter_add(ctx.axis, index, src.new_ones(src.shape))
    each = grad / counts.clamp(min=1)
    return each, source_gradient(ctx, index, each)


def _of_prod(ctx: Context, grad: Any, x: Any, index: Any, src: Any, result: Any) -> Any:
    """Products of all factors but one: divided by it, or, where it is 0, made without it."""
    axis, options = ctx.axis, {"include_self": ctx.include_self}
    own = None
    if ctx.needs_input_grad[0]:
        factor = x.masked_fill(x == 0, 1)
        others = ScatterReduce.apply(factor, axis, index, src, "prod", **options)
        own = grad * others / factor
    if not ctx.needs_input_grad[3]:
        return own, None
    zero = src == 0
    zeros = grad.new_zeros(grad.shape).scatter_add(axis, index, zero.to(grad.dtype))
    # Of several zeros in one place each has the product 0 of the others.
    counts = _widened(zeros.gather(axis, index), src.shape)
    alone = zero & (counts == 1)
    others = ScatterReduce.apply(x, axis, index, src.masked_fill(alone, 1), "prod", **options)
    without = source_gradient(ctx, index, grad * others)
    divided = source_gradient(ctx, index, grad * result) / src.masked_fill(zero, 1)
    return own, OnceOnly.apply(without.where(alone, divided), counts.detach())


class OnceOnly(Function):
    """The gradient `x` of a product, which has none itself where there are several zeros.

    It has one, of course, but the factors are not at hand: each was divided out of the product.
    """

    @staticmethod
    def forward(ctx: Context, x: Any, zeros: Any) -> Any:
        ctx.save_for_backward(zeros)
        return x._wrap(x.node)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (zeros,) = ctx.saved_tensors
        within(zeros.to(dtypes.int64), 0, 2, _several_zeros)
        return grad, None


def _several_zeros(found: int) -> Exception:
    return GradientError(
        f"scatter_reduce: a product with {found} factors 0 has a gradient, but no second one here."
    )


def _of_extremum(ctx: Context, grad: Any, x: Any, index: Any, src: Any, result: Any) -> Any:
    """Shared by all that are equal to the extremum."""
    axis = ctx.axis
    own = (x == result).to(grad.dtype)
    reached = _widened(result.detach().gather(axis, index), src.shape)
    theirs = (src == reached).to(grad.dtype)
    if not ctx.include_self:
        own = own.scatter(axis, index, 0)
    shared = grad / own.scatter_add(axis, index, theirs).clamp(min=1)
    return own * shared, theirs * source_gradient(ctx, index, shared)


def _widened(x: Any, shape: tuple[int, ...]) -> Any:
    """`x` with zeros behind it, up to `shape`."""
    if x.shape == shape:
        return x
    path = tuple(slice(size) for size in x.shape)
    result = x.new_zeros(shape)
    result[path] = x
    return result


_GRADIENTS: dict[str, Callable[..., Any]] = {
    "sum": _of_sum,
    "mean": _of_mean,
    "prod": _of_prod,
    "amax": _of_extremum,
    "amin": _of_extremum,
}
_OF_SLICES = ("prod", "mean", "amax", "amin")


def _of_slices(name: str, x: Any, axis: int, index: Any, source: Any) -> Any:
    """The vector `index` for all elements of `source`, which has a slice of `x` for each number."""
    count = index.shape[0] if index.shape else 1
    expected = (*x.shape[:axis], count, *x.shape[axis + 1 :]) if x.shape else ()
    if len(index.shape) < 2 and (source.shape != expected or (not x.shape and count != 1)):
        raise ShapeError(
            f"{name}: the source has shape {tuple(source.shape)}, needs {expected}: that of the "
            f"tensor with one slice for each of the {count} indices."
        )
    if source.dtype is not x.dtype:
        raise DTypeError(
            f"{name}: the tensor is {x.dtype.name} and the source {source.dtype.name}; use "
            f"source.to(x.dtype)."
        )
    return along(name, source.shape, axis, index)


@op(method="index_add", inplace=True, dtypes=ALL, composite=True)
class IndexAdd(Function):
    """x with ``x[index[i]] += alpha * source[i]`` for ``dim=0``; index has one dimension.

    Raises:
        ShapeError: the source is not of the shape of x with one slice for each index.
        DTypeError: nor of its type.
    """

    @staticmethod
    def forward(x: Any, dim: int, index: Any, source: Any, *, alpha: float = 1) -> Any:
        axis = normal_axis("index_add", dim, len(x.shape))
        whole = _of_slices("index_add", x, axis, index, source)
        return ScatterAdd.apply(x, axis, whole, source if alpha == 1 else source * alpha)


@op(method="index_reduce", inplace=True, dtypes=ALL, composite=True)
class IndexReduce:
    """x with ``source[i]`` combined into ``x[index[i]]`` for ``dim=0``; index has one dimension.

    `reduce` is "prod", "mean", "amax" or "amin"; see `scatter_reduce`, and `index_add` for sums.
    """

    @staticmethod
    def forward(
        x: Any, dim: int, index: Any, source: Any, reduce: str, *, include_self: bool = True
    ) -> Any:
        _require_reduction("index_reduce", reduce, _OF_SLICES)
        axis = normal_axis("index_reduce", dim, len(x.shape))
        whole = _of_slices("index_reduce", x, axis, index, source)
        return ScatterReduce.apply(x, axis, whole, source, reduce, include_self=include_self)
