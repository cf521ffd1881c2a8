"""What a recorded function took for granted, and whether it still holds.

A function's Python runs once, so whatever it reads besides its arguments must be the same at each
replay: closure cells, globals, defaults, attributes of objects and modules, lengths and items of
containers, which tensors there are. `collect` follows these from the function's code: an
attribute or global counts when some code within reach mentions its name; of a `Module` everything
counts. `Guards.broken` compares all of it with what it was. Code of the standard library, NumPy and
of this library is trusted not to change; an object may say itself what matters with
`_compile_guards`. What a function writes is among what it reads: one that counts its calls is never
replayed.
"""

from __future__ import annotations

import dis
import functools
import sys
import types
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from grad.autograd.variable import Variable
from grad.compile.tree import CONSTANTS, constant_key
from grad.device import open_backend
from grad.ops.generator import Generator
from grad.runtime.comparisons import MISSING, Comparison, FirstDifference, Sort, content
from grad.settings import settings

# So many times the rows are written down anew, with equal values that are other objects.
MOST_TABLES = 16
# More than this is no function that one replays.
LIMIT = 50_000
SMALL_ARRAY_BYTES = 1 << 16
_TRUSTED = sys.stdlib_module_names | {"grad", "numpy", "ml_dtypes"}
_ALWAYS_CALLED = frozenset(("forward", "__call__"))
_UNSTEADY_MODULES = frozenset(("random", "secrets", "time"))
_WRITES = frozenset(("STORE_ATTR", "DELETE_ATTR", "STORE_GLOBAL", "DELETE_GLOBAL"))
_READS = frozenset(("LOAD_GLOBAL", "LOAD_NAME", "STORE_GLOBAL", "DELETE_GLOBAL"))


class Unguarded(Exception):
    """The function depends on something whose changes cannot be seen; says on what."""


class Guards:
    """The comparisons, by kind.

    Attributes:
        items: (dictionary, key, value). cells: (cell, value). entries: (sequence, index, value).
        aspects: (dictionary, key, aspect, what the aspect was).
        lengths: (container, length). tensors: (tensor, storage, requires_grad, hooks).
        snapshots: (function, what it gave).
    """

    __slots__ = (
        "_first_difference",
        "_made",
        "aspects",
        "cells",
        "entries",
        "items",
        "lengths",
        "snapshots",
        "tensors",
    )

    def __init__(self) -> None:
        self._first_difference: FirstDifference | None = None
        self._made = 0
        self.items: list[tuple[dict[Any, Any], Any, Any]] = []
        self.aspects: list[tuple[dict[Any, Any], Any, Callable[[Any], Any], Any]] = []
        self.cells: list[tuple[Any, Any]] = []
        self.entries: list[tuple[Any, int, Any]] = []
        self.lengths: list[tuple[Any, int]] = []
        self.tensors: list[tuple[Any, Any, bool, Any]] = []
        self.snapshots: list[tuple[Callable[[], Any], Any]] = []

    def broken(self) -> str | None:
        """What is no longer as it was, or None."""
        compare = self._first_difference
        if compare is None or compare() >= 0:
            changed = next(self._changes(), None)
            if changed is not None:
                return changed.what
            # Equal, if not all the same: from now on these are what the next time should find.
            if self._made < MOST_TABLES:
                self._made += 1
                rows = [*self._rows()]
                self._first_difference = open_backend(settings.backend).first_difference(rows)
        for function, value in self.snapshots:
            if function() != value:
                return "an object, a class or an array has changed"
        return None

    def _rows(self) -> Iterator[Comparison]:
        """All but the snapshots, as they are now."""
        for dictionary, key, _ in self.items:
            yield Comparison(Sort.ENTRY, dictionary, key, dictionary.get(key, MISSING))
        for dictionary, key, _, _ in self.aspects:
            yield Comparison(Sort.ENTRY, dictionary, key, dictionary.get(key, MISSING))
        for cell, _ in self.cells:
            yield Comparison(Sort.CELL, cell, None, content(cell))
        for container, length in self.lengths:
            yield Comparison(Sort.LENGTH, container, None, length)
        for sequence, index, _ in self.entries:
            yield Comparison(Sort.ITEM, sequence, index, sequence[index])
        for tensor, storage, requires_grad, hooks in self.tensors:
            yield Comparison(Sort.ATTRIBUTE, tensor, "_storage", storage)
            yield Comparison(Sort.ATTRIBUTE, tensor, "_requires_grad", requires_grad)
            yield Comparison(Sort.ATTRIBUTE, tensor, "_hooks", hooks)

    def may_hold_again(self) -> bool:
        """Whether only numbers, texts and the like are others now, as when a module goes from
        training to evaluation: those come back, and keep no memory alive until then.
        """
        return all(change.returns for change in self._changes())

    def _changes(self) -> Iterator[_Change]:
        """What of all but the snapshots is no longer equal to what it was."""
        for dictionary, key, value in self.items:
            now = dictionary.get(key, MISSING)
            if now is not value and not _same(now, value):
                yield _Change(f"{key!r} has changed", _are_constants(now, value))
        for dictionary, key, aspect, value in self.aspects:
            if key not in dictionary or aspect(dictionary[key]) != value:
                yield _Change(f"{key!r} has changed", True)
        for cell, value in self.cells:
            now = content(cell)
            if now is not value and not _same(now, value):
                what = "a variable of an enclosing function has changed"
                yield _Change(what, _are_constants(now, value))
        for container, length in self.lengths:
            if len(container) != length:
                yield _Change(f"the length of a {type(container).__name__} has changed", True)
        for sequence, index, value in self.entries:
            now = sequence[index] if index < len(sequence) else MISSING
            if now is not value and not _same(now, value):
                what = f"item {index} of a {type(sequence).__name__} has changed"
                yield _Change(what, _are_constants(now, value))
        for tensor, storage, requires_grad, hooks in self.tensors:
            if tensor._storage is not storage:
                yield _Change("a tensor has new memory", False)
            elif tensor._requires_grad is not requires_grad:
                yield _Change("requires_grad of a tensor has changed", True)
            elif tensor._hooks is not hooks:
                yield _Change("a tensor has got hooks", False)

    def item(self, dictionary: dict[Any, Any], key: Any) -> Any:
        """Guard what `dictionary` has at `key`; gives it."""
        value = dictionary.get(key, MISSING)
        self.items.append((dictionary, key, value))
        return value

    def aspect(self, dictionary: dict[Any, Any], key: Any, aspect: Callable[[Any], Any]) -> None:
        """Guard what `aspect` says of what `dictionary` has at `key` (whether it is zero, say);
        the value itself may change.
        """
        self.aspects.append((dictionary, key, aspect, aspect(dictionary[key])))

    def sequence(self, sequence: Sequence[Any]) -> None:
        """Guard which items a list, tuple or deque has."""
        self.lengths.append((sequence, len(sequence)))
        self.entries.extend((sequence, n, item) for n, item in enumerate(sequence))


class _Change(NamedTuple):
    """Something that is no longer as it was; `returns`: whether it may well be so again."""

    what: str
    returns: bool


def _are_constants(*values: Any) -> bool:
    return all(value is MISSING or isinstance(value, CONSTANTS) for value in values)


def _same(now: Any, value: Any) -> bool:
    """Whether two constants are equal and of one kind; other things are only themselves."""
    if type(now) is not type(value):
        return False
    if isinstance(now, types.MethodType):
        return now.__self__ is value.__self__ and now.__func__ is value.__func__
    if not isinstance(now, CONSTANTS):
        return False
    return repr(now) == repr(value) if isinstance(now, float | complex) else now == value


def collect(function: Any, others: Iterable[Any]) -> Guards:
    """What `function`, and the objects `others` among its arguments, depend on.

    Raises:
        Unguarded: on something that cannot be compared.
    """
    names: frozenset[str] = _ALWAYS_CALLED
    written: frozenset[str] = frozenset()
    while True:
        collector = _Collector(names, written)
        collector.run((function, *others))
        if collector.names == names and collector.names_written == written:
            return collector.guards
        names, written = frozenset(collector.names), frozenset(collector.names_written)


class _Collector:
    """One walk over what is in reach.

    Args:
        names: what code mentions, as far as it is known. written: what of it code assigns to.
    """

    def __init__(self, names: frozenset[str], written: frozenset[str]) -> None:
        self.known, self.written = names, written
        self.names, self.names_written = set(names), set(written)
        self.guards = Guards()
        self.seen: dict[int, Any] = {}
        self.waiting: deque[Any] = deque()

    def run(self, roots: Iterable[Any]) -> None:
        self.waiting.extend(roots)
        while self.waiting:
            value = self.waiting.popleft()
            if id(value) in self.seen or isinstance(value, CONSTANTS):
                continue
            if len(self.seen) > LIMIT:
                raise Unguarded(f"more than {LIMIT} objects are in its reach")
            self.seen[id(value)] = value
            self.look_at(value)

    def look_at(self, value: Any) -> None:
        if isinstance(value, Variable):
            hooks = value._hooks
            self.guards.tensors.append((value, value._storage, value._requires_grad, hooks))
            self.waiting.append(hooks)
        elif isinstance(value, types.FunctionType):
            self.look_at_function(value)
        elif isinstance(value, types.MethodType):
            self.waiting.extend((value.__self__, value.__func__))
        elif isinstance(value, functools.partial):
            self.waiting.extend((value.func, *value.args, *value.keywords.values()))
        elif isinstance(value, list | tuple | deque):
            self.guards.sequence(value)
            self.waiting.extend(value)
        elif isinstance(value, dict):
            self.guards.lengths.append((value, len(value)))
            self.look_at_items(value, value)
        elif isinstance(value, set) and value:
            self.guards.snapshots.append((lambda: set(value), set(value)))
        elif isinstance(value, set):
            self.guards.lengths.append((value, 0))
        elif isinstance(value, np.ndarray):
            self.look_at_array(value)
        elif isinstance(value, type):
            self.look_at_class(value)
        elif isinstance(value, types.ModuleType):
            self.look_at_module(value)
        elif hasattr(type(value), "__next__"):
            raise Unguarded(f"it draws from an iterator, a {type(value).__name__}")
        elif isinstance(value, types.BuiltinFunctionType):
            _require_steady(value.__module__)
            for base in type(value.__self__).__mro__:
                _require_steady(base.__module__)
        elif not isinstance(value, Generator):
            self.look_at_object(value)

    def look_at_items(self, dictionary: dict[Any, Any], keys: Iterable[Any]) -> None:
        """Guard the entries of `dictionary` under `keys`, and look at their values."""
        for key in keys:
            if key in dictionary:
                self.waiting.append(self.guards.item(dictionary, key))

    def look_at_function(self, function: types.FunctionType) -> None:
        _require_steady(function.__module__)
        if _is_trusted(function.__module__):
            # A decorator of the library around a function of the user's.
            if hasattr(function, "__wrapped__"):
                self.waiting.append(function.__wrapped__)
            return
        codes = [function.__code__]
        global_names: set[str] = set()
        while codes:
            code = codes.pop()
            self.names.update(code.co_names)
            for instruction in dis.get_instructions(code):
                if instruction.opname in _WRITES:
                    self.names_written.add(instruction.argval)
                if instruction.opname in _READS:
                    global_names.add(instruction.argval)
            codes.extend(c for c in code.co_consts if isinstance(c, types.CodeType))
        self.look_at_items(function.__globals__, sorted(global_names))
        for cell in function.__closure__ or ():
            value = content(cell)
            self.guards.cells.append((cell, value))
            self.waiting.append(value)
        self.waiting.extend(function.__defaults__ or ())
        self.waiting.extend((function.__kwdefaults__ or {}).values())

    def look_at_module(self, module: types.ModuleType) -> None:
        _require_steady(module.__name__)
        if module.__name__ == "numpy" and "random" in self.known:
            raise Unguarded("it may use NumPy's random numbers; use those of grad")
        if not _is_trusted(module.__name__):
            self.look_at_items(module.__dict__, self.known)

    def look_at_class(self, kind: type) -> None:
        """The methods and class attributes that code mentions, of all bases of the user's."""
        for base in kind.__mro__:
            if not _is_trusted(base.__module__):
                for name in self.known & base.__dict__.keys():
                    value = base.__dict__[name]
                    if isinstance(value, staticmethod | classmethod):
                        value = value.__func__
                    elif isinstance(value, property):
                        value = value.fget
                    self.waiting.append(value)
                    if isinstance(value, CONSTANTS):
                        read = functools.partial(getattr, base, name)
                        self.guards.snapshots.append((read, value))

    def look_at_object(self, value: Any) -> None:
        own_guards = getattr(value, "_compile_guards", None)
        if own_guards is not None:
            own_guards(self.guards)
            return
        for base in type(value).__mro__:
            _require_steady(base.__module__)
        self.look_at_class(type(value))
        attributes = getattr(value, "__dict__", None)
        if attributes is None:
            if not _is_trusted(type(value).__module__):
                self.look_at_slots(value)
            return
        if any(base.__module__.startswith("grad.nn") for base in type(value).__mro__):
            self.guards.lengths.append((attributes, len(attributes)))
            self.look_at_items(attributes, list(attributes))
            self.waiting.append(getattr(value, "_hooks_everywhere", None))
        elif not _is_trusted(type(value).__module__):
            self.look_at_items(attributes, self.known & attributes.keys())
            for name in self.known - attributes.keys():
                # The object may yet get one of its own.
                if name in self.written or hasattr(type(value), name):
                    self.guards.items.append((attributes, name, MISSING))

    def look_at_slots(self, value: Any) -> None:
        """Attributes of an object without a dictionary."""
        for base in type(value).__mro__:
            slots = base.__dict__.get("__slots__", ())
            for name in self.known.intersection((slots,) if isinstance(slots, str) else slots):
                read = functools.partial(getattr, value, name, MISSING)
                now = read()
                self.waiting.append(now)
                key = constant_key if isinstance(now, CONSTANTS) else id
                self.guards.snapshots.append((lambda read=read, key=key: key(read()), key(now)))

    def look_at_array(self, array: np.ndarray[Any, Any]) -> None:
        if array.nbytes > SMALL_ARRAY_BYTES:
            raise Unguarded(f"it reads a NumPy array of {array.nbytes} bytes; use a tensor")
        self.guards.snapshots.append((array.tobytes, array.tobytes()))


def _require_steady(module: str | None) -> None:
    """Raise Unguarded for what belongs to a module whose functions give new values each time."""
    name = module or ""
    if name in _UNSTEADY_MODULES or name.startswith("numpy.random"):
        raise Unguarded(f"it uses the {name} module, whose values change")


def _is_trusted(module: str | None) -> bool:
    return (module or "").partition(".")[0] in _TRUSTED
