"""Try the elementary functions of one operand on every float32; run by hand, a minute each.

    .venv/bin/python -m tests.codegen.elementary_domain [NAME ...]

Prints the largest error in units in the last place and an operand that has it, for AVX-512's code
and for the portable code that every other CPU gets (needs a CPU with AVX-512). All is done in
machine code, `measure_text`. The reference is our float64 code, which elementary_test.py compares
with mpmath and with long double; its own errors are 2**-28 of a unit here. The results stand in
docs/elementary-functions.md.
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable

from grad.codegen.llvm.builder import Builder, Value
from grad.codegen.llvm.elementary import ELEMENTARY
from grad.codegen.llvm.functions import attributes
from grad.runtime.cpu.compiler import compile_ir
from grad.runtime.cpu.host import detect

BINARY = ("pow", "atan2")
LANES = 16
BLOCK = 1 << 24
EXPONENT_BITS = 0x7FF << 52
LEAST_EXPONENT = (1023 - 126) << 52  # of normal numbers of float32
Measure = Callable[[int, int], tuple[float, float]]


def measure_text(name: str, features: frozenset[str]) -> str:
    """IR of ``measure(ptr worst, i64 first, i64 last)``: the largest errors of the function for
    the floats with these bits, of AVX-512's code and of the portable one."""
    b = Builder(features, 64)
    portable = b.sibling()
    portable.features = frozenset()
    zero = b.const("<8 x double>", 0.0)

    def block(index: Value, worst: list[Value]) -> list[Value]:
        low = b.splat(b.convert("trunc", index, "i32"), LANES)
        x = b.convert("bitcast", b.add(low, b.vector("i32", range(LANES))), "float")
        own = ELEMENTARY[name](b, x)
        # The other builder writes into the same function.
        portable.lines, portable._count, portable._block = b.lines, b._count + 1, b.block
        other = ELEMENTARY[name](portable, x)
        b._count, b._block = portable._count + 1, portable.block
        for start in (0, 8):
            half = range(start, start + 8)
            exact = ELEMENTARY[name](b, b.convert("fpext", b.shuffle(x, None, half), "double"))
            for number, result in enumerate((own, other)):
                error = _error(b, b.shuffle(result, None, half), exact)
                larger = b.fcmp("ogt", error, worst[number])
                worst = [*worst]
                worst[number] = b.select(larger, error, worst[number])
        return worst

    first, last = Value("%first", "i64"), Value("%last", "i64")
    results = b.loop(first, last, LANES, block, [zero, zero])
    for number, result in enumerate(results):
        b.store(result, b.gep("double", Value("%worst", "ptr"), 8 * number), 8)
    text = b.function("measure", "ptr %worst, i64 %first, i64 %last")
    return b.preamble() + text + attributes(64)


def _error(b: Builder, result: Value, exact: Value) -> Value:
    """``|result - exact|`` in units of float32 at `exact`. Infinity counts as 2**128, and so does
    what is beyond; a wrong NaN or sign (of a zero too) is infinitely wrong."""
    wide = b.convert("fpext", result, "double")
    shown, wanted = (_at_most_float(b, value) for value in (wide, exact))
    exponent = b.binary("and", b.convert("bitcast", wanted, "i64"), EXPONENT_BITS)
    exponent = b.select(b.icmp("sgt", exponent, LEAST_EXPONENT), exponent, LEAST_EXPONENT)
    inverse_bits = b.sub(b.const(exponent.type, 2 * (1023 << 52) + (23 << 52)), exponent)
    per_unit = b.convert("bitcast", inverse_bits, "double")
    error = b.fmul(b.intrinsic("fabs", b.fsub(shown, wanted)), per_unit)
    both = b.binary("and", b.fcmp("uno", wide, wide), b.fcmp("uno", exact, exact))
    signs = b.binary("xor", b.convert("bitcast", wide, "i64"), b.convert("bitcast", exact, "i64"))
    bad = b.binary("or", b.icmp("slt", signs, 0), b.fcmp("uno", error, error))
    return b.select(both, 0.0, b.select(bad, float("inf"), error))


def _at_most_float(b: Builder, value: Value) -> Value:
    limit = b.intrinsic("copysign", b.const(value.type, 2.0**128), value)
    return b.select(b.fcmp("ogt", b.intrinsic("fabs", value), 2.0**128), limit, value)


def measure(name: str) -> Measure:
    """The compiled measurement: from a range of bit patterns to the two largest errors."""
    machine = detect("native")
    assert "avx512f" in machine.features, "this needs a CPU with AVX-512"
    address = compile_ir(measure_text(name, machine.features), ["measure"], f"{name} of all floats")
    native = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)(
        address["measure"]
    )

    def run(first: int, last: int) -> tuple[float, float]:
        worst = (ctypes.c_double * 16)()
        native(ctypes.addressof(worst), first, last)
        return max(worst[:8]), max(worst[8:])

    return run


def narrowed(run: Measure, code: int, first: int, last: int, error: float) -> float:
    """An operand between bits `first` and `last` for which `code` has this error."""
    while last - first > LANES:
        middle = (first + last) // 2
        if run(first, middle)[code] == error:
            last = middle
        else:
            first = middle
    return ctypes.c_float.from_buffer(ctypes.c_uint32(first)).value


def main() -> None:
    for name in sys.argv[1:] or [name for name in ELEMENTARY if name not in BINARY]:
        start = time.monotonic()
        run = measure(name)
        blocks = [(first, run(first, first + BLOCK)) for first in range(0, 1 << 32, BLOCK)]
        words = []
        for code, title in enumerate(("AVX-512", "portable")):
            first, errors = max(blocks, key=lambda block: block[1][code])
            near = narrowed(run, code, first, first + BLOCK, errors[code])
            words.append(f"{title} {errors[code]:.4f} near {near!r}")
        print(f"{name}: {', '.join(words)} ({time.monotonic() - start:.0f} s)", flush=True)


if __name__ == "__main__":
    main()
