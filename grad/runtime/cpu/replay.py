"""Run a plan in one native call: bind arguments step by step, share chunks among threads.

A `NativePlan` is a table of words (steps, calls, arguments) in a bytes object, and a Python
builtin made of machine code whose ``self`` is that table. A run converts the slot values, releases
the interpreter lock, and for each step writes the arguments of its calls and hands them to the
pool (pool_code.py). Each run has its own memory for values and arguments, so runs of one plan may
overlap.
"""

from __future__ import annotations

import ctypes
import math
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

from grad.runtime.cpu.compiler import compile_ir, keep_for_ever, register_symbol
from grad.runtime.cpu.pool_code import CALL_WORDS
from grad.runtime.cpu.replay_code import EXECUTE, HEADER_WORDS, REPLAY, STEP_WORDS
from grad.runtime.cpu.threads import get_num_threads

CONSTANT = -1
LONG = 1 << 60
WORD_MASK = (1 << 64) - 1
METH_FASTCALL = 0x80

PYTHON_SYMBOLS = (
    "PyBytes_AsString",
    "PyLong_AsVoidPtr",
    "PyErr_Occurred",
    "PyErr_NoMemory",
    "PyErr_Format",
    "PyObject_CallNoArgs",
    "PyEval_SaveThread",
    "PyEval_RestoreThread",
    "Py_IncRef",
    "Py_DecRef",
)


class MethodDefinition(ctypes.Structure):
    """C's ``PyMethodDef``."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("documentation", ctypes.c_char_p),
    )


def method_definition(name: str, address: int, documentation: str) -> MethodDefinition:
    """A definition that builtins may refer to for ever."""
    text = documentation.encode()
    definition = MethodDefinition(name.encode(), address, METH_FASTCALL, text)
    keep_for_ever(definition)
    return definition


def register_python_symbols(names: Iterable[str]) -> None:
    """Give functions of the interpreter to the linker, by address."""
    for name in names:
        address = ctypes.cast(getattr(ctypes.pythonapi, name), ctypes.c_void_p).value
        assert address is not None
        register_symbol(name, address)


def compile_replay() -> dict[str, MethodDefinition]:
    """Compile the builtins."""
    register_python_symbols(PYTHON_SYMBOLS)
    register_symbol("grad_none", id(None))
    register_symbol("grad_type_error", id(TypeError))
    names = ("grad_replay", "grad_replay_steps")
    addresses = compile_ir(EXECUTE + REPLAY, names, "the replay of plans")
    what = "Replay a native plan."
    return {name: method_definition(name, addresses[name], what) for name in names}


DEFINITIONS = compile_replay()
new_builtin = ctypes.pythonapi.PyCFunction_NewEx
new_builtin.restype = ctypes.py_object
new_builtin.argtypes = (ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)


@dataclass(frozen=True, slots=True)
class Call:
    """A kernel to run over `items` items, in chunks of `grain` (the last may be short).

    Attributes:
        address: a function ``void (ptr arguments, i64 begin, i64 end, i64 worker)`` that computes
            items begin to end; `arguments` points to 8-byte words, `worker` is below the number
            of threads and different for chunks that run at once.
        arguments: a pair a word: the value of slot s plus an offset, or with s = -1 the offset.
        items: how many items there are; with none the kernel is not called.
        grain: how many items are worth a thread's while, and make a chunk; may be more than there
            are. Chunks do not depend on the number of threads. Calls of one step that are not worth
            a second thread together run on the caller's.
        nanoseconds: about how long one thread takes for all items. Sleeping threads are not woken
            for little.
    """

    address: int
    arguments: tuple[tuple[int, int], ...]
    items: int
    grain: int
    nanoseconds: float = math.inf

    def check(self, slot_count: int) -> None:
        """Raise ValueError for numbers that would make native code read or jump anywhere."""
        if self.address <= 0 or self.items < 0 or self.grain < 1 or self.items >> 62:
            raise ValueError(f"{self}: it needs an address, items >= 0 and a grain >= 1.")
        for slot, offset in self.arguments:
            if not CONSTANT <= slot < slot_count:
                raise ValueError(f"{self}: slot {slot} of a plan with {slot_count} slots.")
            if not -(1 << 63) <= offset <= WORD_MASK:
                raise ValueError(f"{self}: the offset {offset} does not fit in 64 bits.")


class NativePlan:
    """Steps that run one after another; the calls of one step are independent and run at once.

    Args:
        steps: the calls of each step.
        slot_count: how many values a run is given.
        max_workers: the most threads to use, the caller included; `get_num_threads()` of now when
            None. Scratch for worker w is at ``base + w * bytes``, so it needs this many.

    Attributes:
        launch: the builtin, ``launch(*values)``, for callers that have the values apart.

    Example:
        >>> NativePlan([], 0).run([])
    """

    __slots__ = ("_steps", "launch", "max_workers", "slot_count", "step_count")

    def __init__(
        self,
        steps: Sequence[Sequence[Call]],
        slot_count: int,
        max_workers: int | None = None,
    ) -> None:
        self.max_workers = max_workers or get_num_threads()
        self.slot_count = slot_count
        self.step_count = len(steps)
        table = plan_table(steps, slot_count, self.max_workers)
        self.launch: Callable[..., None] = builtin("grad_replay", table)
        self._steps: Callable[..., None] = builtin("grad_replay_steps", table)

    def run(self, slots: Sequence[int]) -> None:
        """Run all steps. Values are ints, up to 64 bits unsigned or signed.

        Raises:
            TypeError: for a wrong number of values, or one that is not an int.
            OverflowError: for one that does not fit in 64 bits.
        """
        self.launch(*slots)

    def run_steps(self, first: int, end: int, slots: Sequence[int]) -> None:
        """Run the steps from `first` to before `end` alone; raises IndexError when there are no
        such steps.
        """
        if not 0 <= first <= end <= self.step_count:
            raise IndexError(f"steps {first} to {end} of a plan with {self.step_count} steps.")
        self._steps(first, end, *slots)


def builtin(name: str, table: bytes) -> Any:
    """A builtin function whose self is `table`, which it keeps alive."""
    return new_builtin(ctypes.addressof(DEFINITIONS[name]), table, None)


def plan_table(steps: Sequence[Sequence[Call]], slot_count: int, workers: int) -> bytes:
    """The words that `execute` reads; replay_code.py describes the layout."""
    step_rows: list[tuple[int, ...]] = []
    call_rows: list[tuple[int, ...]] = []
    argument_rows: list[tuple[int, ...]] = []
    for step in steps:
        first_call, first_argument, chunks = len(call_rows), len(argument_rows), 0
        work = 0.0  # in chunks that are worth a thread
        nanoseconds = min(sum(call.nanoseconds for call in step), LONG)
        for call in step:
            call.check(slot_count)
            work += call.items / call.grain
            grain = max(1, min(call.grain, call.items))
            chunks += -(-call.items // grain)
            begin = len(argument_rows) - first_argument
            call_rows.append((call.address, begin, call.items, grain, chunks))
            argument_rows.extend(
                (slot_count if slot == CONSTANT else slot, offset & WORD_MASK)
                for slot, offset in call.arguments
            )
        count = len(argument_rows) - first_argument
        enough = max(1, min(workers, math.ceil(work)))
        row = (first_call, chunks, first_argument, count, enough, int(nanoseconds))
        step_rows.append(row)
    calls_start = HEADER_WORDS + STEP_WORDS * len(step_rows)
    arguments_start = calls_start + CALL_WORDS * len(call_rows)
    area_words = max((row[3] for row in step_rows), default=0)
    header = (slot_count, len(step_rows), workers, area_words, calls_start, arguments_start)
    words = array("Q", chain(header, *step_rows, *call_rows, *argument_rows))
    return words.tobytes()
