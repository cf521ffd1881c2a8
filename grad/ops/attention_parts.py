"""Attention of few heads to many keys: parts of the keys side by side, and then one result of all.

The kernel's pieces are rows of heads, and a text that is written token by token has one row: with
few heads, most threads would have nothing to do. Here parts of the keys become a leading axis, and
what they give is combined by the largest score and the sum of each, as the kernel does from one
block of keys to the next. How many there are follows from shapes, never from the number of threads.
`attention.py` asks `part_count`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from grad.graph.attention import Attend, attention_nodes
from grad.graph.node import Node
from grad.ops.join import Cat
from grad.ops.promotion import wrap

PIECES = 8  # enough for threads to share
PIECE_ROWS = 240  # rows of a head that the kernel takes as a piece
LEAST_KEYS = 2048  # of a part
LEAST_ELEMENTS = 1 << 24  # of keys and values: with fewer, combining costs what it saves


def part_count(sources: Sequence[Node], how: Attend) -> int:
    """How many parts the keys of an attention should be cut in."""
    if how.is_causal or how.dropout:  # whose kernels count rows and columns from the first key
        return 1
    *lead, rows, _ = sources[0].shape
    if sum(math.prod(node.shape) for node in sources[1:3]) < LEAST_ELEMENTS:
        return 1
    pieces = math.prod(lead) * max(1, rows // PIECE_ROWS)
    return max(1, min(-(-PIECES // pieces), sources[1].shape[-2] // LEAST_KEYS))


def attend_in_parts(sources: Sequence[Node], how: Attend, count: int) -> tuple[Any, Any]:
    """Output and rows as `attention_nodes` gives them, of `count` parts and what is left over."""
    query, *others = map(wrap, sources)
    keys = sources[1].shape[-2]
    size = keys // count
    parts = (_parts(t, axis, count, size) for axis, t in _axes(others))
    found = [_attend((query.expand(count, *query.shape), *parts), how)]
    if size * count < keys:
        rest = (t.narrow(axis, size * count, keys - size * count) for axis, t in _axes(others))
        found.append([x.unsqueeze(0) for x in _attend((query, *rest), how)])
    values, rows = (Cat.forward(results) for results in zip(*found, strict=True))
    return _combined(values, rows)


def _axes(tensors: Sequence[Any]) -> list[tuple[int, Any]]:
    """Key, value and perhaps a mask, each with the axis of its keys."""
    return list(zip((-2, -2, -1), tensors, strict=False))


def _attend(tensors: Sequence[Any], how: Attend) -> list[Any]:
    return list(map(wrap, attention_nodes(tuple(t.node for t in tensors), how)))


def _parts(tensor: Any, axis: int, count: int, size: int) -> Any:
    """The first `count` times `size` elements of an axis as parts, on a new first axis."""
    cut = tensor.narrow(axis, 0, count * size).unflatten(axis, (count, size))
    return cut.movedim(axis - 1, 0)


def _combined(values: Any, rows: Any) -> tuple[Any, Any]:
    """Output and rows of all parts, which are the first axis."""
    peaks, inverses = rows[..., :1], rows[..., 1:]
    nothing = inverses == 0  # attended to
    peaks = peaks.masked_fill(nothing, -math.inf)
    peak = peaks.amax(0)
    peak = peak.masked_fill(peak == -math.inf, 0.0)
    shares = inverses.reciprocal().masked_fill(nothing, 0.0) * (peaks - peak).exp2()
    total = shares.sum(0)
    inverse = total.reciprocal().masked_fill(total == 0, 0.0)
    return (values * (shares * inverse)).sum(0), Cat.forward((peak, inverse), -1)
