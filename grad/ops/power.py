"""Powers: ``x ** y`` and the exponents that have a better form than the general function."""

from __future__ import annotations

from typing import Any

import numpy as np

from grad.autograd.function import Context, Function
from grad.dtype import dtypes
from grad.errors import DTypeError
from grad.graph.node import Node, cast, pointwise
from grad.graph.primitives import (
    DIV,
    EXP2,
    MUL,
    POW,
    RSQRT,
    SQRT,
)
from grad.ops.halves import Pointwise
from grad.ops.promotion import (
    accumulation_dtype,
    is_tensor,
    number,
    pair,
    refuse_bool,
    wrap,
    zeros_like,
)
from grad.ops.registry import FLOATING, op
from grad.ops.samples import operands, positive

Operand = Any

# Exponents that have a cheaper and more exact form than the power function, as PyTorch has them.
_SQUARES = {
    2.0: lambda x: pointwise(MUL, x, x),
    3.0: lambda x: pointwise(MUL, pointwise(MUL, x, x), x),
    1.0: lambda x: x,
}
_ROOTS = {
    0.5: lambda x: pointwise(SQRT, x),
    -0.5: lambda x: pointwise(RSQRT, x),
    -1.0: lambda x: pointwise(DIV, number(1, x.dtype), x),
    -2.0: lambda x: pointwise(DIV, number(1, x.dtype), pointwise(MUL, x, x)),
}


def _power(x: Operand, y: Operand) -> Node:
    a, b = pair("pow", x, y)
    refuse_bool("pow", a.dtype, instead="x.int() ** y")
    if not is_tensor(y):
        if y < 0 and not a.dtype.is_floating_point:
            raise DTypeError(
                f"pow: integers to the negative power {y} are not integers; use x.float() ** {y}."
            )
        special = _SQUARES.get(y) or (_ROOTS.get(y) if a.dtype.is_floating_point else None)
        if special:
            return cast(special(cast(a, accumulation_dtype(a.dtype))), a.dtype)
    if not is_tensor(x) and x == 2 and a.dtype.is_floating_point:
        return pointwise(EXP2, b)
    return pointwise(POW, a, b)


@op(
    method="pow",
    operator="__pow__",
    reflected="__rpow__",
    inplace=True,
    reference=np.power,
    samples=(
        *operands(first=positive, high=2.0),
        *operands(shapes=((3, 4),), arguments=(2,)),
        *operands(shapes=((3, 4),), arguments=(3,)),
        *operands(shapes=((3, 4),), arguments=(0,)),
        *operands(shapes=((3, 4),), arguments=(0.5,), first=positive),
        *operands(shapes=((3, 4),), arguments=(-1.5,), first=positive),
    ),
    dtypes=FLOATING,
)
class Pow(Pointwise):
    """``x ** exponent``. Integers to a negative Python number are refused; to a tensor of negative
    integers they give 0 or ±1.
    """

    rounds_once = True

    @staticmethod
    def forward(ctx: Context, x: Operand, exponent: Operand) -> Any:
        result = wrap(_power(x, exponent))
        ctx.save_for_backward(x, exponent, result)
        return result

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        x, y, result = ctx.saved_tensors
        needs_x, needs_y = ctx.needs_input_grad
        base = exponent = None
        if needs_x and is_tensor(y):
            # The derivative of x ** 0 is 0 also at x = 0, where x ** -1 is infinite.
            base = (grad * y * x ** (y - 1)).masked_fill(y == 0, 0)
        elif needs_x:
            base = zeros_like(grad) if y == 0 else grad * (x ** (y - 1) * y)
        if needs_y:
            with np.errstate(all="ignore"):
                logarithm = x.log() if is_tensor(x) else float(np.log(np.float64(x)))
            exponent = grad * (result * logarithm)
            if is_tensor(x) or x == 0:
                # 0 ** y is constant for y > 0, although the logarithm of 0 is infinite.
                exponent = exponent.masked_fill((y >= 0) & (x == 0), 0)
        return base, exponent


@op(
    method="float_power",
    reference=lambda x, y: np.power(x.astype(np.float64), y),
    samples=(
        *operands(first=positive, high=2.0),
        *operands(shapes=((3, 4),), arguments=(2,)),
    ),
    dtypes=(dtypes.float64,),
    composite=True,
)
class FloatPower(Function):
    """``x ** exponent`` in float64, whatever the types."""

    @staticmethod
    def forward(x: Operand, exponent: Operand) -> Any:
        base, power = (
            value.to(dtypes.float64) if is_tensor(value) else value for value in (x, exponent)
        )
        return Pow.apply(base, power)


@op(method="float_power_", function=False, dtypes=(dtypes.float64,), composite=True)
class FloatPowerIn(Function):
    """`float_power` in place, of a float64 tensor.

    Raises:
        DTypeError: x is of another type.
    """

    @staticmethod
    def forward(x: Any, exponent: Operand) -> Any:
        if x.dtype is not dtypes.float64:
            raise DTypeError(
                f"float_power_: x is {x.dtype.name}, the result is float64; use x.float_power(...)."
            )
        exponent = exponent.to(dtypes.float64) if is_tensor(exponent) else exponent
        return x.pow_(exponent)
