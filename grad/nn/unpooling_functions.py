"""The pools that are made of others: by p-norms, undone, and with windows placed at random.

`lp_pool2d` is an average of powers; `max_unpool2d` writes values where `max_pool2d` found them;
`fractional_max_pool2d` is max pooling whose windows begin at positions drawn for each channel. All
for one to three axes (fractional: two, three).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from grad.dtype import dtypes
from grad.errors import ArgumentError, DTypeError, ShapeError
from grad.ops.autocast import autocasts
from grad.ops.gather import checked
from grad.ops.max_pooling import MaxPoolResult, PickPositions, position_dtype
from grad.ops.registry import REGISTRY
from grad.ops.sliding import per_axis, require_image
from grad.tensor import Tensor

Sizes = int | Sequence[int]


# -- powers ----------------------------------------------------------------------------------------
def _lp_pool(
    rank: int, input: Tensor, norm_type: float, kernel_size: Sizes, stride: Any, ceil_mode: bool
) -> Tensor:
    kernel = per_axis(f"lp_pool{rank}d", "kernel_size", kernel_size, rank)
    if math.isinf(norm_type):
        largest = REGISTRY[f"max_pool{rank}d"]
        sign = 1 if norm_type > 0 else -1
        return largest(input.abs() * sign, kernel, stride, 0, 1, ceil_mode) * sign
    mean = REGISTRY[f"avg_pool{rank}d"](input**norm_type, kernel, stride, 0, ceil_mode)
    return (mean.sign() * mean.abs().relu() * math.prod(kernel)) ** (1.0 / norm_type)


def lp_pool1d(
    input: Tensor,
    norm_type: float,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """``sum(x ** p) ** (1 / p)`` of each window of ``(N, C, L)``, for ``p = norm_type``.

    An infinite `norm_type` gives the largest (or, -inf, smallest) absolute value.

    Example:
        >>> lp_pool1d(Tensor([[3.0, 4.0]]), 2, 2).tolist()
        [[5.0]]
    """
    return _lp_pool(1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(
    input: Tensor,
    norm_type: float,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """`lp_pool1d` for windows of ``(N, C, H, W)``."""
    return _lp_pool(2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(
    input: Tensor,
    norm_type: float,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """`lp_pool1d` for windows of ``(N, C, D, H, W)``."""
    return _lp_pool(3, input, norm_type, kernel_size, stride, ceil_mode)


# -- max pooling undone ----------------------------------------------------------------------------
def _unpooled_sizes(
    name: str, rank: int, input: Tensor, kernel: Any, stride: Any, padding: Any, wanted: Any
) -> tuple[int, ...]:
    kernel = per_axis(name, "kernel_size", kernel, rank)
    steps = kernel if stride is None else per_axis(name, "stride", stride, rank)
    around = per_axis(name, "padding", padding, rank)
    usual = tuple(
        (n - 1) * s + k - 2 * p
        for n, s, k, p in zip(input.shape[-rank:], steps, kernel, around, strict=True)
    )
    if wanted is None:
        sizes = usual
    else:
        sizes = tuple(int(n) for n in wanted)
        sizes = sizes[2:] if len(sizes) == rank + 2 else sizes
        if len(sizes) != rank:
            raise ValueError(
                f"{name}: output_size={tuple(wanted)} has {len(wanted)} numbers; needs {rank} or "
                f"{rank + 2}."
            )
        for size, middle, step in zip(sizes, usual, steps, strict=True):
            if not middle - step < size < middle + step:
                raise ValueError(
                    f"{name}: output_size={sizes}; {size} must be between {middle - step} and "
                    f"{middle + step}, so that a pooling gives the input's size."
                )
    if min(sizes) < 0:
        raise ValueError(f"{name}: the result would have sizes {sizes}; none may be negative.")
    return sizes


def _max_unpool(
    rank: int,
    input: Tensor,
    indices: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None,
    padding: Sizes,
    output_size: Sequence[int] | None,
) -> Tensor:
    name = f"max_unpool{rank}d"
    sizes = _unpooled_sizes(name, rank, input, kernel_size, stride, padding, output_size)
    if indices.dtype is not dtypes.int64:
        raise DTypeError(
            f"{name}: the indices have type {indices.dtype.name}, need int64; use indices.long()."
        )
    require_image(name, input, rank)
    if tuple(input.shape) != tuple(indices.shape):
        raise ShapeError(
            f"{name}: expected shape of indices to be the same as that of the input "
            f"{tuple(input.shape)}, but got {tuple(indices.shape)}."
        )
    lead = input.shape[:-rank]
    flat = (*lead, math.prod(input.shape[-rank:]))
    try:
        places = input._wrap(checked(name, indices, math.prod(sizes))).reshape(flat)
    except IndexError as error:
        raise ArgumentError(str(error)) from None
    empty = Tensor.zeros((*lead, math.prod(sizes)), dtype=input.dtype)
    return empty.scatter(-1, places, input.reshape(flat)).reshape((*lead, *sizes))


def max_unpool1d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """``(N, C, L)`` with the values of a `max_pool1d` where they came from, 0 elsewhere.

    `indices` are those of ``max_pool1d(..., return_indices=True)``, the other arguments its own.
    `output_size` chooses among the sizes that the pooling makes the same. Where an index occurs
    twice the later value stays.

    Raises:
        ValueError: `output_size` cannot be. RuntimeError: an index is outside.

    Example:
        >>> values, places = max_pool1d(Tensor([[1.0, 5.0, 2.0, 3.0]]), 2, return_indices=True)
        >>> max_unpool1d(values, places, 2).tolist()
        [[0.0, 5.0, 0.0, 3.0]]
    """
    return _max_unpool(1, input, indices, kernel_size, stride, padding, output_size)


@autocasts
def max_unpool2d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """`max_unpool1d` for ``(N, C, H, W)``."""
    return _max_unpool(2, input, indices, kernel_size, stride, padding, output_size)


@autocasts
def max_unpool3d(
    input: Tensor,
    indices: Tensor,
    kernel_size: Sizes,
    stride: Sizes | None = None,
    padding: Sizes = 0,
    output_size: Sequence[int] | None = None,
) -> Tensor:
    """`max_unpool1d` for ``(N, C, D, H, W)``."""
    return _max_unpool(3, input, indices, kernel_size, stride, padding, output_size)


# -- windows at random -----------------------------------------------------------------------------
def _starts(samples: Tensor, size: int, kernel: int, count: int) -> Tensor:
    """Where windows begin: ``(N, C, count)`` from numbers ``(N, C)`` between 0 and 1.

    Graham, "Fractional max-pooling", 2014: differences are whole numbers around
    ``(size - kernel) / (count - 1)``; the last window ends at the end.
    """
    last = size - kernel
    shape = (*samples.shape, 1)
    if count == 1:
        return Tensor.full(shape, last, dtype=dtypes.int64)
    step = last / (count - 1)
    moved = samples.reshape(shape)
    numbers = Tensor.arange(count - 1, dtype=samples.dtype)
    starts = ((moved + numbers) * step).trunc() - (moved * step).trunc()
    return REGISTRY["cat"]([starts.long(), Tensor.full(shape, last, dtype=dtypes.int64)], -1)


def _fractional_sizes(name: str, rank: int, input: Tensor, size: Any, ratio: Any) -> list[int]:
    if size is None and ratio is None:
        raise ValueError(f"{name}: give output_size or output_ratio.")
    if size is not None:
        return list(per_axis(name, "output_size", size, rank))
    ratios = ratio if isinstance(ratio, list | tuple) else (ratio,) * rank
    if len(ratios) != rank:
        raise ValueError(f"{name}: output_ratio={ratio!r}; needs one number, or {rank}.")
    return [int(n * part) for n, part in zip(input.shape[-rank:], ratios, strict=True)]


def _fractional_max_pool(
    rank: int, input: Tensor, kernel_size: Any, size: Any, ratio: Any, indices: bool, samples: Any
) -> Any:
    name = f"fractional_max_pool{rank}d"
    counts = _fractional_sizes(name, rank, input, size, ratio)
    kernel = per_axis(name, "kernel_size", kernel_size, rank)
    require_image(name, input, rank)
    sizes = tuple(input.shape[-rank:])
    batched = input if len(input.shape) == rank + 2 else input.unsqueeze(0)
    for extent, window, count in zip(sizes, kernel, counts, strict=True):
        if count < 1 or window < 1 or count + window - 1 > extent:
            raise ShapeError(
                f"{name}: {count} windows of {window} do not fit into {extent}; needs "
                f"1 <= output_size <= size - kernel_size + 1."
            )
    outer = tuple(batched.shape[:2])
    if samples is None:
        samples = Tensor.rand((*outer, rank), dtype=input.dtype)
    elif tuple(samples.shape) != (*outer, rank):
        raise ShapeError(
            f"{name}: the random samples have shape {tuple(samples.shape)}, need {(*outer, rank)}."
        )
    starts = []
    for axis, (extent, window, count) in enumerate(zip(sizes, kernel, counts, strict=True)):
        # PyTorch gives the numbers of a window as (x, y), and as (t, h, w).
        drawn = samples[..., rank - 1 - axis if rank == 2 else axis]
        line = _starts(drawn, extent, window, count)
        starts.append(line.reshape((*outer, *(count if a == axis else 1 for a in range(rank)))))
    found = _largest_of_windows(batched.detach(), starts, kernel, counts)
    result = PickPositions.apply(batched, found, sizes, ())
    if len(input.shape) == rank + 1:
        result, found = result.squeeze(0), found.squeeze(0)
    return MaxPoolResult(result, found.long()) if indices else result


def _largest_of_windows(
    input: Tensor, starts: Sequence[Tensor], kernel: Sequence[int], counts: Sequence[int]
) -> Tensor:
    """Flat positions ``(N, C, *counts)`` of each window's largest element; NaN is larger."""
    sizes = tuple(input.shape[2:])
    best: Tensor | None = None
    place: Tensor | None = None
    for offsets in itertools.product(*map(range, kernel)):
        number: Any = 0
        for start, offset, extent in zip(starts, offsets, sizes, strict=True):
            number = number * extent + (start + offset)
        number = number.to(position_dtype(sizes)).expand((*input.shape[:2], *counts))
        value = PickPositions.apply(input, number, sizes, ())
        if best is None or place is None:
            best, place = value, number
            continue
        larger = (value > best) | (value != value)
        best, place = value.where(larger, best), number.where(larger, place)
    assert place is not None
    return place.contiguous()


@autocasts
def fractional_max_pool2d(
    input: Tensor,
    kernel_size: Sizes,
    output_size: Sizes | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """Max pooling of ``(N, C, H, W)`` to `output_size` by windows that begin at random.

    The size of the result is `output_size`, or `output_ratio` (between 0 and 1) times the
    image's. `_random_samples` ``(N, C, 2)``, between 0 and 1, are what is drawn otherwise.

    Raises:
        ValueError: no size is given. RuntimeError: the windows do not fit.

    Example:
        >>> fractional_max_pool2d(Tensor.zeros((1, 3, 9, 9)), 2, output_size=5).shape
        torch.Size([1, 3, 5, 5])
    """
    drawn = _random_samples
    return _fractional_max_pool(
        2, input, kernel_size, output_size, output_ratio, return_indices, drawn
    )


@autocasts
def fractional_max_pool3d(
    input: Tensor,
    kernel_size: Sizes,
    output_size: Sizes | None = None,
    output_ratio: float | Sequence[float] | None = None,
    return_indices: bool = False,
    _random_samples: Tensor | None = None,
) -> Any:
    """`fractional_max_pool2d` for ``(N, C, D, H, W)``; the random samples are ``(N, C, 3)``."""
    drawn = _random_samples
    return _fractional_max_pool(
        3, input, kernel_size, output_size, output_ratio, return_indices, drawn
    )
