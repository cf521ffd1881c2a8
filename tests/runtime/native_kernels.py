"""Kernels written by hand for the tests of the runtime, and plans of them."""

from __future__ import annotations

import os

import numpy as np

from grad.runtime.cpu.compiler import compile_ir
from grad.runtime.cpu.replay import Call, NativePlan

# Arguments: an int64 array and a constant; adds the constant to items begin to end.
ADD = """
define void @add(ptr %arguments, i64 %begin, i64 %end, i64 %worker) {
entry:
  %array = load ptr, ptr %arguments
  %constant_at = getelementptr i64, ptr %arguments, i64 1
  %constant = load i64, ptr %constant_at
  br label %head
head:
  %i = phi i64 [%begin, %entry], [%next, %body]
  %more = icmp slt i64 %i, %end
  br i1 %more, label %body, label %done
body:
  %at = getelementptr i64, ptr %array, i64 %i
  %old = load i64, ptr %at
  %new = add i64 %old, %constant
  store i64 %new, ptr %at
  %next = add i64 %i, 1
  br label %head
done:
  ret void
}
"""

# Arguments: an int64 array with a row of 8 for each worker; counts chunks and items by worker, and
# keeps the largest chunk. Without atomics: two threads with one number would lose counts.
COUNT = """
define void @count(ptr %arguments, i64 %begin, i64 %end, i64 %worker) {
  %rows = load ptr, ptr %arguments
  %first = mul i64 %worker, 8
  %chunks_at = getelementptr i64, ptr %rows, i64 %first
  %chunks = load i64, ptr %chunks_at
  %chunks_after = add i64 %chunks, 1
  store i64 %chunks_after, ptr %chunks_at
  %items_at = getelementptr i64, ptr %chunks_at, i64 1
  %items = load i64, ptr %items_at
  %size = sub i64 %end, %begin
  %items_after = add i64 %items, %size
  store i64 %items_after, ptr %items_at
  ret void
}
"""

# Arguments: a number of turns; does nothing that often in each chunk.
WORK = """
define void @work(ptr %arguments, i64 %begin, i64 %end, i64 %worker) {
entry:
  %turns = load i64, ptr %arguments
  br label %turn
turn:
  %i = phi i64 [0, %entry], [%next, %turn]
  %kept = call i64 asm sideeffect "", "=r,0"(i64 %i)
  %next = add i64 %kept, 1
  %more = icmp slt i64 %next, %turns
  br i1 %more, label %turn, label %done
done:
  ret void
}
"""


def kernel(text: str, name: str) -> int:
    return compile_ir(text, [name], f"test kernel {name}")[name]


def add_plan(items: int, grain: int, times: int = 1) -> NativePlan:
    """A plan of slots (array, constant): the constant is added `times` times, a step each."""
    call = Call(kernel(ADD, "add"), ((0, 0), (1, 0)), items, grain)
    return NativePlan([[call]] * times, 2)


def adds_right(items: int = 1000, grain: int = 7, times: int = 20) -> bool:
    """Whether a parallel sum comes out right; also what child processes run."""
    values = np.arange(items)
    add_plan(items, grain, times).run([values.ctypes.data, 3])
    return bool((values == np.arange(items) + 3 * times).all())


def exit_with_answer() -> None:
    """Target of child processes: status 7 when all is well."""
    os._exit(7 if adds_right() else 1)
