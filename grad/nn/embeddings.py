"""Rows of a table by number: `embedding`."""

from __future__ import annotations

import math
from typing import Any

from grad.autograd.function import Function
from grad.errors import DTypeError, ShapeError
from grad.graph.node import constant, expand, pointwise, reshape, take
from grad.graph.primitives import NE
from grad.ops.gather import checked
from grad.ops.index import Put
from grad.tensor import Tensor


class Rows(Function):
    """The rows `index` of `weight`, in the shape of `index`; the row `padding` gets no gradient.

    Indexing would do, with more nodes: it has to understand all kinds of indices, and takes
    numbers that count from the end.
    """

    @staticmethod
    def forward(ctx: Any, weight: Tensor, index: Tensor, padding: int | None) -> Tensor:
        count, width = weight.shape
        numbers = math.prod(index.shape)
        flat = reshape(checked("embedding", index, count), (numbers,))
        ctx.index, ctx.padding, ctx.shape = flat, padding, weight.shape
        places = expand(reshape(flat, (numbers, 1)), (numbers, width))
        return weight._wrap(reshape(take(weight.node, (0,), (places,)), (*index.shape, width)))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        rows = gradient.reshape(ctx.index.shape[0], ctx.shape[1])
        if ctx.padding is not None:
            column = reshape(ctx.index, (rows.shape[0], 1))
            kept = pointwise(NE, column, constant(ctx.padding, column.dtype))
            rows = rows.where(rows._wrap(kept), 0)
        nothing = rows._wrap(expand(constant(0, rows.dtype), ctx.shape))
        return Put.apply(nothing, rows, 0, ctx.index, "add"), None, None


def embedding(input: Tensor, weight: Tensor, padding_idx: int | None = None) -> Tensor:
    """Rows of `weight` ``(count, size)`` at the integers `input` ``(...)``: ``(..., size)``.

    The row `padding_idx` gets no gradient.

    Raises:
        IndexError: an integer is negative or not below `count`.
    """
    if len(weight.shape) != 2:
        raise ShapeError(
            f"embedding: the weight has shape {tuple(weight.shape)}, needs (count, size); use "
            "weight.reshape(count, size)."
        )
    if input.dtype.kind not in "iu":
        raise DTypeError(
            f"embedding: the input has type {input.dtype.name}, needs int64; use input.long()."
        )
    padding = None if padding_idx is None else padding_idx % weight.shape[0]
    return Rows.apply(weight, input, padding)
