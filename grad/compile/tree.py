"""Take arguments and results apart into tensors and everything else, and put them together again.

`take_apart` walks through tuples, lists and dictionaries (named tuples and dataclasses too) and
gives a hashable key of all that is not a tensor, with the tensors in a list; `put_together` makes
the same value of other tensors. What is neither a container, a tensor nor a plain constant counts
by its identity and is listed, so that guards.py can look at it; so are the classes of containers
that have methods of their own. containers.py says which containers are not to be made anew.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from grad.autograd.variable import Variable
from grad.dtype import DType

CONSTANTS = (int, float, complex, str, bytes, type(None), DType, Enum, range, type(...))
_KINDS = frozenset((*CONSTANTS, bool)) - {DType, Enum}
_PLAIN = (tuple, list)
_NOTHING: Mapping[int, Any] = MappingProxyType({})


class Place(int):
    """Where a tensor stood: its number in the list."""


class Given:
    """Stands for a container among the arguments: its number, behind those of the tensors."""

    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


class Kept:
    """Stands for an object that is given as it is, whatever it holds."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class Fields(NamedTuple):
    """Stands for a dataclass: its class, and its attributes."""

    kind: type
    names: tuple[str, ...]
    parts: tuple[Any, ...]


# What may be part of the result of a replay, and of the next one.
_STEADY = (*CONSTANTS, np.generic, type, Given, Kept)


def is_plain(value: Any) -> bool:
    """Whether `value` is a constant of a class that users cannot have changed."""
    return type(value) in _KINDS or isinstance(value, DType | np.generic)


def constant_key(value: Any) -> Any:
    """A hashable that is equal for equal constants only: 1, 1.0 and True differ, -0.0 from 0.0.

    What a class of the user's says of itself does not count, but what it is made of.
    """
    kind = type(value)
    if isinstance(value, float | complex):
        return (
            kind,
            float.__repr__(value) if isinstance(value, float) else complex.__repr__(value),
        )
    if kind is range:
        return (kind, value.start, value.stop, value.step)
    if is_plain(value) or isinstance(value, Enum):
        return (kind, value)
    base: Any = next(base for base in CONSTANTS if isinstance(value, base))
    return (kind, base.__repr__(value))


def is_record(value: Any) -> bool:
    """Whether `value` is an instance of a dataclass."""
    return dataclasses.is_dataclass(value) and not isinstance(value, type)


def attributes(value: Any) -> dict[str, Any]:
    """The fields of a dataclass, and what it has besides."""
    names = [field.name for field in dataclasses.fields(value)]
    fields = {name: getattr(value, name) for name in names if hasattr(value, name)}
    return fields | getattr(value, "__dict__", {})


def take_apart(value: Any, tensors: list[Any], others: list[Any]) -> Any:
    """The key of `value`; its tensors and unknown objects are added to the lists."""
    if isinstance(value, Variable):
        tensors.append(value)
        return None
    if isinstance(value, CONSTANTS):
        if isinstance(value, Enum):
            others.append(value)  # it may have attributes
        elif not is_plain(value):
            others.append(type(value))
            own = take_apart(getattr(value, "__dict__", None), tensors, others)
            return (constant_key(value), own)
        return constant_key(value)
    kind = type(value)
    if kind in _PLAIN:
        return (kind, *[take_apart(item, tensors, others) for item in value])
    if isinstance(value, tuple | list):
        others.append(kind)
        own = take_apart(getattr(value, "__dict__", None), tensors, others)
        return (kind, own, *[take_apart(item, tensors, others) for item in value])
    if kind is dict or kind is OrderedDict:
        keys = tuple([constant_key(key) for key in value])
        return (kind, keys, *[take_apart(item, tensors, others) for item in value.values()])
    if isinstance(value, slice):
        parts = (value.start, value.stop, value.step)
        return (kind, *[take_apart(part, tensors, others) for part in parts])
    if _can_be_made(value):
        others.append(kind)
        return (kind, take_apart(attributes(value), tensors, others))
    others.append(value)
    return (kind, id(value))


def with_places(value: Any, tensors: list[Any], standing: Mapping[int, Any] = _NOTHING) -> Any:
    """`value` with its tensors replaced by their places in `tensors`, which is filled, and what has
    its identity in `standing` by what that says.
    """
    return _replaced(value, tensors, standing, {})


def _replaced(
    value: Any, tensors: list[Any], standing: Mapping[int, Any], places: dict[int, Place]
) -> Any:
    """As `with_places`; `places` are those of tensors, by identity, and are filled."""
    stands = standing.get(id(value))
    if stands is not None:
        return stands
    if isinstance(value, Variable):
        place = places.get(id(value))
        if place is None:
            tensors.append(value)
            place = places[id(value)] = Place(len(tensors) - 1)
        return place
    if _can_be_made(value):
        found = attributes(value)
        parts = [_replaced(part, tensors, standing, places) for part in found.values()]
        return Fields(type(value), tuple(found), tuple(parts))
    return _mapped(value, lambda item: _replaced(item, tensors, standing, places))


def _can_be_made(value: Any) -> bool:
    """Whether `value` is a dataclass that is nothing besides (a dictionary, say)."""
    return is_record(value) and type(value).__new__ is object.__new__


def _ends(value: Any) -> Iterator[Any]:
    """The parts of what `with_places` gave that are no containers, and keys of dictionaries."""
    parts = [value]
    while parts:
        part = parts.pop()
        kind = type(part)
        if kind is Fields:
            parts.extend(part.parts)
        elif isinstance(part, tuple) or kind is list:
            parts.extend(part)
            parts.extend(getattr(part, "__dict__", {}).values())
        elif kind is dict or kind is OrderedDict:
            parts.extend(part.values())
            parts.extend(part)
        else:
            yield part


def can_be_given_again(value: Any) -> bool:
    """Whether all parts of what `with_places` gave are tensors' places or constants: another object
    may hold tensors, or be changed by who gets it.
    """
    return all(isinstance(part, _STEADY) for part in _ends(value))


def has_given(value: Any) -> bool:
    """Whether a part of what `with_places` gave is a container among the arguments."""
    return any(isinstance(part, Given) for part in _ends(value))


def put_together(value: Any, tensors: Sequence[Any], given: Sequence[Any] = ()) -> Any:
    """The reverse of `with_places`; `given` has the containers that `Given` numbers."""
    kind = type(value)
    if kind is Place:
        return tensors[value]
    if kind is Given:
        return given[value.number]
    if kind is Kept:
        return value.value
    if kind is Fields:
        # Not by its constructor, which may do something.
        made = object.__new__(value.kind)
        for name, part in zip(value.names, value.parts):
            object.__setattr__(made, name, put_together(part, tensors, given))
        return made
    return _mapped(value, lambda item: put_together(item, tensors, given))


def _mapped(value: Any, function: Any) -> Any:
    """A container of the same kind with `function` of each item; anything else as it is."""
    kind = type(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        # Not by its constructor, which may do something.
        made = tuple.__new__(kind, [function(item) for item in value])
        for name, part in getattr(value, "__dict__", {}).items():
            object.__setattr__(made, name, function(part))
        return made
    if kind is tuple or kind is list:
        return kind([function(item) for item in value])
    if isinstance(value, dict) and (kind is dict or kind is OrderedDict):
        return kind([(key, function(item)) for key, item in value.items()])
    return value
