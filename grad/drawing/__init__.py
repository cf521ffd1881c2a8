"""`grad.draw`: a picture of how a tensor was computed, with values and gradients.

collect.py walks the gradient graph into a frozen `Graph`; dot.py writes it for Graphviz; layout.py
says where each box is, and svg.py draws that.
"""

from __future__ import annotations

from grad.drawing.draw import Drawing, draw

__all__ = ["Drawing", "draw"]
