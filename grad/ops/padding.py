"""`pad`: elements around a tensor, of a number or of the tensor's own.

A constant is a guard in the index map, and costs nothing. The other modes put slices of the tensor
(turned round, repeated, wrapped) beside it with `cat`, whose gradients follow by themselves.
`padded` is the graph form that pooling uses too; a negative amount takes elements away.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import index
from typing import Any

import numpy as np

from grad.autograd.function import Context, Function
from grad.autograd.remembered import remembered
from grad.dtype import dtypes
from grad.errors import ArgumentError, DTypeError, ShapeError
from grad.graph.node import Node, constant, expand, pointwise, slice_axes
from grad.graph.node import pad as zeros_around
from grad.graph.primitives import WHERE
from grad.ops.join import Cat
from grad.ops.promotion import is_tensor, number, unsupported
from grad.ops.registry import ALL, Failure, op
from grad.ops.samples import operands

Amounts = tuple[tuple[int, int], ...]


def padded(node: Node, amounts: Sequence[tuple[int, int]], value: float) -> Node:
    """`value` put ``(before, after)`` each axis; negative amounts take elements away."""
    ranges, grown = [], []
    for size, (before, after) in zip(node.shape, amounts, strict=True):
        first = min(max(-before, 0), size)
        count = max(size - first - max(-after, 0), 0)
        ranges.append((first, 1, count))
        # Where nothing is left, more may be taken away than there was: off what the other end got.
        empty = (max(size + before + after, 0), 0)
        grown.append((max(before, 0), max(after, 0)) if count else empty)
    node = slice_axes(node, ranges)
    result = zeros_around(node, grown)
    if value == 0 or result is node:
        return result
    inside = zeros_around(expand(constant(True, dtypes.bool), node.shape), grown)
    return pointwise(WHERE, inside, result, number(value, node.dtype))


@remembered
class PadConstant(Function):
    """A number around a tensor."""

    @staticmethod
    def forward(ctx: Context, x: Any, amounts: Amounts, value: float) -> Any:
        ctx.amounts = amounts
        return x._wrap(padded(x.node, amounts, value))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        # What padding added is taken away, and what it took away gets zeros.
        return PadConstant.apply(grad, tuple((-a, -b) for a, b in ctx.amounts), 0.0)


# -- modes that repeat the tensor's own elements ---------------------------------------------------
def _reflected(x: Any, axis: int, before: int, after: int) -> list[Any]:
    size = x.shape[axis]
    if max(before, after) >= size:
        raise ShapeError(
            f"pad: padding {(before, after)} must be less than the size {size} of axis {axis} of "
            f"{tuple(x.shape)} with mode='reflect'; pad in two steps, or use mode='replicate'."
        )
    return [
        x.narrow(axis, 1, before).flip(axis),
        x,
        x.narrow(axis, size - 1 - after, after).flip(axis),
    ]


def _replicated(x: Any, axis: int, before: int, after: int) -> list[Any]:
    size = x.shape[axis]
    if size == 0:
        raise ShapeError(f"pad: axis {axis} of {tuple(x.shape)} has no element to repeat.")
    sizes = [list(x.shape), list(x.shape)]
    sizes[0][axis], sizes[1][axis] = before, after
    return [x.narrow(axis, 0, 1).expand(sizes[0]), x, x.narrow(axis, size - 1, 1).expand(sizes[1])]


def _wrapped(x: Any, axis: int, before: int, after: int) -> list[Any]:
    size = x.shape[axis]
    if max(before, after) > size:
        raise ShapeError(
            f"pad: padding {(before, after)} goes around the size {size} of axis {axis} of "
            f"{tuple(x.shape)} more than once; pad in two steps."
        )
    return [x.narrow(axis, size - before, before), x, x.narrow(axis, 0, after)]


_SIDES: dict[str, Callable[[Any, int, int, int], list[Any]]] = {
    "reflect": _reflected,
    "replicate": _replicated,
    "circular": _wrapped,
}


def _with_an_edge(size: int, amount: tuple[int, int]) -> tuple[int, int]:
    """The same amount, keeping the last element that is taken away if it is to be repeated."""
    before, after = amount
    if size and -before == size and after > 0:
        return before + 1, after - 1
    if size and -after == size and before > 0:
        return before - 1, after + 1
    return amount


def _padded_with_itself(x: Any, amounts: Amounts, mode: str) -> Any:
    if mode == "replicate":
        amounts = tuple(map(_with_an_edge, x.shape, amounts))
    cropped = tuple((min(before, 0), min(after, 0)) for before, after in amounts)
    crops = any(amount != (0, 0) for amount in cropped)
    # As in PyTorch, what is wrapped around comes from what is left, what is mirrored or repeated
    # from all there was.
    if crops and mode == "circular":
        x = PadConstant.apply(x, cropped, 0.0)
    for axis, (before, after) in enumerate(amounts):
        if before > 0 or after > 0:
            parts = _SIDES[mode](x, axis, max(before, 0), max(after, 0))
            x = Cat.forward([part for part in parts if part.shape[axis]], axis)
    return PadConstant.apply(x, cropped, 0.0) if crops and mode != "circular" else x


def _amounts(shape: tuple[int, ...], given: Any) -> Amounts:
    """PyTorch's flat list, last axis first, as ``(before, after)`` for every axis."""
    try:
        numbers = [index(n) for n in given]
    except TypeError:
        raise DTypeError(
            f"pad: pad={given!r}; needs a sequence of ints, (before, after) of the last axis, then "
            f"of the one before it ..."
        ) from None
    if len(numbers) % 2:
        raise ShapeError(
            f"pad: pad={tuple(numbers)} has {len(numbers)} numbers; needs (before, after) for "
            f"each axis, the last one first."
        )
    if len(numbers) > 2 * len(shape):
        raise ShapeError(
            f"pad: pad={tuple(numbers)} speaks of {len(numbers) // 2} axes, the tensor has shape "
            f"{tuple(shape)}; give at most {2 * len(shape)} numbers."
        )
    pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
    pairs += [(0, 0)] * (len(shape) - len(pairs))
    amounts = tuple(reversed(pairs))
    for axis, (size, (before, after)) in enumerate(zip(shape, amounts, strict=True)):
        if size + min(before, 0) + min(after, 0) < 0 or size + before + after < 0:
            raise ShapeError(
                f"pad: {(before, after)} takes more away than axis {axis} of {tuple(shape)} has."
            )
    return amounts


def _reference(x: Any, pad: Sequence[int], mode: str = "constant", value: float = 0) -> Any:
    names = {"replicate": "edge", "circular": "wrap"}
    amounts = _amounts(x.shape, pad)
    cut = tuple(
        slice(max(-b, 0), size - max(-a, 0)) for size, (b, a) in zip(x.shape, amounts, strict=True)
    )
    grown = [(max(b, 0), max(a, 0)) for b, a in amounts]
    if mode != "constant":
        return np.pad(x[cut], grown, names.get(mode, mode))  # type: ignore[call-overload]
    return np.pad(x[cut], grown, constant_values=np.asarray(value).astype(x.dtype))


@op(
    function="pad",
    reference=_reference,
    dtypes=ALL,
    composite=True,
    samples=(
        *operands(((3, 4),), ((1, 2),)),
        *operands(((3, 4),), ((1, -2, -1, 3),)),
        *operands(((2, 3, 4),), ((2, 0, 0, 1), "constant", 1.0)),
        *operands(((2, 3, 4),), ((2, 3), "reflect")),
        *operands(((2, 3, 4),), ((2, -1, 1, 1), "replicate")),
        *operands(((2, 3, 4),), ((4, 1, 0, 3), "circular")),
    ),
    errors=(
        Failure(((3, 4),), ((1,),), match="for each axis"),
        Failure(((3, 4),), ((1, 1) * 3,), match="at most 4"),
        Failure(((3, 4),), ((-3, -2),), match="more away"),
        Failure(((3, 4),), ((4, 0), "reflect"), match="less than the size"),
        Failure(((3, 4),), ((1, 0), "mirror"), error=NotImplementedError, match="mirror"),
        Failure(((3, 4),), (1,), error=DTypeError, match="sequence of ints"),
    ),
)
class Pad(Function):
    """x with elements put before and after its last axes.

    `pad` has two numbers for each axis, the last axis first: ``(left, right, top, bottom)``.
    Negative ones take elements away. `mode` is ``"constant"`` (of `value`), ``"reflect"``,
    ``"replicate"`` (the edge) or ``"circular"``.

    Example:
        >>> pad(grad.tensor([1.0, 2.0]), (1, 2)).tolist()
        [0.0, 1.0, 2.0, 0.0, 0.0]
    """

    @staticmethod
    def forward(x: Any, pad: Any, mode: str = "constant", value: float | None = None) -> Any:
        if not is_tensor(x):
            raise unsupported("pad", x)
        if mode != "constant" and mode not in _SIDES:
            known = ", ".join(map(repr, ["constant", *_SIDES]))
            raise NotImplementedError(f"pad: unrecognised padding mode {mode!r}; use {known}.")
        amounts = _amounts(x.shape, pad)
        if mode == "constant":
            return PadConstant.apply(x, amounts, 0.0 if value is None else value)
        if value:
            raise ArgumentError(f"pad: mode={mode!r} takes no value; leave value out.")
        return _padded_with_itself(x, amounts, mode)
