"""Tensors of what is there already: `asarray` of anything, `frombuffer` of bytes."""

from __future__ import annotations

from typing import Any

import numpy as np

from grad.autograd.variable import Variable
from grad.device import check_device
from grad.dtype import as_dtype, dtypes
from grad.errors import ArgumentError, DTypeError, a_kind_of
from grad.ops.convert import from_dlpack, from_numpy
from grad.ops.creation import creator, finished, node_of_data


@creator
def asarray(
    obj: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    copy: bool | None = None,
    requires_grad: bool = False,
) -> Any:
    """`obj` as a tensor, on the same memory where it has some.

    Args:
        obj: a tensor, a NumPy array, what has DLPack or the buffer protocol, or nested lists.
        copy: True for memory of its own, False to raise where that cannot be avoided.

    Example:
        >>> grad.asarray([1.0, 2.0]).tolist()
        [1.0, 2.0]
    """
    check_device(device)
    kind = None if dtype is None else as_dtype(dtype)
    if isinstance(obj, Variable):
        shared: Any = obj
    elif isinstance(obj, np.ndarray):
        shared = from_numpy(obj)
    elif hasattr(obj, "__dlpack__"):
        shared = from_dlpack(obj)
    elif isinstance(obj, bytes | bytearray | memoryview):
        shared = frombuffer(obj, dtype=kind or dtypes.float32)
    else:
        if copy is False:
            raise ArgumentError(f"asarray: can't alias data of {a_kind_of(obj)}.")
        return finished(node_of_data(obj, kind), requires_grad)
    changes = kind is not None and kind is not shared.dtype
    if changes and copy is False:
        raise ArgumentError(f"asarray: a copy is needed to change {shared.dtype.name} to {kind}.")
    result = shared.to(kind) if changes else shared.clone() if copy else shared
    if requires_grad and not result.requires_grad:
        return result.detach().requires_grad_()
    return result if requires_grad or not isinstance(obj, Variable) else result.detach()


@creator
def frombuffer(
    buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False
) -> Any:
    """A vector on the memory of `buffer` (bytes, a bytearray, an array ...), without copying.

    Args:
        count: how many elements, -1 for all. offset: bytes to pass over first.

    Raises:
        ArgumentError: the buffer is empty, too small, or no multiple of the element size.

    Example:
        >>> grad.frombuffer(bytearray([1, 0, 2, 0]), dtype=grad.int16).tolist()
        [1, 2]
    """
    kind = as_dtype(dtype)
    try:
        array = np.frombuffer(buffer, kind.numpy, count, offset)
    except ValueError as error:
        raise ArgumentError(f"frombuffer: {error}.") from error
    except (TypeError, AttributeError) as error:
        raise DTypeError(f"frombuffer: {error}.") from error
    if not array.size:
        raise ArgumentError("frombuffer: both buffer length and count must not be 0.")
    if not array.flags.writeable:
        array = array.copy()  # nobody must write to what cannot be written to
    tensor = from_numpy(array)
    return tensor.requires_grad_() if requires_grad else tensor
