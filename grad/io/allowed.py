"""The names that a file of `torch.save` may use, and what each stands for here.

`ALLOWED` is the whole list: pairs of module and name, to a `Builder` (one of the functions below,
which check what they are given) or to a plain value such as a dtype. No name is ever imported.
Users may add classes and functions of their own (`safe_globals.py`).
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

from grad.device import Device
from grad.dtype import ALL_DTYPES, DType, dtypes
from grad.errors import FileFormatError
from grad.io.tensors import Memory
from grad.io.unpickler import Builder, Unpickler, checked_key
from grad.nn.parameter import Parameter
from grad.tensor import Tensor
from grad.utils.size import Size


class StorageKind(NamedTuple):
    """A class of storages in PyTorch: its name and elements (None: bytes of whatever they are)."""

    name: str
    dtype: DType | None

    @property
    def itemsize(self) -> int:
        return 1 if self.dtype is None else self.dtype.itemsize


# The names of PyTorch's storages; unsigned types without one lie in untyped storages.
STORAGES = {
    dtypes.bool: "BoolStorage",
    dtypes.int8: "CharStorage",
    dtypes.int16: "ShortStorage",
    dtypes.int32: "IntStorage",
    dtypes.int64: "LongStorage",
    dtypes.uint8: "ByteStorage",
    dtypes.float16: "HalfStorage",
    dtypes.bfloat16: "BFloat16Storage",
    dtypes.float32: "FloatStorage",
    dtypes.float64: "DoubleStorage",
}
# Known to PyTorch, and not here: named in the message.
_MISSING = (
    *("complex32", "complex64", "complex128", "ComplexFloatStorage", "ComplexDoubleStorage"),
    *("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"),
    *("qint8", "quint8", "qint32", "QInt8Storage", "QUInt8Storage", "QInt32Storage"),
)


# -- tensors ---------------------------------------------------------------------------------------
def _tensor(
    machine: Unpickler,
    memory: Any,
    offset: Any,
    size: Any,
    strides: Any,
    requires_grad: Any = False,
    hooks: Any = None,
    metadata: Any = None,
) -> Tensor:
    return _tensor_of_type(
        machine, memory, offset, size, strides, requires_grad, hooks, None, metadata
    )


def _tensor_of_type(
    machine: Unpickler,
    memory: Any,
    offset: Any,
    size: Any,
    strides: Any,
    requires_grad: Any,
    hooks: Any,
    dtype: Any,
    metadata: Any = None,
) -> Tensor:
    if not isinstance(memory, Memory) or not isinstance(dtype, DType | None):
        raise TypeError("a tensor is made of something else than memory")
    if type(size) not in (tuple, Size) or type(strides) is not tuple:
        raise TypeError("sizes or strides are no tuple")
    if metadata is not None and metadata != {}:
        raise FileFormatError("it holds a tensor with metadata: a lazy conjugate, perhaps.")
    if type(requires_grad) is not bool:
        raise TypeError("whether a tensor requires grad is no bool")
    machine.pay(len(size))
    kind = dtype or memory.dtype
    if requires_grad and not (kind and kind.is_floating_point):
        raise ValueError("a tensor without fractions requires grad")
    return memory.view(offset, size, strides, requires_grad, dtype)


def _parameter(
    machine: Unpickler, data: Any, requires_grad: Any, hooks: Any, state: Any = None
) -> Parameter:
    if type(data) is not Tensor or type(requires_grad) is not bool:
        raise TypeError("a parameter is made of something else than a tensor")
    if requires_grad and not data.dtype.is_floating_point:
        raise TypeError("a parameter without fractions requires grad")
    return _with_attributes(Parameter(data, requires_grad), state)


def _tensor_with_attributes(
    machine: Unpickler, function: Any, kind: Any, arguments: Any, state: Any
) -> Tensor:
    if not isinstance(function, Builder) or function.build not in (_tensor, _tensor_of_type):
        raise TypeError("a tensor is made by something else than its builder")
    if kind is not Tensor and kind is not Parameter:
        raise TypeError("a tensor is of no class of tensors")
    made = function.build(machine, *arguments)
    if kind is Parameter:
        made = Parameter(made, made.requires_grad)
    return _with_attributes(made, state)


def _with_attributes(tensor: Any, state: Any) -> Any:
    if state is not None and type(state) is not dict:
        raise TypeError("the attributes of a tensor are no dictionary")
    for name, value in (state or {}).items():
        if type(name) is not str or hasattr(tensor, name):
            raise ValueError("an attribute of a tensor cannot be set")
        tensor.__dict__[name] = value
    return tensor


# -- containers and plain values -------------------------------------------------------------------
def _pay_for(machine: Unpickler, entries: Any) -> None:
    """Account for a copy of `entries`, a plain container."""
    if type(entries) not in (list, tuple, dict):
        raise TypeError("a container is made of something else than entries")
    machine.pay(len(entries))


def _ordered_dict(machine: Unpickler, items: Any = ()) -> OrderedDict[Any, Any]:
    _pay_for(machine, items)
    pairs = items.items() if isinstance(items, dict) else items
    return OrderedDict([(checked_key(machine, key), value) for key, value in pairs])


def _counter(machine: Unpickler, counts: Any = ()) -> Counter[Any]:
    return Counter(dict(_ordered_dict(machine, counts)))


def _size(machine: Unpickler, sizes: Any = ()) -> Size:
    _pay_for(machine, sizes)
    if not all(type(size) is int for size in sizes):
        raise TypeError("a size is no whole number")
    return Size(sizes)


def _device(machine: Unpickler, kind: Any, index: Any = None) -> Device:
    if type(kind) is not str or type(index) not in (int, type(None)):
        raise TypeError("a device is named by no name")
    return Device(kind, index)


def _set(machine: Unpickler, elements: Any = ()) -> set[Any]:
    _pay_for(machine, elements)
    return {checked_key(machine, element) for element in elements}


def _encoded(machine: Unpickler, text: Any, encoding: Any) -> bytes:
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        raise TypeError("bytes are written in another way than pickles do")
    machine.pay(len(text))
    return text.encode("latin1")


def _bytearray(machine: Unpickler, data: Any = b"", encoding: Any = "latin-1") -> bytearray:
    if type(data) is str:
        data = _encoded(machine, data, encoding)
    if type(data) is not bytes:
        raise TypeError("a bytearray is made of no bytes")
    machine.pay(len(data))
    return bytearray(data)


def _bytes(machine: Unpickler) -> bytes:
    return b""


def _complex(machine: Unpickler, real: Any, imaginary: Any) -> complex:
    if not all(type(part) in (int, float) for part in (real, imaginary)):
        raise TypeError("a complex number has parts that are no numbers")
    return complex(real, imaginary)


def _layout(machine: Unpickler, name: Any) -> str:
    if name != "torch.strided":
        raise FileFormatError("it holds a layout other than torch.strided, which all tensors have.")
    return "strided"


_BUILDERS: dict[tuple[str, str], Callable[..., Any]] = {
    ("torch._utils", "_rebuild_tensor"): _tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _tensor,
    ("torch._utils", "_rebuild_tensor_v3"): _tensor_of_type,
    ("torch._utils", "_rebuild_parameter"): _parameter,
    ("torch._utils", "_rebuild_parameter_with_state"): _parameter,
    ("torch._tensor", "_rebuild_from_type_v2"): _tensor_with_attributes,
    ("torch", "Size"): _size,
    ("torch", "device"): _device,
    ("torch.serialization", "_get_layout"): _layout,
    ("collections", "OrderedDict"): _ordered_dict,
    ("collections", "Counter"): _counter,
    ("_codecs", "encode"): _encoded,
    **{
        (module, name): build
        for module in ("__builtin__", "builtins")
        for name, build in {
            "set": _set,
            "bytearray": _bytearray,
            "bytes": _bytes,
            "complex": _complex,
        }.items()
    },
}
_TYPES: dict[tuple[str, str], type] = {
    ("torch", "Tensor"): Tensor,
    ("torch._tensor", "Tensor"): Tensor,
    ("torch.nn.parameter", "Parameter"): Parameter,
}
ALLOWED: dict[tuple[str, str], Any] = {
    **{(module, name): Builder(f"{module}.{name}", f) for (module, name), f in _BUILDERS.items()},
    **_TYPES,
    **{("torch", dtype.name): dtype for dtype in ALL_DTYPES},
    **{("torch", name): StorageKind(name, dtype) for dtype, name in STORAGES.items()},
    ("torch.storage", "UntypedStorage"): StorageKind("UntypedStorage", None),
}


def found(module: str, name: str) -> Any:
    """What `name` of `module` stands for, or None.

    Raises:
        FileFormatError: it is a type of PyTorch's that there is not here.
    """
    if module == "torch" and name in _MISSING:
        raise FileFormatError(f"it holds data of the type torch.{name}, which there is not here.")
    return ALLOWED.get((module, name))
