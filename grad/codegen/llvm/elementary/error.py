"""The error functions erf and erfc.

Below 0.92 ``erf(x) = x + x * p(x**2)``, above ``1 - exp(p(x))`` where p is close to log(erfc):
it is the method of N. Juffa's ``my_erff`` (Stack Overflow 35148198), with coefficients of our
own. double goes to the C library lane by lane.
"""

from __future__ import annotations

from grad.codegen.llvm.builder import Builder, Value
from grad.codegen.llvm.elementary.coefficients import (
    ERF_PER_UNIT,
    ERF_PIECES,
    ERF_SLOPE,
    ERFC_LOG,
)
from grad.codegen.llvm.elementary.exponential import exp
from grad.codegen.llvm.elementary.parts import (
    absolute,
    at_most,
    copysign,
    format_of,
    lane_by_lane,
    polynomial,
)
from grad.codegen.llvm.elementary.piecewise import has_table_lookup, piecewise

ERF_SPLIT = 0.92
# erfc(3.93) is under half an ulp of 1.
ERF_ONE = 3.95


def erf(b: Builder, x: Value) -> Value:
    """The error function."""
    if format_of(x).element == "double":
        return lane_by_lane(b, "erf", x)
    if has_table_lookup(b, x):
        return piecewise(b, x, ERF_PIECES, ERF_PER_UNIT)
    size = at_most(b, absolute(b, x), ERF_ONE)
    near = b.fma(polynomial(b, b.fmul(size, size), ERF_SLOPE["float"]), size, size)
    far = b.fsub(b.const(x.type, 1.0), exp(b, polynomial(b, size, ERFC_LOG["float"])))
    return copysign(b, b.select(b.fcmp("olt", size, ERF_SPLIT), near, far), x)


def erfc(b: Builder, x: Value) -> Value:
    """The complementary error function, from the C library's float64 one, lane by lane."""
    if format_of(x).element == "double":
        return lane_by_lane(b, "erfc", x)
    return b.convert("fptrunc", lane_by_lane(b, "erfc", b.convert("fpext", x, "double")), "float")
