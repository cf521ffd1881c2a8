"""`save` and `load`: objects made of tensors to a file and back.

There are two formats. PyTorch's (`torch_file.py`) holds nearly everything a training script saves
and is what ``torch.load`` reads; safetensors (`safetensors_file.py`) holds tensors by name for any
tool there is, with other structure in its metadata (`structure.py`). Neither is ever unpickled by
Python, so loading a stranger's file runs no code of his.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, BinaryIO

from grad.errors import ArgumentError, FileFormatError, TruncatedFileError
from grad.io import archive, legacy, safetensors_file, torch_file
from grad.io.atomic import write_atomically
from grad.io.locations import MapLocation, check_location
from grad.io.sink import open_for_writing
from grad.io.source import Filename, Source
from grad.io.structure import decoded, encoded

_SAFETENSORS_ENDINGS = (".safetensors",)
# First bytes of files that people try to load, and what to do about them.
_OTHER_FORMATS = {
    b"\x93NUMPY": "a NumPy file; use grad.tensor(numpy.load(path))",
    b"\x89HDF": "an HDF5 file, perhaps of Keras; read it with h5py",
    b"GGUF": "a GGUF file of llama.cpp",
    b"\x1f\x8b": "compressed by gzip; unpack it first",
}


def save(
    obj: Any,
    f: Filename | BinaryIO,
    pickle_module: Any = None,
    pickle_protocol: int = 2,
    _use_new_zipfile_serialization: bool = True,
    *,
    format: str | None = None,
) -> None:
    """Write `obj` to the file `f` (or into an open one), computing what is pending.

    `obj` is a tensor, or is built of tensors, numbers, strings, bytes, None, dtypes and devices by
    dictionaries, lists, tuples and sets. A file appears complete or not at all: it is written under
    another name, which is changed when all is on the disk.

    Args:
        f: a path, or a file that is open for writing bytes.
        pickle_module, pickle_protocol, _use_new_zipfile_serialization: PyTorch's, without effect;
            what is written is always an archive, which every PyTorch since 1.6 reads.
        format: "torch" or "safetensors"; unless given, safetensors for a name that ends in
            ``.safetensors``, else PyTorch's. In PyTorch's format tensors that share memory share it
            when they are loaded, and parameters come back as parameters. In safetensors each is
            written by itself, parameters come back as tensors, bytes and sets cannot be saved.

    Raises:
        FileFormatError: `obj` contains something else; says where. The file stays as it was.
        OSError: the file cannot be written, the disk is full. The file stays as it was.

    Example:
        >>> save(model.state_dict(), "model.pt")
        >>> save({"epoch": 3, "optimizer": optimizer.state_dict()}, "checkpoint.pt")
    """
    write = _writer(obj, _format_for(f) if format is None else format)
    if isinstance(f, str | os.PathLike):
        write_atomically(f, write)
    else:
        write(open_for_writing(f))


def _format_for(f: Any) -> str:
    named = isinstance(f, str | os.PathLike)
    return "safetensors" if named and str(f).endswith(_SAFETENSORS_ENDINGS) else "torch"


def _writer(obj: Any, format: str) -> Callable[[BinaryIO], None]:
    """What writes `obj` in the format; what can't be saved is found before a file is made."""
    if format == "torch":
        contents = torch_file.contents(obj)
        return lambda file: archive.write(file, contents)
    if format == "safetensors":
        tensors, metadata = encoded(obj)
        return lambda file: safetensors_file.write(file, tensors, metadata)
    raise ArgumentError(f"save: the format is 'torch' or 'safetensors', not {format!r}.")


def load(
    f: Filename | BinaryIO,
    map_location: MapLocation = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
) -> Any:
    """Read what `save` or ``torch.save`` wrote, or a safetensors file (a dictionary of tensors).

    Args:
        f: a path, or a file that is open for reading bytes, which is read to its end.
        map_location: where to put tensors, as in PyTorch. There is the CPU only; a file with
            tensors of a GPU needs "cpu" here.
        pickle_module: PyTorch's, without effect.
        weights_only: PyTorch's; with False, too, no code that the file names is ever run.
        mmap: tensors are on the file itself, mapped into memory, and read when they are used;
            nothing that is done to them reaches the file. The file must not be changed meanwhile
            (replacing it, as `save` does, is fine). For paths only.

    Raises:
        FileNotFoundError, OSError: there is no such file, or it cannot be read.
        FileFormatError: the file is of another format, damaged, or holds types unknown here.
        TruncatedFileError: it is empty or cut off. UnsafeFileError: it names code.
        DeviceError: its tensors are of a device that there is not, without `map_location`.

    Example:
        >>> model.load_state_dict(load("model.pt"))
    """
    named = isinstance(f, str | os.PathLike)
    if mmap and not named:
        raise ArgumentError("load: mmap=True needs the path of a file, not an open one.")
    with Source(f, bool(mmap)) as source:
        try:
            return _read(source, map_location)
        except FileFormatError as error:
            if str(error).startswith("load: "):
                raise
            raise type(error)(f"load: {source.name}: {error}") from error.__cause__


def _read(source: Source, map_location: MapLocation) -> Any:
    beginning = source.read(0, min(source.size, safetensors_file.LENGTH_BYTES + 1))
    if not beginning:
        raise TruncatedFileError("the file is empty; it was perhaps cut off when it was written.")
    if safetensors_file.may_be(beginning, source.size):
        check_location("cpu", source.size, map_location)
        return decoded(*safetensors_file.read(source))
    if beginning.startswith(archive.MAGIC):
        return torch_file.read(source, map_location)
    if beginning.startswith(legacy.BEGINNING):
        return legacy.read(source, map_location)
    for magic, what in _OTHER_FORMATS.items():
        if beginning.startswith(magic):
            raise FileFormatError(f"the file is {what}.")
    if beginning[safetensors_file.LENGTH_BYTES :] in (b"{", b""):  # cut off, as its error says
        safetensors_file.read_header(source)
    raise FileFormatError(
        "the file is of no format that is known here: no archive, no safetensors."
    )
