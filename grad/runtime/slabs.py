"""Memory of medium size, cut from slabs of huge pages.

A block that is smaller than a huge page, or no multiple of it, would lie on pages of 4 KB, and
they lie anywhere in memory: they take hundreds of entries of the processor's tables of pages, and
fall on the sets of the second-level cache by chance, so that half of it may not be used. Side by
side in a slab of huge pages they do not: a float32 ReLU of 256 KB took 8 us there, and 9 us to
25 us on ordinary pages, by where they happened to lie. memory.py decides what comes from here.
"""

from __future__ import annotations

import contextlib
import mmap
from threading import RLock

import numpy as np

HUGE_PAGE = 2 << 20
SLAB_BYTES = 32 << 20


def map_huge(nbytes: int) -> tuple[mmap.mmap, int]:
    """Pages for `nbytes`, huge ones where the system has them, and the address where they begin.

    They are anonymous and private: shared ones a forked child would overwrite under its parent.
    Raises MemoryError or OSError when there are none.
    """
    whole = -(-nbytes // HUGE_PAGE) * HUGE_PAGE
    size = whole + HUGE_PAGE  # to begin at a huge page
    if hasattr(mmap, "MAP_PRIVATE"):
        pages = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    else:
        pages = mmap.mmap(-1, size)
    base = _address(pages)
    address = -(-base // HUGE_PAGE) * HUGE_PAGE
    if hasattr(mmap, "MADV_HUGEPAGE"):
        # It is advice only: a kernel built without huge pages refuses it.
        with contextlib.suppress(OSError):
            pages.madvise(mmap.MADV_HUGEPAGE, address - base, whole)
    return pages, address


def _address(pages: mmap.mmap) -> int:
    return np.frombuffer(pages, np.uint8).__array_interface__["data"][0]


class Part:
    """Some bytes of a slab. When nobody holds it, its pages go back to the system; its addresses
    do with the whole slab, when no part of it is left.
    """

    __slots__ = ("_nbytes", "_offset", "_pages", "address")

    def __init__(self, pages: mmap.mmap, offset: int, nbytes: int, address: int) -> None:
        self._pages, self._offset, self._nbytes = pages, offset, nbytes
        self.address = address

    def __del__(self, unneeded: int | None = getattr(mmap, "MADV_DONTNEED", None)) -> None:
        if unneeded is not None:
            with contextlib.suppress(OSError):
                self._pages.madvise(unneeded, self._offset, self._nbytes)


class Slabs:
    """Cuts parts off one slab, and off a new one when that is used up."""

    def __init__(self) -> None:
        # The thread that holds it may want it again: in a finaliser that runs inside a cut.
        self._lock = RLock()
        self._pages: mmap.mmap | None = None
        self._base = self._next = self._end = 0

    def cut(self, nbytes: int) -> Part:
        """A part of `nbytes`, rounded up to whole pages, that nobody has used before.

        Raises MemoryError or OSError when the system has no memory.
        """
        nbytes = -(-nbytes // mmap.PAGESIZE) * mmap.PAGESIZE
        with self._lock:
            if self._next + nbytes > self._end:
                self._open(nbytes)
            pages, address = self._pages, self._next
            assert pages is not None
            self._next += nbytes
            return Part(pages, address - self._base, nbytes, address)

    def before_fork(self) -> None:
        """Hold the lock over a fork, so that the child has a whole slab."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        self._lock.release()

    def after_fork_in_child(self) -> None:
        self._lock = RLock()

    def _open(self, nbytes: int) -> None:
        """Begin a new slab, as small as need be where the system has no more."""
        try:
            pages, address = map_huge(SLAB_BYTES)
            size = SLAB_BYTES
        except (MemoryError, OSError):
            pages, address = map_huge(nbytes)
            size = nbytes
        self._pages = pages
        self._base = _address(pages)
        self._next, self._end = address, address + size
