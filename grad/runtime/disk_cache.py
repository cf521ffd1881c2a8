"""Compiled code, and plans, kept between processes: one file a key.

A file is a header with the checksum of what follows, so that a file cut short by a crash or a full
disk is told from a good one and simply built again. Files are written beside their place and moved
there, which is atomic: readers in other processes see the old file or the new one. Keys are evenly
spread over 256 folders; whoever stores a file deletes what was not used for longest in its folder
when that holds more than its part of the limit. Neighbours: cpu/compiler.py,
grad/engine/saved_plans.py.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
import warnings
from contextlib import suppress
from pathlib import Path

FOLDERS = 256
# The time of a file tells when it was last used, to a day: reading need not write each time.
DAY_SECONDS = 24 * 3600
MAGIC = b"micrograd object 1\n"
DIGEST_BYTES = hashlib.sha256().digest_size
# Directories that were said not to be writable: several caches are under one.
_reported: set[Path] = set()


def digest(*parts: str | bytes) -> str:
    """A key for `parts`, different for different parts (each goes in with its length)."""
    total = hashlib.sha256()
    for part in parts:
        data = part if isinstance(part, bytes) else part.encode()
        total.update(len(data).to_bytes(8, "little"))
        total.update(data)
    return total.hexdigest()


class DiskCache:
    """Bytes by key under `directory`, which is made when something is first stored.

    Files have names that end in `suffix`. All caches under one directory together take about
    `limit` bytes at most.

    Example:
        >>> cache = DiskCache(tempfile.mkdtemp())
        >>> cache.store("abc", b"code")
        >>> cache.load("abc")
        b'code'
    """

    def __init__(
        self, directory: str | os.PathLike[str], suffix: str = ".o", limit: int = 1 << 30
    ) -> None:
        self.directory = Path(directory)
        self.suffix = suffix
        self.limit = limit

    def path(self, key: str) -> Path:
        return self.directory / key[:2] / f"{key[2:]}{self.suffix}"

    def load(self, key: str) -> bytes | None:
        """What was stored under `key`; None when there is nothing, or nothing sound."""
        try:
            with open(self.path(key), "rb") as file:
                used = os.fstat(file.fileno()).st_mtime
                data = file.read()
        except OSError:
            return None  # most often: not there yet; unreadable is the same to the caller
        if time.time() - used > DAY_SECONDS:
            with suppress(OSError):  # a directory that may only be read
                os.utime(self.path(key))
        payload = data[len(MAGIC) + DIGEST_BYTES :]
        sound = data[: len(MAGIC)] == MAGIC and (
            data[len(MAGIC) : len(MAGIC) + DIGEST_BYTES] == hashlib.sha256(payload).digest()
        )
        return payload if sound else None

    def store(self, key: str, payload: bytes) -> None:
        """Keep `payload` under `key`. A directory that cannot be written is reported once a
        process.
        """
        path = self.path(key)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
            try:
                with os.fdopen(handle, "wb") as file:
                    file.write(MAGIC + hashlib.sha256(payload).digest() + payload)
                os.replace(temporary, path)
            except BaseException:
                os.unlink(temporary)
                raise
            _make_room(path, self.limit // FOLDERS)
        except OSError as error:
            if self.directory not in _reported:
                _reported.add(self.directory)
                warnings.warn(
                    f"compiled kernels cannot be kept in {self.directory}: {error}. Every process "
                    f"compiles them anew; set GRAD_CACHE_DIR to a writable directory, or "
                    f"GRAD_CACHE=0 to do without.",
                    RuntimeWarning,
                    stacklevel=2,
                )


def _make_room(newest: Path, limit: int) -> None:
    """Delete the files beside `newest` that were not used for longest, until all of them take at
    most `limit` bytes; and what a process that was killed had only begun to write.
    """
    files = []
    with os.scandir(newest.parent) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):  # another process deletes as well
                found = entry.stat()
                files.append((found.st_mtime, found.st_size, entry.path))
    excess = sum(size for _, size, _ in files) - limit
    for used, size, path in sorted(files):
        begun = path.endswith(".tmp")
        if path == str(newest) or (begun and time.time() - used < DAY_SECONDS):
            continue
        if excess > 0 or begun:
            with suppress(FileNotFoundError):
                os.unlink(path)
            excess -= size
