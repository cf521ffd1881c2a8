"""`make_tensor`: tensors of random numbers for tests, of any type and layout."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np

from grad.dtype import DType, as_dtype, dtypes
from grad.errors import ArgumentError
from grad.ops.creators import CREATORS
from grad.tensor import Tensor

_FLOATING = (-9, 9)
_WHOLE = (-9, 10)
_BOOLEAN = (0, 2)


def make_tensor(
    *shape: Any,
    dtype: Any,
    device: Any = None,
    low: float | None = None,
    high: float | None = None,
    requires_grad: bool = False,
    noncontiguous: bool = False,
    exclude_zero: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """Numbers uniform in ``[low, high)``, of `shape` and `dtype`.

    Args:
        low, high: -9 and 9 unless given (10 for integers, 0 and 2 for bool); cut to what the type
            holds.
        noncontiguous: whether to leave gaps in memory, in a tensor of two elements or more.
        exclude_zero: whether 1, or the smallest normal number of the type, stands for 0.
        memory_format: the order in memory.

    Raises:
        ValueError: `low` is not below `high`, or no number of the type is in the range; a gradient
            of integers; both `noncontiguous` and `memory_format`.

    Example:
        >>> grad.testing.make_tensor(2, 3, dtype=grad.int32).shape
        torch.Size([2, 3])
    """
    kind = as_dtype(dtype)
    if len(shape) == 1 and isinstance(shape[0], Sequence):
        shape = tuple(shape[0])
    if noncontiguous and memory_format is not None:
        raise ArgumentError(
            f"The parameters `noncontiguous` and `memory_format` are mutually exclusive, but got "
            f"{noncontiguous=} and {memory_format=}"
        )
    if requires_grad and not kind.is_floating_point:
        raise ArgumentError(
            f"`requires_grad=True` is not supported for boolean and integral dtypes, but got {kind}"
        )
    spread = noncontiguous and math.prod(shape) > 1
    sizes = (*shape[:-1], 2 * shape[-1]) if spread else shape
    result = _drawn(sizes, kind, low, high, device)
    if spread:
        result = result[..., 1::2]
    elif memory_format is not None:
        result = result.contiguous(memory_format=memory_format)
    if exclude_zero:
        result[result == 0] = float(_facts(kind).tiny) if kind.is_floating_point else 1
    return result.requires_grad_() if requires_grad else result


def _facts(kind: DType) -> Any:
    return ml_dtypes.finfo(kind.numpy) if kind.is_floating_point else np.iinfo(kind.numpy)


def _drawn(
    sizes: Sequence[int], kind: DType, low: float | None, high: float | None, device: Any
) -> Tensor:
    if kind.is_floating_point:
        facts = _facts(kind)
        least, most = _bounds(kind, low, high, _FLOATING, float(facts.min), float(facts.max))
        # The width of the range may be more than the type holds.
        halves = 2 if most - least >= float(facts.max) else 1
        empty = CREATORS["empty"](*sizes, dtype=kind, device=device)
        return empty.uniform_(least / halves, most / halves).mul_(halves)
    if kind is dtypes.bool:
        least, most = _bounds(kind, low, high, _BOOLEAN, 0, 2)
    else:
        facts = _facts(kind)
        # Bounds are int64 numbers.
        end = min(int(facts.max) + 1, 2**63 - 1)
        least, most = _bounds(kind, low, high, _WHOLE, int(facts.min), end)
    return CREATORS["randint"](
        math.ceil(least), math.ceil(most), tuple(sizes), dtype=kind, device=device
    )


def _bounds(
    kind: DType,
    low: float | None,
    high: float | None,
    default: tuple[float, float],
    least: float,
    end: float,
) -> tuple[float, float]:
    """The range that is asked for, inside of what the type holds."""
    low, high = default[0] if low is None else low, default[1] if high is None else high
    if math.isnan(low) or math.isnan(high):
        raise ArgumentError(f"`low` and `high` cannot be NaN, but got {low=} and {high=}")
    if low == high and kind.is_floating_point:
        warnings.warn(
            "make_tensor: low == high is deprecated for floating types, as in PyTorch; use full.",
            FutureWarning,
            stacklevel=4,
        )
    elif low >= high:
        raise ArgumentError(f"`low` must be less than `high`, but got {low} >= {high}")
    elif high < least or low >= end:
        raise ArgumentError(
            f"The value interval specified by `low` and `high` is [{low}, {high}), but {kind} only "
            f"supports [{least}, {end})"
        )
    return min(max(low, least), end), min(max(high, least), end)
