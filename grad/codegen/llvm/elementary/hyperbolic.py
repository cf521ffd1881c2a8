"""sinh, cosh and tanh.

sinh and cosh share one reduction, ``|x| = n * ln 2 + r``; with ``s = 2**(n-1)`` and ``t =
2**(-n-1)``
    cosh x = (s + t) cosh r + (s - t) sinh r,    sinh x = (s - t) cosh r + (s + t) sinh r,
where sinh r and cosh r are short polynomials: no division, and no cancellation, since n = 0
makes s - t zero. tanh is a polynomial below 0.6 and ``1 - 2 / (exp(2|x|) + 1)`` above.
"""

from __future__ import annotations

from grad.codegen.llvm.builder import Builder, Value
from grad.codegen.llvm.elementary.coefficients import (
    COSH_TAIL,
    SINH_TAIL,
    TANH_PER_UNIT,
    TANH_PIECES,
    TANH_TAIL,
)
from grad.codegen.llvm.elementary.exponential import exp, reduce_by_ln2
from grad.codegen.llvm.elementary.parts import (
    absolute,
    as_integer,
    at_most,
    copysign,
    format_of,
    polynomial,
    power_of_two,
)
from grad.codegen.llvm.elementary.piecewise import has_table_lookup, piecewise

# sinh and cosh overflow a little below; n is at most bias + 2 here, so that s / 2 is finite.
SINH_LIMIT = {"float": 89.5, "double": 710.6}
SINH_TINY = {"float": 2.0**-13, "double": 2.0**-27}
TANH_SPLIT = 0.6
# From here on 1 - tanh is under a quarter ulp.
TANH_ONE = {"float": 10.0, "double": 20.0}


def sinh(b: Builder, x: Value) -> Value:
    """Hyperbolic sine."""
    size = absolute(b, x)
    total, difference, hyperbolic_sine, cosine_less_one, low = _halves(b, size)
    small = b.fma(difference, cosine_less_one, b.fmul(total, low))
    quarter = b.fadd(difference, b.fma(total, hyperbolic_sine, small))
    y = b.fadd(quarter, quarter)
    y = b.select(b.fcmp("olt", size, SINH_TINY[format_of(x).element]), size, y)
    return copysign(b, y, x)


def cosh(b: Builder, x: Value) -> Value:
    """Hyperbolic cosine."""
    total, difference, hyperbolic_sine, cosine_less_one, _ = _halves(b, absolute(b, x))
    half = b.fadd(total, b.fma(total, cosine_less_one, b.fmul(difference, hyperbolic_sine)))
    return b.fadd(half, half)


def _halves(b: Builder, size: Value) -> tuple[Value, Value, Value, Value, Value]:
    """``(s + t) / 2, (s - t) / 2, sinh r, cosh r - 1, low part of r`` for `size` >= 0.

    Halved, because s overflows before cosh does.
    """
    form = format_of(size)
    n, r, low = reduce_by_ln2(b, at_most(b, size, SINH_LIMIT[form.element]))
    exponent = as_integer(b, n)
    s = power_of_two(b, b.sub(exponent, 2))
    # t is needed only while it is not lost beside s; later its exponent would leave the format.
    falling = b.binary("sub", b.const(exponent.type, -2), exponent)
    t = b.select(b.icmp("sgt", falling, -form.bias), power_of_two(b, falling), 0.0)
    square = b.fmul(r, r)
    sine = b.fma(b.fmul(polynomial(b, square, SINH_TAIL[form.element]), square), r, r)
    cosine_less_one = b.fmul(polynomial(b, square, COSH_TAIL[form.element]), square)
    return b.fadd(s, t), b.fsub(s, t), sine, cosine_less_one, low


def tanh(b: Builder, x: Value) -> Value:
    """Hyperbolic tangent."""
    element = format_of(x).element
    if element == "float" and has_table_lookup(b, x):
        return piecewise(b, x, TANH_PIECES, TANH_PER_UNIT)
    size = absolute(b, x)
    square = b.fmul(size, size)
    near = b.fma(b.fmul(polynomial(b, square, TANH_TAIL[element]), square), size, size)
    limited = at_most(b, size, TANH_ONE[element])
    power = exp(b, b.fadd(limited, limited))
    far = b.fsub(b.const(x.type, 1.0), b.fdiv(b.const(x.type, 2.0), b.fadd(power, 1.0)))
    return copysign(b, b.select(b.fcmp("olt", size, TANH_SPLIT), near, far), x)
