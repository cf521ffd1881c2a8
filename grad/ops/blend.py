"""Operations of three tensors: a product or quotient added to another, and interpolation.

Halves are computed in float32 and rounded once (halves.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from grad.autograd.function import Context
from grad.autograd.rebuilt import plainly_rebuilt
from grad.errors import DTypeError
from grad.graph.node import Node, cast, pointwise
from grad.graph.primitives import ABS, ADD, DIV, LT, MUL, SUB, WHERE
from grad.ops.arithmetic import scaled as _scaled
from grad.ops.halves import Pointwise
from grad.ops.promotion import (
    accumulation_dtype,
    as_node,
    is_tensor,
    nodes,
    number,
    refuse_bool,
    require_floating,
    unsupported,
    wrap,
)
from grad.ops.registry import FLOATING, Array, op
from grad.ops.samples import between, nonzero, operands

Operand = Any


def _numeric(name: str, *values: Operand) -> list[Node]:
    """The operands in their common type, which may not be bool."""
    found = nodes(name, *values)
    refuse_bool(name, found[0].dtype, instead="x.int()")
    return found


@op(
    method="addcmul",
    inplace=True,
    reference=lambda x, a, b, value=1: x + value * a * b,
    samples=operands(shapes=((3, 4), (4,), (3, 1)), kwargs={"value": 0.5}),
    dtypes=FLOATING,
)
@plainly_rebuilt
class Addcmul(Pointwise):
    """``x + value * tensor1 * tensor2``."""

    @staticmethod
    def forward(ctx: Context, x: Any, tensor1: Any, tensor2: Any, *, value: float = 1) -> Any:
        ctx.save_for_backward(tensor1, tensor2)
        ctx.value = value
        base, first, second = _numeric("addcmul", x, tensor1, tensor2)
        scaled = first if value == 1 else _scaled("addcmul", first, value)
        return wrap(pointwise(ADD, base, pointwise(MUL, scaled, second)))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        a, b = ctx.saved_tensors
        scaled = grad * ctx.value
        return grad, scaled * b, scaled * a


@op(
    method="addcdiv",
    inplace=True,
    reference=lambda x, a, b, value=1: x + value * a / b,
    samples=operands(shapes=((3, 4), (4,), (3, 1)), kwargs={"value": 0.5}, third=nonzero),
    dtypes=FLOATING,
)
@plainly_rebuilt
class Addcdiv(Pointwise):
    """``x + value * tensor1 / tensor2``, of floating tensors."""

    @staticmethod
    def forward(ctx: Context, x: Any, tensor1: Any, tensor2: Any, *, value: float = 1) -> Any:
        ctx.save_for_backward(tensor1, tensor2)
        ctx.value = value
        base, first, second = _numeric("addcdiv", x, tensor1, tensor2)
        require_floating("addcdiv", base.dtype)
        scaled = first if value == 1 else _scaled("addcdiv", first, value)
        return wrap(pointwise(ADD, base, pointwise(DIV, scaled, second)))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        a, b = ctx.saved_tensors
        scaled = grad * ctx.value / b
        return grad, scaled, -scaled * a / b


def _lerp_reference(start: Array, end: Array, weight: Any) -> Array:
    near = start + weight * (end - start)
    return np.where(np.abs(weight) < 0.5, near, end - (end - start) * (1 - weight))


@op(
    method="lerp",
    inplace=True,
    reference=_lerp_reference,
    samples=(
        *operands(shapes=((3, 4), (3, 4), (4,)), third=between(0, 1)),
        *operands(shapes=((3, 4), (4,)), arguments=(0.25,)),
        *operands(shapes=((3, 4), (4,)), arguments=(0.75,)),
    ),
    dtypes=FLOATING,
)
@plainly_rebuilt
class Lerp(Pointwise):
    """Linear interpolation ``start + weight * (end - start)``, exactly `end` at weight 1.

    Raises:
        DTypeError: the tensors are not floating tensors of one type.
    """

    rounds_once = True  # it looks at the types that it is given

    @staticmethod
    def forward(ctx: Context, start: Any, end: Any, weight: Operand) -> Any:
        if not is_tensor(end):
            raise unsupported("lerp", end)
        require_floating("lerp", start.dtype)
        for name, value in (("end", end), ("weight", weight)):
            if is_tensor(value) and value.dtype is not start.dtype:
                raise DTypeError(
                    f"lerp: {name} is {value.dtype.name} and start {start.dtype.name}; "
                    f"use {name}.to(start.dtype)."
                )
        ctx.save_for_backward(start, end, weight)
        kind = accumulation_dtype(start.dtype)
        a, b = cast(start.node, kind), cast(end.node, kind)
        w = as_node("lerp", weight, kind)
        # From the nearer end, so that both ends are met exactly.
        difference = pointwise(SUB, b, a)
        near = pointwise(ADD, a, pointwise(MUL, w, difference))
        rest = pointwise(SUB, number(1, kind), w)
        far = pointwise(SUB, b, pointwise(MUL, difference, rest))
        if is_tensor(weight):
            chosen = pointwise(WHERE, _is_near(w), near, far)
        else:
            chosen = near if abs(weight) < 0.5 else far
        return wrap(cast(chosen, start.dtype))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        start, end, weight = ctx.saved_tensors
        needs_weight = ctx.needs_input_grad[2]
        of_weight = grad * (end - start) if needs_weight else None
        return grad * (1 - weight), grad * weight, of_weight


def _is_near(weight: Node) -> Node:
    return pointwise(LT, pointwise(ABS, weight), number(0.5, weight.dtype))
