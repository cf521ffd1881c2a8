"""Values that are to be computed with whatever is computed next, if somebody still holds them then.

They are losses that a backward pass started from, which a training loop prints after the step, and
running statistics of layers, of which a deep network has hundreds: at no further cost. realize.py
computes them; docs/design/010 has the reasons.
"""

from __future__ import annotations

import weakref
from collections import deque

from grad.engine.recording import recording
from grad.graph.node import Node
from grad.graph.storage import Storage

awaited: deque[weakref.ref[Node]] = deque(maxlen=1024)


class Written(weakref.ref[Node]):
    """The awaited value of a storage, which held `before` until it was written."""

    __slots__ = ("before", "storage")

    def __new__(cls, storage: Storage, before: Node) -> Written:
        return super().__new__(cls, storage.node)

    def __init__(self, storage: Storage, before: Node) -> None:
        super().__init__(storage.node)  # pyright: ignore[reportCallIssue]
        self.storage = weakref.ref(storage)
        self.before = weakref.ref(before)

    def put_back(self) -> None:
        """Have the storage hold what it did, unless it has been written since."""
        node, storage, before = self(), self.storage(), self.before()
        if node is None or node.buffer is not None or storage is None or before is None:
            return
        if storage.node is node:
            storage.write(before)


def compute_soon(node: Node) -> None:
    """Have `node` computed along with the next plan."""
    if node.buffer is None and not _stands_in():
        awaited.append(weakref.ref(node))


def compute_written_soon(storage: Storage, before: Node) -> None:
    """Have what `storage` holds computed along with the next plan. If there is no memory for it,
    the storage holds `before` again: what was computed of a batch that was too large would be in
    the way of all that follow.
    """
    if storage.node.buffer is None and not _stands_in():
        awaited.append(Written(storage, before))


def all_due() -> list[weakref.ref[Node]]:
    """The awaited values that are alive and pending; the list starts anew."""
    due = []
    while awaited:
        late = awaited.popleft()
        node = late()
        if node is not None and node.buffer is None:
            due.append(late)
    return due


def _stands_in() -> bool:
    """Whether values may be stand-ins (grad/func/standing.py)."""
    recorder = recording.recorder
    return recorder is not None and recorder.stands_in
