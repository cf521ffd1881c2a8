"""A record as files: a trace for Chrome and Perfetto, and memory over time as data or picture."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from grad.profiler.record import Kind, Record
from grad.utils.optional import optional

PICTURES = (".png", ".svg", ".pdf")
# Tracks of a trace, by kind of event.
_TRACKS = {Kind.RANGE: 0, Kind.COMPILE: 1, Kind.KERNEL: 2}


def trace_of(record: Record) -> dict[str, Any]:
    """The trace events of Chrome's format: times in microseconds from the start."""
    events: list[dict[str, Any]] = [
        {"ph": "M", "name": "thread_name", "pid": 0, "tid": track, "args": {"name": kind.value}}
        for kind, track in _TRACKS.items()
    ]
    for event in record.events:
        row: dict[str, Any] = {
            "ph": "X",
            "name": event.name,
            "cat": event.kind.value,
            "pid": 0,
            "tid": _TRACKS[event.kind],
            "ts": (event.start - record.start) / 1e3,
            "dur": event.nanoseconds / 1e3,
        }
        if event.kind is Kind.KERNEL:
            elapsed = max(event.nanoseconds, 1)
            row["args"] = {
                "bytes": event.nbytes,
                "operations": event.operations,
                "GB/s": event.nbytes / elapsed,
                "GFLOP/s": event.operations / elapsed,
            }
        events.append(row)
    events += [
        {
            "ph": "C",
            "name": "memory in use",
            "pid": 0,
            "ts": (sample.time - record.start) / 1e3,
            "args": {"bytes": sample.nbytes},
        }
        for sample in record.memory
    ]
    return {"traceEvents": events, "displayTimeUnit": "ms"}


def timeline_of(record: Record) -> dict[str, Any]:
    """Memory over time: seconds from the start, bytes in use then."""
    return {
        "seconds": [(sample.time - record.start) / 1e9 for sample in record.memory],
        "bytes": [sample.nbytes for sample in record.memory],
        "peak_bytes": max(sample.nbytes for sample in record.memory),
    }


def export_timeline(record: Record, path: str | Path) -> None:
    """Write `timeline_of` as JSON, or as a picture, as the name ends.

    Raises:
        ValueError: for another ending. ImportError: naming the extra, without matplotlib.
    """
    path = Path(path)
    if path.suffix == ".json":
        path.write_text(json.dumps(timeline_of(record)), encoding="utf-8")
        return
    if path.suffix not in PICTURES:
        raise ValueError(
            f"export_memory_timeline: {path.name!r} ends in none of .json, {', '.join(PICTURES)}."
        )
    figures = optional("matplotlib.figure", "plot", "a picture of memory over time")
    figure = figures.Figure(figsize=(8, 4), layout="constrained")
    axes = figure.subplots()
    found = timeline_of(record)
    megabytes = [nbytes / 2**20 for nbytes in found["bytes"]]
    milliseconds = [seconds * 1e3 for seconds in found["seconds"]]
    axes.step(milliseconds, megabytes, where="post", linewidth=1)
    axes.fill_between(milliseconds, megabytes, step="post", alpha=0.3)
    axes.set(xlabel="time (ms)", ylabel="memory in use (MB)", ylim=(0, None))
    axes.set_title(f"at most {found['peak_bytes'] / 2**20:.1f} MB")
    figure.savefig(path)
