"""Sums of products of any number of tensors with labelled axes: what `einsum` and `tensordot` do.

`planned` works out once, for labels and shapes, what is done to each operand alone (diagonals,
sums) and in which order the rest is multiplied, two at a time (contraction_order.py,
pair_product.py); `contracted` does it, in operations that record themselves.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from grad.autograd.function import Function
from grad.autograd.rebuilt import rebuilt
from grad.errors import ArgumentError, BroadcastError, ShapeError
from grad.graph.movement import Move, Shape
from grad.graph.primitives import PERMUTE, RESHAPE
from grad.ops.contraction_order import order_of
from grad.ops.diagonals import diagonal_move
from grad.ops.movement import Through
from grad.ops.pair_product import PairProduct, arranged, order_of_axes
from grad.ops.promotion import is_tensor, promote, unsupported
from grad.ops.reduction import Sum
from grad.ops.registry import NUMERIC, op
from grad.ops.subscripts import from_lists, parsed


class Alone(NamedTuple):
    """What is done to one operand before it meets the others.

    Attributes:
        path: shows diagonals, drops axes of size 1 that broadcast against a larger size elsewhere,
            and permutes an operand that is the only one.
        summed: axes that nothing else has, after that.
    """

    path: tuple[Move, ...]
    summed: tuple[int, ...]


class Step(NamedTuple):
    """One product of two values, numbered: operands first, then results."""

    first: int
    second: int
    equation: str


class Plan(NamedTuple):
    """What to do: see the module.

    Attributes:
        order: permutes the last result; None where that is right.
        one_type: whether a step sums products, for which operands have one type.
    """

    alone: tuple[Alone | None, ...]
    steps: tuple[Step, ...]
    order: tuple[int, ...] | None
    one_type: bool


@lru_cache(1024)
def planned(labels: tuple[str, ...], output: str, shapes: tuple[Shape, ...]) -> Plan:
    """The plan for operands of these labels and shapes; raises ShapeError where they do not fit."""
    sizes = _sizes(labels, shapes)
    reduced = [_reduced(own, shape, sizes) for own, shape in zip(labels, shapes)]
    if len(labels) == 1:
        return _plan_of_one(*reduced[0], output, sizes)
    alone: list[Alone | None] = []
    terms = []
    for number, (path, own) in enumerate(reduced):
        others = {*output}.union(*[r[1] for n, r in enumerate(reduced) if n != number])
        summed = tuple([axis for axis, label in enumerate(own) if label not in others])
        terms.append("".join([label for label in own if label in others]))
        alone.append(Alone(path, summed) if path or summed else None)
    steps, one_type = [], False
    for first, second in order_of([frozenset(t) for t in terms], frozenset(output), sizes):
        used = {n for step in steps for n in step[:2]} | {first, second}
        needed = {*output}.union(*[t for n, t in enumerate(terms) if n not in used])
        a, b = terms[first], terms[second]
        last = len(steps) == len(labels) - 2
        wanted = output if last else _natural(a, b, needed)
        extents = [tuple([sizes[label] for label in term]) for term in (a, b)]
        how = arranged(f"{a},{b}->{wanted}", *extents)
        one_type |= how.kind != "multiply"
        steps.append(Step(first, second, f"{a},{b}->{how.labels}"))
        terms.append(how.labels)
    return Plan(tuple(alone), tuple(steps), order_of_axes(terms[-1], output), one_type)


def _plan_of_one(path: tuple[Move, ...], own: str, output: str, sizes: dict[str, int]) -> Plan:
    summed = tuple([axis for axis, label in enumerate(own) if label not in output])
    kept = "".join([label for label in own if label in output])
    order = order_of_axes(kept, output)
    if summed:
        return Plan((Alone(path, summed),), (), order, False)
    if order is not None or not path:  # a view of its own, be it of everything
        path = (*path, Move(PERMUTE, order or tuple(range(len(own)))))
    return Plan((Alone(path, ()),), (), None, False)


def _natural(a: str, b: str, needed: set[str]) -> str:
    """The labels of a product that stays inside, in the order in which it is made."""
    batch = [label for label in a if label in b]
    rows = [label for label in a if label not in b]
    columns = [label for label in b if label not in a]
    return "".join([label for label in (*batch, *rows, *columns) if label in needed])


def _sizes(labels: Sequence[str], shapes: Sequence[Shape]) -> dict[str, int]:
    """The size of each label; axes of size 1 broadcast."""
    sizes: dict[str, int] = {}
    for number, (own, shape) in enumerate(zip(labels, shapes)):
        seen: dict[str, int] = {}
        for label, size in zip(own, shape):
            if seen.setdefault(label, size) != size:
                raise ShapeError(
                    f"einsum: subscript {label} is repeated for operand {number} but the sizes "
                    f"don't match, {size} != {seen[label]}."
                )
            known = sizes.get(label, 1)
            if size != known and 1 not in (size, known):
                raise BroadcastError(
                    f"einsum: {_described(label)} has size {size} for operand {number} which "
                    f"does not broadcast with previously seen size {known}."
                )
            sizes[label] = size if known == 1 else known
    return sizes


def _described(label: str) -> str:
    return f"subscript {label}" if label.isascii() else "a dimension covered by the ellipsis"


def _reduced(own: str, shape: Shape, sizes: dict[str, int]) -> tuple[tuple[Move, ...], str]:
    """The path of `Alone` but for the last permutation, and the labels that are left."""
    labels, extents = list(own), list(shape)
    path: list[Move] = []
    for axis in reversed(range(len(labels))):
        first = labels.index(labels[axis])
        if first != axis:
            path.append(diagonal_move(tuple(extents), 0, first, axis))
            labels = [*labels[:first], *labels[first + 1 : axis], *labels[axis + 1 :], labels[axis]]
            extents = [
                *extents[:first],
                *extents[first + 1 : axis],
                *extents[axis + 1 :],
                extents[axis],
            ]
    kept = [a for a, label in enumerate(labels) if not extents[a] == 1 != sizes[label]]
    if len(kept) < len(labels):
        path.append(Move(RESHAPE, tuple([extents[a] for a in kept])))
    return tuple(path), "".join([labels[a] for a in kept])


# -- doing it --------------------------------------------------------------------------------------
def contracted(plan: Plan, operands: Sequence[Any]) -> Any:
    """What the plan says, of operands of its shapes."""
    values = []
    for x, alone in zip(operands, plan.alone):
        if alone is not None:
            x = Through.apply(x, alone.path) if alone.path else x
            x = _summed(x, alone.summed, plan.one_type) if alone.summed else x
        values.append(x)
    for first, second, equation in plan.steps:
        x, y = values[first], values[second]
        if x.dtype is not y.dtype and not plan.one_type:
            x, y = promote("einsum", x, y)
        values.append(PairProduct.apply(x, y, equation))
    return values[-1] if plan.order is None else values[-1].permute(plan.order)


def _summed(x: Any, axes: tuple[int, ...], one_type: bool) -> Any:
    dims = axes if len(axes) < len(x.shape) else None
    if one_type and not x.dtype.is_floating_point:
        # A sum of integers is int64 by itself.
        return Sum.apply(x, dims, dtype=x.dtype)
    return Sum.apply(x, dims)


@lru_cache(1024)
def _plan_of_equation(equation: str, shapes: tuple[Shape, ...]) -> Plan:
    found = parsed(equation, tuple([len(shape) for shape in shapes]))
    return planned(found.operands, found.output, shapes)


@op(function="einsum", dtypes=NUMERIC, composite=True)
class Einsum(Function):
    """Sum of products by an equation, such as ``"ij,jk->ik"`` for a matrix product.

    A letter stands for an axis; equal letters are the same axis of all operands (twice in one
    operand: its diagonal), letters that are not in the result are summed over. ``...`` stands for
    the axes that are not named, which broadcast, as do axes of size 1. Without ``->`` the result
    has the axes of the ellipsis, then the letters that appear once, capitals first, each in
    alphabetical order. Axes may be given as lists of numbers from 0 to 51 (A-Z, a-z) too:
    ``einsum(x, [0, 1], y, [1, 2], [0, 2])``.

    Products of several operands are taken in the cheapest order, two at a time, each as one batched
    matrix product. One operand that is only permuted, or shown on its diagonal, gives a view.

    Shape:
        each operand has one axis for each of its letters; the result one for each letter after
        ``->``.

    Dtype:
        that of the operands, which must be one where products are summed; sums of one operand of
        integers are int64. Sums of products of bool are refused.

    Raises:
        ArgumentError: the equation is none, or for another number of operands.
        ShapeError: sizes of equal letters differ, or an operand has another number of axes.
        DTypeError: products of different types are summed.

    Example:
        >>> x, y = grad.ones(2, 3, 4), grad.ones(4, 5)
        >>> grad.einsum("bij,jk->bik", x, y).shape
        torch.Size([2, 3, 5])
    """

    @staticmethod
    @rebuilt
    def forward(equation: Any, *operands: Any) -> Any:
        if not isinstance(equation, str):
            equation, operands = from_lists((equation, *operands))
        elif len(operands) == 1 and isinstance(operands[0], list | tuple):
            operands = tuple(operands[0])
        if not operands:
            raise ArgumentError(
                "einsum: must specify the equation string and at least one operand, or at least "
                "one operand and its subscripts list."
            )
        for operand in operands:
            if not is_tensor(operand):
                raise unsupported("einsum", operand)
        return contracted(_plan_of_equation(equation, tuple([x.shape for x in operands])), operands)
