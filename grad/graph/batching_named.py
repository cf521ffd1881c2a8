"""Rules of batching.py for named primitives: products, convolutions, gathers, attention and so on.

A product with one side that is the same for all items takes the batch into an axis of the other
side, so that it stays one product. A convolution takes it into images, output channels or groups,
whichever says the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from grad.graph.node import (
    Node,
    contiguous,
    contract,
    convolve,
    convolve_weight,
    expand,
    permute,
    reshape,
    scan,
    scatter,
    take,
)
from grad.graph.primitives import (
    ATTENTION,
    ATTENTION_GRADIENT,
    CONTIGUOUS,
    CONTRACT,
    CONVOLVE,
    CONVOLVE_WEIGHT,
    HOST,
    SCAN,
    SCATTER,
    TAKE,
    UPDATE,
    Primitive,
)


class Batched(NamedTuple):
    """The sources of a node: which of them have the new first axis, and its size."""

    sources: tuple[Node, ...]
    batched: tuple[bool, ...]
    size: int


def lined_up(node: Node, rank: int) -> Node:
    """A batched node with axes of size 1 behind the first, for `rank` axes in all without it."""
    size, *shape = node.shape
    return reshape(node, (size, *(1,) * (rank - len(shape)), *shape))


def expanded(node: Node, batched: bool, size: int) -> Node:
    """`node` with the new first axis, whether it had one or not."""
    return node if batched else expand(node, (size, *node.shape))


def _all_expanded(given: Batched) -> list[Node]:
    return [expanded(s, b, given.size) for s, b in zip(given.sources, given.batched)]


def _moved(node: Node, source: int, target: int) -> Node:
    """`node` with one axis moved, the others in order."""
    order = [axis for axis in range(len(node.shape)) if axis != source]
    order.insert(target, source)
    return permute(node, order)


def _contract(node: Node, given: Batched) -> Node:
    a, b = given.sources
    lead = len(node.shape) - 2
    if all(given.batched):
        return contract(a, b)
    if given.batched[0]:
        # (B, ..., m, k) to (..., B * m, k): more rows of the same product.
        *leading, rows, inner = node.src[0].shape
        joined = reshape(_moved(a, 0, lead), (*leading, given.size * rows, inner))
        product = contract(joined, b)
        split = reshape(product, (*leading, given.size, rows, product.shape[-1]))
        return _moved(split, lead, 0)
    *leading, inner, columns = node.src[1].shape
    joined = reshape(_moved(b, 0, lead + 1), (*leading, inner, given.size * columns))
    product = contract(a, joined)
    split = reshape(product, (*leading, product.shape[-2], given.size, columns))
    return _moved(split, lead + 1, 0)


# -- convolutions ----------------------------------------------------------------------------------
def _convolve(node: Node, given: Batched) -> Node:
    image, weight = given.sources
    windows, size = node.arg, given.size
    count, channels, *sizes = node.src[0].shape
    filters, depth, *kernel = node.src[1].shape
    if not given.batched[1]:
        result = convolve(reshape(image, (size * count, channels, *sizes)), weight, windows)
        return reshape(result, (size, *node.shape))
    outside = node.shape[2:]
    if not given.batched[0]:
        # More output channels of each group.
        groups = windows.groups
        each = filters // groups
        weights = _moved(reshape(weight, (size, groups, each, depth, *kernel)), 0, 1)
        result = convolve(image, reshape(weights, (size * filters, depth, *kernel)), windows)
        split = _moved(reshape(result, (count, groups, size, each, *outside)), 2, 0)
        return reshape(split, (size, *node.shape))
    images = reshape(_moved(image, 0, 1), (count, size * channels, *sizes))
    weights = reshape(weight, (size * filters, depth, *kernel))
    result = convolve(images, weights, replace(windows, groups=size * windows.groups))
    return _moved(reshape(result, (count, size, filters, *outside)), 1, 0)


def _convolve_weight(node: Node, given: Batched) -> Node:
    image, gradient = given.sources
    (windows, kernel), size = node.arg, given.size
    count, channels, *sizes = node.src[0].shape
    filters, *outside = node.src[1].shape[1:]
    groups = windows.groups
    depth, each = channels // groups, filters // groups
    if all(given.batched):
        images = reshape(_moved(image, 0, 1), (count, size * channels, *sizes))
        gradients = reshape(_moved(gradient, 0, 1), (count, size * filters, *outside))
        several = replace(windows, groups=size * groups)
        return reshape(convolve_weight(images, gradients, several, kernel), (size, *node.shape))
    if given.batched[0]:
        split = _moved(reshape(image, (size, count, groups, depth, *sizes)), 0, 2)
        images = reshape(split, (count, size * channels, *sizes))
        found = convolve_weight(images, gradient, windows, kernel)
        return _moved(reshape(found, (filters, size, depth, *kernel)), 1, 0)
    split = _moved(reshape(gradient, (size, count, groups, each, *outside)), 0, 2)
    gradients = reshape(split, (count, size * filters, *outside))
    found = convolve_weight(image, gradients, windows, kernel)
    by_group = _moved(reshape(found, (groups, size, each, depth, *kernel)), 1, 0)
    return reshape(by_group, (size, *node.shape))


# -- by index --------------------------------------------------------------------------------------
def _further(axes: Sequence[int]) -> tuple[int, ...]:
    return tuple([axis + 1 for axis in axes])


def _take(node: Node, given: Batched) -> Node:
    source, *indices = given.sources
    if not given.batched[0]:
        source = reshape(source, (1, *source.shape))
    indices = [expanded(i, b, given.size) for i, b in zip(indices, given.batched[1:])]
    return take(source, _further(node.arg), indices)


def _scatter(node: Node, given: Batched) -> Node:
    mode, axes = node.arg
    base, values, *indices = _all_expanded(given)
    return scatter(mode, base, lined_up(values, len(node.shape)), _further(axes), indices)


def _update(node: Node, given: Batched) -> Node:
    base, value, start = given.sources
    shape, strides = node.arg
    base = expanded(base, given.batched[0], given.size)
    value = expanded(value, given.batched[1], given.size)
    view = ((given.size, *shape), (node.size, *strides))
    return Node(UPDATE, (base, value, start), view, base.shape, base.dtype)


# -- others ----------------------------------------------------------------------------------------
def _scan(node: Node, given: Batched) -> Node:
    op, axis, backwards = node.arg
    return scan(op, given.sources[0], axis + 1, backwards)


def _contiguous(_: Node, given: Batched) -> Node:
    return contiguous(given.sources[0])


def _attention(node: Node, given: Batched) -> Node:
    # The numbers of dropout are those of positions: ops/attention.py uses the definition then.
    assert not node.arg.dropout
    sources = tuple(_all_expanded(given))
    return Node(node.op, sources, node.arg, (given.size, *node.shape), node.dtype)


def _host(node: Node, given: Batched) -> Node:
    """The arrays are independent along their first axis, which becomes longer."""
    length = node.shape[0] * given.size
    sources = [reshape(s, (length, *s.shape[2:])) for s in _all_expanded(given)]
    found = Node(HOST, tuple(sources), node.arg, (length, *node.shape[1:]), node.dtype)
    return reshape(found, (given.size, *node.shape))


NAMED_RULES: dict[Primitive, Callable[[Node, Batched], Node]] = {
    CONTRACT: _contract,
    CONVOLVE: _convolve,
    CONVOLVE_WEIGHT: _convolve_weight,
    TAKE: _take,
    SCATTER: _scatter,
    UPDATE: _update,
    SCAN: _scan,
    CONTIGUOUS: _contiguous,
    ATTENTION: _attention,
    ATTENTION_GRADIENT: _attention,
    HOST: _host,
}
