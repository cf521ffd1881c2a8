"""What makes two calls of a compiled function calls of one kind, and which objects they share.

A recording is for calls of one kind: with the same settings of the library, the same Python values,
tensors of the same shapes and types on memory that is shared alike. `identities` says which of the
arguments the function knows by another name, so that it may find out: `x is w`, `x in a_set`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from grad.autograd.modes import mode
from grad.compile.tree import take_apart
from grad.device import open_backend
from grad.dtype import default_dtype
from grad.graph.movement import Move
from grad.graph.primitives import SLICE
from grad.settings import settings


def _without_start(move: Move) -> Any:
    """A movement of a view, but for where slices start: that is a run-time offset."""
    if move.primitive is SLICE:
        return (SLICE, *[(step, size) for _, step, size in move.arg])
    return move


def environment() -> tuple[Any, ...]:
    """Settings that decide what operations do."""
    return (
        mode.enabled,
        mode.inference,
        mode.autocast,
        default_dtype(),
        settings.backend,
        settings.float32_convolution_precision,
        open_backend(settings.backend).workers(),
    )


def view_of(tensor: Any) -> tuple[Any, ...]:
    """What a view is of and how, but for where it begins; () for all of a storage."""
    if not tensor._path:
        return ()
    moves = [_without_start(move) for move in tensor._path]
    return (tensor._needs_grad, tensor._storage.node.shape, *moves)


def shared(tensors: Sequence[Any]) -> list[Any]:
    """Which of the arguments share memory, how far from each other they begin, and which are one
    tensor.
    """
    first: dict[int, Any] = {}
    for tensor in tensors:
        first.setdefault(id(tensor._storage), tensor)
    if len(first) == len(tensors):
        return []
    numbers = {key: number for number, key in enumerate(first)}
    handles = {id(tensor): number for number, tensor in enumerate(tensors)}
    found: list[Any] = []
    for tensor in tensors:
        key = id(tensor._storage)
        apart = _start(tensor) - _start(first[key])
        found += numbers[key], handles[id(tensor)], apart
    return found


def _start(tensor: Any) -> int:
    """The element of its storage that a tensor begins with."""
    return tensor.memory_layout.offset if tensor._path else 0


def has_hooks(tensor: Any) -> bool:
    """Whether somebody wants to be called when the gradient of an argument is known."""
    edge = tensor._edge
    tables = tensor._hooks if edge is None else edge[0]._tensor_hooks
    return bool(tables) and any(tables.values())


def repeated(objects: Sequence[Any]) -> list[int]:
    """Which of the containers among the arguments are one; [] if none are."""
    first: dict[int, int] = {}
    found = [first.setdefault(id(value), number) for number, value in enumerate(objects)]
    return found if len(first) < len(found) else []


def form(args: Any, kwargs: Any) -> tuple[Any, ...]:
    """What kinds of calls have in common that differ in sizes alone."""
    tensors: list[Any] = []
    structure = [take_apart(value, tensors, []) for value in (*args, kwargs)]
    kinds = [(type(t), len(t._shape), t.dtype, t._requires_grad, t._edge is None) for t in tensors]
    return (*environment(), *structure, *kinds)


class Identities(NamedTuple):
    """Which of the tensors and containers among the arguments the function knows by another name.

    Attributes:
        outer: identities of what is in its reach; None if it asks for identities themselves.
        found: number and identity of those among the arguments.
    """

    outer: frozenset[int] | None
    found: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, given: Iterable[Any], outer: frozenset[int] | None) -> Identities:
        """Of the arguments `given`."""
        numbered = enumerate(map(id, given))
        return cls(outer, tuple([pair for pair in numbered if outer is None or pair[1] in outer]))

    def among(self, outer: frozenset[int] | None) -> Identities:
        """The same arguments, where something else is in reach."""
        return Identities(outer, self.found)

    def fit(self, given: Sequence[Any]) -> bool:
        """Whether the arguments `given` are known by the same names, or by none as those were."""
        if self.outer is not None and not self.found:
            return self.outer.isdisjoint(map(id, given))
        return Identities.of(given, self.outer).found == self.found
