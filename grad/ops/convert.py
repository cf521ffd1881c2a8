"""In and out of tensors: casts, Python numbers, NumPy, DLPack.

`To` is the cast that autograd knows. The rest are the methods that read values (and so compute
them): the arrays they return share memory with the tensor where strides can say it, which is
always. While an array is held, in-place operations on the tensor write to that same memory
(graph/storage.py, `Shared`).
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from grad.autograd.function import Context, Function
from grad.autograd.remembered import remembered
from grad.autograd.variable import Variable
from grad.buffer import Buffer
from grad.device import Device, check_device
from grad.dtype import ALL_DTYPES, DTYPE_NAMES, DType, as_dtype, dtypes
from grad.engine import realize
from grad.errors import DTypeError, GradientError, a_kind_of
from grad.graph.arrays import array_of, node_of
from grad.graph.movement import Move, contiguous_layout, contiguous_strides
from grad.graph.node import bitcast, cast, from_buffer
from grad.graph.primitives import AS_STRIDED
from grad.graph.storage import Shared, Storage
from grad.ops.registry import ALL, op
from grad.utils import dlpack

Array = np.ndarray[Any, Any]

_DLPACK_CODE = {"b": dlpack.BOOL, "i": dlpack.SIGNED, "u": dlpack.UNSIGNED, "f": dlpack.FLOATING}
_BY_DLPACK: dict[tuple[int, int], DType] = {
    (_DLPACK_CODE[dtype.kind], 8 * dtype.itemsize): dtype
    for dtype in ALL_DTYPES
    if dtype is not dtypes.bfloat16
}
_BY_DLPACK[dlpack.BFLOAT, 16] = dtypes.bfloat16
_NUMPY_HAS_VERSIONS = np.lib.NumpyVersion(np.__version__) >= "2.1.0"


@remembered
class To(Function):
    """`x` converted to another element type."""

    @staticmethod
    def forward(ctx: Context, x: Any, dtype: DType) -> Any:
        return x._wrap(cast(x.node, dtype))

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        # The engine casts it to the type of x.
        return grad, None


@op(method="to", function=False, dtypes=ALL, composite=True)
class ConvertTo:
    """`x` as another dtype (or like another tensor); `x` itself if nothing changes.

    ``x.to(dtype)``, ``x.to("cpu")``, ``x.to("cpu", dtype)``, ``x.to(other)``; with `copy` always a
    copy, with `memory_format` in that order in memory.
    """

    @staticmethod
    def forward(
        x: Any,
        target: Any = None,
        dtype: Any = None,
        non_blocking: bool = False,
        copy: bool = False,
        device: Any = None,
        memory_format: Any = None,
    ) -> Any:
        if isinstance(target, Variable):
            dtype = target.dtype
        elif isinstance(target, Device) or (isinstance(target, str) and target not in DTYPE_NAMES):
            check_device(target)
        elif target is not None:
            dtype = target
        check_device(device)
        wanted = x.dtype if dtype is None else as_dtype(dtype)
        if wanted is not x.dtype:
            x = To.apply(x, wanted)
        elif copy:
            x = x.clone()
        return x if memory_format is None else x.contiguous(memory_format=memory_format)


@op(method="bitcast", function=False, dtypes=ALL, gradient=False, composite=True)
class BitCast:
    """The same bits read as `dtype`, of equal size; a copy."""

    @staticmethod
    def forward(x: Any, dtype: Any) -> Any:
        return x._wrap(bitcast(x.node, as_dtype(dtype)))


# -- out -------------------------------------------------------------------------------------------
def array_view(tensor: Any) -> Array:
    """The values of `tensor` as an array on its memory, computed first. For reading only."""
    storage = tensor._storage
    realize((storage.node,))
    return array_of(storage, tensor.memory_layout, tensor.dtype)


def lent_array(tensor: Any) -> Array:
    """As `array_view`, for somebody outside, who may keep it and write to it."""
    storage = tensor._storage
    realize((storage.node,))
    shared = storage.shared
    if shared is None or not shared.alive:
        _separate(storage)
    array = array_of(storage, tensor.memory_layout, tensor.dtype)
    if shared is None or not shared.alive:
        holder = array
        while isinstance(holder.base, np.ndarray):
            holder = holder.base
        storage.share(Shared(storage.node.buffer, holder))  # type: ignore[arg-type]
    return array


def _separate(storage: Storage) -> None:
    """Memory that somebody else reads (a copy not made yet, a saved value) is not lent: copy it."""
    if sys.getrefcount(storage.node) > 2:
        node = storage.node
        values = array_of(storage, contiguous_layout(node.shape), node.dtype)
        storage.node = node_of(values, node.dtype)


def to_dlpack(tensor: Any, max_version: tuple[int, int] | None = None) -> Any:
    """A DLPack capsule on the memory of `tensor`, of the version that `max_version` allows.

    NumPy makes it, in C: a capsule may end while an exception is on its way, which Python code
    cannot be called under. Of bfloat16, which NumPy does not export, it is our own.
    """
    if tensor._needs_grad:
        raise GradientError("a tensor that requires grad cannot be exported; use x.detach() first.")
    array = lent_array(tensor)
    dtype = tensor.dtype
    if dtype is not dtypes.bfloat16:
        options: dict[str, Any] = {"max_version": max_version} if _NUMPY_HAS_VERSIONS else {}
        return array.__dlpack__(**options)
    address = array.__array_interface__["data"][0]
    return dlpack.export(
        address,
        tensor.shape,
        tensor.memory_layout.strides,
        dlpack.BFLOAT,
        8 * dtype.itemsize,
        array,
    )


# -- in --------------------------------------------------------------------------------------------
def from_dlpack(source: Any) -> Any:
    """A tensor on the memory of an array of another library (NumPy, PyTorch, JAX), without copying.

    `source` has ``__dlpack__``, or is a capsule. Writes to one show in the other.
    """
    if isinstance(source, Variable):
        return source.detach()
    try:
        capsule = source.__dlpack__() if hasattr(source, "__dlpack__") else source
        foreign = dlpack.accept(capsule)
    except (ValueError, BufferError) as error:
        raise DTypeError(f"from_dlpack: {error}") from error
    dtype = _BY_DLPACK.get((foreign.code, foreign.bits))
    if dtype is None:
        raise DTypeError(
            f"from_dlpack: no dtype has DLPack code {foreign.code} with {foreign.bits} bits; "
            "convert "
            f"the array first."
        )
    return on_memory(foreign.address, foreign.shape, foreign.strides, dtype, foreign.owner)


def from_numpy(array: Array) -> Any:
    """A tensor on the memory of `array`, without copying: writes to one show in the other.

    An array of another byte order, or whose strides are no multiple of its elements, is copied.
    """
    if not isinstance(array, np.ndarray):
        raise DTypeError(f"from_numpy: needs a NumPy array, got {a_kind_of(array)}.")
    dtype = as_dtype(array.dtype)
    size = dtype.itemsize
    if not array.dtype.isnative or any(step % size for step in array.strides):
        return Variable._wrap(node_of(array, dtype))
    strides = tuple([step // size for step in array.strides])
    address = array.__array_interface__["data"][0]
    return on_memory(address, array.shape, strides, dtype, array)


def on_memory(
    address: int, shape: tuple[int, ...], strides: tuple[int, ...], dtype: DType, owner: Any
) -> Any:
    """A tensor on foreign memory, which `owner` keeps alive; strides are in elements."""
    size = dtype.itemsize
    lowest = highest = 0
    for count, step in zip(shape, strides):
        reach = (count - 1) * step
        lowest, highest = lowest + min(reach, 0), highest + max(reach, 0)
    if 0 in shape or address % size:
        # Nothing to share, or memory that vector loads must not touch.
        holder = Buffer.external(address, max(highest + 1, 0) * size, owner)
        values = holder.numpy(dtype.numpy, shape, tuple([step * size for step in strides]), 0)
        return Variable._wrap(node_of(values, dtype))
    start = address + lowest * size
    buffer = Buffer.external(start, (highest - lowest + 1) * size, owner)
    if strides == contiguous_strides(shape):
        storage = Storage(from_buffer(buffer, shape, dtype))
        path: tuple[Move, ...] = ()
    else:
        storage = Storage(from_buffer(buffer, (highest - lowest + 1,), dtype))
        path = (Move(AS_STRIDED, (shape, strides, -lowest)),)
    storage.share(Shared(buffer))
    tensor = Variable._wrap(storage.node)
    tensor._storage = storage
    return tensor if not path else tensor._alias(path, shape, None)
