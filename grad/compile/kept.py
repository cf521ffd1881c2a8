"""Memory that replays use again, and who else has it.

CPython's reference counts tell (docs/design/005). A storage that is overwritten in place must be
the only one to refer to its node, and the node to its buffer: `have_alone` gives it a copy
otherwise. Results and gradients of the last replay whose memory nobody else refers to any more are
written again by the next. run.py is the only user.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from operator import attrgetter, is_
from sys import getrefcount
from typing import Any, NamedTuple

from grad.buffer import Buffer
from grad.dtype import dtypes
from grad.graph.node import Node, from_buffer
from grad.graph.storage import Storage, copied, write_through
from grad.runtime.comparisons import Comparison, Sort

# Larger results go back to the pool when their user is through with them.
LARGEST_KEPT = 1 << 16

node_of = attrgetter("node")
buffer_of = attrgetter("node.buffer")
_grad_of = attrgetter("_grad")
_storage_of = attrgetter("_storage")
_path_of = attrgetter("_path")
_requires_grad_of = attrgetter("_requires_grad")


def _alone() -> tuple[int, int]:
    """What `getrefcount` says of a node, and of its buffer, that only a storage leads to."""
    storages = [Storage(from_buffer(Buffer(1), (), dtypes.bool))]
    (nodes,) = map(getrefcount, map(node_of, storages))
    (buffers,) = map(getrefcount, map(buffer_of, storages))
    return nodes, buffers


NODE_ALONE, BUFFER_ALONE = _alone()


class Apart(NamedTuple):
    """A storage that got a node of its own for this run; memory shared with NumPy or DLPack is
    brought up to date afterwards. `before`: the node it had. `spare`: memory for its value, which
    others may hold, when shared memory gets the new one.
    """

    storage: Storage
    before: Node
    spare: Buffer | None


def all_alone(storages: Sequence[Storage]) -> bool:
    """Whether nobody else refers to what the storages hold."""
    nodes = max(map(getrefcount, map(node_of, storages)), default=0)
    buffers = max(map(getrefcount, map(buffer_of, storages)), default=0)
    return nodes <= NODE_ALONE and buffers <= BUFFER_ALONE


def have_alone(storages: Sequence[Storage]) -> list[Apart]:
    """Give those of the (computed) storages that share what they hold a copy of it.

    What is returned is for `bring_up_to_date`, after the run, or `put_back`.
    """
    apart: list[Apart] = []
    try:
        for storage in storages:
            buffer = storage.node.buffer
            assert buffer is not None
            external = buffer.is_external
            del buffer  # it would count
            if external or not all_alone((storage,)):
                before = storage.node
                copy = copied(before.buffer)  # type: ignore[arg-type]
                spare = None if storage.shared is None else Buffer(copy.nbytes)
                storage.node = from_buffer(copy, before.shape, before.dtype)
                storage.stamp += 1
                apart.append(Apart(storage, before, spare))
    except MemoryError:
        put_back(apart)
        raise
    return apart


def bring_up_to_date(apart: Sequence[Apart]) -> None:
    """After the run: whoever shares the memory of a storage sees its new value."""
    for storage, before, spare in apart:
        if storage.shared is not None:
            write_through(storage, before, spare)


def put_back(apart: Sequence[Apart]) -> None:
    """After a run that failed before it wrote: storages hold the nodes they did."""
    for storage, before, _ in apart:
        storage.node = before
        storage.stamp += 1


def rows_alone(storages: Sequence[Storage]) -> Iterator[Comparison]:
    """That the storages hold what they hold now, and that nobody else refers to it."""
    for storage in storages:
        yield Comparison(Sort.ATTRIBUTE, storage, "node", storage.node)
        yield Comparison(Sort.REFERENCES, storage.node)
        yield Comparison(Sort.REFERENCES, storage.node.buffer)


class KeptBuffers:
    """Buffers of given sizes; small ones are kept, and given again when their users are gone.

    Two are kept of each size: who calls ``loss = step()`` in a loop still has the last result.
    """

    __slots__ = ("_kept", "sizes")

    def __init__(self, sizes: Sequence[int]) -> None:
        self.sizes = sizes
        self._kept: list[tuple[Buffer, Buffer] | None] = [
            (Buffer(size), Buffer(size)) if size <= LARGEST_KEPT else None for size in sizes
        ]

    def take(self, number: int) -> Buffer:
        """One of size number `number`."""
        kept = self._kept[number]
        if kept is not None:
            for buffer in kept:
                if getrefcount(buffer) == 3:  # the pair, the local name, the argument
                    return buffer
        return Buffer(self.sizes[number])


class KeptGradients:
    """The gradients that a replay has set: they are written again if only their tensors lead there.

    Args:
        tensors: whose `.grad` the replay sets, each to a tensor on a storage of its own.
        values: for each of them the value that this storage gets, by any name: two biases that are
            added have one gradient.

    Attributes:
        buffers: the memory of the gradients, one for each value, in the order they first come.
    """

    __slots__ = (
        "_counts",
        "_held",
        "_nodes",
        "_shares",
        "_storages",
        "buffers",
        "given",
        "tensors",
    )

    def __init__(self, tensors: Sequence[Any], values: Sequence[int]) -> None:
        self.tensors = list(tensors)
        self._shares = [*Counter(values).values()]
        self.forget()

    def forget(self) -> None:
        """Hold no gradients: none have been set, or others have been since."""
        self.given: list[Any] = []
        self._storages: list[Storage] = []
        self._nodes: list[Node] = []
        self._held: list[Any] = []
        self._counts: list[int] = []
        self.buffers: list[Any] = []

    def free(self) -> bool:
        """Whether all gradients are as they were given, and nobody else has them or their
        memory.
        """
        given, storages = self.given, self._storages
        return (
            bool(given)
            and all(map(is_, map(_grad_of, self.tensors), given))
            and [*map(getrefcount, self._held)] == self._counts
            and all(map(is_, map(_storage_of, given), storages))
            and all(map(is_, map(node_of, storages), self._nodes))
            and not any(map(_path_of, given))
            and not any(map(_requires_grad_of, given))
        )

    def rows(self) -> Iterator[Comparison]:
        """What `free` asks, as it is now, for a comparison before each run."""
        for tensor, given, storage, node in zip(
            self.tensors, self.given, self._storages, self._nodes, strict=True
        ):
            yield Comparison(Sort.ATTRIBUTE, tensor, "_grad", given)
            yield Comparison(Sort.ATTRIBUTE, given, "_storage", storage)
            yield Comparison(Sort.ATTRIBUTE, given, "_path", given._path)
            yield Comparison(Sort.ATTRIBUTE, given, "_requires_grad", given._requires_grad)
            yield Comparison(Sort.ATTRIBUTE, storage, "node", node)
        for held in self._held:
            yield Comparison(Sort.REFERENCES, held)

    def remember(self) -> None:
        """These are the gradients that have just been set."""
        self.given = [*map(_grad_of, self.tensors)]
        self._storages = [*map(_storage_of, self.given)]
        self._nodes = [*map(node_of, self._storages)]
        nodes = dict.fromkeys(self._nodes)
        self.buffers = [node.buffer for node in nodes]
        self._held = [*self.given, *self._storages, *nodes, *self.buffers]
        # Two lists here; the tensor, the storage or the node that leads there; the argument.
        self._counts = [4] * len(self._held)
        for number, storages in enumerate(self._shares, 2 * len(self.given)):
            self._counts[number] += 2 * (storages - 1)
