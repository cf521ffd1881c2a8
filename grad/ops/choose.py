"""Elements at positions that are known to lie inside, because an operation of ours found them.

`chosen` is `gather` without its look at the indices, which would compute them at once: sorting and
its relatives (sort.py) stay lazy. Reading and adding are each other's gradient.
"""

from __future__ import annotations

from typing import Any

from grad.autograd.function import Context, Function
from grad.graph.node import expand, scatter, take
from grad.ops.promotion import number


class Chosen(Function):
    """``out[i][j] = x[positions[i][j]][j]`` for ``axis=0``; as many along the other axes."""

    @staticmethod
    def forward(ctx: Context, x: Any, axis: int, positions: Any) -> Any:
        ctx.axis, ctx.shape = axis, x.shape
        ctx.save_for_backward(positions)
        return x._wrap(take(x.node, (axis,), (positions.node,)))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (positions,) = ctx.saved_tensors
        return Spread.apply(grad, ctx.axis, positions, ctx.shape), None, None


class Spread(Function):
    """Zeros of `shape` with ``out[positions[i][j]][j] += x[i][j]`` for ``axis=0``."""

    @staticmethod
    def forward(ctx: Context, x: Any, axis: int, positions: Any, shape: tuple[int, ...]) -> Any:
        ctx.axis = axis
        ctx.save_for_backward(positions)
        zeros = expand(number(0, x.dtype), shape)
        return x._wrap(scatter("add", zeros, x.node, (axis,), (positions.node,)))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        (positions,) = ctx.saved_tensors
        return Chosen.apply(grad, ctx.axis, positions), None, None, None


def chosen(x: Any, axis: int, positions: Any) -> Any:
    """The elements of `x` along `axis` at `positions` (int64, inside the axis)."""
    return Chosen.apply(x, axis, positions)
