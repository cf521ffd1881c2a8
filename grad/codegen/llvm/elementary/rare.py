"""Functions for operands that hardly ever come: one number at a time, in integer arithmetic.

Vector code calls them lane by lane from a branch that is rarely taken: the remainder of a division
with a huge quotient, and the reduction of huge float64 angles by pi/2. They are what the C library
would be called for, written here so that kernels call nothing outside themselves.
trigonometric.py and instructions.py are the users.
"""

from __future__ import annotations

from fractions import Fraction

from grad.codegen.llvm.builder import Builder, Value, element_of, lanes_of, with_element
from grad.codegen.llvm.elementary.parts import FORMATS, PI
from grad.codegen.llvm.literals import literal

# C's fmod by long division: ten more bits of the dividend at a time, as many as still fit beside
# the divisor's 53.
REMAINDER = """
define internal double @grad_remainder(double %x, double %y) #0 {
entry:
  %x_bits = bitcast double %x to i64
  %y_bits = bitcast double %y to i64
  %x_size = and i64 %x_bits, 9223372036854775807
  %y_size = and i64 %y_bits, 9223372036854775807
  %x_special = icmp uge i64 %x_size, 9218868437227405312
  %y_nan = icmp ugt i64 %y_size, 9218868437227405312
  %y_zero = icmp eq i64 %y_size, 0
  %undefined = or i1 %y_nan, %y_zero
  %undefined_too = or i1 %undefined, %x_special
  br i1 %undefined_too, label %give_nan, label %compare
give_nan:
  ret double 0x7FF8000000000000
compare:
  %below = icmp ult i64 %x_size, %y_size
  br i1 %below, label %give_x, label %decode
give_x:
  ret double %x
decode:
  %x_field = lshr i64 %x_size, 52
  %y_field = lshr i64 %y_size, 52
  %x_exponent = call i64 @llvm.umax.i64(i64 %x_field, i64 1)
  %y_exponent = call i64 @llvm.umax.i64(i64 %y_field, i64 1)
  %x_fraction = and i64 %x_size, 4503599627370495
  %y_fraction = and i64 %y_size, 4503599627370495
  %x_normal = icmp ne i64 %x_field, 0
  %y_normal = icmp ne i64 %y_field, 0
  %x_whole = or i64 %x_fraction, 4503599627370496
  %y_whole = or i64 %y_fraction, 4503599627370496
  %dividend = select i1 %x_normal, i64 %x_whole, i64 %x_fraction
  %divisor = select i1 %y_normal, i64 %y_whole, i64 %y_fraction
  %difference = sub i64 %x_exponent, %y_exponent
  %first = urem i64 %dividend, %divisor
  br label %head
head:
  %left = phi i64 [%difference, %decode], [%left_after, %divide]
  %rest = phi i64 [%first, %decode], [%rest_after, %divide]
  %more = icmp ne i64 %left, 0
  br i1 %more, label %divide, label %done
divide:
  %bits = call i64 @llvm.umin.i64(i64 %left, i64 10)
  %longer = shl i64 %rest, %bits
  %rest_after = urem i64 %longer, %divisor
  %left_after = sub i64 %left, %bits
  br label %head
done:
  %number = uitofp i64 %rest to double
  %power = sub i64 %y_exponent, 1075
  %half = ashr i64 %power, 1
  %other_half = sub i64 %power, %half
  %half_field = add i64 %half, 1023
  %other_field = add i64 %other_half, 1023
  %half_bits = shl i64 %half_field, 52
  %other_bits = shl i64 %other_field, 52
  %half_power = bitcast i64 %half_bits to double
  %other_power = bitcast i64 %other_bits to double
  %scaled = fmul double %number, %half_power
  %size = fmul double %scaled, %other_power
  %signed = call double @llvm.copysign.f64(double %size, double %x)
  ret double %signed
}
"""

# Words of 64 bits of 2/pi, after one of zeros: the most significant bit of word 1 is worth 1/2.
TWO_OVER_PI_WORDS = 21

# |x| = m * 2**e with a whole m of 53 bits. The 192 bits of 2/pi that matter (those above make
# multiples of 4 quarter turns) times m are the angle in quarter turns, 2 bits before the point
# (after Payne and Hanek 1983). Gives r and its low part, in radians, and the quadrant.
REDUCTION = """
define internal { double, double, i64 } @grad_reduce_angle(double %x) #0 {
entry:
  %x_bits = bitcast double %x to i64
  %field = lshr i64 %x_bits, 52
  %exponent = and i64 %field, 2047
  %fraction = and i64 %x_bits, 4503599627370495
  %m = or i64 %fraction, 4503599627370496
  %below = sub i64 %exponent, 1013
  %first = call i64 @llvm.smax.i64(i64 %below, i64 0)
  %word = lshr i64 %first, 6
  %shift = and i64 %first, 63
  %at_0 = getelementptr i64, ptr @grad_two_over_pi, i64 %word
  %at_1 = getelementptr i64, ptr %at_0, i64 1
  %at_2 = getelementptr i64, ptr %at_0, i64 2
  %at_3 = getelementptr i64, ptr %at_0, i64 3
  %word_0 = load i64, ptr %at_0
  %word_1 = load i64, ptr %at_1
  %word_2 = load i64, ptr %at_2
  %word_3 = load i64, ptr %at_3
  %high = call i64 @llvm.fshl.i64(i64 %word_0, i64 %word_1, i64 %shift)
  %middle = call i64 @llvm.fshl.i64(i64 %word_1, i64 %word_2, i64 %shift)
  %low = call i64 @llvm.fshl.i64(i64 %word_2, i64 %word_3, i64 %shift)
  %wide_m = zext i64 %m to i128
  %wide_middle = zext i64 %middle to i128
  %wide_low = zext i64 %low to i128
  %product_low = mul i128 %wide_low, %wide_m
  %product_middle = mul i128 %wide_middle, %wide_m
  %product_high = mul i64 %high, %m
  %carry = lshr i128 %product_low, 64
  %sum = add i128 %product_middle, %carry
  %wide_high = zext i64 %product_high to i128
  %placed = shl i128 %wide_high, 64
  %turns = add i128 %sum, %placed
  %rounding = add i128 %turns, 42535295865117307932921825928971026432
  %quadrant_wide = lshr i128 %rounding, 126
  %whole = shl i128 %quadrant_wide, 126
  %offset = sub i128 %turns, %whole
  %negative = icmp slt i128 %offset, 0
  %opposite = sub i128 0, %offset
  %size = select i1 %negative, i128 %opposite, i128 %offset
  %top = lshr i128 %size, 77
  %next = lshr i128 %size, 28
  %top_bits = trunc i128 %top to i64
  %next_word = trunc i128 %next to i64
  %next_bits = and i64 %next_word, 562949953421311
  %last_word = trunc i128 %size to i64
  %last_bits = and i64 %last_word, 268435455
  %top_number = sitofp i64 %top_bits to double
  %next_number = sitofp i64 %next_bits to double
  %last_number = sitofp i64 %last_bits to double
  %a = fmul double %top_number, 0x3CE0000000000000
  %b = fmul double %next_number, 0x39D0000000000000
  %c = fmul double %last_number, 0x3810000000000000
  %ab = fadd double %a, %b
  %ab_less = fsub double %ab, %a
  %ab_lost = fsub double %b, %ab_less
  %small = fadd double %ab_lost, %c
  %quarter = fadd double %ab, %small
  %quarter_less = fsub double %quarter, %ab
  %quarter_low = fsub double %small, %quarter_less
  %product = fmul double %quarter, PI_HIGH
  %minus = fneg double %product
  %lost = call double @llvm.fma.f64(double %quarter, double PI_HIGH, double %minus)
  %lost_more = call double @llvm.fma.f64(double %quarter, double PI_LOW, double %lost)
  %lost_all = call double @llvm.fma.f64(double %quarter_low, double PI_HIGH, double %lost_more)
  %r = fadd double %product, %lost_all
  %r_less = fsub double %r, %product
  %r_low = fsub double %lost_all, %r_less
  %flip_r = fneg double %r
  %flip_low = fneg double %r_low
  %signed_r = select i1 %negative, double %flip_r, double %r
  %signed_low = select i1 %negative, double %flip_low, double %r_low
  %quadrant = trunc i128 %quadrant_wide to i64
  %result_0 = insertvalue { double, double, i64 } poison, double %signed_r, 0
  %result_1 = insertvalue { double, double, i64 } %result_0, double %signed_low, 1
  %result_2 = insertvalue { double, double, i64 } %result_1, i64 %quadrant, 2
  ret { double, double, i64 } %result_2
}
"""
INTRINSICS = {
    "llvm.umax.i64": "i64 (i64, i64)",
    "llvm.umin.i64": "i64 (i64, i64)",
    "llvm.smax.i64": "i64 (i64, i64)",
    "llvm.fshl.i64": "i64 (i64, i64, i64)",
    "llvm.fma.f64": "double (double, double, double)",
    "llvm.copysign.f64": "double (double, double)",
}


def remainder_of_each(b: Builder, x: Value, y: Value) -> Value:
    """C's fmod, exactly, lane by lane; of float32 in float64, which has the result too."""
    _define(b, "grad_remainder", REMAINDER)
    element = element_of(x.type)
    wide = [v if element == "double" else b.convert("fpext", v, "double") for v in (x, y)]
    (result,) = _lane_by_lane(b, "grad_remainder", ("double",), *wide)
    return result if element == "double" else b.convert("fptrunc", result, "float")


def reduce_each_angle(b: Builder, size: Value) -> tuple[Value, Value, Value]:
    """Float64 angles of 2**17 and more, lane by lane: r in [-pi/4, pi/4], its low part, and the
    quadrant. Finite numbers below give any result, and so do infinity and NaN."""
    high, low = FORMATS["double"].split(PI / 2)
    text = REDUCTION.replace("PI_HIGH", literal("double", high))
    _define(b, "grad_reduce_angle", _two_over_pi() + text.replace("PI_LOW", literal("double", low)))
    r, rest, quadrant = _lane_by_lane(b, "grad_reduce_angle", ("double", "double", "i64"), size)
    return r, rest, quadrant


def _two_over_pi() -> str:
    """The table of `REDUCTION`."""
    bits = int(2 / PI_LONG * 2 ** (64 * (TWO_OVER_PI_WORDS - 1)))
    shifts = range(64 * (TWO_OVER_PI_WORDS - 1), -1, -64)
    words = ", ".join(f"i64 {bits >> shift & (1 << 64) - 1}" for shift in shifts)
    return (
        f"@grad_two_over_pi = private unnamed_addr constant [{TWO_OVER_PI_WORDS} x i64] [{words}], "
        f"align 64\n"
    )


def _machin(bits: int) -> Fraction:
    """pi to `bits` bits, by ``pi = 16 atan(1/5) - 4 atan(1/239)`` (Machin 1706)."""

    def arctangent(inverse: int) -> int:
        term = total = (1 << bits + 32) // inverse
        divisor, sign = 3, -1
        while term:
            term //= inverse * inverse
            total += sign * (term // divisor)
            divisor, sign = divisor + 2, -sign
        return total

    return Fraction(16 * arctangent(5) - 4 * arctangent(239), 1 << bits + 32)


PI_LONG = _machin(64 * TWO_OVER_PI_WORDS)


def _define(b: Builder, name: str, text: str) -> None:
    for intrinsic, signature in INTRINSICS.items():
        if f"@{intrinsic}(" in text:
            b.declare(intrinsic, signature)
    b.define(name, text)


def _lane_by_lane(
    b: Builder, name: str, kinds: tuple[str, ...], *arguments: Value
) -> tuple[Value, ...]:
    """Call a function of numbers for each lane; `kinds` are the types of its results."""
    kind = arguments[0].type
    element, lanes = element_of(kind), lanes_of(kind)
    result_type = kinds[0] if len(kinds) == 1 else "{ " + ", ".join(kinds) + " }"
    results = [Value("poison", with_element(kind, each)) for each in kinds]
    for lane in range(lanes):
        scalars = arguments
        if lanes > 1:
            scalars = tuple(
                b.emit(element, f"extractelement {kind} {a.text}, i32 {lane}") for a in arguments
            )
        words = ", ".join(f"{element} {scalar.text}" for scalar in scalars)
        called = b.emit(result_type, f"call {result_type} @{name}({words})")
        for number, each in enumerate(kinds):
            value = called
            if len(kinds) > 1:
                value = b.emit(each, f"extractvalue {result_type} {called.text}, {number}")
            if lanes > 1:
                before = results[number]
                value = b.emit(
                    before.type,
                    f"insertelement {before.type} {before.text}, {each} {value.text}, i32 {lane}",
                )
            results[number] = value
    return tuple(results)
