"""Storage: the one mutable cell between tensors and the graph.

All views of one memory share a `Storage`; it points at the graph value that the memory holds now.
An in-place operation points it at a new value and counts up `version`; views notice by the version.
The graph itself (node.py) never changes. `grad/autograd/variable.py` is its only user.
"""

from __future__ import annotations

import sys
import weakref
from operator import attrgetter
from typing import Any

import numpy as np

from grad.buffer import Buffer
from grad.graph.movement import contiguous_strides
from grad.graph.node import PENDING_LIMIT, Node, from_buffer

# Larger shared memory is not copied: what reads it is computed at once.
COPIED_BYTES = 256 * 1024

# The storages of values in shared memory.
_watched: weakref.WeakKeyDictionary[Node, weakref.ref[Storage]] = weakref.WeakKeyDictionary()
_depth = attrgetter("depth")

# References to a buffer node that a storage alone holds: the slot, the local name, getrefcount's
# argument.
_ALONE = 3


class Storage:
    """What one piece of memory holds.

    Attributes:
        node: the value now. version: how many in-place operations there have been.
        stamp: as `version`, but also counted up when the memory is shared: views then make their
            nodes anew.
        shared: the memory that someone outside also sees (NumPy, DLPack), as long as they hold it.
    """

    __slots__ = ("__weakref__", "node", "shared", "stamp", "version")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.version = 0
        self.stamp = 0
        self.shared: Shared | None = None

    def write(self, node: Node) -> None:
        """The memory holds `node` from now on."""
        self.node = node
        self.version += 1
        self.stamp += 1

    def share(self, shared: Shared) -> None:
        """Somebody outside sees the memory of the (realised) value from now on."""
        self.shared = shared
        self.stamp += 1
        shared.watch(self)


class Shared:
    """Memory that a storage has in common with the outside, kept up to date by `write_through`.

    Memory that we lent has a `holder`, held weakly: once it is gone, writes need not go there.
    As long as it is there, the holder may write at any time. So that a pending operation does not
    see what is written after it, nothing that reads the memory is left pending (`watch`): it is
    computed at once, or reads a copy (`read_now`).
    """

    __slots__ = ("_holder", "_node", "buffer")

    def __init__(self, buffer: Buffer, holder: Any = None) -> None:
        self.buffer = buffer
        self._node: weakref.ref[Node] | None = None
        self._holder = None if holder is None else weakref.ref(holder, self._released)

    def watch(self, storage: Storage) -> None:
        """Have nothing that is computed of the value in the memory, which `storage` holds, left
        pending.
        """
        node = storage.node
        node.depth = PENDING_LIMIT
        self._node = weakref.ref(node)
        _watched[node] = weakref.ref(storage)

    def _released(self, _: Any) -> None:
        node = None if self._node is None else self._node()
        if node is not None:
            node.depth = 0

    @property
    def alive(self) -> bool:
        return self._holder is None or self._holder() is not None


def write_through(storage: Storage, before: Node, spare: Buffer | None = None) -> None:
    """Put the (realised) new value of `storage` into the shared memory that held `before`.

    Whoever still holds the old value (a saved tensor, a pending operation) gets a copy of it first,
    in `spare` if that is given.
    """
    shared, after = storage.shared, storage.node
    assert shared is not None and after.buffer is not None
    if not shared.alive:
        storage.shared = None
        return
    if before.buffer is shared.buffer and sys.getrefcount(before) > _ALONE:
        before.buffer = copied(shared.buffer, spare)
    _bytes(shared.buffer)[...] = _bytes(after.buffer)
    storage.node = from_buffer(shared.buffer, after.shape, after.dtype)
    shared.watch(storage)


def read_now(node: Node) -> bool:
    """Have the pending `node`, and what it is made of, read copies of memory that others may write
    to. Gives whether it can stay pending: there is no such memory below it any more, nor too many
    operations.

    Most batches of a training loop come from NumPy: computing what reads them at once would cut the
    loop's step into pieces, each with values to store for the next.
    """
    above: list[Node] = []
    memory: list[Node] = []
    seen: set[Node] = set()
    stack = [node]
    while stack:
        found = stack.pop()
        if found.depth < PENDING_LIMIT or found in seen:
            continue
        seen.add(found)
        if found.buffer is None:
            above.append(found)
            stack.extend(found.src if found.origin is None else found.origin[1])
        elif found.buffer.nbytes > COPIED_BYTES:
            return False
        else:
            memory.append(found)
    for leaf in memory:
        if not _set_apart(leaf):
            return False
    for made in sorted(above, key=_depth):
        if made.origin is None:
            below, height = made.src, 1
        else:
            below, height = made.origin[1], made.origin[0].rows[-1].depth
        made.depth = height + max([source.depth for source in below], default=0)
    return node.depth <= PENDING_LIMIT


def _set_apart(leaf: Node) -> bool:
    """Give `leaf`, the value in shared memory, memory of its own, and its storage a new node."""
    reference = _watched.pop(leaf, None)
    storage = None if reference is None else reference()
    if storage is not None and storage.node is leaf and storage.shared is not None:
        buffer = storage.shared.buffer
        storage.node = from_buffer(buffer, leaf.shape, leaf.dtype)
        storage.stamp += 1
        storage.shared.watch(storage)
    elif storage is not None or leaf.buffer is None:
        return False
    leaf.buffer = copied(leaf.buffer)  # type: ignore[arg-type]
    leaf.depth = 0
    return True


def _bytes(buffer: Buffer) -> np.ndarray[Any, Any]:
    return buffer.numpy(
        np.dtype(np.uint8), (buffer.nbytes,), contiguous_strides((buffer.nbytes,)), 0
    )


def copied(buffer: Buffer, into: Buffer | None = None) -> Buffer:
    """A buffer of its own, `into` if that is given, with the bytes of `buffer`."""
    copy = Buffer(buffer.nbytes) if into is None else into
    _bytes(copy)[...] = _bytes(buffer)
    return copy
