"""sqrt, rsqrt and pow.

pow of float32 computes ``y * log2 |x|`` in float64 (24 + 8 bits of exponent and 11 spare ones),
splits it in n + f and scales ``2 ** f`` in float32. The special cases are C99's (annex F.9.4.4),
which NumPy and PyTorch share; they come out of the arithmetic with log2(0) = -inf and log2(inf)
= inf, but for those selected at the end.
"""

from __future__ import annotations

import math

from grad.codegen.llvm.builder import Builder, Value
from grad.codegen.llvm.elementary.coefficients import EXP2_SLOPE, LOG2_RATIO
from grad.codegen.llvm.elementary.parts import (
    absolute,
    clamp,
    copysign,
    decompose,
    format_of,
    lane_by_lane,
    polynomial,
    scale,
)


def sqrt(b: Builder, x: Value) -> Value:
    """Square root, correctly rounded; NaN below 0, -0 at -0."""
    return b.intrinsic("sqrt", x)


def rsqrt(b: Builder, x: Value) -> Value:
    """``1 / sqrt(x)``; infinite, with its sign, at a zero."""
    return b.fdiv(b.const(x.type, 1.0), sqrt(b, x))


def pow(b: Builder, x: Value, y: Value) -> Value:
    """``x ** y``."""
    if format_of(x).element == "double":
        return lane_by_lane(b, "pow", x, y)
    size = absolute(b, x)
    exponent = b.fmul(_log2_in_double(b, size), b.convert("fpext", y, "double"))
    exponent = clamp(b, exponent, -200.0, 200.0)
    n = b.intrinsic("rint", exponent)
    f = b.convert("fptrunc", b.fsub(exponent, n), "float")
    n = b.convert("fptrunc", n, "float")
    result = scale(b, b.fma(polynomial(b, f, EXP2_SLOPE["float"]), f, 1.0), n)
    return _special(b, x, y, size, result)


def _log2_in_double(b: Builder, size: Value) -> Value:
    """log2 of a float32 >= 0, to about 45 bits, as float64: -inf at 0, inf and NaN at
    themselves."""
    significand, exponent = decompose(b, size)
    m = b.convert("fpext", significand, "double")
    s = b.fdiv(b.fsub(m, 1.0), b.fadd(m, 1.0))
    ratio = polynomial(b, b.fmul(s, s), LOG2_RATIO["double"])
    result = b.fma(ratio, s, b.convert("fpext", exponent, "double"))
    wide = b.convert("fpext", size, "double")
    result = b.select(b.fcmp("olt", wide, math.inf), result, wide)
    return b.select(b.fcmp("oeq", wide, 0.0), -math.inf, result)


def _special(b: Builder, x: Value, y: Value, size: Value, result: Value) -> Value:
    """Give `result`, ``|x| ** y``, its sign, its NaNs and the ones of C99."""
    is_integer = b.fcmp("oeq", b.intrinsic("rint", y), y)
    half = b.fmul(y, 0.5)
    is_odd = b.binary("and", is_integer, b.fcmp("une", b.intrinsic("rint", half), half))
    result = b.select(is_odd, copysign(b, result, x), result)
    # A negative finite base has no real power but integral ones (infinite y counts as an even
    # integer).
    negative = b.binary("and", b.fcmp("olt", x, 0.0), b.fcmp("olt", size, math.inf))
    fractional = b.fcmp("une", b.intrinsic("rint", y), y)
    result = b.select(b.binary("and", negative, fractional), math.nan, result)
    infinite = b.fcmp("oeq", absolute(b, y), math.inf)
    one = b.binary("or", b.fcmp("oeq", y, 0.0), b.fcmp("oeq", x, 1.0))
    one = b.binary("or", one, b.binary("and", b.fcmp("oeq", size, 1.0), infinite))
    return b.select(one, 1.0, result)
