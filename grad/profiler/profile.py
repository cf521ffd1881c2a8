"""`profile`: what runs inside of it is recorded, as with ``torch.profiler.profile``.

While a profile records, plans run step by step so that each can be timed; the whole is a little
slower than without. `schedule` says at which steps (`profile.step`) it records at all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from enum import Enum
from pathlib import Path
from typing import Any

from grad.engine.observe import attach, detach
from grad.errors import ArgumentError
from grad.profiler.export import export_timeline, timeline_of, trace_of
from grad.profiler.record import Event, Record, records
from grad.profiler.table import EventList, sums


class ProfilerActivity(Enum):
    """What to record; everything runs on the CPU, so all mean the same."""

    CPU = "cpu"
    CUDA = "cuda"
    XPU = "xpu"
    MTIA = "mtia"


class ProfilerAction(Enum):
    """What to do in a step."""

    NONE = "none"
    WARMUP = "warmup"
    RECORD = "record"
    RECORD_AND_SAVE = "record and save"


Schedule = Callable[[int], ProfilerAction]


def schedule(
    *, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0
) -> Schedule:
    """Steps to record: after `skip_first`, in turn `wait` and `warmup` steps not, `active` ones.

    `repeat` is how many turns there are; 0 for no end. In `warmup` steps nothing is recorded here.
    """
    if active < 1 or min(wait, warmup, repeat, skip_first) < 0:
        raise ArgumentError("schedule: active must be at least 1, and no number negative.")
    turn = wait + warmup + active

    def action(step: int) -> ProfilerAction:
        number, place = divmod(step - skip_first, turn)
        if step < skip_first or (repeat and number >= repeat) or place < wait:
            return ProfilerAction.NONE
        if place < wait + warmup:
            return ProfilerAction.WARMUP
        last = place == turn - 1
        return ProfilerAction.RECORD_AND_SAVE if last else ProfilerAction.RECORD

    return action


def _always(step: int) -> ProfilerAction:
    return ProfilerAction.RECORD


def tensorboard_trace_handler(directory: str | Path) -> Callable[[profile], None]:
    """An `on_trace_ready` that writes a trace for each turn into `directory`."""

    def write(found: profile) -> None:
        Path(directory).mkdir(parents=True, exist_ok=True)
        found.export_chrome_trace(Path(directory) / f"step{found.step_num}.pt.trace.json")

    return write


_RECORDING = (ProfilerAction.RECORD, ProfilerAction.RECORD_AND_SAVE)


class profile:
    """Records kernels with their times, compilation, named ranges and memory.

    Args:
        activities: taken for PyTorch's sake; everything is recorded.
        schedule: which steps to record, see `schedule`; without it, everything.
        on_trace_ready: called with the profile at the end of each turn of the schedule, or at the
            end without one.
        record_shapes, profile_memory, with_stack, with_flops, with_modules: taken for PyTorch's
            sake; shapes are in the names of kernels, memory and operations always recorded.

    Example:
        >>> with grad.profiler.profile() as prof:
        ...     model(x).sum().item()
        >>> print(prof.key_averages().table(sort_by="cpu_time_total", row_limit=10))
        >>> prof.export_chrome_trace("trace.json")
    """

    def __init__(
        self,
        *,
        activities: Iterable[Any] | None = None,
        schedule: Schedule | None = None,
        on_trace_ready: Callable[[profile], Any] | None = None,
        record_shapes: bool = False,
        profile_memory: bool = False,
        with_stack: bool = False,
        with_flops: bool = False,
        with_modules: bool = False,
    ) -> None:
        for activity in activities or ():
            if not isinstance(activity, ProfilerActivity):
                raise ArgumentError(f"profile: {activity!r} is no ProfilerActivity.")
        self.schedule = schedule or _always
        self.on_trace_ready = on_trace_ready
        self.step_num = 0
        self._record: Record | None = None
        self._running = False

    # -- running -----------------------------------------------------------------------------------
    def start(self) -> None:
        """Begin, as entering the ``with`` block does."""
        self._begin_if(self.schedule(self.step_num))

    def stop(self) -> None:
        """End, as leaving the ``with`` block does."""
        if self._running:
            self._finish()
            if self.on_trace_ready is not None:
                self.on_trace_ready(self)

    def step(self) -> None:
        """The next step of the loop begins."""
        before = self.schedule(self.step_num)
        self.step_num += 1
        if before is ProfilerAction.RECORD_AND_SAVE:
            self.stop()
        self._begin_if(self.schedule(self.step_num))

    def _begin_if(self, action: ProfilerAction) -> None:
        if action in _RECORDING and not self._running:
            self._record = Record()
            attach(self._record)
            records.append(self._record)
            self._running = True
        elif action not in _RECORDING and self._running:
            self._finish()

    def _finish(self) -> None:
        record = self._found
        detach(record)
        records.remove(record)
        record.finish()
        self._running = False

    def __enter__(self) -> profile:
        self.start()
        return self

    def __exit__(self, *exception: Any) -> None:
        self.stop()

    # -- what was found ----------------------------------------------------------------------------
    @property
    def _found(self) -> Record:
        if self._record is None:
            raise ArgumentError("profile: nothing has been recorded yet.")
        return self._record

    def events(self) -> list[Event]:
        """All events, in the order in which they ended."""
        return list(self._found.events)

    def key_averages(self, group_by_input_shape: bool = False) -> EventList:
        """Events summed by name; kernels' names hold their shapes in any case."""
        return sums(self._found)

    def export_chrome_trace(self, path: str | Path) -> None:
        """Write a trace that Perfetto (ui.perfetto.dev) and chrome://tracing show."""
        Path(path).write_text(json.dumps(trace_of(self._found)), encoding="utf-8")

    def memory_timeline(self) -> dict[str, Any]:
        """``{"seconds": [...], "bytes": [...], "peak_bytes": n}``: memory in use over time."""
        return timeline_of(self._found)

    def export_memory_timeline(self, path: str | Path, device: Any = None) -> None:
        """Write memory over time: data (``.json``) or a picture (``.png``, ``.svg``, ``.pdf``).

        Raises ImportError, naming the extra, when a picture is wanted and there is no matplotlib.
        """
        export_timeline(self._found, path)
