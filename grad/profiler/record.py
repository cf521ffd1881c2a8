"""What a profile consists of: events with times, and memory at these times.

A `Record` is an observer of the engine (engine/observe.py): it notes each step of each plan, each
plan that is made, and the ranges that users name; at each of them it notes how much memory is in
use. profile.py starts and stops records, table.py, trace.py and timeline.py show them.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, NamedTuple

from grad.buffer import in_use_bytes
from grad.engine.observe import Made, Observer, label, now
from grad.engine.plan import Work


class Kind(Enum):
    """What an event is."""

    KERNEL = "kernel"
    COMPILE = "compile"
    RANGE = "range"


class Event(NamedTuple):
    """Something that took time.

    Attributes:
        name: of the kernels of a step, of a range; of what a plan is for.
        start, end: nanoseconds, by `engine.observe.now`. thread: who did it.
        nbytes, operations: of kernels, what they must do at least.
    """

    name: str
    kind: Kind
    start: int
    end: int
    thread: int
    nbytes: int = 0
    operations: float = 0.0

    @property
    def nanoseconds(self) -> int:
        return self.end - self.start


class Sample(NamedTuple):
    """How many bytes of buffers were in use at a time, in nanoseconds."""

    time: int
    nbytes: int


class Record(Observer):
    """Events and memory from `start` to `end` (0 while it runs)."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.memory: list[Sample] = []
        self.start = now()
        self.end = 0
        self.sample(self.start)

    def sample(self, time: int) -> None:
        self.memory.append(Sample(time, in_use_bytes()))

    def add(
        self, name: str, kind: Kind, start: int, end: int, nbytes: int = 0, operations: float = 0.0
    ) -> None:
        event = Event(name, kind, start, end, threading.get_ident(), nbytes, operations)
        self.events.append(event)
        self.sample(end)

    def planned(self, made: Made, start: int, end: int) -> None:
        last = made.draft.lowered[-1].kernel.name if made.draft.lowered else "nothing"
        count = len(made.draft.lowered)
        self.add(f"compile {count} kernels up to {last}", Kind.COMPILE, start, end)

    def stepped(self, works: Sequence[Work], start: int, end: int) -> None:
        nbytes = sum(work.nbytes for work in works)
        self.add(
            label(works), Kind.KERNEL, start, end, nbytes, sum(work.operations for work in works)
        )

    def finish(self) -> None:
        self.end = now()
        self.sample(self.end)

    @property
    def nanoseconds(self) -> int:
        """From start to end, or to now."""
        return (self.end or now()) - self.start


# The records that ranges go to.
records: list[Record] = []


class record_function:
    """A named range: what happens inside ``with record_function("name"):``, or in a function that
    it decorates. Costs next to nothing when nobody profiles.

    Values are computed when they are asked for: a kernel is in the range in which it runs.
    """

    def __init__(self, name: str, args: str | None = None) -> None:
        self.name = name if args is None else f"{name}({args})"
        self._starts: list[int] = []

    def __enter__(self) -> record_function:
        self._starts.append(now() if records else 0)
        return self

    def __exit__(self, *exception: Any) -> None:
        start = self._starts.pop()
        if start:
            end = now()
            for record in records:
                if start >= record.start:
                    record.add(self.name, Kind.RANGE, start, end)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def named(*args: Any, **kwargs: Any) -> Any:
            with record_function(self.name):
                return function(*args, **kwargs)

        return named
