"""One thread for NumPy's linear algebra where a second would gain little.

OpenBLAS's threads wait for each other by spinning. Where other processes use the cores, that takes
many times as long as one thread would: the QR factorization of 1024 x 1024 took 790 ms on two
threads and 135 on one, beside one busy process on two cores. For matrices of 256 x 256 a second
thread makes inverses 1.6 times as fast and other things hardly. Stacks are shared among our own
threads (graph/host.py). Larger matrices take the threads that NumPy would, whatever
`set_num_threads` says: with others the last bits would differ. `lapack.py` and `householder.py`
declare what calls NumPy `on_few_threads`.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

from grad.utils.late import late_names

# Rows and columns of matrices for which NumPy takes one thread by itself, and of those that are
# worth several threads.
SMALL, LARGE = 32, 1024

Declared = TypeVar("Declared", bound=Callable[..., Any])

_late = late_names(
    __name__,
    {},
    {
        "Controller": "threadpoolctl:ThreadpoolController",
        "OpenBLAS": "threadpoolctl:OpenBLASController",
    },
)


class _Threads:
    """The threads of the process's BLAS libraries, for calls that may overlap."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls = 0
        self._before: list[int] = []

    @functools.cached_property
    def _libraries(self) -> list[Any]:
        return _late("Controller")().select(user_api="blas").lib_controllers

    @contextmanager
    def one(self) -> Iterator[None]:
        """Take one thread until all calls of this have ended."""
        with self._lock:
            if not self._calls:
                self._before = [library.get_num_threads() for library in self._libraries]
                self._set([1 for _ in self._libraries])
            self._calls += 1
        try:
            yield
        finally:
            with self._lock:
                self._calls -= 1
                if not self._calls:
                    self._set(self._before)

    def _set(self, counts: list[int]) -> None:
        # Only the thread that did so first may set OpenBLAS's threads, until this is called: any of
        # ours may, one at a time.
        let_anybody = _late("OpenBLAS").clear_controlling_thread
        let_anybody(force=True)
        for library, count in zip(self._libraries, counts, strict=True):
            library.set_num_threads(count)
        let_anybody(force=True)


_threads = _Threads()


def on_few_threads(function: Declared) -> Declared:
    """A hosted function of stacks of matrices, the first of them after the result, that calls
    NumPy's linear algebra."""

    @functools.wraps(function)
    def call(result: Any, matrices: Any, *rest: Any) -> None:
        large = len(matrices) == 1 and min(matrices.shape[-2:]) >= LARGE
        free = large or max(matrices.shape[-2:]) <= SMALL
        with nullcontext() if free else _threads.one():
            function(result, matrices, *rest)

    return call  # type: ignore[return-value]
