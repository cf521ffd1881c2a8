"""Axes as users write them: negative, single, several, or none for all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import index
from typing import Any

from grad.errors import AxisError, DTypeError, ShapeError, a_kind_of
from grad.graph.node import Node, reshape

Shape = tuple[int, ...]
Dims = Any  # None, an int, or a sequence of ints


def normal_axis(name: str, dim: int, rank: int) -> int:
    """`dim` counted from the front; a 0-dimensional tensor counts as having one axis, as in
    PyTorch.
    """
    try:
        axis = dim.__index__()
    except AttributeError:
        raise DTypeError(f"{name}: dim must be an int, got {type(dim).__name__}.") from None
    size = max(rank, 1)
    if not -size <= axis < size:
        raise AxisError(
            f"{name}: dim {dim} is out of range for a tensor of {rank} dimensions; "
            f"use a number from {-size} to {size - 1}."
        )
    return axis + size if axis < 0 else axis


def normal_axes(name: str, dim: Dims, rank: int) -> tuple[int, ...]:
    """The axes `dim` means, ascending; None and () mean all of them."""
    if dim is None:
        return tuple(range(rank))
    if not isinstance(dim, list | tuple):
        dim = (dim,)
    if not dim:
        return tuple(range(rank))
    axes = distinct_axes(name, dim, rank)
    return tuple(sorted(axes)) if rank else ()


def distinct_axes(name: str, dim: Sequence[int], rank: int) -> list[int]:
    """The axes `dim`, counted from the front, none of them twice."""
    axes = [normal_axis(name, d, rank) for d in dim]
    if len(set(axes)) != len(axes):
        raise ShapeError(f"{name}: dim {tuple(dim)} names an axis twice; name each axis once.")
    return axes


def whole(name: str, parameter: str, value: Any) -> int:
    """`value`, an int, a NumPy integer or a tensor of one, as an int."""
    try:
        return index(value)
    except TypeError:
        raise DTypeError(
            f"{name}: {parameter} must be an int, got {a_kind_of(value)}; use int(...)."
        ) from None


def kept_shape(shape: Shape, axes: Sequence[int]) -> Shape:
    """`shape` with size 1 on the reduced axes."""
    return tuple(1 if axis in axes else size for axis, size in enumerate(shape))


def keep_axes(node: Node, shape: Shape, axes: Sequence[int], keepdim: bool) -> Node:
    """A reduction's `node` with its axes put back as size 1, if `keepdim`. `shape` is the
    operand's.
    """
    return reshape(node, kept_shape(shape, axes)) if keepdim and axes else node


def like_operand(x: Any, shape: Shape, axes: Sequence[int]) -> Any:
    """The tensor `x`, a reduction's result or gradient, with reduced axes of size 1, to broadcast
    against the operand.
    """
    return x.reshape(kept_shape(shape, axes)) if len(x._shape) != len(shape) else x


def reduced_size(shape: Sequence[int], axes: Sequence[int]) -> int:
    """How many elements of `shape` each reduced one stands for."""
    return math.prod([shape[axis] for axis in axes])
