"""Lay temporaries out in one arena: values that are never alive together may share memory.

Greedy by size: the largest span is placed first, at the lowest offset where it overlaps nothing
that is alive at the same time (Pisarchyk and Lee, "Efficient memory management for deep neural net
inference",
2020: within a few per cent of the lower bound on real networks).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

Key = tuple[str, int]


class Span(NamedTuple):
    """A value of `nbytes` that lives from step `first` to step `last`, both included."""

    key: Key
    nbytes: int
    first: int
    last: int


def lay_out(spans: Sequence[Span], alignment: int) -> tuple[dict[Key, int], int]:
    """Offsets of all spans, and the size of the arena."""
    placed: list[tuple[int, int, Span]] = []
    offsets: dict[Key, int] = {}
    for span in sorted(spans, key=lambda s: (-s.nbytes, s.first)):
        size = max(-(-span.nbytes // alignment) * alignment, alignment)
        alive = sorted(
            (start, end)
            for start, end, s in placed
            if s.first <= span.last and span.first <= s.last
        )
        offset = 0
        for start, end in alive:
            if offset + size <= start:
                break
            offset = max(offset, end)
        offsets[span.key] = offset
        placed.append((offset, offset + size, span))
    return offsets, max((end for _, end, _ in placed), default=0)
