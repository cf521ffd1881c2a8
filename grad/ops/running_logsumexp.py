"""`logcumsumexp`: running sums of exponentials, as logarithms.

Each sum is scaled by what is largest so far, which no running sum of ours does: NumPy's
``logaddexp.accumulate`` computes it (graph/host.py).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from grad.autograd.function import Context, Function
from grad.dtype import dtypes
from grad.errors import DTypeError
from grad.graph.host import host, hosted
from grad.graph.node import Node, cast
from grad.ops.axes import normal_axis
from grad.ops.promotion import accumulation_dtype
from grad.ops.ranking import along_rows
from grad.ops.registry import FLOATING, Failure, Sample, op

Array = np.ndarray[Any, Any]


@hosted
def running_logsumexp(result: Array, rows: Array) -> None:
    """``log(exp(x[0]) + ... + exp(x[i]))`` along each row."""
    np.logaddexp.accumulate(rows, -1, out=result)


@op(
    method="logcumsumexp",
    dtypes=FLOATING,
    reference=lambda x, dim: np.logaddexp.accumulate(x.astype(np.float64), dim),
    samples=[Sample(((3, 4),), (1,)), Sample(((4, 3, 2),), (0,))],
    errors=[Failure(((2,),), (0,), error=DTypeError, dtype=dtypes.int64)],
)
class LogCumSumExp(Function):
    """The logarithm of the sum of the exponentials of the elements up to each along `dim`.

    Example:
        >>> grad.zeros(3).logcumsumexp(0).exp().round().tolist()
        [1.0, 2.0, 3.0]
    """

    @staticmethod
    def forward(ctx: Context, x: Any, dim: int) -> Any:
        axis = normal_axis("logcumsumexp", dim, len(x.shape))
        if not x.dtype.is_floating_point:
            raise DTypeError(
                f"logcumsumexp: needs a floating tensor, got {x.dtype.name}; use x.float()."
            )
        node, kind = x.node, accumulation_dtype(x.dtype)
        if x.shape and 0 not in x.shape:

            def find(rows: Node) -> Node:
                return host(running_logsumexp, [rows], rows.shape, kind)

            node = cast(along_rows(cast(node, kind), axis, find), x.dtype)
        result = x._wrap(node)
        ctx.axis = axis
        ctx.save_for_backward(x, result)
        return result

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        x, result = ctx.saved_tensors
        if not x.shape:
            return grad, None
        # exp(x) times the running sum from the end of grad * exp(-result), by sign, in logarithms.
        nothing = result == -math.inf  # no sum yet, which nothing changes
        total = None
        for sign in (1, -1):
            wanted = (grad * sign > 0) & ~nothing
            size = (grad * sign).masked_fill(~wanted, 1).log() - result.masked_fill(~wanted, 0)
            size = size.masked_fill(~wanted, -math.inf)
            part = size.flip(ctx.axis).logcumsumexp(ctx.axis).flip(ctx.axis)
            part = (part + x).exp() * sign
            total = part if total is None else total + part
        return total, None
