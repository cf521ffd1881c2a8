"""Elements in other places: `rot90`, `repeat_interleave`, `pixel_shuffle`, `ravel` and relatives.

Each is a few movements, so that it costs nothing of its own where its result is only read.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from grad.dtype import dtypes
from grad.errors import ArgumentError, DTypeError, ShapeError
from grad.graph.arrays import node_of
from grad.ops.axes import normal_axis
from grad.ops.convert import array_view
from grad.ops.diagonals import scattered
from grad.ops.index import Take
from grad.ops.index_plan import parse
from grad.ops.promotion import apart, is_tensor
from grad.ops.registry import ALL, Failure, Sample, op
from grad.ops.view import sizes_of


@op(
    method="rot90",
    dtypes=ALL,
    composite=True,
    reference=lambda x, k=1, dims=(0, 1): np.rot90(x, k, dims),
    samples=[Sample(((2, 3),)), Sample(((2, 3, 2),), (-1, (2, 0))), Sample(((2, 3),), (2,))],
    errors=[
        Failure(((2, 3),), (1, (0,)), match="two"),
        Failure(((2, 3),), (1, (0, 0)), match="two"),
        Failure(((2,),), match="2 dimensions"),
        Failure(((2, 3),), (1, (0, 2)), match="out of range"),
    ],
)
class Rotate:
    """`k` quarter turns in the plane of `dims`, from the first towards the second; a copy."""

    @staticmethod
    def forward(x: Any, k: int = 1, dims: Any = (0, 1)) -> Any:
        rank = len(x.shape)
        given = sizes_of("rot90", (dims,))
        if len(given) != 2 or rank < 2:
            raise ShapeError(
                f"rot90: needs two axes of a tensor of 2 dimensions or more, got dims {given} and "
                f"shape {tuple(x.shape)}."
            )
        for dim in given:
            if not -rank <= dim < rank:
                raise ShapeError(f"rot90: dim {dim} is out of range for {rank} dimensions.")
        first, second = (normal_axis("rot90", dim, rank) for dim in given)
        if first == second:
            raise ShapeError(f"rot90: dims {given} must be two different axes.")
        turns = k % 4
        if turns == 1:
            return x.flip(second).transpose(first, second)
        if turns == 2:
            return x.flip(first, second)
        return x.flip(first).transpose(first, second) if turns else x.clone()


@op(method="fliplr", dtypes=ALL, composite=True, reference=np.fliplr, samples=[Sample(((2, 3),))])
class FlipLeftRight:
    """Columns in reverse order: axis 1 runs backward."""

    @staticmethod
    def forward(x: Any) -> Any:
        if len(x.shape) < 2:
            raise ShapeError(f"fliplr: needs 2 dimensions or more, got shape {tuple(x.shape)}.")
        return x.flip(1)


@op(method="flipud", dtypes=ALL, composite=True, reference=np.flipud, samples=[Sample(((2, 3),))])
class FlipUpDown:
    """Rows in reverse order: axis 0 runs backward."""

    @staticmethod
    def forward(x: Any) -> Any:
        if not x.shape:
            raise ShapeError("flipud: needs 1 dimension or more, got a number.")
        return x.flip(0)


@op(
    method="ravel",
    view=True,
    dtypes=ALL,
    composite=True,
    reference=np.ravel,
    samples=[Sample(((2, 3),)), Sample(((),))],
)
class Ravel:
    """All elements as a vector; a view where that can be."""

    @staticmethod
    def forward(x: Any) -> Any:
        return x.reshape(-1)


@op(method="adjoint", view=True, dtypes=ALL, composite=True)
class Adjoint:
    """The last two axes exchanged: the conjugate transpose, all numbers being real."""

    @staticmethod
    def forward(x: Any) -> Any:
        if len(x.shape) == 1:
            raise ShapeError(f"adjoint: needs 2 dimensions or more, got shape {tuple(x.shape)}.")
        return x.transpose(-2, -1) if x.shape else x


@op(method="narrow_copy", dtypes=ALL, composite=True)
class NarrowCopy:
    """`narrow` as a copy."""

    @staticmethod
    def forward(x: Any, dim: int, start: int, length: int) -> Any:
        return x.narrow(dim, start, length).clone()


# -- copies with a part replaced -------------------------------------------------------------------
@op(method="select_scatter", dtypes=ALL, composite=True)
class SelectScatter:
    """A copy of `x` with `src` at position `index` of axis `dim`."""

    @staticmethod
    def forward(x: Any, src: Any, dim: int, index: int) -> Any:
        axis = normal_axis("select_scatter", dim, len(x.shape))
        path = parse(x.shape, (*[slice(None)] * axis, index)).path
        return scattered("select_scatter", x, src, path)


@op(method="slice_scatter", dtypes=ALL, composite=True)
class SliceScatter:
    """A copy of `x` with `src` in the slice ``start:end:step`` of axis `dim`."""

    @staticmethod
    def forward(
        x: Any,
        src: Any,
        dim: int = 0,
        start: int | None = None,
        end: int | None = None,
        step: int = 1,
    ) -> Any:
        axis = normal_axis("slice_scatter", dim, len(x.shape))
        if step < 1:
            raise ArgumentError(f"slice_scatter: step is {step}, it must be 1 or more.")
        path = parse(x.shape, (*[slice(None)] * axis, slice(start, end, step))).path
        return scattered("slice_scatter", x, src, path)


# -- copies of elements ----------------------------------------------------------------------------
@op(
    method="repeat_interleave",
    dtypes=ALL,
    composite=True,
    reference=lambda x, repeats, dim=None: np.repeat(x, repeats, dim),
    samples=[Sample(((2, 3),), (2,)), Sample(((2, 3),), (3, 1))],
    errors=[
        Failure(((2, 3),), (-1,), error=ArgumentError),
        Failure(((2, 3),), (2, 2), error=IndexError),
    ],
)
class RepeatInterleave:
    """Each element (or slice along `dim`) `repeats` times in a row.

    `repeats` is a number or an integer tensor with one for each; a tensor is computed, since the
    size of the result depends on it. Without `repeats`, position i ``x[i]`` times for each i.

    Example:
        >>> grad.tensor([7, 8]).repeat_interleave(grad.tensor([1, 2])).tolist()
        [7, 8, 8]
    """

    @staticmethod
    def forward(
        x: Any, repeats: Any = None, dim: int | None = None, *, output_size: int | None = None
    ) -> Any:
        if repeats is None:
            counts = _counts(x, output_size)
            return x._wrap(node_of(np.repeat(np.arange(counts.size), counts), x.dtype))
        if dim is None:
            x, dim = x.reshape(-1), 0
        axis = normal_axis("repeat_interleave", dim, len(x.shape))
        lines = x if x.shape else x.reshape(1)
        size = lines.shape[axis]
        if not is_tensor(repeats):
            return _repeated(lines, repeats, axis, output_size)
        counts = _counts(repeats, output_size if repeats.shape not in ((), (1,)) else None)
        if counts.size == 1:
            return _repeated(lines, int(counts[0]), axis, output_size)
        if counts.size != size:
            raise ShapeError(
                f"repeat_interleave: there are {counts.size} repeats for {size} elements along "
                f"axis {axis}; give one number, or one for each."
            )
        index = node_of(np.repeat(np.arange(size), counts), dtypes.int64)
        return Take.apply(lines, axis, index)


def _counts(repeats: Any, total: int | None) -> np.ndarray:
    """The numbers of repeats; checked."""
    if repeats.dtype not in (dtypes.int32, dtypes.int64):
        raise DTypeError(
            f"repeat_interleave: repeats must be of type int32 or int64, not {repeats.dtype.name}."
        )
    if len(repeats.shape) > 1:
        raise ShapeError(
            f"repeat_interleave: repeats must have 0 or 1 dimensions, got {tuple(repeats.shape)}."
        )
    counts = np.atleast_1d(array_view(repeats))
    if counts.size and counts.min() < 0:
        raise ArgumentError("repeat_interleave: repeats cannot be negative.")
    if total is not None and total != counts.sum():
        raise ArgumentError(
            f"repeat_interleave: output_size is {total}, but the repeats sum to {counts.sum()}."
        )
    return counts


def _repeated(x: Any, repeats: int, axis: int, total: int | None) -> Any:
    if repeats < 0:
        raise ArgumentError(f"repeat_interleave: repeats cannot be negative, got {repeats}.")
    shape = list(x.shape)
    shape[axis] *= repeats
    if total is not None and total != shape[axis]:
        raise ArgumentError(
            f"repeat_interleave: output_size is {total}, but there are {shape[axis]} elements."
        )
    spread = (*x.shape[: axis + 1], repeats, *x.shape[axis + 1 :])
    return x.unsqueeze(axis + 1).expand(spread).clone().reshape(shape)


# -- channels and pixels ---------------------------------------------------------------------------
def _require_image(name: str, x: Any) -> None:
    if len(x.shape) < 3:
        raise ShapeError(f"{name}: needs (..., c, h, w), got shape {tuple(x.shape)}.")


@op(
    function="pixel_shuffle",
    dtypes=ALL,
    composite=True,
    samples=[Sample(((2, 4, 1, 3),), (2,))],
    reference=lambda x, r: (
        x.reshape(x.shape[0], x.shape[1] // r**2, r, r, *x.shape[-2:])
        .transpose(0, 1, 4, 2, 5, 3)
        .reshape(x.shape[0], x.shape[1] // r**2, x.shape[2] * r, x.shape[3] * r)
    ),
    errors=[
        Failure(((3, 2, 2),), (2,), match="divisible"),
        Failure(((4, 2),), (2,), match="h, w"),
        Failure(((4, 2, 2),), (0,), error=ArgumentError),
    ],
)
class PixelShuffle:
    """Channels as pixels: ``(..., c * r * r, h, w)`` to ``(..., c, h * r, w * r)``.

    Shi et al., "Real-time single image and video super-resolution", 2016.
    """

    @staticmethod
    def forward(x: Any, upscale_factor: int) -> Any:
        _require_image("pixel_shuffle", x)
        r = upscale_factor
        if r < 1:
            raise ArgumentError(f"pixel_shuffle: upscale_factor is {r}, it must be 1 or more.")
        *lead, channels, height, width = x.shape
        if channels % (r * r):
            raise ShapeError(
                f"pixel_shuffle: the number of channels, {channels}, must be divisible by the "
                f"square of upscale_factor {r}."
            )
        split = x.reshape(*lead, channels // (r * r), r, r, height, width)
        n = len(lead)
        turned = split.permute(*range(n + 1), n + 3, n + 1, n + 4, n + 2)
        return apart(turned.reshape(*lead, channels // (r * r), height * r, width * r), x)


@op(
    function="pixel_unshuffle",
    dtypes=ALL,
    composite=True,
    errors=[
        Failure(((1, 2, 3),), (2,), match="divisible"),
        Failure(((4, 2),), (2,), match="h, w"),
        Failure(((4, 2, 2),), (0,), error=ArgumentError),
    ],
)
class PixelUnshuffle:
    """Pixels as channels, `pixel_shuffle` reversed: ``(..., c, h * r, w * r)`` to
    ``(..., c * r * r, h, w)``.
    """

    @staticmethod
    def forward(x: Any, downscale_factor: int) -> Any:
        _require_image("pixel_unshuffle", x)
        r = downscale_factor
        if r < 1:
            raise ArgumentError(f"pixel_unshuffle: downscale_factor is {r}, it must be 1 or more.")
        *lead, channels, height, width = x.shape
        if height % r or width % r:
            raise ShapeError(
                f"pixel_unshuffle: height {height} and width {width} must be divisible by "
                f"downscale_factor {r}."
            )
        split = x.reshape(*lead, channels, height // r, r, width // r, r)
        n = len(lead)
        turned = split.permute(*range(n + 1), n + 2, n + 4, n + 1, n + 3)
        return apart(turned.reshape(*lead, channels * r * r, height // r, width // r), x)


@op(
    function="channel_shuffle",
    aliases=("native_channel_shuffle",),
    dtypes=ALL,
    composite=True,
    samples=[Sample(((2, 6, 2),), (3,))],
    reference=lambda x, groups: (
        x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])
        .swapaxes(1, 2)
        .reshape(x.shape)
    ),
    errors=[
        Failure(((1, 3, 2),), (2,), match="divisible"),
        Failure(((4, 2),), (2,), match="3 dimensions"),
        Failure(((1, 4, 2),), (0,), error=ArgumentError),
    ],
)
class ChannelShuffle:
    """Channels ``(n, groups * c, ...)`` in the order of a card shuffle: one of each group in turn.

    Zhang et al., "ShuffleNet", 2018.
    """

    @staticmethod
    def forward(x: Any, groups: int) -> Any:
        if len(x.shape) < 3:
            raise ShapeError(
                f"channel_shuffle: needs 3 dimensions or more, got shape {tuple(x.shape)}."
            )
        if groups < 1:
            raise ArgumentError(f"channel_shuffle: groups is {groups}, it must be 1 or more.")
        n, channels, *rest = x.shape
        if channels % groups:
            raise ShapeError(
                f"channel_shuffle: the number of channels, {channels}, must be divisible by "
                f"groups {groups}."
            )
        split = x.reshape(n, groups, channels // groups, *rest)
        return apart(split.transpose(1, 2).reshape(x.shape), x)
