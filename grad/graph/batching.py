"""Batch a graph: the same computation for many values of some of its leaves, at once.

`batch` rebuilds what depends on given leaves with a new first axis, one rule for each primitive
(`RULES`; those of products and kernels of their own are in batching_named.py). Leaves and whatever
depends on none of them stay as they are, so that they are computed once. `grad/func/mapping.py`
makes `vmap` of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from grad.dtype import DType
from grad.errors import TransformError
from grad.graph.batching_named import NAMED_RULES, Batched, expanded, lined_up
from grad.graph.movement import Shape
from grad.graph.node import (
    Node,
    as_strided,
    expand,
    pad,
    permute,
    pointwise,
    reduce,
    reshape,
    slice_axes,
)
from grad.graph.primitives import (
    AFFINE,
    AS_STRIDED,
    BARRIER,
    EXPAND,
    PAD,
    PERMUTE,
    RESHAPE,
    SLICE,
    STAND_IN,
    Kind,
    Primitive,
)


def stand_in(shape: Shape, dtype: DType) -> Node:
    """A leaf without a value, for a graph that is to be batched."""
    return Node(STAND_IN, (), None, shape, dtype)


# What a node becomes: given its sources, of which those in `batched` have the new first axis.
Rule = Callable[[Node, Batched], Node]


def batch(
    roots: Sequence[Node],
    values: dict[Node, Node],
    size: int,
    special: Callable[[Node, Node], Node | None] | None = None,
) -> list[Node | None]:
    """`roots` with a new first axis of `size`; None for those that depend on none of the leaves.

    Args:
        values: what is known with the new axis, the leaves above all. Everything that is made is
            added.
        special: called with each node of one source, and that with the new axis; what it returns,
            if it is not None, stands for the node.

    Raises:
        TransformError: a primitive has no rule.
    """
    seen: set[Node] = set()
    stack = [(root, False) for root in reversed(roots)]
    while stack:
        node, ready = stack.pop()
        if ready:
            if any(source in values for source in node.src):
                values[node] = _batched(node, values, size, special)
        elif node not in seen and node not in values:
            seen.add(node)
            stack.append((node, True))
            stack.extend((source, False) for source in reversed(node.src) if source not in seen)
    return [values.get(root) for root in roots]


def _batched(
    node: Node,
    values: dict[Node, Node],
    size: int,
    special: Callable[[Node, Node], Node | None] | None,
) -> Node:
    if special is not None and len(node.src) == 1:
        found = special(node, values[node.src[0]])
        if found is not None:
            return found
    rule = RULES.get(node.op) or KIND_RULES.get(node.op.kind)
    if rule is None:
        raise TransformError(f"vmap: the primitive {node.op.name!r} has no rule for batches.")
    sources = tuple([values.get(source, source) for source in node.src])
    result = rule(node, Batched(sources, tuple([s in values for s in node.src]), size))
    assert result.shape == (size, *node.shape) and result.dtype is node.dtype, node
    return result


# -- pointwise operations and reductions -----------------------------------------------------------
def _pointwise(node: Node, given: Batched) -> Node:
    rank = len(node.shape)
    sources = [lined_up(s, rank) if b else s for s, b in zip(given.sources, given.batched)]
    return pointwise(node.op, *sources, dtype=node.dtype)


def _reduce(node: Node, given: Batched) -> Node:
    return reduce(node.op, given.sources[0], [axis + 1 for axis in node.arg])


# -- movement --------------------------------------------------------------------------------------
def _reshape(node: Node, given: Batched) -> Node:
    return reshape(given.sources[0], (given.size, *node.arg))


def _permute(node: Node, given: Batched) -> Node:
    return permute(given.sources[0], (0, *[axis + 1 for axis in node.arg]))


def _expand(node: Node, given: Batched) -> Node:
    return expand(lined_up(given.sources[0], len(node.arg)), (given.size, *node.arg))


def _slice(node: Node, given: Batched) -> Node:
    return slice_axes(given.sources[0], ((0, 1, given.size), *node.arg))


def _pad(node: Node, given: Batched) -> Node:
    return pad(given.sources[0], ((0, 0), *node.arg))


def _as_strided(node: Node, given: Batched) -> Node:
    shape, strides, offset = node.arg
    length = node.src[0].size
    flat = reshape(given.sources[0], (given.size * length,))
    return as_strided(flat, (given.size, *shape), (length, *strides), offset)


def _affine(node: Node, given: Batched) -> Node:
    shape, rows = node.arg
    shape = (given.size, *shape)
    along = (0, (1, *[0] * len(node.shape)))
    rows = (along, *[(start, (0, *steps)) for start, steps in rows])
    return Node(AFFINE, given.sources, (shape, rows), shape, node.dtype)


def _barrier(node: Node, given: Batched) -> Node:
    first, *others = given.sources
    first = expanded(first, given.batched[0], given.size)
    return Node(BARRIER, (first, *others), None, first.shape, first.dtype)


KIND_RULES: dict[Kind, Rule] = {Kind.POINTWISE: _pointwise, Kind.REDUCE: _reduce}
RULES: dict[Primitive, Rule] = {
    RESHAPE: _reshape,
    PERMUTE: _permute,
    EXPAND: _expand,
    SLICE: _slice,
    PAD: _pad,
    AS_STRIDED: _as_strided,
    AFFINE: _affine,
    BARRIER: _barrier,
    **NAMED_RULES,
}
