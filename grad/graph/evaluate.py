"""Evaluate a graph with NumPy, one node at a time.

The independent oracle of the compiler: no program, no fusion, no kernels, just what each primitive
means. Tests compare it with compiled results on random graphs. It is slow, and nothing else depends
on it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from grad.graph import attention, recurrence
from grad.graph.host import call
from grad.graph.movement import Move, contiguous_strides, move_array
from grad.graph.node import Node, postorder
from grad.graph.primitives import (
    ADD,
    ARGUMENT,
    AS_STRIDED,
    ATTENTION,
    ATTENTION_GRADIENT,
    BITCAST,
    BUFFER,
    CAST,
    CONST,
    CONTIGUOUS,
    CONTRACT,
    CONVOLVE,
    CONVOLVE_WEIGHT,
    HOST,
    IOTA,
    MAXIMUM,
    MINIMUM,
    MUL,
    RECURRENCE,
    RECURRENCE_GRADIENT,
    SCAN,
    SCATTER,
    TAKE,
    UPDATE,
    Kind,
)
from grad.graph.windows import correlate, correlate_weight, geometry

Array = np.ndarray[Any, Any]

_SCATTER = {"add": np.add, "prod": np.multiply, "amax": np.maximum, "amin": np.minimum}
_SCAN = {ADD: np.add, MUL: np.multiply, MAXIMUM: np.maximum, MINIMUM: np.minimum}


def evaluate(roots: Sequence[Node]) -> list[Array]:
    """The values of `roots` as NumPy arrays (views of buffers where possible: don't write to
    them).
    """
    values: dict[Node, Array] = {}
    with np.errstate(all="ignore"):
        for node in postorder(roots):
            values[node] = evaluate_node(node, [values[source] for source in node.src])
    return [values[root] for root in roots]


def evaluate_node(node: Node, sources: Sequence[Array]) -> Array:
    """One node's value of its sources' values."""
    op, target = node.op, node.dtype.numpy
    if op is BUFFER:
        assert node.buffer is not None
        strides = tuple(step * target.itemsize for step in contiguous_strides(node.shape))
        return node.buffer.numpy(target, node.shape, strides, 0)
    if op is CONST or op is ARGUMENT:
        return np.asarray(node.arg).astype(target)
    if op is IOTA:
        return np.arange(node.shape[0]).astype(target)
    if op.kind is Kind.MOVEMENT:
        return move_array(sources[0], Move(op, node.arg))
    if op.kind is Kind.REDUCE:
        assert op.numpy is not None
        return op.numpy(sources[0], axis=node.arg)
    if op is CAST or op is BITCAST:
        assert op.numpy is not None
        return op.numpy(sources[0], target)
    if op.kind is Kind.POINTWISE:
        assert op.numpy is not None
        return np.asarray(op.numpy(*sources)).astype(target, copy=False)
    return _NAMED[op](node, sources)


def _contract(node: Node, sources: Sequence[Array]) -> Array:
    wide = [s.astype(np.float64) if s.dtype.kind not in "iu" else s for s in sources]
    return np.matmul(*wide).astype(node.dtype.numpy)


def _convolve(node: Node, sources: Sequence[Array]) -> Array:
    image, weight = sources
    g = geometry(image.shape, weight.shape[0], weight.shape[2:], node.shape[2:], node.arg)
    images = image.reshape(g.images, g.groups, g.channels, *g.image)
    weights = weight.reshape(g.groups, g.filters, g.channels, *g.kernel)
    return correlate(g, images, weights).reshape(node.shape)


def _convolve_weight(node: Node, sources: Sequence[Array]) -> Array:
    image, gradient = sources
    windows, kernel = node.arg
    g = geometry(image.shape, gradient.shape[1], kernel, gradient.shape[2:], windows)
    images = image.reshape(g.images, g.groups, g.channels, *g.image)
    gradients = gradient.reshape(g.images, g.groups, g.filters, *g.out)
    return correlate_weight(g, images, gradients).reshape(node.shape)


def _positions(
    shape: tuple[int, ...], axes: Sequence[int], indices: Sequence[Array]
) -> tuple[Array, ...]:
    positions = [np.broadcast_to(p, shape) for p in np.indices(shape, sparse=True)]
    for axis, index in zip(axes, indices, strict=True):
        positions[axis] = index
    return tuple(positions)


def _take(node: Node, sources: Sequence[Array]) -> Array:
    source, *indices = sources
    positions = list(_positions(node.shape, node.arg, indices))
    for axis, size in enumerate(source.shape):
        if size == 1:
            positions[axis] = np.zeros(node.shape, np.int64)
    return source[tuple(positions)]


def _scatter(node: Node, sources: Sequence[Array]) -> Array:
    base, values, *indices = sources
    mode, axes = node.arg
    result = base.copy()
    positions = _positions(indices[0].shape, axes, indices)
    values = np.broadcast_to(values, indices[0].shape)
    if mode == "set":
        result[positions] = values
    else:
        _SCATTER[mode].at(result, positions, values)
    return result


def _update(node: Node, sources: Sequence[Array]) -> Array:
    base, value, start = sources
    result = np.array(base, order="C")
    shape, strides = node.arg
    view = move_array(result.reshape(-1), Move(AS_STRIDED, (shape, strides, int(start))))
    view[...] = value
    return result


def _scan(node: Node, sources: Sequence[Array]) -> Array:
    op, axis, backwards = node.arg
    source = np.flip(sources[0], axis) if backwards else sources[0]
    result = _SCAN[op].accumulate(source, axis=axis, dtype=source.dtype)
    return np.flip(result, axis) if backwards else result


def _host(node: Node, sources: Sequence[Array]) -> Array:
    result = np.empty(node.shape, node.dtype.numpy)
    call(node.arg, sources, result)
    return result


def _attention(node: Node, sources: Sequence[Array]) -> Array:
    named = dict(zip(node.arg.operands, sources, strict=True))
    return attention.forward(node.arg, named)[node.arg.part].astype(node.dtype.numpy)


def _attention_gradient(node: Node, sources: Sequence[Array]) -> Array:
    named = dict(zip(node.arg.gradient_operands, sources, strict=True))
    return attention.gradient(node.arg, named)[node.arg.part].astype(node.dtype.numpy)


def _recurrence(node: Node, sources: Sequence[Array]) -> Array:
    named = dict(zip(node.arg.operands, sources, strict=False))
    return recurrence.forward(node.arg, named)[node.arg.part].astype(node.dtype.numpy)


def _recurrence_gradient(node: Node, sources: Sequence[Array]) -> Array:
    how = node.arg
    named = dict(zip(how.gradient_operands, sources, strict=True))
    return recurrence.gradient(how, named)[how.part].astype(node.dtype.numpy)


_NAMED = {
    RECURRENCE: _recurrence,
    RECURRENCE_GRADIENT: _recurrence_gradient,
    ATTENTION: _attention,
    ATTENTION_GRADIENT: _attention_gradient,
    CONTRACT: _contract,
    HOST: _host,
    CONVOLVE: _convolve,
    CONVOLVE_WEIGHT: _convolve_weight,
    TAKE: _take,
    SCATTER: _scatter,
    UPDATE: _update,
    SCAN: _scan,
    CONTIGUOUS: lambda node, sources: np.array(sources[0], order="C"),
}
