"""A `Graph` as an SVG picture, without any other program."""

from __future__ import annotations

from grad.drawing.collect import Graph
from grad.drawing.layout import GAP, LINE, PAD, place

_HEAD = (
    '<svg xmlns="http://www.w3.org/2000/svg" width="{0:.0f}" height="{1:.0f}" '
    'viewBox="0 0 {0:.0f} {1:.0f}" font-family="monospace" font-size="12">\n'
    '<defs><marker id="arrow" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" '
    'markerHeight="7" orient="auto"><path d="M0 0 8 4 0 8z" fill="#666"/></marker></defs>\n'
    '<rect width="100%" height="100%" fill="#fff"/>'
)
_ARROW = (
    '<path d="M{0:.1f} {1:.1f} C{2:.1f} {1:.1f} {2:.1f} {4:.1f} {3:.1f} {4:.1f}" fill="none" '
    'stroke="#666" marker-end="url(#arrow)"/>'
)
_BOX = (
    '<rect x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}" rx="{}" fill="{}" stroke="#333"/>'
)
_TEXT = '<text x="{:.1f}" y="{:.1f}" text-anchor="middle">{}</text>'


_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def svg_text(graph: Graph) -> str:
    """The text of an ``.svg`` file."""
    spots = place(graph)
    width = max(spot.x + spot.width for spot in spots) + GAP
    height = max(spot.y + spot.height for spot in spots) + GAP
    lines = [_HEAD.format(width, height)]
    for start, end in graph.arrows:
        a, b = spots[start], spots[end]
        x, y = a.x + a.width, a.y + a.height / 2
        lines.append(_ARROW.format(x, y, (x + b.x) / 2, b.x, b.y + b.height / 2))
    for box, spot in zip(graph.boxes, spots, strict=True):
        colour = "#fff3d6" if box.is_function else "#e8f0fe" if box.is_leaf else "#fff"
        corner = spot.height / 2 if box.is_function else 2
        lines.append(_BOX.format(spot.x, spot.y, spot.width, spot.height, corner, colour))
        middle = spot.x + spot.width / 2
        for number, line in enumerate(box.lines):
            lines.append(
                _TEXT.format(
                    middle, spot.y + PAD + LINE * (number + 0.75), line.translate(_ESCAPES)
                )
            )
    return "\n".join([*lines, "</svg>", ""])
