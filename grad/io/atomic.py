"""Files that appear complete or not at all.

What is written goes to a file of another name in the same folder. Only when all of it is on the
disk does that file take the place of the old one, in one step of the file system (`rename`), and
then the folder is brought to the disk, too. A process killed at any moment, or a full disk, leaves
the old file as it was.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

ENDING = ".tmp"
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


def write_atomically(path: str | os.PathLike[str], write: Callable[[BinaryIO], None]) -> None:
    """Have `write` fill an open file, which then becomes `path`.

    A link is followed, and the permissions of a file that is replaced are kept. Where `path` is no
    ordinary file (a pipe, a terminal) it is written to directly.

    Raises:
        OSError: the folder does not exist, may not be written to, or the disk is full.
    """
    final = Path(os.path.realpath(path))
    mode = _mode_of(final)
    if mode is not None and not stat.S_ISREG(mode):
        with open(final, "wb") as file:
            write(file)
        return
    temporary = final.parent / f".{final.name}.{secrets.token_hex(4)}{ENDING}"
    # 0o666 less the process's mask: the permissions of any new file.
    try:
        handle = os.open(temporary, _NEW_FILE, 0o666)
    except OSError as error:  # names the file that was asked for
        raise OSError(error.errno, error.strerror, os.fspath(path)) from None
    try:
        with open(handle, "wb") as file:
            write(file)
            file.flush()
            if mode is not None:
                os.chmod(temporary, stat.S_IMODE(mode))
            os.fsync(file.fileno())
        os.replace(temporary, final)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise
    _bring_to_disk(final.parent)


def _mode_of(path: Path) -> int | None:
    try:
        return path.stat().st_mode
    except FileNotFoundError:
        return None


def _bring_to_disk(folder: Path) -> None:
    """Make a rename in `folder` last, on systems that open folders as files."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        # Some network file systems refuse this; the rename itself has succeeded.
        with suppress(OSError):
            os.fsync(handle)
    finally:
        os.close(handle)
