"""Switches of PyTorch's that choose among its ways of computing, of which there is one here.

Results are the same from run to run and on any number of threads, products are computed in the type
of their operands, and there is one device. The functions remember what they are told, so that code
which sets and asks runs.
"""

from __future__ import annotations

import threading
from typing import Any

from grad.device import CPU, Device, check_device
from grad.errors import ArgumentError

_PRECISIONS = ("highest", "high", "medium")
_DEBUG_MODES = {"default": 0, "warn": 1, "error": 2}


class _Told(threading.local):
    deterministic = False
    warn_only = False
    precision = "highest"
    warn_always = False
    device: Device = CPU


_told = _Told()


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Ask for results that are the same from run to run; they always are."""
    if not isinstance(mode, bool):
        raise TypeError(f"use_deterministic_algorithms: mode must be a bool, got {mode!r}.")
    _told.deterministic, _told.warn_only = mode, warn_only


def are_deterministic_algorithms_enabled() -> bool:
    """What `use_deterministic_algorithms` was last told."""
    return _told.deterministic


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Whether it was told only to warn."""
    return _told.warn_only


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """As `use_deterministic_algorithms`, by "default", "warn" or "error", or 0, 1 or 2."""
    number = _DEBUG_MODES.get(debug_mode, debug_mode) if isinstance(debug_mode, str) else debug_mode
    if number not in (0, 1, 2):
        raise ArgumentError(
            f"set_deterministic_debug_mode: {debug_mode!r} is none of {', '.join(_DEBUG_MODES)}."
        )
    use_deterministic_algorithms(number > 0, warn_only=number == 1)  # type: ignore[operator]


def get_deterministic_debug_mode() -> int:
    """0, 1 or 2; see `set_deterministic_debug_mode`."""
    return 0 if not _told.deterministic else 1 if _told.warn_only else 2


def set_float32_matmul_precision(precision: str) -> None:
    """Allow products of float32 to be less precise than that; they are "highest" all the same."""
    if precision not in _PRECISIONS:
        raise ArgumentError(
            f"set_float32_matmul_precision: {precision!r} is none of {', '.join(_PRECISIONS)}."
        )
    _told.precision = precision


def get_float32_matmul_precision() -> str:
    """What `set_float32_matmul_precision` was last told."""
    return _told.precision


def set_flush_denormal(mode: bool) -> bool:
    """Whether denormal numbers can be made 0: no, whatever `mode`."""
    return False


def set_num_interop_threads(count: int) -> None:
    """Operations follow one another here; each uses `get_num_threads()` threads."""
    if count < 1:
        raise ArgumentError(f"set_num_interop_threads: needs 1 or more, got {count}.")


def get_num_interop_threads() -> int:
    """How many operations run at once: 1."""
    return 1


def set_warn_always(mode: bool) -> None:
    """Ask for warnings each time; the `warnings` module decides that here."""
    _told.warn_always = mode


def is_warn_always_enabled() -> bool:
    """What `set_warn_always` was last told."""
    return _told.warn_always


def set_default_device(device: Any) -> None:
    """Say where tensors are made: DeviceError for any place but the CPU."""
    check_device(device)
    _told.device = CPU if device is None else Device(device)


def get_default_device() -> Device:
    """Where tensors are made."""
    return _told.device
