"""Blocks of host memory taken from the system, and the sizes they come in.

`capacity_for` rounds a size up to its class; `allocate_block` gets memory of a class, aligned to
64 bytes, from ordinary Python objects: an array.array for small blocks, a part of a slab of huge
pages (slabs.py) for medium ones, an anonymous mapping of huge pages for large ones. Pages touched
for the first time cost more than the arithmetic on them (25 ms per 64 MB), which is why
buffer_pool.py keeps blocks for reuse. Read this, then buffer_pool.py, then grad/buffer.py.
"""

from __future__ import annotations

import os
from array import array
from dataclasses import dataclass
from typing import Any

from grad.runtime.slabs import Slabs, map_huge

if hasattr(os, "sysconf"):
    psutil = None  # it would tell the same number, and takes 30 ms to import
else:
    try:
        import psutil
    except ImportError:
        psutil = None

ALIGNMENT = 64
QUARTER_STEPS_FROM = 1 << 20
SLABS_FROM = 1 << 14
# From here on a mapping of its own wastes at most a quarter of it, in its last huge page.
MAPPED_FROM = 8 << 20
# A fixed limit of a container, under cgroup version 2 and version 1.
CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


_slabs = Slabs()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_slabs.before_fork,
        after_in_parent=_slabs.after_fork_in_parent,
        after_in_child=_slabs.after_fork_in_child,
    )


@dataclass(slots=True, eq=False)
class SizeClass:
    """The blocks of one capacity.

    Attributes:
        capacity: bytes of each block.
        free: blocks that nobody uses; its `append` and `pop` are atomic and need no lock.
        count: how many blocks there are, free or not.
        last_use: a number that grows with each use; what was used longest ago is let go first.
        left, stays: whether a block was let go for one of another size; whether one was wanted
            again after that, so that such blocks stay from then on.
    """

    capacity: int
    free: list[Block]
    count: int = 0
    last_use: int = 0
    left: bool = False
    stays: bool = False


class Block:
    """As many writable bytes at `address` as `size_class` says; `owner` is what holds them."""

    __slots__ = ("address", "owner", "size_class")

    def __init__(self, address: int, size_class: SizeClass, owner: Any) -> None:
        self.address = address
        self.size_class = size_class
        self.owner = owner


def capacity_for(nbytes: int) -> int:
    """The size class that holds `nbytes`: a power of two, or above 1 MB a quarter step between two.

    The quarter steps bound the waste of large blocks by 25 %.

    Example:
        >>> capacity_for(0), capacity_for(65), capacity_for(5 << 20), capacity_for((5 << 20) + 1)
        (64, 128, 5242880, 6291456)
    """
    if nbytes <= ALIGNMENT:
        return ALIGNMENT
    bits = (nbytes - 1).bit_length()
    if nbytes <= QUARTER_STEPS_FROM:
        return 1 << bits
    step = 1 << (bits - 3)
    return (nbytes + step - 1) & -step


def allocate_block(size_class: SizeClass) -> Block:
    """A new block of `size_class`; raises MemoryError or OSError when the system has none."""
    capacity = size_class.capacity
    if capacity < SLABS_FROM:
        small = array("B", b"\0") * (capacity + ALIGNMENT)
        return Block(-(-small.buffer_info()[0] // ALIGNMENT) * ALIGNMENT, size_class, small)
    if capacity < MAPPED_FROM:
        part = _slabs.cut(capacity)
        return Block(part.address, size_class, part)
    pages, address = map_huge(capacity)
    return Block(address, size_class, pages)


def system_memory() -> int | None:
    """Bytes of memory that this process may use in all, or None where nobody tells."""
    limits = []
    if hasattr(os, "sysconf"):
        limits.append(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    elif psutil is not None:
        limits.append(psutil.virtual_memory().total)
    for path in CGROUP_LIMITS:
        try:
            with open(path, encoding="ascii") as file:
                text = file.read().strip()
        except OSError:
            continue  # not in a container of this kind
        if text.isdecimal():
            limits.append(int(text))
    return min(limits, default=None)
