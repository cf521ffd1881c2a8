"""float16 as bits: exact conversion between Python floats and the 16-bit IEEE 754 format.

For places that have no half type, such as `array.array`. Rounding is to nearest, ties to even;
infinities, NaN, signed zero and subnormals are exact. Source: IEEE 754-2019, binary16: 1 sign, 5
exponent (bias 15) and 10 fraction bits.
"""

from __future__ import annotations

import math
import struct

EXPONENT_BIAS = 15
FRACTION_BITS = 10
INFINITY_BITS = 0x7C00
NAN_BITS = 0x7E00
SIGN_BIT = 0x8000
MAX_FLOAT16 = 65504.0
# Halfway between the largest number and the next one there would be: rounds to infinity.
OVERFLOW_THRESHOLD = 65520.0


def float_to_float16_bits(value: float) -> int:
    """The 16 bits of the float16 nearest to `value`.

    Example:
        >>> hex(float_to_float16_bits(1.0))
        '0x3c00'
    """
    sign = SIGN_BIT if math.copysign(1.0, value) < 0 else 0
    if math.isnan(value):
        return sign | NAN_BITS
    magnitude = abs(value)
    if magnitude >= OVERFLOW_THRESHOLD:
        return sign | INFINITY_BITS
    # frexp gives a fraction in [0.5, 1), the format has [1, 2); below 2^-14 the step stays the
    # same.
    smallest = 1 - EXPONENT_BIAS
    exponent = max(math.frexp(magnitude)[1] - 1, smallest) if magnitude else smallest
    steps = round(math.ldexp(magnitude, FRACTION_BITS - exponent))
    # A number of steps of 2^10 or more carries into the exponent by itself.
    return sign | (((exponent + EXPONENT_BIAS - 1) << FRACTION_BITS) + steps)


def float16_bits_to_float(bits: int) -> float:
    """The value that 16 bits stand for, which a float holds exactly."""
    sign = -1.0 if bits & SIGN_BIT else 1.0
    exponent = (bits >> FRACTION_BITS) & 0x1F
    fraction = bits & ((1 << FRACTION_BITS) - 1)
    if exponent == 0x1F:
        return math.nan if fraction else sign * math.inf
    if exponent == 0:
        return sign * math.ldexp(fraction, 1 - EXPONENT_BIAS - FRACTION_BITS)
    whole = fraction | (1 << FRACTION_BITS)
    return sign * math.ldexp(whole, exponent - EXPONENT_BIAS - FRACTION_BITS)


def float_to_float16(value: float) -> float:
    """`value` rounded to float16, as a float."""
    return float16_bits_to_float(float_to_float16_bits(value))


def pack_float16(values: list[float]) -> bytes:
    """`values` as little-endian float16 bytes."""
    return struct.pack(f"<{len(values)}H", *map(float_to_float16_bits, values))


def unpack_float16(data: bytes) -> list[float]:
    """The values of little-endian float16 bytes."""
    count = len(data) // 2
    return [float16_bits_to_float(bits) for bits in struct.unpack(f"<{count}H", data)]
