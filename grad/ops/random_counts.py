"""Random counts: `poisson` and `binomial`, by laws that tensors say, an element each.

Numbers of these laws are rejected until one fits, as often as it takes. NumPy's generators draw
them (graph/host.py): one for each block of elements, seeded by a key of ours, so that the numbers
are the same on any number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from grad.dtype import dtypes
from grad.errors import ArgumentError, DTypeError
from grad.graph.host import Array, host, hosted
from grad.graph.node import (
    Node,
    broadcast_shapes,
    cast,
    constant,
    expand,
    iota,
    pad,
    pointwise,
    reshape,
    slice_axes,
)
from grad.graph.primitives import THREEFRY
from grad.ops.bounds import require
from grad.ops.generator import Generator
from grad.ops.keys import random_key
from grad.ops.promotion import require_floating, wrap
from grad.ops.random_sampling import Drawn
from grad.ops.registry import op

Shape = tuple[int, ...]

# So many elements have a generator of NumPy's of their own, and may have a thread of their own.
_BLOCK = 1 << 12


def in_blocks(
    function: Callable[..., None], shape: Shape, generator: Generator | None, *parameters: Node
) -> Node:
    """float64 numbers of `shape` that `function` (`hosted`) draws: it is given a key for each block
    of elements, and the parameters of these.
    """
    size = math.prod(shape)
    if not size:
        return expand(constant(0.0, dtypes.float64), shape)
    length = min(size, _BLOCK)
    count = -(-size // length)
    blocks = []
    for parameter in parameters:
        flat = reshape(expand(cast(parameter, dtypes.float64), shape), (size,))
        blocks.append(reshape(pad(flat, ((0, count * length - size),)), (count, length)))
    keys = pointwise(THREEFRY, random_key(generator), iota(count, dtypes.uint64))
    found = host(function, [keys, *blocks], (count, length), dtypes.float64)
    return reshape(slice_axes(reshape(found, (count * length,)), ((0, 1, size),)), shape)


def numpy_generator(key: Any) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=int(key)))


# Beyond, whole numbers are further apart in float64 than the normal law is from the true one.
_LARGE = 1e18


def _poisson(random: np.random.Generator, rate: Array) -> Array:
    found = random.poisson(np.where(rate > _LARGE, 0.0, np.fmax(rate, 0.0))).astype(np.float64)
    noise = random.standard_normal(rate.shape) if (rate > _LARGE).any() else 0.0
    large = np.where(np.isinf(rate), rate, rate + np.sqrt(rate) * noise)
    return np.where(rate > _LARGE, large, found)


@hosted
def poisson_numbers(result: Array, keys: Array, rates: Array) -> None:
    """In each row numbers of Poisson's law."""
    for row, key, rate in zip(result, keys, rates, strict=True):
        row[:] = _poisson(numpy_generator(key), rate)


@hosted
def binomial_numbers(result: Array, keys: Array, counts: Array, chances: Array) -> None:
    """In each row how many trials of a count succeed."""
    for row, key, given, chance in zip(result, keys, counts, chances, strict=True):
        random, count = numpy_generator(key), np.floor(np.fmax(given, 0.0))
        p = np.clip(np.where(np.isnan(chance), 0.0, chance), 0.0, 1.0)
        large = count > _LARGE
        row[:] = random.binomial(np.where(large, 0.0, count).astype(np.int64), p)
        if large.any():
            # Poisson's law for rare successes, else the normal one.
            mean = np.where(p == 0, 0.0, count * p)
            noise = random.standard_normal(row.shape)
            common = np.where(np.isinf(mean), mean, mean + np.sqrt(mean * (1 - p)) * noise)
            found = np.where(mean < 1e6, _poisson(random, np.where(large, mean, 0.0)), common)
            row[large] = found[large]
        row[np.isnan(given) | np.isnan(chance)] = np.nan


@op(function="poisson", composite=True, gradient=False)
class Poisson:
    """Numbers of Poisson's law, whose rates x says: how many events come where so many are
    expected.

    Raises:
        TypeError: x is not floating. ValueError, RuntimeError: a rate is negative or NaN.

    Example:
        >>> grad.poisson(grad.zeros(3))
        tensor([0., 0., 0.])
    """

    @staticmethod
    def forward(input: Any, generator: Generator | None = None) -> Any:
        require_floating("poisson", input.dtype)
        rate = input.detach()
        require(
            ~(rate >= 0),
            lambda _: ArgumentError(
                "poisson: invalid Poisson rate, expected rate to be non-negative"
            ),
            rate,
        )
        found = in_blocks(poisson_numbers, input.shape, generator, rate.node)
        return Drawn.apply(wrap(cast(found, input.dtype)), input)


@op(function="binomial", composite=True, gradient=False)
class Binomial:
    """How many of `count` trials succeed, each with probability `prob`; the two broadcast.

    Fractions of counts are cut off; counts below 0 are 0, and probabilities outside of [0, 1] the
    nearest one inside, as in PyTorch. NaN gives NaN.

    Raises:
        ValueError, RuntimeError: an operand is not floating, or the types differ.

    Example:
        >>> grad.binomial(grad.tensor([10.0, 3.0]), grad.tensor([0.0, 1.0]))
        tensor([0., 3.])
    """

    @staticmethod
    def forward(count: Any, prob: Any, generator: Generator | None = None) -> Any:
        for name, value in (("count", count), ("prob", prob)):
            if not value.dtype.is_floating_point:
                raise ArgumentError(
                    f"binomial only supports floating-point dtypes for {name}, got: "
                    f"{value.dtype.name}"
                )
        if count.dtype is not prob.dtype:
            raise DTypeError(
                f"binomial: the types of count ({count.dtype.name}) and prob ({prob.dtype.name}) "
                "must be the same."
            )
        shape = broadcast_shapes("binomial", count.shape, prob.shape)
        found = in_blocks(binomial_numbers, shape, generator, count.node, prob.node)
        return Drawn.apply(wrap(cast(found, count.dtype)), count, prob)
