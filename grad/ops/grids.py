"""Grids and families of tuples: `meshgrid`, `cartesian_prod`, `combinations`, `tril_indices` ...

Also `logspace`, another rule that makes a tensor of few numbers.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

from grad.autograd.variable import Variable
from grad.dtype import as_dtype, default_dtype, dtypes
from grad.errors import ArgumentError, DTypeError, ShapeError
from grad.graph.arrays import node_of
from grad.ops.calls import within_memory
from grad.ops.creation import checked_shape, creator, finished, linspace
from grad.ops.index import Take
from grad.ops.join import Stack
from grad.ops.promotion import is_tensor, unsupported
from grad.ops.registry import ALL, Array, Failure, Sample, op


def _vectors(name: str, tensors: tuple[Any, ...]) -> list[Any]:
    """Tensors given one by one or as a sequence, each a vector or a number, of one type."""
    if len(tensors) == 1 and isinstance(tensors[0], list | tuple):
        tensors = tuple(tensors[0])
    if not tensors:
        raise ShapeError(f"{name}: needs at least one tensor, got none.")
    for tensor in tensors:
        if not is_tensor(tensor):
            raise unsupported(name, tensor)
        if len(tensor.shape) > 1:
            raise ShapeError(f"{name}: needs vectors, got a tensor of shape {tensor._shape}.")
        if tensor.dtype is not tensors[0].dtype:
            raise DTypeError(f"{name}: all tensors must have one type; use x.to(dtype).")
    return list(tensors)


@op(function="meshgrid", view=True, dtypes=ALL, composite=True)
class MeshGrid:
    """The coordinates of a grid: one tensor for each vector, which varies along that axis only.

    Args:
        indexing: "ij" (the default: axes in the order of the vectors) or "xy" (the first two
            axes exchanged, as for pictures).

    Shape:
        vectors ``(n,), (m,) ...``; each result, a view, has shape ``(n, m, ...)``.

    Example:
        >>> [axis.tolist() for axis in grad.meshgrid(grad.arange(2), grad.arange(3))]
        [[[0, 0, 0], [1, 1, 1]], [[0, 1, 2], [0, 1, 2]]]
    """

    @staticmethod
    def forward(*tensors: Any, indexing: str = "ij") -> tuple[Any, ...]:
        found = _vectors("meshgrid", tensors)
        if indexing not in ("ij", "xy"):
            raise ArgumentError(f"meshgrid: indexing={indexing!r}; use 'ij' or 'xy'.")
        swapped = indexing == "xy" and len(found) > 1
        if swapped:
            found[:2] = found[1::-1]
        shape = tuple([math.prod(vector.shape) for vector in found])
        grids = [
            vector.reshape([-1 if a == axis else 1 for a in range(len(found))]).expand(shape)
            for axis, vector in enumerate(found)
        ]
        if swapped:
            grids[:2] = grids[1::-1]
        return tuple(grids)


@op(function="cartesian_prod", dtypes=ALL, composite=True)
class CartesianProduct:
    """All ways to choose one element of each vector, as rows; a single vector is its own."""

    @staticmethod
    def forward(*tensors: Any) -> Any:
        found = _vectors("cartesian_prod", tensors)
        for tensor in found:
            if not tensor.shape:
                raise ShapeError("cartesian_prod: needs vectors, got a number.")
        if len(found) == 1:
            return found[0]
        return Stack.forward([grid.reshape(-1) for grid in MeshGrid.forward(*found)], 1)


def _chosen(size: int, r: int, repeated: bool) -> np.ndarray:
    """The positions of all combinations, one after the other."""
    choose = itertools.combinations_with_replacement if repeated else itertools.combinations
    return np.fromiter(itertools.chain.from_iterable(choose(range(size), r)), np.int64)


@op(
    function="combinations",
    dtypes=ALL,
    composite=True,
    reference=lambda x, r=2, repeated=False: x[_chosen(x.size, r, repeated)].reshape(-1, r),
    samples=[Sample(((4,),)), Sample(((3,),), (3, True))],
    errors=[Failure(((2, 2),), match="vector"), Failure(((3,),), (-1,), error=ArgumentError)],
)
class Combinations:
    """All ways to choose `r` elements of a vector, as rows, in the order of the vector."""

    @staticmethod
    def forward(x: Any, r: int = 2, with_replacement: bool = False) -> Any:
        if len(x.shape) != 1:
            raise ShapeError(f"combinations: needs a vector, got shape {tuple(x.shape)}.")
        if r < 0:
            raise ArgumentError(f"combinations: r is {r}, it cannot be negative.")
        if r == 0:
            return x.new_zeros(0)
        rows = _chosen(x.shape[0], r, with_replacement)
        return Take.apply(x, 0, node_of(rows, dtypes.int64)).reshape(-1, r)


def _triangle(
    name: str, rows: int, columns: int, offset: int, upper: bool, dtype: Any, options: Any
) -> Any:
    if rows < 0 or columns < 0:
        raise ArgumentError(f"{name}: sizes cannot be negative, got {(rows, columns)}.")
    kind = dtypes.int64 if dtype is None else as_dtype(dtype)
    if kind not in (dtypes.int32, dtypes.int64):
        raise DTypeError(f"{name}: gives int64 or int32, not {kind.name}.")
    checked_shape(name, (rows, columns), dtypes.bool)
    with within_memory(name):
        found = _places(rows, columns, offset, upper, kind.numpy)
    return finished(node_of(found, kind), False, options.get("device"))


def _places(rows: int, columns: int, offset: int, upper: bool, kind: Any) -> Array:
    """Rows and columns of a triangle: the rows of which it has a part one by one (there are at most
    as many as columns), and those of which it has all together, which lie before or behind them.
    """
    begin = max(0, upper - offset)  # of the rows with a part
    end = max(begin, min(rows, columns - 1 - offset + upper))
    whole = range(min(begin, rows)) if upper else range(end, rows)
    parts = range(begin, end)
    # How many elements the rows with a part have.
    lengths = [columns - offset - row if upper else row + offset + 1 for row in parts]
    block, rest = len(whole) * columns, sum(lengths)
    found = np.empty((2, block + rest), kind)
    line = np.arange(columns, dtype=kind)
    at = 0 if upper else rest
    together = found[:, at : at + block].reshape(2, len(whole), columns)
    together[0] = np.arange(whole.start, whole.stop, dtype=kind)[:, None]
    together[1] = line
    start = block if upper else 0
    found[0, start : start + rest] = np.repeat(np.arange(begin, end, dtype=kind), lengths)
    each = found[1]
    for length in lengths:
        stop = start + length
        each[start:stop] = line[columns - length :] if upper else line[:length]
        start = stop
    return found


@creator
def tril_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, **options: Any) -> Any:
    """Rows and columns, as ``(2, n)``, of the elements on and below a diagonal, row by row."""
    return _triangle("tril_indices", row, col, offset, False, dtype, options)


@creator
def triu_indices(row: int, col: int, offset: int = 0, *, dtype: Any = None, **options: Any) -> Any:
    """Rows and columns, as ``(2, n)``, of the elements on and above a diagonal, row by row."""
    return _triangle("triu_indices", row, col, offset, True, dtype, options)


@creator
def logspace(
    start: Any,
    end: Any,
    steps: int,
    base: float = 10.0,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """`steps` numbers from ``base**start`` to ``base**end``, each the same factor from the next."""
    kind = default_dtype() if dtype is None else as_dtype(dtype)
    if kind.kind in "iu":
        start, end = int(start), int(end)
    powers = linspace(start, end, steps, dtype=dtypes.float64, device=device)
    base = base.item() if isinstance(base, Variable) else base
    result = (float(base) ** powers).to(kind)
    return result.requires_grad_() if requires_grad else result
