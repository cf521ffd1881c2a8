"""Modules made of modules: in sequence, in a list, under names.

`Sequential` calls its parts one after the other; the lists and dictionaries only hold what they are
given, so that `Module` finds the parameters in it, and leave the calling to their owner.
`parameter_containers.py` has those of parameters.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Self, overload

from grad.nn.module import Module, no_module


def position_in(index: Any, count: int) -> int:
    """A list index, made non-negative."""
    position = operator.index(index)
    if not -count <= position < count:
        raise IndexError(f"index {position} is out of range for {count} entries")
    return position % count


class _Numbered(Module):
    """Sub-modules under the names "0", "1", ... in their order."""

    def _replace(self, modules: Iterable[Module]) -> None:
        kept = list(modules)
        self._modules.clear()
        for number, module in enumerate(kept):
            self.add_module(str(number), module)

    def _name(self, index: Any) -> str:
        return list(self._modules)[position_in(index, len(self._modules))]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Module]:
        return iter(self._modules.values())

    def __setitem__(self, index: int, module: Module) -> None:
        self._modules[self._name(index)] = _module(module)

    def __delitem__(self, index: int | slice) -> None:
        kept = list(self._modules.values())
        del kept[index]
        self._replace(kept)

    def append(self, module: Module) -> Self:
        """Put `module` at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> Self:
        """Put all of `modules` at the end."""
        for module in list(modules):
            self.append(module)
        return self

    def insert(self, index: int, module: Module) -> Self:
        """Put `module` before the one at `index`."""
        kept = list(self._modules.values())
        kept.insert(index, _module(module))
        self._replace(kept)
        return self

    def pop(self, key: Any = -1) -> Module:
        """Take out the module at `key`, or those of a slice, and return it or them."""
        found: Any = self
        found = found[key]
        del self[key]
        return found


def _module(value: Any) -> Module:
    if not isinstance(value, Module):
        raise no_module(value)
    return value


class Sequential(_Numbered):
    """Each module applied to the result of the one before.

    Takes modules, or one dictionary of names to modules.

    Example:
        >>> net = Sequential(Linear(4, 8), ReLU(), Linear(8, 2))
        >>> net[0]
        Linear(in_features=4, out_features=8, bias=True)
        >>> len(net[:2])
        2
    """

    def __init__(self, *modules: Module | Mapping[str, Module]) -> None:
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], Mapping):
            for name, module in modules[0].items():
                self.add_module(name, module)
            return
        for number, module in enumerate(modules):
            self.add_module(str(number), _module(module))

    def forward(self, input: Any) -> Any:
        for module in self._modules.values():
            input = module(input)
        return input

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> Sequential: ...
    def __getitem__(self, index: int | slice) -> Module:
        if isinstance(index, slice):
            return type(self)(dict(list(self._modules.items())[index]))
        return self._modules[self._name(index)]

    def __delitem__(self, index: int | slice) -> None:
        # Names given by the user stay; numbers close up.
        names = list(self._modules)
        for name in names[index] if isinstance(index, slice) else [self._name(index)]:
            del self._modules[name]
        if all(name.isdigit() for name in names):
            self._replace(self._modules.values())

    def __add__(self, other: Sequential) -> Sequential:
        return Sequential(*self, *_sequential("add", other))

    def __iadd__(self, other: Sequential) -> Self:
        return self.extend(_sequential("add", other))

    def __mul__(self, other: int) -> Sequential:
        """The same modules, `other` times in a row."""
        return Sequential(*[module for _ in range(_times(other)) for module in self])

    __rmul__ = __mul__

    def __imul__(self, other: int) -> Self:
        modules = list(self)
        for _ in range(_times(other) - 1):
            self.extend(modules)
        return self


def _sequential(what: str, value: Any) -> Sequential:
    if not isinstance(value, Sequential):
        raise ValueError(
            f"{what} operator supports only objects of Sequential class, but {type(value)} is "
            "given."
        )
    return value


def _times(value: Any) -> int:
    if not isinstance(value, int):
        raise TypeError(f"unsupported operand type(s) for *: {Sequential} and {type(value)}")
    if value <= 0:
        raise ValueError(f"Non-positive multiplication factor {value} for {Sequential}")
    return value


class ModuleList(_Numbered):
    """A list of modules.

    Example:
        >>> layers = ModuleList(Linear(8, 8) for _ in range(3))
        >>> len(list(layers.parameters()))
        6
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend(modules or ())

    @overload
    def __getitem__(self, index: int) -> Module: ...
    @overload
    def __getitem__(self, index: slice) -> ModuleList: ...
    def __getitem__(self, index: int | slice) -> Module:
        if isinstance(index, slice):
            return type(self)(list(self._modules.values())[index])
        return self._modules[self._name(index)]

    def __add__(self, other: Iterable[Module]) -> ModuleList:
        return ModuleList([*self, *other])

    def __iadd__(self, other: Iterable[Module]) -> Self:
        return self.extend(other)

    def __repr__(self) -> str:
        """Neighbours that print alike are printed once, with their numbers."""
        lines: list[str] = []
        place = 0
        for text, same in itertools.groupby(map(repr, self)):
            count = len(list(same))
            first = f"({place}): " if count == 1 else f"({place}-{place + count - 1}): {count} x "
            lines.append("  " + (first + text).replace("\n", "\n  "))
            place += count
        name = type(self).__name__
        return f"{name}(\n" + "\n".join(lines) + "\n)" if lines else f"{name}()"


class ModuleDict(Module):
    """A dictionary of modules, in the order in which they were put in."""

    def __init__(
        self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]] | None = None
    ) -> None:
        super().__init__()
        self.update(() if modules is None else modules)

    def __getitem__(self, name: str) -> Module:
        return self._modules[name]

    def __setitem__(self, name: str, module: Module) -> None:
        self.add_module(name, module)

    def __delitem__(self, name: str) -> None:
        del self._modules[name]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, name: object) -> bool:
        return name in self._modules

    def keys(self) -> Iterable[str]:
        return self._modules.keys()

    def values(self) -> Iterable[Module]:
        return self._modules.values()

    def items(self) -> Iterable[tuple[str, Module]]:
        return self._modules.items()

    def update(self, modules: Mapping[str, Module] | Iterable[tuple[str, Module]]) -> None:
        """Put in all of `modules`; a name that is there already gets the new module."""
        for name, module in dict(modules).items():
            self[name] = module

    def pop(self, name: str) -> Module:
        """Take out the module called `name` and return it."""
        return self._modules.pop(name)

    def clear(self) -> None:
        """Take out all modules."""
        self._modules.clear()
