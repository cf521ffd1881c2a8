"""What functions, classes and caches are made of, as far as reach.py compares and follows it."""

from __future__ import annotations

import gc
import sys
import types
from collections.abc import Iterable
from typing import Any

from grad.compile.tree import CONSTANTS, constant_key
from grad.runtime.comparisons import MISSING, content

# Methods that Python calls without their name being in the code, but for those that make an object
# or describe it.
_NOT_CALLED = frozenset(
    ("__init_subclass__", "__repr__", "__str__", "__del__", "__reduce__", "__reduce_ex__")
    + ("__getstate__", "__setstate__", "__copy__", "__deepcopy__")
)
MAKING = frozenset(("__init__", "__new__", "__post_init__"))
_METHODS = (types.FunctionType, staticmethod, classmethod)


def bodies(functions: Iterable[types.FunctionType]) -> list[Any]:
    """What is run when the functions are called, compared by identity first."""
    return [(f.__code__, f.__defaults__, f.__kwdefaults__) for f in functions]


def cached(function: Any) -> dict[Any, Any]:
    """What a function with `functools.lru_cache` has in its cache."""
    found = [part for part in gc.get_referents(function) if type(part) is dict]
    return next((dict(part) for part in found if part is not function.__dict__), {})


def holds(function: Any, results: dict[Any, Any]) -> bool:
    """Whether the cache of `function` still has all of `results`."""
    now = cached(function)
    return all(now.get(key, MISSING) is value for key, value in results.items())


def orders(dictionaries: Iterable[dict[Any, Any]]) -> list[list[int]]:
    """Which key of each dictionary comes first."""
    return [[*map(id, dictionary)] for dictionary in dictionaries]


def keys(elements: Iterable[Any]) -> set[Any]:
    """What a set holds, where 1 and 1.0 are not the same; objects by their identity."""
    return {_key(element) for element in elements}


def _key(element: Any) -> Any:
    if isinstance(element, CONSTANTS):
        return constant_key(element)
    return (tuple, element) if isinstance(element, tuple) else id(element)


def modules(name: str, scope: dict[str, Any]) -> list[types.ModuleType]:
    """What ``import name`` may mean in a module with the globals `scope`."""
    package = str(scope.get("__package__") or "").split(".")
    inside = [".".join([*package[:end], name]) for end in range(1, len(package) + 1)]
    own = name.split(".")
    wanted = [*inside, *(".".join(own[:end]) for end in range(1, len(own) + 1))]
    return [sys.modules[module] for module in wanted if sys.modules.get(module) is not None]


def named(function: types.FunctionType, chain: tuple[str, ...]) -> Any:
    """What a variable of `function`, and attributes of modules, are; None if that is
    not known.
    """
    first, *attributes = chain
    free = dict(zip(function.__code__.co_freevars, function.__closure__ or (), strict=True))
    if first in free:
        value = content(free[first])
    elif first in function.__code__.co_varnames:
        value = sys.modules.get(first)  # if it was imported inside of the function
    else:
        value = function.__globals__.get(first)
    for name in attributes:
        if not isinstance(value, types.ModuleType):
            return None
        value = value.__dict__.get(name)
    return value


def parts(partial: Any) -> tuple[Any, ...]:
    """What a partial function calls, and with what."""
    return partial.func, partial.args, partial.keywords


def is_function(value: Any) -> bool:
    return isinstance(value, types.FunctionType | types.MethodType)


def is_called(name: str, value: Any) -> bool:
    """Whether an entry of a class is a method that Python calls by itself."""
    special = name.startswith("__") and name.endswith("__")
    return special and name not in _NOT_CALLED | MAKING and isinstance(value, _METHODS)
