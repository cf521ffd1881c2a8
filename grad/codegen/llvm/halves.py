"""16-bit floats: their bits to float32 and back, on values of any lane count.

Conversions of bfloat16 are shifts everywhere. For float16 most CPUs have instructions; where they
are missing LLVM would call library functions that a JIT-compiled module doesn't have, so the same
is done here with integers. `conversions.py` uses this for loads, stores and casts.
"""

from __future__ import annotations

from grad.codegen.llvm.builder import Builder, Value

# CPU features that bring float16 conversions: x86, x86 vectors, Arm.
_HARDWARE = frozenset(("f16c", "avx512f", "neon", "fp-armv8"))
_SMALLEST_NORMAL = 0x38800000  # 2**-14 in float32's bits
_EXPONENT_SHIFT = 112 << 23  # the difference of the exponents' biases, 127 - 15, in its place
_INFINITY = 0x7F800000
_HALF_ONE = (
    0x3F000000  # 0.5 as float32: its last bit is worth 2**-24, as the last bit of a small float16
)


def half_to_float(b: Builder, bits: Value) -> Value:
    """float16 in i16 as float."""
    if _HARDWARE & b.features:
        return b.convert("fpext", b.convert("bitcast", bits, "half"), "float")
    wide = b.convert("zext", bits, "i32")
    sign = b.binary("shl", b.binary("and", wide, 0x8000), 16)
    raised = b.convert("bitcast", b.binary("shl", b.binary("and", wide, 0x7FFF), 13), "float")
    # The product is exact and makes subnormal numbers normal.
    magnitude = b.convert("bitcast", b.fmul(raised, 2.0**112), "i32")
    special = b.fcmp("oge", raised, 2.0**-96)  # the largest exponent: infinity and NaN
    magnitude = b.select(special, b.binary("or", magnitude, _INFINITY), magnitude)
    return b.convert("bitcast", b.binary("or", magnitude, sign), "float")


def float_to_half(b: Builder, value: Value) -> Value:
    """float as float16 in i16, rounded to nearest even."""
    if _HARDWARE & b.features:
        return b.convert("bitcast", b.convert("fptrunc", value, "half"), "i16")
    all_bits = b.convert("bitcast", value, "i32")
    magnitude = b.binary("and", all_bits, 0x7FFFFFFF)
    sign = b.binary("and", b.binary("lshr", all_bits, 16), 0x8000)
    lowered = b.sub(magnitude, _EXPONENT_SHIFT)
    odd = b.binary("and", b.binary("lshr", lowered, 13), 1)
    normal = b.binary("lshr", b.add(b.add(lowered, 0xFFF), odd), 13)
    normal = b.select(b.icmp("ult", normal, 0x7C00), normal, 0x7C00)
    # Adding 0.5 lets the addition round at the last bit of subnormal numbers.
    shifted = b.fadd(b.convert("bitcast", magnitude, "float"), 0.5)
    small = b.sub(b.convert("bitcast", shifted, "i32"), _HALF_ONE)
    result = b.select(b.icmp("ult", magnitude, _SMALLEST_NORMAL), small, normal)
    result = b.select(b.icmp("ugt", magnitude, _INFINITY), 0x7E00, result)
    return b.convert("trunc", b.binary("or", result, sign), "i16")


def bfloat_to_float(b: Builder, bits: Value) -> Value:
    """bfloat16 in i16 as float."""
    return b.convert("bitcast", b.binary("shl", b.convert("zext", bits, "i32"), 16), "float")


def rounded_to_bfloat(b: Builder, value: Value) -> Value:
    """A float rounded to nearest even on its upper 16 bits, still a float."""
    bits = b.convert("bitcast", value, "i32")
    odd = b.binary("and", b.binary("lshr", bits, 16), 1)
    up = b.add(b.add(bits, 0x7FFF), odd)
    # A NaN is made quiet, so that rounding can't make it infinite.
    quiet = b.binary("or", bits, 0x00400000)
    chosen = b.select(b.fcmp("uno", value, value), quiet, up)
    return b.convert("bitcast", b.binary("and", chosen, -65536), "float")


def float_to_bfloat(b: Builder, value: Value) -> Value:
    """The bits in i16 of a float that has been rounded to bfloat16."""
    bits = b.convert("bitcast", value, "i32")
    return b.convert("trunc", b.binary("lshr", bits, 16), "i16")


def rounded_to_odd(b: Builder, value: Value) -> Value:
    """double to float such that rounding to 16 bits next is as good as rounding once.

    See `grad.graph.reference.cast`, which has the source.
    """
    near = b.convert("fptrunc", value, "float")
    back = b.convert("fpext", near, "double")
    bits = b.convert("bitcast", near, "i32")
    below = b.fcmp("olt", b.intrinsic("fabs", back), b.intrinsic("fabs", value))
    other = b.add(bits, b.select(below, b.const(bits.type, 1), -1))
    even = b.icmp("eq", b.binary("and", bits, 1), 0)
    inexact = b.fcmp("one", back, value)
    chosen = b.select(b.binary("and", even, inexact), other, bits)
    return b.convert("bitcast", chosen, "float")
