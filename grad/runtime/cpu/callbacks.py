"""Kernels that are Python functions: native code calls back into the interpreter.

A `Callback` has the address of a function as replay.py calls kernels; whichever thread gets to it
takes the interpreter lock for as long. An exception cannot go through native code: it is kept, and
`CallbackPlan` raises it when the run is over.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from threading import Lock

from grad.runtime.cpu.replay import NativePlan

_PROTOTYPE = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_int64)
# Runs of plans with callbacks take turns, so that each raises what was raised in it.
_turn = Lock()


class Callback:
    """A kernel that calls ``function(words, begin, end)`` with its first `count` argument words.

    Attributes:
        address: where native code calls it; valid as long as this object.
        failures: what has been raised since they were last taken.
    """

    __slots__ = ("_native", "address", "failures")

    def __init__(self, function: Callable[[Sequence[int], int, int], None], count: int) -> None:
        words = ctypes.c_uint64 * count
        failures: list[BaseException] = []

        def called(arguments: int, begin: int, end: int, _: int) -> None:
            try:
                function(words.from_address(arguments)[:], begin, end)
            except BaseException as error:
                failures.append(error)

        self.failures = failures
        self._native = _PROTOTYPE(called)
        address = ctypes.cast(self._native, ctypes.c_void_p).value
        assert address is not None
        self.address: int = address


class CallbackPlan:
    """A native plan among whose kernels are `callbacks`."""

    def __init__(self, native: NativePlan, callbacks: Sequence[Callback]) -> None:
        self._native = native
        self._callbacks = callbacks

    def run(self, slots: Sequence[int]) -> None:
        """As `NativePlan.run`; raises what a callback has raised."""
        with _turn:
            self._native.run(slots)
            self._raise()

    def run_steps(self, first: int, end: int, slots: Sequence[int]) -> None:
        """As `NativePlan.run_steps`; raises what a callback has raised."""
        with _turn:
            self._native.run_steps(first, end, slots)
            self._raise()

    def _raise(self) -> None:
        failures = [error for callback in self._callbacks for error in callback.failures]
        for callback in self._callbacks:
            callback.failures.clear()
        if failures:
            raise failures[0]
