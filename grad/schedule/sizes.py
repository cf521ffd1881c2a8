"""What graphs of one structure have in common, and the sizes by which they differ.

The key of a plan (`program.py`) has every size in it. `structure_of` takes the sizes out, in an
order of their own: what is left is the same for the graph of each step of a loop whose batch or
sequence grows. Sizes 0 and 1 stay: they make other programs. `sized_with` puts sizes, some of which
are not fixed (`grad/graph/sizes.py`), back in their places. `grad/engine` makes one plan for many
sizes with these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from grad.graph.movement import Layout
from grad.graph.node import Node
from grad.graph.primitives import (
    AFFINE,
    AS_STRIDED,
    EXPAND,
    PAD,
    RECURRENCE,
    RECURRENCE_GRADIENT,
    RESHAPE,
    SLICE,
    UPDATE,
)
from grad.schedule.program import Leaf, Sized, Walk

# Operations whose argument is sizes, in tuples of tuples.
SIZED = frozenset((RESHAPE, EXPAND, PAD, AS_STRIDED, AFFINE, SLICE, UPDATE))
# Operations whose argument has one size among other things, `batch`.
BATCHED = frozenset((RECURRENCE, RECURRENCE_GRADIENT))
FEW = (0, 1)


def structure_of(found: Walk) -> tuple[tuple[Any, ...], tuple[int, ...]]:
    """The key of a walk without sizes, and the sizes."""
    values: list[int] = []
    parts: list[Any] = []
    slots = {leaf.node: leaf for leaf in found.leaves if leaf.layout is not None}
    for node, part in zip(found.nodes, found.key.parts, strict=False):
        leaf = slots.get(node)
        shape = _form(node.shape, values)
        if leaf is not None:
            assert leaf.layout is not None
            parts.append((part[0], shape, node.dtype, _form(leaf.layout.strides, values)))
        elif node.src:
            op, arg, _, *others = part
            if op in SIZED:
                arg = _form(arg, values)
            elif op in BATCHED:
                arg = arg._replace(batch=_form(arg.batch, values))
            parts.append((op, arg, shape, *others))
        else:
            # A leaf has no sizes but its shape, and may have none of a type of its own.
            parts.append((part[0], shape, node.dtype, node.arg if len(part) == 4 else None))
    return (*parts, *found.key.parts[len(found.nodes) :]), tuple(values)


def _form(sizes: Any, values: list[int]) -> Any:
    """Nested tuples of sizes with those taken out that are neither 0 nor 1."""
    if isinstance(sizes, tuple):
        return tuple([_form(size, values) for size in sizes])
    if sizes in FEW:
        return sizes
    values.append(sizes)
    return None


def sized_with(found: Walk, sizes: Sequence[int]) -> Callable[[Node, Leaf | None], Sized]:
    """What gives the nodes of a walk, in order, `sizes` in the places of their own."""
    given = iter(sizes)

    def sized(node: Node, leaf: Leaf | None) -> Sized:
        shape, layout, arg = _placed(node.shape, given), None, node.arg
        if leaf is not None and leaf.layout is not None:
            strides = _placed(leaf.layout.strides, given)
            layout = Layout(shape, strides, leaf.layout.offset)
        elif node.src and node.op in SIZED:
            arg = _placed(arg, given)
        elif node.op in BATCHED:
            arg = arg._replace(batch=_placed(arg.batch, given))
        return Sized(shape, arg, layout)

    return sized


def _placed(sizes: Any, given: Iterator[int]) -> Any:
    if isinstance(sizes, tuple):
        return tuple([_placed(size, given) for size in sizes])
    return sizes if sizes in FEW else next(given)
