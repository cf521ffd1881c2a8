"""Memory blocks kept for the next user, with limits on what is allocated and on what is kept.

`BufferPool.take` and `give` are on the path of every operation: they are a pop and an append of a
list, both atomic, and an addition, and take no lock unless memory comes from the system or goes
back. Blocks come from memory.py; grad/buffer.py wraps them and has the public controls.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable
from threading import Lock
from typing import Any

from grad.errors import OutOfMemoryError
from grad.runtime.memory import (
    MAPPED_FROM,
    Block,
    SizeClass,
    allocate_block,
    capacity_for,
    system_memory,
)

DEFAULT_MEMORY_FRACTION = 0.9
DEFAULT_CACHED_FRACTION = 0.25
# No address space holds more; stops sizes before they reach anything that may overflow.
ABSURD_BYTES = 1 << 56
# Up to this size blocks are kept without asking what else is kept, but not more of each class: in
# all at most 32 MB.
SMALL_BYTES = 1 << 16
SMALL_KEPT = 256
SMALL_KEPT_BYTES = 2 * SMALL_KEPT * SMALL_BYTES
SIZES_REMEMBERED = 4096


class BufferPool:
    """Free blocks by size class.

    Giving a block back never waits: it happens in finalisers, which may run in any thread and
    inside any allocation, even one made while this pool's lock is held. Only what takes memory
    from the system or returns it holds the lock.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._classes: dict[int, SizeClass] = {}  # by capacity
        self._fitting: dict[int, SizeClass] = {}  # by the size that was asked for
        self.system_bytes = system_memory()
        self.enabled = True
        self.limit_bytes = share_of(self.system_bytes, DEFAULT_MEMORY_FRACTION)
        self.max_cached_bytes = share_of(self.system_bytes, DEFAULT_CACHED_FRACTION)
        self._kept = SMALL_KEPT
        self._allowed = self.max_cached_bytes  # bytes that may be free
        self._allocated = 0  # bytes of all blocks; changed under the lock
        # Counted without the lock: CPython does not switch threads inside an addition.
        self._free_bytes = 0
        self.hits = self.misses = self.peak = self._clock = 0

    def take(self, nbytes: int) -> Block:
        """A block of at least `nbytes`.

        Raises:
            ValueError: for a negative size.
            OutOfMemoryError: when the limit forbids it or the system has no such memory.
        """
        size_class = self._fitting.get(nbytes)
        if size_class is None:
            size_class = self._class_for(nbytes)
        try:
            block = size_class.free.pop()
        except IndexError:
            block = self._allocate(nbytes, size_class)
        else:
            self.hits += 1
            self._free_bytes -= size_class.capacity
        size_class.last_use = self._clock = self._clock + 1
        in_use = self._allocated - self._free_bytes
        if in_use > self.peak:
            self.peak = in_use
        return block

    def give(self, block: Block) -> None:
        """Take back a block that nobody uses any more. Never waits, and is safe in finalisers."""
        size_class = block.size_class
        free, capacity = size_class.free, size_class.capacity
        free.append(block)
        self._free_bytes += capacity
        enough = (
            len(free) <= self._kept
            if capacity <= SMALL_BYTES
            else self._free_bytes <= self._allowed
        )
        if not enough and self._lock.acquire(blocking=False):
            try:
                self._evict(self.cached - self._allowed)
            finally:
                self._lock.release()

    @property
    def cached(self) -> int:
        """Bytes of free blocks."""
        return sum(len(c.free) * c.capacity for c in list(self._classes.values()))

    @property
    def allocated(self) -> int:
        """Bytes of all blocks."""
        return self._allocated

    @property
    def in_use(self) -> int:
        """Bytes of blocks that are not free."""
        return self._allocated - self._free_bytes

    def _class_for(self, nbytes: int) -> SizeClass:
        """The class whose blocks hold `nbytes`."""
        if nbytes < 0:
            raise ValueError(f"a buffer of {nbytes} bytes: a size cannot be negative.")
        if nbytes > min(self.limit_bytes, ABSURD_BYTES):
            raise self._out_of_memory(nbytes)
        capacity = capacity_for(nbytes)
        size_class = self._classes.setdefault(capacity, SizeClass(capacity, []))
        if len(self._fitting) >= SIZES_REMEMBERED:
            self._fitting.clear()
        self._fitting[nbytes] = size_class
        return size_class

    def _allocate(self, nbytes: int, size_class: SizeClass) -> Block:
        """A block from the system; before giving up, garbage and all free blocks are let go."""
        for attempt in range(2):
            if attempt:
                gc.collect()
                self.clear()
            if not self._reserve(size_class):
                continue
            try:
                return allocate_block(size_class)
            except (MemoryError, OSError):
                with self._lock:
                    size_class.count -= 1
                    self._allocated -= size_class.capacity
                    self.misses -= 1
        raise self._out_of_memory(nbytes)

    def _reserve(self, size_class: SizeClass) -> bool:
        """Count a new block in, letting go of free ones for it; False when over the limit."""
        with self._lock:
            allocated, cached = self.allocated, self.cached
            excess = allocated + size_class.capacity - self.limit_bytes
            if excess > cached:
                return False
            self._evict(excess)
            if size_class.capacity >= MAPPED_FROM:
                self._make_way(size_class)
            size_class.count += 1
            self._allocated += size_class.capacity
            self.misses += 1
            return True

    def _out_of_memory(self, nbytes: int) -> OutOfMemoryError:
        in_use = self.allocated - self.cached
        return OutOfMemoryError(
            f"a buffer of {readable(nbytes)} ({nbytes} bytes) does not fit: {readable(in_use)} are "
            f"in use, the limit is {readable(self.limit_bytes)}, and the system may have less. "
            f"Free tensors you do not need, use smaller batches or a smaller dtype, or raise the "
            f"limit with grad.buffer.configure_buffer_pool(memory_fraction=...)."
        )

    def _make_way(self, wanted: SizeClass) -> None:
        """Let go of as many bytes of large free blocks as a new one has. The lock is held.

        A program whose sizes have changed does not need the old ones beside the new. Where programs
        take turns they are wanted again: then both stay, after one exchange.
        """
        wanted.stays = wanted.left
        large = [c for c in self._classes.values() if c.capacity >= MAPPED_FROM and not c.stays]
        for size_class in self._evict(wanted.capacity, large):
            size_class.left = True

    def _evict(self, nbytes: int, classes: Iterable[SizeClass] | None = None) -> list[SizeClass]:
        """Let go of at least `nbytes` of free blocks (of these classes), or of all; gives the
        classes that they were of. The lock is held.
        """
        found: list[SizeClass] = []
        if nbytes <= 0:
            return found
        among = self._classes.values() if classes is None else classes
        for size_class in sorted(among, key=lambda c: c.last_use):
            while nbytes > 0:
                try:
                    size_class.free.pop()
                except IndexError:
                    break
                found.append(size_class)
                size_class.count -= 1
                self._allocated -= size_class.capacity
                self._free_bytes -= size_class.capacity
                nbytes -= size_class.capacity
        return found

    def clear(self) -> int:
        """Let go of every free block and return their bytes."""
        with self._lock:
            before = self.allocated
            self._evict(before)
            return before - self.allocated

    def configure(self, values: dict[str, Any]) -> None:
        """Set attributes, and let go of what is then too much."""
        with self._lock:
            for name, value in values.items():
                setattr(self, name, value)
            self._fitting.clear()  # the limit is compared when a size is new
            self._allowed = self.max_cached_bytes if self.enabled else 0
            self._kept = SMALL_KEPT if self._allowed >= SMALL_KEPT_BYTES else 0
            self._evict(self.cached - self._allowed)

    def statistics(self) -> MemoryStats:
        """The numbers of this moment."""
        with self._lock:
            allocated, cached = self.allocated, self.cached
            free = sum(len(c.free) for c in self._classes.values())
            requests = self.hits + self.misses
            self.peak = max(self.peak, allocated - cached)
            return MemoryStats(
                allocated_bytes=allocated,
                in_use_bytes=allocated - cached,
                cached_bytes=cached,
                peak_bytes=self.peak,
                limit_bytes=self.limit_bytes,
                max_cached_bytes=self.max_cached_bytes,
                system_bytes=self.system_bytes,
                buffers_in_use=sum(c.count for c in self._classes.values()) - free,
                blocks_cached=free,
                hits=self.hits,
                misses=self.misses,
                hit_rate=self.hits / requests if requests else 0.0,
                enabled=self.enabled,
            )

    def before_fork(self) -> None:
        """Hold the lock over a fork, so that the child has whole lists and a lock it can free."""
        self._lock.acquire()

    def after_fork(self) -> None:
        self._lock.release()


class MemoryStats(dict[str, Any]):
    """Statistics by name; printed as a table with units."""

    def __str__(self) -> str:
        rows = []
        for name, value in self.items():
            if name.endswith("_bytes"):
                value = "unknown" if value is None else readable(value)
            elif name.endswith("_rate"):
                value = f"{value:.1%}"
            rows.append(f"{name.removesuffix('_bytes').replace('_', ' '):16s} {value}")
        return "\n".join(rows)


def share_of(total: int | None, fraction: float) -> int:
    """`fraction` of `total` bytes; without end where the total is unknown."""
    return ABSURD_BYTES if total is None else int(total * fraction)


def readable(nbytes: int) -> str:
    """``1.5 MB`` for a number of bytes (in steps of 1024)."""
    size, unit = float(nbytes), "bytes"
    for larger in ("KB", "MB", "GB", "TB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{nbytes} bytes" if unit == "bytes" else f"{size:.4g} {unit}"
