"""`Leaves`: where a replay finds what it reads: in arguments, and in storages from outside.

Arguments are others in each run. Storages mostly hold the same as at the last run; those that a run
gives other memory, and those that somebody wrote to, are looked at again. kept.py asks who else has
the memory of those that are overwritten; run.py is the only user.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from operator import call, is_
from typing import Any

from grad.compile.gradient import address
from grad.compile.kept import node_of
from grad.compile.replay import Replay, Source
from grad.engine.realize import realize
from grad.graph.node import Node
from grad.graph.storage import Storage

_OfStorage = tuple[int, Storage, Source]  # first the number of the leaf


class Leaves:
    """The leaves of a replay, and who gives them.

    Attributes:
        addresses: of all leaves, in order. overwritten: the storages from outside that the plan
            writes to.
    """

    def __init__(self, replay: Replay) -> None:
        sources = list(enumerate(replay.sources))
        outer = [write for write in replay.writes if write.argument < 0]
        self.addresses = [0] * len(sources)
        self.overwritten = [write.storage for write in outer if write.in_place]
        self._of_arguments = [
            (leaf, s.argument, s.offset, s.dtype.itemsize) for leaf, s in sources if s.argument >= 0
        ]
        self._of_storages = [(leaf, s.storage, s) for leaf, s in sources if s.storage is not None]
        overwritten = {id(storage) for storage in self.overwritten}
        # A run gives the storages of these other memory.
        moved = {id(write.storage) for write in outer if not write.in_place}
        self._elsewhere = [of for of in self._of_storages if id(of[1]) not in overwritten]
        self._moved = [of for of in self._elsewhere if id(of[1]) in moved]
        read = {id(storage): storage for _, storage, _ in self._elsewhere}
        self._read = [storage for number, storage in read.items() if number not in moved]
        self._nodes: list[weakref.ref[Node]] = []  # of these, when their leaves were set

    def are_alike(self) -> bool:
        """Whether all storages hold values of the shape and type that they did."""
        return _are_alike(self._of_storages)

    def compute(self) -> None:
        """Have what the storages hold in memory."""
        realize([storage.node for _, storage, _ in self._of_storages])

    def set_storages(self) -> None:
        """Set the leaves that are in storages, which have been computed."""
        _set(self._of_storages, self.addresses)
        self._nodes = [*map(weakref.ref, map(node_of, self._read))]

    def follow(self, slots: list[int]) -> bool:
        """Set, in `slots`, the leaves whose storages hold other memory than at the last run and are
        not overwritten. False if one of them is no longer what it was.
        """
        same = all(map(is_, map(call, self._nodes), map(node_of, self._read)))
        changed = self._moved if same else self._elsewhere
        if changed:
            if not _are_alike(changed):
                return False
            realize([storage.node for _, storage, _ in changed])
            _set(changed, slots)
        if not same:
            self._nodes = [*map(weakref.ref, map(node_of, self._read))]
        return True

    def set_arguments(self, arguments: Sequence[Any], slots: list[int]) -> None:
        """Set, in `slots`, the leaves that are in arguments."""
        for leaf, number, offset, itemsize in self._of_arguments:
            tensor = arguments[number]
            node = tensor._storage.node
            if node.buffer is None:
                realize((node,))
            if tensor._path:
                offset += tensor.memory_layout.offset * itemsize
            slots[leaf] = address(node) + offset


def _are_alike(leaves: Sequence[_OfStorage]) -> bool:
    for _, storage, source in leaves:
        node = storage.node
        if node.shape != source.shape or node.dtype is not source.dtype:
            return False
    return True


def _set(leaves: Sequence[_OfStorage], slots: list[int]) -> None:
    for leaf, storage, source in leaves:
        slots[leaf] = address(storage.node) + source.offset
