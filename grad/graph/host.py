"""Functions of NumPy as values of the graph: what is not worth a kernel of our own, or not yet.

A node of `HOST` is computed by a Python function on arrays in memory, in its turn among the
kernels of a plan. So sorting and decompositions stay lazy like everything else, are planned and
replayed with what is around them, and have gradients made of other operations. `hosted` declares
such a function, `host` makes the node; `kernel/lower_host.py` and `runtime/cpu/callbacks.py` run
it.

All arrays have the same first axis, along which they are independent: a function is given some of
these items and gives as many, so that they can be shared among threads.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np

from grad.dtype import DType
from grad.errors import ShapeError
from grad.graph.movement import Shape
from grad.graph.node import Node
from grad.graph.primitives import HOST

Array = np.ndarray[Any, Any]
# Fills its first array, the result, from other arrays and settings.
Function = Callable[..., Any]
Declared = TypeVar("Declared", bound=Function)

FUNCTIONS: dict[str, Function] = {}


class Host(NamedTuple):
    """Which function, and what it is given after the arrays: the argument of `HOST`."""

    name: str
    settings: tuple[Hashable, ...]


def hosted(function: Declared) -> Declared:
    """Declare a function for `host`, by its name.

    It is called with the array to fill, the sources and the settings. It depends on the latter
    alone, changes no source, computes no tensor, and may raise: the exception reaches whoever asked
    for the values.
    """
    name = function.__name__
    if FUNCTIONS.setdefault(name, function) is not function:
        raise ValueError(f"the hosted function {name!r} is declared twice.")
    return function


def host(
    function: Function, sources: Sequence[Node], shape: Shape, dtype: DType, *settings: Hashable
) -> Node:
    """What `function` (which is `hosted`) makes of `sources`: of `shape`, the first size of which
    all sources have too.
    """
    for source in sources:
        if not source.shape or not shape or source.shape[0] != shape[0]:
            raise ShapeError(
                f"{function.__name__}: {source.shape} and {shape} do not have the same first size."
            )
    return Node(HOST, tuple(sources), Host(function.__name__, settings), tuple(shape), dtype)


def call(which: Host, sources: Sequence[Array], result: Array) -> None:
    """Fill `result` with what the function makes of `sources`, all of them of the same length."""
    if result.size:
        with np.errstate(all="ignore"):
            FUNCTIONS[which.name](result, *sources, *which.settings)
