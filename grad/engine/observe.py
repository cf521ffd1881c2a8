"""Who is told what the engine does: each plan that is made, each step that is run.

`GRAD_DEBUG` prints it, the profiler notes times, `grad.explain` keeps what a plan was made of. An
`Observer` gets calls between `attach` and `detach`; while there is one (or `settings.debug` prints
steps) plans run step by step, which `settings.timed` says in one place. With none, nothing is
called and nothing is looked up.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

from grad.settings import settings

if TYPE_CHECKING:
    from grad.codegen.backend import Backend
    from grad.engine.draft import Draft
    from grad.engine.linking import UnlinkedPlan
    from grad.engine.plan import Work

now = time.perf_counter_ns


class Made(NamedTuple):
    """A plan and how it came about.

    Attributes:
        starts: the step in which each group begins. works: what each of its phases does.
    """

    draft: Draft
    starts: tuple[int, ...]
    works: tuple[tuple[Work, ...], ...]
    plan: UnlinkedPlan
    backend: Backend


class Observer:
    """What an observer can be told; times are those of `now`, in nanoseconds."""

    def planned(self, made: Made, start: int, end: int) -> None:
        """A plan has been made."""

    def stepped(self, works: Sequence[Work], start: int, end: int) -> None:
        """A step has been run: independent kernels together."""


observers: list[Observer] = []


def attach(observer: Observer) -> None:
    """Tell `observer` from now on."""
    observers.append(observer)
    settings.observed = True


def detach(observer: Observer) -> None:
    """Tell `observer` no more."""
    observers.remove(observer)
    settings.observed = bool(observers)


def planned(made: Made, start: int, end: int) -> None:
    """Tell everybody of a plan that was made from `start` to `end`."""
    for observer in observers:
        observer.planned(made, start, end)


def stepped(works: Sequence[Work], start: int, end: int) -> None:
    """Tell everybody of a step, and print it (``GRAD_DEBUG=2``)."""
    for observer in observers:
        observer.stepped(works, start, end)
    if settings.debug >= 2:
        elapsed = max(end - start, 1)
        moved = sum(work.nbytes for work in works)
        done = sum(work.operations for work in works)
        print(
            f"grad: {elapsed / 1e3:10.1f} us {moved / elapsed:8.2f} GB/s "
            f"{done / elapsed:8.2f} GFLOP/s  {label(works)}",
            file=sys.stderr,
        )


def label(works: Sequence[Work]) -> str:
    """The kernels of a step, which run together, as one name."""
    return " | ".join(work.label for work in works)
