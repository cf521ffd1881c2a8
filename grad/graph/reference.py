"""NumPy forms of the primitives that NumPy has no single function for.

These are the oracle: they say what a primitive means, slowly and plainly. `primitives.py` puts them
into its table; `evaluate.py` runs whole graphs with them.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]

_ERF = np.frompyfunc(math.erf, 1, 1)
_ERFC = np.frompyfunc(math.erfc, 1, 1)


def neg(x: Array) -> Array:
    """``-x``; for unsigned integers modulo 2^bits, for bool the value itself."""
    return x if x.dtype == np.bool_ else np.negative(x)


def round_to_even(x: Array) -> Array:
    """The nearest whole number, halves to the even one; integers as they are."""
    return x if x.dtype.kind in "iub" else np.rint(x)


def rsqrt(x: Array) -> Array:
    return (1 / np.sqrt(x.astype(np.float64))).astype(x.dtype)


def erf(x: Array) -> Array:
    return np.asarray(_ERF(x.astype(np.float64)), dtype=np.float64).astype(x.dtype)


def erfc(x: Array) -> Array:
    return np.asarray(_ERFC(x.astype(np.float64)), dtype=np.float64).astype(x.dtype)


def sigmoid(x: Array) -> Array:
    return (1 / (1 + np.exp(-x.astype(np.float64)))).astype(x.dtype)


def cast(x: Array, dtype: np.dtype[Any]) -> Array:
    """Convert values: the definition that the interpreter and every code generator agree with.

    * To bool: ``x != 0``.
    * Integer to integer: the low bits.
    * Float to integer: truncated; what does not fit saturates in the type that it goes through,
    which is
      uint64 for uint64, int64 for int64 and uint32, and int32 for everything smaller, whose low
      bits are then kept. NaN becomes 0.
    * Anything to float: rounded to nearest even, once (integers to 16-bit floats through float32).
    """
    if dtype == np.bool_:
        return x != 0
    if dtype.kind in "iu" and x.dtype.kind not in "iub":
        through = (
            np.uint64
            if dtype == np.uint64
            else np.int64
            if dtype.name in ("int64", "uint32")
            else np.int32
        )
        return _saturated(x, np.dtype(through)).astype(dtype)
    if dtype.name == "bfloat16" and x.dtype == np.float64:  # ml_dtypes rounds to float32 first
        return _rounded_to_odd(x).astype(dtype)
    if dtype.itemsize == 2 and dtype.kind not in "iu" and x.dtype.kind in "iu":
        return x.astype(np.float32).astype(dtype)
    return x.astype(dtype)


def _saturated(x: Array, dtype: np.dtype[Any]) -> Array:
    """Floats truncated to integers of 32 or 64 bits, limited to what the type holds; NaN gives
    0.
    """
    limits = np.iinfo(dtype)
    top = 2.0 ** (limits.bits - (dtype.kind == "i"))
    bottom = float(limits.min)
    whole = np.trunc(x.astype(np.float64))
    inside = np.where((whole >= bottom) & (whole < top), whole, 0).astype(dtype)
    above = np.where(whole >= top, dtype.type(limits.max), inside)
    return np.where(whole < bottom, dtype.type(limits.min), above)


def _rounded_to_odd(x: Array) -> Array:
    """float64 to float32 such that rounding once more gives what rounding `x` itself would.

    Of the two float32 values around one that is not exact, the one with an odd last bit is taken.
    Source: Boldo and Melquiond, "Emulation of FMA and correctly rounded sums: proved algorithms
    using rounding to odd", IEEE Transactions on Computers 57(4), 2008.
    """
    near = x.astype(np.float32)
    back = near.astype(np.float64)
    bits = near.view(np.int32)
    other = bits + np.where(np.abs(back) < np.abs(x), 1, -1).astype(np.int32)
    even_and_inexact = (back != x) & ~np.isnan(x) & (bits % 2 == 0)
    return np.where(even_and_inexact, other, bits).view(np.float32)


def bitcast(x: Array, dtype: np.dtype[Any]) -> Array:
    return np.array(x, order="C").view(dtype)


def floordiv(x: Array, y: Array) -> Array:
    """Quotient rounded down; integers divided by zero give 0, as in NumPy."""
    return np.floor_divide(x, y)


def mod(x: Array, y: Array) -> Array:
    """Remainder with the sign of the divisor; integers modulo zero give 0, as in NumPy."""
    return np.mod(x, y)


def fmod(x: Array, y: Array) -> Array:
    """Remainder with the sign of the dividend; integers modulo zero give 0, as in NumPy."""
    return np.fmod(x, y)


def power(x: Array, y: Array) -> Array:
    """``x ** y``. Integers wrap; a negative integer exponent gives 0 unless the base is 1 or -1."""
    if x.dtype.kind not in "iu" or x.dtype.kind == "u":
        return np.power(x, y)
    positive = np.power(x, np.maximum(y, 0))
    sign = np.where(y % 2 == 0, 1, x)
    inverse = np.where(x == 1, 1, np.where(x == -1, sign, 0))
    return np.where(y < 0, inverse, positive).astype(x.dtype)


def _rotate(x: Array, bits: int) -> Array:
    return (x << np.uint32(bits)) | (x >> np.uint32(32 - bits))


def threefry(key: Array, counter: Array) -> Array:
    """Threefry-2x32 with 20 rounds: 64 random bits of a 64-bit key and a 64-bit counter.

    Low words are word 0. Source: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as
    1, 2, 3", SC 2011; constants of the Random123 library.
    """
    key, counter = np.broadcast_arrays(np.asarray(key, np.uint64), np.asarray(counter, np.uint64))
    low, high = np.uint64(0xFFFFFFFF), np.uint64(32)
    keys = [(key & low).astype(np.uint32), (key >> high).astype(np.uint32)]
    keys.append(keys[0] ^ keys[1] ^ np.uint32(0x1BD11BDA))
    with np.errstate(over="ignore"):
        x0 = (counter & low).astype(np.uint32) + keys[0]
        x1 = (counter >> high).astype(np.uint32) + keys[1]
        for block in range(5):
            for bits in THREEFRY_ROTATIONS[4 * (block % 2) : 4 * (block % 2) + 4]:
                x0 = x0 + x1
                x1 = _rotate(x1, bits) ^ x0
            x0 = x0 + keys[(block + 1) % 3]
            x1 = x1 + keys[(block + 2) % 3] + np.uint32(block + 1)
    return x0.astype(np.uint64) | (x1.astype(np.uint64) << high)


THREEFRY_ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)


def _wide(x: Array) -> Array:
    return x.astype(np.float64) if x.dtype.kind not in "iub" else x


def reduce_sum(x: Array, axis: tuple[int, ...]) -> Array:
    return np.asarray(np.sum(_wide(x), axis=axis)).astype(x.dtype)


def reduce_prod(x: Array, axis: tuple[int, ...]) -> Array:
    return np.asarray(np.prod(_wide(x), axis=axis)).astype(x.dtype)


def reduce_max(x: Array, axis: tuple[int, ...]) -> Array:
    return np.asarray(np.max(x, axis=axis))


def reduce_min(x: Array, axis: tuple[int, ...]) -> Array:
    return np.asarray(np.min(x, axis=axis))
