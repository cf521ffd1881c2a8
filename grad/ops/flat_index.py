"""Reading and writing by the row-major number of an element: `take`, `put`, `masked_scatter`.

The tensor is seen as a vector, whose positions may be counted from the end. `unravel_index` goes
from numbers to positions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from grad.dtype import dtypes
from grad.errors import ArgumentError, DTypeError, IndexOutOfRangeError, ShapeError
from grad.graph.node import broadcast_shapes, reshape
from grad.ops.bounds import within
from grad.ops.index import Put, Take
from grad.ops.index_plan import from_the_front
from grad.ops.join import Concatenate
from grad.ops.promotion import is_tensor, unsupported
from grad.ops.registry import ALL, op
from grad.ops.view import sizes_of


def _positions(name: str, x: Any, index: Any) -> Any:
    """The node of flat positions in `x`, a vector."""
    if not is_tensor(index):
        raise unsupported(name, index)
    if index.dtype is not dtypes.int64:
        raise DTypeError(
            f"{name}: the index has type {index.dtype.name}, needs int64; use index.long()."
        )
    node = from_the_front(index, 0, math.prod(x.shape))
    return reshape(node, (math.prod(index.shape),))


@op(method="take", dtypes=ALL, composite=True)
class TakeFlat:
    """The elements of `x`, seen as a vector, at the positions `index`, in the shape of `index`.

    Raises:
        IndexOutOfRangeError: a position outside. DTypeError: the index is not of type int64.

    Example:
        >>> grad.tensor([[4, 3], [2, 1]]).take(grad.tensor([0, -1])).tolist()
        [4, 1]
    """

    @staticmethod
    def forward(x: Any, index: Any) -> Any:
        positions = _positions("take", x, index)
        return Take.apply(x.reshape(-1), 0, positions).reshape(index.shape)


@op(method="put", inplace=True, dtypes=ALL, composite=True)
class PutFlat:
    """`x`, seen as a vector, with the elements of `source` written to the positions `index`, or
    added there with `accumulate`.

    Where a position occurs twice the later element stays.
    """

    @staticmethod
    def forward(x: Any, index: Any, source: Any, accumulate: bool = False) -> Any:
        if not is_tensor(source):
            raise unsupported("put", source)
        if source.dtype is not x.dtype:
            raise DTypeError(
                f"put: the tensor is {x.dtype.name} and the source {source.dtype.name}; use "
                f"source.to(x.dtype)."
            )
        positions = _positions("put", x, index)
        if math.prod(source.shape) != positions.shape[0]:
            raise IndexOutOfRangeError(
                f"put: there are {positions.shape[0]} positions and {math.prod(source.shape)} "
                f"elements of the source; needs one for each."
            )
        how = "add" if accumulate else "set"
        return Put.apply(x.reshape(-1), source.reshape(-1), 0, positions, how).reshape(x.shape)


@op(method="masked_scatter", inplace=True, dtypes=ALL, composite=True)
class MaskedScatter:
    """`x` with the elements of `source`, in their order, where `mask` holds.

    The mask broadcasts to `x`. Raises ShapeError where the mask wants more elements than there are.
    """

    @staticmethod
    def forward(x: Any, mask: Any, source: Any) -> Any:
        for given in (mask, source):
            if not is_tensor(given):
                raise unsupported("masked_scatter", given)
        if mask.dtype is not dtypes.bool:
            raise DTypeError(
                f"masked_scatter: the mask must be a bool tensor, got {mask.dtype.name}."
            )
        if source.dtype is not x.dtype:
            raise DTypeError(
                f"masked_scatter: the tensor is {x.dtype.name} and the source "
                f"{source.dtype.name}; use source.to(x.dtype)."
            )
        shape = broadcast_shapes("masked_scatter", x.shape, mask.shape)
        x, mask = x.expand(shape), mask.expand(shape)
        size = math.prod(source.shape)
        if not size or not math.prod(shape):
            if math.prod(shape) and bool(mask.any()):
                raise _too_few(size)
            # Nothing of the source, whose gradient is 0.
            return Concatenate.apply(0, x.reshape(-1), source.reshape(-1)[:0]).reshape(shape)
        # The number of elements that the mask chose before each of its own.
        flat = mask.reshape(-1)
        numbers = (flat.cumsum(0) - 1).where(flat, 0)
        positions = within(numbers, 0, size, lambda _: _too_few(size))
        taken = Take.apply(source.reshape(-1), 0, positions).reshape(shape)
        return taken.where(mask, x)


def _too_few(size: int) -> Exception:
    return ShapeError(
        f"masked_scatter: the mask chooses more elements than the {size} of the source."
    )


@op(function="unravel_index", gradient=False, composite=True)
class UnravelIndex:
    """The positions, one tensor for each axis of `shape`, of elements with row-major numbers.

    Example:
        >>> [axis.tolist() for axis in grad.unravel_index(grad.tensor([3, 5]), (2, 3))]
        [[1, 1], [0, 2]]
    """

    @staticmethod
    def forward(indices: Any, shape: Sequence[int]) -> tuple[Any, ...]:
        if not is_tensor(indices):
            raise unsupported("unravel_index", indices)
        if indices.dtype.kind not in "iu":
            raise DTypeError(
                f"unravel_index: needs an integer tensor, got {indices.dtype.name}; use .long()."
            )
        sizes = sizes_of("unravel_index", (shape,))
        if min(sizes, default=0) < 0:
            raise ArgumentError(f"unravel_index: sizes cannot be negative, got {sizes}.")
        indices = indices.to(dtypes.int64)
        found, step = [], math.prod(sizes)
        for size in sizes:
            step = step // size if size else 1
            found.append((indices // max(step, 1)) % max(size, 1))
        return tuple(found)
