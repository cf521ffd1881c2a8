"""Which modules are trusted not to change, and which give something new each time.

Code of the standard library, NumPy and of this library is not followed by reach.py.
"""

from __future__ import annotations

import sys

from grad.compile.guards import Unguarded

_TRUSTED = sys.stdlib_module_names | {"grad", "numpy", "ml_dtypes"}
OWN = frozenset(("grad", "numpy", "ml_dtypes"))
# What gives something new each time, or holds what cannot be compared.
_UNSTEADY_MODULES = frozenset(
    ("random", "secrets", "time", "uuid", "_ctypes", "_queue", "queue", "mmap", "sqlite3")
    + ("multiprocessing.sharedctypes", "multiprocessing.queues")
)


def require_steady(module: str | None) -> None:
    """Raise Unguarded for what belongs to a module whose functions give new values each time."""
    name = module or ""
    if name in _UNSTEADY_MODULES or name.startswith("numpy.random"):
        raise Unguarded(f"it uses the {name} module, whose values change")


def require_steady_class(kind: type) -> None:
    for base in kind.__mro__:
        require_steady(base.__module__)


def is_trusted(module: str | None) -> bool:
    return (module or "").partition(".")[0] in _TRUSTED
