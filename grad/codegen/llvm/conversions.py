"""Conversions between element types, and between values in registers and values in memory.

Values of float16 and bfloat16 live in registers as float32 and in memory as 16 bits; bools live as i1 and in
memory as a byte. Floats become integers by truncation; what does not fit saturates at 32 (or 64) bits, NaN
becomes 0, and smaller types keep the low bits.
"""

from __future__ import annotations

from grad.codegen.llvm.builder import Builder, Value, element_of, mangled, with_element
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
    dtypes.float16: "half",
    dtypes.bfloat16: "i16",
    dtypes.float32: "float",
    dtypes.float64: "double",
}


def from_memory(b: Builder, value: Value, dtype: DType) -> Value:
    """A loaded value as it is computed with."""
    if dtype is dtypes.bool:
        return b.icmp("ne", value, 0)
    if dtype is dtypes.float16:
        return b.convert("fpext", value, "float")
    if dtype is dtypes.bfloat16:
        return b.convert("bitcast", b.binary("shl", b.convert("zext", value, "i32"), 16), "float")
    return value


def to_memory(b: Builder, value: Value, dtype: DType) -> Value:
    """A computed value as it is stored; halves have been rounded already."""
    if dtype is dtypes.bool:
        return b.convert("zext", value, "i8")
    if dtype is dtypes.float16:
        return b.convert("fptrunc", value, "half")
    if dtype is dtypes.bfloat16:
        bits = b.convert("bitcast", value, "i32")
        return b.convert("trunc", b.binary("lshr", bits, 16), "i16")
    return value


def rounded(b: Builder, value: Value, dtype: DType) -> Value:
    """A float32 value rounded to float16 or bfloat16 (and still float32); anything else as it is."""
    if dtype is dtypes.float16:
        return b.convert("fpext", b.convert("fptrunc", value, "half"), "float")
    if dtype is not dtypes.bfloat16:
        return value
    # Round to nearest even on the upper 16 bits; a NaN is made quiet so that rounding can't make it infinite.
    bits = b.convert("bitcast", value, "i32")
    odd = b.binary("and", b.binary("lshr", bits, 16), 1)
    up = b.add(b.add(bits, 0x7FFF), odd)
    quiet = b.binary("or", bits, 0x00400000)
    chosen = b.select(b.fcmp("uno", value, value), quiet, up)
    return b.convert("bitcast", b.binary("and", chosen, -65536), "float")


def cast(b: Builder, value: Value, source: DType, target: DType) -> Value:
    """`value` of type `source` as `target`."""
    if source is target:
        return value
    if target is dtypes.bool:
        return b.fcmp("une", value, 0.0) if source.kind == "f" else b.icmp("ne", value, 0)
    if target.kind == "f" and target.itemsize == 2 and source is dtypes.float64:
        return rounded(b, _rounded_to_odd(b, value), target)
    if target.kind == "f":
        return rounded(b, _to_float(b, value, source, "double" if target.itemsize == 8 else "float"), target)
    if source.kind == "f":
        return _float_to_integer(b, value, target)
    return _resized(b, value, source, 8 * target.itemsize)


def _to_float(b: Builder, value: Value, source: DType, element: str) -> Value:
    if source.kind == "f":
        if element_of(value.type) == element:
            return value
        return b.convert("fpext" if element == "double" else "fptrunc", value, element)
    return b.convert("sitofp" if source.kind == "i" else "uitofp", value, element)


def _rounded_to_odd(b: Builder, value: Value) -> Value:
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


def _float_to_integer(b: Builder, value: Value, target: DType) -> Value:
    wide = "i64" if target.itemsize == 8 or target is dtypes.uint32 else "i32"
    name = "llvm.fptoui.sat" if target is dtypes.uint64 else "llvm.fptosi.sat"
    result = with_element(value.type, wide)
    whole = b.call(result, f"{name}.{mangled(result)}.{mangled(value.type)}", value)
    return _resized(b, whole, target, 8 * target.itemsize)


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


