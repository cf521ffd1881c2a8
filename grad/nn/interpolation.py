"""Images of another size: `interpolate`, and its older names.

Interpolation is separable: one axis after the other is resampled (`grad/ops/resampling.py`), with
positions and weights that depend on sizes only. Where a size is multiplied by a whole number, the
nearest elements are repetitions, which move nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from grad.autograd.rebuilt import rebuilt
from grad.dtype import dtypes
from grad.errors import ArgumentError, ShapeError
from grad.ops.calls import within_memory
from grad.ops.creation import checked_shape
from grad.ops.promotion import apart
from grad.ops.registry import REGISTRY
from grad.ops.resampling import (
    Choose,
    Resample,
    Scale,
    Taps,
    cubic_taps,
    linear_taps,
    nearest_places,
    smoothing_taps,
)
from grad.tensor import Tensor

Sizes = int | Sequence[int]
Factors = float | Sequence[float]

# Which number of image axes each mode with weights is for.
_RANKS = {"linear": (1,), "bilinear": (2,), "trilinear": (3,), "bicubic": (2,), "lanczos": (2,)}
_TAPS: dict[str, Callable[[Scale], Taps]] = {
    "linear": linear_taps,
    "bilinear": linear_taps,
    "trilinear": linear_taps,
    "bicubic": cubic_taps,
}
_COPIES = ("nearest", "nearest-exact", "area")


@rebuilt
def interpolate(
    input: Tensor,
    size: Sizes | None = None,
    scale_factor: Factors | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Tensor:
    """Images ``(N, C, *sizes)`` with one to three axes resampled to another size.

    `size` is that of the result, or `scale_factor` what the sizes are multiplied by; one number, or
    one for each axis. `mode` is ``"nearest"``, ``"nearest-exact"`` (by the centres of elements),
    ``"area"`` (means), ``"linear"``, ``"bilinear"``, ``"trilinear"`` (for one, two, three axes),
    ``"bicubic"`` or ``"lanczos"`` (two axes; lanczos with `antialias` only). `align_corners` keeps
    the first and last elements in place. With `recompute_scale_factor` positions follow from the
    sizes instead of the factor. `antialias` widens the filter where the result is smaller.

    Raises:
        ValueError, NotImplementedError: the arguments contradict each other or the input.

    Example:
        >>> interpolate(Tensor([[[1.0, 3.0]]]), scale_factor=2, mode="linear").tolist()
        [[[1.0, 1.5, 2.5, 3.0]]]
    """
    rank = len(input.shape) - 2
    if mode in _COPIES and align_corners is not None:
        raise ValueError(
            "interpolate: align_corners is only for mode='linear', 'bilinear', 'bicubic' and "
            "'trilinear'; leave it out."
        )
    counts, factors = _counts(input, rank, size, scale_factor, mode, recompute_scale_factor)
    if antialias and not (mode in ("bilinear", "bicubic", "lanczos") and rank == 2):
        raise ValueError(
            "interpolate: antialias=True needs mode='bilinear', 'bicubic' or 'lanczos' and a 4-D "
            f"input; got mode={mode!r} and {rank + 2} axes."
        )
    _check_mode(rank, mode, bool(align_corners), antialias)
    if mode != "area":
        _check_sizes(input, counts)
    checked_shape("interpolate", (*input.shape[:2], *counts), input.dtype)
    if mode == "area":
        return REGISTRY[f"adaptive_avg_pool{rank}d"](input, counts)
    with within_memory("interpolate"):
        if mode in _COPIES:
            return _nearest(input, counts, factors, mode == "nearest-exact")
        return _weighted(input, counts, factors, mode, bool(align_corners), antialias)


def _one_for_each(what: str, given: Any, rank: int) -> list[Any]:
    if not isinstance(given, list | tuple):
        return [given] * rank
    if len(given) != rank:
        raise ValueError(
            f"interpolate: {what}={tuple(given)} has {len(given)} numbers, the input has {rank} "
            f"axes after batch and channels; give one number for each."
        )
    return list(given)


def _counts(
    input: Tensor, rank: int, size: Any, scale_factor: Any, mode: str, recompute: bool | None
) -> tuple[list[int], list[float | None]]:
    """The sizes of the result, and the factors that positions are computed by."""
    if (size is None) == (scale_factor is None):
        which = "either size or scale_factor" if size is None else "only one of size, scale_factor"
        raise ValueError(f"interpolate: {which} should be given.")
    if size is not None:
        counts = _one_for_each("size", size, rank)
        if recompute:
            raise ValueError("interpolate: recompute_scale_factor needs scale_factor, not size.")
        if not all(hasattr(n, "__index__") for n in counts):
            raise TypeError(f"interpolate: size={size!r}; needs an int or a sequence of ints.")
        return [n.__index__() for n in counts], [None] * rank
    factors = _one_for_each("scale_factor", scale_factor, rank)
    counts = [int(n * factor) for n, factor in zip(input.shape[2:], factors, strict=True)]
    return counts, [None] * rank if recompute or mode == "area" else factors


def _check_mode(rank: int, mode: str, align_corners: bool, antialias: bool) -> None:
    ranks = (1, 2, 3) if mode in _COPIES else _RANKS.get(mode, ())
    if rank not in ranks:
        needed = " or ".join(f"{n + 2}-D" for n in ranks)
        hint = f"it needs a {needed} input" if ranks else f"use one of {[*_COPIES, *_RANKS]}"
        raise NotImplementedError(
            f"interpolate: mode={mode!r} with an input of {rank + 2} axes; {hint}."
        )
    if mode == "lanczos" and (align_corners or not antialias):
        raise ValueError("interpolate: mode='lanczos' needs antialias=True, align_corners=False.")


def _check_sizes(input: Tensor, counts: Sequence[int]) -> None:
    if 0 in input.shape[1:]:
        raise ShapeError(
            f"interpolate: the input has shape {tuple(input.shape)}; only its batch may be empty."
        )
    if min(counts) < 1:
        raise ArgumentError(
            f"interpolate: the result would have sizes {tuple(counts)}; needs at least 1."
        )


def _scale(input: Tensor, axis: int, count: int, factor: Any, align_corners: bool) -> Scale:
    precise = np.float64 if input.dtype is dtypes.float64 else np.float32
    return Scale(input.shape[axis], count, factor, align_corners, precise)


def _nearest(input: Tensor, counts: Sequence[int], factors: Sequence[Any], exact: bool) -> Tensor:
    if not (input.dtype.kind == "f" or input.dtype is dtypes.uint8):
        raise NotImplementedError(
            f"interpolate: not defined for {input.dtype.name}; use input.float()."
        )
    result = input
    for axis, (count, factor) in enumerate(zip(counts, factors, strict=True), -len(counts)):
        size = result.shape[axis]
        scale = Scale(size, count, factor, False, np.float32)
        places = nearest_places(scale, exact)
        if (places == np.arange(count)).all() and size == count:
            continue
        if count % size == 0 and (places == np.arange(count) // (count // size)).all():
            result = _repeated(result, axis, count // size)
        else:
            result = Choose.apply(result, axis, places)
    return apart(result, input).contiguous()  # an axis of size 1 is repeated as a view


def _repeated(input: Tensor, axis: int, times: int) -> Tensor:
    at = len(input.shape) + axis
    lead, tail = input.shape[: at + 1], input.shape[at + 1 :]
    apart = input.reshape((*lead, 1, *tail)).expand((*lead, times, *tail))
    return apart.reshape((*lead[:-1], lead[-1] * times, *tail))


def _weighted(
    input: Tensor,
    counts: Sequence[int],
    factors: Sequence[Any],
    mode: str,
    align_corners: bool,
    antialias: bool,
) -> Tensor:
    if not (input.dtype.kind == "f" or (input.dtype is dtypes.uint8 and len(counts) == 2)):
        raise NotImplementedError(
            f"interpolate: mode={mode!r} is not defined for {input.dtype.name}; use input.float()."
        )
    wide = dtypes.float32 if input.dtype.itemsize < 4 else input.dtype
    result = input.to(wide)
    for axis in range(-1, -len(counts) - 1, -1):
        scale = _scale(result, axis, counts[axis], factors[axis], align_corners)
        if scale.size == scale.count and scale.step == 1:
            continue
        taps = smoothing_taps(scale, mode) if antialias else _TAPS[mode](scale)
        result = Resample.apply(result, axis, taps)
        if input.dtype is dtypes.uint8:
            # Each pass gives bytes, as in PyTorch and Pillow.
            result = (result + 0.5).floor().clamp(0, 255)
    return result.clone() if result is input else result.to(input.dtype)


def upsample(
    input: Tensor,
    size: Sizes | None = None,
    scale_factor: Factors | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """The older name of `interpolate`."""
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(
    input: Tensor, size: Sizes | None = None, scale_factor: Factors | None = None
) -> Tensor:
    """`interpolate` with ``mode="nearest"``."""
    return interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(
    input: Tensor, size: Sizes | None = None, scale_factor: Factors | None = None
) -> Tensor:
    """`interpolate` with ``mode="bilinear"`` and ``align_corners=True``."""
    return interpolate(input, size, scale_factor, "bilinear", align_corners=True)
