"""Compiled code, and plans, kept between processes: one file a key.

A file is a header with the checksum of what follows, so that a file cut short by a crash or a full
disk is told from a good one and simply built again. Files are written beside their place and moved
there, which is atomic: readers in other processes see the old file or the new one. Neighbours:
cpu/compiler.py, grad/engine/saved_plans.py.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import warnings
from pathlib import Path

MAGIC = b"micrograd object 1\n"
DIGEST_BYTES = hashlib.sha256().digest_size


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

    Files have names that end in `suffix`.

    Example:
        >>> cache = DiskCache(Path(tempfile.mkdtemp()))
        >>> cache.store("abc", b"code")
        >>> cache.load("abc")
        b'code'
    """

    def __init__(self, directory: Path, suffix: str = ".o") -> None:
        self.directory = directory
        self.suffix = suffix
        self._warned = False

    def path(self, key: str) -> Path:
        return self.directory / key[:2] / f"{key[2:]}{self.suffix}"

    def load(self, key: str) -> bytes | None:
        """What was stored under `key`; None when there is nothing, or nothing sound."""
        try:
            data = self.path(key).read_bytes()
        except OSError:
            return None  # most often: not there yet; unreadable is the same to the caller
        payload = data[len(MAGIC) + DIGEST_BYTES :]
        sound = data[: len(MAGIC)] == MAGIC and (
            data[len(MAGIC) : len(MAGIC) + DIGEST_BYTES] == hashlib.sha256(payload).digest()
        )
        return payload if sound else None

    def store(self, key: str, payload: bytes) -> None:
        """Keep `payload` under `key`. A directory that cannot be written is reported once."""
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
        except OSError as error:
            if not self._warned:
                self._warned = True
                warnings.warn(
                    f"compiled kernels cannot be kept in {self.directory}: {error}. Every process "
                    f"compiles them anew; set GRAD_CACHE_DIR to a writable directory, or "
                    f"GRAD_CACHE=0 to do without.",
                    RuntimeWarning,
                    stacklevel=2,
                )
