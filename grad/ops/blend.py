"""Operations of three tensors: a product or quotient added to another, and interpolation."""

from __future__ import annotations

from typing import Any

from grad.autograd.function import Context, Function
from grad.errors import DTypeError
from grad.graph.node import pointwise
from grad.graph.primitives import ADD, DIV, MUL
from grad.ops.arithmetic import scaled as _scaled
from grad.ops.promotion import is_tensor, nodes, unsupported
from grad.ops.registry import FLOATING, op
from grad.ops.samples import nonzero, operands

Operand = Any


@op(
    method="addcmul",
    inplace=True,
    reference=lambda x, a, b, value=1: x + value * a * b,
    samples=operands(shapes=((3, 4), (4,), (3, 1)), kwargs={"value": 0.5}),
    dtypes=FLOATING,
)
class Addcmul(Function):
    """``x + value * tensor1 * tensor2``."""

    @staticmethod
    def forward(ctx: Context, x: Any, tensor1: Any, tensor2: Any, *, value: float = 1) -> Any:
        ctx.save_for_backward(tensor1, tensor2)
        ctx.value = value
        base, first, second = nodes("addcmul", x, tensor1, tensor2)
        product = pointwise(MUL, first, second)
        return x._wrap(
            pointwise(ADD, base, product if value == 1 else _scaled("addcmul", product, value))
        )

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
class Addcdiv(Function):
    """``x + value * tensor1 / tensor2``, of floating tensors."""

    @staticmethod
    def forward(ctx: Context, x: Any, tensor1: Any, tensor2: Any, *, value: float = 1) -> Any:
        ctx.save_for_backward(tensor1, tensor2)
        ctx.value = value
        base, first, second = nodes("addcdiv", x, tensor1, tensor2)
        if not base.dtype.is_floating_point:
            raise DTypeError(
                f"addcdiv: needs floating operands, got {base.dtype.name}; use x.float()."
            )
        scaled = first if value == 1 else _scaled("addcdiv", first, value)
        return x._wrap(pointwise(ADD, base, pointwise(DIV, scaled, second)))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        a, b = ctx.saved_tensors
        scaled = grad * ctx.value / b
        return grad, scaled, -scaled * a / b


@op(
    method="lerp",
    inplace=True,
    reference=lambda start, end, weight: start + weight * (end - start),
    samples=(
        *operands(shapes=((3, 4), (3, 4), (4,))),
        *operands(shapes=((3, 4), (4,)), arguments=(0.25,)),
    ),
    dtypes=FLOATING,
    composite=True,
)
class Lerp(Function):
    """Linear interpolation ``start + weight * (end - start)``."""

    @staticmethod
    def forward(start: Any, end: Any, weight: Operand) -> Any:
        if not is_tensor(end):
            raise unsupported("lerp", end)
        return start + weight * (end - start)
