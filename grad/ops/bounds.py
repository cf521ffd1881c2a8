"""Indices must lie inside their axis: checked at once, or at each replay of a recorded function.

`within` is asked by everything that reads or writes by an index tensor. Normally the index is
computed and looked at, so that the error comes from the line that made it. While `grad.compile`
records, values are not there: the recorder notes the check, and the index is held to its bounds so
that no memory outside is touched before the check has been made. `require` looks at any property of
values in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from grad.dtype import dtypes
from grad.engine import realize
from grad.engine.recording import recording
from grad.graph.node import Node, bitcast, cast, constant, pointwise, reduce
from grad.graph.primitives import MAX, SUB, Kind
from grad.ops.convert import array_view

# From so many elements on it pays to have threads look at them.
MANY = 1 << 16
# Up to so many elements Python is faster than two calls of NumPy.
FEW = 64


def instead(size: int, advice: str) -> str:
    """What the error of an index outside an axis of `size` advises: nothing helps if that is 0."""
    return advice if size else "the axis is empty, so that no index is inside"


def index_range(index: Any) -> tuple[int, int]:
    """Smallest and largest value of an integer tensor that is not empty; computes it."""
    values = array_view(index)
    # An axis that was expanded has stride 0 and shows one value again and again.
    if 0 in values.strides:
        values = values[tuple([0 if step == 0 else slice(None) for step in values.strides])]
    return extremes(values)


def extremes(values: Any) -> tuple[int, int]:
    """Smallest and largest of an array of integers that is not empty."""
    if values.size <= FEW:
        numbers = values.ravel().tolist()
        return min(numbers), max(numbers)
    return int(values.min()), int(values.max())


def within(index: Any, low: int, high: int, error: Callable[[int], Exception]) -> Node:
    """The node of the tensor `index` for use as an index; raises ``error(i)`` for some value i
    outside ``low <= i < high``.
    """
    if 0 in index.shape:
        return index.node
    if recording.recorder is not None:
        return recording.recorder.bounded(index.node, low, high, error)
    if not _is_stored_in_full(index) or _furthest(index.node, low) >= high - low:
        least, most = index_range(index)
        if least < low or most >= high:
            raise error(least if least < low else most)
    return index.node


def require(faults: Any, errors: Callable[[int], Exception], *parameters: Any) -> None:
    """Raise ``errors(k)`` for the largest k among `faults`, whole numbers, unless all are 0.

    They are computed, and `parameters` with them if they are not there yet; while a function is
    recorded, each replay looks.
    """
    if 0 in faults.shape:
        return
    worst = faults.to(dtypes.int32).max()
    if recording.recorder is None:
        realize([worst.node, *[parameter.node for parameter in parameters]])
    within(worst, 0, 1, errors)


def _is_stored_in_full(index: Any) -> bool:
    """Whether a long index has memory of its own for each element, as far as can be seen."""
    return math.prod(index.shape) >= MANY and index.node.op.kind is not Kind.MOVEMENT


def _furthest(node: Node, low: int) -> int:
    """The largest of the values less `low`, as numbers without a sign: what lies below is huge."""
    above = pointwise(SUB, cast(node, dtypes.int64), constant(low, dtypes.int64))
    most = reduce(MAX, bitcast(above, dtypes.uint64), tuple(range(len(node.shape))))
    realize([node, most])
    assert most.buffer is not None
    return int(most.buffer.numpy(np.dtype(np.uint64), (1,), (8,), 0)[0])
