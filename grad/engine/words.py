"""Python numbers as the 64-bit words in which a plan's code gets its scalars; see plan.py."""

from __future__ import annotations

import struct
from collections.abc import Callable

from grad.dtype import DType, dtypes


def word_packer(dtype: DType) -> Callable[[float | int | bool], int]:
    """The 64-bit word whose low bytes are the number as `dtype`."""
    if dtype.kind in "iub":
        mask = (1 << (8 * dtype.itemsize)) - 1
        return lambda number: int(number) & mask
    if dtype is dtypes.float64:
        return lambda number: int.from_bytes(struct.pack("<d", number), "little")
    if dtype is dtypes.float32:
        return _float32_word
    return lambda number: int.from_bytes(dtype.numpy.type(number).tobytes(), "little")


def _float32_word(number: float | int | bool) -> int:
    try:
        return int.from_bytes(struct.pack("<f", number), "little")
    except OverflowError:  # beyond float32: infinity, as a conversion gives
        return 0x7F800000 if number > 0 else 0xFF800000
