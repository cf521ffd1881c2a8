"""Names that programs for older PyTorch use: tensors by type, `Variable`, `range`.

``FloatTensor(2, 3)`` and its kin make tensors of a type, and ``isinstance`` knows them; `Variable`
is what tensors that can be differentiated once were called. `grad/__init__` and `grad/autograd`
open this file when one of the names is first asked for.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from grad.device import check_device
from grad.dtype import DType, default_dtype, dtypes, set_default_dtype
from grad.errors import ArgumentError, DTypeError
from grad.ops.creators import CREATORS
from grad.tensor import Tensor
from grad.utils.size import Size


class TypedTensor(type):
    """``torch.LongTensor`` and the like: makes tensors of a type, and knows them.

    Called with sizes it makes a tensor of zeros, with a sequence or an array one that holds its
    numbers, with a tensor of the type another handle on the same memory.

    Raises:
        TypeError: data that are no sequence, or a tensor of another type.

    Example:
        >>> grad.LongTensor([1, 2]), isinstance(grad.ones(2), grad.FloatTensor)
        (tensor([1, 2]), True)
    """

    dtype: DType

    def __new__(cls, name: str, dtype: DType) -> TypedTensor:
        made = type.__new__(cls, name, (), {})
        made.dtype = dtype
        return made

    def __init__(self, name: str, dtype: DType) -> None:
        type.__init__(self, name, (), {})

    def __call__(self, *data: Any, device: Any = None) -> Tensor:
        check_device(device)
        first = data[0] if data else 0
        if isinstance(first, Tensor):
            if first.dtype is not self.dtype:
                raise DTypeError(
                    f"{self.__name__}: expected a tensor of {self.dtype.name}, got "
                    f"{first.dtype.name}; use x.to(grad.{self.dtype.name})."
                )
            return first.detach()
        if isinstance(first, Size) or _is_size(first):
            return CREATORS["empty"](*data or (0,), dtype=self.dtype)
        if not (hasattr(first, "__len__") and hasattr(first, "__getitem__")):
            raise DTypeError(
                f"{self.__name__}: data must be a sequence (got {type(first).__name__})."
            )
        return CREATORS["tensor"](*data, dtype=self.dtype)

    def __instancecheck__(self, value: Any) -> bool:
        return isinstance(value, Tensor) and value.dtype is self.dtype

    def __repr__(self) -> str:
        return f"<class 'torch.{self.__name__}'>"


def _is_size(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


BoolTensor = TypedTensor("BoolTensor", dtypes.bool)
ByteTensor = TypedTensor("ByteTensor", dtypes.uint8)
CharTensor = TypedTensor("CharTensor", dtypes.int8)
ShortTensor = TypedTensor("ShortTensor", dtypes.int16)
IntTensor = TypedTensor("IntTensor", dtypes.int32)
LongTensor = TypedTensor("LongTensor", dtypes.int64)
HalfTensor = TypedTensor("HalfTensor", dtypes.float16)
BFloat16Tensor = TypedTensor("BFloat16Tensor", dtypes.bfloat16)
FloatTensor = TypedTensor("FloatTensor", dtypes.float32)
DoubleTensor = TypedTensor("DoubleTensor", dtypes.float64)

TYPED = {kind.__name__: kind for kind in list(globals().values()) if isinstance(kind, TypedTensor)}


def set_default_tensor_type(t: str | TypedTensor) -> None:
    """``torch.set_default_tensor_type``: what `set_default_dtype` was, by a name or a class.

    Raises:
        TypeError: there is no such type, or it is not floating.
    """
    found = TYPED.get(t.removeprefix("torch.")) if isinstance(t, str) else t
    if not isinstance(found, TypedTensor):
        raise TypeError(f"set_default_tensor_type: there is no type {t!r} of tensors here.")
    set_default_dtype(found.dtype)


class _VariableType(type):
    """``torch.autograd.Variable``: ``Variable(x, requires_grad=True)`` is another handle on `x`."""

    def __call__(self, data: Any, requires_grad: bool = False) -> Tensor:
        if not isinstance(data, Tensor):
            raise DTypeError(f"Variable data has to be a tensor, but got {type(data).__name__}")
        return data.detach().requires_grad_(requires_grad)

    def __instancecheck__(self, value: Any) -> bool:
        return isinstance(value, Tensor)


Variable = _VariableType("Variable", (), {})


def range(start: Any, end: Any, step: Any = 1, *, dtype: Any = None, **options: Any) -> Tensor:
    """``start, start + step`` ... up to `end`, which is included: `arange` leaves it out.

    Floating unless `dtype` says otherwise.

    Raises:
        ArgumentError: the step is 0, or leads away from the end.

    Example:
        >>> grad.range(0, 3)
        tensor([0., 1., 2., 3.])
    """
    if step == 0:
        raise ArgumentError("range: step must be nonzero.")
    if (end - start) * step < 0:
        raise ArgumentError("range: upper bound and lower bound inconsistent with step sign.")
    count = math.floor((end - start) / step) + 1
    numbers = CREATORS["arange"](count, dtype=dtypes.float64) * step + start
    return CREATORS["tensor"](numbers, dtype=dtype or default_dtype(), **options)
