"""What a recorded function took for granted, and whether it still holds.

A function's Python runs once, so whatever it reads besides its arguments must be the same at each
replay: closure cells, globals, defaults, attributes of objects and modules, lengths and items of
containers, which tensors there are. reach.py finds them; an object may say itself what matters with
`_compile_guards`. `Guards.broken` compares all of it with what it was. What a function writes is
among what it reads: one that counts its calls is never replayed.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from grad.compile.tree import CONSTANTS, constant_key, is_plain
from grad.device import open_backend
from grad.runtime.comparisons import MISSING, Comparison, FirstDifference, Sort, content
from grad.settings import settings

# So many times the rows are written down anew, with equal values that are other objects.
MOST_TABLES = 16


class Unguarded(Exception):
    """The function depends on something whose changes cannot be seen; says on what."""


class KnownTensor(NamedTuple):
    """A tensor that is reached without arguments, and what it was."""

    tensor: Any
    requires_grad: bool
    hooks: Any
    path: Any


class Guards:
    """The comparisons, by kind.

    Attributes:
        items: (dictionary, key, value). cells: (cell, value). entries: (sequence, index, value).
        aspects: (dictionary, key, aspect, what the aspect was).
        lengths: (container, length). kinds: (object, its class). tensors: those within reach.
        storages: (tensor, its storage) of these and others.
        snapshots: (function, what it gave). names: what code within reach mentions.
        containers: within reach. own: classes within reach that have `_compile_guards`.
        asks_identities: whether code asks for identities (`id(x)`).
    """

    __slots__ = (
        "_first_difference",
        "_made",
        "asks_identities",
        "aspects",
        "cells",
        "containers",
        "entries",
        "items",
        "kinds",
        "lengths",
        "names",
        "own",
        "snapshots",
        "storages",
        "tensors",
    )

    def __init__(self) -> None:
        self._first_difference: FirstDifference | None = None
        self._made = 0
        self.items: list[tuple[dict[Any, Any], Any, Any]] = []
        self.aspects: list[tuple[dict[Any, Any], Any, Callable[[Any], Any], Any]] = []
        self.cells: list[tuple[Any, Any]] = []
        self.entries: list[tuple[Any, int, Any]] = []
        self.kinds: list[tuple[Any, type]] = []
        self.lengths: list[tuple[Any, int]] = []
        self.storages: list[tuple[Any, Any]] = []
        self.tensors: list[KnownTensor] = []
        self.names: frozenset[str] = frozenset()
        self.containers: list[Any] = []
        self.own: set[type] = set()
        self.asks_identities = False
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
        for value, kind in self.kinds:
            yield Comparison(Sort.ATTRIBUTE, value, "__class__", kind)
        for sequence, index, _ in self.entries:
            yield Comparison(Sort.ITEM, sequence, index, sequence[index])
        for tensor, storage in self.storages:
            yield Comparison(Sort.ATTRIBUTE, tensor, "_storage", storage)
        for tensor, requires_grad, hooks, _ in self.tensors:
            yield Comparison(Sort.ATTRIBUTE, tensor, "_requires_grad", requires_grad)
            yield Comparison(Sort.ATTRIBUTE, tensor, "_hooks", hooks)
            yield Comparison(Sort.ATTRIBUTE, tensor, "_path", tensor._path)

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
        for value, kind in self.kinds:
            if value.__class__ is not kind:
                yield _Change(f"a {kind.__name__} has become another object", False)
        for sequence, index, value in self.entries:
            now = sequence[index] if index < len(sequence) else MISSING
            if now is not value and not _same(now, value):
                what = f"item {index} of a {type(sequence).__name__} has changed"
                yield _Change(what, _are_constants(now, value))
        for tensor, storage in self.storages:
            if tensor._storage is not storage:
                yield _Change("a tensor has new memory", False)
        for tensor, requires_grad, hooks, path in self.tensors:
            if tensor._requires_grad is not requires_grad:
                yield _Change("requires_grad of a tensor has changed", True)
            elif tensor._hooks is not hooks:
                yield _Change("a tensor has got hooks", False)
            elif tensor._path is not path and tensor._path != path:
                yield _Change("the shape of a tensor has changed", False)

    def outer(self, gradients: Iterable[tuple[Any, Any, Any]]) -> frozenset[int] | None:
        """Identities of the tensors and containers within reach, with those of `gradients` (tensor,
        gradient, storage) that are read; None if code asks for any identity.
        """
        if self.asks_identities:
            return None
        known = [known.tensor for known in self.tensors]
        read = [gradient for _, gradient, _ in gradients if gradient is not None]
        return frozenset(map(id, (*known, *self.containers, *read)))

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

    def tensor(self, tensor: Any) -> None:
        """Guard what `tensor` is; its values may change."""
        self.storage(tensor)
        known = KnownTensor(tensor, tensor._requires_grad, tensor._hooks, tensor._path)
        self.tensors.append(known)

    def storage(self, tensor: Any) -> None:
        """Guard which memory `tensor` is on, and nothing else of it."""
        self.storages.append((tensor, tensor._storage))

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
    """Whether two plain constants are equal and of one kind; other things are only themselves."""
    if type(now) is not type(value):
        return False
    if isinstance(now, types.MethodType):
        return now.__self__ is value.__self__ and now.__func__ is value.__func__
    return is_plain(now) and constant_key(now) == constant_key(value)
