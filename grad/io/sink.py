"""An open file of the caller's that is written from its beginning to its end.

`Sink` is what the formats see of one that need not be an ordinary file: a compressed one, a pipe, a
raw one whose `write` may take a part of what it is given. It never goes back, and what it was given
has all been taken, or it raises. `source.py` is the other direction.
"""

from __future__ import annotations

from io import BufferedRandom, BufferedWriter, BytesIO
from typing import Any, BinaryIO, cast

# Files that take all of what they are given, and go back to complete a header.
_ORDINARY = (BytesIO, BufferedWriter, BufferedRandom)


class Sink:
    """The open file `file`, to be written onwards."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, data: Any) -> int:
        """Write all of `data`.

        Raises:
            OSError: the file takes no more.
        """
        view = memoryview(data).cast("B")
        done = 0
        while done < len(view):
            count = self._file.write(view[done:])
            if not isinstance(count, int):  # a writer of the user's that does not count
                count = len(view) - done
            if count <= 0:
                raise OSError(f"save: the open file took {done} of {len(view)} bytes.")
            done += count
        return len(view)

    def flush(self) -> None:
        if hasattr(self._file, "flush"):
            self._file.flush()


def open_for_writing(file: Any) -> BinaryIO:
    """The open file itself if it is an ordinary one, else a `Sink`.

    Raises:
        AttributeError: it is no file.
    """
    if isinstance(file, _ORDINARY):
        return file
    if not hasattr(file, "write"):
        raise AttributeError(
            f"save: the second argument is a path or a file open for writing bytes, not a "
            f"{type(file).__name__}."
        )
    return cast(BinaryIO, Sink(file))
