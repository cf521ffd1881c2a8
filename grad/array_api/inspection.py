"""What the namespace can do, for a program that asks: ``__array_namespace_info__()``."""

from __future__ import annotations

from typing import Any

from grad.array_api.data_types import isdtype
from grad.device import CPU, Device, check_device
from grad.dtype import DType, default_dtype, dtypes

# The standard's types, those that there are; float16 and bfloat16 are not among them.
STANDARD = (
    dtypes.bool,
    dtypes.int8,
    dtypes.int16,
    dtypes.int32,
    dtypes.int64,
    dtypes.uint8,
    dtypes.uint16,
    dtypes.uint32,
    dtypes.uint64,
    dtypes.float32,
    dtypes.float64,
)
# What NumPy can show of a tensor, in any version.
MAX_DIMENSIONS = 32


class Inspection:
    """Answers about the namespace."""

    def capabilities(self) -> dict[str, bool | int]:
        """What depends on values may be used, and how many axes there can be."""
        return {
            "boolean indexing": True,
            "data-dependent shapes": True,
            "max dimensions": MAX_DIMENSIONS,
        }

    def default_device(self) -> Device:
        """Where arrays are made unless something else is said."""
        return CPU

    def devices(self) -> list[Device]:
        """All devices."""
        return [CPU]

    def default_dtypes(self, *, device: Any = None) -> dict[str, DType]:
        """The types of results that nothing else decides. There is no complex one."""
        check_device(device)
        return {
            "real floating": default_dtype(),
            "integral": dtypes.int64,
            "indexing": dtypes.int64,
        }

    def dtypes(
        self, *, device: Any = None, kind: str | tuple[str, ...] | None = None
    ) -> dict[str, DType]:
        """The standard's types by name, those of `kind` (see `isdtype`) or all."""
        check_device(device)
        return {dtype.name: dtype for dtype in STANDARD if kind is None or isdtype(dtype, kind)}


def __array_namespace_info__() -> Inspection:
    """What the namespace can do: `capabilities`, devices and types."""
    return Inspection()
