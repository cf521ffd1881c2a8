"""The order of a backward pass: which functions it comes to, and how many gradients each waits for.

Both walks follow the edges of contexts (function.py) with a list, so that the depth of a graph
costs memory and no recursion. `ends` are functions and leaves beyond which nobody goes. engine.py
asks.
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

from grad.autograd.variable import Edge, Variable


def count_arrivals(
    roots: Iterable[tuple[Edge, Any]], needed: set[Any] | None, ends: Container[Any]
) -> dict[Any, int]:
    """How many gradients will arrive at each function and leaf, besides the roots' own."""
    waiting: dict[Any, int] = {}
    # Several roots may be outputs of one function, which is visited once.
    stack = list(dict.fromkeys(edge[0] for edge, _ in roots))
    seen = set(stack)
    while stack:
        target = stack.pop()
        if isinstance(target, Variable) or (ends and target in ends):
            continue
        for edge in target.edges:
            if edge is None or (needed is not None and edge[0] not in needed):
                continue
            source = edge[0]
            waiting[source] = waiting.get(source, 0) + 1
            if source not in seen:
                seen.add(source)
                stack.append(source)
    return waiting


def leading_to(
    roots: Iterable[tuple[Edge, Any]], captured: Iterable[Edge], ends: Container[Any]
) -> set[Any]:
    """The functions and leaves on the way from the roots to the captured edges."""
    needed = {target for target, _ in captured}
    seen: set[Any] = set()
    stack = [(edge[0], False) for edge, _ in roots]
    while stack:
        target, finished = stack.pop()
        edges = () if isinstance(target, Variable) or target in ends else target.edges
        if finished:
            if any(edge is not None and edge[0] in needed for edge in edges):
                needed.add(target)
        elif target not in seen:
            seen.add(target)
            stack.append((target, True))
            stack.extend((edge[0], False) for edge in edges if edge is not None)
    return needed
