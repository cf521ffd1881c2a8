"""Which code is trusted not to change, and which gives something new each time.

Code of the standard library, NumPy and of this library is not followed by reach.py.
"""

from __future__ import annotations

import pathlib
import sys
import types
from collections.abc import Set as AbstractSet
from typing import Any

from grad.compile.guards import Unguarded

# pytest rewrites asserts to call its own functions when they fail.
_TRUSTED = sys.stdlib_module_names | {"grad", "numpy", "ml_dtypes", "_pytest"}
OWN = frozenset(("grad", "numpy", "ml_dtypes"))
# What gives something new each time, or holds what cannot be compared.
_UNSTEADY_MODULES = frozenset(
    ("random", "secrets", "time", "uuid", "_ctypes", "_queue", "queue", "mmap", "sqlite3")
    + ("multiprocessing.sharedctypes", "multiprocessing.queues", "subprocess", "tempfile", "socket")
    + ("urllib.request", "http.client", "glob", "shutil", "fileinput", "getpass")
)
# Functions of other modules that do, by the module that they say they are of.
_UNSTEADY_FUNCTIONS = {
    "posix": "getcwd getcwdb urandom listdir scandir stat lstat access getloadavg getpid getppid",
    "os": "walk fwalk",
    "genericpath": "exists isfile isdir getsize getmtime getatime getctime",
    "posixpath": "lexists islink ismount realpath abspath",
    "numpy": "load fromfile loadtxt genfromtxt",
    "grad.serialization": "load",
    "importlib": "import_module reload",
    "threading": "current_thread get_ident get_native_id active_count enumerate",
    "_thread": "get_ident get_native_id",
}
_UNSTEADY = frozenset(
    (module, name) for module, names in _UNSTEADY_FUNCTIONS.items() for name in names.split()
)
# Methods of paths that look at files.
_OF_FILES = frozenset(
    ("read_text", "read_bytes", "open", "exists", "is_file", "is_dir", "stat", "lstat", "iterdir")
    + ("glob", "rglob", "cwd", "resolve", "absolute")
)
# Functions of this library that tell its settings, which are compared.
SETTINGS = frozenset(
    ("initial_seed", "get_float32_matmul_precision", "get_deterministic_debug_mode")
    + ("are_deterministic_algorithms_enabled", "is_warn_always_enabled")
    + ("is_deterministic_algorithms_warn_only_enabled",)
)


def require_steady(module: str | None) -> None:
    """Raise Unguarded for what belongs to a module whose functions give new values each time."""
    name = module or ""
    if name in _UNSTEADY_MODULES or name.startswith("numpy.random"):
        raise Unguarded(f"it uses the {name} module, whose values change")


def require_steady_class(kind: type) -> None:
    for base in kind.__mro__:
        require_steady(base.__module__)


def require_steady_function(value: Any) -> None:
    """Raise Unguarded for a function that gives something new each time, and for `sys.modules`."""
    if value is sys.modules:
        raise Unguarded("it reads sys.modules")
    is_function = isinstance(value, types.FunctionType | types.BuiltinFunctionType)
    if is_function and (value.__module__, value.__name__) in _UNSTEADY:
        raise Unguarded(f"it calls {value.__module__}.{value.__name__}, whose results change")


def require_no_files(kind: type, names: AbstractSet[str]) -> None:
    """Raise Unguarded for a path of whose methods some that look at files are mentioned."""
    used = sorted(names & _OF_FILES) if issubclass(kind, pathlib.Path) else ()
    if used:
        raise Unguarded(f"it may read files, with {kind.__name__}.{used[0]}")


def is_trusted(module: str | None) -> bool:
    return (module or "").partition(".")[0] in _TRUSTED


def is_trusted_function(function: types.FunctionType) -> bool:
    """Whether both the module that `function` says it is of and the one that it was written in are
    trusted: `functools.wraps` makes a function say so of another one.
    """
    return is_trusted(function.__module__) and is_trusted(function.__globals__.get("__name__"))


def is_trusted_class(kind: type) -> bool:
    """Whether the module of `kind` is trusted. Classes that are made by functions may say that they
    are of `types`.
    """
    made = kind.__module__ == "types" and vars(types).get(kind.__name__) is not kind
    return is_trusted(kind.__module__) and not made
