"""Take arguments and results apart into tensors and everything else, and put them together again.

`take_apart` walks through tuples, lists and dictionaries (named tuples and dataclasses too) and
gives a hashable key of all that is not a tensor, with the tensors in a list; `put_together` makes
the same value of other tensors. What is neither a container, a tensor nor a plain constant counts
by its identity and is listed, so that guards.py can look at it.
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict
from collections.abc import Sequence
from enum import Enum
from typing import Any

import numpy as np

from grad.autograd.variable import Variable
from grad.dtype import DType

CONSTANTS = (int, float, complex, str, bytes, type(None), DType, Enum, range, type(...))


class Place(int):
    """Where a tensor stood: its number in the list."""


def constant_key(value: Any) -> Any:
    """A hashable that is equal for equal constants only: 1, 1.0 and True differ, -0.0 from 0.0."""
    return (type(value), repr(value) if isinstance(value, float | complex) else value)


def take_apart(value: Any, tensors: list[Any], others: list[Any]) -> Any:
    """The key of `value`; its tensors and unknown objects are added to the lists."""
    if isinstance(value, Variable):
        tensors.append(value)
        return None
    if isinstance(value, CONSTANTS):
        return constant_key(value)
    kind = type(value)
    if isinstance(value, tuple | list):
        return (kind, *[take_apart(item, tensors, others) for item in value])
    if kind is dict or kind is OrderedDict:
        keys = tuple([constant_key(key) for key in value])
        return (kind, keys, *[take_apart(item, tensors, others) for item in value.values()])
    if isinstance(value, slice):
        parts = (value.start, value.stop, value.step)
        return (kind, *[take_apart(part, tensors, others) for part in parts])
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [getattr(value, field.name) for field in dataclasses.fields(value)]
        return (kind, *[take_apart(item, tensors, others) for item in fields])
    others.append(value)
    return (kind, id(value))


def with_places(value: Any, tensors: list[Any]) -> Any:
    """`value` with its tensors replaced by their places in `tensors`, which is filled."""
    if isinstance(value, Variable):
        tensors.append(value)
        return Place(len(tensors) - 1)
    return _mapped(value, lambda item: with_places(item, tensors))


def can_be_given_again(value: Any) -> bool:
    """Whether all parts of what `with_places` gave are tensors' places or constants: another object
    may hold tensors, or be changed by who gets it.
    """
    parts = [value]
    while parts:
        part = parts.pop()
        kind = type(part)
        if isinstance(part, tuple) or kind is list:
            parts.extend(part)
        elif kind is dict or kind is OrderedDict:
            parts.extend(part.values())
        elif dataclasses.is_dataclass(part) and not isinstance(part, type):
            parts.extend(getattr(part, field.name) for field in dataclasses.fields(part))
        elif not isinstance(part, (*CONSTANTS, np.generic, type)):
            return False
    return True


def put_together(value: Any, tensors: Sequence[Any]) -> Any:
    """The reverse of `with_places`."""
    if type(value) is Place:
        return tensors[value]
    return _mapped(value, lambda item: put_together(item, tensors))


def _mapped(value: Any, function: Any) -> Any:
    """A container of the same kind with `function` of each item; anything else as it is."""
    kind = type(value)
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return kind(*[function(item) for item in value])
    if kind is tuple or kind is list:
        return kind([function(item) for item in value])
    if isinstance(value, dict) and (kind is dict or kind is OrderedDict):
        return kind([(key, function(item)) for key, item in value.items()])
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        changes = {
            field.name: function(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
        return dataclasses.replace(value, **changes)
    return value
