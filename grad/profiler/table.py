"""Events summed by name, and the table of them: `EventList` is what `key_averages` gives.

Times are in microseconds, under PyTorch's names. The share of the limit compares a kernel with the
machine itself (runtime/cpu/limits.py): the least time in which it could do its arithmetic or move
its bytes, whichever is longer, in parts of the time it took.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, NamedTuple

from grad.device import open_backend
from grad.engine.threads import get_num_threads
from grad.errors import ArgumentError
from grad.profiler.record import Event, Kind, Record
from grad.runtime.rates import rate

# Enough sizes to tell the caches from memory, few enough to be measured in a second.
FOOTPRINTS = (1 << 18, 1 << 21, 1 << 24, 1 << 27)


@cache
def machine_limits(threads: int) -> tuple[float, list[tuple[int, float]]]:
    """Operations a second, and bytes a second by size; measured once in a process."""
    return open_backend("cpu").limits(threads, FOOTPRINTS)


class FunctionEvents(NamedTuple):
    """All events of one name.

    Attributes:
        key: the name. count: how many. nanoseconds: in all.
        bytes, flops: moved and computed in all, at least.
    """

    key: str
    kind: Kind
    count: int
    nanoseconds: int
    bytes: int
    flops: float

    @property
    def cpu_time_total(self) -> float:
        """Microseconds in all."""
        return self.nanoseconds / 1e3

    @property
    def self_cpu_time_total(self) -> float:
        """The same: kernels do not call each other."""
        return self.cpu_time_total

    @property
    def cpu_time(self) -> float:
        """Microseconds a call."""
        return self.cpu_time_total / self.count

    @property
    def bandwidth(self) -> float:
        """Bytes a second."""
        return self.bytes / max(self.nanoseconds, 1) * 1e9

    @property
    def rate(self) -> float:
        """Operations a second."""
        return self.flops / max(self.nanoseconds, 1) * 1e9

    @property
    def share(self) -> float:
        """The least time that the machine allows for this, in parts of the time it took."""
        if self.kind is not Kind.KERNEL:
            return 0.0
        operations, memory = machine_limits(get_num_threads())
        moving = self.bytes / rate(memory, self.bytes / self.count)
        return max(self.flops / operations, moving) * 1e9 / max(self.nanoseconds, 1)


SORTS: dict[str, Callable[[FunctionEvents], Any]] = {
    "cpu_time_total": lambda e: -e.nanoseconds,
    "self_cpu_time_total": lambda e: -e.nanoseconds,
    "cpu_time": lambda e: -e.cpu_time,
    "count": lambda e: -e.count,
    "bytes": lambda e: -e.bytes,
    "flops": lambda e: -e.flops,
    "share": lambda e: e.share,
    "key": lambda e: e.key,
}


class EventList(list[FunctionEvents]):
    """Sums by name, in order of their first event."""

    def __init__(self, found: Iterable[FunctionEvents], record: Record) -> None:
        super().__init__(found)
        self.record = record

    def total(self, kind: Kind) -> int:
        """Nanoseconds of all events of a kind."""
        return sum(event.nanoseconds for event in self if event.kind is kind)

    def table(
        self,
        sort_by: str | None = "cpu_time_total",
        row_limit: int = 100,
        max_name_column_width: int = 60,
    ) -> str:
        """As text: kernels, compilations and ranges, and how the time was spent.

        Args:
            sort_by: one of `SORTS`; None keeps the order. "share" has the worst first.
            row_limit: rows at most; -1 for all.
        """
        if sort_by is not None and sort_by not in SORTS:
            raise ArgumentError(f"table: sort_by={sort_by!r}; it is one of {', '.join(SORTS)}.")
        rows = list(self) if sort_by is None else sorted(self, key=SORTS[sort_by])
        rows = rows if row_limit < 0 else rows[:row_limit]
        whole = max(self.record.nanoseconds, 1)
        names = [_cut(f"{_PREFIX[row.kind]}{row.key}", max_name_column_width) for row in rows]
        width = max(map(len, names), default=4)
        titles = ("calls", "total", "each", "time", "GB/s", "GFLOP/s", "of limit")
        lines = [f"{'name':{width}s} {' '.join(f'{title:>9s}' for title in titles)}"]
        for name, row in zip(names, rows, strict=True):
            cells = [str(row.count), _time(row.nanoseconds), _time(row.nanoseconds / row.count)]
            cells.append(f"{row.nanoseconds / whole:.1%}")
            if row.kind is Kind.KERNEL:
                cells += [f"{row.bandwidth / 1e9:.1f}", f"{row.rate / 1e9:.1f}", f"{row.share:.0%}"]
            lines.append(f"{name:{width}s} {' '.join(f'{cell:>9s}' for cell in cells)}")
        return "\n".join([*lines, self.summary()])

    def summary(self) -> str:
        """How the time was spent, and memory at its peak."""
        whole = self.record.nanoseconds
        kernels, compiling = self.total(Kind.KERNEL), self.total(Kind.COMPILE)
        peak = max(sample.nbytes for sample in self.record.memory)
        between = max(whole - kernels - compiling, 0)
        return (
            f"in all {_time(whole)}: kernels {_time(kernels)}, compiling {_time(compiling)}, "
            f"Python and waiting {_time(between)}; memory in use at most {peak / 2**20:.1f} MB"
        )

    def __str__(self) -> str:
        return self.table()


_PREFIX = {Kind.KERNEL: "", Kind.COMPILE: "", Kind.RANGE: "range: "}


def sums(record: Record) -> EventList:
    """The events of `record` summed by name."""
    found: dict[tuple[Kind, str], list[Event]] = {}
    for event in record.events:
        found.setdefault((event.kind, event.name), []).append(event)
    return EventList(
        (
            FunctionEvents(
                name,
                kind,
                len(events),
                sum(event.nanoseconds for event in events),
                sum(event.nbytes for event in events),
                sum(event.operations for event in events),
            )
            for (kind, name), events in found.items()
        ),
        record,
    )


def _cut(name: str, width: int) -> str:
    return name if len(name) <= width else name[: width - 3] + "..."


def _time(nanoseconds: float) -> str:
    for unit, size in (("s", 1e9), ("ms", 1e6)):
        if nanoseconds >= size:
            return f"{nanoseconds / size:.2f}{unit}"
    return f"{nanoseconds / 1e3:.1f}us"
