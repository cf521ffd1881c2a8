"""What is within reach of a function, and so must be unchanged when it is replayed.

`collect` follows a function's code: to its closure, its globals, and from there to attributes,
items, methods. An attribute or global counts when some code within reach mentions its name; of a
`Module` everything counts. Code of the standard library, NumPy and of this library is trusted not
to change, the data in its objects is not. guards.py compares what is found here.
"""

from __future__ import annotations

import array
import contextlib
import contextvars
import functools
import gc
import operator
import os
import threading
import types
import warnings
import weakref
from collections import deque
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np

from grad.autograd.variable import Variable
from grad.compile.containers import is_container
from grad.compile.findings import Findings
from grad.compile.guards import Guards, Unguarded
from grad.compile.mentions import ALL, BY_NAME, mentions
from grad.compile.parts import (
    MAKING,
    bodies,
    cached,
    holds,
    is_called,
    keys,
    modules,
    named,
    orders,
    parts,
)
from grad.compile.tree import is_plain
from grad.compile.trust import (
    OWN,
    SETTINGS,
    is_trusted,
    is_trusted_class,
    is_trusted_function,
    require_no_files,
    require_steady,
    require_steady_class,
    require_steady_function,
)
from grad.ops.generator import Generator
from grad.runtime.comparisons import MISSING, content

# More than this is no function that one replays.
LIMIT = 50_000
SMALL_ARRAY_BYTES = 1 << 16
_ALWAYS_CALLED = frozenset(("forward", "__call__"))
# What says how late it is, of the module `datetime`; and what reads variables of the environment.
_NOW = frozenset(("now", "today", "utcnow"))
_ENVIRONMENT = frozenset(("environ", "getenv"))
# Attributes that methods of this library give; and what only optimisers themselves read.
BEHIND = {"get_last_lr": "_last_lr"}
_SET_BY_STEPS = frozenset(("state",))
_PARTIAL = (functools.partial, functools.partialmethod)
_CACHED = functools._lru_cache_wrapper
_GETTERS = (operator.attrgetter, operator.methodcaller)
# What shows a dictionary.
_PROXIES = (types.MappingProxyType, type({}.keys()), type({}.values()), type({}.items()))
# What classes of users' may add attributes and methods to.
_CONTAINERS = (list, tuple, deque, dict, set, frozenset, np.ndarray)
_IN_C = (types.BuiltinFunctionType, types.WrapperDescriptorType)
_OF_A_THREAD = (threading.local, contextvars.ContextVar)


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


class _Collector(Findings):
    """One walk over what is in reach."""

    def run(self, roots: Iterable[Any]) -> None:
        self.waiting.extend(roots)
        if not _ENVIRONMENT.isdisjoint(self.known):
            self.waiting.append(os.environ)
        self.look_at_all()
        self.waiting.extend(self.possible)
        while self.waiting:
            with contextlib.suppress(Unguarded):  # most likely, they are not read
                self.look_at_all()
        self.guards.containers = [*filter(is_container, self.seen.values())]
        functions = self.functions
        self.guards.snapshots.append((functools.partial(bodies, functions), bodies(functions)))
        if self.ordered:
            ordered = self.ordered
            self.guards.snapshots.append((functools.partial(orders, ordered), orders(ordered)))

    def look_at_all(self) -> None:
        """Look at what is waiting, and at what comes up on the way."""
        while self.waiting:
            value = self.waiting.popleft()
            if is_plain(value) or id(value) in self.seen:
                continue
            if len(self.seen) > LIMIT:
                raise Unguarded(f"more than {LIMIT} objects are in its reach")
            self.seen[id(value)] = value
            self.look_at(value)

    def look_at(self, value: Any) -> None:
        if isinstance(value, _CONTAINERS):
            self.look_at_subclass(value)
        if isinstance(value, Variable):
            self.guards.tensor(value)
            self.waiting.append(value._hooks)
            self.look_at_class(type(value))
            self.look_at_items(value.__dict__, self.known & value.__dict__.keys())
        elif isinstance(value, types.FunctionType):
            self.look_at_function(value)
        elif isinstance(value, types.MethodType):
            self.waiting.extend((value.__self__, value.__func__))
        elif isinstance(value, _PARTIAL):
            self.guards.snapshots.append(
                (lambda: [*map(id, parts(value))], [*map(id, parts(value))])
            )
            self.waiting.extend(parts(value))
        elif isinstance(value, _CACHED):
            self.guards.snapshots.append((functools.partial(holds, value, cached(value)), True))
            self.waiting.append(value.__wrapped__)
        elif isinstance(value, _GETTERS):
            found: Any = value.__reduce__()[1]
            for name in found:
                self.names.update(str(name).split("."))
        elif isinstance(value, _PROXIES):
            self.waiting.extend(gc.get_referents(value))
        elif isinstance(value, weakref.ref):
            self.guards.snapshots.append((lambda: id(value()), id(value())))
            self.waiting.append(value())
        elif isinstance(value, list | tuple | deque):
            self.guards.sequence(value)
            self.waiting.extend(value)
        elif isinstance(value, dict):
            self.look_at_dictionary(value)
            self.waiting.append(getattr(value, "default_factory", None))
            if len(value) > 1 or not all(type(key) is str for key in value):
                self.ordered.append(value)
        elif isinstance(value, set | frozenset) and value:
            self.guards.snapshots.append((functools.partial(keys, value), keys(value)))
            self.look_at_keys(value)
        elif isinstance(value, set):
            self.guards.lengths.append((value, 0))
        elif isinstance(value, np.ndarray):
            self.look_at_array(value)
        elif isinstance(value, bytearray | memoryview | array.array):
            self.guards.snapshots.append((lambda: bytes(value), bytes(value)))
        elif isinstance(value, type):
            self.require_timeless(value.__module__)
            require_no_files(value, self.known)
            self.look_at_class(value, made=True)
        elif isinstance(value, types.ModuleType):
            self.look_at_module(value)
        elif isinstance(value, types.BuiltinFunctionType | types.MethodWrapperType):
            self.look_at_builtin(value)
        elif hasattr(type(value), "__next__"):
            raise Unguarded(f"it draws from an iterator, a {type(value).__name__}")
        elif not isinstance(value, Generator):
            self.look_at_object(value)

    def look_at_builtin(self, function: Any) -> None:
        """Look at a function in C; it may be a method of an object."""
        if function is id or function is hash:
            self.guards.asks_identities = True
        if function is warnings.warn:
            self.look_at_filters()
        if function is open or function is input:
            raise Unguarded(f"it may read with {function.__name__}")
        require_steady(getattr(function, "__module__", None))
        owner = function.__self__
        require_steady_class(type(owner))
        if not isinstance(owner, type | types.ModuleType):
            self.waiting.append(owner)

    def look_at_subclass(self, value: Any) -> None:
        """Look at what a container is besides, if its class is the user's."""
        if not is_trusted_class(type(value)):
            self.look_at_class(type(value))
            if hasattr(value, "__dict__"):
                self.look_at_attributes(value, value.__dict__)

    # -- code --------------------------------------------------------------------------------------
    def look_at_function(self, function: types.FunctionType) -> None:
        require_steady(function.__module__)
        if is_trusted_function(function):
            # A decorator of the library around a function of the user's.
            if hasattr(function, "__wrapped__"):
                self.waiting.append(function.__wrapped__)
            if function.__name__ in SETTINGS and function.__module__.startswith("grad."):
                self.guards.snapshots.append((function, function()))
            return
        self.functions.append(function)
        global_names = self.look_at_code(function)
        self.look_at_items(function.__globals__, sorted(global_names))
        others = global_names - function.__globals__.keys()
        for name in sorted(others):  # each may yet be defined
            self.guards.items.append((function.__globals__, name, MISSING))
        self.look_at_items(function.__builtins__, sorted(others))
        for cell in function.__closure__ or ():
            value = content(cell)
            self.guards.cells.append((cell, value))
            self.waiting.append(value)
        self.waiting.extend(function.__defaults__ or ())
        if function.__kwdefaults__:
            self.look_at_dictionary(function.__kwdefaults__)
        self.look_at_items(function.__dict__, self.known & function.__dict__.keys())
        self.waiting.append(function.__dict__.get("registry"))  # of functools.singledispatch

    def look_at_code(self, function: types.FunctionType) -> frozenset[str]:
        """Note what the code of `function` mentions; gives the names of its globals."""
        found = mentions(function.__code__)
        self.names |= found.names
        self.names_written |= found.written
        for name in found.imported:
            self.waiting.extend(modules(name, function.__globals__))
        for chain in sorted(found.chains):
            value = named(function, chain)
            require_steady_function(value)
            if (
                isinstance(value, _IN_C)
                and value.__name__ in BY_NAME
                and value.__name__ != chain[-1]
            ):
                self.names.add(ALL)  # the code does not show that it gets attributes
        return found.global_names

    def look_at_module(self, module: types.ModuleType) -> None:
        require_steady(module.__name__)
        if module.__name__ == "numpy" and "random" in self.known:
            raise Unguarded("it may use NumPy's random numbers; use those of grad")
        self.require_timeless(module.__name__)
        if module.__name__ == "warnings" and "warn" in self.known:
            self.look_at_filters()
        if is_trusted(module.__name__):
            for name in self.known & module.__dict__.keys():
                value = self.guards.item(module.__dict__, name)  # others may have replaced it
                if isinstance(value, list | types.FunctionType | types.ModuleType):
                    self.waiting.append(value)
        else:
            self.look_at_items(module.__dict__, self.known | {"__getattr__"})
            if self.all_attributes:
                self.look_at_others(module.__dict__)

    def look_at_filters(self) -> None:
        """Guard which warnings are errors."""
        self.guards.snapshots.append((lambda: [*warnings.filters], [*warnings.filters]))

    def require_timeless(self, module: str) -> None:
        if module == "datetime" and not _NOW.isdisjoint(self.known):
            raise Unguarded("it may ask how late it is")

    def look_at_class(self, kind: type, made: bool = False) -> None:
        """The methods and class attributes that code mentions, or that Python calls by itself, of
        all bases of the user's. `made`: code may make objects of the class.
        """
        if (kind, made) in self.classes:
            return
        self.classes.add((kind, made))
        if type(kind) is not type:
            self.look_at_class(type(kind))
        bases = [base for base in kind.__mro__ if not is_trusted_class(base)]
        if bases:
            self.guards.snapshots.append((lambda: kind.__mro__, kind.__mro__))
        names: set[str] = set()
        for base in bases:
            names |= self.known & base.__dict__.keys()
            names |= {name for name, value in base.__dict__.items() if is_called(name, value)}
            names |= MAKING & base.__dict__.keys() if made else set()
            if self.all_attributes:
                names |= {name for name in base.__dict__ if not name.startswith("__")}
        for base in bases:
            (dictionary,) = gc.get_referents(base.__dict__)  # what is behind the proxy
            if self.all_attributes:
                self.guards.lengths.append((dictionary, len(dictionary)))
            for name in sorted(names):
                value = self.guards.item(dictionary, name)
                if isinstance(value, staticmethod | classmethod):
                    value = value.__func__
                elif isinstance(value, property):
                    self.waiting.extend((value.fset, value.fdel))
                    value = value.fget
                elif isinstance(value, functools.cached_property):
                    value = value.func
                elif isinstance(value, functools.singledispatchmethod):
                    value = value.dispatcher
                if value is not MISSING:
                    self.waiting.append(value)

    # -- data --------------------------------------------------------------------------------------
    def look_at_object(self, value: Any) -> None:
        kind = type(value)
        own_guards = getattr(kind, "_compile_guards", None)
        if value.__class__ is kind:
            self.guards.kinds.append((value, kind))
        if own_guards is not None:
            own_guards(value, self.guards)
            self.guards.own.update(b for b in kind.__mro__ if "_compile_guards" in b.__dict__)
            self.look_at_class(kind)
            self.look_at_mentioned(value)
            return
        require_steady_class(kind)
        require_no_files(kind, self.known)
        if isinstance(value, _OF_A_THREAD) and kind.__module__.partition(".")[0] not in OWN:
            raise Unguarded(f"it reads a {kind.__name__}, which each thread has for itself")
        self.look_at_class(kind)
        attributes = getattr(value, "__dict__", None)
        if attributes is None:
            if not is_trusted_class(kind):
                self.look_at_slots(value)
        elif any(base.__module__.startswith("grad.nn") for base in kind.__mro__):
            self.look_at_dictionary(attributes)
            for own in attributes.values():
                # Those of parameters and modules, many in all: their order is that of `__init__`.
                if isinstance(own, dict) and id(own) not in self.seen:
                    self.seen[id(own)] = own
                    self.look_at_dictionary(own)
            self.waiting.append(getattr(value, "_hooks_everywhere", None))
        elif kind.__module__.partition(".")[0] in OWN:
            # A function of the user's that is compiled, say.
            self.waiting.append(attributes.get("__wrapped__"))
        elif is_trusted_class(kind) and isinstance(value, Mapping | Sequence | Set):
            self.look_at_items(attributes, list(attributes))
        else:
            self.look_at_attributes(value, attributes)
            self.waiting.append(attributes.get("__wrapped__"))

    def look_at_mentioned(self, value: Any) -> None:
        """Attributes of an object that has guards of its own. Rates and counts are new at each
        replay, but not where the user's Python reads them. It may read others by names that are
        made up: recorder.py is told.
        """
        attributes = value.__dict__
        # Where it counts steps, an optimiser gives up a recording in which its state is read.
        unread = _SET_BY_STEPS if getattr(value, "_counts", ()) else frozenset()
        read = {BEHIND.get(name, name) for name in self.known} - unread
        self.look_at_items(attributes, read & attributes.keys())
        self.expect_no_others(value, attributes)

    def look_at_array(self, array: np.ndarray[Any, Any]) -> None:
        if array.nbytes > SMALL_ARRAY_BYTES:
            raise Unguarded(f"it reads a NumPy array of {array.nbytes} bytes; use a tensor")
        self.guards.snapshots.append((array.tobytes, array.tobytes()))
        if array.dtype.hasobject:
            self.waiting.extend(array.ravel())
