"""Element types: what they are, and how they combine.

Start with `DType`, one frozen row per type; `dtypes` is the public namespace of them.
`promote_types` answers for two types, `result_type` for operands of which some are weak (Python
scalars, 0-dimensional tensors), both by PyTorch's rules. Nothing here knows about tensors;
`grad/ops` does the asking.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np

from grad.errors import DTypeError, a_kind_of


class DType:
    """An element type. There is one object per type, so compare with ``is`` or ``==`` alike.

    Attributes:
        name: PyTorch's name, ``"float32"``.
        kind: ``"b"`` bool, ``"i"`` signed, ``"u"`` unsigned, ``"f"`` floating.
        itemsize: bytes per element.
        numpy: the matching ``numpy.dtype`` (bfloat16 is the one of ml_dtypes).
    """

    __slots__ = ("is_floating_point", "is_signed", "itemsize", "kind", "name", "numpy", "priority")

    def __init__(self, name: str, kind: str, itemsize: int, numpy_type: Any) -> None:
        self.name = name
        self.kind = kind
        self.itemsize = itemsize
        self.numpy = np.dtype(numpy_type)
        self.is_floating_point = kind == "f"
        self.is_signed = kind in "if"
        # bool < integers < floating: the categories of PyTorch's promotion.
        self.priority = {"b": 0, "i": 1, "u": 1, "f": 2}[kind]

    @property
    def is_complex(self) -> bool:
        return False

    def __repr__(self) -> str:
        return f"grad.{self.name}"

    def __reduce__(self) -> str | tuple[Any, ...]:
        return (by_name, (self.name,))


class dtypes:
    """All element types by name: ``dtypes.float32``, ``dtypes.int64``, ``dtypes.bool`` ..."""

    bool = DType("bool", "b", 1, np.bool_)
    int8 = DType("int8", "i", 1, np.int8)
    int16 = DType("int16", "i", 2, np.int16)
    int32 = DType("int32", "i", 4, np.int32)
    int64 = DType("int64", "i", 8, np.int64)
    uint8 = DType("uint8", "u", 1, np.uint8)
    uint16 = DType("uint16", "u", 2, np.uint16)
    uint32 = DType("uint32", "u", 4, np.uint32)
    uint64 = DType("uint64", "u", 8, np.uint64)
    float16 = DType("float16", "f", 2, np.float16)
    bfloat16 = DType("bfloat16", "f", 2, ml_dtypes.bfloat16)
    float32 = DType("float32", "f", 4, np.float32)
    float64 = DType("float64", "f", 8, np.float64)

    half = float16
    float = float32
    double = float64
    short = int16
    int = int32
    long = int64


ALL_DTYPES: tuple[DType, ...] = (
    dtypes.bool,
    dtypes.int8,
    dtypes.int16,
    dtypes.int32,
    dtypes.int64,
    dtypes.uint8,
    dtypes.uint16,
    dtypes.uint32,
    dtypes.uint64,
    dtypes.float16,
    dtypes.bfloat16,
    dtypes.float32,
    dtypes.float64,
)

_BY_NAME = {dtype.name: dtype for dtype in ALL_DTYPES}
DTYPE_NAMES = frozenset(_BY_NAME)
_BY_NUMPY = {dtype.numpy: dtype for dtype in ALL_DTYPES}
_SIGNED_BY_SIZE = {1: dtypes.int8, 2: dtypes.int16, 4: dtypes.int32, 8: dtypes.int64}


def by_name(name: str) -> DType:
    """The type called `name`; raises DTypeError for a name there is none of."""
    if name not in _BY_NAME:
        raise DTypeError(f"no dtype is called {name!r}; there are {', '.join(_BY_NAME)}.")
    return _BY_NAME[name]


def as_dtype(value: Any) -> DType:
    """The DType that `value` means: a DType, its name, ``bool/int/float``, or a NumPy dtype."""
    if isinstance(value, DType):
        return value
    if value is bool:
        return dtypes.bool
    if value is int:
        return dtypes.int64
    if value is float:
        return default_dtype()
    if isinstance(value, str):
        return by_name(value)
    try:
        found = _BY_NUMPY.get(np.dtype(value))
    except TypeError:
        found = None
    if found is None:
        raise DTypeError(
            f"{value!r} is not a dtype of this library; use one of {', '.join(_BY_NAME)}, "
            f"for example dtype=dtypes.float32."
        )
    return found


_default = dtypes.float32


def default_dtype() -> DType:
    """The floating type of results that nothing else decides; float32 unless set otherwise."""
    return _default


def set_default_dtype(dtype: DType) -> None:
    """Make `dtype` (floating) what Python floats and float factories give."""
    global _default
    if not dtype.is_floating_point:
        raise DTypeError(f"the default dtype must be floating, not {dtype}; use dtypes.float32.")
    _default = dtype


def promote_types(a: DType, b: DType) -> DType:
    """The smallest type that both `a` and `b` go into, by PyTorch's table.

    A float wins over any integer whatever their sizes; float16 with bfloat16 gives float32; signed
    with unsigned gives the next larger signed type, and float64 with uint64 where there is none (as
    NumPy).

    Example:
        >>> promote_types(dtypes.int64, dtypes.float16)
        grad.float16
    """
    if a is b:
        return a
    if a.priority != b.priority:
        return a if a.priority > b.priority else b
    if a.kind == b.kind:
        if a.itemsize == b.itemsize:  # float16 and bfloat16
            return dtypes.float32
        return a if a.itemsize > b.itemsize else b
    signed, unsigned = (a, b) if a.kind == "i" else (b, a)
    if signed.itemsize > unsigned.itemsize:
        return signed
    return _SIGNED_BY_SIZE.get(unsigned.itemsize * 2, dtypes.float64)


def scalar_dtype(value: bool | int | float) -> DType:
    """The (weak) type of a Python scalar: bool, int64 or the default floating type."""
    if isinstance(value, bool | np.bool_):
        return dtypes.bool
    if isinstance(value, int | np.integer):
        return dtypes.int64
    if isinstance(value, float | np.floating):
        return default_dtype()
    raise DTypeError(f"{a_kind_of(value)} is not a number; use a bool, an int or a float.")


def combine(strong: DType | None, weak: DType | None) -> DType | None:
    """Let `weak` raise `strong` only across categories: a weak float lifts integers, nothing
    else.
    """
    if strong is None or weak is None:
        return strong or weak
    if weak.priority <= strong.priority:
        return strong
    return promote_types(strong, weak)
