"""What a walk over everything within reach has found: the guards, and what is still to be seen.

`Findings` knows which names code mentions and guards entries, attributes and slots accordingly;
reach.py walks from one object to the next.
"""

from __future__ import annotations

import functools
import types
from collections import deque
from collections.abc import Iterable
from enum import Enum
from typing import Any

from grad.autograd.variable import Variable
from grad.compile.guards import Guards
from grad.compile.mentions import ALL
from grad.compile.parts import is_function
from grad.compile.tree import CONSTANTS, constant_key, is_plain
from grad.compile.trust import is_trusted_class
from grad.runtime.comparisons import MISSING

# Whoever mentions one of these may read any attribute.
ALL_ATTRIBUTES = frozenset((ALL, "vars", "dir", "asdict", "astuple", "fields", "getmembers"))
_FOLLOWED = (Variable, list, tuple, dict)


class Findings:
    """What has been found on the way.

    Args:
        names: what code mentions, as far as it is known. written: what of it code assigns to.
    """

    def __init__(self, names: frozenset[str], written: frozenset[str]) -> None:
        self.known, self.written = names, written
        self.names: set[str] = set(names)
        self.names_written: set[str] = set(written)
        self.all_attributes = not names.isdisjoint(ALL_ATTRIBUTES)
        self.guards = Guards()
        self.guards.names = names
        self.functions: list[types.FunctionType] = []
        self.ordered: list[dict[Any, Any]] = []
        self.classes: set[tuple[type, bool]] = set()
        self.seen: dict[int, Any] = {}
        self.waiting: deque[Any] = deque()
        self.possible: list[Any] = []  # objects that may be got by a name that is made up

    def look_at_dictionary(self, dictionary: dict[Any, Any]) -> None:
        self.guards.lengths.append((dictionary, len(dictionary)))
        self.look_at_items(dictionary, dictionary)
        self.look_at_keys(dictionary)

    def look_at_keys(self, keys: Iterable[Any]) -> None:
        """Look at tensors and objects that are keys of a dictionary or elements of a set."""
        for key in keys:
            if not is_plain(key) and not isinstance(key, Enum):
                self.waiting.append(key)

    def look_at_items(self, dictionary: dict[Any, Any], keys: Iterable[Any]) -> None:
        """Guard the entries of `dictionary` under `keys`, and look at their values."""
        for key in keys:
            if key in dictionary:
                self.waiting.append(self.guards.item(dictionary, key))

    def look_at_attributes(self, value: Any, attributes: dict[str, Any]) -> None:
        """Guard the attributes of an object that code mentions, or may get by their names."""
        self.look_at_items(attributes, self.known & attributes.keys())
        self.expect_no_others(value, attributes)
        if self.all_attributes:
            self.look_at_others(attributes)
            self.waiting.extend(filter(is_function, attributes.values()))

    def look_at_others(self, attributes: dict[str, Any]) -> None:
        """Guard the attributes that code does not mention, and look at the data among them; at
        objects last.
        """
        for name in attributes.keys() - self.known:
            found = self.guards.item(attributes, name)
            if isinstance(found, _FOLLOWED):
                self.waiting.append(found)
            elif isinstance(found, set | frozenset | deque) or not is_trusted_class(type(found)):
                self.possible.append(found)

    def expect_no_others(self, value: Any, attributes: dict[str, Any]) -> None:
        """Guard that an object does not get attributes, also those that its class has."""
        for name in self.known - attributes.keys():
            if name in self.written or hasattr(type(value), name):
                self.guards.items.append((attributes, name, MISSING))
        self.guards.lengths.append((attributes, len(attributes)))

    def look_at_slots(self, value: Any) -> None:
        """Attributes of an object without a dictionary."""
        for base in type(value).__mro__:
            slots = base.__dict__.get("__slots__", ())
            names = frozenset((slots,) if isinstance(slots, str) else slots)
            for name in names if self.all_attributes else names & self.known:
                read = functools.partial(getattr, value, name, MISSING)
                now = read()
                self.waiting.append(now)
                key = constant_key if isinstance(now, CONSTANTS) else id
                self.guards.snapshots.append((lambda read=read, key=key: key(read()), key(now)))
