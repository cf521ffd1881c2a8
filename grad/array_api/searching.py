"""Where elements are, and elements by their place: extremes, `nonzero`, `where`, `take`, `sort`."""

from __future__ import annotations

from grad.array_api.operands import Operand, operands, require_tensor
from grad.array_api.statistical import Axes, reduced
from grad.dtype import dtypes
from grad.errors import ArgumentError, DTypeError, ShapeError
from grad.ops.axes import normal_axis
from grad.ops.registry import REGISTRY
from grad.tensor import Tensor


def argmax(x: Tensor, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The place of the largest element along `axis`, or among all; of the first if several."""
    return _place("argmax", x, axis, keepdims)


def argmin(x: Tensor, /, *, axis: int | None = None, keepdims: bool = False) -> Tensor:
    """The place of the smallest element along `axis`, or among all; of the first if several."""
    return _place("argmin", x, axis, keepdims)


def _place(name: str, x: Tensor, axis: int | None, keepdims: bool) -> Tensor:
    if axis is not None:
        return REGISTRY[name].call(require_tensor(name, x), axis, keepdims)
    found = REGISTRY[name].call(require_tensor(name, x).reshape(-1), 0)
    return found.reshape((1,) * len(x.shape)) if keepdims else found


def count_nonzero(x: Tensor, /, *, axis: Axes | None = None, keepdims: bool = False) -> Tensor:
    """How many elements over `axis` are not zero; int64."""
    return reduced(require_tensor("count_nonzero", x) != 0, "sum", axis, keepdims)


def nonzero(x: Tensor, /) -> tuple[Tensor, ...]:
    """The places of elements that are not zero, an array for each axis. Computes `x`.

    Raises:
        ShapeError: `x` has no axes. It is a ValueError.
    """
    if not require_tensor("nonzero", x).shape:
        raise ShapeError("nonzero: needs at least one axis, got a number; use x.reshape(1).")
    return tuple(x.nonzero(as_tuple=True))


def searchsorted(
    x1: Tensor, x2: Tensor, /, *, side: str = "left", sorter: Tensor | None = None
) -> Tensor:
    """For each element of `x2` its place in the vector `x1`, which is in order; int64.

    Args:
        side: "left" is before equal elements, "right" behind them.
        sorter: the order of `x1`, if it is not in order.
    """
    if side not in ("left", "right"):
        raise ArgumentError(f"searchsorted: side={side!r}; it is 'left' or 'right'.")
    sequence, values = operands("searchsorted", x1, x2)
    if sorter is not None:
        sequence = take(sequence, sorter)
    return REGISTRY["searchsorted"].call(sequence, values, side=side)


def where(condition: Tensor, x1: Operand, x2: Operand, /) -> Tensor:
    """`x1` where `condition`, else `x2`; one of the two may be a number."""
    if require_tensor("where", condition).dtype is not dtypes.bool:
        raise DTypeError(f"where: the condition must be bool, got {condition.dtype.name}.")
    first, second = operands("where", x1, x2)
    return first.where(condition, second)


# -- elements by their place -----------------------------------------------------------------------
def take(x: Tensor, indices: Tensor, /, *, axis: int | None = None) -> Tensor:
    """The parts of `x` along `axis` that the vector `indices` names; negative ones count from the
    end.
    """
    shape = require_tensor("take", x).shape
    if axis is None:
        if len(shape) != 1:
            raise ArgumentError(f"take: an array of shape {shape} needs an axis.")
        axis = 0
    place = normal_axis("take", axis, len(shape))
    return x[(slice(None),) * place + (require_tensor("take", indices),)]


def take_along_axis(x: Tensor, indices: Tensor, /, *, axis: int = -1) -> Tensor:
    """Elements of `x` whose place along `axis` is in `indices`, other axes broadcast."""
    shape = require_tensor("take_along_axis", x).shape
    if len(shape) != len(require_tensor("take_along_axis", indices).shape):
        raise ShapeError(
            f"take_along_axis: needs as many axes of indices as of x, got {indices._shape} and "
            f"{shape}."
        )
    size = shape[normal_axis("take_along_axis", axis, len(shape))]
    places = indices.to(dtypes.int64)
    # Counted from the start; what lies beyond either end is found by `take_along_dim`.
    places = (places + size).where(places < 0, places)
    return x.take_along_dim(places, axis)


# -- order -----------------------------------------------------------------------------------------
def argsort(
    x: Tensor, /, *, axis: int = -1, descending: bool = False, stable: bool = True
) -> Tensor:
    """The places that put `x` in order along `axis`; those of equal elements keep their order."""
    return require_tensor("argsort", x).argsort(axis, descending, stable=stable)


def sort(x: Tensor, /, *, axis: int = -1, descending: bool = False, stable: bool = True) -> Tensor:
    """`x` in order along `axis`."""
    return require_tensor("sort", x).sort(axis, descending, stable=stable).values
