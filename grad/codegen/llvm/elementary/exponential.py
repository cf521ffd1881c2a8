"""exp, exp2, expm1 and sigmoid.

All reduce by ``x = n * ln 2 + r`` with |r| <= ln 2 / 2 (Cody and Waite 1980: n times a short
high part of ln 2 is exact), take ``exp(r) = 1 + r + r**2 * p(r)`` and scale by ``2 ** n`` in a
way that rounds once, so that subnormal results are right. hyperbolic.py and error.py use
`reduce_by_ln2` and `exp` too.
"""

from __future__ import annotations

from grad.codegen.llvm.builder import Builder, Value
from grad.codegen.llvm.elementary.coefficients import EXP2_SLOPE, EXP_TAIL
from grad.codegen.llvm.elementary.parts import (
    LN2,
    LOG2_E,
    absolute,
    as_integer,
    at_most,
    clamp,
    exact_sum,
    format_of,
    nearest_integer,
    polynomial,
    power_of_two,
    scale,
)

# Below the low limit exp rounds to 0, above the high one it overflows; n stays small between them.
EXP_LIMITS = {"float": (-104.0, 89.0), "double": (-746.0, 710.0)}
EXP2_LIMITS = {"float": (-151.0, 128.0), "double": (-1076.0, 1024.0)}
EXPM1_LIMITS = {"float": (-30.0, 89.0), "double": (-50.0, 710.0)}
# Below these x, x**2 / 2 is under a quarter ulp of x: exp(x) - 1 is x.
EXPM1_TINY = {"float": 2.0**-25, "double": 2.0**-54}
LOW_ZEROS = {"float": 10, "double": 13}


def reduce_by_ln2(b: Builder, x: Value) -> tuple[Value, Value, Value]:
    """``x = n * ln 2 + r + low`` as (n, r, low): n an integral float, r rounded, `low` its
    rounding error."""
    form = format_of(x)
    high_part, low_part = form.split(LN2, 2, LOW_ZEROS[form.element])
    n, _ = nearest_integer(b, x, float(LOG2_E))
    head = b.fma(n, -high_part, x)
    r = b.fma(n, -low_part, head)
    return n, r, b.fma(n, -low_part, b.fsub(head, r))


def exp(b: Builder, x: Value) -> Value:
    """``e ** x``."""
    element = format_of(x).element
    counts, x = _limited(b, x, *EXP_LIMITS[element])
    n, r, _ = reduce_by_ln2(b, x)
    tail = polynomial(b, r, EXP_TAIL[element])
    power = scale(b, b.fadd(b.fma(tail, b.fmul(r, r), r), 1.0), n)
    return b.select(counts, power, 0.0)


def _limited(b: Builder, x: Value, low: float, high: float) -> tuple[Value, Value]:
    """Where `x` is not below `low`, and `x` at most `high` with zeros elsewhere.

    The power of these is replaced by 0 afterwards: to let it underflow would take more than a
    hundred cycles a vector, and masks make many an infinity.
    """
    counts = b.fcmp("uge", x, low)
    return counts, b.select(counts, at_most(b, x, high), 0.0)


def exp2(b: Builder, x: Value) -> Value:
    """``2 ** x``; exact for integers."""
    element = format_of(x).element
    counts, x = _limited(b, x, *EXP2_LIMITS[element])
    n, _ = nearest_integer(b, x, 1.0)
    r = b.fsub(x, n)
    power = scale(b, b.fma(polynomial(b, r, EXP2_SLOPE[element]), r, 1.0), n)
    return b.select(counts, power, 0.0)


def expm1(b: Builder, x: Value) -> Value:
    """``e ** x - 1``, accurate near 0.

    With ``s = 2 ** (n - 1)``: half the result is ``s * (r + tail) + (s - 1/2)``, where ``s -
    1/2`` is exact and the sum is carried in two parts. Halved, because ``2 ** n`` itself may
    overflow.
    """
    element = format_of(x).element
    n, r, low = reduce_by_ln2(b, clamp(b, x, *EXPM1_LIMITS[element]))
    tail = b.fma(polynomial(b, r, EXP_TAIL[element]), b.fmul(r, r), low)
    half_power = power_of_two(b, b.sub(as_integer(b, n), 1))
    offset = b.fsub(half_power, 0.5)
    total = b.fma(half_power, r, offset)
    lost = b.fma(half_power, r, b.fsub(offset, total))
    half = b.fadd(total, b.fma(half_power, tail, lost))
    return b.select(b.fcmp("olt", absolute(b, x), EXPM1_TINY[element]), x, b.fadd(half, half))


def sigmoid(b: Builder, x: Value) -> Value:
    """``1 / (1 + e ** -x)``, without overflow: through ``t = e ** -|x|``.

    The rounding error of ``1 + t`` is given back in one step, ``y - y * lost / total``; the
    reciprocal in it is y itself to the right and ``1 - y`` to the left.
    """
    t = exp(b, b.fneg(absolute(b, x)))
    total, lost = exact_sum(b, b.const(t.type, 1.0), t)
    left = b.fcmp("olt", x, 0.0)
    y = b.fdiv(b.select(left, t, 1.0), total)
    reciprocal = b.select(left, b.fsub(b.const(y.type, 1.0), y), y)
    return b.fma(b.fneg(b.fmul(y, reciprocal)), lost, y)
