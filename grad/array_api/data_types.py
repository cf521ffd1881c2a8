"""Element types: their names, limits and kinds, and how they combine.

Besides the standard's real types there are float16 and bfloat16, both of kind "real floating".
"""

from __future__ import annotations

import builtins
from dataclasses import dataclass
from typing import Any, TypeAlias

import ml_dtypes
import numpy as np

from grad.array_api.operands import require_tensor
from grad.device import check_device
from grad.dtype import DType, combine, dtypes, promote_types, scalar_dtype
from grad.errors import ArgumentError, DTypeError
from grad.tensor import Tensor

bool = dtypes.bool
int8 = dtypes.int8
int16 = dtypes.int16
int32 = dtypes.int32
int64 = dtypes.int64
uint8 = dtypes.uint8
uint16 = dtypes.uint16
uint32 = dtypes.uint32
uint64 = dtypes.uint64
float16 = dtypes.float16
bfloat16 = dtypes.bfloat16
float32 = dtypes.float32
float64 = dtypes.float64

Flag: TypeAlias = builtins.bool

# The letters that `DType.kind` has for each kind of the standard.
KINDS = {
    "bool": "b",
    "signed integer": "i",
    "unsigned integer": "u",
    "integral": "iu",
    "real floating": "f",
    "complex floating": "",
    "numeric": "iuf",
}


@dataclass(frozen=True, slots=True)
class FloatLimits:
    """What `finfo` gives: the limits of a floating type, as Python numbers."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: DType


@dataclass(frozen=True, slots=True)
class IntegerLimits:
    """What `iinfo` gives: the limits of an integer type, as Python numbers."""

    bits: int
    max: int
    min: int
    dtype: DType


def astype(x: Tensor, dtype: DType, /, *, copy: Flag = True, device: Any = None) -> Tensor:
    """`x` converted to `dtype`; `x` itself if it has that type and `copy` is False.

    Example:
        >>> astype(asarray([1.5, 2.5]), int64).tolist()
        [1, 2]
    """
    check_device(device)
    return require_tensor("astype", x).to(dtype, copy=copy)


def can_cast(from_: DType | Tensor, to: DType, /) -> Flag:
    """Whether promotion may turn `from_`, a type or an array, into `to`: it gives `to` for both."""
    return promote_types(_type_of(from_), to) is to


def finfo(type: DType | Tensor, /) -> FloatLimits:
    """The limits of a floating type, or of that of an array.

    Raises:
        DTypeError: the type is not floating.
    """
    dtype = _type_of(type)
    if dtype.kind != "f":
        raise DTypeError(f"finfo: needs a floating type, got {dtype.name}; use iinfo.")
    limits = ml_dtypes.finfo(dtype.numpy)
    return FloatLimits(
        bits=8 * dtype.itemsize,
        eps=float(limits.eps),
        max=float(limits.max),
        min=float(limits.min),
        smallest_normal=float(limits.smallest_normal),
        dtype=dtype,
    )


def iinfo(type: DType | Tensor, /) -> IntegerLimits:
    """The limits of an integer type, or of that of an array.

    Raises:
        DTypeError: the type is no integer type.
    """
    dtype = _type_of(type)
    if dtype.kind not in "iu":
        raise DTypeError(f"iinfo: needs an integer type, got {dtype.name}; use finfo.")
    limits = np.iinfo(dtype.numpy)
    return IntegerLimits(
        bits=8 * dtype.itemsize, max=int(limits.max), min=int(limits.min), dtype=dtype
    )


def isdtype(dtype: DType, kind: DType | str | tuple[DType | str, ...]) -> Flag:
    """Whether `dtype` is `kind`, of that kind, or of one of several.

    Raises:
        ArgumentError: there is no such kind.
    """
    if isinstance(kind, tuple):
        return any(isdtype(dtype, one) for one in kind)
    if isinstance(kind, DType):
        return dtype is kind
    if kind not in KINDS:
        raise ArgumentError(f"isdtype: no kind is called {kind!r}; there are {', '.join(KINDS)}.")
    return dtype.kind in KINDS[kind]


def result_type(*arrays_and_dtypes: Tensor | DType | int | float) -> DType:
    """The type of an operation on these arrays, types and Python numbers.

    Example:
        >>> result_type(asarray(1.0, dtype=float64), float32, 2)
        grad.float64
    """
    strong: DType | None = None
    weak: DType | None = None
    for value in arrays_and_dtypes:
        if isinstance(value, Tensor | DType):
            dtype = _type_of(value)
            strong = promote_types(strong or dtype, dtype)
        else:
            dtype = scalar_dtype(value)
            weak = promote_types(weak or dtype, dtype)
    if strong is None:
        raise ArgumentError("result_type: needs an array or a type among its arguments.")
    return combine(strong, weak) or strong


def _type_of(value: DType | Tensor) -> DType:
    if isinstance(value, Tensor):
        return value.dtype
    if isinstance(value, DType):
        return value
    raise DTypeError(f"needs a Tensor or a dtype, got {value!r}.")
