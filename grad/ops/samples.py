"""Samples that many operations share: ranges of numbers, and operands that broadcast.

A `Sample` (registry.py) makes arrays; the functions here make samples. Values stay away from
where an operation or its derivative jumps, since the same samples are compared with finite
differences.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from grad.dtype import DType
from grad.ops.registry import Sample

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]
# In quotes, since NumPy loads its generators when they are first named.
Domain = Callable[["np.random.Generator", Shape, DType], Array]


def between(low: float, high: float) -> Domain:
    """Uniform numbers of a range; whole ones for integers."""

    def draw(random: np.random.Generator, shape: Shape, dtype: DType) -> Array:
        return Sample((shape,), low=low, high=high)._draw(random, shape, dtype)

    return draw


def nonzero(random: np.random.Generator, shape: Shape, dtype: DType) -> Array:
    """Numbers of both signs with a magnitude from 0.5 to 4 (1 to 4 for integers)."""
    size = between(0.5 if dtype.kind == "f" else 1, 4)(random, shape, dtype)
    if dtype.kind in "bu":
        return np.ones(shape, size.dtype) if dtype.kind == "b" else size
    return np.where(random.random(shape) < 0.5, -size, size).astype(size.dtype)


def positive(random: np.random.Generator, shape: Shape, dtype: DType) -> Array:
    """Numbers from 0.3 to 3 (1 to 3 for integers)."""
    return between(0.3 if dtype.kind == "f" else 1, 3)(random, shape, dtype)


def distinct(random: np.random.Generator, shape: Shape, dtype: DType) -> Array:
    """Different numbers in random order, so that a maximum has one place; at least 0.25 apart if
    floating.
    """
    size = int(np.prod(shape))
    order = random.permutation(size).reshape(shape)
    if dtype.kind == "f":
        return ((order - size // 2) * 0.25).astype(dtype.numpy)
    if dtype.kind == "b":
        return order % 2 == 0
    return (order - (size // 2 if dtype.kind == "i" else 0)).astype(dtype.numpy)


def real(low: float, high: float) -> tuple[Sample, ...]:
    """One operand with values from `low` to `high`."""
    return (Sample(low=low, high=high, name=f"{low}..{high}"),)


def operands(
    shapes: Sequence[Shape] = ((3, 4), (4,)),
    arguments: tuple[Any, ...] = (),
    kwargs: dict[str, Any] | None = None,
    *,
    low: float = -4,
    high: float = 4,
    first: Domain | None = None,
    second: Domain | None = None,
    third: Domain | None = None,
    gradient: bool = True,
    name: str = "",
) -> tuple[Sample, ...]:
    """One sample of operands of `shapes`, each from its own domain (from `low` to `high` where
    none is given).
    """
    usual = between(low, high)
    domains = [domain or usual for domain in (first, second, third, None)]

    def make(random: np.random.Generator, dtype: DType) -> list[Array]:
        return [
            domain(random, shape, dtype) for domain, shape in zip(domains, shapes, strict=False)
        ]

    sample = Sample(
        tuple(shapes), arguments, kwargs or {}, low, high, make, gradient=gradient, name=name
    )
    return (sample,)


def binary_samples() -> tuple[Sample, ...]:
    """Two operands: equal shapes, shapes that broadcast both ways, a scalar tensor, a Python
    number.
    """
    return (
        *operands(((3, 4), (3, 4))),
        *operands(((3, 1), (2, 1, 4))),
        *operands(((3, 4), ())),
        *operands(((3, 4),), arguments=(2,)),
    )


def indices(sizes: Sequence[int], shape: Shape, seed: int = 7) -> Array:
    """Random int64 indices below ``sizes[0]``, of `shape`."""
    return np.random.default_rng(seed).integers(0, sizes[0], shape)
