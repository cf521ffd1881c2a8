"""Objects as the pickles that ``torch.load(weights_only=True)`` reads: `Pickler`.

It writes protocol 2, which is what PyTorch writes, and names PyTorch's functions, none of which
need be there: Python's own pickler only writes names that it can import. The other direction is
`unpickler.py`. `_WRITERS` has a row for each type that can be written.
"""

from __future__ import annotations

import pickle
import struct
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from copyreg import __newobj__  # type: ignore[attr-defined]
from typing import Any

from grad.device import Device
from grad.dtype import DType
from grad.errors import FileFormatError
from grad.io.safe_globals import is_safe, name_of
from grad.io.structure import cannot_be_saved, joined
from grad.tensor import Tensor
from grad.utils.size import Size

_MORE = "bytes, complex numbers, sets, devices, classes declared safe, "


class Pickler:
    """Writes one object.

    Args:
        write_tensor: called with this and a tensor; writes it by `reduce` and `persistent`.
    """

    def __init__(self, write_tensor: Callable[[Pickler, Tensor], None]) -> None:
        self._parts: list[bytes] = [pickle.PROTO + b"\x02"]
        self._write_tensor = write_tensor
        self._numbers: dict[Any, int] = {}
        # Objects are known by their identity, so they must live as long as the pickler.
        self._kept: list[Any] = []

    def dump(self, obj: Any) -> bytes:
        """The pickle of `obj`.

        Raises:
            FileFormatError: it contains what cannot be saved, or is nested too deeply.
        """
        try:
            self.write(obj, "")
        except RecursionError:
            raise FileFormatError("save: the object is nested too deeply.") from None
        return b"".join([*self._parts, pickle.STOP])

    def emit(self, *parts: bytes) -> None:
        self._parts += parts

    def write(self, obj: Any, where: str) -> None:
        """Write `obj`, found at `where` in the whole."""
        writer = _WRITERS.get(type(obj))
        if writer is None:
            writer = _writer_for(obj)
            if writer is None:
                raise cannot_be_saved(obj, where, _MORE)
        if writer in _SIMPLE or not self._written_before(id(obj)):
            writer(self, obj, where)

    def _written_before(self, key: Any) -> bool:
        """Refer to what was written under `key`, if anything was."""
        number = self._numbers.get(key)
        if number is None:
            return False
        wide = number > 255
        self.emit(pickle.LONG_BINGET if wide else pickle.BINGET, _index(number))
        return True

    def remember(self, key: Any, obj: Any = None) -> None:
        """Let what was just written be referred to by `key`."""
        number = self._numbers[key] = len(self._numbers)
        self._kept.append(obj)
        self.emit(pickle.LONG_BINPUT if number > 255 else pickle.BINPUT, _index(number))

    def name(self, module: str, name: str) -> None:
        """Write a reference to a function or class by its name."""
        key = (module, name)
        if not self._written_before(key):
            self.emit(pickle.GLOBAL, f"{module}\n{name}\n".encode())
            self.remember(key)

    def text(self, text: str) -> None:
        """Write a string; the same text is written once."""
        if self._written_before(text):
            return
        data = text.encode("utf-8", "surrogatepass")
        self.emit(pickle.BINUNICODE, struct.pack("<I", len(data)), data)
        self.remember(text)

    def write_tuple(self, entries: tuple[Any, ...], where: str = "", key: Any = None) -> None:
        """Write a tuple, which is referred to by `key` afterwards unless that is None."""
        self.emit(pickle.MARK)
        for number, entry in enumerate(entries):
            self.write(entry, joined(where, number))
        if key in self._numbers:  # it contains itself, and was written as a part of that
            self.emit(pickle.POP_MARK)
            self._written_before(key)
            return
        self.emit(pickle.TUPLE)
        if key is not None:
            self.remember(key, entries)

    def reduce(self, module: str, name: str, arguments: tuple[Any, ...], where: str = "") -> None:
        """Write the call of a function by name. An argument may be a function that writes it."""
        self.name(module, name)
        self.emit(pickle.MARK)
        for argument in arguments:
            argument() if callable(argument) else self.write(argument, where)
        self.emit(pickle.TUPLE, pickle.REDUCE)

    def persistent(self, identity: tuple[Any, ...]) -> None:
        """Write a reference to something outside the pickle; as in `reduce`."""
        self.emit(pickle.MARK)
        for entry in identity:
            entry() if callable(entry) else self.write(entry, "")
        self.emit(pickle.TUPLE, pickle.BINPERSID)

    def tensor(self, tensor: Tensor) -> None:
        self._write_tensor(self, tensor)


def _index(number: int) -> bytes:
    return struct.pack("<I" if number > 255 else "<B", number)


# -- a function for each type ----------------------------------------------------------------------
def _none(pickler: Pickler, obj: None, where: str) -> None:
    pickler.emit(pickle.NONE)


def _bool(pickler: Pickler, obj: bool, where: str) -> None:
    pickler.emit(pickle.NEWTRUE if obj else pickle.NEWFALSE)


def _int(pickler: Pickler, obj: int, where: str) -> None:
    if 0 <= obj < 256:
        pickler.emit(pickle.BININT1, struct.pack("<B", obj))
    elif 0 <= obj < 65536:
        pickler.emit(pickle.BININT2, struct.pack("<H", obj))
    elif -(2**31) <= obj < 2**31:
        pickler.emit(pickle.BININT, struct.pack("<i", obj))
    else:
        data = pickle.encode_long(obj)
        short = len(data) < 256
        length = struct.pack("<B" if short else "<i", len(data))
        pickler.emit(pickle.LONG1 if short else pickle.LONG4, length, data)


def _float(pickler: Pickler, obj: float, where: str) -> None:
    pickler.emit(pickle.BINFLOAT, struct.pack(">d", obj))


def _str(pickler: Pickler, obj: str, where: str) -> None:
    pickler.text(obj)


def _bytes(pickler: Pickler, obj: bytes, where: str) -> None:
    pickler.reduce("_codecs", "encode", (obj.decode("latin1"), "latin1"))
    pickler.remember(id(obj), obj)


def _bytearray(pickler: Pickler, obj: bytearray, where: str) -> None:
    pickler.reduce("__builtin__", "bytearray", (obj.decode("latin1"), "latin-1"))
    pickler.remember(id(obj), obj)


def _complex(pickler: Pickler, obj: complex, where: str) -> None:
    pickler.reduce("__builtin__", "complex", (obj.real, obj.imag))
    pickler.remember(id(obj), obj)


def _tuple(pickler: Pickler, obj: tuple[Any, ...], where: str) -> None:
    if not obj:
        pickler.emit(pickle.EMPTY_TUPLE)
        return
    pickler.write_tuple(obj, where, id(obj))


def _size(pickler: Pickler, obj: Size, where: str) -> None:
    pickler.reduce("torch", "Size", (tuple(obj),))
    pickler.remember(id(obj), obj)


def _list(pickler: Pickler, obj: list[Any], where: str) -> None:
    pickler.emit(pickle.EMPTY_LIST)
    pickler.remember(id(obj), obj)
    _entries(pickler, obj, where)


def _entries(pickler: Pickler, entries: Iterable[Any], where: str) -> None:
    pickler.emit(pickle.MARK)
    for number, entry in enumerate(entries):
        pickler.write(entry, joined(where, number))
    pickler.emit(pickle.APPENDS)


def _mapping(pickler: Pickler, obj: Mapping[Any, Any], where: str) -> None:
    pickler.emit(pickle.EMPTY_DICT)
    pickler.remember(id(obj), obj)
    _items(pickler, obj.items(), where)


def _items(pickler: Pickler, items: Iterable[tuple[Any, Any]], where: str) -> None:
    pickler.emit(pickle.MARK)
    for key, value in items:
        pickler.write(key, f"a key in {where or 'the object'}")
        pickler.write(value, joined(where, key))
    pickler.emit(pickle.SETITEMS)


def _ordered_dict(pickler: Pickler, obj: OrderedDict[Any, Any], where: str) -> None:
    pickler.reduce("collections", "OrderedDict", ())
    pickler.remember(id(obj), obj)
    _items(pickler, obj.items(), where)
    if vars(obj):  # PyTorch keeps versions of modules in the attribute _metadata
        pickler.write(dict(vars(obj)), where)
        pickler.emit(pickle.BUILD)


def _counter(pickler: Pickler, obj: Counter[Any], where: str) -> None:
    pickler.reduce("collections", "Counter", (dict(obj),), where)
    pickler.remember(id(obj), obj)


def _set(pickler: Pickler, obj: set[Any], where: str) -> None:
    pickler.reduce("__builtin__", "set", (list(obj),), where)
    pickler.remember(id(obj), obj)


def _dtype(pickler: Pickler, obj: DType, where: str) -> None:
    pickler.name("torch", obj.name)


def _device(pickler: Pickler, obj: Device, where: str) -> None:
    pickler.reduce("torch", "device", (obj.type,) if obj.index is None else (obj.type, obj.index))
    pickler.remember(id(obj), obj)


def _tensor(pickler: Pickler, obj: Tensor, where: str) -> None:
    pickler.tensor(obj)
    pickler.remember(id(obj), obj)


def _safe_global(pickler: Pickler, obj: Any, where: str) -> None:
    name = name_of(obj)
    assert name is not None
    pickler.name(*name)


def _safe_object(pickler: Pickler, obj: Any, where: str) -> None:
    """An object of a class that is declared safe: the way in which it reduces itself."""
    function, arguments, *rest = obj.__reduce_ex__(2)
    state, entries, items = (*rest, None, None, None)[:3]
    is_new = function is __newobj__
    if is_new:
        function, arguments = arguments[0], arguments[1:]
    if not is_safe(function):
        raise cannot_be_saved(function, where, _MORE)
    _safe_global(pickler, function, where)
    pickler.write_tuple(arguments, where)
    pickler.emit(pickle.NEWOBJ if is_new else pickle.REDUCE)
    pickler.remember(id(obj), obj)
    if entries is not None:
        _entries(pickler, entries, where)
    if items is not None:
        _items(pickler, items, where)
    if state is not None:
        pickler.write(state, where)
        pickler.emit(pickle.BUILD)


_WRITERS: dict[type, Callable[[Pickler, Any, str], None]] = {
    type(None): _none,
    bool: _bool,
    int: _int,
    float: _float,
    str: _str,
    bytes: _bytes,
    bytearray: _bytearray,
    complex: _complex,
    tuple: _tuple,
    Size: _size,
    list: _list,
    dict: _mapping,
    OrderedDict: _ordered_dict,
    Counter: _counter,
    set: _set,
    DType: _dtype,
    Device: _device,
}
# Written anew each time, or remembered by what they are.
_SIMPLE = (_none, _bool, _int, _float, _str, _dtype, _safe_global)


def _writer_for(obj: Any) -> Callable[[Pickler, Any, str], None] | None:
    """The function for an object of none of the types in the table, if there is one."""
    if isinstance(obj, Tensor):
        return _tensor
    if is_safe(obj):
        return _safe_global
    if is_safe(type(obj)) or is_safe(_maker(obj)):
        return _safe_object
    # Any other mapping becomes a dictionary: a defaultdict, say, whose default is code.
    return _mapping if isinstance(obj, Mapping) else None


def _maker(obj: Any) -> Any:
    """The function that makes `obj` when it is unpickled, or None: NumPy's `scalar`, say."""
    with suppress(Exception):  # whatever an object that cannot be pickled raises
        return obj.__reduce_ex__(2)[0]
    return None
