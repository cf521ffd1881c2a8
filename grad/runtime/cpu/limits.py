"""The machine's own limits: arithmetic and memory, measured with code of our own.

Fused multiply-adds a second in registers (as operations: two each), and bytes a second, reading and
copying, for memory of several sizes: what fits in a cache is judged by that cache. The benchmarks
(`python -m benchmarks.limits`) and the profiler compare with them. Each kernel is a loop in LLVM
IR, compiled as all our kernels are (compiler.py); each thread has its own memory. The best of
several tries counts.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from grad.runtime.cpu.compiler import compile_ir
from grad.runtime.cpu.host import host

TRIES = 5
TRY_SECONDS = 0.02
# Enough sums to keep two units of latency 4 busy, few enough for 16 registers.
SUMS = 12
UNROLL = 8
FOOTPRINTS = tuple(1 << bits for bits in (18, 20, 22, 24, 26, 28, 29))

Kernel = Callable[[int], None]


def arithmetic_text(lanes: int) -> str:
    """``multiply_add(times, factor, term, result)``: `SUMS` chains of multiply-adds."""
    kind = f"<{lanes} x float>"
    names = range(SUMS)
    everywhere = f"<{lanes} x i32> zeroinitializer"
    splat = "\n".join(
        f"  %{name}0 = insertelement {kind} poison, float %{name}, i32 0\n"
        f"  %{name}v = shufflevector {kind} %{name}0, {kind} poison, {everywhere}"
        for name in ("factor", "term")
    )
    phis = "\n".join(f"  %s{n} = phi {kind} [%termv, %entry], [%r{n}, %loop]" for n in names)
    steps = "\n".join(
        f"  %m{n} = fmul contract {kind} %s{n}, %factorv\n"
        f"  %r{n} = fadd contract {kind} %m{n}, %termv"
        for n in names
    )
    total = "\n".join(
        f"  %t{n} = fadd {kind} {f'%t{n - 1}' if n else '%termv'}, %r{n}" for n in names
    )
    return f"""
define void @multiply_add(i64 %times, float %factor, float %term, ptr %result) {{
entry:
{splat}
  br label %loop
loop:
  %i = phi i64 [0, %entry], [%next, %loop]
{phis}
{steps}
  %next = add i64 %i, 1
  %more = icmp ult i64 %next, %times
  br i1 %more, label %loop, label %done
done:
{total}
  store {kind} %t{SUMS - 1}, ptr %result, align 4
  ret void
}}
"""


def memory_text(name: str, vector_bytes: int, store: bool, streaming: bool) -> str:
    """``name(times, target, source, bytes)``: go over `bytes` of memory `times` times."""
    kind = f"<{vector_bytes // 4} x i32>"
    hint = ", !nontemporal !0" if streaming else ""
    parts = []
    for n in range(UNROLL):
        address = f"getelementptr i8, ptr %source, i64 %at{n}"
        parts.append(f"  %at{n} = add i64 %at, {n * vector_bytes}")
        parts.append(f"  %from{n} = {address}")
        parts.append(f"  %v{n} = load {kind}, ptr %from{n}, align 64")
        parts.append(f"  %x{n} = or {kind} {f'%x{n - 1}' if n else '%seen'}, %v{n}")
        if store:
            parts.append(f"  %to{n} = getelementptr i8, ptr %target, i64 %at{n}")
            parts.append(f"  store {kind} %v{n}, ptr %to{n}, align 64{hint}")
    body = "\n".join(parts)
    return f"""
define void @{name}(i64 %times, ptr %target, ptr %source, i64 %bytes) {{
entry:
  br label %again
again:
  %time = phi i64 [0, %entry], [%later, %through]
  %kept = phi {kind} [zeroinitializer, %entry], [%x{UNROLL - 1}, %through]
  br label %loop
loop:
  %at = phi i64 [0, %again], [%next, %loop]
  %seen = phi {kind} [%kept, %again], [%x{UNROLL - 1}, %loop]
{body}
  %next = add i64 %at, {UNROLL * vector_bytes}
  %more = icmp ult i64 %next, %bytes
  br i1 %more, label %loop, label %through
through:
  %later = add i64 %time, 1
  %repeat = icmp ult i64 %later, %times
  br i1 %repeat, label %again, label %done
done:
  store {kind} %x{UNROLL - 1}, ptr %target, align 4
  ret void
}}
!0 = !{{i32 1}}
"""


def best_rate(kernels: list[Kernel], amount: float) -> float:
    """What all kernels together do a second, each `amount` a time, in a thread each."""
    started = time.perf_counter()
    kernels[0](1)
    kernels[0](1)
    times = max(1, round(TRY_SECONDS / ((time.perf_counter() - started) / 2)))
    return max(_rate(kernels, amount, times) for _ in range(TRIES))


def _rate(kernels: list[Kernel], amount: float, times: int) -> float:
    barrier = threading.Barrier(len(kernels))
    seconds = [0.0] * len(kernels)

    def run(number: int) -> None:
        barrier.wait()
        started = time.perf_counter()
        kernels[number](times)
        seconds[number] = time.perf_counter() - started

    threads = [threading.Thread(target=run, args=(n,)) for n in range(len(kernels))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(kernels) * amount * times / max(seconds)


def operations_rate(threads: int) -> float:
    """Floating-point operations a second, float32, in registers."""
    lanes = host().vector_bytes // 4
    address = compile_ir(arithmetic_text(lanes), ["multiply_add"], "the arithmetic limit")
    number, real = ctypes.c_int64, ctypes.c_float
    function = ctypes.CFUNCTYPE(None, number, real, real, ctypes.c_void_p)(address["multiply_add"])
    results = [np.empty(lanes, np.float32) for _ in range(threads)]
    steps = 1000

    def kernel(result: np.ndarray) -> Kernel:
        return lambda times: function(times * steps, 0.5, 1.0, result.ctypes.data)

    return best_rate([kernel(result) for result in results], 2 * SUMS * lanes * steps)


def memory_rates(
    threads: int, store: bool, footprints: Sequence[int] = FOOTPRINTS
) -> list[tuple[int, float]]:
    """Bytes a second, read and written together, by bytes used by all threads together."""
    functions = [memory_function(store, streaming) for streaming in ((False, True)[: 1 + store])]
    rates = []
    for footprint in footprints:
        step = UNROLL * host().vector_bytes
        size = footprint // threads // (2 if store else 1) // step * step
        memory = [(aligned(size if store else 64), aligned(size)) for _ in range(threads)]

        def kernel(function: Any, arrays: Any, size: int = size) -> Kernel:
            target, source = arrays[0].ctypes.data, arrays[1].ctypes.data
            return lambda times: function(times, target, source, size)

        best = max(
            best_rate([kernel(function, arrays) for arrays in memory], size * (1 + store))
            for function in functions
        )
        rates.append((footprint, best))
    return rates


def memory_function(store: bool, streaming: bool) -> Any:
    """The loop over memory, to be called with times, target, source and bytes."""
    name = "copy" if store else "read"
    text = memory_text(name, host().vector_bytes, store, streaming)
    number, pointer = ctypes.c_int64, ctypes.c_void_p
    prototype = ctypes.CFUNCTYPE(None, number, pointer, pointer, number)
    return prototype(compile_ir(text, [name], f"the {name} limit")[name])


def aligned(size: int) -> np.ndarray:
    """Bytes that have been touched, at a multiple of 64."""
    raw = np.ones(size + 64, np.uint8)
    return raw[-raw.ctypes.data % 64 :][:size]
