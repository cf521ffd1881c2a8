"""What is said before LLVM ends the process.

LLVM calls ``abort()`` where its code generator meets what it cannot select, and llvmlite has no way
to install another handler of such errors. They cannot become exceptions: that would mean to leave
LLVM's frames, which would never release what they own, locks included. But ``abort()`` raises
SIGABRT in the thread that called it, and a handler of that may print which kernel it was. Then
whoever handled the signal before has it (faulthandler, say), and the process ends.

`compiler.py` wraps the generation of code in `explain_abort`. Windows has no such handler, and
nothing is said there.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

ACTION_BYTES = 512  # more than any system's struct sigaction, whose fields do not matter here


class _Work(NamedTuple):
    """What a thread does that may abort, and who handled the signal before."""

    thread: int
    explanation: Callable[[], str]
    action_before: ctypes.Array[ctypes.c_char]


# At most one: compiler.py holds a lock.
_under_way: list[_Work] = []


def _handle(number: int) -> None:
    """The handler. LLVM is called without the interpreter's lock, so that Python can run here."""
    work = _under_way[0]
    if work.thread == threading.get_ident():
        os.write(2, f"{work.explanation()}\n".encode())
    _c.sigaction(number, work.action_before, None)
    getattr(_c, "raise")(number)  # comes when this handler returns


_c = ctypes.CDLL(None) if sys.platform != "win32" else None
_handler = ctypes.CFUNCTYPE(None, ctypes.c_int)(_handle)


@contextmanager
def explain_abort(explanation: Callable[[], str]) -> Iterator[None]:
    """Print ``explanation()`` to standard error should this thread abort in the block."""
    if _c is None:
        yield
        return
    work = _Work(threading.get_ident(), explanation, ctypes.create_string_buffer(ACTION_BYTES))
    _c.sigaction(signal.SIGABRT, None, work.action_before)
    _under_way.append(work)
    _c.signal(signal.SIGABRT, _handler)
    try:
        yield
    finally:
        _c.sigaction(signal.SIGABRT, work.action_before, None)
        _under_way.remove(work)
