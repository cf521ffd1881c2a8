"""Random numbers as graph values: from 64 random bits an element to the common laws.

Element i of a stream is ``threefry(key, i)`` (Salmon, Moraes, Dror, Shaw, "Parallel random
numbers: as easy as 1, 2, 3", SC 2011), a function of its position and nothing else: the numbers
are the same on any number of threads. A `Generator` gives each tensor a new key, ``threefry(seed,
stream number)`` (keys.py). Here bits become numbers; random.py, random_filling.py and
random_sampling.py have the forms in which users ask.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

import ml_dtypes
import numpy as np

from grad.dtype import DType, dtypes
from grad.errors import ArgumentError
from grad.graph.node import Node, argument, cast, iota, pointwise, reshape
from grad.graph.primitives import (
    ADD,
    AND,
    CEIL,
    COS,
    DIV,
    LOG,
    LOG1P,
    LT,
    MUL,
    NE,
    NEG,
    SHR,
    SQRT,
    TAN,
    THREEFRY,
    WHERE,
)
from grad.ops.generator import Generator
from grad.ops.keys import random_key
from grad.ops.promotion import accumulation_dtype, number, require_floating

Shape = tuple[int, ...]

# Bits of the significand: every multiple is exact, so that rounding never reaches 1.
PRECISION = {dtypes.float16: 11, dtypes.bfloat16: 8, dtypes.float32: 24, dtypes.float64: 53}
_DOUBLE, _BITS = dtypes.float64, dtypes.uint64


# -- bits ------------------------------------------------------------------------------------------
def random_bits(shape: Shape, generator: Generator | None = None, key: Node | None = None) -> Node:
    """64 random bits for each element of `shape`, as uint64; of a new stream unless `key` is
    given.
    """
    key = key or random_key(generator)
    counter = iota(math.prod(shape), _BITS)
    return reshape(pointwise(THREEFRY, key, counter), shape)


def _word(value: int) -> Node:
    return number(value, _BITS)


def _shifted(bits: Node, count: int) -> Node:
    return pointwise(SHR, bits, _word(count))


def _low_half(bits: Node) -> Node:
    return pointwise(AND, bits, _word(0xFFFFFFFF))


def _fraction(bits: Node, count: int, dtype: DType) -> Node:
    """The top `count` bits as a multiple of ``2 ** -count`` in [0, 1)."""
    whole = cast(_shifted(bits, 64 - count), dtypes.int32 if count < 32 else dtypes.int64)
    return pointwise(MUL, cast(whole, dtype), number(2.0**-count, dtype))


# -- uniform ---------------------------------------------------------------------------------------
def uniform_node(
    shape: Shape, dtype: DType, generator: Generator | None = None, key: Node | None = None
) -> Node:
    """Numbers in [0, 1), all multiples of the type's precision equally likely."""
    require_floating("rand", dtype)
    return _fraction(random_bits(shape, generator, key), PRECISION[dtype], dtype)


def _inside(bits: Node) -> Node:
    """float64 numbers in (0, 1), neither 0 nor 1 among them, of the top 52 bits."""
    return pointwise(ADD, _fraction(bits, 52, _DOUBLE), number(2.0**-53, _DOUBLE))


def scaled(node: Node, factor: float, offset: float) -> Node:
    """``node * factor + offset``; other numbers compile nothing new."""
    if factor != 1:
        node = pointwise(MUL, node, argument(factor, node.dtype))
    return pointwise(ADD, node, argument(offset, node.dtype)) if offset else node


# -- whole numbers ---------------------------------------------------------------------------------
def integer_node(
    name: str,
    low: int,
    high: int,
    shape: Shape,
    dtype: DType,
    generator: Generator | None = None,
) -> Node:
    """Whole numbers in ``[low, high)``; raises ArgumentError if there are none, or if `dtype` does
    not hold them.

    The bits, as a fraction in [0, 1), times the number of values, rounded down: some values are
    likelier than others by a factor of at most ``1 + 2 ** -32``.
    """
    _check_range(name, low, high, dtype)
    bits, span = random_bits(shape, generator), high - low
    if span <= 1 << 32:
        offset = _high_product(bits, span)
    elif span < 1 << 64:
        # A second word below the first, whose product carries into that of the first.
        further = random_bits(shape, generator)
        offset = _high_product_of_words(bits, span, _high_product_of_words(further, span))
    else:
        offset = bits
    if low:
        offset = pointwise(ADD, offset, argument(low % 2**64, _BITS))  # modulo 2 ** 64
    return cast(offset if dtype is _BITS else cast(offset, dtypes.int64), dtype)


def _check_range(name: str, low: int, high: int, dtype: DType) -> None:
    if low >= high:
        raise ArgumentError(
            f"{name}: low={low} is not below high={high}; numbers come from [low, high)."
        )
    least, most = whole_limits(dtype)
    for which, value in (("low", low), ("high - 1", high - 1)):
        if not least <= value <= most:
            raise ArgumentError(
                f"{name}: {which}={value} is out of bounds for {dtype.name}, whose numbers go from "
                f"{least} to {most}."
            )
        exact = 1 << PRECISION.get(dtype, 64)
        if abs(value) > exact:
            warnings.warn(
                f"{name}: {which}={value} is out of bounds [-{exact}, {exact}], where all whole "
                f"numbers are numbers of {dtype.name}: those beyond are rounded.",
                stacklevel=5,
            )


def whole_limits(dtype: DType) -> tuple[int, int]:
    """The least and the largest whole number of 64 bits that `dtype` holds."""
    if dtype.kind == "b":
        return 0, 1
    if dtype.kind == "f":
        most = int(float(ml_dtypes.finfo(dtype.numpy).max))
        return max(-most, -(1 << 63)), min(most, (1 << 63) - 1)
    limits = np.iinfo(dtype.numpy)
    return int(limits.min), int(limits.max)


def whole_bound(name: str, value: Any) -> int:
    """`value` as an int; TypeError for what is no whole number."""
    if not hasattr(value, "__index__"):
        raise TypeError(f"{name}: bounds must be ints, not {type(value).__name__}.")
    return value.__index__()


def _high_product(bits: Node, span: int) -> Node:
    """``bits * span >> 64`` for a span of at most ``2 ** 32``: no sum exceeds 64 bits."""
    factor = argument(span, _BITS)
    low = _shifted(pointwise(MUL, _low_half(bits), factor), 32)
    return _shifted(pointwise(ADD, pointwise(MUL, _shifted(bits, 32), factor), low), 32)


def _high_product_of_words(bits: Node, span: int, carried: Node | None = None) -> Node:
    """``(bits * span + carried) >> 64`` for any span below ``2 ** 64``, by halves of words."""
    span_low, span_high = argument(span & 0xFFFFFFFF, _BITS), argument(span >> 32, _BITS)
    low, high = _low_half(bits), _shifted(bits, 32)
    lowest = pointwise(MUL, low, span_low)
    first = pointwise(ADD, pointwise(MUL, high, span_low), _shifted(lowest, 32))
    second = pointwise(ADD, pointwise(MUL, low, span_high), _low_half(first))
    top = pointwise(ADD, pointwise(MUL, high, span_high), _shifted(first, 32))
    top = pointwise(ADD, top, _shifted(second, 32))
    if carried is None:
        return top
    bottom = pointwise(MUL, bits, argument(span, _BITS))  # modulo 2 ** 64
    overflows = pointwise(LT, pointwise(ADD, bottom, carried), carried)
    return pointwise(ADD, top, cast(overflows, _BITS))


# -- other laws ------------------------------------------------------------------------------------
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
        angle_bits = pointwise(AND, bits, _word(0xFFFFFF))
        angle_source = pointwise(
            MUL, cast(cast(angle_bits, dtypes.int32), kind), number(2.0**-24, kind)
        )
    # 1 - u lies in (0, 1], but for float32 rounding to 0 of 31 bits: half a step keeps it off.
    step = 2.0**-54 if kind is dtypes.float64 else 2.0**-32
    above_zero = pointwise(ADD, radius_source, number(step, kind))
    squared = pointwise(MUL, pointwise(LOG, above_zero), number(-2.0, kind))
    angle = pointwise(MUL, angle_source, number(2 * math.pi, kind))
    return cast(pointwise(MUL, pointwise(SQRT, squared), pointwise(COS, angle)), dtype)


def wide_normal_node(shape: Shape, dtype: DType, generator: Generator | None = None) -> Node:
    """As `normal_node`, halves still in float32, for what is computed of them and rounded once."""
    require_floating("normal", dtype)
    return normal_node(shape, accumulation_dtype(dtype), generator)


def exponential_node(shape: Shape, generator: Generator | None = None) -> Node:
    """float64 numbers of the exponential law of rate 1, from 2**-53 to 37; never 0."""
    return pointwise(NEG, pointwise(LOG, _inside(random_bits(shape, generator))))


def cauchy_node(shape: Shape, generator: Generator | None = None) -> Node:
    """float64 numbers of the Cauchy law of median 0 and scale 1.

    The size is a cotangent, which is exact where numbers are large; the lowest bit, which the
    angle does not use, is the sign.
    """
    bits = random_bits(shape, generator)
    angle = pointwise(MUL, _inside(bits), number(math.pi / 2, _DOUBLE))
    size = pointwise(DIV, number(1.0, _DOUBLE), pointwise(TAN, angle))
    is_negative = pointwise(NE, pointwise(AND, bits, _word(1)), _word(0))
    return pointwise(WHERE, is_negative, pointwise(NEG, size), size)


def geometric_node(probability: float, shape: Shape, generator: Generator | None = None) -> Node:
    """float64 whole numbers: how many trials it takes until one succeeds, from 1."""
    trials = pointwise(
        DIV, pointwise(NEG, exponential_node(shape, generator)), _log_of_failure(probability)
    )
    return pointwise(CEIL, trials)


def _log_of_failure(probability: float) -> Node:
    return pointwise(LOG1P, argument(-probability, _DOUBLE))
