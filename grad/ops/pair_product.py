"""The product of two tensors by labelled axes, as one batched matrix product.

Labels of both operands and of the result are a batch, those of both operands alone are summed, the
rest are rows (of the first) and columns (of the second): axes are brought into this order, and each
of the three groups becomes one axis of a `CONTRACT`. Nothing is copied for it but where the kernel
wants a copy, and no product is stored before it is summed. Read `Arrangement`, `arranged`, then
`PairProduct`; `contraction.py` takes equations apart into such pairs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from grad.autograd.function import Context, Function
from grad.autograd.remembered import remembered
from grad.dtype import DType, dtypes
from grad.graph.node import Node, cast, expand, permute, pointwise, reshape
from grad.graph.primitives import AND, MUL
from grad.ops.matmul import product, require_matching
from grad.ops.promotion import accumulation_dtype
from grad.ops.reduction import total

Shape = tuple[int, ...]

# Matrices of fewer rows or columns than this are not worth a batch of their own.
_LEAST_SIDE = 16


class View(NamedTuple):
    """How an operand is seen: permuted, reshaped, then repeated along new axes; None where it is
    that already.
    """

    order: tuple[int, ...] | None
    shape: Shape | None
    expanded: Shape | None

    def of(self, node: Node) -> Node:
        if self.order is not None:
            node = permute(node, self.order)
        if self.shape is not None:
            node = reshape(node, self.shape)
        return node if self.expanded is None else expand(node, self.expanded)


class Arrangement(NamedTuple):
    """How a product is computed.

    Attributes:
        kind: "multiply", "reduce" (multiply, then sum over the last axes) or "contract".
        exchanged: whether the second operand comes first.
        first, second: how the operands are seen, in that order.
        summed: the axes to sum over ("reduce").
        shape: what the result is reshaped to.
        labels: the axes of that. The equation's result has them in this order, or is permuted.
    """

    kind: str
    exchanged: bool
    first: View
    second: View
    summed: tuple[int, ...]
    shape: Shape | None
    labels: str


@lru_cache(4096)
def arranged(equation: str, first: Shape, second: Shape) -> Arrangement:
    """How to compute ``"ij,jk->ik"`` of operands of these shapes.

    No operand has a label twice or one that nothing else has, and sizes of equal labels are equal.
    """
    operands, output = equation.split("->")
    a, b = operands.split(",")
    sizes = dict(zip(a + b, first + second))
    summed = [label for label in a if label in b and label not in output]
    rows = [label for label in output if label not in b]
    columns = [label for label in output if label not in a]
    if not summed or not (rows or columns):
        return _aligned(a, b, output, summed, sizes)
    lead, tail = _split(output, a, b, sizes)
    exchanged = bool(tail) and tail[0] in columns
    if exchanged:
        a, b, rows, columns = b, a, columns, rows
    rows = [label for label in rows if label not in lead]
    columns = [label for label in columns if label not in lead]
    larger = a if math.prod(first) >= math.prod(second) else b
    summed.sort(key=larger.index)
    labels = "".join((*lead, *rows, *columns))
    whole = len(rows) == len(columns) == 1
    return Arrangement(
        "contract",
        exchanged,
        _seen(a, lead, (rows, summed), sizes),
        _seen(b, lead, (summed, columns), sizes),
        (),
        None if whole else tuple([sizes[label] for label in labels]),
        labels,
    )


def _split(output: str, a: str, b: str, sizes: dict[str, int]) -> tuple[list[str], list[str]]:
    """The batch, and the labels of rows and columns, which follow it in the result if they can.

    A label of one operand that stands among the batch becomes part of it, the other operand being
    repeated, where that saves turning the result and leaves matrices of some size.
    """
    batch = [label for label in output if label in a and label in b]
    tail = [label for label in output if label not in batch]
    runs = [[tail[-1]], []] if tail and tail[-1] == output[-1] else [[], []]
    for label in reversed(output[:-1]) if runs[0] else ():
        if label in batch:
            break
        same = (label in a) == (runs[0][0] in a)
        if same and runs[1]:
            break
        runs[0 if same else 1].append(label)
    last, before = (math.prod([sizes[label] for label in run]) for run in runs)
    kept = len(runs[0]) + len(runs[1])
    lead = list(output[: len(output) - kept])
    if lead == batch or (all(runs) and min(last, before) >= _LEAST_SIDE):
        return lead, list(output[len(output) - kept :])
    return batch, tail


def _seen(labels: str, lead: Sequence[str], groups: Sequence[Sequence[str]], sizes: Any) -> View:
    """An operand with the axes `lead`, of size 1 where it has not got them, and the `groups`."""
    wanted = [*[label for label in lead if label in labels], *groups[0], *groups[1]]
    matrix = tuple([math.prod([sizes[label] for label in group]) for group in groups])
    expanded = (*[sizes[label] for label in lead], *matrix)
    shape = (*[sizes[label] if label in labels else 1 for label in lead], *matrix)
    same = shape == tuple([sizes[label] for label in wanted])
    return View(
        order_of_axes(labels, wanted),
        None if same else shape,
        None if shape == expanded else expanded,
    )


def order_of_axes(labels: str, wanted: Sequence[str]) -> tuple[int, ...] | None:
    """The permutation from `labels` to `wanted`; None where they are the same."""
    order = tuple([labels.index(label) for label in wanted])
    return None if order == tuple(range(len(order))) else order


def _aligned(
    a: str, b: str, output: str, summed: Sequence[str], sizes: dict[str, int]
) -> Arrangement:
    """Both operands with the axes of the result, then those that are summed; absent ones are 1."""
    every = (*output, *summed)

    def seen(labels: str) -> View:
        wanted = [label for label in every if label in labels]
        shape = tuple([sizes[label] if label in labels else 1 for label in every])
        same = len(wanted) == len(every)
        return View(order_of_axes(labels, wanted), None if same else shape, None)

    axes = tuple(range(len(output), len(every)))
    kind = "reduce" if summed else "multiply"
    return Arrangement(kind, False, seen(a), seen(b), axes, None, output)


def _wide(dtype: DType) -> DType:
    """What sums of products are kept in; integers wrap, once, at the end."""
    if dtype.is_floating_point:
        return accumulation_dtype(dtype)
    return dtypes.int64 if dtype.itemsize == 8 else dtypes.int32


@remembered
class PairProduct(Function):
    """``out[i..., k...] = sum(x[i..., j...] * y[j..., k...])`` by an equation; see `arranged`.

    The operands have one type. The result has its axes in the order of the equation, for which it
    is copied unless that is the order in which they are computed: see `Arrangement.labels`.
    """

    @staticmethod
    def forward(ctx: Context, x: Any, y: Any, equation: str) -> Any:
        ctx.save_for_backward(x, y)
        ctx.equation = equation
        how = arranged(equation, x.shape, y.shape)
        a, b = (y.node, x.node) if how.exchanged else (x.node, y.node)
        a, b = how.first.of(a), how.second.of(b)
        if how.kind == "multiply":
            return x._wrap(pointwise(AND if x.dtype is dtypes.bool else MUL, a, b))
        require_matching("einsum", x=x, y=y)
        if how.kind == "contract":
            node = product(a, b) if how.shape is None else reshape(product(a, b), how.shape)
            order = order_of_axes(how.labels, equation[equation.index(">") + 1 :])
            return x._wrap(node if order is None else permute(node, order))
        wide = _wide(x.dtype)
        products = pointwise(MUL, cast(a, wide), cast(b, wide))
        return x._wrap(cast(total(products, how.summed), x.dtype))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        x, y = ctx.saved_tensors
        needs_x, needs_y, _ = ctx.needs_input_grad
        operands, output = ctx.equation.split("->")
        a, b = operands.split(",")
        return (
            PairProduct.apply(grad, y, f"{output},{b}->{a}") if needs_x else None,
            PairProduct.apply(x, grad, f"{a},{output}->{b}") if needs_y else None,
            None,
        )
