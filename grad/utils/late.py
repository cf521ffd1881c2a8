"""Names of a package whose modules are opened when they are first asked for.

Importing a module costs time even where it is never used. A package that has
``__getattr__ = late_names(__name__, globals(), {...})`` has all the names of the table, as if they
had been imported (PEP 562: Python asks a module's `__getattr__` for names that it has not).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def late_names(
    package: str, names: dict[str, Any], table: Mapping[str, str]
) -> Callable[[str], Any]:
    """The `__getattr__` of `package`, whose names are `names`.

    Args:
        package: its full name.
        names: its `globals()`, where a name is kept once it was asked for.
        table: for each name the module that it is, as ``"grad.nn"``, or the module and the name
            there, as ``"grad.io:load"``.

    Example:
        >>> late_names("colours", {}, {"half": "fractions:Fraction"})("half")(1, 2)
        Fraction(1, 2)
    """

    def attribute(name: str) -> Any:
        if name not in table:
            raise AttributeError(f"module {package!r} has no attribute {name!r}", name=name)
        module, _, member = table[name].partition(":")
        found = importlib.import_module(module)
        names[name] = getattr(found, member) if member else found
        return names[name]

    return attribute
