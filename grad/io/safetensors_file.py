"""The safetensors format: a JSON header that says what lies where, then the bytes of the tensors.

The file is eight bytes with the length of the header; the header, a JSON object of
``name: {"dtype", "shape", "data_offsets"}`` with strings under ``"__metadata__"``; the data. Every
byte of the data belongs to one tensor. Reading checks all of this before it makes any tensor.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, BinaryIO, NamedTuple

from grad.dtype import DType, dtypes
from grad.engine import realize
from grad.errors import FileFormatError
from grad.io.source import Source
from grad.io.tensors import MOST_AXES, contiguous_bytes, whole_tensor
from grad.tensor import Tensor

METADATA = "__metadata__"
LENGTH_BYTES = 8
# The limit of the format's own library.
LONGEST_HEADER = 100_000_000
# Data begins at such a multiple, so that tensors of a mapped file can be read by vector loads.
_ALIGNMENT = 64

_CODES: dict[DType, str] = {
    dtypes.bool: "BOOL",
    dtypes.int8: "I8",
    dtypes.int16: "I16",
    dtypes.int32: "I32",
    dtypes.int64: "I64",
    dtypes.uint8: "U8",
    dtypes.uint16: "U16",
    dtypes.uint32: "U32",
    dtypes.uint64: "U64",
    dtypes.float16: "F16",
    dtypes.bfloat16: "BF16",
    dtypes.float32: "F32",
    dtypes.float64: "F64",
}
_BY_CODE = {code: dtype for dtype, code in _CODES.items()}


class Entry(NamedTuple):
    """What the header says of a tensor; positions count from the start of the data."""

    name: str
    dtype: DType
    shape: tuple[int, ...]
    begin: int
    end: int


# -- writing ---------------------------------------------------------------------------------------
def write(file: BinaryIO, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write the tensors, computed together, and the strings of `metadata`."""
    realize([tensor._storage.node for tensor in tensors.values()])
    # Wide elements first, so that each tensor begins at a multiple of its element size.
    order = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    begin, places = 0, {}
    for name in order:
        end = begin + tensors[name].nbytes
        places[name] = [begin, end]
        begin = end
    header: dict[str, Any] = {METADATA: dict(metadata)}
    for name, tensor in tensors.items():
        header[name] = {
            "dtype": _CODES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": places[name],
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-(LENGTH_BYTES + len(text)) % _ALIGNMENT)
    file.write(len(text).to_bytes(LENGTH_BYTES, "little") + text)
    for name in order:
        file.write(contiguous_bytes(tensors[name]).data)


# -- reading ---------------------------------------------------------------------------------------
def may_be(beginning: bytes, size: int) -> bool:
    """Whether a file of `size` bytes can be in this format, by its first 9 bytes."""
    length = int.from_bytes(beginning[:LENGTH_BYTES], "little")
    return length + LENGTH_BYTES <= size and beginning[LENGTH_BYTES:] == b"{"


def read(source: Source) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors by name, and the metadata.

    Raises:
        FileFormatError: the header is damaged, or does not describe this file.
    """
    entries, metadata, start = read_header(source)
    tensors = {}
    for entry in entries:
        count, alignment = entry.end - entry.begin, entry.dtype.itemsize
        buffer = source.buffer(start + entry.begin, count, alignment)
        tensors[entry.name] = whole_tensor(buffer, entry.shape, entry.dtype)
    return tensors, metadata


def read_header(source: Source) -> tuple[list[Entry], dict[str, str], int]:
    """What the header says, checked, and where the data begins."""
    length = int.from_bytes(source.read(0, LENGTH_BYTES), "little")
    if length > LONGEST_HEADER:
        raise source.fail(f"a header of {length} bytes; this is no safetensors file.")
    start = LENGTH_BYTES + length
    try:
        header = json.loads(source.read(LENGTH_BYTES, length), object_pairs_hook=_without_twins)
    except (ValueError, RecursionError) as error:
        if isinstance(error, FileFormatError):
            raise
        raise source.fail(f"its header is damaged, or no safetensors file: {error}.") from error
    if not isinstance(header, dict):
        raise source.fail("its header is no JSON object.")
    metadata = header.pop(METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise source.fail("its metadata are not strings by name.")
    entries = [_entry(source, name, facts) for name, facts in header.items()]
    _check_places(source, entries, source.size - start)
    return entries, metadata, start


def _without_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name is given twice")
    return found


def _entry(source: Source, name: str, facts: Any) -> Entry:
    if not isinstance(facts, dict) or facts.keys() != {"dtype", "shape", "data_offsets"}:
        raise source.fail(f"{name!r} is not described by dtype, shape and data_offsets.")
    code, shape, offsets = facts["dtype"], facts["shape"], facts["data_offsets"]
    dtype = _BY_CODE.get(code) if isinstance(code, str) else None
    if dtype is None:
        raise source.fail(f"{name!r} has elements of type {code}, which is not known here.")
    if not _are_sizes(shape) or len(shape) > MOST_AXES:
        raise source.fail(f"{name!r} has shape {shape}, which is no list of sizes.")
    if not _are_sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise source.fail(f"{name!r} has data_offsets {offsets}, which is no beginning and end.")
    begin, end = offsets
    if end - begin != math.prod(shape) * dtype.itemsize:
        raise source.fail(
            f"{name!r} of shape {shape} and type {dtype.name} takes "
            f"{math.prod(shape) * dtype.itemsize} bytes, and the file has {end - begin}."
        )
    return Entry(name, dtype, tuple(shape), begin, end)


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 2**63 for n in value)


def _check_places(source: Source, entries: list[Entry], data_bytes: int) -> None:
    """Raise unless the tensors cover the data, without gaps and without overlapping."""
    position = 0
    for entry in sorted(entries, key=lambda entry: (entry.begin, entry.end)):
        if entry.begin != position:
            what = "overlaps another tensor" if entry.begin < position else "leaves a gap before it"
            raise source.fail(f"{entry.name!r} {what} in the file.")
        position = entry.end
    if position > data_bytes:
        source.check(source.size - data_bytes, position)
    if position != data_bytes:
        raise source.fail(f"{data_bytes - position} bytes at its end belong to no tensor.")
