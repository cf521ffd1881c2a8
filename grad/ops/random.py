"""Random numbers: counter-based, so that they are the same on any number of threads.

Element i of a stream is ``threefry(key, i)`` (Salmon, Moraes, Dror, Shaw, "Parallel random
numbers: as easy as 1, 2, 3", SC 2011), a function of its position and nothing else. A `Generator`
gives each tensor a new key, ``threefry(seed, stream number)`` (keys.py). `uniform_node`,
`normal_node` and `integer_node` turn bits into numbers; the rest are the forms in which users ask.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from grad.autograd.function import Function
from grad.dtype import DType, as_dtype, default_dtype, dtypes
from grad.engine.recording import recording
from grad.errors import ArgumentError
from grad.graph import reference
from grad.graph.arrays import node_of
from grad.graph.host import Array, host, hosted
from grad.graph.node import Node, cast, constant, iota, pointwise, reshape
from grad.graph.primitives import (
    ADD,
    AND,
    COS,
    LOG,
    LT,
    MOD,
    MUL,
    SHR,
    SQRT,
    THREEFRY,
)
from grad.ops.creation import checked_shape, creator, finished
from grad.ops.generator import Generator
from grad.ops.keys import plain_key, random_key
from grad.ops.promotion import number, require_floating
from grad.ops.registry import op

Shape = tuple[int, ...]


# -- bits to numbers -------------------------------------------------------------------------------
def random_bits(shape: Shape, generator: Generator | None = None, key: Node | None = None) -> Node:
    """64 random bits for each element of `shape`, as uint64; of a new stream unless `key` is
    given.
    """
    key = key or random_key(generator)
    counter = iota(math.prod(shape), dtypes.uint64)
    return reshape(pointwise(THREEFRY, key, counter), shape)


def _shifted(bits: Node, count: int) -> Node:
    return pointwise(SHR, bits, number(count, dtypes.uint64))


def _fraction(bits: Node, count: int, dtype: DType) -> Node:
    """The top `count` bits as a multiple of ``2 ** -count`` in [0, 1)."""
    whole = cast(_shifted(bits, 64 - count), dtypes.int32 if count < 32 else dtypes.int64)
    return pointwise(MUL, cast(whole, dtype), number(2.0**-count, dtype))


# Bits of the significand: every multiple is exact, so that rounding never reaches 1.
_PRECISION = {dtypes.float16: 11, dtypes.bfloat16: 8, dtypes.float32: 24, dtypes.float64: 53}


def uniform_node(
    shape: Shape, dtype: DType, generator: Generator | None = None, key: Node | None = None
) -> Node:
    """Numbers in [0, 1), all multiples of the type's precision equally likely."""
    require_floating("rand", dtype)
    return _fraction(random_bits(shape, generator, key), _PRECISION[dtype], dtype)


def normal_node(shape: Shape, dtype: DType, generator: Generator | None = None) -> Node:
    """Normally distributed numbers, by the transform of Box and Muller (1958)."""
    require_floating("randn", dtype)
    if dtype is dtypes.float64:
        radius_source = _fraction(random_bits(shape, generator), 53, dtype)
        angle_source = _fraction(random_bits(shape, generator), 53, dtype)
        kind = dtype
    else:
        kind = dtypes.float32
        bits = random_bits(shape, generator)
        # 31 bits for the radius (it reaches 6.5 standard deviations), 24 others for the angle.
        radius_source = _fraction(bits, 31, kind)
        angle_bits = pointwise(AND, bits, number(0xFFFFFF, dtypes.uint64))
        angle_source = pointwise(
            MUL, cast(cast(angle_bits, dtypes.int32), kind), number(2.0**-24, kind)
        )
    # 1 - u lies in (0, 1], but for float32 rounding to 0 of 31 bits: half a step keeps it off.
    step = 2.0**-54 if kind is dtypes.float64 else 2.0**-32
    above_zero = pointwise(ADD, radius_source, number(step, kind))
    squared = pointwise(MUL, pointwise(LOG, above_zero), number(-2.0, kind))
    angle = pointwise(MUL, angle_source, number(2 * math.pi, kind))
    return cast(pointwise(MUL, pointwise(SQRT, squared), pointwise(COS, angle)), dtype)


def integer_node(
    low: int, high: int, shape: Shape, dtype: DType, generator: Generator | None = None
) -> Node:
    """Whole numbers in ``[low, high)``; raises ValueError if there are none."""
    span = high - low
    if span <= 0:
        raise ArgumentError(
            f"randint: low={low} is not below high={high}; numbers come from [low, high)."
        )
    bits = random_bits(shape, generator)
    if span <= 2**32:
        # The top half of a product with the upper 32 bits: as even as a remainder, and no division.
        product = pointwise(MUL, _shifted(bits, 32), number(span, dtypes.uint64))
        offset = _shifted(product, 32)
    elif span < 2**64:
        offset = pointwise(MOD, bits, number(span, dtypes.uint64))
    else:
        offset = bits
    whole = pointwise(ADD, cast(offset, dtypes.int64), number(low, dtypes.int64))
    return cast(whole, dtype)


# -- what users call -------------------------------------------------------------------------------
def _kind(dtype: Any) -> DType:
    return default_dtype() if dtype is None else as_dtype(dtype)


@creator
def rand(
    *size: Any,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Numbers uniform in [0, 1), of shape `size`."""
    kind = _kind(dtype)
    node = uniform_node(checked_shape("rand", size, kind), kind, generator)
    return finished(node, requires_grad, device)


@creator
def randn(
    *size: Any,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Normally distributed numbers of mean 0 and variance 1, of shape `size`."""
    kind = _kind(dtype)
    node = normal_node(checked_shape("randn", size, kind), kind, generator)
    return finished(node, requires_grad, device)


@creator
def randint(
    low: int,
    high: Any = None,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Whole numbers in ``[low, high)``, int64 unless told; ``randint(high, size)`` begins at 0."""
    if size is None:
        low, high, size = 0, low, high
    if size is None or not hasattr(high, "__index__"):
        raise TypeError(
            "randint: needs randint(high, size) or randint(low, high, size), size a tuple."
        )
    kind = dtypes.int64 if dtype is None else as_dtype(dtype)
    node = integer_node(low, high, checked_shape("randint", (size,), kind), kind, generator)
    return finished(node, requires_grad, device)


@creator
def randperm(
    n: int,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """The numbers below `n` in random order; int64 unless told."""
    kind = dtypes.int64 if dtype is None else as_dtype(dtype)
    (size,) = checked_shape("randperm", (n,), kind)
    if recording.recorder is None:
        # In memory at once, so that what uses it may have an open size (docs/design/023).
        order = _permutation(plain_key(generator).arg, size)
        return finished(node_of(order, kind), requires_grad, device)
    rows = host(permutations, [reshape(random_key(generator), (1,))], (1, size), kind)
    return finished(reshape(rows, (size,)), requires_grad, device)


@hosted
def permutations(result: Array, keys: Array) -> None:
    """In each row, the numbers of its elements in the random order that belongs to a key."""
    for row, key in zip(result, keys, strict=True):
        row[:] = _permutation(key, row.size)


def _permutation(key: Any, size: int) -> Array:
    bits = reference.threefry(np.asarray(key, np.uint64), np.arange(size, dtype=np.uint64))
    return np.argsort(bits, kind="stable")


@creator
def normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Any:
    """Normally distributed numbers; `mean` or `std` may be tensors, which give the shape then."""
    if size is None:
        size = np.broadcast_shapes(getattr(mean, "shape", ()), getattr(std, "shape", ()))
    kind = _kind(dtype)
    unit = finished(normal_node(checked_shape("normal", (size,), kind), kind, generator))
    drawn = (unit * std + mean).detach()
    return finished(drawn.node, requires_grad, device)


@op(method="rand_like", composite=True, gradient=False)
class RandLike(Function):
    """Numbers uniform in [0, 1), of the shape and type of x."""

    @staticmethod
    def forward(
        x: Any,
        *,
        dtype: Any = None,
        generator: Generator | None = None,
        device: Any = None,
        requires_grad: bool = False,
    ) -> Any:
        return rand(
            x.shape, dtype=dtype or x.dtype, generator=generator, requires_grad=requires_grad
        )


@op(method="randn_like", composite=True, gradient=False)
class RandnLike(Function):
    """Normally distributed numbers of the shape and type of x."""

    @staticmethod
    def forward(
        x: Any,
        *,
        dtype: Any = None,
        generator: Generator | None = None,
        device: Any = None,
        requires_grad: bool = False,
    ) -> Any:
        return randn(
            x.shape, dtype=dtype or x.dtype, generator=generator, requires_grad=requires_grad
        )


@op(method="randint_like", composite=True, gradient=False)
class RandintLike(Function):
    """Whole numbers in ``[low, high)``, or ``[0, low)``, of the shape and type of x."""

    @staticmethod
    def forward(
        x: Any,
        low: int,
        high: int | None = None,
        *,
        dtype: Any = None,
        generator: Generator | None = None,
    ) -> Any:
        low, high = (0, low) if high is None else (low, high)
        return randint(low, high, x.shape, dtype=dtype or x.dtype, generator=generator)


@op(method="bernoulli", composite=True, gradient=False)
class Bernoulli(Function):
    """1 with the probability that x says (or that `p` says, for each element of x), else 0."""

    @staticmethod
    def forward(x: Any, p: float | None = None, *, generator: Generator | None = None) -> Any:
        if p is None:
            require_floating("bernoulli", x.dtype)
            return x._wrap(_bernoulli(x.shape, x.node, x.dtype, x.dtype, generator))
        if not 0 <= p <= 1:
            raise ArgumentError(f"bernoulli: p={p} is no probability; it must lie in [0, 1].")
        chance = constant(float(p), dtypes.float32)
        return x._wrap(_bernoulli(x.shape, chance, dtypes.float32, x.dtype, generator))


def _bernoulli(
    shape: Shape, chance: Node, kind: DType, dtype: DType, generator: Generator | None
) -> Node:
    wide = dtypes.float64 if kind is dtypes.float64 else dtypes.float32
    return cast(pointwise(LT, uniform_node(shape, wide, generator), cast(chance, wide)), dtype)


# -- filling in place ------------------------------------------------------------------------------
@op(method="uniform_", function=False, composite=True, gradient=False)
class UniformFill(Function):
    """Fill x with numbers uniform in ``[low, high)``, and return it."""

    @staticmethod
    def forward(
        x: Any, low: float = 0.0, high: float = 1.0, *, generator: Generator | None = None
    ) -> Any:
        if low > high:
            raise ArgumentError(
                f"uniform_: low={low} is above high={high}; use uniform_({high}, {low})."
            )
        node = uniform_node(x.shape, x.dtype, generator)
        if (low, high) != (0, 1):
            scaled = pointwise(MUL, node, number(high - low, x.dtype))
            node = pointwise(ADD, scaled, number(low, x.dtype))
        return x.copy_(x._wrap(node))


@op(method="normal_", function=False, composite=True, gradient=False)
class NormalFill(Function):
    """Fill x with normally distributed numbers, and return it."""

    @staticmethod
    def forward(
        x: Any, mean: float = 0.0, std: float = 1.0, *, generator: Generator | None = None
    ) -> Any:
        if std < 0:
            raise ArgumentError(
                f"normal_: std={std} is negative; a standard deviation is 0 or more."
            )
        unit = normal_node(x.shape, x.dtype, generator)
        scaled = pointwise(MUL, unit, number(std, x.dtype))
        return x.copy_(x._wrap(pointwise(ADD, scaled, number(mean, x.dtype))))


@op(method="bernoulli_", function=False, composite=True, gradient=False)
class BernoulliFill(Function):
    """Fill x with 1 with probability `p` (a number or a tensor), else 0, and return it."""

    @staticmethod
    def forward(x: Any, p: Any = 0.5, *, generator: Generator | None = None) -> Any:
        if hasattr(p, "node"):
            return x.copy_(Bernoulli.forward(p.expand(x.shape), generator=generator))
        return x.copy_(Bernoulli.forward(x, p, generator=generator))


@op(method="random_", function=False, composite=True, gradient=False)
class RandomFill(Function):
    """Fill x with whole numbers in ``[low, high)``, or ``[0, low)``, and return it."""

    @staticmethod
    def forward(
        x: Any, low: int = 0, high: int | None = None, *, generator: Generator | None = None
    ) -> Any:
        first, end = (0, low) if high is None else (low, high)
        if (first, end) == (0, 0):
            end = 2 ** (24 if x.dtype.is_floating_point else 8 * x.dtype.itemsize - 1)
        return x.copy_(x._wrap(integer_node(first, end, x.shape, x.dtype, generator)))
