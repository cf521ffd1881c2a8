"""Where values meet NumPy: arrays into graph nodes, storages into arrays.

`node_of` copies an array into memory of ours; `array_of` shows a view of a (realised) storage as an
array that copies nothing. Foreign memory comes in through `grad/dlpack.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from grad.buffer import Buffer
from grad.dtype import DType
from grad.graph.movement import Layout, contiguous_strides
from grad.graph.node import Node, from_buffer
from grad.graph.storage import Storage

Array = np.ndarray[Any, Any]


def node_of(array: Array, dtype: DType) -> Node:
    """A node that holds a copy of `array`, converted to `dtype`."""
    buffer = Buffer(array.size * dtype.itemsize)
    strides = tuple([step * dtype.itemsize for step in contiguous_strides(array.shape)])
    buffer.numpy(dtype.numpy, array.shape, strides, 0)[...] = array
    return from_buffer(buffer, array.shape, dtype)


def array_of(storage: Storage, layout: Layout, dtype: DType) -> Array:
    """The elements of `storage` at `layout` as a writable array on its memory.

    The storage's node has been realised.
    """
    buffer = storage.node.buffer
    assert buffer is not None
    size = dtype.itemsize
    strides = tuple([step * size for step in layout.strides])
    return buffer.numpy(dtype.numpy, layout.shape, strides, layout.offset * size)
