"""A `Graph` in the language of Graphviz."""

from __future__ import annotations

from grad.drawing.collect import Box, Graph


def dot_text(graph: Graph) -> str:
    """The text of a ``.dot`` file, drawn from left to right."""
    lines = ["digraph {", "  rankdir=LR; node [fontname=monospace, fontsize=10];"]
    lines += [f"  n{number} [{_attributes(box)}];" for number, box in enumerate(graph.boxes)]
    lines += [f"  n{start} -> n{end};" for start, end in graph.arrows]
    return "\n".join([*lines, "}", ""])


def _attributes(box: Box) -> str:
    if box.is_function:
        return f'label="{_escaped(box.lines[0])}", shape=ellipse'
    label = "|".join(_escaped(line, "{}|<> ") for line in box.lines)
    style = ', style=filled, fillcolor="#e8f0fe"' if box.is_leaf else ""
    return f'label="{label}", shape=record{style}'


def _escaped(text: str, special: str = "") -> str:
    return "".join(f"\\{c}" if c in special or c in '"\\' else c for c in text)
