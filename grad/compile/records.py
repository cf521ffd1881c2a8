"""What `Compiled` (compiled.py) knows of calls: the recordings of each kind, and the last one.

An `Entry` is found by the key of a kind of call, which takes all arguments apart. Most calls are
like the last one; its `Shortcut` compares with that alone.
"""

from __future__ import annotations

from operator import is_
from typing import Any, NamedTuple

from grad.compile.guards import Guards
from grad.compile.kinds import Identities, environment, has_hooks, view_of
from grad.compile.run import Runner
from grad.dtype import DType


class Record(NamedTuple):
    """A recording that can be replayed while its guards hold, with arguments that the function
    knows by the same other names.
    """

    guards: Guards
    runner: Runner
    identities: Identities


class Entry:
    """What is known of one kind of call.

    Attributes:
        seen, tried: whether it has been called, and recorded, though not at its first call.
        recorded: whether it has been, at any. hopeless: whether it cannot be replayed.
        waiting: whether it was recorded at its first call, and has not been replayed since.
        records: its recordings, the one that was used last first.
        others: arguments that the key names by identity, which nobody else may get; it is dropped
            when nobody else has them. version: counts changes of the records.
    """

    __slots__ = ("hopeless", "others", "recorded", "records", "seen", "tried", "version", "waiting")

    def __init__(self, others: list[Any]) -> None:
        self.others = others
        self.seen = self.tried = self.recorded = self.hopeless = self.waiting = False
        self.records: tuple[Record, ...] = ()
        self.version = 0

    def end(self) -> None:
        """Drop recordings that have been used often enough. To make them again is no sign that the
        function changes.
        """
        self.records = tuple([r for r in self.records if not r.runner.is_over])
        self.tried = False


class Shortcut(NamedTuple):
    """The last record that was used, if it was with tensors alone: most calls are like it."""

    kinds: tuple[tuple[type, Any, DType, bool, bool, tuple[Any, ...]], ...]
    settings: tuple[Any, ...]
    record: Record

    def fits(self, args: tuple[Any, ...]) -> bool:
        """Whether a call with `args` is of the same kind."""
        if len(args) != len(self.kinds):
            return False
        for tensor, (kind, shape, dtype, requires_grad, leaf, view) in zip(args, self.kinds):
            if (
                type(tensor) is not kind
                or tensor._shape != shape
                or tensor.dtype is not dtype
                or tensor._requires_grad is not requires_grad
                or ((tensor._path or view) and view_of(tensor) != view)
                or (requires_grad and ((tensor._edge is None) is not leaf or has_hooks(tensor)))
                or tensor.__dict__
            ):
                return False
        return self.settings == environment()

    @classmethod
    def of(cls, args: Any, tensors: list[Any], record: Record) -> Shortcut | None:
        """The shortcut for calls like this one, if there is one."""
        if len(args) != len(tensors) or not all(map(is_, args, tensors)):
            return None
        # Where arguments shared memory, a recording reads it by way of the first; and whether they
        # do matters when they are written to.
        shared = len({id(tensor._storage) for tensor in tensors}) < len(tensors)
        if shared or any(write.argument >= 0 for write in record.runner.replay.writes):
            return None
        kinds = [
            (type(t), t._shape, t.dtype, t._requires_grad, t._edge is None, view_of(t))
            for t in tensors
        ]
        return cls(tuple(kinds), environment(), record)
