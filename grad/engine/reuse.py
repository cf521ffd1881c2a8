"""What results may take the memory of, remembered for each graph (schedule/reuse.py finds it out).

`Reuses.wish` is the way of a graph from the walk to its plan (realize.py): graphs whose results are
stored in different places have different plans, so what is granted becomes part of the key.
"""

from __future__ import annotations

from collections import OrderedDict

from grad.schedule.program import Key, Walk
from grad.schedule.reuse import Wishes, granted, wishes


class _Known:
    """What is known of one graph: its wishes, and the keys that it has with those granted."""

    __slots__ = ("key", "keys", "wishes")

    def __init__(self, key: Key, found: Wishes | None) -> None:
        self.key = key
        self.wishes = found
        self.keys: dict[tuple[tuple[int, int], ...], Key] = {}


class Reuses:
    """The graphs that were seen, the oldest forgotten first."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.known: OrderedDict[Key, _Known] = OrderedDict()

    def key_of(self, key: Key) -> Key | None:
        """The very key that is kept, which is found without comparing; None for a new one."""
        known = self.known.get(key)
        return None if known is None else known.key

    def wish(self, found: Walk) -> Walk:
        """`found` with the wish that results take the memory of values that nobody else needs."""
        known = self.known.get(found.key)
        if known is None:
            known = self.known[found.key] = _Known(found.key, wishes(found))
            if len(self.known) > self.size:
                self.known.popitem(last=False)
        replaced = granted(found, known.wishes) if known.wishes else ()
        if not replaced:
            return found
        key = known.keys.get(replaced)
        if key is None:
            key = known.keys[replaced] = Key((*found.key.parts, "reuse", replaced))
        return found._replace(key=key, replaced=replaced)
