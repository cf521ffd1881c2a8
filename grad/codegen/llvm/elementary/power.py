"""sqrt, rsqrt and pow.

pow splits ``y * log2 |x|`` in n + f and scales ``2 ** f``. The product needs 8 (float32) or 11
(float64) bits beyond the format's own, for its integral part: float32 computes it in float64, and
float64 as a sum of two numbers, the logarithm from a table of 128 rows and a short polynomial
(after Tang, "Table-driven implementation of the logarithm function", 1990). The special cases are
C99's (annex F.9.4.4), which NumPy and PyTorch share; they come out of the arithmetic with log2(0)
= -inf and log2(inf) = inf, but for those selected at the end.
"""

from __future__ import annotations

import math

from grad.codegen.llvm.builder import Builder, Value
from grad.codegen.llvm.elementary.coefficients import (
    CUBIC_LOG_TAIL,
    EXP2_SLOPE,
    LOG2_RATIO,
    LOG2_TABLE,
)
from grad.codegen.llvm.elementary.parts import (
    LOG2_E,
    absolute,
    bits_of,
    clamp,
    copysign,
    decompose,
    exact_sum,
    format_of,
    look_up,
    polynomial,
    scale,
    three_quarters,
)

# Beyond this y every x but 1 gives 0 or infinity, since |log2(x)| is at least 2**-53.
LARGEST_EXPONENT = 2.0**65
# 2 to the power of this, and of its negative, is infinity and 0 in float64.
POWER_LIMIT = 1100.0


def sqrt(b: Builder, x: Value) -> Value:
    """Square root, correctly rounded; NaN below 0, -0 at -0."""
    return b.intrinsic("sqrt", x)


def rsqrt(b: Builder, x: Value) -> Value:
    """``1 / sqrt(x)``; infinite, with its sign, at a zero."""
    return b.fdiv(b.const(x.type, 1.0), sqrt(b, x))


def pow(b: Builder, x: Value, y: Value) -> Value:
    """``x ** y``."""
    size = absolute(b, x)
    of_size = {"float": _power_of_float, "double": _power_of_double}[format_of(x).element]
    return _special(b, x, y, size, of_size(b, size, y))


# -- float32 ---------------------------------------------------------------------------------------
def _power_of_float(b: Builder, size: Value, y: Value) -> Value:
    """``size ** y`` for size >= 0."""
    exponent = b.fmul(_log2_in_double(b, size), b.convert("fpext", y, "double"))
    exponent = clamp(b, exponent, -200.0, 200.0)
    n = b.intrinsic("rint", exponent)
    f = b.convert("fptrunc", b.fsub(exponent, n), "float")
    n = b.convert("fptrunc", n, "float")
    return scale(b, b.fma(polynomial(b, f, EXP2_SLOPE["float"]), f, 1.0), n)


def _log2_in_double(b: Builder, size: Value) -> Value:
    """log2 of a float32 >= 0, to about 45 bits, as float64: -inf at 0, inf and NaN at
    themselves."""
    significand, exponent = decompose(b, size)
    m = b.convert("fpext", significand, "double")
    s = b.fdiv(b.fsub(m, 1.0), b.fadd(m, 1.0))
    ratio = polynomial(b, b.fmul(s, s), LOG2_RATIO["double"])
    result = b.fma(ratio, s, b.convert("fpext", exponent, "double"))
    return _log2_of_special(b, b.convert("fpext", size, "double"), result)


def _log2_of_special(b: Builder, size: Value, result: Value) -> Value:
    """`result`, but -inf where size is 0, inf and NaN where it is those."""
    result = b.select(b.fcmp("olt", size, math.inf), result, size)
    return b.select(b.fcmp("oeq", size, 0.0), -math.inf, result)


# -- float64 ---------------------------------------------------------------------------------------
def _power_of_double(b: Builder, size: Value, y: Value) -> Value:
    """``size ** y`` for size >= 0."""
    high, low = _log2_in_parts(b, size)
    y = clamp(b, y, -LARGEST_EXPONENT, LARGEST_EXPONENT)
    product = b.fmul(y, high)
    product_low = b.fma(y, low, b.fma(y, high, b.fneg(product)))
    # Of a huge product the low part is huge as well, and of an infinite one NaN.
    exponent = clamp(b, product, -POWER_LIMIT, POWER_LIMIT)
    product_low = b.select(b.fcmp("une", exponent, product), 0.0, product_low)
    n = b.intrinsic("rint", exponent)
    f = b.fadd(b.fsub(exponent, n), product_low)
    return scale(b, b.fma(polynomial(b, f, EXP2_SLOPE["double"]), f, 1.0), n)


def _log2_in_parts(b: Builder, size: Value) -> tuple[Value, Value]:
    """log2 of a float64 >= 0 as a sum of two numbers, to 2**-67 of it; specials in the first."""
    m, e = decompose(b, size)
    inverse, log_high, log_low = _table_rows(b, m)
    # Exact: see log2_table in tools/fit_elementary.py.
    r = b.fma(m, inverse, -1.0)
    # log(1 + r) = r - r**2 / 2 + ...
    half = b.fmul(r, -0.5)
    square = b.fmul(half, r)
    square_low = b.fma(half, r, b.fneg(square))
    natural, lost = exact_sum(b, r, square)
    cube = b.fmul(b.fmul(r, r), r)
    cubic = b.fma(polynomial(b, r, CUBIC_LOG_TAIL["double"]), cube, square_low)
    lost = b.fadd(lost, cubic)
    # The same in base 2.
    factor, factor_low = format_of(size).split(LOG2_E)
    binary = b.fmul(natural, factor)
    binary_low = b.fma(natural, factor, b.fneg(binary))
    binary_low = b.fma(lost, factor, b.fma(natural, factor_low, binary_low))
    high, low = exact_sum(b, b.fadd(e, log_high), binary)
    low = b.fadd(low, b.fadd(binary_low, log_low))
    return _log2_of_special(b, size, high), low


def _table_rows(b: Builder, m: Value) -> list[Value]:
    """The three columns of LOG2_TABLE for significands in [0.75, 1.5); any row for NaN."""
    form = format_of(m)
    above = b.sub(bits_of(b, m), three_quarters(form))
    row = b.binary("lshr", above, form.mantissa_bits - 7)
    row = b.binary("and", row, len(LOG2_TABLE[0]) - 1)
    return [look_up(b, b.table("double", column), row) for column in LOG2_TABLE]


# -- both ------------------------------------------------------------------------------------------
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
