"""Reductions over axes, running sums, and what else looks along an axis.

Over no axes, ``axis=()``, nothing is reduced (PyTorch takes that for all axes): `reduced` adds an
axis of size 1 for it. Sums of small integers are int64, those of unsigned ones uint64.
"""

from __future__ import annotations

from grad.array_api.operands import promoted, require_tensor
from grad.dtype import DType, as_dtype, dtypes
from grad.errors import ArgumentError
from grad.ops.registry import REGISTRY
from grad.tensor import Tensor

Axes = int | tuple[int, ...]

# What sums and products of each kind of integers are made in.
_WIDE = {"b": dtypes.int64, "i": dtypes.int64, "u": dtypes.uint64}


def reduced(x: Tensor, method: str, axis: Axes | None, keepdims: bool, **options: object) -> Tensor:
    """The reduction `method` of `x` over `axis`: one, several, none of them, or all if None."""
    if axis == ():
        x, axis, keepdims = x.unsqueeze(0), 0, False
    return getattr(x, method)(dim=axis, keepdim=keepdims, **options)


def summed_dtype(x: Tensor, dtype: DType | None) -> DType:
    """The type of sums of `x`: `dtype` if it is given."""
    return as_dtype(dtype) if dtype is not None else _WIDE.get(x.dtype.kind, x.dtype)


def _total(
    method: str, x: Tensor, axis: Axes | None, dtype: DType | None, keepdims: bool
) -> Tensor:
    wanted = summed_dtype(require_tensor(method, x), dtype)
    if wanted.kind == "b":
        raise ArgumentError(f"{method}: dtype=bool; use any or all.")
    return reduced(x, method, axis, keepdims, dtype=wanted)


def sum(
    x: Tensor, /, *, axis: Axes | None = None, dtype: DType | None = None, keepdims: bool = False
) -> Tensor:
    """The sum over `axis`, or of all; 0 of nothing."""
    return _total("sum", x, axis, dtype, keepdims)


def prod(
    x: Tensor, /, *, axis: Axes | None = None, dtype: DType | None = None, keepdims: bool = False
) -> Tensor:
    """The product over `axis`, or of all; 1 of nothing."""
    return _total("prod", x, axis, dtype, keepdims)


def max(x: Tensor, /, *, axis: Axes | None = None, keepdims: bool = False) -> Tensor:
    """The largest element over `axis`, or of all; NaN if there is one."""
    return reduced(require_tensor("max", x), "amax", axis, keepdims)


def min(x: Tensor, /, *, axis: Axes | None = None, keepdims: bool = False) -> Tensor:
    """The smallest element over `axis`, or of all; NaN if there is one."""
    return reduced(require_tensor("min", x), "amin", axis, keepdims)


def mean(x: Tensor, /, *, axis: Axes | None = None, keepdims: bool = False) -> Tensor:
    """The mean over `axis`, or of all, of floating elements; NaN of nothing."""
    return reduced(require_tensor("mean", x), "mean", axis, keepdims)


def var(
    x: Tensor, /, *, axis: Axes | None = None, correction: int | float = 0.0, keepdims: bool = False
) -> Tensor:
    """The variance over `axis`, or of all: the sum of squared distances to the mean, divided by
    the number of elements less `correction`.
    """
    return reduced(require_tensor("var", x), "var", axis, keepdims, correction=correction)


def std(
    x: Tensor, /, *, axis: Axes | None = None, correction: int | float = 0.0, keepdims: bool = False
) -> Tensor:
    """The standard deviation over `axis`, or of all: the root of `var`."""
    return reduced(require_tensor("std", x), "std", axis, keepdims, correction=correction)


def all(x: Tensor, /, *, axis: Axes | None = None, keepdims: bool = False) -> Tensor:
    """Whether all elements over `axis` are not zero; True of nothing."""
    return reduced(require_tensor("all", x).to(dtypes.bool), "all", axis, keepdims)


def any(x: Tensor, /, *, axis: Axes | None = None, keepdims: bool = False) -> Tensor:
    """Whether any element over `axis` is not zero; False of nothing."""
    return reduced(require_tensor("any", x).to(dtypes.bool), "any", axis, keepdims)


# -- running along an axis -------------------------------------------------------------------------
def cumulative_sum(
    x: Tensor,
    /,
    *,
    axis: int | None = None,
    dtype: DType | None = None,
    include_initial: bool = False,
) -> Tensor:
    """Sums of all elements up to each along `axis`, after a 0 if `include_initial`."""
    return _running("cumsum", 0, x, axis, dtype, include_initial)


def cumulative_prod(
    x: Tensor,
    /,
    *,
    axis: int | None = None,
    dtype: DType | None = None,
    include_initial: bool = False,
) -> Tensor:
    """Products of all elements up to each along `axis`, after a 1 if `include_initial`."""
    return _running("cumprod", 1, x, axis, dtype, include_initial)


def _running(
    method: str,
    initial: int,
    x: Tensor,
    axis: int | None,
    dtype: DType | None,
    include_initial: bool,
) -> Tensor:
    shape = require_tensor(method, x).shape
    if axis is None:
        if len(shape) != 1:
            raise ArgumentError(f"{method}: an array of shape {shape} needs an axis.")
        axis = 0
    result = getattr(x, method)(axis, dtype=summed_dtype(x, dtype))
    if not include_initial:
        return result
    first = list(shape)
    first[axis] = 1
    return REGISTRY["cat"].call([result.new_full(first, initial), result], axis)


def diff(
    x: Tensor,
    /,
    *,
    axis: int = -1,
    n: int = 1,
    prepend: Tensor | None = None,
    append: Tensor | None = None,
) -> Tensor:
    """Differences of neighbours along `axis`, `n` times over, after `prepend` and `append` have
    been joined to `x`.
    """
    parts = [part for part in (prepend, require_tensor("diff", x), append) if part is not None]
    joined = REGISTRY["cat"].call(promoted("diff", parts), axis) if len(parts) > 1 else x
    return joined.diff(n, axis)
