"""asin, acos, atan and atan2.

asin and acos: a polynomial up to |x| = 1/2 and, above it, ``acos x = 2 asin(sqrt((1 - x) / 2))``
with the same polynomial. atan and atan2 divide the smaller size by the larger one, so one
polynomial on [0, 1] serves, and add or subtract multiples of pi/2 that have a low part.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from grad.codegen.llvm.builder import Builder, Value, element_of
from grad.codegen.llvm.elementary.coefficients import ASIN_TAIL, ATAN_TAIL
from grad.codegen.llvm.elementary.parts import (
    PI,
    absolute,
    bits_of,
    copysign,
    exact_sum,
    format_of,
    polynomial,
)


def asin(b: Builder, x: Value) -> Value:
    """Inverse sine; NaN outside [-1, 1]."""
    size = absolute(b, x)
    inner = b.fcmp("ole", size, 0.5)
    v, rest = _asin_parts(b, size, inner)
    high, low = format_of(x).split(PI / 2)
    total, lost = exact_sum(b, b.const(x.type, high), b.fmul(v, -2.0))
    outer = b.fadd(total, b.fma(rest, -2.0, b.fadd(lost, low)))
    return copysign(b, b.select(inner, b.fadd(v, rest), outer), x)


def acos(b: Builder, x: Value) -> Value:
    """Inverse cosine; NaN outside [-1, 1]."""
    form = format_of(x)
    size = absolute(b, x)
    inner = b.fcmp("ole", size, 0.5)
    v, rest = _asin_parts(b, size, inner)
    half = b.fadd(v, rest)
    doubled = b.fadd(half, half)
    # Inside: pi/2 - asin x. Outside: twice the asin of the root, or pi less that.
    left = b.fcmp("olt", x, 0.0)
    angle = b.select(inner, copysign(b, half, x), doubled)
    angle = b.select(b.binary("or", inner, left), b.fneg(angle), angle)
    base, base_low = (
        b.select(inner, at_middle, b.select(left, b.const(x.type, at_left), 0.0))
        for at_middle, at_left in zip(form.split(PI / 2), form.split(PI), strict=True)
    )
    return b.fadd(base, b.fadd(angle, base_low))


def _asin_parts(b: Builder, size: Value, inner: Value) -> tuple[Value, Value]:
    """(v, rest) with ``asin v = v + rest``, v being |x| where `inner`, else ``sqrt((1 - |x|) /
    2)``."""
    remainder = b.fma(size, -0.5, 0.5)
    v = b.select(inner, size, b.intrinsic("sqrt", remainder))
    square = b.select(inner, b.fmul(size, size), remainder)
    tail = b.fmul(polynomial(b, square, ASIN_TAIL[element_of(size.type)]), square)
    return v, b.fmul(tail, v)


def atan(b: Builder, x: Value) -> Value:
    """Inverse tangent."""
    size = absolute(b, x)
    beyond = b.fcmp("ogt", size, 1.0)
    ratio = b.fdiv(b.select(beyond, -1.0, size), b.select(beyond, size, 1.0))
    high, low = format_of(x).split(PI / 2)
    base, base_low = (b.select(beyond, b.const(x.type, part), 0.0) for part in (high, low))
    return copysign(b, _turned(b, ratio, base, base_low), x)


def atan2(b: Builder, y: Value, x: Value) -> Value:
    """The angle of the point (x, y), in [-pi, pi], with C's results at zeros and infinities."""
    form = format_of(y)
    height, width = absolute(b, y), absolute(b, x)
    steep = b.fcmp("ogt", height, width)
    numerator = b.select(steep, width, height)
    denominator = b.select(steep, height, width)
    ratio = b.fdiv(numerator, denominator)
    # 0 / 0 counts as 0 and inf / inf as 1.
    ratio = b.select(b.fcmp("oeq", denominator, 0.0), 0.0, ratio)
    ratio = b.select(b.fcmp("oeq", numerator, math.inf), 1.0, ratio)
    left = b.icmp("slt", bits_of(b, x), 0)
    # Steep: pi/2 - angle to the right, pi/2 + angle to the left. Flat: angle, or pi - angle.
    falls = b.binary("xor", steep, left)
    ratio = b.select(falls, b.fneg(ratio), ratio)
    highs, lows = zip(form.split(PI / 2), form.split(PI), strict=True)
    base, base_low = (_base(b, steep, left, y.type, parts) for parts in (highs, lows))
    angle = _turned(b, ratio, base, base_low)
    return b.select(b.fcmp("uno", y, x), math.nan, copysign(b, angle, y))


def _base(b: Builder, steep: Value, left: Value, kind: str, parts: Sequence[float]) -> Value:
    """Per lane: a part of pi/2 where steep, else of pi to the left and 0 to the right."""
    half, whole = parts
    return b.select(steep, half, b.select(left, b.const(kind, whole), 0.0))


def _turned(b: Builder, ratio: Value, base: Value, base_low: Value) -> Value:
    """``base + base_low + atan(ratio)`` for ratio in [-1, 1]."""
    square = b.fmul(ratio, ratio)
    tail = b.fmul(polynomial(b, square, ATAN_TAIL[element_of(ratio.type)]), square)
    return b.fadd(base, b.fma(tail, ratio, b.fadd(ratio, base_low)))
