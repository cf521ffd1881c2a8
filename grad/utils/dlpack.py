"""DLPack: handing memory to other array libraries and taking theirs, without copying.

`export` makes a capsule for ``__dlpack__`` (where NumPy cannot); `accept` reads one. Both speak the
unversioned structure ``DLManagedTensor`` of DLPack 0.x, which every library reads (source:
dlpack.h, github.com/dmlc/ dlpack). Here there are addresses and type codes only;
`grad/ops/convert.py` makes tensors of them.
"""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

CPU = 1
# Type codes of dlpack.h by kind of element; bfloat16 has one of its own.
SIGNED, UNSIGNED, FLOATING, BFLOAT, BOOL = 0, 1, 2, 4, 6


class _Device(ctypes.Structure):
    _fields_ = [("type", ctypes.c_int32), ("id", ctypes.c_int32)]


class _Type(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16)]


class _Tensor(ctypes.Structure):
    _fields_ = [
        ("data", ctypes.c_void_p),
        ("device", _Device),
        ("ndim", ctypes.c_int32),
        ("dtype", _Type),
        ("shape", ctypes.POINTER(ctypes.c_int64)),
        ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("byte_offset", ctypes.c_uint64),
    ]


class _Managed(ctypes.Structure):
    pass


_Deleter = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_CapsuleDestructor = ctypes.CFUNCTYPE(None, ctypes.c_void_p)
_Managed._fields_ = [
    ("tensor", _Tensor),
    ("context", ctypes.c_void_p),
    ("deleter", ctypes.c_void_p),
]

_api = ctypes.pythonapi
_new_capsule = _api.PyCapsule_New
_new_capsule.restype = ctypes.py_object
_new_capsule.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_void_p]
_capsule_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", _api)
)
_capsule_is_valid = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_IsValid", _api)
)
_rename_capsule = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.c_char_p)(
    ("PyCapsule_SetName", _api)
)
# The same two by address, for a capsule that is being destroyed and must not be referenced.
_dying_is_valid = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p)(
    ("PyCapsule_IsValid", _api)
)
_dying_pointer = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_char_p)(
    ("PyCapsule_GetPointer", _api)
)

_FRESH, _USED = b"dltensor", b"used_dltensor"

# What is lent: by the key in the structure's context, all that must live until its deleter is
# called.
_lent: dict[int, tuple[Any, ...]] = {}
_keys = itertools.count(1)


@_Deleter
def _delete(address: int) -> None:
    key = ctypes.cast(address, ctypes.POINTER(_Managed)).contents.context
    _lent.pop(key, None)


@ctypes.PYFUNCTYPE(None, ctypes.c_void_p)
def _destroy_capsule(capsule: int) -> None:
    # A capsule that nobody took still owns its memory.
    if _dying_is_valid(capsule, _FRESH):
        _delete(_dying_pointer(capsule, _FRESH))


def export(
    address: int, shape: Sequence[int], strides: Sequence[int], code: int, bits: int, owner: Any
) -> Any:
    """A capsule for memory at `address` (strides in elements) that keeps `owner` alive."""
    managed = _Managed()
    sizes = (ctypes.c_int64 * max(len(shape), 1))(*shape)
    steps = (ctypes.c_int64 * max(len(shape), 1))(*strides)
    key = next(_keys)
    managed.tensor = _Tensor(
        address,
        _Device(CPU, 0),
        len(shape),
        _Type(code, bits, 1),
        ctypes.cast(sizes, ctypes.POINTER(ctypes.c_int64)),
        ctypes.cast(steps, ctypes.POINTER(ctypes.c_int64)),
        0,
    )
    managed.context = key
    managed.deleter = ctypes.cast(_delete, ctypes.c_void_p)
    _lent[key] = (managed, sizes, steps, owner)
    destructor = ctypes.cast(_destroy_capsule, ctypes.c_void_p)
    return _new_capsule(ctypes.addressof(managed), _FRESH, destructor)


class Foreign(NamedTuple):
    """Memory that another library lends. `owner` gives it back when it dies; strides are in
    elements.
    """

    address: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    code: int
    bits: int
    owner: Any


class _Borrowed:
    """Calls the deleter of a structure that we took over."""

    def __init__(self, address: int, deleter: int | None) -> None:
        self._address = address
        self._delete = _Deleter(deleter) if deleter else None

    def __del__(self) -> None:
        if self._delete is not None:
            self._delete(self._address)


def accept(capsule: Any) -> Foreign:
    """Take over the memory in a capsule, which is used up by it.

    Raises:
        ValueError: it is no fresh capsule, or its memory is not the CPU's.
    """
    if not _capsule_is_valid(capsule, _FRESH):
        raise ValueError("this is no DLPack capsule that can be read; each can be read once.")
    address = _capsule_pointer(capsule, _FRESH)
    managed = ctypes.cast(address, ctypes.POINTER(_Managed)).contents
    tensor = managed.tensor
    if tensor.device.type != CPU or tensor.dtype.lanes != 1:
        raise ValueError(
            f"the memory is on device type {tensor.device.type} with {tensor.dtype.lanes} lanes; "
            "only "
            f"plain CPU memory can be taken. Move the array to the CPU first."
        )
    rank = tensor.ndim
    shape = tuple(tensor.shape[:rank]) if rank else ()
    if not rank:
        strides: tuple[int, ...] = ()
    elif tensor.strides:
        strides = tuple(tensor.strides[:rank])
    else:
        strides = tuple(
            [_product(shape[axis + 1 :]) for axis in range(rank)]
        )  # no strides mean row-major
    _rename_capsule(capsule, _USED)
    owner = _Borrowed(address, managed.deleter)
    start = (tensor.data or 0) + tensor.byte_offset
    return Foreign(start, shape, strides, tensor.dtype.code, tensor.dtype.bits, owner)


def _product(sizes: Sequence[int]) -> int:
    result = 1
    for size in sizes:
        result *= size
    return result
