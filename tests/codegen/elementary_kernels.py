"""Compile one elementary function into a loop over arrays, for elementary_test.py.

A small compiler of its own, so that a test can choose lane count and CPU features: `KINDS` are
the ways in which kernels use the functions. `ulps` measures results against a more exact
reference, which `with_mpmath` makes where NumPy and SciPy have none.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import mpmath
import numpy as np
from llvmlite import binding

from grad.codegen.llvm.builder import Builder, Value, vector_type
from grad.codegen.llvm.elementary import ELEMENTARY
from grad.codegen.llvm.functions import attributes

binding.initialize_native_target()
binding.initialize_native_asmprinter()


@dataclass(frozen=True)
class Kind:
    """Bits of a vector (0: scalar) and the prefixes of host features that are switched off."""

    vector_bits: int
    without: tuple[str, ...]

    def lanes(self, element: str) -> int:
        return max(1, self.vector_bits // {"float": 32, "double": 64}[element])


KINDS = {
    "host512": Kind(512, ()),
    "avx2": Kind(256, ("avx512",)),
    "scalar": Kind(0, ("avx512",)),
    "wide_portable": Kind(512, ("avx512",)),
}
DTYPES = {"float": np.dtype(np.float32), "double": np.dtype(np.float64)}


def host_features(without: tuple[str, ...]) -> dict[str, bool]:
    """The host's features with those that start with a prefix of `without` switched off."""
    features = dict(binding.get_host_cpu_features())
    return {name: on and not name.startswith(without or ("none",)) for name, on in features.items()}


def module_text(name: str, element: str, kind: Kind, arity: int) -> str:
    """IR of ``kernel(ptr result, i64 count, ptr operand...)``; count is a multiple of the lanes."""
    lanes = kind.lanes(element)
    features = frozenset(n for n, on in host_features(kind.without).items() if on)
    b = Builder(features, max(kind.vector_bits // 8, 16))
    type_name = vector_type(element, lanes)
    align = DTYPES[element].itemsize

    def body(index: Value, _: list[Value]) -> None:
        operands = [
            b.load(type_name, b.gep(element, Value(f"%x{k}", "ptr"), index), align)
            for k in range(arity)
        ]
        result = ELEMENTARY[name](b, *operands)
        assert result.type == type_name
        b.store(result, b.gep(element, Value("%result", "ptr"), index), align)

    b.loop(0, Value("%count", "i64"), lanes, body)
    parameters = ", ".join(["ptr %result", "i64 %count", *(f"ptr %x{k}" for k in range(arity))])
    text = b.function("kernel", parameters)
    return b.preamble() + text + attributes(b.vector_bytes)


@cache
def compiled(name: str, element: str, kind: str, arity: int) -> Callable[..., np.ndarray]:
    """The function as one from arrays to an array; float errors of the CPU are not raised."""
    chosen = KINDS[kind]
    features = ",".join(
        f"{'+' if on else '-'}{n}" for n, on in host_features(chosen.without).items()
    )
    target = binding.Target.from_default_triple().create_target_machine(
        cpu=binding.get_host_cpu_name(), features=features, opt=2, jit=True
    )
    module = binding.parse_assembly(module_text(name, element, chosen, arity))
    module.verify()
    engine = binding.create_mcjit_compiler(module, target)
    engine.finalize_object()
    address = engine.get_function_address("kernel")
    native = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, *[ctypes.c_void_p] * arity)(
        address
    )
    dtype, lanes = DTYPES[element], chosen.lanes(element)

    def run(*operands: np.ndarray, _engine: object = engine) -> np.ndarray:
        count = len(operands[0])
        size = math.ceil(count / lanes) * lanes
        padded = [np.ones(size, dtype) for _ in operands]
        for target_array, operand in zip(padded, operands, strict=True):
            target_array[:count] = operand
        result = np.empty(size, dtype)
        native(result.ctypes.data, size, *(p.ctypes.data for p in padded))
        return result[:count]

    return run


def ulps(actual: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Distance in units in the last place of `actual`'s type at `expected`, which is of a wider
    type.

    Infinite where one is NaN and the other not, or an infinity is wrong; a result that rounds to
    infinity counts as exact. Signs of zeros are not looked at.
    """
    info = np.finfo(actual.dtype)
    with np.errstate(all="ignore"):
        _, exponent = np.frexp(expected)
        exponent = np.maximum(exponent - 1, info.minexp)
        unit = np.ldexp(np.ones((), expected.dtype), exponent - info.nmant)
        distance = np.abs(actual.astype(expected.dtype) - expected) / unit
        rounded = expected.astype(actual.dtype)
        same = (actual == rounded) | (np.isnan(actual) & np.isnan(rounded))
        # At the edge of overflow the largest number and infinity are neighbours.
        edge = np.isinf(actual) & (np.abs(expected) > float(info.max) * (1 - 2.0**-info.nmant))
    special = ~np.isfinite(actual) | ~np.isfinite(rounded)
    return np.where(special, np.where(same, 0.0, np.where(edge, 1.0, np.inf)), distance)


def with_mpmath(function: Callable[..., Any]) -> Callable[..., np.ndarray]:
    """`function` of mpmath numbers as one from arrays of float64 values to long doubles."""

    def long_double(value: Any) -> np.longdouble:
        if value == 0 or not mpmath.isfinite(value):
            return np.longdouble(float(value))
        # Through the fraction: the low part of a number near underflow is no float64.
        fraction, exponent = mpmath.frexp(value)
        high = float(fraction)
        low = float(fraction - high)
        return np.ldexp(np.longdouble(high) + np.longdouble(low), int(exponent))

    def reference(*operands: np.ndarray) -> np.ndarray:
        with mpmath.workdps(50):
            rows = zip(*(operand.tolist() for operand in operands), strict=True)
            values = [long_double(function(*(mpmath.mpf(float(v)) for v in row))) for row in rows]
        return np.array(values, np.longdouble)

    return reference
