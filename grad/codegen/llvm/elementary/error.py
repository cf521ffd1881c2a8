"""The error functions erf and erfc.

erf is ``x + x * p(x**2)`` below 0.92 and ``1 - exp(p(x))`` above, where p is close to log(erfc):
the method of N. Juffa's ``my_erff`` (Stack Overflow 35148198), with coefficients of our own. With
AVX-512 it is looked up in pieces (piecewise.py).

erfc needs small relative errors where it is small: ``exp(-x**2) * g(x)``, with ``-x**2`` in two
parts and ``g(x) = exp(x**2) * erfc(x)`` a polynomial in ``y = 1 / (1 + c * x)``, which maps all x
in question to an interval of (0, 1] (after Shepherd and Laframboise, "Chebyshev approximation of
(1 + 2x) exp(x**2) erfc x", 1981).
"""

from __future__ import annotations

import math

from grad.codegen.llvm.builder import Builder, Value
from grad.codegen.llvm.elementary.coefficients import (
    ERF_DOUBLE_PER_UNIT,
    ERF_DOUBLE_PIECES,
    ERF_PER_UNIT,
    ERF_PIECES,
    ERF_SLOPE,
    ERFC_LOG,
    ERFC_LOG_LONG,
    ERFCX_DOUBLE,
    ERFCX_SINGLE,
    EXP_TAIL,
)
from grad.codegen.llvm.elementary.exponential import exp, reduce_by_ln2
from grad.codegen.llvm.elementary.parts import (
    absolute,
    at_most,
    copysign,
    exact_sum,
    format_of,
    polynomial,
    scale,
)
from grad.codegen.llvm.elementary.piecewise import has_table_lookup, piecewise

ERF_SPLIT = 0.92
# From here on erfc is under half an ulp of 1.
ERF_ONE = {"float": 3.95, "double": 5.95}
PIECES = {
    "float": (ERF_PIECES, ERF_PER_UNIT),
    "double": (ERF_DOUBLE_PIECES, ERF_DOUBLE_PER_UNIT),
}
ERFC_LOGARITHM = ERFC_LOG | ERFC_LOG_LONG
# From here on erfc is under half the smallest subnormal number.
ERFC_ZERO = {"float": 10.5, "double": 27.5}
# c of y = 1 / (1 + c * x), the middle of the y, and the polynomial in y less that middle.
ERFCX = {
    "float": (0.375, 0.59375, ERFCX_SINGLE["float"]),
    "double": (0.25, 0.5625, ERFCX_DOUBLE["double"]),
}


def erf(b: Builder, x: Value) -> Value:
    """The error function."""
    element = format_of(x).element
    if has_table_lookup(b, x):
        return piecewise(b, x, *PIECES[element])
    size = at_most(b, absolute(b, x), ERF_ONE[element])
    near = b.fma(polynomial(b, b.fmul(size, size), ERF_SLOPE[element]), size, size)
    far = b.fsub(b.const(x.type, 1.0), exp(b, polynomial(b, size, ERFC_LOGARITHM[element])))
    return copysign(b, b.select(b.fcmp("olt", size, ERF_SPLIT), near, far), x)


def erfc(b: Builder, x: Value) -> Value:
    """The complementary error function, ``1 - erf(x)``, accurate where it is small too."""
    element = format_of(x).element
    size = at_most(b, absolute(b, x), ERFC_ZERO[element])
    n, exp_less_one = _exp_of_minus_square(b, size)
    g, lost = _scaled_erfc(b, size)
    # exp and g rounded apart would cost half an ulp more each.
    lost = b.fma(lost, exp_less_one, lost)
    right = scale(b, b.fadd(g, b.fma(g, exp_less_one, lost)), n)
    return b.select(b.fcmp("olt", x, 0.0), b.fsub(b.const(x.type, 2.0), right), right)


def _exp_of_minus_square(b: Builder, size: Value) -> tuple[Value, Value]:
    """``exp(-size**2) = 2**n * (1 + e)`` as (n, e)."""
    square = b.fmul(size, size)
    negative = b.fneg(square)
    square_low = b.fma(size, size, negative)
    n, r, low = reduce_by_ln2(b, negative)
    r, low = exact_sum(b, r, b.fsub(low, square_low))
    tail = polynomial(b, r, EXP_TAIL[format_of(size).element])
    return n, b.fadd(r, b.fma(tail, b.fmul(r, r), low))


def _scaled_erfc(b: Builder, size: Value) -> tuple[Value, Value]:
    """``g(x) = exp(x**2) * erfc(x)`` of `size`, and what its rounding lost."""
    factor, center, coefficients = ERFCX[format_of(size).element]
    denominator = b.fma(size, factor, 1.0)
    denominator_low = b.fma(size, factor, b.fsub(b.const(size.type, 1.0), denominator))
    y = b.fdiv(b.const(size.type, 1.0), denominator)
    offset = b.fsub(y, center)
    constant, linear, *rest = coefficients
    curve = polynomial(b, offset, rest)
    slope = b.fma(curve, offset, linear)
    slope_low = b.fma(curve, offset, b.fsub(b.const(y.type, linear), slope))
    ratio = b.fma(slope, offset, constant)
    ratio_low = b.fma(slope, offset, b.fsub(b.const(y.type, constant), ratio))
    ratio_low = b.fma(slope_low, offset, ratio_low)
    g = b.fmul(ratio, y)
    g_low = b.fma(ratio_low, y, b.fma(ratio, y, b.fneg(g)))
    # This is g where y is exact. x lies further by d * (d * y - 1) / c, and
    # g' = 2 * x * g - 2 / sqrt(pi).
    excess = b.fma(denominator_low, y, b.fma(denominator, y, -1.0))
    distance = b.fmul(b.fmul(excess, denominator), 1 / factor)
    derivative = b.fma(b.fadd(size, size), g, -2 / math.sqrt(math.pi))
    return g, b.fma(distance, derivative, g_low)
