"""Rows of a table by number: `embedding`, and `embedding_bag`, which combines rows."""

from __future__ import annotations

import math
from typing import Any

from grad.autograd.function import Function
from grad.autograd.modes import no_grad
from grad.autograd.rebuilt import rebuilt
from grad.dtype import dtypes
from grad.errors import ArgumentError, DTypeError, ShapeError
from grad.graph.node import Node, constant, expand, pointwise, reshape, scatter, take
from grad.graph.primitives import NE
from grad.ops.bounds import within
from grad.ops.gather import checked
from grad.ops.index import Put
from grad.ops.max_pooling import PickPositions
from grad.ops.promotion import accumulation_dtype, require_tensors
from grad.tensor import Tensor


class Rows(Function):
    """The rows `index`, which has been checked, of `weight`, in the shape of `index`; the row
    `padding` gets no gradient.

    Indexing would do, with more nodes: it has to understand all kinds of indices, and takes
    numbers that count from the end.
    """

    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, index: Tensor, padding: int | None, by_frequency: bool
    ) -> Tensor:
        ctx.index = reshape(index.node, (math.prod(index.shape),))
        ctx.padding, ctx.by_frequency, ctx.shape = padding, by_frequency, weight.shape
        numbers, width = math.prod(index.shape), weight.shape[1]
        places = expand(reshape(index.node, (numbers, 1)), (numbers, width))
        return weight._wrap(reshape(take(weight.node, (0,), (places,)), (*index.shape, width)))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        rows = gradient.reshape(ctx.index.shape[0], ctx.shape[1])
        if ctx.padding is not None:
            column = reshape(ctx.index, (rows.shape[0], 1))
            kept = pointwise(NE, column, constant(ctx.padding, column.dtype))
            rows = rows.where(rows._wrap(kept), 0)
        if ctx.by_frequency:
            times = _sums(Tensor.ones(rows.shape[:1], dtype=rows.dtype), ctx.index, ctx.shape[0])
            places = ctx.index
            rows = rows / rows._wrap(take(times.node, (0,), (places,))).unsqueeze(1)
        nothing = rows._wrap(expand(constant(0, rows.dtype), ctx.shape))
        return Put.apply(nothing, rows, 0, ctx.index, "add"), None, None, None


@rebuilt
def _rows(weight: Tensor, index: Tensor, padding: int | None, by_frequency: bool) -> Tensor:
    """The rows `index`, which has been checked, of `weight`."""
    return Rows.apply(weight, index, padding, by_frequency)


def _index(name: str, input: Tensor, weight: Tensor) -> Tensor:
    """`input`, whose numbers are those of rows of `weight`."""
    numbers = checked(name, input, weight.shape[0])
    return input if numbers is input.node else input._wrap(numbers)


def _sums(values: Tensor, bags: Node, count: int) -> Tensor:
    """``(count, ...)``: the sum of the rows of `values` that go to each of `count` bags."""
    nothing = expand(constant(0, values.dtype), (count, *values.shape[1:]))
    return Put.apply(values._wrap(nothing), values, 0, bags, "add")


def _check(name: str, input: Tensor, weight: Tensor) -> None:
    require_tensors(name, input=input, weight=weight)
    if len(weight.shape) != 2:
        raise ShapeError(
            f"{name}: the weight has shape {tuple(weight.shape)}, needs (count, size); use "
            "weight.reshape(count, size)."
        )
    if input.dtype.kind not in "iu":
        raise DTypeError(
            f"{name}: the input has type {input.dtype.name}, needs int64; use input.long()."
        )


def _limit(name: str, weight: Tensor, input: Tensor, max_norm: float, norm_type: float) -> None:
    """Scale the rows of `weight` that `input` names, in place, to norms of at most `max_norm`."""
    with no_grad():
        index = input._wrap(checked(name, input, weight.shape[0])).reshape(-1)
        named = _sums(Tensor.ones(index.shape, dtype=weight.dtype), index.node, weight.shape[0]) > 0
        norm = weight.norm(norm_type, 1)
        factor = (max_norm / (norm + 1e-7)).where(named & (norm > max_norm), 1.0)
        weight.copy_(weight * factor.unsqueeze(1))


def _padding(name: str, padding_idx: int | None, count: int) -> int | None:
    if padding_idx is None:
        return None
    if not -count <= padding_idx < count:
        raise ArgumentError(
            f"{name}: padding_idx={padding_idx} must be within the weight's {count} rows."
        )
    return padding_idx % count


def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Rows of `weight` ``(count, size)`` at the integers `input` ``(...)``: ``(..., size)``.

    The row `padding_idx` gets no gradient. With `max_norm` rows that are used and whose
    `norm_type`-norm is larger are scaled down first, in place. `scale_grad_by_freq` divides
    gradients by how often the row occurs. `sparse` is accepted; gradients are dense.

    Raises:
        IndexError: an integer is negative or not below `count`.
    """
    _check("embedding", input, weight)
    padding = _padding("embedding", padding_idx, weight.shape[0])
    if max_norm is not None:
        _limit("embedding", weight, input, max_norm, norm_type)
    return _rows(weight, _index("embedding", input, weight), padding, scale_grad_by_freq)


# -- bags ------------------------------------------------------------------------------------------
def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """The ``"sum"``, ``"mean"`` or ``"max"`` of the rows of `weight` that each bag names.

    Rows `padding_idx` are left out; an empty bag gives 0. `per_sample_weights`, of the shape of
    `input`, are factors of the rows (with ``"sum"`` only). Other arguments as in `embedding`.

    Shape:
        input ``(bags, numbers)``; or ``(numbers,)`` and `offsets` ``(bags,)``, where each bag
        begins (with `include_last_offset` ``(bags + 1,)``, its end last). Result
        ``(bags, size)``.

    Raises:
        ValueError: arguments contradict each other. RuntimeError: an integer, or an offset, is out
        of range.

    Example:
        >>> embedding_bag(grad.tensor([[0, 1]]), Tensor([[1.0], [5.0]]), mode="sum").tolist()
        [[6.0]]
    """
    _check("embedding_bag", input, weight)
    _check_bags(input, offsets, mode, per_sample_weights, scale_grad_by_freq, sparse)
    padding = _padding("embedding_bag", padding_idx, weight.shape[0])
    if max_norm is not None:
        _limit("embedding_bag", weight, input, max_norm, norm_type)
    try:
        index = _index("embedding_bag", input, weight)
    except IndexError as error:
        raise ArgumentError(str(error)) from None
    rows = _rows(weight, index, padding, scale_grad_by_freq)
    kept = None if padding is None else (input != padding).unsqueeze(-1)
    if per_sample_weights is not None:
        # Halves are rounded once, after the sum.
        exact = accumulation_dtype(weight.dtype)
        rows = rows.to(exact) * per_sample_weights.to(exact).unsqueeze(-1)
    if offsets is None:
        return _combined(rows, kept, mode).to(weight.dtype)
    bags, count = _bag_numbers(offsets, input.shape[0], include_last_offset)
    if mode == "max":
        return _largest(rows, kept, bags, count)
    total = _sums(rows if kept is None else rows.where(kept, 0), bags, count)
    if mode == "sum":
        return total.to(weight.dtype)
    each = Tensor.ones((input.shape[0], 1), dtype=weight.dtype)
    return total / _sums(each if kept is None else each.where(kept, 0), bags, count).clamp(min=1)


def _check_bags(
    input: Tensor, offsets: Any, mode: str, weights: Any, by_frequency: bool, sparse: bool
) -> None:
    if weights is not None and tuple(weights.shape) != tuple(input.shape):
        raise ValueError(
            f"embedding_bag: per_sample_weights have shape {tuple(weights.shape)}, must have the "
            f"input's {tuple(input.shape)}."
        )
    if len(input.shape) not in (1, 2):
        raise ValueError(
            f"embedding_bag: input has shape {tuple(input.shape)}; needs one or two axes."
        )
    if (offsets is None) != (len(input.shape) == 2):
        raise ValueError("embedding_bag: offsets are for an input of one axis, which needs them.")
    if offsets is not None and len(offsets.shape) != 1:
        raise ValueError("embedding_bag: offsets have to be a tensor of one axis.")
    if mode not in ("sum", "mean", "max"):
        raise ValueError(f"embedding_bag: mode={mode!r}; use 'sum', 'mean' or 'max'.")
    if mode == "max" and (by_frequency or sparse):
        raise ValueError("embedding_bag: mode='max' takes neither scale_grad_by_freq nor sparse.")
    if weights is not None and mode != "sum":
        raise NotImplementedError("embedding_bag: per_sample_weights need mode='sum'.")


def _combined(rows: Tensor, kept: Tensor | None, mode: str) -> Tensor:
    """``(bags, numbers, size)`` to ``(bags, size)``."""
    numbers = rows.shape[1]
    if mode == "max" and numbers:
        if kept is None:
            return rows.max(1).values
        largest = rows.where(kept, -math.inf).max(1).values
        return largest.where(kept.any(1), 0)
    total = (rows if kept is None else rows.where(kept, 0)).sum(1)
    if mode != "mean":
        return total
    return total / (max(numbers, 1) if kept is None else kept.to(rows.dtype).sum(1).clamp(min=1))


def _bag_numbers(offsets: Tensor, numbers: int, include_last: bool) -> tuple[Node, int]:
    """Which bag each of `numbers` is in, and how many bags there are."""

    def error(found: int) -> Exception:
        return ArgumentError(
            f"embedding_bag: offsets begin with 0 and are at most {numbers}; got {found}."
        )

    count = offsets.shape[0] - include_last
    if count < 0:
        raise ArgumentError("embedding_bag: include_last_offset=True needs at least one offset.")
    within(offsets[:1], 0, 1, error)
    starts = offsets._wrap(within(offsets, 0, numbers + 1, error))[:count]
    begun = _sums(Tensor.ones((count,), dtype=dtypes.int64), starts.node, numbers + 1)
    return (begun.cumsum(0)[:numbers] - 1).contiguous().node, count


def _largest(rows: Tensor, kept: Tensor | None, bags: Node, count: int) -> Tensor:
    """The largest elements of each bag; the first of equal ones gets the gradient."""
    numbers, width = rows.shape
    if not numbers:
        return _sums(rows, bags, count)
    shape, whole = (count, width), (numbers, width)
    values = rows.detach() if kept is None else rows.detach().where(kept, -math.inf)
    places = expand(reshape(bags, (numbers, 1)), whole)
    lowest = expand(constant(-math.inf, rows.dtype), shape)
    peaks = scatter("amax", lowest, values.node, (0,), (places,))
    peak = rows._wrap(take(peaks, (0,), (places,)))
    order = Tensor.arange(numbers, dtype=dtypes.int64).unsqueeze(1).expand(whole)
    hit = (values == peak) | (values != values)
    if kept is not None:
        hit = hit & kept
    first = expand(constant(numbers, dtypes.int64), shape)
    chosen = scatter("amin", first, order.where(hit, numbers).node, (0,), (places,))
    found = rows._wrap(chosen)
    some = found < numbers
    at = found.where(some, 0).mT
    return PickPositions.apply(rows.mT, at, (numbers,), ()).mT.where(some, 0)
