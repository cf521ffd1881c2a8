"""Where tensors of a file are put: `map_location`, as in ``torch.load``.

A file says where each piece of memory was when it was saved ("cpu", "cuda:0"). Everything is put on
the CPU here; what was saved elsewhere has to be asked for there, as in PyTorch without a GPU.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from grad.device import CPU, Device
from grad.errors import DeviceError

MapLocation = str | Device | Mapping[str, Any] | Callable[[Any, str], Any] | None


class LoadedStorage:
    """What a callable `map_location` is given, as a stand-in for a piece of memory on the CPU."""

    device = CPU

    def __init__(self, nbytes: int) -> None:
        self._nbytes = nbytes

    def nbytes(self) -> int:
        return self._nbytes

    def cpu(self) -> LoadedStorage:
        return self


def check_location(saved: str, nbytes: int, target: MapLocation) -> None:
    """Raise DeviceError unless memory that was saved at `saved` is to be put on the CPU."""
    if isinstance(target, str | Device):
        Device(target)
        return
    if isinstance(target, Mapping):
        saved = str(target.get(saved, saved))
    elif target is not None and _answer(target, nbytes, saved) is not None:
        return
    if saved.partition(":")[0] != "cpu":
        raise DeviceError(
            f"load: the file has tensors of the device {saved!r}, which there is not here; use "
            "map_location='cpu'."
        )


def _answer(target: Callable[[Any, str], Any], nbytes: int, saved: str) -> Any:
    """What the caller's function says; what it raises is not the fault of the file."""
    try:
        return target(LoadedStorage(nbytes), saved)
    except Exception as error:
        raise DeviceError(f"load: map_location={target!r} raised {error!r}.") from error
