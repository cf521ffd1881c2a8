"""PyTorch's archives: zip files whose records are stored as they are, at multiples of 64 bytes.

`Records` finds them in a file, `write` writes them. Only records that are not compressed are read,
as PyTorch writes them, and no two may overlap: so what is read is never more than the file holds.
"""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterable
from itertools import pairwise
from typing import Any, BinaryIO, NamedTuple

from grad.buffer import Buffer
from grad.errors import FileFormatError
from grad.io.source import Source

MAGIC = b"PK\x03\x04"
NAME = "archive"
_ALIGNMENT = 64
_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_ZIP64_BYTES = 20
# What Python's reader raises for files that are no archives.
_DAMAGED = (
    zipfile.BadZipFile,
    ValueError,
    LookupError,
    NotImplementedError,
    OverflowError,
    EOFError,
    struct.error,
)


class Record(NamedTuple):
    """Where a record lies in the file, and whether as it is; a checksum of 0 is none."""

    offset: int
    size: int
    checksum: int
    is_stored: bool


class Records:
    """The records of an archive by name, without the name of the archive.

    Raises:
        FileFormatError: the archive is damaged, or has records that overlap.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self._by_name: dict[str, Record] = {}
        try:
            entries = zipfile.ZipFile(source.stream).infolist()
        except (*_DAMAGED, OSError) as error:
            # Positions before the beginning are an OSError.
            raise source.fail(f"not a whole zip archive: {error}.") from error
        places = []
        for entry in entries:
            record = self._record(entry)
            name = entry.filename.partition("/")[2]
            if name in self._by_name:
                raise source.fail(f"the record {name!r} is there twice.")
            self._by_name[name] = record
            places.append((entry.header_offset, record.offset + record.size))
        places.sort()
        if any(end > begin for (_, end), (begin, _) in pairwise(places)):
            raise source.fail("records of the archive overlap.")

    def _record(self, entry: zipfile.ZipInfo) -> Record:
        offset, size = entry.header_offset, entry.compress_size
        header = _LOCAL_HEADER.unpack(self._source.read(offset, _LOCAL_HEADER.size))
        if header[0] != MAGIC:
            raise self._source.fail(f"the record {entry.filename!r} is damaged.")
        offset += _LOCAL_HEADER.size + header[-2] + header[-1]
        self._source.check(offset, size)
        encrypted = entry.flag_bits & 1
        is_stored = entry.compress_type == zipfile.ZIP_STORED and not encrypted
        return Record(offset, size, entry.CRC, is_stored and size == entry.file_size)

    def __contains__(self, name: str) -> bool:
        return name in self._by_name

    def _find(self, name: str) -> Record:
        if name not in self._by_name:
            raise self._source.fail(
                f"a zip archive without the record {name!r}, so not of torch.save; "
                "for NumPy's .npz files use numpy.load."
            )
        record = self._by_name[name]
        if not record.is_stored:
            raise self._source.fail(
                f"the record {name!r} is compressed or encrypted, which torch.save never does; "
                "unpack the archive and pack it with `zip -0`."
            )
        return record

    def read(self, name: str) -> bytes:
        """The bytes of a record."""
        record = self._find(name)
        data = self._source.read(record.offset, record.size)
        if record.checksum and zlib.crc32(data) != record.checksum:
            raise self._source.fail(f"the record {name!r} is not what was written: damaged.")
        return data

    def buffer(self, name: str, size: int, alignment: int) -> Buffer:
        """A record of `size` bytes as memory of tensors, see `Source.buffer`."""
        record = self._find(name)
        if record.size != size:
            raise self._source.fail(f"the record {name!r} has {record.size} bytes, not {size}.")
        return self._source.buffer(record.offset, size, alignment, record.checksum)


def write(file: BinaryIO, records: Iterable[tuple[str, Any]]) -> None:
    """Write an archive of records: names and their bytes, or objects with the buffer of bytes."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, data in records:
            # The oldest date there is, so that the same data makes the same file.
            entry = zipfile.ZipInfo(f"{NAME}/{name}")
            view = memoryview(data)
            entry.extra = _padding(archive.start_dir, entry.filename, view.nbytes)
            archive.writestr(entry, view)


def _padding(position: int, name: str, size: int) -> bytes:
    """A field for the header that moves the data to a multiple of 64."""
    wide = _ZIP64_BYTES if size * 1.05 > zipfile.ZIP64_LIMIT else 0
    field_header = 4
    start = position + _LOCAL_HEADER.size + len(name) + wide + field_header
    count = -start % _ALIGNMENT
    return struct.pack("<2sH", b"FB", count) + b"Z" * count


def is_script(records: Records) -> bool:
    """Whether the archive is of `torch.jit.save` or `torch.export`, which hold programs."""
    return "constants.pkl" in records or "models/model.json" in records


def fail_for_script(source: Source) -> FileFormatError:
    return source.fail(
        "a TorchScript or exported program, not tensors; load it in PyTorch and save its "
        "state_dict()."
    )
