"""Normalisation of each channel by its own mean and variance, as one function.

Its gradient needs two sums for each channel, of the result's gradient and of that times the
normalised value: they are the gradients of bias and weight as well, and come from one pass over
memory. Mean and scale are outputs that can be differentiated, so that the gradient, which uses
them, can be differentiated again. `nn/normalization_functions.py` makes batch, instance and group
normalisation of it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from grad.autograd.function import Context, Function
from grad.graph.node import Node, cast, contiguous, pointwise, reshape
from grad.graph.primitives import ADD, DIV, MUL, RSQRT, SUB
from grad.ops.axes import kept_shape, reduced_size
from grad.ops.promotion import accumulation_dtype, number
from grad.ops.reduction import total


class Normalized(NamedTuple):
    """What `Normalize` gives: the result, and ``(1, C, 1 ...)`` statistics; `variance` has no
    gradient.
    """

    result: Any
    mean: Any
    scale: Any
    variance: Any


def _by_channel(values: Any, rank: int) -> Any:
    return values.reshape(1, -1, *[1] * (rank - 2))


class Normalize(Function):
    """``(x - mean) * scale * weight + bias`` with ``scale = 1 / sqrt(variance + eps)``.

    Mean and variance (divisor n) are those of each channel of x ``(N, C, ...)``, and so are weight
    and bias, or None. Halves are computed in float32, which the statistics are in.
    """

    @staticmethod
    def forward(ctx: Context, x: Any, weight: Any, bias: Any, eps: float) -> Normalized:
        wide = accumulation_dtype(x.dtype)
        rank, node = len(x.shape), cast(x.node, wide)
        axes = (0, *range(2, rank))
        kept, count = kept_shape(x.shape, axes), number(reduced_size(x.shape, axes), wide)

        def mean_of(values: Node) -> Node:
            # Stored: everything after it looks at it.
            return contiguous(reshape(pointwise(DIV, total(values, axes), count), kept))

        mean = mean_of(node)
        centered = pointwise(SUB, node, mean)
        variance = mean_of(pointwise(MUL, centered, centered))
        scale = contiguous(pointwise(RSQRT, pointwise(ADD, variance, number(eps, wide))))
        result = pointwise(MUL, centered, scale)
        for op, values in ((MUL, weight), (ADD, bias)):
            if values is not None:
                result = pointwise(op, result, reshape(cast(values.node, wide), kept))
        outputs = Normalized(
            x._wrap(cast(result, x.dtype)), x._wrap(mean), x._wrap(scale), x._wrap(variance)
        )
        ctx.axes, ctx.dtype, ctx.has_bias = axes, wide, bias is not None
        ctx.bias_dtype = None if bias is None else bias.dtype
        ctx.save_for_backward(x, weight, outputs.mean, outputs.scale)
        ctx.mark_non_differentiable(outputs.variance)
        ctx.set_materialize_grads(False)
        return outputs

    @staticmethod
    def backward(ctx: Context, grad: Any, grad_mean: Any, grad_scale: Any, _: Any) -> Any:
        x, weight, mean, scale = ctx.saved_tensors
        rank, axes = len(x.shape), ctx.axes
        count = reduced_size(x.shape, axes)
        centered = x.to(ctx.dtype) - mean
        for_x: list[Any] = []
        for_weight = for_bias = None
        if grad is not None:
            wide, normal = grad.to(ctx.dtype), centered * scale
            of_bias = wide.sum(axes, keepdim=True)
            of_weight = (wide * normal).sum(axes, keepdim=True)
            factor = scale
            if weight is not None:
                factor = scale * _by_channel(weight.to(ctx.dtype), rank)
                for_weight = of_weight.reshape(-1).to(weight.dtype)
            if ctx.has_bias:
                for_bias = of_bias.reshape(-1).to(ctx.bias_dtype)
            for_x.append((wide - of_bias / count - normal * (of_weight / count)) * factor)
        if grad_mean is not None:
            for_x.append((grad_mean / count).expand(x.shape))
        if grad_scale is not None:
            for_x.append(centered * (grad_scale * scale * scale * scale / -count))
        result = None
        for part in for_x:
            result = part if result is None else result + part
        return None if result is None else result.to(x.dtype), for_weight, for_bias, None
