"""Activation functions that clip: straight between two ends, flat outside.

`Clipped` is what they have in common; `clamp` (select.py) differs from it at the ends only.
`activation.py` has the smooth ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from grad.autograd.function import Context, Function
from grad.errors import ArgumentError, DTypeError
from grad.ops.halves import Pointwise, rounded_once
from grad.ops.promotion import refuse_bool, require_floating
from grad.ops.registry import Array, op
from grad.ops.samples import operands, real


def _line(x: Array) -> Array:
    """``x / 6 + 1 / 2`` between 0 and 1, in float64."""
    return np.clip(x.astype(np.float64) / 6 + 0.5, 0, 1)


class Clipped(Pointwise):
    """x limited to ``[low, high]``, with derivative 0 at both ends, where `clamp` has 1."""

    @staticmethod
    def forward(ctx: Context, x: Any, low: float, high: float) -> Any:
        ctx.save_for_backward(x)
        ctx.low, ctx.high = low, high
        return x.clamp(low, high)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        return grad.masked_fill((x <= ctx.low) | (x >= ctx.high), 0), None, None


class ClippedLine(Clipped):
    """As `Clipped`, with derivative 0 at NaN, where that has 1."""

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (x,) = ctx.saved_tensors
        return grad.masked_fill(~((x > ctx.low) & (x < ctx.high)), 0), None, None


@op(
    method="relu6",
    reference=lambda x: np.clip(x, 0, 6),
    samples=real(0.2, 3) + real(-3, -0.2),
    composite=True,
)
class Relu6(Function):
    """``min(max(x, 0), 6)``."""

    @staticmethod
    def forward(x: Any) -> Any:
        refuse_bool("relu6", x.dtype, instead="x itself")
        return Clipped.apply(x, 0, 6)


@op(
    method="hardtanh",
    inplace=True,
    reference=lambda x, min_val=-1.0, max_val=1.0: np.clip(x, min_val, max_val),
    samples=operands(((3, 4),)),
    composite=True,
)
class Hardtanh(Function):
    """x limited to ``[min_val, max_val]``; of integers, to these without their fractions.

    Raises:
        ArgumentError: `min_val` is above `max_val`.
    """

    @staticmethod
    def forward(x: Any, min_val: float = -1.0, max_val: float = 1.0) -> Any:
        refuse_bool("hardtanh", x.dtype, instead="x.int()")
        if min_val > max_val:
            raise ArgumentError(f"hardtanh: min_val={min_val} is above max_val={max_val}.")
        if x.dtype.kind == "u" and min_val < 0:
            raise DTypeError(
                f"hardtanh: min_val={min_val} is negative, {x.dtype.name} is not; use x.int()."
            )
        if not x.dtype.is_floating_point:
            min_val, max_val = int(min_val), int(max_val)
        return Clipped.apply(x, min_val, max_val)


@op(
    method="hardsigmoid",
    reference=_line,
    samples=real(-2, 2),
    composite=True,
)
class Hardsigmoid(Function):
    """``x / 6 + 1 / 2`` limited to ``[0, 1]``."""

    @staticmethod
    @rounded_once
    def forward(x: Any) -> Any:
        require_floating("hardsigmoid", x.dtype)
        return ClippedLine.apply(x + 3, 0, 6) / 6


@op(
    method="hardswish",
    reference=lambda x: x * _line(x),
    samples=real(-2, 2),
    composite=True,
)
class Hardswish(Function):
    """``x * hardsigmoid(x)``."""

    @staticmethod
    @rounded_once
    def forward(x: Any) -> Any:
        require_floating("hardswish", x.dtype)
        return x * Clipped.apply(x + 3, 0, 6) / 6
