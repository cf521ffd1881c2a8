"""Time a few ways to compute a matrix product, once a shape, and remember the fastest.

Off unless ``GRAD_SEARCH=1``. The rules of `plan.py` choose well on the machines that
they were measured on; a search finds what is better on another. Each `Tuning` in `CANDIDATES` is
compiled with an epilogue that only stores, run on operands of the same sizes and strides, and the
number of the fastest is kept in the cache on disk. Results differ between tunings by rounding
alone: sums are added up in blocks of k of another length.
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable, Sequence

from grad.buffer import Buffer
from grad.codegen.llvm.contraction.emit import emit, store_epilogue
from grad.codegen.llvm.contraction.plan import Tuning, choose
from grad.codegen.llvm.contraction.problem import Problem
from grad.codegen.llvm.contraction.structure import Choice
from grad.graph.movement import contiguous_strides
from grad.runtime.cpu.compiler import compile_ir, disk_cache, versions
from grad.runtime.cpu.host import Host
from grad.runtime.cpu.replay import Call, NativePlan
from grad.runtime.cpu.threads import get_num_threads
from grad.runtime.disk_cache import digest
from grad.settings import settings

CANDIDATES = (
    Tuning(),
    Tuning(pack_b=True),
    Tuning(pack_b=False),
    Tuning(depth_limit=256),
    Tuning(narrow=True),
    Tuning(pieces=16),
    Tuning(pieces=64),
)
LEAST_OPERATIONS = 100_000  # less is over before its plan matters
SECONDS_PER_CANDIDATE = 0.03
ROUNDS = 3
SYMBOL = "candidate"

_found: dict[str, Tuning] = {}


def search(problem: Problem, machine: Host) -> Tuning:
    """The fastest of `CANDIDATES` for `problem`, by this search or an earlier one."""
    key = digest("search", repr(problem), machine.cpu, machine.feature_string, *versions())
    key = digest(key, repr(CANDIDATES), str(get_num_threads()))
    tuning = _found.get(key)
    if tuning is None:
        disk = disk_cache(settings.cache_directory) if settings.cache else None
        saved = disk.load(key) if disk else None
        number = saved[0] if saved else _fastest(problem, machine)
        if disk and not saved:
            disk.store(key, bytes([number]))
        tuning = _found[key] = CANDIDATES[number]
    return tuning


def _fastest(problem: Problem, machine: Host) -> int:
    """The number of the fastest candidate; the first one when they are all the same plan."""
    choices = [choose(problem, tuning) for tuning in CANDIDATES]
    if problem.operations < LEAST_OPERATIONS or all(c == choices[0] for c in choices):
        return 0
    first = {choice: number for number, choice in reversed(list(enumerate(choices)))}
    memory = _Memory(problem, max(choice.scratch_bytes for choice in first) * get_num_threads())
    runs = {number: memory.run_of(choice, machine) for choice, number in first.items()}
    times = dict.fromkeys(runs, float("inf"))
    for _ in range(ROUNDS):
        for number, run in runs.items():
            times[number] = min(times[number], _seconds(run))
    best = min(times, key=lambda number: times[number])
    if settings.debug >= 1:
        figures = ", ".join(f"{CANDIDATES[n]}: {t * 1e6:.1f} us" for n, t in sorted(times.items()))
        print(f"grad: searched {problem.m}x{problem.k}x{problem.n}: {figures}", file=sys.stderr)
    return best


def _seconds(run: Callable[[], None]) -> float:
    """The shortest of the runs that fit in a part of `SECONDS_PER_CANDIDATE`, at least one."""
    best = float("inf")
    end = now = time.perf_counter()
    end += SECONDS_PER_CANDIDATE / ROUNDS
    while now < end:
        run()
        after = time.perf_counter()
        best, now = min(best, after - now), after
    return best


class _Memory:
    """Operands, a result and scratch for all candidates. What the operands hold does not matter:
    zeros.
    """

    def __init__(self, problem: Problem, scratch_bytes: int) -> None:
        self.problem = problem
        batch, m, n, k = problem.batch_sizes, problem.m, problem.n, problem.k
        self.a, a_start = _zeros((*batch, m, k), problem.a_strides, problem.a_memory.itemsize)
        self.b, b_start = _zeros((*batch, k, n), problem.b_strides, problem.b_memory.itemsize)
        self.out = Buffer(problem.batch * m * n * problem.size)
        self.scratch = Buffer(scratch_bytes)
        _, *batch_strides, row_stride, _ = contiguous_strides((1, *batch, m, n))
        self.constants = [self.out.address, row_stride, *batch_strides]
        self.pointers = [self.a.address + a_start, self.b.address + b_start, self.scratch.address]

    def run_of(self, choice: Choice, machine: Host) -> Callable[[], None]:
        """A call that computes the product as `choice` says."""
        epilogue = store_epilogue(self.problem.element, 0)
        slots = len(self.constants)
        text = emit(
            choice.structure, SYMBOL, machine.features, machine.vector_bytes, epilogue, slots
        )
        address = compile_ir(text, [SYMBOL], "a candidate", machine=machine)[SYMBOL]
        words = (*self.constants, *self.pointers, *choice.arguments)
        arguments = tuple((-1, word) for word in words)
        plan = NativePlan([[Call(address, arguments, choice.items, choice.grain)]], 0)
        return plan.launch


def _zeros(shape: Sequence[int], strides: Sequence[int], itemsize: int) -> tuple[Buffer, int]:
    """Memory for an operand, and the byte in it where the first element is."""
    moves = [(size - 1) * stride for size, stride in zip(shape, strides, strict=True)]
    before = -sum(move for move in moves if move < 0)
    nbytes = (before + sum(move for move in moves if move > 0) + 1) * itemsize
    buffer = Buffer(nbytes)
    ctypes.memset(buffer.address, 0, nbytes)
    return buffer, before * itemsize
