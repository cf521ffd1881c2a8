"""The LLVM column of the primitives: what each becomes for each sort of element type.

`emit_primitive` looks a primitive up in a table by the sort of its operands (float, signed,
unsigned, bool) and writes its instructions on values of any lane count. float16 and bfloat16 are
computed in float32 and rounded after every operation, so that a result does not depend on which
kernel computed it. Conversions are in `conversions.py`, transcendental functions in `elementary`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from grad.codegen.llvm import conversions
from grad.codegen.llvm.builder import Builder, Value, element_of, lanes_of
from grad.codegen.llvm.elementary import ELEMENTARY
from grad.codegen.llvm.elementary.rare import remainder_of_each
from grad.codegen.llvm.threefry import halves, threefry
from grad.dtype import DType, dtypes
from grad.graph.primitives import Primitive

Emit = Callable[..., Value]


def _opcode(name: str) -> Emit:
    return lambda b, x, y: b.binary(name, x, y)


def _compare(kind: str, predicate: str) -> Emit:
    if kind == "f":
        return lambda b, x, y: b.fcmp(predicate, x, y)
    return lambda b, x, y: b.icmp(predicate, x, y)


def _intrinsic(name: str) -> Emit:
    return lambda b, x: b.intrinsic(name, x)


def _same(b: Builder, x: Value) -> Value:
    return x


# -- floats ----------------------------------------------------------------------------------------
def _float_extreme(predicate: str) -> Emit:
    """Maximum or minimum in which NaN wins."""

    def emit(b: Builder, x: Value, y: Value) -> Value:
        chosen = b.select(b.fcmp(predicate, x, y), x, y)
        return b.select(b.fcmp("uno", x, x), x, chosen)

    return emit


# Quotients below this are whole numbers and fractions at once: the remainder is exact in one step.
_EXACT_QUOTIENT = {"float": 2.0**22, "double": 2.0**51}


def _float_remainder(b: Builder, x: Value, y: Value) -> Value:
    """C's fmod, exactly: ``x - trunc(x / y) * y`` in one rounding, which is none for moderate
    quotients.

    The quotient can round up to the next whole number; then the remainder comes out with the wrong
    sign and one divisor too small. Huge quotients, infinities and NaN are divided lane by lane.
    """
    quotient = b.fdiv(x, y)
    size = b.intrinsic("fabs", quotient)
    usual = b.fcmp("olt", size, _EXACT_QUOTIENT[element_of(x.type)])
    every = usual
    if lanes_of(x.type) > 1:
        every = b.call("i1", f"llvm.vector.reduce.and.v{lanes_of(x.type)}i1", usual)

    def fast() -> list[Value]:
        divisor = b.intrinsic("fabs", y)
        finite = b.select(b.fcmp("oeq", divisor, float("inf")), 0.0, y)
        rest = b.fma(b.fneg(b.intrinsic("trunc", quotient)), finite, x)
        signed = b.fmul(rest, b.intrinsic("copysign", b.const(x.type, 1.0), x))
        lifted = b.select(b.fcmp("olt", signed, 0.0), b.fadd(signed, divisor), signed)
        return [b.intrinsic("copysign", lifted, x)]

    return b.either(every, fast, lambda: [remainder_of_each(b, x, y)])[0]


def _float_mod(b: Builder, x: Value, y: Value) -> Value:
    """Remainder with the divisor's sign: fmod, moved up by one divisor where the signs differ."""
    remainder = _float_remainder(b, x, y)
    nonzero = b.fcmp("une", remainder, 0.0)
    differs = b.binary("xor", b.fcmp("olt", remainder, 0.0), b.fcmp("olt", y, 0.0))
    moved = b.select(b.binary("and", nonzero, differs), b.fadd(remainder, y), remainder)
    zero = b.intrinsic("copysign", b.const(x.type, 0.0), y)
    return b.select(b.fcmp("oeq", remainder, 0.0), zero, moved)


def _float_floordiv(b: Builder, x: Value, y: Value) -> Value:
    """Quotient rounded down, exact where x / y would round up to the next integer (as in NumPy)."""
    remainder = _float_remainder(b, x, y)
    quotient = b.fdiv(b.fsub(x, remainder), y)
    nonzero = b.fcmp("une", remainder, 0.0)
    differs = b.binary("xor", b.fcmp("olt", remainder, 0.0), b.fcmp("olt", y, 0.0))
    quotient = b.select(b.binary("and", nonzero, differs), b.fsub(quotient, 1.0), quotient)
    whole = b.intrinsic("floor", quotient)
    whole = b.select(b.fcmp("ogt", b.fsub(quotient, whole), 0.5), b.fadd(whole, 1.0), whole)
    plain = b.fdiv(x, y)
    whole = b.select(
        b.fcmp("oeq", quotient, 0.0), b.intrinsic("copysign", b.const(x.type, 0.0), plain), whole
    )
    return b.select(b.fcmp("oeq", y, 0.0), plain, whole)


# -- integers --------------------------------------------------------------------------------------
def _safe_divisor(b: Builder, x: Value, y: Value, signed: bool) -> tuple[Value, Value]:
    """A divisor that does not trap, and where the true one is zero."""
    zero = b.icmp("eq", y, 0)
    bad = zero
    if signed:
        bits = int(element_of(x.type)[1:])
        smallest = b.icmp("eq", x, -(1 << (bits - 1)))
        bad = b.binary("or", zero, b.binary("and", smallest, b.icmp("eq", y, -1)))
    return b.select(bad, 1, y), zero


def _signed_division(b: Builder, x: Value, y: Value) -> tuple[Value, Value, Value]:
    """Quotient and remainder rounded down, and where the divisor is zero."""
    divisor, zero = _safe_divisor(b, x, y, signed=True)
    quotient, remainder = b.binary("sdiv", x, divisor), b.binary("srem", x, divisor)
    differs = b.icmp("slt", b.binary("xor", remainder, divisor), 0)
    down = b.binary("and", b.icmp("ne", remainder, 0), differs)
    return (
        b.select(down, b.sub(quotient, 1), quotient),
        b.select(down, b.add(remainder, divisor), remainder),
        zero,
    )


def _signed_floordiv(b: Builder, x: Value, y: Value) -> Value:
    quotient, _, zero = _signed_division(b, x, y)
    return b.select(zero, 0, quotient)


def _signed_mod(b: Builder, x: Value, y: Value) -> Value:
    _, remainder, zero = _signed_division(b, x, y)
    return b.select(zero, 0, remainder)


def _guarded(opcode: str, signed: bool) -> Emit:
    def emit(b: Builder, x: Value, y: Value) -> Value:
        divisor, zero = _safe_divisor(b, x, y, signed)
        return b.select(zero, 0, b.binary(opcode, x, divisor))

    return emit


def _shift(opcode: str, fill_with_sign: bool = False) -> Emit:
    """A shift in which amounts of all bits or more shift everything out."""

    def emit(b: Builder, x: Value, y: Value) -> Value:
        bits = int(element_of(x.type)[1:])
        inside = b.icmp("ult", y, bits)
        amount = b.select(inside, y, bits - 1 if fill_with_sign else 0)
        shifted = b.binary(opcode, x, amount)
        return shifted if fill_with_sign else b.select(inside, shifted, 0)

    return emit


def _integer_power(signed: bool) -> Emit:
    """Repeated squaring over all bits of the exponent; products wrap."""

    def emit(b: Builder, x: Value, y: Value) -> Value:
        bits = int(element_of(x.type)[1:])
        result, square = b.const(x.type, 1), x
        for bit in range(bits - 1 if signed else bits):
            used = b.icmp("ne", b.binary("and", y, 1 << bit), 0)
            result = b.select(used, b.mul(result, square), result)
            if bit + 1 < bits:
                square = b.mul(square, square)
        if not signed:
            return result
        odd = b.icmp("ne", b.binary("and", y, 1), 0)
        minus = b.select(b.icmp("eq", x, -1), b.select(odd, b.const(x.type, -1), 1), 0)
        inverse = b.select(b.icmp("eq", x, 1), 1, minus)
        return b.select(b.icmp("slt", y, 0), inverse, result)

    return emit


def _integer_extreme(predicate: str) -> Emit:
    return lambda b, x, y: b.select(b.icmp(predicate, x, y), x, y)


def _threefry(b: Builder, key: Value, counter: Value) -> Value:
    words = threefry(b, halves(b, key), halves(b, counter))
    low, high = (b.convert("zext", word, "i64") for word in words)
    return b.binary("or", low, b.binary("shl", high, 32))


def _negative(b: Builder, x: Value) -> Value:
    return b.sub(b.const(x.type, 0), x)


def _integer_abs(b: Builder, x: Value) -> Value:
    return b.select(b.icmp("slt", x, 0), _negative(b, x), x)


def _invert(b: Builder, x: Value) -> Value:
    return b.binary("xor", x, b.const(x.type, True if element_of(x.type) == "i1" else -1))


def _where(b: Builder, mask: Value, x: Value, y: Value) -> Value:
    return b.select(mask, x, y)


_EVERYWHERE: dict[str, Emit] = {"where": _where}

# One table for each sort of operand; the names are those of grad.graph.primitives.
INSTRUCTIONS: dict[str, dict[str, Emit]] = {
    "f": {
        "neg": lambda b, x: b.fneg(x),
        "abs": _intrinsic("fabs"),
        "floor": _intrinsic("floor"),
        "ceil": _intrinsic("ceil"),
        "round": _intrinsic("rint"),
        "trunc": _intrinsic("trunc"),
        "add": _opcode("fadd"),
        "sub": _opcode("fsub"),
        "mul": _opcode("fmul"),
        "div": _opcode("fdiv"),
        "floordiv": _float_floordiv,
        "mod": _float_mod,
        "fmod": _float_remainder,
        "maximum": _float_extreme("ogt"),
        "minimum": _float_extreme("olt"),
        "eq": _compare("f", "oeq"),
        "ne": _compare("f", "une"),
        "lt": _compare("f", "olt"),
        "le": _compare("f", "ole"),
        **_EVERYWHERE,
        **ELEMENTARY,
    },
    "i": {
        "neg": _negative,
        "abs": _integer_abs,
        "invert": _invert,
        **dict.fromkeys(("floor", "ceil", "round", "trunc"), _same),
        "add": _opcode("add"),
        "sub": _opcode("sub"),
        "mul": _opcode("mul"),
        "floordiv": _signed_floordiv,
        "mod": _signed_mod,
        "fmod": _guarded("srem", signed=True),
        "pow": _integer_power(signed=True),
        "maximum": _integer_extreme("sgt"),
        "minimum": _integer_extreme("slt"),
        "and": _opcode("and"),
        "or": _opcode("or"),
        "xor": _opcode("xor"),
        "shl": _shift("shl"),
        "shr": _shift("ashr", fill_with_sign=True),
        "eq": _compare("i", "eq"),
        "ne": _compare("i", "ne"),
        "lt": _compare("i", "slt"),
        "le": _compare("i", "sle"),
        **_EVERYWHERE,
    },
    "u": {
        "neg": _negative,
        "abs": _same,
        "invert": _invert,
        **dict.fromkeys(("floor", "ceil", "round", "trunc"), _same),
        "add": _opcode("add"),
        "sub": _opcode("sub"),
        "mul": _opcode("mul"),
        "floordiv": _guarded("udiv", signed=False),
        "mod": _guarded("urem", signed=False),
        "fmod": _guarded("urem", signed=False),
        "pow": _integer_power(signed=False),
        "maximum": _integer_extreme("ugt"),
        "minimum": _integer_extreme("ult"),
        "and": _opcode("and"),
        "or": _opcode("or"),
        "xor": _opcode("xor"),
        "shl": _shift("shl"),
        "shr": _shift("lshr"),
        "eq": _compare("u", "eq"),
        "ne": _compare("u", "ne"),
        "lt": _compare("u", "ult"),
        "le": _compare("u", "ule"),
        "threefry": _threefry,
        **_EVERYWHERE,
    },
    "b": {
        "neg": _same,
        "abs": _same,
        "invert": _invert,
        **dict.fromkeys(("floor", "ceil", "round", "trunc"), _same),
        "add": _opcode("or"),
        "sub": _opcode("xor"),
        "mul": _opcode("and"),
        "maximum": _opcode("or"),
        "minimum": _opcode("and"),
        "and": _opcode("and"),
        "or": _opcode("or"),
        "xor": _opcode("xor"),
        "eq": _compare("u", "eq"),
        "ne": _compare("u", "ne"),
        "lt": _compare("u", "ult"),
        "le": _compare("u", "ule"),
        **_EVERYWHERE,
    },
}

# Results that are exact in float16 and bfloat16 without rounding.
_EXACT = frozenset(("neg", "abs", "floor", "ceil", "round", "trunc", "maximum", "minimum", "where"))

# The widest vectors that functions of `elementary` are written on at once, in registers.
_REGISTERS = 1


def emit_primitive(
    b: Builder, op: Primitive, operands: Sequence[Value], sort: DType, result: DType
) -> Value:
    """``op(operands)``; `sort` is the operands' element type (for WHERE the last operands'),
    `result` the result's.

    Operands that are scalars among vectors are spread first.
    """
    lanes = max(lanes_of(v.type) for v in operands)
    values = [b.splat(v, lanes) for v in operands]
    if op.name == "cast":
        return conversions.cast(b, values[0], sort, result)
    if op.name == "bitcast":
        return conversions.bitcast(b, values[0], sort, result)
    emit = INSTRUCTIONS[sort.kind][op.name]
    if op.name in ELEMENTARY and sort.kind == "f":
        value = _in_registers(b, emit, values)
    else:
        value = emit(b, *values)
    return value if op.name in _EXACT else conversions.rounded(b, value, result)


def _in_registers(b: Builder, emit: Emit, values: list[Value]) -> Value:
    """Apply a function register by register: long vectors are cut and joined again."""
    bits = {"float": 4, "double": 8}[element_of(values[0].type)]
    lanes, width = lanes_of(values[0].type), max(b.vector_bytes // bits, 1) * _REGISTERS
    if lanes <= width or lanes % width:
        return emit(b, *values)
    parts = []
    for start in range(0, lanes, width):
        cut = [b.shuffle(v, None, range(start, start + width)) for v in values]
        parts.append(emit(b, *cut))
    while len(parts) > 1:
        size = lanes_of(parts[0].type)
        parts = [
            b.shuffle(x, y, range(2 * size)) for x, y in zip(parts[::2], parts[1::2], strict=True)
        ]
    return parts[0]


def element_type(dtype: DType) -> str:
    """The LLVM type that values of `dtype` are computed in."""
    if dtype is dtypes.bool:
        return "i1"
    if dtype.kind == "f":
        return "double" if dtype.itemsize == 8 else "float"
    return f"i{8 * dtype.itemsize}"
