"""How batches travel from a worker to the caller: a message in a pipe, numbers in shared memory.

What is sent is pickled, but for the elements of tensors and arrays, which are laid one after the
other into a segment of shared memory (`Outgoing`). The other side copies them into memory of its
own (`Incoming`) and says that the segment is free, to be used again: no tensor depends on a worker,
and pages are made once. Segments have no names. They are sent as open files and are gone with the
processes that hold them, however those end. Where files cannot be sent, elements go with the
message.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import os
import pickle
import socket
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np

from grad.graph.arrays import node_of
from grad.ops.convert import array_view
from grad.tensor import Tensor

HAS_SEGMENTS = hasattr(socket, "send_fds")
ALIGNMENT = 64
# Less than this goes with the message.
SMALLEST_SEGMENT = 4096
PAGES = 1 << 16


@dataclass(frozen=True)
class Message:
    """What is sent through the pipe.

    Attributes:
        tag: the sender's, as it is. body: the pickled object. offsets: where the elements of each
            tensor and array begin. inline: their bytes, unless they are in a segment.
        segment: its number. new: its size if it is sent along, else 0. closed: segments that will
            not be used again.
    """

    tag: Any
    body: bytes
    offsets: tuple[int, ...]
    inline: bytes | None
    segment: int = -1
    new: int = 0
    closed: tuple[int, ...] = ()


class _Pickler(ForkingPickler):
    """Keeps the elements of tensors and arrays apart, in `arrays`."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, pickle.HIGHEST_PROTOCOL)
        self.arrays: list[np.ndarray[Any, Any]] = []
        self._places: dict[int, int] = {}
        self._kept: list[Any] = []  # so that no identity is used twice

    def persistent_id(self, obj: Any) -> Any:
        if type(obj) is Tensor:
            if not obj.is_leaf or obj.__dict__:
                return None  # its own __reduce__ knows
            place = self._place(obj, lambda: array_view(obj))
            return True, place, obj.shape, obj.dtype, obj.requires_grad
        if type(obj) is np.ndarray and obj.dtype.kind in "biufc" and obj.dtype.isnative:
            return False, self._place(obj, lambda: obj), obj.shape, obj.dtype, False
        return None

    def _place(self, obj: Any, array: Any) -> int:
        place = self._places.get(id(obj))
        if place is None:
            place = self._places[id(obj)] = len(self.arrays)
            self.arrays.append(array())
            self._kept.append(obj)
        return place


class _Unpickler(pickle.Unpickler):
    """Copies the elements of tensors and arrays out of `memory`."""

    def __init__(self, body: bytes, memory: Any, offsets: tuple[int, ...]) -> None:
        super().__init__(io.BytesIO(body))
        self._memory, self._offsets = memory, offsets
        self._made: dict[int, Any] = {}

    def persistent_load(self, pid: Any) -> Any:
        is_tensor, place, shape, dtype, requires_grad = pid
        made = self._made.get(place)
        if made is not None:
            return made
        kind = dtype.numpy if is_tensor else dtype
        count = int(np.prod(shape, dtype=np.int64))
        array = np.frombuffer(self._memory, kind, count, self._offsets[place]).reshape(shape)
        if is_tensor:
            made = Tensor._wrap(node_of(array, dtype))
            made.requires_grad = requires_grad
        else:
            made = array.copy()
        self._made[place] = made
        return made


class _Segment:
    """Shared memory of the sender."""

    def __init__(self, number: int, size: int) -> None:
        self.number, self.size = number, size
        if hasattr(os, "memfd_create"):
            self.file = os.memfd_create("grad-data")
        else:
            with tempfile.TemporaryFile() as file:  # it has no name, either
                self.file = os.dup(file.fileno())
        os.ftruncate(self.file, size)
        self.memory = mmap.mmap(self.file, size)

    def close_file(self) -> None:
        """The memory stays."""
        os.close(self.file)
        self.file = -1


class Outgoing:
    """A worker's end: sends objects."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._free: list[_Segment] = []
        self._used: dict[int, _Segment] = {}
        self._made = 0

    def release(self, numbers: Iterable[int]) -> None:
        """The receiver has read these segments."""
        self._free += [self._used.pop(number) for number in numbers]

    def send(self, tag: Any, obj: Any) -> None:
        """Send `obj`, with a tag. What cannot be pickled raises before anything is sent."""
        file = io.BytesIO()
        pickler = _Pickler(file)
        pickler.dump(obj)
        arrays, offsets, size = pickler.arrays, [], 0
        for array in arrays:
            offsets.append(size)
            size += -(-array.nbytes // ALIGNMENT) * ALIGNMENT
        body = file.getvalue()
        if not HAS_SEGMENTS or size < SMALLEST_SEGMENT:
            memory = bytearray(size)
            _fill(memory, arrays, offsets)
            message = Message(tag, body, tuple(offsets), bytes(memory))
            self._connection.send_bytes(pickle.dumps(message))
            return
        segment, closed = self._take(size)
        _fill(segment.memory, arrays, offsets)
        new = segment.size if segment.file >= 0 else 0
        message = Message(tag, body, tuple(offsets), None, segment.number, new, closed)
        self._connection.send_bytes(pickle.dumps(message))
        if new:
            with _socket_of(self._connection) as channel:
                socket.send_fds(channel, [b"s"], [segment.file])
            segment.close_file()

    def _take(self, size: int) -> tuple[_Segment, tuple[int, ...]]:
        """A segment for `size` bytes, and the numbers of those given up for it."""
        closed: tuple[int, ...] = ()
        self._free.sort(key=lambda segment: segment.size)
        fitting = [segment for segment in self._free if segment.size >= size]
        if fitting:
            segment = fitting[0]
            self._free.remove(segment)
        else:
            if self._free:
                small = self._free.pop()
                small.memory.close()
                closed = (small.number,)
            # Batches of text are of many sizes.
            segment = _Segment(self._made, -(-(size + size // 4) // PAGES) * PAGES)
            self._made += 1
        self._used[segment.number] = segment
        return segment, closed


def _fill(memory: Any, arrays: list[np.ndarray[Any, Any]], offsets: list[int]) -> None:
    for array, offset in zip(arrays, offsets):
        np.frombuffer(memory, array.dtype, array.size, offset).reshape(array.shape)[...] = array


def _socket_of(connection: Connection) -> socket.socket:
    return socket.socket(fileno=os.dup(connection.fileno()))


class Incoming:
    """The caller's end of one worker: receives objects.

    Attributes:
        read: numbers of segments that can be used again, for the next message to the worker.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.read: list[int] = []
        self._segments: dict[int, mmap.mmap] = {}

    def receive(self) -> Message:
        """The next message, whose object `open` gives.

        Raises:
            EOFError, OSError: the worker has ended.
        """
        message = pickle.loads(self.connection.recv_bytes())
        for number in message.closed:
            _close(self._segments.pop(number))
        if message.new:
            with _socket_of(self.connection) as channel:
                _, files, _, _ = socket.recv_fds(channel, 1, 1)
            if not files:
                raise EOFError("the worker ended while it sent a batch")
            try:
                self._segments[message.segment] = mmap.mmap(files[0], message.new)
            finally:
                os.close(files[0])
        return message

    def open(self, message: Message) -> Any:
        """The object of a message."""
        memory = message.inline
        try:
            source = memory if memory is not None else self._segments[message.segment]
            return _Unpickler(message.body, source, message.offsets).load()
        finally:
            self.discard(message)

    def discard(self, message: Message) -> None:
        """Nobody wants the object."""
        if message.segment >= 0:
            self.read.append(message.segment)

    def take_read(self) -> tuple[int, ...]:
        """What is in `read`, which is empty afterwards."""
        numbers, self.read = tuple(self.read), []
        return numbers

    def close(self) -> None:
        """Let go of the pipe and of all shared memory."""
        self.connection.close()
        while self._segments:
            _close(self._segments.popitem()[1])


def _close(memory: mmap.mmap) -> None:
    # An array of an error's traceback may still look at it; then it is closed with that array.
    with contextlib.suppress(BufferError):
        memory.close()
