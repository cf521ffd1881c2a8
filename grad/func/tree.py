"""Nested containers as a list of leaves and a structure, which may be shared or shorter than it.

Tuples, named tuples, lists and dictionaries are containers, as in PyTorch; everything else is a
leaf. `flatten` and `unflatten` are each other's reverse; `spread` fits a structure such as
``in_dims=(0, None)`` to a deeper one.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple


class Structure(NamedTuple):
    """A container without its leaves.

    Attributes:
        kind: its type; None for a leaf. keys: of a dictionary. parts: structures of the items.
    """

    kind: Any
    keys: tuple[Any, ...] = ()
    parts: tuple[Structure, ...] = ()

    @property
    def count(self) -> int:
        """How many leaves there are."""
        return 1 if self.kind is None else sum(part.count for part in self.parts)

    def __repr__(self) -> str:
        if self.kind is None:
            return "*"
        inside = ", ".join(map(repr, self.parts))
        return f"{self.kind.__name__}({inside})"


LEAF = Structure(None)


def _items(value: Any) -> tuple[tuple[Any, ...], Sequence[Any]] | None:
    """Keys and items of a container; None for a leaf."""
    kind = type(value)
    if kind is dict or kind is OrderedDict:
        return tuple(value), list(value.values())
    if kind is tuple or kind is list or (isinstance(value, tuple) and hasattr(value, "_fields")):
        return (), value
    return None


def flatten(value: Any) -> tuple[list[Any], Structure]:
    """The leaves of `value`, and its structure.

    Example:
        >>> flatten({"a": 1, "b": (2, 3)})
        ([1, 2, 3], dict(*, tuple(*, *)))
    """
    found = _items(value)
    if found is None:
        return [value], LEAF
    leaves: list[Any] = []
    parts: list[Structure] = []
    for item in found[1]:
        inside, part = flatten(item)
        leaves += inside
        parts.append(part)
    return leaves, Structure(type(value), found[0], tuple(parts))


def unflatten(leaves: Sequence[Any], structure: Structure) -> Any:
    """The container of `structure` that holds `leaves`."""
    return _filled(iter(leaves), structure)


def _filled(leaves: Iterator[Any], structure: Structure) -> Any:
    kind = structure.kind
    if kind is None:
        return next(leaves)
    items = [_filled(leaves, part) for part in structure.parts]
    if kind is dict or kind is OrderedDict:
        return kind(zip(structure.keys, items))
    return kind(*items) if hasattr(kind, "_fields") else kind(items)


def spread(value: Any, structure: Structure) -> list[Any] | None:
    """A leaf of `value` for each leaf of `structure`, of which `value` has the upper part; None if
    it has not.

    Example:
        >>> spread((0, None), flatten((1, [2, 3]))[1])
        [0, None, None]
    """
    found = _items(value)
    if found is None:
        return [value] * structure.count
    keys, items = found
    if type(value) is not structure.kind or len(items) != len(structure.parts):
        return None
    if keys:
        if set(keys) != set(structure.keys):
            return None
        items = [value[key] for key in structure.keys]
    leaves: list[Any] = []
    for item, part in zip(items, structure.parts):
        inside = spread(item, part)
        if inside is None:
            return None
        leaves += inside
    return leaves


def mapped(function: Callable[[Any], Any], value: Any) -> Any:
    """`value` with `function` of each leaf."""
    leaves, structure = flatten(value)
    return unflatten([function(leaf) for leaf in leaves], structure)
