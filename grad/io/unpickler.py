"""A pickle machine that builds data and runs no code.

A pickle is a program for a small stack machine; `Unpickler` is that machine, with the instructions
that describe data. Where Python's own one imports whatever the file names, this one asks a `find`
function, which knows a short list of names (`allowed.py`); what it gives is a `Builder`, one of our
functions that check their arguments, or a plain value. Nothing else can be called. Instructions
that only serve other ends (INST, OBJ, EXT, numbers as text) are refused.

Memory is bounded by the size of the file: every string is checked against what is left of it
before it is read, the memo is a dictionary, and builders that copy pay from `budget`. Keys of
dictionaries pay for what is hashed, which cannot take for ever. Nothing recurses, and no message
shows an object of the file that has not been checked: its text might be endless.
"""

from __future__ import annotations

import pickle
import struct
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, BinaryIO

from grad.device import Device
from grad.dtype import DType
from grad.errors import FileFormatError, TruncatedFileError, UnsafeFileError
from grad.nn.parameter import Parameter
from grad.tensor import Tensor
from grad.utils.size import Size

# Strings and bytes keep their hash, and that of tensors is their identity.
_QUICK_KEYS = (
    *(int, float, complex, bool, str, bytes, type(None)),
    *(DType, Device, Tensor, Parameter),
)
_LONGEST_NAME = 1000
_DEEPEST_KEY = 100  # hashing recurses
_HIGHEST_PROTOCOL = 5
_FREE_COPIES = 1 << 20
_MARK = object()


@dataclass(frozen=True, slots=True, eq=False)
class Builder:
    """A function of ours that the file may have called under the name `name`.

    Not callable itself, so that one that gets into the result is of no use.
    """

    name: str
    build: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class World:
    """What a pickle can refer to outside itself.

    Attributes:
        find: the Builder or the value for a module's name and a name in it; raises UnsafeFileError.
        load_persistent: the object for a persistent id: a storage.
        is_trusted: whether an object that `find` gave is one of the user's, who allows it to run.
    """

    find: Callable[[str, str], Any]
    load_persistent: Callable[[Any], Any]
    is_trusted: Callable[[Any], bool] = lambda value: False


class Unpickler:
    """The machine, at the start of a pickle in `stream` of which `size` bytes are left.

    Attributes:
        left: bytes of the stream that have not been read. world: what the pickle can refer to.
    """

    def __init__(self, stream: BinaryIO, size: int, world: World) -> None:
        self._stream = stream
        self.world = world
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}
        self.left = size
        self.budget = 4 * size + _FREE_COPIES

    def load(self) -> Any:
        """Run the pickle to its end and return what it makes.

        Raises:
            UnsafeFileError: it names code, or has an instruction that is not for data.
            TruncatedFileError: the file ends first. FileFormatError: it makes no sense.
        """
        steps = _STEPS
        try:
            while True:
                code = self.read(1)[0]
                if code == _STOP:
                    return self.pop()
                step = steps.get(code)
                if step is None:
                    raise UnsafeFileError(
                        f"its pickle has the instruction {bytes([code])!r}, which is not for data."
                    )
                step(self)
        except FileFormatError:
            raise
        except (TypeError, ValueError, LookupError, AttributeError, OverflowError) as error:
            raise FileFormatError(f"its pickle is damaged: {error!r}.") from error

    def read(self, count: int) -> bytes:
        """The next `count` bytes."""
        if count > self.left:
            raise TruncatedFileError("its pickle is cut off.")
        self.left -= count
        data = self._stream.read(count)
        if len(data) != count:
            raise TruncatedFileError("it became shorter while it was read.")
        return data

    def number(self, layout: str) -> int:
        """The next number, in the layout of `struct`."""
        return struct.unpack(layout, self.read(struct.calcsize(layout)))[0]

    def line(self) -> str:
        """The next line."""
        data = self._stream.readline(min(self.left, _LONGEST_NAME))
        self.left -= len(data)
        if not data.endswith(b"\n"):
            raise TruncatedFileError("a name in its pickle has no end.")
        return data[:-1].decode()

    def pay(self, count: int) -> None:
        """Account for a copy of `count` bytes or entries, so that copies of copies have an end."""
        self.budget -= count
        if self.budget < 0:
            raise UnsafeFileError("its pickle would take far more memory than it is long.")

    # -- the stack ---------------------------------------------------------------------------------
    def push(self, value: Any) -> None:
        self._stack.append(value)

    def pop(self) -> Any:
        value = self._stack.pop()
        if value is _MARK:
            raise ValueError("a value is missing")
        return value

    def pop_many(self, count: int) -> tuple[Any, ...]:
        """The last `count` values, the last one last."""
        return tuple([self.pop() for _ in range(count)][::-1])

    def pop_to_mark(self) -> list[Any]:
        stack, position = self._stack, len(self._stack) - 1
        while stack[position] is not _MARK:
            position -= 1
            if position < 0:
                raise ValueError("a mark is missing")
        values = stack[position + 1 :]
        del stack[position:]
        return values

    @property
    def top(self) -> Any:
        return self._stack[-1]

    # -- steps that need more than the stack -------------------------------------------------------
    def remember(self, index: int) -> None:
        if self.top is _MARK:
            raise ValueError("a mark cannot be remembered")
        self._memo[index] = self.top

    def recall(self, index: int) -> None:
        self.push(self._memo[index])

    def remember_next(self) -> None:
        self.remember(len(self._memo))

    def find(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str:
            raise UnsafeFileError("its pickle names code by something that is no name.")
        self.push(self.world.find(module, name))

    def persistent(self) -> None:
        self.push(self.world.load_persistent(self.pop()))

    def call(self) -> None:
        """REDUCE: call a builder, or what the user trusts, with a tuple of arguments."""
        function, arguments = self.pop_many(2)
        if type(arguments) is not tuple:
            raise TypeError("arguments are no tuple")
        if isinstance(function, Builder):
            self.push(function.build(self, *arguments))
        elif self.world.is_trusted(function):
            self.push(function(*arguments))
        else:
            raise UnsafeFileError(f"its pickle calls a {type(function).__name__}.")

    def new_object(self, with_names: bool) -> None:
        """NEWOBJ, NEWOBJ_EX: an instance of a class that the user trusts."""
        names = self.pop() if with_names else {}
        kind, arguments = self.pop_many(2)
        if isinstance(kind, Builder) and not names:
            self.push(kind.build(self, *arguments))
        elif isinstance(kind, type) and self.world.is_trusted(kind):
            self.push(kind.__new__(kind, *arguments, **names))
        else:
            raise UnsafeFileError("its pickle makes an object of a class that is not allowed.")

    def set_state(self) -> None:
        """BUILD: the attributes of an ordered dictionary, or of an object of a trusted class."""
        state = self.pop()
        target = self.top
        if type(target) is OrderedDict:
            for name in state:
                if type(name) is not str or hasattr(OrderedDict, name):
                    raise UnsafeFileError(
                        "its pickle sets attributes of a dictionary that are methods."
                    )
            target.__dict__.update(state)
        elif self.world.is_trusted(type(target)):
            _restore(target, state)
        else:
            raise UnsafeFileError(f"its pickle sets attributes of a {type(target).__name__}.")


def _restore(target: Any, state: Any) -> None:
    """Give an object of a trusted class its state, as Python's own machine does."""
    if hasattr(target, "__setstate__"):
        target.__setstate__(state)
        return
    for part in state if type(state) is tuple else (state,):  # attributes, and slots
        for name, value in (part or {}).items():
            object.__setattr__(target, name, value)


def checked_key(machine: Unpickler, key: Any) -> Any:
    """`key`, which may be a key of a dictionary or an element of a set: what is hashed is paid."""
    is_trusted = machine.world.is_trusted
    parts = [(key, 0)]
    while parts:
        part, depth = parts.pop()
        kind = type(part)
        machine.pay(1 + part.bit_length() // 8 if kind is int else 1)
        if kind in (tuple, Size) or (isinstance(part, tuple) and is_trusted(kind)):
            if depth == _DEEPEST_KEY:
                raise FileFormatError("a key in its pickle is nested too deeply.")
            machine.pay(len(part))
            parts.extend([(inner, depth + 1) for inner in part])
        elif kind not in _QUICK_KEYS and not is_trusted(kind) and not is_trusted(part):
            raise FileFormatError(f"a key in its pickle is a {kind.__name__}.")
    return key


def _extend(machine: Unpickler, values: list[Any]) -> None:
    target = machine.top
    if type(target) is not list and not machine.world.is_trusted(type(target)):
        raise TypeError(f"a {type(target).__name__} is extended")
    target.extend(values)


def _set_items(machine: Unpickler, values: list[Any]) -> None:
    target = machine.top
    if not isinstance(target, dict):
        raise TypeError(f"items of a {type(target).__name__} are set")
    if len(values) % 2:
        raise ValueError("a key has no value")
    for key, value in zip(values[::2], values[1::2]):
        target[checked_key(machine, key)] = value


def _add_elements(machine: Unpickler, values: list[Any]) -> None:
    target = machine.top
    if type(target) is not set:
        raise TypeError(f"elements are added to a {type(target).__name__}")
    target.update([checked_key(machine, value) for value in values])


def _text(layout: str) -> Callable[[Unpickler], None]:
    return lambda m: m.push(m.read(m.number(layout)).decode("utf-8", "surrogatepass"))


def _bytes(layout: str) -> Callable[[Unpickler], None]:
    return lambda m: m.push(m.read(m.number(layout)))


def _long(layout: str) -> Callable[[Unpickler], None]:
    def step(m: Unpickler) -> None:
        count = m.number(layout)
        if count < 0:
            raise ValueError("a negative length")
        m.push(int.from_bytes(m.read(count), "little", signed=True))

    return step


def _protocol(machine: Unpickler) -> None:
    version = machine.number("<B")
    if version > _HIGHEST_PROTOCOL:
        raise FileFormatError(f"its pickle has protocol {version}, which is not known.")


def _fixed(make: Callable[[], Any]) -> Callable[[Unpickler], None]:
    return lambda m: m.push(make())


def _frozen(machine: Unpickler) -> None:
    machine.push(frozenset([checked_key(machine, value) for value in machine.pop_to_mark()]))


_STOP = pickle.STOP[0]
_STEPS: dict[int, Callable[[Unpickler], Any]] = {
    code[0]: step
    for code, step in {
        pickle.PROTO: _protocol,
        pickle.FRAME: lambda m: m.number("<Q"),
        pickle.NONE: _fixed(lambda: None),
        pickle.NEWTRUE: _fixed(lambda: True),
        pickle.NEWFALSE: _fixed(lambda: False),
        pickle.BININT: lambda m: m.push(m.number("<i")),
        pickle.BININT1: lambda m: m.push(m.number("<B")),
        pickle.BININT2: lambda m: m.push(m.number("<H")),
        pickle.LONG1: _long("<B"),
        pickle.LONG4: _long("<i"),
        pickle.BINFLOAT: lambda m: m.push(m.number(">d")),
        pickle.SHORT_BINUNICODE: _text("<B"),
        pickle.BINUNICODE: _text("<I"),
        pickle.BINUNICODE8: _text("<Q"),
        pickle.SHORT_BINBYTES: _bytes("<B"),
        pickle.BINBYTES: _bytes("<I"),
        pickle.BINBYTES8: _bytes("<Q"),
        pickle.BYTEARRAY8: lambda m: m.push(bytearray(m.read(m.number("<Q")))),
        pickle.EMPTY_TUPLE: _fixed(tuple),
        pickle.EMPTY_LIST: _fixed(list),
        pickle.EMPTY_DICT: _fixed(dict),
        pickle.EMPTY_SET: _fixed(set),
        pickle.MARK: lambda m: m.push(_MARK),
        pickle.POP: lambda m: m.pop(),
        pickle.POP_MARK: lambda m: m.pop_to_mark(),
        pickle.DUP: lambda m: m.push(m.top),
        pickle.TUPLE: lambda m: m.push(tuple(m.pop_to_mark())),
        pickle.TUPLE1: lambda m: m.push(m.pop_many(1)),
        pickle.TUPLE2: lambda m: m.push(m.pop_many(2)),
        pickle.TUPLE3: lambda m: m.push(m.pop_many(3)),
        pickle.LIST: lambda m: m.push(m.pop_to_mark()),
        pickle.FROZENSET: _frozen,
        pickle.APPEND: lambda m: _extend(m, [m.pop()]),
        pickle.APPENDS: lambda m: _extend(m, m.pop_to_mark()),
        pickle.SETITEM: lambda m: _set_items(m, list(m.pop_many(2))),
        pickle.SETITEMS: lambda m: _set_items(m, m.pop_to_mark()),
        pickle.ADDITEMS: lambda m: _add_elements(m, m.pop_to_mark()),
        pickle.BINPUT: lambda m: m.remember(m.number("<B")),
        pickle.LONG_BINPUT: lambda m: m.remember(m.number("<I")),
        pickle.MEMOIZE: lambda m: m.remember_next(),
        pickle.BINGET: lambda m: m.recall(m.number("<B")),
        pickle.LONG_BINGET: lambda m: m.recall(m.number("<I")),
        pickle.GLOBAL: lambda m: m.find(m.line(), m.line()),
        pickle.STACK_GLOBAL: lambda m: m.find(*m.pop_many(2)),
        pickle.BINPERSID: lambda m: m.persistent(),
        pickle.REDUCE: lambda m: m.call(),
        pickle.NEWOBJ: lambda m: m.new_object(False),
        pickle.NEWOBJ_EX: lambda m: m.new_object(True),
        pickle.BUILD: lambda m: m.set_state(),
    }.items()
}
