"""What `assert_close` says of values that differ: how many, and by how much at most.

The words are PyTorch's, so that what looks for them in a message finds them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from grad.dtype import dtypes
from grad.tensor import Tensor

Array = np.ndarray[Any, Any]


def scalar_report(actual: Any, expected: Any, rtol: float, atol: float) -> str:
    """Of two numbers."""
    absolute = abs(actual - expected)
    relative = math.inf if expected == 0 else absolute / abs(expected)
    return (
        f"{_title('Scalars', rtol, atol)}\n\n"
        f"Expected {expected} but got {actual}.\n"
        f"Absolute difference: {absolute}{_allowed(atol, rtol, atol)}\n"
        f"Relative difference: {relative}{_allowed(rtol, rtol, atol)}"
    )


def tensor_report(
    actual: Tensor, expected: Tensor, matches: Tensor, rtol: float, atol: float
) -> str:
    """Of two tensors of one shape and type, of which `matches` says which elements are close."""
    if not actual.shape:
        return scalar_report(actual.item(), expected.item(), rtol, atol)
    differs = ~matches.numpy()
    count, total = int(differs.sum()), differs.size
    absolute, relative = _differences(_array(actual), _array(expected), differs)
    return (
        f"{_title('Tensor-likes', rtol, atol)}\n\n"
        f"Mismatched elements: {count} / {total} ({count / total:.1%})\n"
        f"Greatest absolute difference: {_greatest(absolute)}{_allowed(atol, rtol, atol)}\n"
        f"Greatest relative difference: {_greatest(relative)}{_allowed(rtol, rtol, atol)}"
    )


def _array(x: Tensor) -> Array:
    return (x if x.dtype.is_floating_point else x.to(dtypes.int64)).numpy()


def _differences(actual: Array, expected: Array, differs: Array) -> tuple[Array, Array]:
    """Absolute and relative differences, 0 where the elements are close."""
    with np.errstate(all="ignore"):
        absolute = np.where(differs, np.abs(actual - expected), 0).astype(actual.dtype)
        kind = absolute.dtype if expected.dtype.kind != "i" else np.dtype(np.float32)
        relative = absolute.astype(kind) / np.abs(expected).astype(kind)
    return absolute, np.where(differs, relative, 0).astype(kind)


def _greatest(values: Array) -> str:
    """The largest value, of which NaN is one, and where it is."""
    place = int(np.argmax(values.astype(np.float64) if values.dtype.kind != "i" else values))
    index = tuple(int(i) for i in np.unravel_index(place, values.shape))
    value = values[index].item() if values.dtype.kind in "if" else float(values[index])
    return f"{value} at index {index}"


def _title(what: str, rtol: float, atol: float) -> str:
    return f"{what} are not {'equal' if rtol == atol == 0 else 'close'}!"


def _allowed(tolerance: float, rtol: float, atol: float) -> str:
    return "" if rtol == atol == 0 else f" (up to {tolerance} allowed)"
