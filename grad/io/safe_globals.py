"""Classes and functions of the user's own that files may name: `add_safe_globals`.

A file is data, so loading runs no code. A program that saves, say, its settings as a dataclass can
declare that class safe: then it is saved and loaded like a dictionary. Whoever declares something
safe says that calling it with any arguments does no harm.
"""

from __future__ import annotations

from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Callable, Iterable
from typing import Any

from grad.errors import ArgumentError, UnsafeFileError
from grad.io.allowed import found

Global = Callable[..., Any]

_added: dict[tuple[str, str], Global] = {}


def _named(entry: Any) -> tuple[tuple[str, str], Global]:
    """The name in files, and the object, of an entry of `add_safe_globals`."""
    function, path = entry if isinstance(entry, tuple) else (entry, None)
    if not callable(function):
        raise ArgumentError(f"a safe global is a class or a function, not {function!r}.")
    if path is None:
        return (function.__module__, function.__qualname__), function
    module, _, name = path.rpartition(".")
    return (module, name), function


def add_safe_globals(safe_globals: Iterable[Any]) -> None:
    """Let files name these classes and functions, or ``(object, "module.name")`` pairs.

    Example:
        >>> @dataclass
        ... class Settings:
        ...     width: int = 64
        >>> grad.serialization.add_safe_globals([Settings])
        >>> grad.save({"settings": Settings()}, "run.pt")
    """
    _added.update(map(_named, safe_globals))


def get_safe_globals() -> list[Global]:
    """What has been declared safe."""
    return list(_added.values())


def clear_safe_globals() -> None:
    """Let files name nothing of the user's again."""
    _added.clear()


class safe_globals:
    """Within ``with``, files may also name these; see `add_safe_globals`."""

    def __init__(self, safe_globals: Iterable[Any]) -> None:
        self._entries = list(safe_globals)

    def __enter__(self) -> None:
        self._before = dict(_added)
        add_safe_globals(self._entries)

    def __exit__(self, *_: Any) -> None:
        _added.clear()
        _added.update(self._before)


def name_of(value: Any) -> tuple[str, str] | None:
    """The name under which files know the class or function `value`, if it is declared safe."""
    for name, known in _added.items():
        if known is value:
            return name
    return None


def is_safe(value: Any) -> bool:
    """Whether `value` itself is declared safe."""
    return any(known is value for known in _added.values())


def find(module: str, name: str) -> Any:
    """What a file means by `name` of `module`.

    Raises:
        UnsafeFileError: it is not on the list. FileFormatError: a type that there is not here.
    """
    value = found(module, name)
    if value is None:
        value = _added.get((module, name), _added.get(_name_today(module, name)))
    if value is None:
        what = "a whole module was saved, perhaps" if _is_module(module) else "which is not data"
        raise UnsafeFileError(
            f"it names {module}.{name} ({what}), and loading never runs code that a file names. "
            "Save model.state_dict() in place of the model; a class of your own can be declared "
            f"harmless: grad.serialization.add_safe_globals([{name}])."
        )
    return value


def _name_today(module: str, name: str) -> tuple[str, str]:
    """The name in Python 3; PyTorch's files, of protocol 2, have those of Python 2."""
    module, name = NAME_MAPPING.get((module, name), (module, name))
    return IMPORT_MAPPING.get(module, module), name


def _is_module(name: str) -> bool:
    return name.startswith(("torch.nn.modules", "grad.nn", "__main__"))
