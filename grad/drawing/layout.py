"""Where the boxes of a `Graph` are: in columns from left to right, each after all that lead to it.

Within a column boxes are near the mean height of their neighbours, by sweeps over the columns in
both directions (Sugiyama, Tagawa and Toda, "Methods for visual understanding of hierarchical system
structures", 1981).
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from grad.drawing.collect import Box, Graph

CHARACTER, LINE, PAD, GAP, COLUMN_GAP = 7.2, 14.0, 6.0, 14.0, 36.0
SWEEPS = 4


@dataclass(frozen=True, slots=True)
class Spot:
    """A rectangle: its left upper corner and its sizes, in pixels."""

    x: float
    y: float
    width: float
    height: float


def place(graph: Graph) -> list[Spot]:
    """The rectangle of each box, none of which overlap."""
    columns = _columns(graph)
    neighbours: dict[int, list[int]] = defaultdict(list)
    for start, end in graph.arrows:
        neighbours[start].append(end)
        neighbours[end].append(start)
    sizes = [_size(box) for box in graph.boxes]
    middles: dict[int, float] = {}
    for column in columns:
        middles.update(_stacked(column, sizes, dict.fromkeys(column, 0.0)))
    for sweep in range(SWEEPS):
        for column in columns if sweep % 2 else columns[::-1]:
            wished = {
                box: sum(middles[n] for n in neighbours[box]) / max(len(neighbours[box]), 1)
                for box in column
            }
            middles.update(_stacked(column, sizes, wished))
    top = min((middles[box] - sizes[box][1] / 2 for box in middles), default=0.0)
    spots: list[Spot] = [Spot(0, 0, 0, 0)] * len(graph.boxes)
    x = GAP
    for column in columns:
        widest = max(sizes[box][0] for box in column)
        for box in column:
            width, height = sizes[box]
            y = middles[box] - height / 2 - top + GAP
            spots[box] = Spot(x + (widest - width) / 2, y, width, height)
        x += widest + COLUMN_GAP
    return spots


def _columns(graph: Graph) -> list[list[int]]:
    """The boxes of each column: a box is right of all that leads to it, and leaves are next to
    where they are used. Each round moves what is not.
    """
    ranks = [0] * len(graph.boxes)
    changed = True
    while changed:
        changed = False
        for start, end in graph.arrows:
            if ranks[end] <= ranks[start]:
                ranks[end], changed = ranks[start] + 1, True
    first_use: dict[int, int] = {}
    for start, end in graph.arrows:
        first_use[start] = min(first_use.get(start, ranks[end]), ranks[end])
    for box, use in first_use.items():
        if graph.boxes[box].is_leaf:
            ranks[box] = use - 1
    columns: dict[int, list[int]] = defaultdict(list)
    for box, rank in enumerate(ranks):
        columns[rank].append(box)
    return [columns[rank] for rank in sorted(columns)]


def _size(box: Box) -> tuple[float, float]:
    longest = max(map(len, box.lines), default=1)
    return longest * CHARACTER + 2 * PAD, max(len(box.lines), 1) * LINE + 2 * PAD


def _stacked(
    column: list[int], sizes: list[tuple[float, float]], wished: dict[int, float]
) -> dict[int, float]:
    """Middles in the order that is wished, without overlap, around the same mean."""
    order = sorted(column, key=lambda box: wished[box])
    middles: dict[int, float] = {}
    bottom = float("-inf")
    for box in order:
        half = sizes[box][1] / 2
        middles[box] = max(wished[box], bottom + GAP + half)
        bottom = middles[box] + half
    shift = sum(wished[box] - middles[box] for box in order) / len(order)
    return {box: middle + shift for box, middle in middles.items()}
