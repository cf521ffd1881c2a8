"""Indices must lie inside their axis: checked at once, or at each replay of a recorded function.

`within` is asked by everything that reads or writes by an index tensor. Normally the index is
computed and looked at, so that the error comes from the line that made it. While `grad.compile`
records, values are not there: the recorder notes the check, and the index is held to its bounds so
that no memory outside is touched before the check has been made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from grad.engine.recording import recording
from grad.graph.node import Node
from grad.ops.convert import array_view


def index_range(index: Any) -> tuple[int, int]:
    """Smallest and largest value of an integer tensor that is not empty; computes it."""
    values = array_view(index)
    # An axis that was expanded has stride 0 and shows one value again and again.
    once = tuple([0 if step == 0 else slice(None) for step in values.strides])
    values = values[once]
    return int(values.min()), int(values.max())


def within(index: Any, low: int, high: int, error: Callable[[int], Exception]) -> Node:
    """The node of the tensor `index` for use as an index; raises ``error(i)`` for some value i
    outside ``low <= i < high``.
    """
    if 0 in index.shape:
        return index.node
    if recording.recorder is not None:
        return recording.recorder.bounded(index.node, low, high, error)
    least, most = index_range(index)
    if least < low or most >= high:
        raise error(least if least < low else most)
    return index.node
