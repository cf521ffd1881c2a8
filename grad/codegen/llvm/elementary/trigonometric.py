"""sin, cos and tan.

``|x| = q * pi/2 + r + low`` with |r| <= pi/4: up to `LARGE` by three fused multiply-adds with
pi/2 in three parts (Cody and Waite 1980). Beyond it, behind one branch that is taken when any
lane is large, float32 uses a float64 table of ``2**k * 2/pi mod 4``, in which multiples of four
turns are gone (after Payne and Hanek 1983), and float64 integer arithmetic lane by lane (rare.py).
Then short polynomials in r, chosen and signed by the quadrant q.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import cache

from grad.codegen.llvm.builder import (
    Builder,
    Value,
    element_of,
)
from grad.codegen.llvm.elementary.coefficients import COS_TAIL, SIN_TAIL, TAN_TAIL
from grad.codegen.llvm.elementary.parts import (
    PI,
    absolute,
    any_lane,
    bits_of,
    exact_sum,
    format_of,
    from_bits,
    look_up,
    nearest_integer,
    polynomial,
)
from grad.codegen.llvm.elementary.rare import reduce_each_angle

# Up to here q has few enough bits for the three parts of pi/2, and rounding x * 2/pi keeps |r|
# below 0.79.
LARGE = 2.0**17
LARGE_EXPONENT = 17
# Row k of the table serves floats in [2**(17 + k), 2**(18 + k)): a 24-bit integer times 2**(k - 6).
TABLE_ROWS = 128 - LARGE_EXPONENT

# r, the quadrant in the two low bits of an integer, and (for tan alone) r's low part.
Reduced = tuple[Value, ...]


def sin(b: Builder, x: Value) -> Value:
    """Sine; NaN at infinities."""
    return _periodic(b, x, "sin", _sine)


def cos(b: Builder, x: Value) -> Value:
    """Cosine; NaN at infinities."""
    return _periodic(b, x, "cos", _cosine)


def tan(b: Builder, x: Value) -> Value:
    """Tangent; NaN at infinities."""
    return _periodic(b, x, "tan", _tangent)


def _periodic(
    b: Builder, x: Value, name: str, evaluate: Callable[[Builder, Value, Reduced], Value]
) -> Value:
    """``evaluate(b, x, reduced)`` with the large lanes reduced in a branch."""
    size = absolute(b, x)
    large = b.fcmp("ogt", size, LARGE)
    with_low = name == "tan"
    reduced = _reduce(b, size, with_low)
    reduce_huge = {"float": _reduce_huge_float, "double": _reduce_huge_double}[element_of(x.type)]

    def reduce_large() -> tuple[Value, ...]:
        huge = reduce_huge(b, size, with_low)
        return tuple(b.select(large, h, r) for h, r in zip(huge, reduced, strict=True))

    return evaluate(b, x, tuple(_when_any(b, large, reduced, reduce_large)))


def _when_any(
    b: Builder, mask: Value, usual: tuple[Value, ...], rare: Callable[[], tuple[Value, ...]]
) -> list[Value]:
    """``rare()`` where any lane of `mask` is set, else `usual`, as values after a branch."""
    before = b.block
    then, after = b.fresh("rare"), b.fresh("joined")
    b.line(f"br i1 {any_lane(b, mask).text}, label %{then}, label %{after}")
    b.label(then)
    others = rare()
    last = b.block
    b.line(f"br label %{after}")
    b.label(after)
    return [
        b.emit(u.type, f"phi {u.type} [{u.text}, %{before}], [{o.text}, %{last}]")
        for u, o in zip(usual, others, strict=True)
    ]


# -- reductions ----------------------------------------------------------------------------------
def _reduce(b: Builder, size: Value, with_low: bool) -> Reduced:
    """Subtract the nearest multiple of pi/2 from `size` in [0, LARGE]."""
    first, second, third = format_of(size).split(PI / 2, 3)
    q, quadrant = nearest_integer(b, size, float(2 / PI))
    # Exact: a multiple of the first part's last bit, and small.
    head = b.fma(q, -first, size)
    r = b.fma(q, -third, b.fma(q, -second, head))
    if not with_low:
        return r, quadrant
    product = b.fmul(q, -second)
    product_low = b.fma(q, -second, b.fneg(product))
    r = b.fadd(head, product)
    # Knuth's two-sum: either of head and product may be the larger.
    back = b.fsub(r, head)
    lost = b.fadd(b.fsub(head, b.fsub(r, back)), b.fsub(product, back))
    low = b.fma(q, -third, b.fadd(lost, product_low))
    total, low = exact_sum(b, r, low)
    return total, quadrant, low


@cache
def huge_table() -> tuple[list[float], list[float]]:
    """``2**(k - 6) * 2/pi mod 4`` for each row k as two doubles, high and low parts."""
    high, low = [], []
    for row in range(TABLE_ROWS):
        exact = Fraction(2) ** (row + LARGE_EXPONENT - 23) * 2 / PI % 4
        high.append(float(exact))
        low.append(float(exact - Fraction(high[-1])))
    return high, low


def _reduce_huge_double(b: Builder, size: Value, with_low: bool) -> Reduced:
    """The same for float64 from LARGE on; infinity and NaN give r = NaN."""
    r, low, quadrant = reduce_each_angle(b, size)
    r = b.select(b.fcmp("olt", size, math.inf), r, math.nan)
    return (r, quadrant, low) if with_low else (r, quadrant)


def _reduce_huge_float(b: Builder, size: Value, with_low: bool) -> Reduced:
    """The same for float32."""
    bits = bits_of(b, size)
    row = b.sub(b.binary("lshr", bits, 23), 127 + LARGE_EXPONENT)
    row = b.select(b.icmp("sgt", row, 0), row, 0)
    row = b.select(b.icmp("slt", row, TABLE_ROWS - 1), row, TABLE_ROWS - 1)
    significand = b.binary("or", b.binary("and", bits, 0x7FFFFF), 0x800000)
    m = b.convert("sitofp", significand, "double")
    high, low = (look_up(b, b.table("double", column), row) for column in huge_table())
    whole, quadrant = nearest_integer(b, b.fmul(m, high), 1.0)
    turn = b.fma(m, low, b.fma(m, high, b.fneg(whole)))
    angle = b.fmul(turn, float(PI / 2))
    angle = b.select(b.fcmp("olt", b.convert("fpext", size, "double"), math.inf), angle, math.nan)
    r = b.convert("fptrunc", angle, "float")
    quadrant = b.convert("trunc", quadrant, "i32")
    if not with_low:
        return r, quadrant
    rest = b.fsub(angle, b.convert("fpext", r, "double"))
    return r, quadrant, b.convert("fptrunc", rest, "float")


# -- polynomials ---------------------------------------------------------------------------------
def _sine(b: Builder, x: Value, reduced: Reduced) -> Value:
    y = _by_quadrant(b, *reduced)
    return _negated_with(b, y, x)


def _cosine(b: Builder, x: Value, reduced: Reduced) -> Value:
    r, quadrant = reduced
    return _by_quadrant(b, r, b.add(quadrant, 1))


def _by_quadrant(b: Builder, r: Value, quadrant: Value) -> Value:
    """sin r, cos r, -sin r, -cos r for quadrants 0 to 3."""
    element = format_of(r).element
    square = b.fmul(r, r)
    tail = b.fmul(polynomial(b, square, SIN_TAIL[element]), square)
    sine = b.fma(tail, r, r)
    cosine = b.fma(polynomial(b, square, (-0.5, *COS_TAIL[element])), square, 1.0)
    y = b.select(_is_odd(b, quadrant), cosine, sine)
    shift = {"float": 30, "double": 62}[element]
    sign = b.binary("shl", b.binary("and", quadrant, 2), shift)
    return from_bits(b, b.binary("xor", bits_of(b, y), sign))


def _tangent(b: Builder, x: Value, reduced: Reduced) -> Value:
    """tan r in even quadrants, -1 / tan r in odd ones."""
    r, quadrant, low = reduced
    square = b.fmul(r, r)
    tail = b.fmul(polynomial(b, square, TAN_TAIL[format_of(x).element]), square)
    tangent, lost = exact_sum(b, r, b.fma(tail, r, low))
    odd = _is_odd(b, quadrant)
    y = b.fdiv(b.select(odd, -1.0, tangent), b.select(odd, tangent, 1.0))
    # -1 / (t + lost) is y + y**2 * lost; without it the error of t shows doubled just below 1.
    y = b.fma(b.fmul(y, y), b.select(odd, lost, 0.0), y)
    return _negated_with(b, y, x)


def _is_odd(b: Builder, quadrant: Value) -> Value:
    return b.icmp("ne", b.binary("and", quadrant, 1), 0)


def _negated_with(b: Builder, y: Value, x: Value) -> Value:
    """`y`, an odd function of |x|, as that of `x`: negated where x has its sign bit set, -0 too."""
    sign_bit = {"float": -(2**31), "double": -(2**63)}[element_of(x.type)]
    sign = b.binary("and", bits_of(b, x), sign_bit)
    return from_bits(b, b.binary("xor", bits_of(b, y), sign))
