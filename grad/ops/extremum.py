"""The largest and smallest elements, and where they are.

``amax`` shares its gradient among equal elements; ``max(dim)`` gives values and indices, and the
gradient goes to the index, as in PyTorch. NaN is larger and smaller than anything. An index is
the smallest position at which the element equals the extremum: one more reduction, which fuses
with the first.
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

import numpy as np

from grad.autograd.function import Context, Function
from grad.autograd.rebuilt import plainly_rebuilt
from grad.dtype import dtypes
from grad.errors import AxisError, DTypeError, ShapeError
from grad.graph.node import Node, cast, iota, pointwise, reduce, reshape
from grad.graph.primitives import EQ, MAX, MIN, NE, OR, WHERE, Primitive
from grad.ops.axes import Dims, keep_axes, kept_shape, like_operand, normal_axes, normal_axis
from grad.ops.comparison import Maximum, Minimum
from grad.ops.promotion import is_tensor, number
from grad.ops.registry import ALL, NUMERIC, Failure, op
from grad.ops.samples import distinct, operands

_VALUES = (
    *operands(((3, 4),), first=distinct),
    *operands(((2, 3, 4),), kwargs={"dim": 1}, first=distinct),
    *operands(((2, 3, 4),), kwargs={"dim": (0, -1), "keepdim": True}, first=distinct),
)
_ALONG = (
    *operands(((3, 4),), first=distinct),
    *operands(((2, 3, 4),), kwargs={"dim": 1}, first=distinct),
    *operands(((2, 3, 4),), kwargs={"dim": -1, "keepdim": True}, first=distinct),
)
_EMPTY = (Failure(((0, 3),), error=ShapeError, match="no elements"),)


def _require_elements(
    name: str, shape: tuple[int, ...], axes: tuple[int, ...], error: type[Exception]
) -> None:
    if 0 in [shape[axis] for axis in axes if shape]:
        raise error(
            f"{name}: a tensor of shape {tuple(shape)} has no elements to choose from over {axes}; "
            f"reduce an axis that is not empty, with dim=..."
        )


class _Amount(Function):
    """The extremum over several axes."""

    primitive: ClassVar[Primitive]
    name: ClassVar[str]
    # Whether elements that are NaN share the gradient of a NaN; else it makes all gradients NaN.
    of_nan: ClassVar[bool] = False

    @classmethod
    def forward(cls, ctx: Context, x: Any, dim: Dims = None, keepdim: bool = False) -> Any:
        shape = x.shape
        axes = normal_axes(cls.name, dim, len(shape))
        # PyTorch's: the axis is at fault that somebody named.
        _require_elements(cls.name, shape, axes, ShapeError if dim is None else AxisError)
        ctx.axes = axes
        result = x._wrap(keep_axes(reduce(cls.primitive, x.node, axes), shape, axes, keepdim))
        ctx.save_for_backward(x, result)
        return result

    @classmethod
    def backward(cls, ctx: Context, grad: Any) -> Any:
        x, result = ctx.saved_tensors
        # A NaN is the extremum, and equals nothing: the shares are 0 / 0.
        chosen = x == like_operand(result, x.shape, ctx.axes)
        if cls.of_nan:
            chosen = chosen | (x != x)
        chosen = chosen.to(grad.dtype)
        share = chosen / chosen.sum(ctx.axes, True) if ctx.axes else chosen
        return like_operand(grad, x.shape, ctx.axes) * share


def _numpy(f: Any) -> Any:
    return lambda x, dim=None, keepdim=False: f(x, axis=dim, keepdims=keepdim)


@op(method="amax", reference=_numpy(np.max), samples=_VALUES, errors=_EMPTY, dtypes=ALL)
class Amax(_Amount):
    """The largest elements over `dim`; equal ones share the gradient."""

    primitive = MAX
    name = "amax"


@op(method="amin", reference=_numpy(np.min), samples=_VALUES, errors=_EMPTY, dtypes=ALL)
class Amin(_Amount):
    """The smallest elements over `dim`; equal ones share the gradient."""

    primitive = MIN
    name = "amin"


class _MaxOfAll(Amax):
    """``x.max()``."""

    of_nan = True


class _MinOfAll(Amin):
    """``x.min()``."""

    of_nan = True


# -- positions -------------------------------------------------------------------------------------
def _position(node: Node, peak: Node, axis: int) -> Node:
    """The first index along `axis` at which `node` equals `peak` (of size 1 there) or is NaN;
    int64.
    """
    size = node.shape[axis]
    # Positions fit int32 nearly always, which is twice as many lanes.
    kind = dtypes.int32 if size < 2**31 else dtypes.int64
    found = pointwise(EQ, node, peak)
    if node.dtype.is_floating_point:
        found = pointwise(OR, found, pointwise(NE, node, node))
    position = reshape(iota(size, kind), (size, *[1] * (len(node.shape) - axis - 1)))
    first = reduce(MIN, pointwise(WHERE, found, position, number(size, kind)), (axis,))
    return cast(first, dtypes.int64)


class _Position(Function):
    """Where the extremum is."""

    primitive: ClassVar[Primitive]
    name: ClassVar[str]

    @classmethod
    def forward(cls, ctx: Context, x: Any, dim: int | None = None, keepdim: bool = False) -> Any:
        if x.dtype is dtypes.bool:
            raise DTypeError(f"{cls.name}: not defined for bool tensors; use x.int().{cls.name}().")
        shape, node = x.shape, x.node
        if dim is None:
            _require_elements(cls.name, shape, tuple(range(len(shape))), AxisError)
            node, axis = reshape(node, (node.size,)), 0
        else:
            axis = normal_axis(cls.name, dim, len(shape))
            _require_elements(cls.name, shape, (axis,), AxisError)
            node = node if shape else reshape(node, (1,))
        peak = reshape(reduce(cls.primitive, node, (axis,)), kept_shape(node.shape, (axis,)))
        result = _position(node, peak, axis)
        if keepdim:
            kept = tuple(range(len(shape))) if dim is None else (axis,)
            result = keep_axes(result, shape, kept, bool(shape))
        return x._wrap(result)


def _numpy_position(f: Any) -> Any:
    return lambda x, dim=None, keepdim=False: f(x, axis=dim, keepdims=keepdim)


@op(
    method="argmax",
    reference=_numpy_position(np.argmax),
    samples=_ALONG,
    dtypes=NUMERIC,
    gradient=False,
    errors=(Failure(((0, 3),), error=AxisError, match="no elements"),),
)
@plainly_rebuilt
class Argmax(_Position):
    """Index of the largest element along `dim` (in the flattened tensor without it); the first of
    equals.
    """

    primitive = MAX
    name = "argmax"


@op(
    method="argmin",
    reference=_numpy_position(np.argmin),
    samples=_ALONG,
    dtypes=NUMERIC,
    gradient=False,
)
class Argmin(_Position):
    """Index of the smallest element along `dim` (in the flattened tensor without it); the first
    of equals.
    """

    primitive = MIN
    name = "argmin"


# -- max and min: of all, along an axis, or of two tensors -----------------------------------------
class MaxResult(NamedTuple):
    """What ``x.max(dim)`` gives."""

    values: Any
    indices: Any


class MinResult(NamedTuple):
    """What ``x.min(dim)`` gives."""

    values: Any
    indices: Any


class _Along(Function):
    """Values and indices of the extremum along one axis."""

    primitive: ClassVar[Primitive]
    result: ClassVar[type[Any]]

    @classmethod
    def forward(cls, ctx: Context, x: Any, dim: int, keepdim: bool) -> Any:
        name, shape = cls.primitive.name, x.shape
        axis = normal_axis(name, dim, len(shape))
        _require_elements(name, shape, (axis,), AxisError)
        if not shape:
            ctx.size = None
            return cls.result(x._wrap(x.node), x._wrap(number(0, dtypes.int64)))
        node = x.node
        values = reduce(cls.primitive, node, (axis,))
        indices = _position(node, reshape(values, kept_shape(shape, (axis,))), axis)
        kept = [keep_axes(part, shape, (axis,), keepdim) for part in (values, indices)]
        result = cls.result(x._wrap(kept[0]), x._wrap(kept[1]))
        ctx.axis, ctx.shape, ctx.size = axis, shape, shape[axis]
        ctx.save_for_backward(result[1])
        ctx.mark_non_differentiable(result[1])
        return result

    @staticmethod
    def backward(ctx: Context, grad: Any, _: Any) -> Any:
        if ctx.size is None:
            return grad
        (indices,) = ctx.saved_tensors
        axes = (ctx.axis,)
        trailing = (1,) * (len(ctx.shape) - ctx.axis - 1)
        position = grad._wrap(reshape(iota(ctx.size), (ctx.size, *trailing)))
        chosen = position == like_operand(indices, ctx.shape, axes)
        return like_operand(grad, ctx.shape, axes).expand(ctx.shape).masked_fill(~chosen, 0)


class MaxAlong(_Along):
    """``x.max(dim)``."""

    primitive = MAX
    result = MaxResult


class MinAlong(_Along):
    """``x.min(dim)``."""

    primitive = MIN
    result = MinResult


def _extremum(x: Any, dim: Any, keepdim: bool, rows: tuple[type[Function], ...]) -> Any:
    amount, along, pairwise = rows
    if dim is None:
        return amount.apply(x)
    if is_tensor(dim):
        return pairwise.apply(x, dim)
    return along.apply(x, dim, keepdim)


_FULL = operands(((3, 4),), first=distinct)


@op(method="max", reference=np.max, samples=_FULL, errors=_EMPTY, dtypes=ALL, composite=True)
class Max(Function):
    """The largest element; with `dim`, ``(values, indices)`` along it; with another tensor,
    `maximum` of both.
    """

    @staticmethod
    def forward(x: Any, dim: Any = None, keepdim: bool = False) -> Any | MaxResult:
        return _extremum(x, dim, keepdim, (_MaxOfAll, MaxAlong, Maximum))


@op(method="min", reference=np.min, samples=_FULL, errors=_EMPTY, dtypes=ALL, composite=True)
class Min(Function):
    """The smallest element; with `dim`, ``(values, indices)`` along it; with another tensor,
    `minimum` of both.
    """

    @staticmethod
    def forward(x: Any, dim: Any = None, keepdim: bool = False) -> Any | MinResult:
        return _extremum(x, dim, keepdim, (_MinOfAll, MinAlong, Minimum))


class AminmaxResult(NamedTuple):
    """What `aminmax` gives."""

    min: Any
    max: Any


@op(method="aminmax", dtypes=ALL, composite=True)
class Aminmax(Function):
    """The smallest and the largest element, of all or along `dim`.

    Equal ones share the gradient, as with `amin` and `amax`.

    Returns:
        ``(min, max)``.
    """

    @staticmethod
    def forward(x: Any, *, dim: int | None = None, keepdim: bool = False) -> AminmaxResult:
        if dim is not None:
            normal_axis("aminmax", dim, len(x.shape))
        return AminmaxResult(Amin.apply(x, dim, keepdim), Amax.apply(x, dim, keepdim))
