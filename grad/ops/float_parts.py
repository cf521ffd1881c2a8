"""Floating numbers by their parts: sign, significand, exponent, and the next number there is.

The bits are looked at as integers of the same width. Halves become float32 for `frexp`, which holds
all of them.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from grad.autograd.function import Context, Function
from grad.dtype import DType, dtypes
from grad.errors import DTypeError
from grad.graph.node import Node, bitcast, cast, pointwise
from grad.graph.primitives import (
    ABS,
    ADD,
    AND,
    EQ,
    LT,
    MUL,
    NE,
    NEG,
    OR,
    SHR,
    SUB,
    WHERE,
)
from grad.ops.halves import rounded_once
from grad.ops.promotion import (
    floating,
    floating_pair,
    is_tensor,
    number,
    pair,
    require_floating,
    wrap,
)
from grad.ops.registry import FLOATING, Failure, op
from grad.ops.samples import nonzero, operands

# The integer type of the same width.
BITS: dict[DType, DType] = {
    dtypes.float16: dtypes.int16,
    dtypes.bfloat16: dtypes.int16,
    dtypes.float32: dtypes.int32,
    dtypes.float64: dtypes.int64,
}


def is_negative(node: Node) -> Node:
    """Whether the sign is minus, also that of -0.0."""
    bits = bitcast(node, BITS[node.dtype]) if node.dtype in BITS else node
    return pointwise(LT, bits, number(0, bits.dtype))


@op(
    method="copysign",
    inplace=True,
    reference=np.copysign,
    samples=(
        *operands(first=nonzero, second=nonzero),
        *operands(((3, 4),), arguments=(-1.0,), first=nonzero),
    ),
    dtypes=FLOATING,
)
class Copysign(Function):
    """The size of x with the sign of `other`, also that of -0.0."""

    @staticmethod
    def forward(ctx: Context, x: Any, other: Any) -> Any:
        a, b = floating_pair("copysign", x, other)
        same = pointwise(EQ, is_negative(a), is_negative(b))
        result = wrap(pointwise(WHERE, same, a, pointwise(NEG, a)))
        ctx.save_for_backward(x, wrap(same))
        return result

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        x, same = ctx.saved_tensors
        return grad.where(same, -grad).masked_fill(x == 0, 0), grad * 0


def _next(a: Node, b: Node) -> Node:
    """The number next to `a` towards `b`: its bits as an integer, one more or one less."""
    whole = BITS[a.dtype]
    zero, one = number(0, a.dtype), number(1, whole)
    # Away from zero the bits grow, whichever the sign.
    outward = pointwise(EQ, pointwise(LT, zero, a), pointwise(LT, a, b))
    step = pointwise(WHERE, outward, one, number(-1, whole))
    moved = bitcast(pointwise(ADD, bitcast(a, whole), step), a.dtype)
    least = bitcast(one, a.dtype)
    first = pointwise(WHERE, pointwise(LT, zero, b), least, pointwise(NEG, least))
    return pointwise(WHERE, pointwise(EQ, a, zero), first, moved)


@op(
    method="nextafter",
    inplace=True,
    errors=(Failure(((2,), (2,)), error=DTypeError, match="floating", dtype=dtypes.int32),),
    dtypes=FLOATING,
)
class Nextafter(Function):
    """The next number after x in the direction of `other`; `other` where they are equal.

    Raises:
        DTypeError: neither operand is floating.
    """

    @staticmethod
    def forward(ctx: Context, x: Any, other: Any) -> Any:
        a, b = pair("nextafter", x, other)
        require_floating("nextafter", a.dtype)
        ctx.save_for_backward(x, other)
        result = pointwise(WHERE, pointwise(EQ, a, b), b, _next(a, b))
        result = pointwise(WHERE, pointwise(NE, b, b), b, result)
        return wrap(pointwise(WHERE, pointwise(NE, a, a), a, result))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        x, other = ctx.saved_tensors
        return grad.masked_fill(x == other, 0), grad * 0


@op(
    method="ldexp",
    inplace=True,
    reference=lambda x, other: x * 2.0**other,
    samples=operands(low=-3, high=3),
    dtypes=FLOATING,
    composite=True,
)
class Ldexp(Function):
    """``x * 2 ** other``. With an integer `other` it keeps the type of a floating x, and the power
    may be out of range where the product is not.
    """

    @staticmethod
    @rounded_once
    def forward(x: Any, other: Any) -> Any:
        if not (is_tensor(x) and is_tensor(other)):
            raise DTypeError("ldexp: needs two tensors; use x * 2.0 ** other for a number.")
        if other.dtype.is_floating_point:
            return x * 2.0**other
        dtype = floating(x).dtype
        exponent = other.to(dtypes.float64).clamp(-2200, 2200)
        # Powers that are out of range are taken apart, the largest last: it alone may round.
        largest = exponent.clamp(-1022, 1023)
        middle = (exponent - largest).clamp(-1022, 1023)
        product = x.to(dtypes.float64)
        for part in (exponent - largest - middle, middle, largest):
            product = product * part.exp2()
        return product.to(dtype)


class FrexpResult(NamedTuple):
    """What `frexp` gives."""

    mantissa: Any
    exponent: Any


# Bits of the significand as they are stored, and the exponent's of numbers in [1/2, 1).
_FORMATS = {dtypes.float32: (23, 0xFF, 126), dtypes.float64: (52, 0x7FF, 1022)}


def _parts(x: Node) -> tuple[Node, Node]:
    """Significand in [1/2, 1) and exponent of float32 or float64."""
    stored, exponents, half = _FORMATS[x.dtype]
    whole = BITS[x.dtype]

    def of(value: int) -> Node:
        return number(value, whole)

    # Subnormal numbers are made normal first.
    size = pointwise(ABS, x)
    tiny = pointwise(LT, size, number(2.0 ** (1 - half), x.dtype))
    lifted = pointwise(MUL, x, number(2.0 ** (stored + 2), x.dtype))
    bits = bitcast(pointwise(WHERE, tiny, lifted, x), whole)
    field = pointwise(AND, pointwise(SHR, bits, of(stored)), of(exponents))
    bias = pointwise(WHERE, tiny, of(half + stored + 2), of(half))
    exponent = pointwise(SUB, field, bias)
    kept = pointwise(AND, bits, of(~(exponents << stored)))
    mantissa = bitcast(pointwise(OR, kept, of(half << stored)), x.dtype)
    zero = number(0, x.dtype)
    usual = pointwise(AND, pointwise(NE, x, zero), pointwise(LT, size, number(math.inf, x.dtype)))
    return pointwise(WHERE, usual, mantissa, x), pointwise(WHERE, usual, exponent, of(0))


@op(
    method="frexp",
    errors=(Failure(((2,),), error=DTypeError, match="floating", dtype=dtypes.int32),),
)
class Frexp(Function):
    """x as ``mantissa * 2 ** exponent``, with the mantissa's size in [1/2, 1).

    Returns:
        ``(mantissa, exponent)``, the exponent in int32. Zeros, infinities and NaN are their own
        mantissa, with exponent 0.

    Example:
        >>> grad.frexp(grad.tensor([6.0]))
        FrexpResult(mantissa=tensor([0.7500]), exponent=tensor([3], dtype=grad.int32))
    """

    @staticmethod
    def forward(ctx: Context, x: Any) -> FrexpResult:
        require_floating("frexp", x.dtype)
        wide = x.node if x.dtype.itemsize > 2 else cast(x.node, dtypes.float32)
        mantissa, exponent = _parts(wide)
        result = FrexpResult(
            x._wrap(cast(mantissa, x.dtype)), x._wrap(cast(exponent, dtypes.int32))
        )
        ctx.save_for_backward(result.exponent)
        ctx.mark_non_differentiable(result.exponent)
        return result

    @staticmethod
    def backward(ctx: Context, grad: Any, _: Any = None) -> Any:
        (exponent,) = ctx.saved_tensors
        return grad * (-exponent.to(grad.dtype)).exp2()
