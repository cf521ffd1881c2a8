"""The thread pool: how many threads compute, and starting them.

The pool itself is machine code (pool_code.py); here it is compiled, its size set and its threads
started, at the first run that wants them and again in a forked child. replay.py runs jobs on it.
Threads other than the caller have all signals blocked, so that Ctrl-C reaches Python's main
thread, and are detached: they sleep when idle and end with the process.
"""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import warnings

from grad.runtime.cpu.compiler import compile_ir, keep_for_ever, register_symbol
from grad.runtime.cpu.host import core_count, host
from grad.runtime.cpu.pool_code import MAX_THREADS, pool_text
from grad.settings import settings

# Where there are no POSIX threads (Windows) every run is serial.
HAS_THREADS = os.name == "posix"
FUNCTIONS = (
    "grad_parallel",
    "grad_pool_start",
    "grad_pool_resize",
    "grad_pool_alive",
    "grad_pool_reset",
    "grad_pool_missing",
)


class ThreadPool:
    """The one pool of the process.

    `missing` is a word that native code reads at each run: how many threads have yet to be started.
    When it is not 0, `start_missing` is called, with the interpreter lock held.
    """

    def __init__(self) -> None:
        addresses = compile_ir(pool_text(host().triple), FUNCTIONS, "the thread pool")
        number = ctypes.c_int64
        # CFUNCTYPE lets other Python threads run meanwhile, which resize needs: it waits for them.
        self._start = ctypes.CFUNCTYPE(ctypes.c_int, number)(addresses["grad_pool_start"])
        self._resize = ctypes.CFUNCTYPE(None, number)(addresses["grad_pool_resize"])
        self._alive = ctypes.CFUNCTYPE(number)(addresses["grad_pool_alive"])
        self._reset = ctypes.CFUNCTYPE(None)(addresses["grad_pool_reset"])
        self._missing = number.from_address(addresses["grad_pool_missing"])
        self._lock = threading.Lock()
        self.limit = settings.num_threads or core_count()
        self._reset()
        self._resize(self.limit)
        self._missing.value = self.limit - 1 if HAS_THREADS else 0
        register_symbol("grad_parallel", addresses["grad_parallel"])
        register_symbol("grad_pool_missing", addresses["grad_pool_missing"])
        starter = self.start_missing
        keep_for_ever(starter)
        register_symbol("grad_pool_starter", id(starter))

    def resize(self, count: int) -> None:
        """Make `count` threads compute. Those over it end before this returns."""
        with self._lock:
            self.limit = count
            self._resize(count)
            self._missing.value = max(0, count - 1 - self._alive()) if HAS_THREADS else 0

    def start_missing(self) -> None:
        """Start the threads that are missing, or as many as the system allows."""
        with self._lock:
            if not self._missing.value:
                return
            self._missing.value = 0
            # A new thread inherits the mask of the one that starts it.
            before = signal.pthread_sigmask(signal.SIG_SETMASK, signal.valid_signals())
            try:
                for number in range(self._alive() + 1, self.limit):
                    error = self._start(number)
                    if error:
                        warnings.warn(
                            f"thread {number} of {self.limit} could not be started "
                            f"({os.strerror(error)}); computing with {number}.",
                            RuntimeWarning,
                            stacklevel=2,
                        )
                        break
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)

    def after_fork(self) -> None:
        """A forked child has this thread only; the others are started when they are wanted."""
        self._lock = threading.Lock()
        self._reset()
        self._missing.value = self.limit - 1


def get_num_threads() -> int:
    """How many threads compute, the caller included: worker numbers are 0 to this less 1."""
    return pool.limit


def set_num_threads(count: int) -> None:
    """Compute with `count` threads, the caller included; may exceed the number of cores.

    Plans made before keep to the number of threads there was when they were made, where that is
    less (their scratch memory was sized for it).

    Raises:
        ValueError: when `count` is under 1 or over 1024.
        TypeError: when `count` is not an int.
    """
    if not isinstance(count, int) or isinstance(count, bool):
        raise TypeError(f"the number of threads is an int, not {type(count).__name__}.")
    if not 1 <= count <= MAX_THREADS:
        raise ValueError(f"the number of threads must be 1 to {MAX_THREADS}, not {count}.")
    pool.resize(count)


pool = ThreadPool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=pool.after_fork)
