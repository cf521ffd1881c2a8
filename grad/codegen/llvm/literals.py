"""Numbers as LLVM IR writes them."""

from __future__ import annotations

import struct

import numpy as np


def literal(element: str, value: float | int | bool) -> str:
    """The text of a constant of a scalar type. Floats are written as the bits of the double."""
    if element == "i1":
        return "true" if value else "false"
    if element.startswith("i"):
        return str(int(value))
    if element == "ptr":
        return "null"
    with np.errstate(over="ignore"):
        rounded = float(
            {"float": np.float32, "double": np.float64, "half": np.float16}[element](value)
        )
    bits = f"{struct.unpack('<Q', struct.pack('<d', rounded))[0]:016X}"
    if element == "half":
        return "0xH" + np.float16(rounded).tobytes()[::-1].hex().upper()
    return "0x" + bits
