"""The sums of a Winograd convolution before and after its products, in vectors.

`image_six` is ``B^T`` applied to six values and `output_four` is ``A^T``, see `kernel/winograd.py`;
a tile takes each along its columns, then along its rows. Even and odd powers of a point and its
negative are shared. `winograd_image.py` and `winograd_output.py` load and store what they take.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

from grad.codegen.llvm.builder import Builder, Value
from grad.kernel.winograd import FAR, NEAR

Transform: TypeAlias = Callable[[Builder, Sequence[Value]], list[Value]]


def _times_add(b: Builder, value: Value, factor: float, more: Value) -> Value:
    """``value * factor + more``."""
    return b.intrinsic("fmuladd", value, factor, more)


def image_six(b: Builder, d: Sequence[Value]) -> list[Value]:
    """Six values of the image, transformed: for the points 0, near, -near, far, -far, infinity."""
    product, total = (NEAR * FAR) ** 2, NEAR**2 + FAR**2

    def ends(low: Value, middle: Value, high: Value) -> Value:
        return _times_add(b, low, product, _times_add(b, middle, -total, high))

    found = [ends(d[0], d[2], d[4])]
    for point, other in ((NEAR, FAR), (FAR, NEAR)):
        even = _times_add(b, d[2], -(other**2), d[4])
        odd = _times_add(b, d[1], -(other**2), d[3])
        found += [_times_add(b, odd, sign * point, even) for sign in (1, -1)]
    return [*found, ends(d[1], d[3], d[5])]


def output_four(b: Builder, m: Sequence[Value]) -> list[Value]:
    """Six sums of products, as four results."""
    even = [b.fadd(m[1], m[2]), b.fadd(m[3], m[4])]
    odd = [b.fsub(m[1], m[2]), b.fsub(m[3], m[4])]

    def power(parts: list[Value], exponent: int) -> Value:
        near = b.fmul(parts[0], NEAR**exponent)
        return _times_add(b, parts[1], FAR**exponent, near)

    first = b.fadd(m[0], b.fadd(*even))
    return [first, power(odd, 1), power(even, 2), b.fadd(power(odd, 3), m[5])]


def both_ways(b: Builder, transform: Transform, tile: Sequence[Value]) -> list[Value]:
    """`transform` along the columns of a square of values, then along the rows, row by row."""
    size = math.isqrt(len(tile))
    columns = [transform(b, tile[x::size]) for x in range(size)]
    return [value for row in zip(*columns, strict=True) for value in transform(b, row)]
