"""Orders in which elements may lie in memory, with PyTorch's names.

Kernels read tensors of any strides, so that a format changes strides, never results.
"""

from __future__ import annotations

from grad.errors import ShapeError


class MemoryLayout:
    """How a tensor keeps its elements: by strides, each of them; there is no other way here."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"grad.{self.name}"

    def __reduce__(self) -> str:
        return self.name


strided = MemoryLayout("strided")


class MemoryFormat:
    """An order of axes in memory, from the slowest to the fastest; None: the order they have."""

    __slots__ = ("name", "order")

    def __init__(self, name: str, order: tuple[int, ...] | None = None) -> None:
        self.name, self.order = name, order

    def __repr__(self) -> str:
        return f"grad.{self.name}"

    def __reduce__(self) -> str:
        return self.name


contiguous_format = MemoryFormat("contiguous_format")
preserve_format = MemoryFormat("preserve_format")
channels_last = MemoryFormat("channels_last", (0, 2, 3, 1))
channels_last_3d = MemoryFormat("channels_last_3d", (0, 2, 3, 4, 1))


def order_of(name: str, memory_format: MemoryFormat | None, rank: int) -> tuple[int, ...] | None:
    """The order of the axes of a tensor of `rank` dimensions; None for their own."""
    order = None if memory_format is None else memory_format.order
    if order is not None and len(order) != rank:
        raise ShapeError(
            f"{name}: required rank {len(order)} tensor to use {memory_format} format, got one of "
            f"{rank} dimensions."
        )
    return order
