"""Images read at positions that are computed: `affine_grid` makes positions, `grid_sample` reads.

Positions run from -1 to 1 over each axis. The elements around a position are read by flat numbers
(`PickPositions` of `grad/ops/max_pooling.py`: its gradient adds them up there), and weighted by
polynomials of the position, through which gradients reach the grid.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence

from grad.autograd.rebuilt import rebuilt
from grad.dtype import DType, dtypes
from grad.errors import DTypeError, ShapeError
from grad.ops.autocast import autocasts
from grad.ops.max_pooling import PickPositions, position_dtype
from grad.ops.promotion import require_tensors
from grad.ops.registry import REGISTRY
from grad.ops.resampling import cubic_weights
from grad.tensor import Tensor

Bounded = Callable[[Tensor, int, bool], Tensor]


# -- positions outside -----------------------------------------------------------------------------
def _reflected(x: Tensor, size: int, align_corners: bool) -> Tensor:
    """Positions mirrored at the first and last elements' centres, or at their outer edges."""
    low, span = (0.0, float(size - 1)) if align_corners else (-0.5, float(size))
    if span == 0:
        return x * 0.0
    distance = (x - low).abs()
    turns = (distance / span).detach().floor()
    rest = distance - turns * span
    even = (turns / 2).floor() * 2 == turns
    return rest.where(even, span - rest) + low


def _clipped(x: Tensor, size: int) -> Tensor:
    """Positions moved into the image; NaN becomes 0, and has no gradient."""
    inside = (x > 0) & (x < size - 1)
    edge = (x.detach() > 0).to(x.dtype) * float(size - 1)
    return x.where(inside, edge)


_OUTSIDE: dict[str, Bounded] = {
    "zeros": lambda x, size, align_corners: x,
    "border": lambda x, size, align_corners: _clipped(x, size),
    "reflection": lambda x, size, align_corners: _clipped(_reflected(x, size, align_corners), size),
}


# -- elements around a position --------------------------------------------------------------------
# Whole numbers in floating point, and weights (None: 1), for the taps along the axis in front.
Taps = tuple[Tensor, Tensor | None]
# From positions, made to broadcast with numbers of taps, and the size of that axis.
Around = Callable[[Tensor, Tensor, Callable[[Tensor], Tensor]], Taps]


def _nearest(x: Tensor, number: Tensor, outside: Callable[[Tensor], Tensor]) -> Taps:
    return outside(x).detach().round(), None


def _linear(x: Tensor, number: Tensor, outside: Callable[[Tensor], Tensor]) -> Taps:
    x = outside(x)
    first = x.detach().floor()
    share = x - first
    return first + number, share.where(number == 1, 1 - share)


def _cubic(x: Tensor, number: Tensor, outside: Callable[[Tensor], Tensor]) -> Taps:
    first = x.detach().floor()
    *others, weight = cubic_weights(x - first)
    for tap, other in reversed(list(enumerate(others))):
        weight = other.where(number == tap, weight)
    return outside(first + (number - 1)).detach().round(), weight


_MODES: dict[str, tuple[int, Around]] = {  # with how many elements along each axis
    "bilinear": (2, _linear),
    "nearest": (1, _nearest),
    "bicubic": (4, _cubic),
}


class _Corners:
    """The elements around each position: their flat numbers (outside of the image -1), and weights.

    Each is of shape ``(N, taps of each axis ..., *out)``: all elements at once, so that reading
    them, and adding up gradients where they are, takes one kernel and not one for each.
    """

    def __init__(self, axes: Sequence[Taps], sizes: Sequence[int]) -> None:
        dtype = position_dtype(tuple(sizes))
        number: Tensor | None = None
        inside: Tensor | None = None
        weight: Tensor | None = None
        for (place, share), size in zip(axes, sizes, strict=True):
            here = (place >= 0) & (place < size)
            inside = here if inside is None else inside & here
            whole = place.where(here, 0).to(dtype)
            number = whole if number is None else number * size + whole
            if share is not None:
                weight = share if weight is None else weight * share
        assert number is not None and inside is not None
        # Stored, since all channels look into them, and scattering does so one by one.
        self.number = number.where(inside, -1).contiguous()
        self.weight = None if weight is None else weight.contiguous()

    def read(self, image: Tensor) -> Tensor:
        """The elements of `image`, weighted and added up, ``(N, C, *out)``; 0 outside."""
        sizes = tuple(image.shape[2:])
        batch, rank = image.shape[0], len(sizes)
        out = tuple(self.number.shape[1 + rank :])
        count = math.prod(self.number.shape[1 : 1 + rank])
        # As an image that is `count` times as high: what `PickPositions` reads.
        number = self.number.reshape((batch, 1, count * out[0], *out[1:]))
        places = number.clamp(min=0).expand((batch, image.shape[1], *number.shape[2:]))
        found = PickPositions.apply(image, places, sizes, ()).where(number >= 0, 0)
        found = found.reshape((batch, image.shape[1], count, *out))
        if self.weight is None:
            return found.squeeze(2)
        return (found * self.weight.reshape((batch, 1, count, *out))).sum(2)


@autocasts
def grid_sample(
    input: Tensor,
    grid: Tensor,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Tensor:
    """Images read at the positions in `grid`, with interpolation.

    `mode` is ``"bilinear"``, ``"nearest"`` or ``"bicubic"``; positions outside read 0
    (`padding_mode` ``"zeros"``), the edge (``"border"``) or the mirrored image
    (``"reflection"``). -1 and 1 are the outer edges of the image, with `align_corners` the centres
    of its first and last elements.

    Shape:
        input ``(N, C, H, W)`` and grid ``(N, H', W', 2)`` of (x, y): result ``(N, C, H', W')``; or
        ``(N, C, D, H, W)`` and ``(N, D', H', W', 3)`` of (x, y, z).

    Raises:
        ValueError: a mode is unknown. RuntimeError: shapes or dtypes do not fit.

    Example:
        >>> image = Tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
        >>> grid_sample(image, Tensor([[[[0.0, 0.0]]]]), align_corners=True).item()
        2.5
    """
    if mode not in _MODES:
        raise ValueError(f"grid_sample: mode={mode!r}; use one of {', '.join(_MODES)}.")
    if padding_mode not in _OUTSIDE:
        raise ValueError(
            f"grid_sample: padding_mode={padding_mode!r}; use one of {', '.join(_OUTSIDE)}."
        )
    align_corners = _aligned("grid_sample", align_corners)
    _check_grid(input, grid, mode)
    return _sampled(input, grid, mode, padding_mode, align_corners)


@rebuilt
def _sampled(
    input: Tensor, grid: Tensor, mode: str, padding_mode: str, align_corners: bool
) -> Tensor:
    sizes = tuple(input.shape[2:])
    rank, out = len(sizes), tuple(grid.shape[1:-1])
    wide = dtypes.float32 if input.dtype.itemsize < 4 else input.dtype
    image, places = input.to(wide), grid.to(wide)
    count, around = _MODES[mode]
    axes: list[Taps] = []
    for axis, size in enumerate(sizes):
        x = places[..., rank - 1 - axis]
        x = (x + 1) * ((size - 1) / 2) if align_corners else (x + 1) * (size / 2) - 0.5

        def outside(x: Tensor, size: int = size) -> Tensor:
            return _OUTSIDE[padding_mode](x, size, align_corners)

        shape = [count if a == axis else 1 for a in range(rank)]
        number = Tensor.arange(count, dtype=wide).reshape((1, *shape, *[1] * rank))
        axes.append(around(x.reshape((input.shape[0], *[1] * rank, *out)), number, outside))
    return _Corners(axes, sizes).read(image).to(input.dtype)


def _aligned(name: str, align_corners: bool | None) -> bool:
    if align_corners is None:
        warnings.warn(
            f"{name}: align_corners is False unless given, since PyTorch 1.3; say which you mean.",
            stacklevel=3,
        )
    return bool(align_corners)


def _check_grid(input: Tensor, grid: Tensor, mode: str) -> None:
    require_tensors("grid_sample", input=input, grid=grid)
    rank = len(input.shape) - 2
    if rank not in (2, 3) or len(grid.shape) != rank + 2 or grid.shape[-1] != rank:
        raise ShapeError(
            f"grid_sample: input has shape {tuple(input.shape)} and grid {tuple(grid.shape)}; "
            f"needs (N, C, H, W) and (N, H', W', 2), or (N, C, D, H, W) and (N, D', H', W', 3)."
        )
    if input.shape[0] != grid.shape[0]:
        raise ShapeError(
            f"grid_sample: expected grid and input to have the same batch size, but got "
            f"{grid.shape[0]} and {input.shape[0]}; use grid.expand(...)."
        )
    if 0 in input.shape[2:]:
        raise ShapeError(f"grid_sample: the input {tuple(input.shape)} has an empty axis.")
    if mode == "bicubic" and rank == 3:
        raise ShapeError("grid_sample: mode='bicubic' is for 4-D inputs; use 'bilinear'.")
    if input.dtype is not grid.dtype:
        raise DTypeError(
            f"grid_sample: input has type {input.dtype.name} and grid {grid.dtype.name}; use "
            f"grid.to(input.dtype)."
        )
    if input.dtype.kind != "f":
        raise NotImplementedError(
            f"grid_sample: not defined for {input.dtype.name}; use input.float()."
        )


def affine_grid(theta: Tensor, size: Sequence[int], align_corners: bool | None = None) -> Tensor:
    """The positions for `grid_sample` that move an image by the affine maps `theta`.

    `size` is that of the images wanted: ``(N, C, H, W)`` or ``(N, C, D, H, W)``.

    Shape:
        theta ``(N, 2, 3)``: result ``(N, H, W, 2)``; ``(N, 3, 4)``: ``(N, D, H, W, 3)``.

    Raises:
        ValueError: theta is not floating point or has another shape, or a size is not positive.
        NotImplementedError: `size` has neither 4 nor 5 numbers.

    Example:
        >>> affine_grid(Tensor([[[1.0, 0, 0], [0, 1, 0]]]), (1, 1, 1, 2), False).tolist()
        [[[[-0.5, 0.0], [0.5, 0.0]]]]
    """
    align_corners = _aligned("affine_grid", align_corners)
    require_tensors("affine_grid", theta=theta)
    sizes = [int(n) for n in size]
    rank = len(sizes) - 2
    if theta.dtype.kind != "f":
        raise ValueError(
            f"affine_grid: theta has type {theta.dtype.name}, needs floating point; use "
            f"theta.float()."
        )
    if rank not in (2, 3):
        raise NotImplementedError(f"affine_grid: size={tuple(sizes)}; needs 4 or 5 numbers.")
    if len(theta.shape) != 3 or tuple(theta.shape[1:]) != (rank, rank + 1):
        raise ValueError(
            f"affine_grid: for size={tuple(sizes)} theta has the shape (N, {rank}, {rank + 1}), "
            f"but got {tuple(theta.shape)}."
        )
    if min(sizes) <= 0:
        raise ValueError(f"affine_grid: size={tuple(sizes)}; every number must be positive.")
    if theta.shape[0] != sizes[0]:
        raise ShapeError(
            f"affine_grid: theta has {theta.shape[0]} maps, size={tuple(sizes)} {sizes[0]} images."
        )
    spatial = sizes[2:]
    columns = []
    for axis in reversed(range(rank)):
        line = _centres(spatial[axis], align_corners, theta.dtype)
        shape = [-1 if a == axis else 1 for a in range(rank)]
        columns.append(line.reshape(shape).expand(spatial))
    columns.append(Tensor.ones(spatial, dtype=theta.dtype))
    base = REGISTRY["stack"](columns, -1).reshape((math.prod(spatial), rank + 1))
    return (base @ theta.mT).reshape((sizes[0], *spatial, rank))


def _centres(count: int, align_corners: bool, dtype: DType) -> Tensor:
    """The positions of `count` elements between -1 and 1."""
    if count <= 1:
        return Tensor.zeros((count,), dtype=dtype)
    line = Tensor.linspace(-1, 1, count, dtype=dtype)
    return line if align_corners else line * ((count - 1) / count)
