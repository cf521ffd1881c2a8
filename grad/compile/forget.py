"""Forget calls with objects that nobody else has any more.

What is known of a call is found under a key, which names objects (a module, a function, the object
of a method) by their identity. So whoever keeps it must keep the objects, or others could get their
identities; guards and plans hold them as well. An object would live as long as the function that it
was given to. `NAMED` therefore drops what is known of calls with an object that all of this alone
keeps alive: when Python collects its oldest generation, as `gc.collect()` does, and when so many
kinds of calls with objects are new as were left the last time. Entry and object go together, so
that an identity in a key is never that of another object.

`keep_lost` asks CPython for reference counts, as containers.py does. Where it misses references (of
other threads, or that the collector is not told of) an object is kept; where it takes one for lost
that somebody gets hold of after all, its call is recorded once more. It is asked only of objects
that may have been lost: with more references than what is known of its calls had when it was looked
at last, an object is alive, until something is recorded.
"""

from __future__ import annotations

import gc
import threading
import weakref
from collections import Counter, OrderedDict
from collections.abc import Sequence
from itertools import compress
from sys import getrefcount
from typing import Any, Protocol

OLDEST_GENERATION = 2
# After so many objects nothing more is looked at; what has not been found by then is kept.
LIMIT = 500_000

(_LISTED,) = map(getrefcount, [object()])  # counted for an object that is in one list only


class Entry(Protocol):
    """What this file needs of what is known of one kind of call.

    Attributes:
        others: the objects that its key names; empty if there are none.
        version: another number when there is more or less that refers to them.
    """

    others: list[Any]
    version: int


Entries = OrderedDict[Any, Any]  # Entry by key


class Named:
    """Entries whose keys name objects, of all functions: two methods may know the same object."""

    def __init__(self) -> None:
        self._tables: weakref.WeakValueDictionary[int, Entries] = weakref.WeakValueDictionary()
        self._sweeping = threading.Lock()
        self._new = self._left = 0
        # Of objects that were alive: the versions of their entries, and references from there.
        self._alive: dict[int, tuple[list[int], int]] = {}

    def add(self, table: Entries) -> None:
        """Another entry of `table`, which was made just now, names objects."""
        self._tables[id(table)] = table
        self._new += 1
        if self._new >= self._left:
            self.sweep()

    def at_collection(self, phase: str, info: dict[str, int]) -> None:
        """What `gc.callbacks` calls before a collection, which may find circles among what is
        dropped, and after it: it may have found the last that had an object.
        """
        if info["generation"] == OLDEST_GENERATION:
            self.sweep()

    def sweep(self) -> None:
        """Drop the entries of objects that only entries keep alive."""
        if not self._sweeping.acquire(blocking=False):
            return  # another thread is at it, or what it drops calls a function
        try:
            dropped = self._drop()
        finally:
            self._sweeping.release()
        del dropped  # and only now: it may have something to call

    def _drop(self) -> list[Any]:
        """Take entries out of their tables, and give them back."""
        tables = [table for ref in self._tables.valuerefs() if (table := ref()) is not None]
        # All of a table at once: others may change it meanwhile.
        rows = [(table, *row) for table in tables for row in [*dict.items(table)] if row[1].others]
        called = _called([entry for _, _, entry in rows])
        versions: dict[int, list[int]] = {}
        for _, _, entry in rows:
            for key in map(id, entry.others):
                versions.setdefault(key, []).append(entry.version)
        objects = [*{id(it): it for _, _, entry in rows for it in entry.others}.values()]
        counts = [*map(getrefcount, objects)]
        known = [self._alive.get(key, ([], 0)) for key in map(id, objects)]
        in_doubt = [
            key not in called and (count - _LISTED <= references or versions[key] != before)
            for key, count, (before, references) in zip(map(id, objects), counts, known)
        ]
        objects = [*compress(objects, in_doubt)]
        asked = frozenset(map(id, objects))
        holders = [part for _, *row in _naming(rows, asked) for part in row]
        found = keep_lost(objects, holders)
        dropped = _naming(rows, frozenset(map(id, objects)))
        for table, key, _ in dropped:
            table.pop(key, None)
        now = {key: (versions[key], found[key]) for key in asked}
        self._alive = {key: state for key, state in (self._alive | now).items() if key in versions}
        self._new, self._left = 0, len(rows) - len(dropped)
        return dropped


def _naming(rows: list[Any], objects: frozenset[int]) -> list[Any]:
    """Those of `rows` (table, key, entry) that name one of `objects`, by their identities."""
    return [row for row in rows if not objects.isdisjoint(map(id, row[2].others))]


def _called(entries: list[Entry]) -> frozenset[int]:
    """Identities of objects with which a function is being called: somebody else has an entry than
    its table, and the row and the list that are given here.
    """
    in_use = [count - _LISTED > 2 for count in [*map(getrefcount, entries)]]
    return frozenset(id(it) for entry in compress(entries, in_use) for it in entry.others)


def keep_lost(objects: list[Any], holders: Sequence[Any]) -> Counter[int]:
    """Take out of `objects` all but those that only `holders`, and lost objects, keep alive.

    Gives how many references come from there to each, by identity, if all are lost. The caller must
    have no name for an object, nor another list with it.
    """
    first = found = _references([*objects, *holders])
    before = -1
    while len(objects) != before:
        before = len(objects)
        counts = [*map(getrefcount, objects)]
        lost = [n - _LISTED <= found[key] for n, key in zip(counts, map(id, objects))]
        objects[:] = compress(objects, lost)
        if 0 < len(objects) < before:  # what the others refer to does not count
            found = _references([*objects, *holders])
    return first


def _references(entered: list[Any]) -> Counter[int]:
    """How many references there are to each object, by its identity, from those in `entered` and
    from what they alone keep alive.
    """
    found: Counter[int] = Counter()
    known = {*map(id, entered)}
    while entered and len(known) < LIMIT:
        # Many at a time, in loops that are not Python's.
        parts = gc.get_referents(*entered)
        found.update(map(id, parts))
        parts = [*filter(gc.is_tracked, parts)]
        each = dict(zip(map(id, parts), parts))
        parts, keys = [*each.values()], [*each]
        del each
        counts = [*map(getrefcount, parts)]
        alone = [n - _LISTED <= found[key] and key not in known for n, key in zip(counts, keys)]
        entered = [*compress(parts, alone)]
        known.update(compress(keys, alone))
    return found


NAMED = Named()
gc.callbacks.append(NAMED.at_collection)
