"""`Fresh`: a value that a replay computes anew, and the one graph node that holds it.

Whoever needs the value of an output of the plan (a result, a storage that is written, a gradient to
come) gets the same node: nodes are immutable, so that whatever is done to one of them later does
not reach the others. replay.py makes them, gradient.py keeps some.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from grad.buffer import Buffer
from grad.dtype import DType
from grad.graph.movement import Shape
from grad.graph.node import Node, from_buffer

Nodes = dict[int, Node]


class Fresh(NamedTuple):
    """A value that a replay makes: the number of the plan's output, and what it is."""

    output: int
    shape: Shape
    dtype: DType

    def node(self, buffers: Sequence[Buffer], nodes: Nodes) -> Node:
        """The node of the value; `nodes` are those of this replay by output, and are filled."""
        found = nodes.get(self.output)
        if found is None:
            found = nodes[self.output] = from_buffer(buffers[self.output], self.shape, self.dtype)
        return found


def fresh(outputs: dict[Node, int], node: Node) -> Fresh:
    """`node`, of a recorded function, as a value that its replays make."""
    return Fresh(outputs[node], node.shape, node.dtype)
