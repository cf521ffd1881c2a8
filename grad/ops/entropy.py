"""Products with a logarithm in which 0 times anything is 0, NaN excepted."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from grad.autograd.function import Context
from grad.graph.node import Node, pointwise
from grad.graph.primitives import AND, EQ, LOG, LOG1P, LT, MUL, NEG, WHERE, Primitive
from grad.ops.halves import Pointwise
from grad.ops.promotion import (
    floating,
    floating_pair,
    is_tensor,
    number,
    wrap,
)
from grad.ops.registry import FLOATING, op
from grad.ops.samples import between, operands, positive, real


def _product(name: str, primitive: Primitive, x: Any, y: Any) -> Any:
    """``x * primitive(y)``, 0 where x is, unless y is NaN."""
    a, b = floating_pair(name, x, y)
    zero = number(0, a.dtype)
    nothing = pointwise(AND, pointwise(EQ, a, zero), pointwise(EQ, b, b))
    product = pointwise(MUL, a, pointwise(primitive, b))
    return wrap(pointwise(WHERE, nothing, zero, product))


class _Product(Pointwise):
    """``x * f(y)`` with its gradients; that of x is 0 where x is 0 and y has no logarithm."""

    @classmethod
    def backward(cls, ctx: Context, grad: Any) -> Any:
        x, y = ctx.saved_tensors
        needs_x, needs_y = ctx.needs_input_grad
        of_x = of_y = None
        if needs_x:
            other = y if is_tensor(y) else x.new_full((), y)
            logarithm = cls.apply(1.0, other)
            of_x = grad * logarithm.masked_fill((x == 0) & (cls.denominator(other) <= 0), 0)
        if needs_y:
            of_y = grad * (x / cls.denominator(y))
        return of_x, of_y

    @staticmethod
    def denominator(y: Any) -> Any:
        """What x is divided by in the gradient of y, and what the logarithm is of."""
        raise NotImplementedError


@op(
    method="xlogy",
    inplace=True,
    reference=lambda x, y: x * np.log(y),
    samples=(
        *operands(second=positive),
        *operands(((3, 4), (3, 4)), first=between(-1, 1), second=positive),
        *operands(((3, 4),), arguments=(2.0,)),
    ),
    dtypes=FLOATING,
)
class Xlogy(_Product):
    """``x * log(y)``, and 0 where x is 0 unless y is NaN."""

    @staticmethod
    def forward(ctx: Context, x: Any, y: Any) -> Any:
        ctx.save_for_backward(x, y)
        return _product("xlogy", LOG, x, y)

    @staticmethod
    def denominator(y: Any) -> Any:
        return y


@op(
    function="special_xlog1py",
    reference=lambda x, y: x * np.log1p(y),
    samples=(*operands(second=positive), *operands(((3, 4),), arguments=(2.0,))),
    dtypes=FLOATING,
)
class Xlog1py(_Product):
    """``x * log1p(y)``, and 0 where x is 0 unless y is NaN."""

    @staticmethod
    def forward(ctx: Context, x: Any, y: Any) -> Any:
        ctx.save_for_backward(x, y)
        return _product("xlog1py", LOG1P, x, y)

    @staticmethod
    def denominator(y: Any) -> Any:
        return y + 1


def _entropy(x: Node) -> Node:
    zero = number(0, x.dtype)
    positive_part = pointwise(NEG, pointwise(MUL, x, pointwise(LOG, x)))
    below = pointwise(WHERE, pointwise(LT, x, zero), number(-math.inf, x.dtype), positive_part)
    return pointwise(WHERE, pointwise(EQ, x, zero), zero, below)


@op(
    function="special_entr",
    reference=lambda x: -x * np.log(x),
    samples=real(0.1, 3),
    dtypes=FLOATING,
)
class Entr(Pointwise):
    """``-x * log(x)``; 0 at 0 and -inf below."""

    @staticmethod
    def forward(ctx: Context, x: Any) -> Any:
        ctx.save_for_backward(x)
        return x._wrap(_entropy(floating(x)))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        return -grad * (x.log() + 1)
