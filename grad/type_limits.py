"""`finfo` and `iinfo`: the limits of number types, as Python's numbers.

NumPy's own are of the type that they describe, and so would be what is computed of them:
``1 - eps`` would be rounded, and twice the largest number infinite.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import ml_dtypes
import numpy as np

from grad.dtype import DType, default_dtype


@dataclass(init=False, repr=False)
class finfo:
    """The limits of a floating type (unless given, that of new tensors).

    Attributes:
        bits: of a number. eps: from 1 to the next number. max, min: the largest number, and its
            opposite. smallest_normal, tiny: the least number over 0 of full precision. resolution:
            of numbers in decimals. dtype: the name of the type.

    Raises:
        TypeError: it is no floating type.

    Example:
        >>> finfo(grad.float16).max
        65504.0
    """

    resolution: float
    min: float
    max: float
    eps: float
    smallest_normal: float
    tiny: float
    dtype: str
    bits: int

    def __init__(self, type: DType | None = None) -> None:
        kind = default_dtype() if type is None else type
        if not isinstance(kind, DType) or not kind.is_floating_point:
            raise TypeError(f"finfo: needs a floating type, got {kind!r}; use iinfo for integers.")
        found = ml_dtypes.finfo(kind.numpy)
        self.min, self.max = float(found.min), float(found.max)
        self.eps = float(found.eps)
        self.resolution = float(f"1e-{math.floor(-math.log10(self.eps))}")
        self.smallest_normal = self.tiny = float(found.smallest_normal)
        self.dtype = kind.name
        self.bits = 8 * kind.itemsize

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, "
            f"eps={self.eps:g}, smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, "
            f"dtype={self.dtype})"
        )


@dataclass(init=False, repr=False)
class iinfo:
    """The limits of an integer type.

    Attributes:
        bits: of a number. max, min: the largest and the least number. dtype: the name of the type.

    Raises:
        TypeError: it is no integer type.

    Example:
        >>> iinfo(grad.int8)
        iinfo(min=-128, max=127, dtype=int8)
    """

    min: int
    max: int
    dtype: str
    bits: int

    def __init__(self, type: DType) -> None:
        if not isinstance(type, DType) or type.kind not in "iu":
            raise TypeError(f"iinfo: needs an integer type, got {type!r}; use finfo for floats.")
        found = np.iinfo(type.numpy)
        self.min, self.max = int(found.min), int(found.max)
        self.dtype = type.name
        self.bits = 8 * type.itemsize

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"
