"""What `draw` shows, as data: boxes for tensors and functions, and arrows between them.

The graph is the one that backward passes walk. It does not keep the results of its functions: those
that somebody still holds are found among all objects of the process, the others are shown by shape.
"""

from __future__ import annotations

import gc
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from grad.autograd.function import Context
from grad.errors import GradientError
from grad.tensor import Tensor

MOST_BOXES = 500
# Values are written out for tensors of at most so many elements.
MOST_VALUES = 4

Place = tuple[Any, int]


@dataclass(frozen=True, slots=True)
class Box:
    """One box: its lines of text, and whether it stands for a function or for a leaf."""

    lines: tuple[str, ...]
    is_function: bool = False
    is_leaf: bool = False


@dataclass(frozen=True, slots=True)
class Graph:
    """Boxes, and arrows from box to box by number, in the order of computation."""

    boxes: tuple[Box, ...]
    arrows: tuple[tuple[int, int], ...]


def collect(root: Tensor, names: Mapping[str, Tensor]) -> Graph:
    """The graph that computed `root`; tensors are called as in `names`.

    Raises:
        GradientError: it has no history. ValueError: it is too large for a picture.
    """
    if root._edge is None:
        raise GradientError(
            "draw: the tensor has no history to draw; one of the tensors that it was computed from "
            "must have requires_grad=True."
        )
    contexts = _contexts(root._edge[0])
    living = _living(contexts)
    living[root._edge] = root
    called = {id(tensor): name for name, tensor in names.items()}
    numbers: dict[Any, int] = {}
    boxes: list[Box] = []
    arrows: list[tuple[int, int]] = []

    def number(key: Any, box: Any) -> int:
        if key not in numbers:
            numbers[key] = len(boxes)
            boxes.append(box())
        return numbers[key]

    def value(place: Place) -> int:
        return number((id(place[0]), place[1]), lambda: _value_box(place, living, called))

    for context in reversed(contexts):
        title = type(context).__name__.removesuffix("Backward")
        function = number(id(context), lambda title=title: Box((title,), is_function=True))
        arrows += [(value(edge), function) for edge in context.edges if edge is not None]
        for index in range(len(context.outputs)):
            place = (context, index)
            if index == 0 or place in living:
                arrows.append((function, value(place)))
    return Graph(tuple(boxes), tuple(dict.fromkeys(arrows)))


def _contexts(first: Any) -> list[Context]:
    """All functions that `first` leads to, each before those it needs."""
    waiting: list[tuple[Any, bool]] = [(first, False)]
    seen: set[int] = set()
    found: list[Context] = []
    while waiting:
        context, is_done = waiting.pop()
        if is_done:
            found.append(context)
        elif isinstance(context, Context) and id(context) not in seen:
            if len(seen) >= MOST_BOXES:
                raise ValueError(
                    f"draw: more than {MOST_BOXES} functions led to this tensor, too many for a "
                    "picture; draw an intermediate result, or the loss of a smaller model."
                )
            seen.add(id(context))
            waiting.append((context, True))
            waiting += [(edge[0], False) for edge in context.edges if edge is not None]
    return found[::-1]


def _living(contexts: list[Context]) -> dict[Place, Tensor]:
    """The results of these functions that somebody holds."""
    known = {id(context) for context in contexts}
    found: dict[Place, Tensor] = {}
    for thing in gc.get_objects():
        if issubclass(type(thing), Tensor):  # some objects answer isinstance with code of theirs
            edge = getattr(thing, "_edge", None)
            if edge is not None and id(edge[0]) in known:
                found[edge] = thing
    return found


def _value_box(place: Place, living: Mapping[Place, Tensor], called: Mapping[int, str]) -> Box:
    """The box of a tensor: a result, or a leaf."""
    target, index = place
    is_leaf = isinstance(target, Tensor)
    tensor = target if is_leaf else living.get(place)
    if tensor is None:
        info = target.outputs[index]
        return Box(() if info is None else (_shape_text(info.shape, info.dtype.name),))
    lines = [_value_text(tensor)]
    if id(tensor) in called:
        lines.insert(0, called[id(tensor)])
    if is_leaf or (target._retained or {}).get(index) is not None:
        gradient = tensor.grad
        lines.append(f"grad {'None' if gradient is None else _value_text(gradient)}")
    return Box(tuple(lines), is_leaf=is_leaf)


def _value_text(tensor: Tensor) -> str:
    if tensor.numel() > MOST_VALUES:
        return _shape_text(tensor.shape, tensor.dtype.name)
    values = tensor.detach().numpy().astype(np.float64).ravel().tolist()
    text = " ".join(f"{value:.4g}" for value in values)
    return f"[{text}]" if tensor.shape else text


def _shape_text(shape: tuple[int, ...], dtype: str) -> str:
    return f"{dtype} {list(shape)}"
