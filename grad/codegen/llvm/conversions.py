"""Conversions between element types, and between values in registers and values in memory.

Values of float16 and bfloat16 live in registers as float32 and in memory as 16 bits; bools live as
i1 and in memory as a byte. Floats become integers by truncation; what does not fit saturates at 32
(or 64) bits, NaN becomes 0, and smaller types keep the low bits.
"""

from __future__ import annotations

from grad.codegen.llvm.builder import Builder, Value, element_of, mangled, with_element
from grad.codegen.llvm.halves import (
    bfloat_to_float,
    float_to_bfloat,
    float_to_half,
    half_to_float,
    rounded_to_bfloat,
    rounded_to_odd,
)
from grad.dtype import DType, dtypes

# dtype -> LLVM type in memory
STORAGE = {
    dtypes.bool: "i8",
    dtypes.int8: "i8",
    dtypes.int16: "i16",
    dtypes.int32: "i32",
    dtypes.int64: "i64",
    dtypes.uint8: "i8",
    dtypes.uint16: "i16",
    dtypes.uint32: "i32",
    dtypes.uint64: "i64",
    dtypes.float16: "i16",
    dtypes.bfloat16: "i16",
    dtypes.float32: "float",
    dtypes.float64: "double",
}


def from_memory(b: Builder, value: Value, dtype: DType) -> Value:
    """A loaded value as it is computed with."""
    if dtype is dtypes.bool:
        return b.icmp("ne", value, 0)
    if dtype is dtypes.float16:
        return half_to_float(b, value)
    if dtype is dtypes.bfloat16:
        return bfloat_to_float(b, value)
    return value


def to_memory(b: Builder, value: Value, dtype: DType) -> Value:
    """A computed value as it is stored; halves have been rounded already."""
    if dtype is dtypes.bool:
        return b.convert("zext", value, "i8")
    if dtype is dtypes.float16:
        return float_to_half(b, value)
    if dtype is dtypes.bfloat16:
        return float_to_bfloat(b, value)
    return value


def rounded(b: Builder, value: Value, dtype: DType) -> Value:
    """A float32 value rounded to float16 or bfloat16 (and still float32); anything else as it
    is.
    """
    if dtype is dtypes.float16:
        return half_to_float(b, float_to_half(b, value))
    if dtype is dtypes.bfloat16:
        return rounded_to_bfloat(b, value)
    return value


def cast(b: Builder, value: Value, source: DType, target: DType) -> Value:
    """`value` of type `source` as `target`."""
    if source is target:
        return value
    if target is dtypes.bool:
        return b.fcmp("une", value, 0.0) if source.kind == "f" else b.icmp("ne", value, 0)
    if target.kind == "f" and target.itemsize == 2 and source is dtypes.float64:
        return rounded(b, rounded_to_odd(b, value), target)
    if target.kind == "f":
        return rounded(
            b, _to_float(b, value, source, "double" if target.itemsize == 8 else "float"), target
        )
    if source.kind == "f":
        return _float_to_integer(b, value, target)
    return _resized(b, value, source, 8 * target.itemsize)


def _to_float(b: Builder, value: Value, source: DType, element: str) -> Value:
    if source.kind == "f":
        if element_of(value.type) == element:
            return value
        return b.convert("fpext" if element == "double" else "fptrunc", value, element)
    return b.convert("sitofp" if source.kind == "i" else "uitofp", value, element)


def _float_to_integer(b: Builder, value: Value, target: DType) -> Value:
    wide = "i64" if target.itemsize == 8 or target is dtypes.uint32 else "i32"
    if target is dtypes.uint64:
        result = with_element(value.type, wide)
        name = f"llvm.fptoui.sat.{mangled(result)}.{mangled(value.type)}"
        return b.call(result, name, value)
    # What llvm.fptosi.sat means, in fewer instructions: fptosi is only given what fits.
    bits = int(wide[1:])
    limit = 2.0 ** (bits - 1)
    inside = b.fcmp("olt", b.intrinsic("fabs", value), limit)
    whole = b.convert("fptosi", b.select(inside, value, 0.0), wide)
    beyond = b.select(b.fcmp("ogt", value, 0.0), b.const(whole.type, (1 << (bits - 1)) - 1), 0)
    lowest = b.const(whole.type, -(1 << (bits - 1)))
    outside = b.select(b.fcmp("olt", value, 0.0), lowest, beyond)
    return _resized(b, b.select(inside, whole, outside), target, 8 * target.itemsize)


def _resized(b: Builder, value: Value, source: DType, bits: int) -> Value:
    have = int(element_of(value.type)[1:])
    if have == bits:
        return value
    if have > bits:
        return b.convert("trunc", value, f"i{bits}")
    return b.convert("sext" if source.kind == "i" else "zext", value, f"i{bits}")


def bitcast(b: Builder, value: Value, source: DType, target: DType) -> Value:
    """The same bits read as another type of the same size."""
    raw = to_memory(b, value, source)
    storage = STORAGE[target]
    if element_of(raw.type) != storage:
        raw = b.convert("bitcast", raw, storage)
    return from_memory(b, raw, target)
