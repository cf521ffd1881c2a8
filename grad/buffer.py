"""Host memory that is used again: `Buffer`, and the controls of the pool behind it.

A `Buffer` is some bytes at a fixed address, aligned to 64; when its last user lets go of it, its
block goes back to the pool (runtime/buffer_pool.py) and serves the next Buffer of that size class.
Read `Buffer`; the functions at the end are public.
"""

from __future__ import annotations

import os
from ctypes import Array, c_char
from functools import lru_cache
from typing import Any

import numpy as np

from grad.runtime.buffer_pool import SIZES_REMEMBERED, BufferPool, share_of
from grad.runtime.memory import Block

_pool = BufferPool()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_pool.before_fork,
        after_in_parent=_pool.after_fork,
        after_in_child=_pool.after_fork,
    )


@lru_cache(SIZES_REMEMBERED)
def _bytes_type(nbytes: int) -> type[Array[c_char]]:
    """C's type of so many bytes. Making such a type takes longer than an operation."""
    return c_char * nbytes


class Buffer:
    """`nbytes` of writable, uninitialised host memory.

    Attributes:
        address: where it starts; a multiple of 64 unless the memory is external.
        nbytes: how many bytes there are.

    Raises:
        ValueError: for a negative size.
        OutOfMemoryError: when the size is over the limit or the system has no such memory.

    Example:
        >>> buffer = Buffer(24)
        >>> view = buffer.numpy(np.dtype(np.float32), (2, 3), (12, 4), 0)
        >>> view.shape
        (2, 3)
    """

    __slots__ = ("__weakref__", "_block", "_owner", "address", "nbytes")

    def __init__(self, nbytes: int) -> None:
        self._block: Block | None = None  # __del__ runs even when the next line raises
        block = self._block = _pool.take(nbytes)
        self.address: int = block.address
        self.nbytes: int = nbytes

    def __del__(self, give: Any = _pool.give) -> None:
        # `give` is a default so that it is still there when the interpreter has cleared the module.
        if self._block is not None:
            give(self._block)

    @classmethod
    def external(cls, address: int, nbytes: int, owner: Any) -> Buffer:
        """Memory that belongs to `owner` (a NumPy array, a DLPack capsule), which is kept alive."""
        if nbytes < 0:
            raise ValueError(f"external memory of {nbytes} bytes; a size cannot be negative.")
        self = cls.__new__(cls)
        self._block = None
        self._owner = owner
        self.address = address
        self.nbytes = nbytes
        return self

    @property
    def is_external(self) -> bool:
        """Whether the memory belongs to somebody else (`external`)."""
        return self._block is None

    @property
    def memory(self) -> memoryview:
        """A writable memoryview of exactly `nbytes`, which pins the buffer."""
        return self.numpy(np.dtype(np.uint8), (self.nbytes,), (1,), 0).data

    def numpy(
        self,
        dtype: np.dtype[Any],
        shape: tuple[int, ...],
        strides_bytes: tuple[int, ...],
        offset_bytes: int = 0,
    ) -> np.ndarray[Any, Any]:
        """A writable array on this memory, copying nothing; the buffer lives as long as the array.

        Raises ValueError when an element would lie outside the buffer.
        """
        # NumPy keeps the object that it is given as the base of the array, and with it the buffer.
        memory: Any = _bytes_type(self.nbytes).from_address(self.address)
        memory.buffer = self
        if 0 in shape:
            return np.ndarray(shape, dtype, memory)  # no element lies anywhere
        try:
            return np.ndarray(shape, dtype, memory, offset_bytes, strides_bytes)
        except ValueError as error:
            raise ValueError(
                f"a view of shape {shape}, strides {strides_bytes} bytes and offset {offset_bytes} "
                f"takes bytes outside of a buffer of {self.nbytes}."
            ) from error

    def __repr__(self) -> str:
        kind = "external" if self._block is None else f"block of {self._block.size_class.capacity}"
        return f"Buffer({self.nbytes} bytes at {self.address:#x}, {kind})"


def configure_buffer_pool(
    max_cached_bytes: int | None = None,
    memory_fraction: float | None = None,
    enabled: bool | None = None,
    limit_bytes: int | None = None,
) -> None:
    """Set how much memory buffers may take; what is None stays as it is.

    Args:
        max_cached_bytes: how much unused memory is kept for reuse (a quarter of the system's).
        memory_fraction: the limit on all buffers, as a share of system memory (default 0.9).
        enabled: False gives every unused block back to the system at once.
        limit_bytes: the limit in bytes, in place of `memory_fraction`.

    Raises:
        ValueError: for negative sizes, a fraction outside (0, 1], or both forms of the limit.
    """
    values: dict[str, Any] = {}
    for name, size in (("max_cached_bytes", max_cached_bytes), ("limit_bytes", limit_bytes)):
        if size is not None:
            if size < 0:
                raise ValueError(f"{name}={size}: a size cannot be negative.")
            values[name] = size
    if memory_fraction is not None:
        if limit_bytes is not None:
            raise ValueError("give either memory_fraction or limit_bytes, not both.")
        if not 0 < memory_fraction <= 1:
            raise ValueError(f"memory_fraction={memory_fraction}: it must be over 0 and at most 1.")
        values["limit_bytes"] = share_of(_pool.system_bytes, memory_fraction)
    if enabled is not None:
        values["enabled"] = enabled
    _pool.configure(values)


def clear_buffer_cache() -> int:
    """Give all unused memory back to the system; returns how many bytes that was."""
    return _pool.clear()


def in_use_bytes() -> int:
    """Bytes of blocks that somebody uses now, for those who ask often."""
    return _pool.in_use


def get_buffer_memory_stats() -> dict[str, Any]:
    """Bytes allocated, in use, cached and at the peak, the limits, and counts of hits and misses.

    Example:
        >>> sorted(get_buffer_memory_stats())[:3]
        ['allocated_bytes', 'blocks_cached', 'buffers_in_use']
    """
    return _pool.statistics()
