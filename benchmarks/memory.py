"""The memory of this process: resident now, and the most since a reset. Linux counts for us."""

from __future__ import annotations

import re
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_RESET_PEAK = "5"


def _status_bytes(field: str) -> int:
    """A figure of the kernel's, 0 where the system has none."""
    if not _STATUS.exists():
        return 0
    match = re.search(rf"^{field}:\s+(\d+) kB", _STATUS.read_text(), re.M)
    return int(match[1]) * 1024 if match else 0


def resident_bytes() -> int:
    return _status_bytes("VmRSS")


def peak_bytes() -> int:
    """The most bytes that were resident since `reset_peak`, or since the process began."""
    return _status_bytes("VmHWM")


def reset_peak() -> None:
    if _CLEAR.exists():
        _CLEAR.write_text(_RESET_PEAK)
