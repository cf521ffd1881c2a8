"""Helpers about shapes and nested lists that need no tensor."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any


def prod(sizes: Iterable[int]) -> int:
    """The product of `sizes`; 1 for none."""
    return math.prod(sizes)


def shape_of(data: Any) -> tuple[int, ...]:
    """The shape of a nested list, judged by its first entries.

    Example:
        >>> shape_of([[1, 2, 3], [4, 5, 6]])
        (2, 3)
    """
    shape: list[int] = []
    while isinstance(data, Sequence) and not isinstance(data, str):
        shape.append(len(data))
        if not data:
            break
        data = data[0]
    return tuple(shape)


def flatten(data: Any) -> list[Any]:
    """The entries of a nested list in order, however deep."""
    flat: list[Any] = []
    stack = [data]
    while stack:
        entry = stack.pop()
        if isinstance(entry, Sequence) and not isinstance(entry, str):
            stack.extend(reversed(entry))
        else:
            flat.append(entry)
    return flat


def human_bytes(count: float) -> str:
    """A number of bytes to read: ``human_bytes(1536)`` is ``'1.5 KiB'``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"
