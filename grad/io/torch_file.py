"""PyTorch's own files, both ways: an archive with a pickle and a record for each piece of memory.

The pickle (``data.pkl``) describes the object; where a tensor is, it refers to a storage by a key,
whose bytes are the record ``data/KEY``. Tensors that share memory refer to one storage. What may be
in the pickle is the business of `pickler.py` and `unpickler.py`; files written before PyTorch 1.6
are read by `legacy.py`.
"""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from functools import partial
from io import BytesIO
from typing import Any

import numpy as np

from grad.engine import realize
from grad.errors import FileFormatError
from grad.io import archive
from grad.io.allowed import STORAGES, StorageKind
from grad.io.archive import Records
from grad.io.locations import MapLocation, check_location
from grad.io.pickler import Pickler
from grad.io.safe_globals import find, is_safe
from grad.io.source import Source
from grad.io.tensors import Described, Memory, described, refuse_bare
from grad.io.unpickler import Unpickler, World
from grad.nn.parameter import Parameter
from grad.tensor import Tensor

_VERSION = b"3\n"


# -- writing ---------------------------------------------------------------------------------------
class _Storages:
    """The pieces of memory of a file that is written, numbered as they are met."""

    def __init__(self) -> None:
        self.memories: list[np.ndarray[Any, Any]] = []
        self._numbers: dict[int, int] = {}
        self._kept: list[Any] = []

    def number(self, tensor: Described) -> int:
        number = self._numbers.get(id(tensor.key))
        if number is None:
            number = self._numbers[id(tensor.key)] = len(self.memories)
            self.memories.append(tensor.memory)
            self._kept.append(tensor.key)
        return number

    def write_tensor(self, pickler: Pickler, tensor: Tensor) -> None:
        """Write how to make the tensor of its storage."""
        data = partial(self._write_data, pickler, tensor)
        attributes = tensor.__dict__
        if isinstance(tensor, Parameter):
            name = "_rebuild_parameter_with_state" if attributes else "_rebuild_parameter"
            state = (dict(attributes),) if attributes else ()
            arguments = (data, tensor.requires_grad, OrderedDict(), *state)
            pickler.reduce("torch._utils", name, arguments)
        elif attributes:
            function, rest = self._reduced(pickler, tensor)
            arguments = (
                partial(pickler.name, "torch._utils", function),
                partial(pickler.name, "torch", "Tensor"),
                rest,
                dict(attributes),
            )
            pickler.reduce("torch._tensor", "_rebuild_from_type_v2", arguments)
        else:
            data()

    def _write_data(self, pickler: Pickler, tensor: Tensor) -> None:
        function, arguments = self._reduced(pickler, tensor)
        pickler.name("torch._utils", function)
        arguments()
        pickler.emit(b"R")

    def _reduced(self, pickler: Pickler, tensor: Tensor) -> tuple[str, Any]:
        """The function that makes the tensor, and what writes its arguments."""
        data = described(tensor)
        name = STORAGES.get(tensor.dtype)
        kind = ("torch", name) if name else ("torch.storage", "UntypedStorage")
        itemsize = tensor.dtype.itemsize if name else 1
        key, count = str(self.number(data)), data.memory.nbytes // itemsize
        needs_grad = tensor.requires_grad and not isinstance(tensor, Parameter)

        def arguments() -> None:
            pickler.emit(b"(")
            pickler.persistent(("storage", partial(pickler.name, *kind), key, "cpu", count))
            layout = data.layout
            facts: tuple[Any, ...] = (
                layout.offset,
                tuple(layout.shape),
                layout.strides,
                needs_grad,
            )
            for fact in (*facts, OrderedDict()):
                pickler.write(fact, "")
            if not name:
                pickler.name("torch", tensor.dtype.name)
            pickler.emit(b"t")

        return "_rebuild_tensor_v2" if name else "_rebuild_tensor_v3", arguments


def contents(obj: Any) -> list[tuple[str, Any]]:
    """The records of an archive that holds `obj`: names and bytes.

    Raises:
        FileFormatError: it contains something that such files cannot hold.
    """
    realize([tensor._storage.node for tensor in _tensors(obj)])
    storages = _Storages()
    data = Pickler(storages.write_tensor).dump(obj)
    return [
        ("data.pkl", data),
        ("byteorder", sys.byteorder.encode()),
        *((f"data/{number}", memory) for number, memory in enumerate(storages.memories)),
        ("version", _VERSION),
    ]


def _tensors(obj: Any) -> Iterator[Tensor]:
    """The tensors in the containers of `obj`, to be computed together."""
    seen: set[int] = set()
    stack = [obj]
    while stack:
        value = stack.pop()
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, Mapping | list | tuple) and id(value) not in seen:
            seen.add(id(value))
            stack.extend(value.values() if isinstance(value, Mapping) else value)


# -- reading ---------------------------------------------------------------------------------------
class _Loader:
    """Gives the pickle of an archive its storages, each read once."""

    def __init__(self, source: Source, records: Records, map_location: MapLocation) -> None:
        self._source = source
        self._records = records
        self._map_location = map_location
        self._memories: dict[str, tuple[StorageKind, int, Memory]] = {}
        order = records.read("byteorder").decode("latin1") if "byteorder" in records else "little"
        self._swapped = order != sys.byteorder
        if order not in ("little", "big") or (self._swapped and source.is_mapped):
            raise source.fail(f"numbers in byte order {order!r} cannot be mapped.")

    def load(self, identity: Any) -> Memory:
        kind, key, location, count = storage_identity(identity)
        if key not in self._memories:
            check_location(location, count * kind.itemsize, self._map_location)
            memory = self._read(f"data/{key}", kind, count)
            self._memories[key] = kind, count, memory
        known, known_count, memory = self._memories[key]
        if (known, known_count) != (kind, count):
            raise FileFormatError(f"the storage {key!r} is described in two ways.")
        memory.references += 1
        return memory

    def finish(self) -> None:
        """Raise FileFormatError for storages that are there without a tensor."""
        refuse_bare(memory for _, _, memory in self._memories.values())

    def _read(self, record: str, kind: StorageKind, count: int) -> Memory:
        # Elements of an untyped storage are of at most 8 bytes.
        alignment = 8 if kind.dtype is None else kind.itemsize
        buffer = self._records.buffer(record, count * kind.itemsize, alignment)
        if self._swapped:
            if kind.dtype is None:
                raise FileFormatError("it has an untyped storage in another byte order.")
            array = buffer.numpy(kind.dtype.numpy, (count,), (kind.itemsize,))
            array.byteswap(inplace=True)
        return Memory(buffer, kind.dtype)


def storage_identity(identity: Any) -> tuple[StorageKind, str, str, int]:
    """Kind, key, location and number of elements of the storage that a pickle refers to."""
    if type(identity) is not tuple or len(identity) not in (5, 6) or identity[0] != "storage":
        raise FileFormatError("it refers to something outside that is no storage.")
    kind, key, location, count, *view = identity[1:]
    if any(part is not None for part in view):
        raise FileFormatError("it has storages that are views of others, as before PyTorch 0.4.")
    if (
        not isinstance(kind, StorageKind)
        or (type(key), type(location)) != (str, str)
        or type(count) is not int
        or count < 0
    ):
        raise FileFormatError("it refers to a storage that makes no sense.")
    return kind, key, location, count


def read(source: Source, map_location: MapLocation) -> Any:
    """The object in an archive.

    Raises:
        FileFormatError: the archive is damaged, or holds what there is not here.
        UnsafeFileError: it names code. DeviceError: it wants a device that there is not.
    """
    records = Records(source)
    if archive.is_script(records):
        raise archive.fail_for_script(source)
    data = records.read("data.pkl")
    loader = _Loader(source, records, map_location)
    found = Unpickler(BytesIO(data), len(data), World(find, loader.load, is_safe)).load()
    loader.finish()
    return found
