"""Activation functions with a threshold, and those with a slope that is learned or random.

The first are x less something near zero; `activation.py` has the smooth ones, `clipped.py` those
that clip.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from grad.autograd.function import Context, Function
from grad.errors import ArgumentError, DTypeError, ShapeError
from grad.graph.node import cast, pointwise
from grad.graph.primitives import ABS, ADD, LE, LT, MUL, SUB, WHERE
from grad.ops.activation import LeakyRelu
from grad.ops.halves import Pointwise, rounded_once
from grad.ops.promotion import (
    accumulation_dtype,
    as_elements,
    number,
    refuse_bool,
    require_floating,
)
from grad.ops.random_numbers import uniform_node
from grad.ops.registry import FLOATING, NUMERIC, Failure, op
from grad.ops.samples import nonzero, operands, real
from grad.ops.select import Where


@op(
    method="threshold",
    inplace=True,
    reference=lambda x, threshold, value: np.where(x > threshold, x, value),
    samples=operands(((3, 4),), arguments=(1, -2), first=nonzero),
    dtypes=NUMERIC,
)
class Threshold(Pointwise):
    """x where it is above `threshold` (or NaN), `value` elsewhere."""

    @staticmethod
    def forward(ctx: Context, x: Any, threshold: float, value: float) -> Any:
        refuse_bool("threshold", x.dtype, instead="x.int()")
        ctx.save_for_backward(x)
        ctx.threshold = threshold
        below = pointwise(LE, x.node, as_elements("threshold", threshold, x.dtype))
        return x._wrap(pointwise(WHERE, below, as_elements("threshold", value, x.dtype), x.node))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        return grad.masked_fill(x <= ctx.threshold, 0), None, None


@op(
    method="hardshrink",
    reference=lambda x, lambd=0.5: np.where(np.abs(x) <= lambd, 0, x),
    samples=(*real(0.6, 3), *operands(((3, 4),), arguments=(2.0,))),
    dtypes=FLOATING,
)
class Hardshrink(Function):
    """0 where ``|x| <= lambd``, x elsewhere."""

    @staticmethod
    def forward(ctx: Context, x: Any, lambd: float = 0.5) -> Any:
        require_floating("hardshrink", x.dtype)
        ctx.save_for_backward(x)
        ctx.lambd = lambd
        near = pointwise(LE, pointwise(ABS, x.node), number(lambd, x.dtype))
        return x._wrap(pointwise(WHERE, near, number(0, x.dtype), x.node))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        return grad.masked_fill(x.abs() <= ctx.lambd, 0)


@op(
    method="softshrink",
    reference=lambda x, lambd=0.5: np.sign(x) * np.maximum(np.abs(x) - lambd, 0),
    samples=(*real(0.6, 3), *operands(((3, 4),), arguments=(2.0,))),
    errors=(Failure(((2,),), args=(-0.5,), error=ArgumentError, match="lambd"),),
    dtypes=FLOATING,
)
class Softshrink(Pointwise):
    """x moved towards zero by `lambd`, and 0 where it would pass it.

    Raises:
        ArgumentError: `lambd` is negative.
    """

    @staticmethod
    def forward(ctx: Context, x: Any, lambd: float = 0.5) -> Any:
        require_floating("softshrink", x.dtype)
        if lambd < 0:
            raise ArgumentError(f"softshrink: lambd={lambd}; it has to be 0 or more.")
        ctx.save_for_backward(x)
        ctx.lambd = lambd
        node, limit = x.node, number(lambd, x.dtype)
        # NaN is in none of the three, and stays by the product.
        middle = pointwise(MUL, node, number(0, x.dtype))
        lower = pointwise(LT, node, number(-lambd, x.dtype))
        result = pointwise(WHERE, lower, pointwise(ADD, node, limit), middle)
        upper = pointwise(LT, limit, node)
        return x._wrap(pointwise(WHERE, upper, pointwise(SUB, node, limit), result))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        return grad.masked_fill(x.abs() <= ctx.lambd, 0)


@op(
    method="tanhshrink",
    reference=lambda x: x - np.tanh(x),
    samples=real(-3, 3),
    dtypes=FLOATING,
    composite=True,
)
class Tanhshrink(Function):
    """``x - tanh(x)``."""

    @staticmethod
    @rounded_once
    def forward(x: Any) -> Any:
        return x - x.tanh()


# -- slopes ----------------------------------------------------------------------------------------
@op(
    method="prelu",
    reference=lambda x, weight: np.where(
        x > 0, x, (weight[:, None] if weight.size > 1 else weight) * x
    ),
    samples=(
        *operands(((2, 3, 4), (3,)), first=nonzero),
        *operands(((3, 4), (1,)), first=nonzero),
        *operands(((5,), ()), first=nonzero),
    ),
    errors=(
        Failure(((2, 3), (2,)), match="3 channels"),
        Failure(((2, 3), (1, 1)), match="dimensions"),
    ),
    dtypes=FLOATING,
    composite=True,
)
class Prelu(Function):
    """x where it is positive, ``weight * x`` elsewhere.

    There is one weight, or one for each channel: ``x.size(1)`` of them.

    Raises:
        ShapeError: the number of weights is another. DTypeError: the types differ.
    """

    @staticmethod
    def forward(x: Any, weight: Any) -> Any:
        require_floating("prelu", x.dtype)
        if weight.dtype is not x.dtype:
            raise DTypeError(
                f"prelu: x is {x.dtype.name} and the weight {weight.dtype.name}; use one type."
            )
        if len(weight.shape) > 1:
            raise ShapeError(
                f"prelu: the weight has shape {tuple(weight.shape)}, needs 0 or 1 dimensions."
            )
        if weight.numel() != 1:
            channels = x.shape[1] if len(x.shape) > 1 else 1
            if weight.numel() != channels:
                raise ShapeError(
                    f"prelu: {weight.numel()} weights for {channels} channels of an input of shape "
                    f"{tuple(x.shape)}; there may be one, or one for each."
                )
            weight = weight.reshape(-1, *[1] * (len(x.shape) - 2))
        elif weight.shape:
            weight = weight.reshape(())
        return Where.apply(x > 0, x, weight * x)


@op(function="rrelu", composite=True)
class Rrelu(Function):
    """x where it is positive, elsewhere x times a slope between `lower` and `upper`: if `training`
    a random one for each element, else their mean.

    Raises:
        ArgumentError: `lower` is above `upper`.
    """

    @staticmethod
    def forward(
        input: Any,
        lower: float = 1 / 8,
        upper: float = 1 / 3,
        training: bool = False,
        generator: Any = None,
    ) -> Any:
        require_floating("rrelu", input.dtype)
        if lower > upper:
            raise ArgumentError(f"rrelu: lower={lower} is above upper={upper}.")
        if not training:
            return LeakyRelu.apply(input, (lower + upper) / 2)
        dtype = accumulation_dtype(input.dtype)
        uniform = input._wrap(uniform_node(input.shape, dtype, generator))
        slope = input._wrap(cast((uniform * (upper - lower) + lower).node, input.dtype))
        return Where.apply(input <= 0, input * slope, input)
