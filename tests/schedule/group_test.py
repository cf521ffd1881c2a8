"""What a group stores fits what its kernel walks over."""

from __future__ import annotations

import math

import grad
from grad.graph.node import Node
from grad.schedule.group import group
from grad.schedule.program import program_of, walk
from grad.schedule.simplify import simplify


def test_a_contraction_stores_no_values_of_rows() -> None:
    """A value of each batch that is stored by the kernel of what reads it, which then would be the
    epilogue of a contraction: its kernel would write that value for each element.
    """
    a, b = grad.randn(2, 3, 3).realize(), grad.randn(2, 3, 3).realize()
    weight = grad.ones(2).realize()
    size = (a * a).sum((1, 2)).sqrt()
    other = (b * b).sum((1, 2)).sqrt()
    first = (weight * other / size).where(size != 0, 0.0)
    second = (weight * size / other).where(other != 0, 0.0)
    product = a.mT @ (a * first.reshape(2, 1, 1)) @ a.mT
    result = -product + b * second.reshape(2, 1, 1)
    roots: list[Node] = [result.node, size.node, other.node]
    program = simplify(program_of(walk(roots)))
    for found in group(program).groups:
        if found.contraction is not None:
            sizes = {math.prod(program.entries[number].shape) for number in found.stored}
            assert sizes == {math.prod(program.entries[found.root].shape)}
