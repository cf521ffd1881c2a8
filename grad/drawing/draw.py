"""`draw`, and the `Drawing` that it gives."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from grad.drawing.collect import Graph, collect
from grad.drawing.dot import dot_text
from grad.drawing.svg import svg_text
from grad.tensor import Tensor

_WRITERS = {".svg": svg_text, ".dot": dot_text}


class Drawing:
    """A picture of a graph. Notebooks show it; `save` writes it.

    Attributes:
        graph: boxes and arrows.
    """

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    @property
    def svg(self) -> str:
        """The text of an SVG file."""
        return svg_text(self.graph)

    @property
    def dot(self) -> str:
        """The text of a file for Graphviz."""
        return dot_text(self.graph)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write to `path`, which ends in ``.svg`` or ``.dot``.

        Raises:
            ValueError: for another ending.
        """
        writer = _WRITERS.get(Path(path).suffix)
        if writer is None:
            raise ValueError(
                f"draw: writes .svg and .dot, not {Path(path).name!r}; Graphviz makes other "
                "pictures of .dot files."
            )
        Path(path).write_text(writer(self.graph), encoding="utf-8")

    def _repr_svg_(self) -> str:
        return self.svg


def draw(tensor: Tensor, names: Mapping[str, Tensor] | None = None) -> Drawing:
    """A picture of how `tensor` was computed: tensors with values and gradients, and the functions
    between them.

    Results that nobody holds are shown by their shape; so are tensors of more than four elements.
    Gradients of results are shown where `retain_grad` was called.

    Args:
        names: what tensors are called; the variables of the caller when None. For a model:
            ``dict(model.named_parameters())``.

    Raises:
        GradientError: the tensor has no history. ValueError: the graph is too large.

    Example:
        >>> a = grad.tensor(2.0, requires_grad=True)
        >>> loss = (a * 3).tanh()
        >>> loss.backward()
        >>> grad.draw(loss).save("loss.svg")
    """
    if names is None:
        caller = sys._getframe(1)
        variables = {**caller.f_globals, **caller.f_locals}
        names = {name: value for name, value in variables.items() if isinstance(value, Tensor)}
    return Drawing(collect(tensor, names))
