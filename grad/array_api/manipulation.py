"""Shapes: joining, splitting, moving and repeating axes and elements."""

from __future__ import annotations

import math

from grad.array_api.operands import promoted, require_tensor
from grad.errors import ShapeError
from grad.graph.node import broadcast_shapes
from grad.ops.axes import normal_axes, normal_axis
from grad.ops.registry import REGISTRY
from grad.tensor import Tensor

Axes = int | tuple[int, ...]


def broadcast_arrays(*arrays: Tensor) -> list[Tensor]:
    """All `arrays` as views of their common shape."""
    tensors = [require_tensor("broadcast_arrays", array) for array in arrays]
    if not tensors:
        return []
    shape = broadcast_shapes("broadcast_arrays", *[tensor.shape for tensor in tensors])
    return [tensor.expand(shape) for tensor in tensors]


def broadcast_to(x: Tensor, /, shape: tuple[int, ...]) -> Tensor:
    """`x` as a view of `shape`: axes of size 1 repeat, new ones come in front."""
    return require_tensor("broadcast_to", x).broadcast_to(shape)


def concat(arrays: tuple[Tensor, ...] | list[Tensor], /, *, axis: int | None = 0) -> Tensor:
    """`arrays` one after the other along `axis`; flattened first if it is None."""
    tensors = promoted("concat", arrays)
    if axis is None:
        return REGISTRY["cat"].call([tensor.reshape(-1) for tensor in tensors], 0)
    normal_axis("concat", axis, len(tensors[0].shape))
    return REGISTRY["cat"].call(tensors, axis)


def stack(arrays: tuple[Tensor, ...] | list[Tensor], /, *, axis: int = 0) -> Tensor:
    """`arrays`, of one shape, along a new axis."""
    return REGISTRY["stack"].call(promoted("stack", arrays), axis)


def unstack(x: Tensor, /, *, axis: int = 0) -> tuple[Tensor, ...]:
    """The parts of `x` along `axis`, which they do not have."""
    return tuple(require_tensor("unstack", x).unbind(axis))


def expand_dims(x: Tensor, /, axis: int) -> Tensor:
    """`x` with a new axis of size 1 in the place `axis`."""
    return require_tensor("expand_dims", x).unsqueeze(axis)


def squeeze(x: Tensor, /, axis: Axes) -> Tensor:
    """`x` without `axis`, one or several, all of size 1.

    Raises:
        ShapeError: an axis has another size.
    """
    shape = require_tensor("squeeze", x).shape
    axes = normal_axes("squeeze", axis, len(shape)) if axis != () else ()
    for one in axes:
        if shape[one] != 1:
            raise ShapeError(f"squeeze: axis {one} of shape {shape} does not have size 1.")
    return x.reshape([size for place, size in enumerate(shape) if place not in axes])


def flip(x: Tensor, /, *, axis: Axes | None = None) -> Tensor:
    """`x` with its elements in reverse along `axis`, one or several; along all if None."""
    rank = len(require_tensor("flip", x).shape)
    return x.flip(tuple(range(rank)) if axis is None else axis)


def moveaxis(x: Tensor, source: Axes, destination: Axes, /) -> Tensor:
    """`x` with the axes `source` moved to the places `destination`; others keep their order."""
    return require_tensor("moveaxis", x).movedim(source, destination)


def permute_dims(x: Tensor, /, axes: tuple[int, ...]) -> Tensor:
    """`x` with its axes in the order `axes`."""
    return require_tensor("permute_dims", x).permute(axes)


def repeat(x: Tensor, repeats: int | Tensor, /, *, axis: int | None = None) -> Tensor:
    """`x` with each element along `axis` so many times; flattened first if `axis` is None.

    The shape depends on the values of `repeats` where that is an array, so it computes them.
    """
    lines = require_tensor("repeat", x).reshape(-1) if axis is None else x
    place = 0 if axis is None else axis
    if isinstance(repeats, Tensor) and repeats.shape in ((), (1,)):
        repeats = int(repeats.item())
    return lines.repeat_interleave(repeats, place)


def reshape(x: Tensor, /, shape: tuple[int, ...], *, copy: bool | None = None) -> Tensor:
    """The elements of `x` in `shape`, of which one size may be -1; a view where that is possible.

    Raises:
        ShapeError: `copy` is False, and there is no view. It is a ValueError.
    """
    if copy is False:
        return require_tensor("reshape", x).view(shape)
    result = require_tensor("reshape", x).reshape(shape)
    return result.clone() if copy else result


def roll(x: Tensor, /, shift: Axes, *, axis: Axes | None = None) -> Tensor:
    """`x` with its elements moved on by `shift` along `axis`, those at the end to the front."""
    require_tensor("roll", x)
    if axis is None:
        if math.prod(x.shape) == 0:
            return x.clone()
        return x.reshape(-1).roll(shift, 0).reshape(x.shape)
    axes = axis if isinstance(axis, tuple) else (axis,)
    shifts = shift if isinstance(shift, tuple) else (shift,) * len(axes)
    return x.roll(shifts, axes)


def tile(x: Tensor, repetitions: tuple[int, ...], /) -> Tensor:
    """`x` side by side, so many times along each axis; missing axes and numbers are 1."""
    return require_tensor("tile", x).tile(repetitions)
