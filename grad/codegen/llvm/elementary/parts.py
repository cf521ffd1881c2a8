"""Pieces that the elementary functions are made of, for `float` and `double` alike.

`FORMATS` has what depends on the element type: bit layout and constants split into parts. Below
it are the steps that need bits of a float: the nearest integer, a power of two, exponent and
significand. They work on any CPU; where AVX-512 has an instruction for a whole register, `scale`
and `decompose` use it. Two rules hold everywhere: clamps are compare-and-select so that NaN
passes, and no float of unknown size goes through `fptosi`. The modules beside this one read it
first; coefficients.py has the polynomials.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from grad.codegen.llvm.builder import (
    Builder,
    Value,
    element_of,
    lanes_of,
    mangled,
    vector_type,
    with_element,
)

# Decimal expansions to 60 places, so that parts below a double's resolution can be split off; pi
# to 120 for the reduction of huge angles.
LN2 = Fraction("0.693147180559945309417232121458176568075500134360255254120680")
LOG2_E = Fraction("1.442695040888963407359924681001892137426645954152985934135449")
LOG10_E = Fraction("0.434294481903251827651128918916605082294397005803666566114454")
LOG10_2 = Fraction("0.301029995663981195213738894724493026768189881462108541310427")
PI = Fraction(
    "3.1415926535897932384626433832795028841971693993751058209749445923078164"
    "06286208998628034825342117067982148086513282306647"
)


@dataclass(frozen=True, slots=True)
class Format:
    """Layout of a binary floating type and the names of its companions."""

    element: str
    integer: str
    mantissa_bits: int
    bias: int
    round: type[np.floating]

    @property
    def nearest_shift(self) -> float:
        """1.5 * 2**mantissa_bits: added to a small number it leaves the nearest integer in the
        low bits."""
        return 1.5 * 2.0**self.mantissa_bits

    def split(self, value: Fraction, count: int = 2, low_zeros: int = 0) -> list[float]:
        """`count` parts that add up to `value`, each the nearest to what is left.

        The first one has at least `low_zeros` zero bits at its end.
        """
        parts: list[float] = []
        for index in range(count):
            part = float(self.round(float(value)))
            if index == 0 and low_zeros:
                step = math.ldexp(1.0, math.frexp(part)[1] - self.mantissa_bits - 1 + low_zeros)
                part = math.floor(part / step) * step
            parts.append(part)
            value -= Fraction(part)
        return parts


FORMATS = {
    "float": Format("float", "i32", 23, 127, np.float32),
    "double": Format("double", "i64", 52, 1023, np.float64),
}


def format_of(value: Value) -> Format:
    """The Format of the value's element type (KeyError for anything but float and double)."""
    return FORMATS[element_of(value.type)]


def fills_avx512(b: Builder, value: Value) -> bool:
    """True when the value is exactly one AVX-512 register and the CPU has the instructions used
    here."""
    bits = lanes_of(value.type) * {"float": 32, "double": 64}[element_of(value.type)]
    return bits == 512 and {"avx512f", "avx512dq"} <= b.features


# -- plain arithmetic ------------------------------------------------------------------------------
def polynomial(b: Builder, x: Value, coefficients: Sequence[float]) -> Value:
    """``sum(c[k] * x**k)`` by Horner's rule, one fused multiply-add a term; at least two terms."""
    result = b.fma(x, coefficients[-1], coefficients[-2])
    for coefficient in coefficients[-3::-1]:
        result = b.fma(result, x, coefficient)
    return result


def clamp(b: Builder, x: Value, low: float, high: float) -> Value:
    """`x` limited to [low, high]; NaN stays NaN."""
    x = at_most(b, x, high)
    return b.select(b.fcmp("olt", x, low), low, x)


def at_most(b: Builder, x: Value, high: float) -> Value:
    """The smaller of `x` and `high`; NaN stays NaN."""
    return b.select(b.fcmp("ogt", x, high), high, x)


def absolute(b: Builder, x: Value) -> Value:
    return b.intrinsic("fabs", x)


def copysign(b: Builder, magnitude: Value, sign: Value) -> Value:
    return b.intrinsic("copysign", magnitude, sign)


def exact_sum(b: Builder, large: Value, small: Value) -> tuple[Value, Value]:
    """``large + small`` as (rounded sum, what rounding lost), for ``|large| >= |small|`` (Dekker
    1971)."""
    total = b.fadd(large, small)
    return total, b.fsub(small, b.fsub(total, large))


# -- bits ------------------------------------------------------------------------------------------
def bits_of(b: Builder, x: Value) -> Value:
    return b.convert("bitcast", x, format_of(x).integer)


def from_bits(b: Builder, bits: Value) -> Value:
    return b.convert("bitcast", bits, {"i32": "float", "i64": "double"}[element_of(bits.type)])


def nearest_integer(b: Builder, x: Value, factor: float) -> tuple[Value, Value]:
    """The integer nearest to ``x * factor``, as a float and as low bits of an integer.

    Right for results below ``2 ** (mantissa_bits - 1)`` in size. The integer has a constant
    added whose low ``mantissa_bits - 1`` bits are zero, so take few low bits of it, or use
    `as_integer`.
    """
    shift = format_of(x).nearest_shift
    shifted = b.fma(x, factor, shift)
    return b.fsub(shifted, shift), bits_of(b, shifted)


def as_integer(b: Builder, whole: Value) -> Value:
    """The float `whole`, an integer below ``2 ** (mantissa_bits - 1)``, as an integer; NaN gives
    any."""
    shift = format_of(whole).nearest_shift
    zero = bits_of(b, b.const(whole.type, shift))
    return b.binary("sub", bits_of(b, b.fadd(whole, shift)), zero)


def power_of_two(b: Builder, exponent: Value) -> Value:
    """``2.0 ** exponent`` for an integer vector within the normal exponents."""
    form = FORMATS[{"i32": "float", "i64": "double"}[element_of(exponent.type)]]
    return from_bits(b, b.binary("shl", b.add(exponent, form.bias), form.mantissa_bits))


def scale(b: Builder, x: Value, whole: Value) -> Value:
    """``x * 2.0 ** whole`` rounded once, for `x` near 1 and `whole` an integral float.

    `whole` may be up to twice the format's exponents, so overflow and gradual underflow come out
    right.
    """
    if fills_avx512(b, x):
        suffix, mask = ("ps", "i16") if element_of(x.type) == "float" else ("pd", "i8")
        name = f"llvm.x86.avx512.mask.scalef.{suffix}.512"
        zero, full, rounding = (
            Value("zeroinitializer", x.type),
            Value("-1", mask),
            Value("4", "i32"),
        )
        return b.call(x.type, name, x, whole, zero, full, rounding)
    exponent = as_integer(b, whole)
    half = b.binary("ashr", exponent, 1)
    # The first product is exact, so that the second is the only one to round.
    first = b.fmul(x, power_of_two(b, half))
    return b.fmul(first, power_of_two(b, b.sub(exponent, half)))


def decompose(b: Builder, x: Value) -> tuple[Value, Value]:
    """``x = significand * 2 ** exponent`` with significand in [0.75, 1.5), exponent an integral
    float.

    For positive finite `x`, subnormal ones too. Others give a number or NaN: select it away.
    """
    form = format_of(x)
    if fills_avx512(b, x):
        return _decompose_avx512(b, x)
    tiny = b.fcmp("olt", x, 2.0 ** (1 - form.bias))
    lift = form.mantissa_bits + 2
    bits = bits_of(b, b.select(tiny, b.fmul(x, 2.0**lift), x))
    above = b.sub(bits, three_quarters(form))
    exponent = b.binary("ashr", above, form.mantissa_bits)
    significand = from_bits(b, b.sub(bits, b.binary("shl", exponent, form.mantissa_bits)))
    # An exponent has few bits: in the low bits of the shift constant it is an exact float.
    shifted = b.add(exponent, constant_bits(form, form.nearest_shift))
    exponent = b.fsub(from_bits(b, shifted), form.nearest_shift)
    return significand, b.fsub(exponent, b.select(tiny, b.const(x.type, lift), 0.0))


def three_quarters(form: Format) -> int:
    return constant_bits(form, 0.75)


def constant_bits(form: Format, value: float) -> int:
    """The bits of `value` in a format, as a non-negative integer."""
    return int(form.round(value).view({"i32": np.int32, "i64": np.int64}[form.integer]))


def _decompose_avx512(b: Builder, x: Value) -> tuple[Value, Value]:
    suffix, mask = ("ps", "i16") if element_of(x.type) == "float" else ("pd", "i8")
    zero, full, rounding = Value("zeroinitializer", x.type), Value("-1", mask), Value("4", "i32")

    def exponent_of(value: Value) -> Value:
        return b.call(
            x.type, f"llvm.x86.avx512.mask.getexp.{suffix}.512", value, zero, full, rounding
        )

    # Immediate: interval [0.75, 1.5) is 3, sign control "NaN for negative operands" is 2.
    control = Value(str(3 | 2 << 2), "i32")
    significand = b.call(
        x.type, f"llvm.x86.avx512.mask.getmant.{suffix}.512", x, control, zero, full, rounding
    )
    return significand, b.fsub(exponent_of(x), exponent_of(significand))


# -- lanes -----------------------------------------------------------------------------------------
def any_lane(b: Builder, mask: Value) -> Value:
    """An i1: whether any lane of the mask is set."""
    if lanes_of(mask.type) == 1:
        return mask
    return b.call("i1", f"llvm.vector.reduce.or.{mangled(mask.type)}", mask)


def look_up(b: Builder, table: Value, index: Value) -> Value:
    """``table[index]``, doubles, lane by lane where there are lanes."""
    lanes = lanes_of(index.type)
    if lanes == 1:
        return b.load("double", b.gep("double", table, index), 8)
    kind, pointers = vector_type("double", lanes), vector_type("ptr", lanes)
    addresses = b.emit(
        pointers, f"getelementptr double, ptr {table.text}, {index.type} {index.text}"
    )
    mask = with_element(index.type, "i1")
    name = f"llvm.masked.gather.{mangled(kind)}.{mangled(pointers)}"
    b.declare(name, f"{kind} ({pointers}, {mask}, {kind})")
    return b.emit(
        kind,
        f"call {kind} @{name}({pointers} align 8 {addresses.text}, {mask} splat (i1 true), "
        f"{kind} poison)",
    )
