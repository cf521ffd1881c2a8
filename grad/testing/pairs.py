"""Take two values apart, side by side: sequences and mappings into pairs of what is in them.

All of both is taken apart before anything is compared, so that containers of different lengths or
keys are found first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple


class Pair(NamedTuple):
    """Two values to compare, and the keys that lead to them in the containers they are in."""

    actual: Any
    expected: Any
    where: tuple[Any, ...]


def located(message: str, where: tuple[Any, ...]) -> str:
    """`message`, with the place that it is about."""
    if not where:
        return message
    return f"{message}\n\nThe failure occurred for item {''.join(f'[{key!r}]' for key in where)}"


def pairs(actual: Any, expected: Any, where: tuple[Any, ...] = ()) -> Iterator[Pair]:
    """All pairs, in the order of sequences and of sorted keys.

    Raises:
        AssertionError: containers differ in length or keys.
    """
    if _are(Sequence, actual, expected) and not _are(str, actual, expected):
        keys = _positions(actual, expected, where)
    elif _are(Mapping, actual, expected):
        keys = _keys(actual, expected, where)
    else:
        yield Pair(actual, expected, where)
        return
    for key in keys:
        yield from pairs(actual[key], expected[key], (*where, key))


def _are(kind: type, actual: Any, expected: Any) -> bool:
    return isinstance(actual, kind) and isinstance(expected, kind)


def _positions(
    actual: Sequence[Any], expected: Sequence[Any], where: tuple[Any, ...]
) -> Sequence[int]:
    if len(actual) != len(expected):
        message = f"The length of the sequences mismatch: {len(actual)} != {len(expected)}"
        raise AssertionError(located(message, where))
    return range(len(actual))


def _keys(
    actual: Mapping[Any, Any], expected: Mapping[Any, Any], where: tuple[Any, ...]
) -> Sequence[Any]:
    missing, additional = expected.keys() - actual.keys(), actual.keys() - expected.keys()
    if missing or additional:
        message = (
            f"The keys of the mappings do not match:\n"
            f"Missing keys in the actual mapping: {_in_order(missing)}\n"
            f"Additional keys in the actual mapping: {_in_order(additional)}"
        )
        raise AssertionError(located(message, where))
    return _in_order(actual)


def _in_order(keys: Any) -> list[Any]:
    """Sorted, where they can be."""
    try:
        return sorted(keys)
    except TypeError:
        return list(keys)
