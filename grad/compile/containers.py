"""Containers of a result that are not made anew, since they were there before the call.

A replay makes lists, dictionaries and the like for its results (tree.py). Where the function gives
back one that it was given, or that is in its reach, a replay does as well: `standing` says which
those are. Of the others nobody else may know, or a replay would give other ones than whoever has
them: `others_have_one` asks CPython's reference counts, as kept.py does for memory.
"""

from __future__ import annotations

import gc
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from sys import getrefcount
from typing import Any

from grad.compile.tree import Given, Kept, attributes, is_record

_PLAIN = (list, dict, OrderedDict)
# Stands for a container that is known by two names, one of which may mean another one next time.
AMBIGUOUS = object()


def is_container(value: Any) -> bool:
    """Whether a replay would make such a thing anew."""
    return type(value) in _PLAIN or isinstance(value, tuple) or is_record(value)


def containers(values: Sequence[Any]) -> list[Any]:
    """The containers among arguments, and inside of them, in an order that their key tells."""
    found = []
    stack = [*reversed(values)]
    while stack:
        value = stack.pop()
        if is_container(value) and not (isinstance(value, tuple) and not value):
            found.append(value)
            stack.extend(reversed(_parts(value)))
    return found


def _parts(container: Any) -> list[Any]:
    if isinstance(container, dict):
        return list(container.values())
    return list(attributes(container).values() if is_record(container) else container)


def standing(given: Sequence[Any], first: int, reached: Sequence[Any]) -> Mapping[int, Any]:
    """What stands for each container that was there before, by its identity.

    Args:
        given: those of the arguments, which are numbered from `first` on. reached: other ones.
    """
    found: dict[int, Any] = {}
    for number, container in enumerate(given):
        known = id(container) in found
        found[id(container)] = AMBIGUOUS if known else Given(first + number)
    for container in reached:
        known = id(container) in found
        found[id(container)] = AMBIGUOUS if known else Kept(container)
    return found


def others_have_one(result: list[Any], before: Mapping[int, Any]) -> bool:
    """Whether somebody else refers to a container inside of `result`, a list of all that was given,
    other than to those that were there `before`. Tuples do not count: nobody can change them.
    """
    if not _are_referred_to(result, before):
        return False
    gc.collect()  # frames and functions that lead to each other, and that nobody has any more
    return _are_referred_to(result, before)


def _are_referred_to(result: list[Any], before: Mapping[int, Any]) -> bool:
    for part, references in _references(result, before):
        if references > ALONE and not isinstance(part, tuple):
            return True
    return False


def _references(result: list[Any], before: Mapping[int, Any]) -> Iterator[tuple[Any, int]]:
    """The new containers inside of `result`, and how many references there are to each."""
    waiting: list[Any] = [result]
    while waiting:
        parts = _parts(waiting.pop())
        counts = [*map(getrefcount, parts)]
        for part, count in zip(parts, counts, strict=True):
            if is_container(part) and id(part) not in before:
                yield part, count
                waiting.append(part)


((_, ALONE),) = _references([[]], {})
