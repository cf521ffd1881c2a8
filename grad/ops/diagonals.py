"""Diagonals: `diagonal` shows one, `diag_embed` makes matrices of them, `diag` does either.

A diagonal is an affine movement, element i being at row i and column i, so it is a view like a
slice. Its gradient, and the matrix of a given diagonal, is a choice by row and column: no index is
ever stored. `block_diag`, which puts whole matrices there, is in `stacking.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from grad.autograd.function import Context, Function
from grad.errors import AxisError, ShapeError
from grad.graph.movement import Move, Shape
from grad.graph.node import Node, constant, expand, iota, pad, permute, pointwise, reshape
from grad.graph.primitives import ADD, AFFINE, EQ, WHERE
from grad.ops.axes import normal_axis, whole
from grad.ops.inplace import Update
from grad.ops.movement import Movement, moved
from grad.ops.registry import ALL, Failure, Sample, op


def _two_axes(name: str, dim1: int, dim2: int, rank: int) -> tuple[int, int]:
    first, second = normal_axis(name, dim1, rank), normal_axis(name, dim2, rank)
    if first == second or rank < 2:
        raise ShapeError(
            f"{name}: dim1 {dim1} and dim2 {dim2} must be two axes of a tensor of 2 dimensions or "
            f"more; it has {rank}."
        )
    return first, second


def diagonal_move(shape: Shape, offset: int, first: int, second: int) -> Move:
    """The movement that shows a diagonal as a new last axis."""
    row, column = max(-offset, 0), max(offset, 0)
    count = max(min(shape[first] - row, shape[second] - column), 0)
    rest = [axis for axis in range(len(shape)) if axis not in (first, second)]
    starts = {first: row, second: column} if count else {}
    rows = []
    for axis in range(len(shape)):
        steps = [int(axis == other) for other in rest]
        rows.append((starts.get(axis, 0), (*steps, int(axis in (first, second)))))
    return Move(AFFINE, ((*[shape[axis] for axis in rest], count), tuple(rows)))


@op(
    method="diagonal",
    view=True,
    dtypes=ALL,
    reference=np.diagonal,
    samples=[
        Sample(((3, 4),)),
        Sample(((2, 4, 3),), (-1, 2, 1)),
        Sample(((3, 2),), (5,), gradient=False),
    ],
    errors=[
        Failure(((3,),), error=AxisError),
        Failure(((3, 4),), (0, 1, -1), match="two axes"),
        Failure(((3, 4),), (0, 2), error=AxisError),
    ],
)
class Diagonal(Movement):
    """The elements of axes `dim1` and `dim2` at which their positions differ by `offset`: a view.

    Shape:
        The two axes disappear, and the diagonal is the last axis.

    Example:
        >>> grad.arange(6).reshape(2, 3).diagonal(1).tolist()
        [1, 5]
    """

    @staticmethod
    def forward(ctx: Context, x: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
        ctx.axes = _two_axes("diagonal", dim1, dim2, len(x.shape))
        ctx.offset = whole("diagonal", "offset", offset)
        return moved(ctx, x, (diagonal_move(x.shape, ctx.offset, *ctx.axes),))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        return OnDiagonal.apply(grad, ctx.shape, ctx.offset, *ctx.axes), None, None, None


class OnDiagonal(Function):
    """Zeros of `shape` with a diagonal of axes `first` and `second` filled: `diagonal` reversed."""

    @staticmethod
    def forward(ctx: Context, x: Any, shape: Shape, offset: int, first: int, second: int) -> Any:
        ctx.offset, ctx.first, ctx.second = offset, first, second
        return x._wrap(on_diagonal(x.node, shape, offset, first, second))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        shown = Diagonal.apply(grad, ctx.offset, ctx.first, ctx.second)
        return shown, None, None, None, None


def on_diagonal(node: Node, shape: Shape, offset: int, first: int, second: int) -> Node:
    """See `OnDiagonal`."""
    rank = len(shape)
    if 0 in node.shape:
        return expand(constant(0, node.dtype), shape)
    # Along the rows, and from the row on in which the diagonal begins.
    start = max(-offset, 0)
    stop = start + node.shape[-1]
    placed = pad(node, [*[(0, 0)] * (rank - 2), (start, shape[first] - stop)])
    rest = [axis for axis in range(rank) if axis not in (first, second)]
    order = sorted([*rest, first])
    spread = [1 if axis == second else shape[axis] for axis in range(rank)]
    placed = reshape(_in_order(placed, [*rest, first], order), tuple(spread))
    row = reshape(iota(shape[first]), _along(first, shape))
    column = reshape(iota(shape[second]), _along(second, shape))
    here = pointwise(EQ, pointwise(ADD, row, constant(offset, row.dtype)), column)
    return pointwise(WHERE, here, expand(placed, shape), constant(0, node.dtype))


def _in_order(node: Node, given: list[int], wanted: list[int]) -> Node:
    """`node`, whose axes are `given` ones of a larger tensor, with them in the order `wanted`."""
    return permute(node, [given.index(axis) for axis in wanted])


def _along(axis: int, shape: Shape) -> Shape:
    return tuple([size if a == axis else 1 for a, size in enumerate(shape)])


def _embedded(x: np.ndarray, offset: int = 0, dim1: int = -2, dim2: int = -1) -> np.ndarray:
    size = x.shape[-1] + abs(offset)
    result = np.zeros((*x.shape[:-1], size, size), x.dtype)
    places = np.arange(x.shape[-1])
    result[..., places + max(-offset, 0), places + max(offset, 0)] = x
    return np.moveaxis(result, (-2, -1), (dim1, dim2))


@op(
    method="diag_embed",
    dtypes=ALL,
    composite=True,
    reference=_embedded,
    samples=[Sample(((2, 3),)), Sample(((2, 3),), (-1, 0, 2)), Sample(((3,),), (2, 1, 0))],
    errors=[Failure(((3,),), (0, 1, 1), match="two axes"), Failure(((),), error=AxisError)],
)
class DiagEmbed:
    """Matrices with the last axis of `x` on the diagonal `offset` and zeros elsewhere.

    Shape:
        ``(..., n)`` to ``(..., m, m)`` with ``m = n + |offset|``; `dim1` (rows) and `dim2`
        (columns) say where in the result these axes are.
    """

    @staticmethod
    def forward(x: Any, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
        offset = whole("diag_embed", "offset", offset)
        rank = len(x.shape) + 1
        first, second = _two_axes("diag_embed", dim1, dim2, rank)
        size = x.shape[-1] + abs(offset)
        shape = list(x.shape[:-1])
        for axis in sorted((first, second)):
            shape.insert(axis, size)
        return OnDiagonal.apply(x, tuple(shape), offset, first, second)


@op(
    method="diag",
    dtypes=ALL,
    composite=True,
    reference=np.diag,
    samples=[Sample(((3,),), (1,)), Sample(((3, 4),), (-1,))],
    errors=[Failure(((2, 3, 4),), match="1 or 2"), Failure(((),), match="1 or 2")],
)
class Diag:
    """A vector as a square matrix with it on a diagonal; the diagonal of a matrix as a vector."""

    @staticmethod
    def forward(x: Any, diagonal: int = 0) -> Any:
        diagonal = whole("diag", "diagonal", diagonal)
        if len(x.shape) not in (1, 2):
            raise ShapeError(
                f"diag: needs 1 or 2 dimensions, got shape {x._shape}; use diag_embed or diagonal."
            )
        if len(x.shape) == 1:
            return DiagEmbed.forward(x, diagonal)
        return Diagonal.apply(x, diagonal).clone()


@op(
    method="diagflat",
    dtypes=ALL,
    composite=True,
    reference=np.diagflat,
    samples=[Sample(((2, 3),)), Sample(((),), (-1,))],
)
class DiagFlat:
    """A square matrix with all elements of `x` on a diagonal."""

    @staticmethod
    def forward(x: Any, offset: int = 0) -> Any:
        return DiagEmbed.forward(x.reshape(-1), whole("diagflat", "offset", offset))


@op(method="diagonal_scatter", dtypes=ALL, composite=True)
class DiagonalScatter:
    """A copy of `x` with `src` on a diagonal; see `diagonal` for its shape."""

    @staticmethod
    def forward(x: Any, src: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
        axes = _two_axes("diagonal_scatter", dim1, dim2, len(x.shape))
        offset = whole("diagonal_scatter", "offset", offset)
        return scattered("diagonal_scatter", x, src, (diagonal_move(x.shape, offset, *axes),))


def scattered(name: str, x: Any, src: Any, path: tuple[Move, ...]) -> Any:
    """A copy of `x` with `src`, of its type and shape, where the view `path` is."""
    shown = x._through(path).shape
    if src.shape != shown:
        raise ShapeError(
            f"{name}: src has shape {tuple(src.shape)}, needs {tuple(shown)}, that of what it "
            f"replaces; use src.expand({tuple(shown)})."
        )
    return Update.apply(x, src.to(x.dtype), path)
