"""log, log2, log10 and log1p.

``x = m * 2 ** e`` with m in [0.75, 1.5), ``r = m - 1`` exactly, ``log(1 + r) = r + r**2 *
p(r)``, and the result is ``e * log(2) + log(1 + r)`` with both constants in two parts. The
interval has 1 inside, so that e is 0 near x = 1 and nothing cancels there.

With AVX-512's instructions m is NaN for negative x and e infinite at 0 and infinity, so that the
special values come out of the sum: the low part of log(2) is positive for that, since infinity
times a negative number would cancel it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from grad.codegen.llvm.builder import Builder, Value
from grad.codegen.llvm.elementary.coefficients import LOG_TAIL
from grad.codegen.llvm.elementary.parts import (
    LN2,
    LOG2_E,
    LOG10_2,
    LOG10_E,
    absolute,
    as_integer,
    decompose,
    fills_avx512,
    format_of,
    polynomial,
    power_of_two,
)


@dataclass(frozen=True, slots=True)
class Base:
    """A base of logarithms: the logarithms of e and of 2 in it."""

    of_e: Fraction
    of_2: Fraction


SHORTER = 10  # zero bits at the end of the high part of log(2)

NATURAL = Base(Fraction(1), LN2)
BINARY = Base(LOG2_E, Fraction(1))
DECIMAL = Base(LOG10_E, LOG10_2)


def log(b: Builder, x: Value) -> Value:
    """Natural logarithm: -inf at 0, NaN below."""
    return _logarithm(b, x, NATURAL)


def log2(b: Builder, x: Value) -> Value:
    """Base 2; exact for powers of two."""
    return _logarithm(b, x, BINARY)


def log10(b: Builder, x: Value) -> Value:
    """Base 10."""
    return _logarithm(b, x, DECIMAL)


def log1p(b: Builder, x: Value) -> Value:
    """``log(1 + x)``, accurate near 0.

    ``u = 1 + x`` rounded only chooses the exponent: ``r = x * 2**-e + (2**-e - 1)`` loses
    nothing of x.
    """
    form = format_of(x)
    u = b.fadd(x, 1.0)
    m, e = decompose(b, u)
    # From 2**(mantissa_bits + 3) on, the 1 is lost anyhow, and 2**-e might be subnormal.
    large = b.fcmp("ogt", x, 2.0 ** (form.mantissa_bits + 3))
    inverse = power_of_two(b, as_integer(b, b.fneg(e)))
    r = b.select(large, b.fsub(m, 1.0), b.fma(inverse, x, b.fsub(inverse, 1.0)))
    y = _special(b, u, _combine(b, r, e, NATURAL))
    return b.select(b.fcmp("olt", absolute(b, x), 2.0 ** (-form.mantissa_bits - 2)), x, y)


def _logarithm(b: Builder, x: Value, base: Base) -> Value:
    m, e = decompose(b, x)
    y = _combine(b, b.fsub(m, 1.0), e, base)
    return y if fills_avx512(b, x) else _special(b, x, y)


def _combine(b: Builder, r: Value, e: Value, base: Base) -> Value:
    """``log(1 + r) + e * log(2)`` in a base."""
    form = format_of(r)
    tail = b.fmul(polynomial(b, r, LOG_TAIL[form.element]), b.fmul(r, r))
    # A short high part is rounded down, which leaves a positive low one.
    two_high, two_low = form.split(base.of_2, 2, 0 if base.of_2 == 1 else SHORTER)
    if base.of_e == 1:
        return b.fma(e, two_high, b.fadd(b.fma(e, two_low, tail), r))
    high, low = form.split(base.of_e)
    small = b.fma(tail, high, b.fmul(r, low))
    if two_low:
        small = b.fma(e, two_low, small)
    small = b.fma(r, high, small)
    return b.fadd(e, small) if two_high == 1 else b.fma(e, two_high, small)


def _special(b: Builder, x: Value, y: Value) -> Value:
    """`y`, but NaN for negative and NaN `x`, -inf at 0 and inf at inf."""
    y = b.select(b.fcmp("olt", x, math.inf), y, x)
    y = b.select(b.fcmp("olt", x, 0.0), math.nan, y)
    return b.select(b.fcmp("oeq", x, 0.0), -math.inf, y)
