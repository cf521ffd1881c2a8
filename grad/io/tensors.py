"""Tensors as files see them: pieces of memory, and views of them by sizes, strides and an offset.

Loading makes a `Memory` of each piece of the file, and tensors of it by `Memory.view`; tensors on
one memory share it, as before they were saved. Saving asks `described` for the same facts of a
tensor. All that a file may say is checked here before it reaches a tensor.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from grad.autograd.variable import Variable
from grad.buffer import Buffer
from grad.dtype import DType
from grad.errors import FileFormatError
from grad.graph.movement import (
    MOST_ELEMENTS,
    Layout,
    Move,
    contiguous_layout,
    contiguous_strides,
    is_contiguous,
)
from grad.graph.node import from_buffer
from grad.graph.primitives import AS_STRIDED, RESHAPE
from grad.graph.storage import Storage
from grad.ops.convert import array_view
from grad.tensor import Tensor

Array = np.ndarray[Any, Any]
MOST_AXES = 64


class Memory:
    """A piece of memory that was loaded.

    Args:
        buffer: the bytes. dtype: of its elements; None: whatever the first tensor on it says.

    Attributes:
        references: how often the file refers to it. views: tensors that were made on it.
    """

    def __init__(self, buffer: Buffer, dtype: DType | None) -> None:
        self.buffer = buffer
        self.dtype = dtype
        self.references = self.views = 0
        self._storage: Storage | None = None

    def view(
        self, offset: Any, size: Any, strides: Any, requires_grad: bool, dtype: DType | None = None
    ) -> Tensor:
        """The tensor of these sizes and strides, `offset` elements from the start.

        Raises:
            FileFormatError: they are not what sizes can be, or reach outside of the memory.
        """
        dtype = dtype or self.dtype
        if dtype is None or (self._storage is not None and self._storage.node.dtype is not dtype):
            raise FileFormatError("one piece of memory is said to hold elements of two types.")
        count = self.buffer.nbytes // dtype.itemsize
        layout = _checked_layout(offset, size, strides, count)
        whole = not layout.offset and math.prod(layout.shape) == count and is_contiguous(layout)
        if self._storage is None:
            shape = layout.shape if whole else (count,)
            self._storage = Storage(from_buffer(self.buffer, shape, dtype))
        self.views += 1
        storage = self._storage
        base = Variable._wrap(storage.node)
        base._storage = storage
        if whole and layout.shape == storage.node.shape:
            tensor = base
        else:
            path = (Move(RESHAPE, (count,)), Move(AS_STRIDED, tuple(layout)))
            tensor = base._alias(path, layout.shape, layout)
        if requires_grad:
            tensor.requires_grad_()
        return tensor


def refuse_bare(memories: Iterable[Memory]) -> None:
    """Raise FileFormatError if a file refers to memory that it makes no tensor of."""
    if any(memory.references > memory.views for memory in memories):
        raise FileFormatError(
            "it holds a storage by itself, and only tensors are loaded; save the tensor instead."
        )


def whole_tensor(buffer: Buffer, shape: Sequence[int], dtype: DType) -> Tensor:
    """The tensor of this shape that takes all of `buffer`."""
    return Memory(buffer, dtype).view(0, shape, contiguous_strides(tuple(shape)), False)


def _checked_layout(offset: Any, size: Any, strides: Any, count: int) -> Layout:
    """The layout, if it lies within `count` elements."""
    numbers = (offset, *size, *strides)
    if not all(type(number) is int for number in numbers) or len(size) != len(strides):
        raise FileFormatError("the sizes and strides of a tensor do not fit together.")
    if len(size) > MOST_AXES:
        raise FileFormatError(f"a tensor of {len(size)} axes; there can be {MOST_AXES} at most.")
    if min(numbers) < 0 or math.prod(size) > MOST_ELEMENTS:
        raise FileFormatError(f"sizes {size} with strides {strides} are not possible.")
    last = offset + sum((n - 1) * step for n, step in zip(size, strides))
    if 0 not in size and last >= count:
        raise FileFormatError(
            f"a tensor of sizes {tuple(size)} and strides {tuple(strides)} from {offset} on needs "
            f"{last + 1} elements, and its memory has {count}."
        )
    return Layout(tuple(size), tuple(strides), offset)


class Described(NamedTuple):
    """A tensor to be saved: where it lies in its memory, and all of that memory."""

    layout: Layout
    memory: Array
    key: Any  # the same for tensors that share memory, for as long as it is held


def described(tensor: Tensor) -> Described:
    """Memory and layout of a tensor, computed first; of a copy where strides are negative."""
    values = array_view(tensor)
    if min(tensor.memory_layout.strides, default=0) < 0:
        copy = np.ascontiguousarray(values).reshape(values.shape)
        return Described(contiguous_layout(values.shape), flat_bytes(copy), copy)
    storage = tensor._storage
    buffer = storage.node.buffer
    assert buffer is not None
    count = storage.node.size * tensor.dtype.itemsize
    memory = buffer.numpy(np.dtype(np.uint8), (count,), (1,), 0)
    return Described(tensor.memory_layout, memory, storage)


def contiguous_bytes(tensor: Tensor) -> Array:
    """The elements of a (computed) tensor in order, as bytes."""
    return flat_bytes(np.ascontiguousarray(array_view(tensor)))


def flat_bytes(array: Array) -> Array:
    """The memory of a contiguous array, as bytes."""
    return array.reshape(-1).view(np.uint8)
