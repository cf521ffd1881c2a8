"""Files of ``torch.save`` before PyTorch 1.6: pickles one after the other, then raw memory.

First a magic number, the version and facts of the machine; then the object, in which storages are
known by keys; then the list of keys, and for each, in this order, its number of elements and its
bytes. So memory is made when the object refers to it and filled afterwards; what is made in all
cannot be more than the file holds.
"""

from __future__ import annotations

from typing import Any

from grad.buffer import Buffer
from grad.errors import TruncatedFileError
from grad.io.allowed import StorageKind
from grad.io.locations import MapLocation, check_location
from grad.io.safe_globals import find, is_safe
from grad.io.source import Source
from grad.io.tensors import Memory, refuse_bare
from grad.io.torch_file import storage_identity
from grad.io.unpickler import Unpickler, World

BEGINNING = b"\x80"
_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001


class _Loader:
    """Makes the storages that the object refers to, and fills them."""

    def __init__(self, source: Source, map_location: MapLocation) -> None:
        self._source = source
        self._map_location = map_location
        self._left = source.size
        self._memories: dict[str, tuple[StorageKind, int, Memory]] = {}

    def load(self, identity: Any) -> Memory:
        kind, key, location, count = storage_identity(identity)
        if key not in self._memories:
            size = count * kind.itemsize
            self._left -= size
            if self._left < 0:
                raise TruncatedFileError(
                    f"it has {self._source.size} bytes, less than the tensors that it describes."
                )
            check_location(location, size, self._map_location)
            self._memories[key] = kind, count, Memory(Buffer(size), kind.dtype)
        known, known_count, memory = self._memories[key]
        if (known, known_count) != (kind, count):
            raise self._source.fail(f"the storage {key!r} is described in two ways.")
        memory.references += 1
        return memory

    def fill(self, keys: Any, position: int) -> None:
        """Read the contents of all storages, which begin at `position`."""
        refuse_bare(memory for _, _, memory in self._memories.values())
        if not (
            type(keys) is list
            and all(type(key) is str for key in keys)
            and sorted(keys) == sorted(self._memories)
        ):
            raise self._source.fail("its list of storages is not that of its tensors.")
        for key in keys:
            _, count, memory = self._memories[key]
            if int.from_bytes(self._source.read(position, 8), "little") != count:
                raise self._source.fail(f"the storage {key!r} is described in two ways.")
            position += 8
            content = self._source.buffer(position, memory.buffer.nbytes, 1)
            memory.buffer.memory[:] = content.memory
            position += content.nbytes


def read(source: Source, map_location: MapLocation) -> Any:
    """The object in such a file.

    Raises:
        FileFormatError: it is a pickle of something else, or damaged.
    """
    if source.is_mapped:
        raise source.fail(
            "only files in the zip format can be mapped; this one is older (or a plain pickle)."
        )
    loader = _Loader(source, map_location)
    world = World(find, loader.load, is_safe)
    stream, left = source.stream, source.size
    stream.seek(0)
    parts = []
    for number in range(5):  # magic number, version, machine, object, keys
        machine = Unpickler(stream, left, world)
        parts.append(machine.load())
        left = machine.left
        if number == 0 and not _is_number(parts[0], _MAGIC):
            raise source.fail("a pickle that torch.save did not write; only state can be loaded.")
    _, version, machine_facts, obj, keys = parts
    if not _is_number(version, _VERSION) or type(machine_facts) is not dict:
        raise source.fail("a version of the old format that is not known.")
    if not machine_facts.get("little_endian", True):
        raise source.fail("its numbers are in another byte order.")
    loader.fill(keys, source.size - left)
    return obj


def _is_number(value: Any, number: int) -> bool:
    return type(value) is int and value == number
