"""Where values meet NumPy: arrays into graph nodes, storages into arrays.

`node_of` copies an array into memory of ours, `table_of` one that an operation makes of shapes and
options alone, so that a recording may keep it; `array_of` shows a view of a (realised) storage as
an array that copies nothing. Foreign memory comes in through `grad/dlpack.py`.
"""

from __future__ import annotations

import weakref
from functools import lru_cache
from typing import Any

import numpy as np

from grad.buffer import Buffer
from grad.dtype import DType
from grad.graph.movement import SHAPES_REMEMBERED, Layout, contiguous_strides
from grad.graph.node import Node, from_buffer
from grad.graph.storage import Storage

Array = np.ndarray[Any, Any]


def node_of(array: Array, dtype: DType) -> Node:
    """A node that holds a copy of `array`, converted to `dtype`."""
    buffer = Buffer(array.size * dtype.itemsize)
    strides = _in_bytes(contiguous_strides(array.shape), dtype.itemsize)
    buffer.numpy(dtype.numpy, array.shape, strides, 0)[...] = array
    return from_buffer(buffer, array.shape, dtype)


# Nodes are equal only to themselves.
_TABLES: weakref.WeakSet[Node] = weakref.WeakSet()


def table_of(array: Array, dtype: DType) -> Node:
    """As `node_of`, for an array that is the same whenever shapes and options are: never for one
    that depends on values of tensors.
    """
    node = node_of(array, dtype)
    _TABLES.add(node)
    return node


def is_table(node: Node) -> bool:
    """Whether `table_of` made it."""
    return node in _TABLES


def array_of(storage: Storage, layout: Layout, dtype: DType) -> Array:
    """The elements of `storage` at `layout` as a writable array on its memory.

    The storage's node has been realised.
    """
    buffer = storage.node.buffer
    assert buffer is not None
    size = dtype.itemsize
    shape, strides, offset = layout
    return buffer.numpy(dtype.numpy, shape, _in_bytes(strides, size), offset * size)


@lru_cache(SHAPES_REMEMBERED)
def _in_bytes(strides: tuple[int, ...], size: int) -> tuple[int, ...]:
    return tuple([step * size for step in strides])
