"""The engine: computes pending values. For now by the NumPy oracle; the compiler comes in behind."""

from __future__ import annotations

from collections.abc import Sequence

from grad.buffer import Buffer
from grad.graph.evaluate import evaluate
from grad.graph.movement import contiguous_strides
from grad.graph.node import Node


def realize(nodes: Sequence[Node]) -> None:
    """Compute `nodes`: afterwards each has its `buffer`, with its values in row-major order."""
    pending = [node for node in nodes if node.buffer is None]
    for node, array in zip(pending, evaluate(pending)):
        if node.buffer is None:
            dtype = node.dtype
            buffer = Buffer(node.size * dtype.itemsize)
            strides = tuple(step * dtype.itemsize for step in contiguous_strides(node.shape))
            buffer.numpy(dtype.numpy, node.shape, strides, 0)[...] = array
            node.realized(buffer)
