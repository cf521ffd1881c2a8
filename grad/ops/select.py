"""Choosing between elements: `where`, `masked_fill`, `clamp`, and the triangles of a matrix.

All are one `WHERE` (or a maximum and a minimum), and their gradients choose likewise, so that a
NaN in the branch not taken never reaches a gradient.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from grad.autograd.function import Context, Function
from grad.autograd.rebuilt import plainly_rebuilt
from grad.autograd.remembered import remembered
from grad.dtype import DType, dtypes
from grad.errors import ArgumentError, DTypeError, ShapeError
from grad.graph.node import Node, cast, iota, pointwise, reshape
from grad.graph.primitives import ADD, LE, MAXIMUM, MINIMUM, WHERE
from grad.ops.axes import whole
from grad.ops.promotion import as_elements, as_node, is_tensor, number, refuse_bool, result_type
from grad.ops.registry import ALL, NUMERIC, SIGNED, Array, Failure, Sample, op
from grad.ops.samples import between, operands

Operand = Any


def _masked(shape: tuple[int, ...], *others: tuple[int, ...]) -> tuple[Sample, ...]:
    """A mask of `shape`, and operands of the other shapes."""

    def make(random: np.random.Generator, dtype: DType) -> list[Array]:
        mask = random.random(shape) < 0.5
        return [mask, *(between(-4, 4)(random, other, dtype) for other in others)]

    return (Sample((shape, *others), make=make),)


def _mask_node(name: str, mask: Any) -> Node:
    if not is_tensor(mask) or mask.dtype is not dtypes.bool:
        given = mask.dtype.name if is_tensor(mask) else type(mask).__name__
        raise DTypeError(
            f"{name}: the mask must be a bool tensor, got {given}; use mask != 0 or mask.bool()."
        )
    return mask.node


@op(
    function="where",
    reference=np.where,
    samples=(
        *_masked((3, 4), (3, 4), (3, 4)),
        *_masked((3, 1), (4,), (2, 1, 4)),
        *_masked((3, 4), (), ()),
    ),
    errors=(Failure(((2,), (2,), (2,)), error=DTypeError, match="bool"),),
    dtypes=ALL,
)
@remembered
class Where(Function):
    """`input` where the bool tensor `condition` is true, `other` elsewhere; all three broadcast.

    With the condition alone, the indices of its true elements, as ``nonzero(as_tuple=True)``.
    """

    @staticmethod
    def forward(ctx: Context, condition: Any, input: Operand = None, other: Operand = None) -> Any:
        if input is None and other is None:
            return condition.nonzero(as_tuple=True)
        if input is None or other is None:
            raise TypeError(
                "where: give two values, where(condition, x, y), or the condition alone for the "
                "indices of its true elements."
            )
        mask = _mask_node("where", condition)
        dtype = result_type(input, other)
        ctx.save_for_backward(condition)
        return condition._wrap(
            pointwise(WHERE, mask, as_node("where", input, dtype), as_node("where", other, dtype))
        )

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (condition,) = ctx.saved_tensors
        _, needs_x, needs_y = ctx.needs_input_grad
        return (
            None,
            Where.apply(condition, grad, 0) if needs_x else None,
            Where.apply(condition, 0, grad) if needs_y else None,
        )


@op(
    method="where_self",
    function=False,
    aliases=("where",),
    reference=lambda x, condition, y: np.where(condition, x, y),
    composite=True,
    dtypes=ALL,
)
class WhereMethod(Function):
    """x where `condition` is true, `other` elsewhere; ``grad.where(condition, x, other)``."""

    @staticmethod
    def forward(x: Any, condition: Any, other: Operand) -> Any:
        return Where.apply(condition, x, other)


def _fill_samples() -> tuple[Sample, ...]:
    def make(random: np.random.Generator, dtype: DType) -> list[Array]:
        return [between(-4, 4)(random, (3, 4), dtype), random.random((3, 4)) < 0.5]

    return (Sample(((3, 4), (3, 4)), args=(2,), make=make),)


@op(
    method="masked_fill",
    inplace=True,
    reference=lambda x, mask, value: np.where(mask, np.asarray(value).astype(x.dtype), x),
    samples=_fill_samples(),
    errors=(Failure(((2,), (2,)), args=(1,), error=DTypeError, match="bool"),),
    dtypes=ALL,
)
@remembered
class MaskedFill(Function):
    """x with `value` (a number or a 0-dimensional tensor) where the bool tensor `mask` is true;
    x's type stays.
    """

    @staticmethod
    def forward(ctx: Context, x: Any, mask: Any, value: Operand) -> Any:
        if is_tensor(value) and value.shape:
            raise ShapeError(
                f"masked_fill: the value has shape {tuple(value.shape)}, needs (); "
                f"use grad.where(mask, value, x) for one value per element."
            )
        ctx.save_for_backward(mask)
        chosen = as_elements("masked_fill", value, x.dtype)
        return x._wrap(pointwise(WHERE, _mask_node("masked_fill", mask), chosen, x.node))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (mask,) = ctx.saved_tensors
        needs_value = ctx.needs_input_grad[2]
        return (
            MaskedFill.apply(grad, mask, 0),
            None,
            Where.apply(mask, grad, 0) if needs_value else None,
        )


@op(
    method="clamp",
    aliases=("clip",),
    inplace=True,
    reference=lambda x, low=None, high=None: np.clip(x, low, high),
    samples=(
        *operands(((3, 4),), arguments=(-1, 2)),
        *operands(((3, 4),), arguments=(1,)),
        *operands(((3, 4),), arguments=(None, 1)),
        *operands(((3, 4), (4,), (4,)), second=between(-2, 0), third=between(1, 2)),
    ),
    dtypes=SIGNED,
)
@plainly_rebuilt
class Clamp(Function):
    """x limited to ``[min, max]``, each a number, a tensor or None; `max` wins where they cross;
    NaN stays.
    """

    @staticmethod
    def forward(ctx: Context, x: Any, min: Operand = None, max: Operand = None) -> Any:
        if min is None and max is None:
            raise ArgumentError(
                "clamp: min and max are both None; give at least one, as in x.clamp(min=0)."
            )
        ctx.save_for_backward(x, min, max)
        dtype = result_type(x, *(limit for limit in (min, max) if limit is not None))
        if min is not None and max is not None:
            refuse_bool("clamp", dtype, instead="x & max or x | min")
        node = cast(x.node, dtype)
        # Of equal operands the second is kept: -0.0 stays at a limit of 0.
        if min is not None:
            node = pointwise(MAXIMUM, as_node("clamp", min, dtype), node)
        if max is not None:
            node = pointwise(MINIMUM, as_node("clamp", max, dtype), node)
        return x._wrap(node)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        x, low, high = ctx.saved_tensors
        if low is None:
            inside = x <= high
        elif high is None:
            inside = x >= low
        else:
            inside = (x >= low) & (x <= high)
        grads = [Where.apply(inside, grad, 0), None, None]
        if is_tensor(low):
            raised = x < low
            grads[1] = Where.apply(raised if high is None else raised & (low < high), grad, 0)
        if is_tensor(high):
            lowered = x > high
            grads[2] = Where.apply(lowered if low is None else lowered | (low > high), grad, 0)
        return tuple(grads)


@op(
    method="clamp_min",
    inplace=True,
    reference=np.maximum,
    samples=operands(((3, 4),), arguments=(1,)),
    dtypes=NUMERIC,
    composite=True,
)
class ClampMin(Function):
    """x, but at least `min`."""

    @staticmethod
    def forward(x: Any, min: Operand) -> Any:
        return Clamp.apply(x, min, None)


@op(
    method="clamp_max",
    inplace=True,
    reference=np.minimum,
    samples=operands(((3, 4),), arguments=(1,)),
    dtypes=NUMERIC,
    composite=True,
)
class ClampMax(Function):
    """x, but at most `max`."""

    @staticmethod
    def forward(x: Any, max: Operand) -> Any:
        return Clamp.apply(x, None, max)


class _Triangle(Function):
    """A matrix with one side of a diagonal replaced by zeros."""

    lower: ClassVar[bool]

    @classmethod
    def forward(cls, ctx: Context, x: Any, diagonal: int = 0) -> Any:
        name = "tril" if cls.lower else "triu"
        if len(x.shape) < 2:
            raise ShapeError(f"{name}: got shape {tuple(x.shape)}, needs 2 dimensions or more.")
        ctx.diagonal = diagonal = whole(name, "diagonal", diagonal)
        rows, columns = x.shape[-2:]
        row = reshape(iota(rows, dtypes.int32), (rows, 1))
        column = iota(columns, dtypes.int32)
        if cls.lower:
            kept = pointwise(LE, column, pointwise(ADD, row, number(diagonal, dtypes.int32)))
        else:
            kept = pointwise(LE, pointwise(ADD, row, number(diagonal, dtypes.int32)), column)
        return x._wrap(pointwise(WHERE, kept, x.node, number(0, x.dtype)))

    @classmethod
    def backward(cls, ctx: Context, grad: Any) -> Any:
        return cls.apply(grad, ctx.diagonal)


_MATRICES = (
    *operands(((3, 4),)),
    *operands(((2, 4, 3),), arguments=(1,)),
    *operands(((4, 3),), arguments=(-2,)),
)
_VECTOR = (Failure(((3,),), match="2 dimensions"),)


@op(method="tril", inplace=True, reference=np.tril, samples=_MATRICES, errors=_VECTOR, dtypes=ALL)
@plainly_rebuilt
class Tril(_Triangle):
    """The elements on and below the given diagonal, zeros above."""

    lower = True


@op(method="triu", inplace=True, reference=np.triu, samples=_MATRICES, errors=_VECTOR, dtypes=ALL)
@plainly_rebuilt
class Triu(_Triangle):
    """The elements on and above the given diagonal, zeros below."""

    lower = False
