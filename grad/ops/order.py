"""Axes in another order, and parts of axes: `permute`, `transpose`, `T`, `flip`, `movedim`,
`narrow` ...

The second half of view.py, which has what changes the shape; read that first.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np

from grad.autograd.function import Context
from grad.dtype import dtypes
from grad.errors import AxisError, DTypeError, ShapeError
from grad.graph.movement import Move
from grad.graph.primitives import PERMUTE, SLICE
from grad.ops.axes import distinct_axes, normal_axis
from grad.ops.movement import Movement, moved
from grad.ops.registry import ALL, Failure, Sample, op
from grad.ops.view import Ints, sizes_of


@op(
    method="permute",
    view=True,
    dtypes=ALL,
    reference=lambda x, *dims: x.transpose(*dims),
    samples=[Sample(((2, 3, 4),), (2, 0, 1)), Sample(((2, 3),), ((-1, 0),))],
    errors=[Failure(((2, 3),), (0, 0), match="each")],
)
class Permute(Movement):
    """Axes in another order: ``x.permute(2, 0, 1)``."""

    @staticmethod
    def forward(ctx: Context, x: Any, *dims: Ints) -> Any:
        rank = len(x._shape)
        order = tuple([normal_axis("permute", d, rank) for d in sizes_of("permute", dims)])
        if sorted(order) != list(range(rank)):
            raise ShapeError(
                f"permute: {dims} is no order of the {rank} axes of {x._shape}; name each once."
            )
        return moved(ctx, x, (Move(PERMUTE, order),))


@op(
    method="transpose",
    aliases=("swapaxes", "swapdims"),
    view=True,
    inplace=True,
    dtypes=ALL,
    reference=np.swapaxes,
    samples=[Sample(((2, 3, 4),), (0, 2)), Sample(((2, 3),), (-1, 0))],
    errors=[Failure(((2, 3),), (0, 2), error=AxisError)],
)
class Transpose(Movement):
    """Two axes exchanged."""

    @staticmethod
    def forward(ctx: Context, x: Any, dim0: int, dim1: int) -> Any:
        rank = len(x._shape)
        first, second = (normal_axis("transpose", d, rank) for d in (dim0, dim1))
        order = list(range(rank))
        if rank:
            order[first], order[second] = second, first
        return moved(ctx, x, (Move(PERMUTE, tuple(order)),))


@op(
    method="t",
    view=True,
    inplace=True,
    dtypes=ALL,
    reference=np.transpose,
    samples=[Sample(((2, 3),)), Sample(((3,),))],
    errors=[Failure(((2, 3, 4),), match="2")],
)
class MatrixTranspose(Movement):
    """The transpose of a matrix; vectors and numbers stay as they are."""

    @staticmethod
    def forward(ctx: Context, x: Any) -> Any:
        rank = len(x._shape)
        if rank > 2:
            raise ShapeError(
                f"t: needs at most 2 dimensions, got shape {x._shape}; use x.mT or x.transpose(a, "
                "b)."
            )
        return moved(ctx, x, (Move(PERMUTE, tuple(reversed(range(rank)))),))


class Reversed(Movement):
    """All axes in reverse order: ``x.T``."""

    @staticmethod
    def forward(ctx: Context, x: Any) -> Any:
        return moved(ctx, x, (Move(PERMUTE, tuple(reversed(range(len(x._shape))))),))


@op(
    method="flip",
    dtypes=ALL,
    reference=lambda x, *dims: np.flip(x, dims),
    samples=[Sample(((2, 3),), (0,)), Sample(((2, 3),), (0, 1))],
    errors=[Failure(((2, 3),), (2,), error=AxisError)],
)
class Flip(Movement):
    """The named axes run backward. A copy, as in PyTorch."""

    @staticmethod
    def forward(ctx: Context, x: Any, *dims: Ints) -> Any:
        axes = distinct_axes("flip", sizes_of("flip", dims), len(x._shape))
        ranges = [(s - 1, -1, s) if a in axes else (0, 1, s) for a, s in enumerate(x._shape)]
        return moved(ctx, x, (Move(SLICE, tuple(ranges)),), copy=True)


@op(
    method="movedim",
    aliases=("moveaxis",),
    view=True,
    dtypes=ALL,
    reference=np.moveaxis,
    samples=[Sample(((2, 3, 4),), (0, 2)), Sample(((2, 3, 4),), ((0, 1), (-1, 0)))],
)
class MoveDim(Movement):
    """Axes `source` moved to the places `destination`; the others keep their order."""

    @staticmethod
    def forward(ctx: Context, x: Any, source: Ints, destination: Ints) -> Any:
        rank = len(x._shape)
        sources = [normal_axis("movedim", d, rank) for d in _listed(source)]
        places = [normal_axis("movedim", d, rank) for d in _listed(destination)]
        if not len(sources) == len(places) == len(set(sources)) == len(set(places)):
            raise ShapeError(
                f"movedim: source {source} and destination {destination} must name as many axes, "
                f"each once."
            )
        if not rank:  # whose axis 0 can be named
            return moved(ctx, x, ())
        order = [axis for axis in range(rank) if axis not in sources]
        for place, axis in sorted(zip(places, sources)):
            order.insert(place, axis)
        return moved(ctx, x, (Move(PERMUTE, tuple(order)),))


def _listed(dims: Ints) -> Sequence[int]:
    return dims if isinstance(dims, Sequence) else (dims,)


@op(
    method="narrow",
    view=True,
    dtypes=ALL,
    reference=lambda x, dim, start, length: np.take(x, range(start, start + length), dim),
    samples=[Sample(((4, 3),), (0, 1, 2))],
    errors=[
        Failure(((4, 3),), (0, 3, 2), match="inside"),
        Failure(((4, 3),), (0, 5, 0), error=AxisError, match="start 5"),
        Failure(((),), (0, 0, 1), match="0-d"),
    ],
)
class Narrow(Movement):
    """`length` elements of axis `dim` from `start` on."""

    @staticmethod
    def forward(ctx: Context, x: Any, dim: int, start: Any, length: int) -> Any:
        if not x._shape:
            raise ShapeError("narrow: a 0-d tensor has no axis to cut; reshape it to (1,) first.")
        axis = normal_axis("narrow", dim, len(x._shape))
        size = x._shape[axis]
        if getattr(start, "dtype", None) is dtypes.bool:
            raise DTypeError("narrow: start is a tensor of bool; needs an integer.")
        start, length = index(start), index(length)
        first = start + size if start < 0 else start
        if not 0 <= first <= size:
            raise AxisError(
                f"narrow: start {start} is out of range for axis {dim} of size {size}; use a "
                f"number from {-size} to {size}."
            )
        if not first <= first + length <= size:
            raise ShapeError(
                f"narrow: start {start} and length {length} do not lie inside axis {dim} of size "
                f"{size}."
            )
        ranges = [(0, 1, s) for s in x._shape]
        ranges[axis] = (first, 1, length)
        return moved(ctx, x, (Move(SLICE, tuple(ranges)),))
