"""How tensors are printed: PyTorch's look, NumPy's layout.

`format_array` turns an array into nested brackets with columns lined up, shortened in the middle
when it is large; `options` are what `set_printoptions` changes. Only the elements that are shown
are looked at.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from grad.errors import ArgumentError

Array = np.ndarray[Any, Any]


@dataclass
class Options:
    """What `set_printoptions` sets; the defaults are PyTorch's."""

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


_PROFILES: dict[str, dict[str, Any]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}

options = Options()


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Set digits, elements until shortening, items kept at the edges, and line width.

    Args:
        profile: "default", "short" or "full" (never shortened): values for all of these, which the
            others change.
        sci_mode: whether powers of ten are printed; None, and each call that does not say, lets the
            values decide.

    Raises:
        ArgumentError: there is no such profile.
    """
    if profile is not None and profile not in _PROFILES:
        raise ArgumentError(f"set_printoptions: there is no profile {profile!r}; {[*_PROFILES]}.")
    for name, value in _PROFILES.get(profile or "", {}).items():
        setattr(options, name, value)
    options.sci_mode = sci_mode
    given = {
        "precision": precision,
        "threshold": threshold,
        "edgeitems": edgeitems,
        "linewidth": linewidth,
    }
    for name, value in given.items():
        if value is not None:
            setattr(options, name, value)


def format_array(array: Array, indent: int = 0) -> str:
    """The elements of `array` in brackets; lines after the first are indented by `indent`."""
    if not array.size:
        return "[]"
    shorten = array.size > options.threshold
    shown = _edges(array) if shorten else array
    if array.dtype.kind not in "biuf":
        shown, array = shown.astype(np.float32), array
    write = _writer(shown)
    return _nested(array, write, indent, shorten)


def _edges(array: Array) -> Array:
    """The elements that a shortened print shows."""
    keep = options.edgeitems
    for axis, size in enumerate(array.shape):
        if size > 2 * keep:
            index = [*range(keep), *range(size - keep, size)]
            array = array.take(index, axis)
    return array


def _writer(shown: Array) -> Any:
    """A function from an element to text, equally wide for all."""
    if shown.dtype.kind == "b":
        words = [str(bool(value)) for value in shown.flat]
        width = max(map(len, words), default=0)
        return lambda value: str(bool(value)).rjust(width)
    if shown.dtype.kind in "iu":
        width = max((len(str(int(value))) for value in shown.flat), default=0)
        return lambda value: str(int(value)).rjust(width)
    values = np.asarray(shown, np.float64)
    write = _float_style(values)
    # As in PyTorch, infinities and NaN do not widen the columns.
    counted = values[np.isfinite(values) & (values != 0)]
    width = max((len(write(float(value))) for value in counted), default=0)
    return lambda value: write(float(value)).rjust(width)


def _float_style(values: Array) -> Any:
    """Whole numbers as ``1.``, else a fixed number of digits, else powers of ten: as PyTorch
    chooses.
    """
    finite = np.abs(values[np.isfinite(values) & (values != 0)])
    digits = options.precision
    if not finite.size:
        return lambda value: f"{value:.0f}." if math.isfinite(value) else str(value)
    low, high = float(finite.min()), float(finite.max())
    whole = bool(np.all(finite == np.ceil(finite)))
    scientific = high / low > 1000 or high > 1e8 or (low < 1e-4 and not whole)
    if options.sci_mode is not None:
        scientific = options.sci_mode
    if whole and not scientific:
        return lambda value: f"{value:.0f}." if math.isfinite(value) else str(value)
    style = "e" if scientific else "f"
    return lambda value: f"{value:.{digits}{style}}" if math.isfinite(value) else str(value)


def _nested(array: Array, write: Any, indent: int, shorten: bool) -> str:
    if array.ndim == 0:
        return write(array[()])
    if array.ndim == 1:
        return _row(array, write, indent, shorten)
    rows: list[str | None] = [
        _nested(part, write, indent + 1, shorten) if part is not None else None
        for part in _kept(array, shorten)
    ]
    gap = ",\n" + "\n" * (array.ndim - 2) + " " * (indent + 1)
    return "[" + gap.join("..." if row is None else row for row in rows) + "]"


def _kept(array: Array, shorten: bool) -> Sequence[Any]:
    """The entries along the first axis, None standing for those left out."""
    keep = options.edgeitems
    if not shorten or len(array) <= 2 * keep:
        return list(array)
    return [*array[:keep], None, *array[-keep:]]


def _row(array: Array, write: Any, indent: int, shorten: bool) -> str:
    words = [" ..." if value is None else write(value) for value in _kept(array, shorten)]
    width = max(map(len, words), default=0) + 2
    per_line = max((options.linewidth - indent) // max(width, 1), 1)
    lines = [", ".join(words[i : i + per_line]) for i in range(0, len(words), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"
