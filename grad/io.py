"""Tensors to a file and back: `save` and `load`, in the safetensors format.

A flat state dict becomes an ordinary safetensors file that any other tool reads. Anything else made
of dictionaries, lists, tuples, numbers and strings (an optimiser's state, a whole checkpoint) keeps
its tensors under joined names and its structure as JSON in the file's metadata. Nothing is ever
unpickled, so loading a stranger's file runs no code of his.

The structure, in JSON: numbers, strings and null are themselves; ``{"tensor": name}``,
``{"dict": [[key, value], ...]}``, ``{"list": [...]}``, ``{"tuple": [...]}``, ``{"dtype": name}``.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as to_bytes
from safetensors.numpy import save_file

from grad.dtype import ALL_DTYPES, DType, by_name
from grad.engine import realize
from grad.errors import GradError
from grad.ops.convert import array_view
from grad.ops.creation import tensor
from grad.tensor import Tensor

Array = np.ndarray[Any, Any]
Filename = str | os.PathLike[str]

_STRUCTURE = "grad.structure"
_KNOWN = {dtype.numpy for dtype in ALL_DTYPES}
_PLAIN = (bool, int, float, str, type(None))
# First bytes of files that people try to load, and what to do about them.
_OTHER_FORMATS = {
    b"PK\x03\x04": "a zip file, probably of torch.save; load it there and save it with safetensors",
    b"\x80": "a pickle, probably of torch.save; load it there and save it with safetensors",
    b"\x93NUMPY": "a NumPy file; use grad.tensor(numpy.load(path))",
}


class FileFormatError(GradError, RuntimeError, ValueError):
    """A file that is not what it should be, or an object that cannot be put into one."""


# -- saving ----------------------------------------------------------------------------------------
def save(obj: Any, path: Filename | BinaryIO) -> None:
    """Write `obj` to the file `path` (or into an open one), computing what is pending.

    `obj` is a tensor, or is built of tensors, numbers, strings, None and dtypes by dictionaries,
    lists and tuples. The file appears complete or not at all: it is written beside `path` and then
    renamed. Tensors that share memory are written each for itself. Parameters come back as plain
    tensors.

    Raises:
        FileFormatError: `obj` contains something else; says where.
        OSError: the file cannot be written.

    Example:
        >>> save(model.state_dict(), "model.safetensors")
        >>> save({"epoch": 3, "optimizer": optimizer.state_dict()}, "checkpoint.safetensors")
    """
    tensors: dict[str, Tensor] = {}
    structure = _encoded(obj, "", tensors)
    metadata = {} if _is_flat(obj) else {_STRUCTURE: json.dumps(structure)}
    # PyTorch's readers look for this.
    metadata["format"] = "pt"
    realize([tensor._storage.node for tensor in tensors.values()])
    arrays = {name: _array(tensor) for name, tensor in tensors.items()}
    if isinstance(path, str | os.PathLike):
        _write_atomically(Path(path), arrays, metadata)
    else:
        path.write(to_bytes(arrays, metadata))


def _array(tensor: Tensor) -> Array:
    array = array_view(tensor)
    # ascontiguousarray alone would make a 0-dimensional array 1-dimensional.
    return np.ascontiguousarray(array).reshape(array.shape)


def _is_flat(obj: Any) -> bool:
    """Whether `obj` is a dictionary of names to tensors, which needs no further description."""
    return isinstance(obj, Mapping) and all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in obj.items()
    )


def _encoded(obj: Any, where: str, tensors: dict[str, Tensor]) -> Any:
    """`obj` in the form of the docstring above; its tensors are put into `tensors`."""
    if isinstance(obj, Tensor):
        name = _free_name(where or "tensor", tensors)
        tensors[name] = obj
        return {"tensor": name}
    if type(obj) in _PLAIN:
        return obj
    if isinstance(obj, DType):
        return {"dtype": obj.name}
    if isinstance(obj, Mapping):
        pairs = []
        for key, value in obj.items():
            if type(key) not in _PLAIN:
                raise FileFormatError(
                    f"save: a key in {where or 'the object'} is a {type(key).__name__}; "
                    "keys must be strings, numbers or None."
                )
            pairs.append([key, _encoded(value, _joined(where, key), tensors)])
        return {"dict": pairs}
    if type(obj) in (list, tuple):
        entries = [_encoded(value, _joined(where, i), tensors) for i, value in enumerate(obj)]
        return {type(obj).__name__: entries}
    hint = "use .item()" if isinstance(obj, np.generic) else "use grad.tensor(array) for arrays"
    raise FileFormatError(
        f"save: {where or 'the object'} is a {type(obj).__module__}.{type(obj).__qualname__}; only "
        "tensors, numbers, strings, None, dtypes, dictionaries, lists and tuples can be saved; "
        f"{hint}, state_dict() for modules and optimisers."
    )


def _joined(where: str, key: Any) -> str:
    return f"{where}.{key}" if where else str(key)


def _free_name(name: str, taken: Mapping[str, Any]) -> str:
    """`name`, changed if there is one already or the format keeps it for itself."""
    number, candidate = 1, name
    while candidate in taken or candidate == "__metadata__":
        number += 1
        candidate = f"{name}#{number}"
    return candidate


def _write_atomically(path: Path, arrays: dict[str, Array], metadata: dict[str, str]) -> None:
    """Write a file of a temporary name in the same folder, then give it its name."""
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        os.close(handle)
        save_file(arrays, temporary, metadata)
        with open(temporary, "rb") as written:
            os.fsync(written.fileno())
        # mkstemp makes files that only their owner may read.
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except SafetensorError as error:
        os.unlink(temporary)
        raise FileFormatError(f"save: {path} could not be written: {error}") from error
    except BaseException:
        os.unlink(temporary)
        raise


def _umask() -> int:
    """The process's mask of file permissions, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


# -- loading ---------------------------------------------------------------------------------------
def load(path: Filename | BinaryIO, map_location: Any = None, *, weights_only: bool = True) -> Any:
    """Read what `save` wrote, or any safetensors file (a dictionary of names to tensors).

    `path` may also be an open file, which is read to its end.

    `map_location` and `weights_only` are PyTorch's; there is one place to load to, and never any
    code.

    Raises:
        FileNotFoundError: there is no such file.
        FileFormatError: it is no safetensors file, is damaged, or holds types unknown here.
    """
    if not isinstance(path, str | os.PathLike):
        # safetensors reads descriptions of the whole from files with a name only.
        with tempfile.TemporaryDirectory() as folder:
            copy = Path(folder) / "opened.safetensors"
            copy.write_bytes(path.read())
            return load(copy)
    name = os.fspath(path)
    _check_beginning(name)
    try:
        with safe_open(name, framework="np") as file:
            metadata = file.metadata() or {}
            tensors = {key: _tensor(name, key, file.get_tensor(key)) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, TypeError, AttributeError) as error:
        raise FileFormatError(f"load: {name} is no readable safetensors file: {error}") from error
    if _STRUCTURE not in metadata:
        return tensors
    try:
        return _decoded(json.loads(metadata[_STRUCTURE]), tensors)
    except (ValueError, KeyError, TypeError) as error:
        raise FileFormatError(f"load: {name}: its description is damaged: {error!r}") from error


def _check_beginning(name: str) -> None:
    """Raise FileFormatError for well-known formats, and OSError for what is no file."""
    with open(name, "rb") as file:
        beginning = file.read(8)
    if not beginning:
        raise FileFormatError(f"load: {name} is empty; it was perhaps cut off when it was written.")
    for magic, what in _OTHER_FORMATS.items():
        if beginning.startswith(magic) and not _may_be_header(name, beginning):
            raise FileFormatError(f"load: {name} is {what}.")


def _may_be_header(name: str, beginning: bytes) -> bool:
    """Whether the first 8 bytes can be the length of a safetensors header."""
    return int.from_bytes(beginning, "little") + 8 <= os.path.getsize(name)


def _tensor(file: str, name: str, array: Array) -> Tensor:
    if array.dtype not in _KNOWN:
        raise FileFormatError(
            f"load: {file}: {name} is {array.dtype}, a type that is not known here."
        )
    # Copied, so that the tensor is the only owner and in-place updates stay lazy.
    return tensor(array)


def _decoded(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    """The opposite of `_encoded`."""
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    return _DECODERS[kind](content, tensors)


_DECODERS = {
    "tensor": lambda name, tensors: tensors[name],
    "dtype": lambda name, tensors: by_name(name),
    "dict": lambda pairs, tensors: {key: _decoded(value, tensors) for key, value in pairs},
    "list": lambda entries, tensors: [_decoded(entry, tensors) for entry in entries],
    "tuple": lambda entries, tensors: tuple(_decoded(entry, tensors) for entry in entries),
}
