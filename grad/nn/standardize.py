"""Layer normalisation and its root-mean-square form: one function with a gradient of its own.

The gradient computes mean and scale again from the input: inside a kernel over its rows that takes
no memory traffic, while saving what they are multiplied with would. It is written in tensor
methods, so that it has gradients itself. `functional.py` checks arguments and calls this.
"""

from __future__ import annotations

from typing import Any

from grad.autograd.function import Function
from grad.autograd.rebuilt import plainly_rebuilt
from grad.autograd.remembered import remembered
from grad.tensor import Tensor

Axes = tuple[int, ...]


@plainly_rebuilt
@remembered
class Standardize(Function):
    """``(x - mean) * scale * weight + bias`` over the last `count` axes.

    `scale` makes the variance 1 (`centered`), or without the mean the mean square. Half types are
    computed in float32.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor | None,
        bias: Tensor | None,
        count: int,
        eps: float,
        centered: bool,
    ) -> Tensor:
        values, scale = _parts(x, count, eps, centered)
        result = values * scale
        if weight is not None:
            result = result * weight
        if bias is not None:
            result = result + bias
        ctx.save_for_backward(x, weight)
        ctx.count, ctx.eps, ctx.centered = count, eps, centered
        ctx.bias = None if bias is None else bias.dtype
        return result if x.dtype.itemsize >= 4 else result.to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        values, scale = _parts(x, ctx.count, ctx.eps, ctx.centered)
        unit = values * scale
        needs_x, needs_weight, needs_bias = ctx.needs_input_grad[:3]
        leading = tuple(range(len(x.shape) - ctx.count))
        for_x = for_weight = for_bias = None
        if needs_x:
            axes = _last(ctx.count)
            inner = gradient if weight is None else gradient * weight
            rest = unit * (inner * unit).mean(axes, keepdim=True)
            if ctx.centered:
                rest = rest + inner.mean(axes, keepdim=True)
            for_x = ((inner - rest) * scale).to(x.dtype)
        if needs_weight and weight is not None:
            for_weight = _over(gradient * unit, leading).to(weight.dtype)
        if needs_bias:
            for_bias = _over(gradient, leading).to(ctx.bias)
        return for_x, for_weight, for_bias, None, None, None


def _last(count: int) -> Axes:
    return tuple(range(-count, 0))


def _over(values: Tensor, axes: Axes) -> Tensor:
    return values.sum(axes) if axes else values


def _parts(x: Tensor, count: int, eps: float, centered: bool) -> tuple[Tensor, Tensor]:
    """What is scaled, in float32 at least, and the scale."""
    axes = _last(count)
    wide = x if x.dtype.itemsize >= 4 else x.float()
    values = wide - wide.mean(axes, keepdim=True) if centered else wide
    return values, ((values * values).mean(axes, keepdim=True) + eps).rsqrt()
