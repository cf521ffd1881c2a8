"""Where a file's bytes come from: read piece by piece, or mapped into memory.

A `Source` checks every request against the size of the file before anything is allocated, so a
file that lies about its sizes is an error and costs nothing. `buffer` is the way of tensors: a copy
in memory of ours or, if the source is mapped, that place of the file itself. The mapping is private
(copy on write): nothing that is done to a tensor reaches the file.
"""

from __future__ import annotations

import mmap
import os
import stat
import zlib
from io import BytesIO
from typing import Any, BinaryIO

import numpy as np

from grad.buffer import Buffer
from grad.errors import FileFormatError, TruncatedFileError

Filename = str | os.PathLike[str]


class Source:
    """The bytes of a file that was opened, or given open.

    Attributes:
        name: for messages. size: in bytes. stream: at any position; `read` and `buffer` move it.

    Raises:
        OSError: there is no such file, or it is a folder.
        AttributeError: it is no file.
    """

    def __init__(self, file: Filename | BinaryIO, mapped: bool) -> None:
        self._mapping: np.ndarray[Any, Any] | None = None
        if isinstance(file, str | os.PathLike):
            self.name = os.fspath(file)
            self.stream: Any = open(self.name, "rb")  # noqa: SIM115  closed by __exit__
            status = os.fstat(self.stream.fileno())
            self.size = status.st_size
            if not stat.S_ISREG(status.st_mode):  # a pipe: it can be read once only
                with self.stream as pipe:
                    self._take(pipe.read())
            elif mapped and self.size:
                view = mmap.mmap(self.stream.fileno(), 0, access=mmap.ACCESS_COPY)
                self._mapping = np.frombuffer(view, np.uint8)
        elif not hasattr(file, "read"):
            raise AttributeError(
                "load: the first argument is a path or a file open for reading bytes, not a "
                f"{type(file).__name__}."
            )
        else:
            self.name = str(getattr(file, "name", "the open file"))
            self._take(file.read())

    def _take(self, data: Any) -> None:
        if not isinstance(data, bytes):
            raise TypeError(f"load: {self.name} gives {type(data).__name__}; open it with 'rb'.")
        self.stream, self.size = BytesIO(data), len(data)

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: Any) -> None:
        self.stream.close()

    @property
    def is_mapped(self) -> bool:
        return self._mapping is not None

    def fail(self, message: str) -> FileFormatError:
        """The error that says `message` of this file."""
        return FileFormatError(f"load: {self.name}: {message}")

    def check(self, offset: int, count: int) -> None:
        """Raise FileFormatError unless there are `count` bytes from `offset` on."""
        if offset < 0 or count < 0:
            raise self.fail(f"a size or position in the file is negative ({offset}, {count}).")
        if offset + count > self.size:
            raise TruncatedFileError(
                f"load: {self.name} has {self.size} bytes, and should have {offset + count} at "
                "least: the file is cut off or damaged."
            )

    def read(self, offset: int, count: int) -> bytes:
        """`count` bytes from `offset` on."""
        self.check(offset, count)
        self.stream.seek(offset)
        data = self.stream.read(count)
        if len(data) != count:
            raise TruncatedFileError(f"load: {self.name} became shorter while it was read.")
        return data

    def buffer(self, offset: int, count: int, alignment: int, checksum: int = 0) -> Buffer:
        """`count` bytes from `offset` on as memory of tensors.

        Args:
            alignment: the element size; what does not lie at a multiple of it is copied.
            checksum: the CRC-32 that they must have when they are copied; 0 if it is not known.
        """
        self.check(offset, count)
        if self._mapping is not None and count:
            address = self._mapping.__array_interface__["data"][0] + offset
            if address % alignment == 0:
                return Buffer.external(address, count, self._mapping)
        buffer = Buffer(count)
        if count:
            self.stream.seek(offset)
            _fill(self, buffer.memory)
            if checksum and zlib.crc32(buffer.memory) != checksum:
                raise self.fail(f"{count} bytes at {offset} are not what was written: damaged.")
        return buffer


def _fill(source: Source, memory: memoryview) -> None:
    done = 0
    while done < len(memory):
        count = source.stream.readinto(memory[done:])
        if not count:
            raise TruncatedFileError(f"load: {source.name} became shorter while it was read.")
        done += count
