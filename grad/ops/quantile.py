"""Quantiles: `quantile` and `nanquantile`.

Elements are put in order, and the ranks that a quantile falls between are interpolated. See
sort.py.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from grad.autograd.rebuilt import rebuilt
from grad.dtype import dtypes
from grad.engine.recording import recording
from grad.errors import ArgumentError, DTypeError, ShapeError
from grad.ops.choose import chosen
from grad.ops.promotion import is_tensor
from grad.ops.registry import Failure, op
from grad.ops.samples import distinct, operands
from grad.ops.sort import in_order, lines_of

# From the fraction of the way to the next rank to the weight of that rank.
_WEIGHT: dict[str, Callable[[Any], Any]] = {
    "linear": lambda part: part,
    "lower": lambda part: part * 0,
    "higher": lambda part: part.ceil(),
    "midpoint": lambda part: part.ceil() * 0.5,
    # Half goes to the even rank; see _weight.
    "nearest": lambda part: part,
}

_TYPES = (dtypes.float32, dtypes.float64)


def _checked(name: str, x: Any, q: Any, interpolation: str) -> Any:
    """`q` as a tensor of the type of `x`."""
    if x.dtype not in _TYPES:
        raise DTypeError(
            f"{name}: the input must be float32 or float64, got {x.dtype.name}; use x.float()."
        )
    if interpolation not in _WEIGHT:
        raise ArgumentError(
            f"{name}: interpolation={interpolation!r}; use one of {', '.join(_WEIGHT)}."
        )
    if not is_tensor(q):
        if not 0 <= q <= 1:
            raise ArgumentError(f"{name}: q={q} must be in the range [0, 1].")
        return x.new_full((), q)
    if len(q.shape) > 1:
        raise ShapeError(f"{name}: q must be a number or a vector, got shape {tuple(q.shape)}.")
    if q.dtype is not x.dtype:
        raise DTypeError(
            f"{name}: q has type {q.dtype.name} and the input {x.dtype.name}; they must be equal."
        )
    if recording.recorder is None and not all(0 <= value <= 1 for value in q.reshape(-1).tolist()):
        raise ArgumentError(f"{name}: all of q must be in the range [0, 1].")
    return q


def _quantile(
    name: str, x: Any, q: Any, dim: int | None, keepdim: bool, interpolation: str, skips: bool
) -> Any:
    q = _checked(name, x, q, interpolation)
    if not math.prod(x.shape):
        raise ShapeError(f"{name}: the input must not be empty, got shape {tuple(x.shape)}.")
    lines, axis = lines_of(name, x.reshape(-1) if dim is None else x, 0 if dim is None else dim)
    lines = lines.movedim(axis, -1)
    size = lines.shape[-1]
    positions = in_order(lines, len(lines.shape) - 1)
    missing = lines.detach().isnan()
    count = (~missing).sum(-1, keepdim=True) if skips else None
    last = size - 1 if count is None else (count - 1).clamp(min=0)
    rank = q.reshape(-1) * last  # of each line, behind
    if interpolation == "nearest":
        rank = rank.round()
    below = rank.floor()
    weight = _WEIGHT[interpolation](rank - below)
    shape = (*lines.shape[:-1], rank.shape[-1])
    low = below.long().expand(shape)
    high = (below + (weight > 0).to(x.dtype)).long().expand(shape)
    if isinstance(last, int):
        high = high.clamp(max=last)
    axis_behind = len(shape) - 1
    lower = chosen(lines, axis_behind, chosen(positions, axis_behind, low))
    upper = chosen(lines, axis_behind, chosen(positions, axis_behind, high))
    result = lower.lerp(upper, weight.expand(shape))
    if not skips:
        result = result.masked_fill(missing.any(-1, keepdim=True), math.nan)
    return _shaped(x, q, axis, dim, keepdim, result)


def _shaped(x: Any, q: Any, axis: int, dim: int | None, keepdim: bool, result: Any) -> Any:
    """The quantiles behind become the first axis, and the reduced axis 1 or nothing."""
    result = result.movedim(-1, 0)
    if keepdim and x.shape:
        rest = [1] * len(x.shape) if dim is None else [*x.shape[:axis], 1, *x.shape[axis + 1 :]]
        result = result.reshape((result.shape[0], *rest))
    return result if q.shape else result.squeeze(0)


def _numpy(function: Any) -> Any:
    def reference(x: Any, q: Any, dim: Any = None, keepdim: Any = False, **kwargs: Any) -> Any:
        if not x.size:
            raise ValueError("PyTorch refuses an empty input, whichever axis is empty")
        method = kwargs.get("interpolation", "linear")
        return function(x, q, axis=dim, keepdims=keepdim, method=method)

    return reference


_SAMPLES = (
    *operands(((3, 5),), arguments=(0.3,), first=distinct),
    *operands(((3, 5),), arguments=(0.6, 1, True), first=distinct),
    *operands(((4, 2),), arguments=(0.4, 0), kwargs={"interpolation": "midpoint"}, first=distinct),
)


@op(
    method="quantile",
    composite=True,
    dtypes=_TYPES,
    reference=_numpy(np.quantile),
    samples=_SAMPLES,
    errors=[Failure(((3,),), (1.5,), error=ArgumentError, match="range")],
)
class Quantile:
    """The `q`-quantiles of all elements or along `dim`; NaN where an element is.

    Args:
        q: a number from 0 to 1, or a vector of them, whose axis is the first of the result.
        interpolation: what to give between two elements: linear, lower, higher, midpoint, nearest.

    Raises:
        ShapeError: an empty input. ArgumentError: a quantile outside of 0 to 1.

    Example:
        >>> grad.tensor([0.0, 1.0, 2.0, 3.0]).quantile(0.5).item()
        1.5
    """

    @staticmethod
    @rebuilt
    def forward(
        x: Any,
        q: Any,
        dim: int | None = None,
        keepdim: bool = False,
        *,
        interpolation: str = "linear",
    ) -> Any:
        return _quantile("quantile", x, q, dim, keepdim, interpolation, False)


@op(
    method="nanquantile",
    composite=True,
    dtypes=_TYPES,
    reference=_numpy(np.nanquantile),
    samples=_SAMPLES,
)
class Nanquantile:
    """As `quantile`, of the elements that are not NaN."""

    @staticmethod
    def forward(
        x: Any,
        q: Any,
        dim: int | None = None,
        keepdim: bool = False,
        *,
        interpolation: str = "linear",
    ) -> Any:
        return _quantile("nanquantile", x, q, dim, keepdim, interpolation, True)
