"""Tensor: the public handle.

`Tensor` is a `Variable` (autograd/variable.py: storage, view path, history) with everything a user
calls on it. What is written out here are attributes, conversions and autograd controls; the
operations come from the registry (ops/registry.py), bound by the loop at the end: one row, one
method. `grad/__init__` does the same for functions. This file is long because it lists all that a
tensor has besides operations. The types of all methods are in tensor.pyi, written by
tools/stubs.py.
"""

from __future__ import annotations

import itertools
import math
import weakref
from collections.abc import Callable, Iterator, Sequence
from numbers import Number
from typing import Any

import numpy as np

import grad.ops  # noqa: F401  registers the operations
from grad.autograd.engine import backward
from grad.autograd.function import RemovableHook, as_function
from grad.autograd.modes import mode
from grad.autograd.variable import Variable, gradient_edge
from grad.device import CPU, Device, check_device, open_array_namespace
from grad.dtype import ALL_DTYPES, DType, as_dtype, default_dtype, dtypes
from grad.engine import realize
from grad.engine.recording import recording, tell_of_description, tell_of_hooks, tell_of_place
from grad.errors import (
    ArgumentError,
    DTypeError,
    GradientError,
    InplaceError,
    ShapeError,
    a_kind_of,
)
from grad.graph.movement import Layout, is_contiguous
from grad.graph.node import contiguous
from grad.memory_format import MemoryLayout, strided
from grad.ops.axes import normal_axis
from grad.ops.convert import array_view, from_dlpack, from_numpy, lent_array, to_dlpack
from grad.ops.creation import node_of_data
from grad.ops.creators import CREATORS
from grad.ops.facts import FLAGS
from grad.ops.inplace import inplace_form
from grad.ops.order import Reversed
from grad.ops.promotion import with_array
from grad.ops.registry import REGISTRY, Op, registry
from grad.ops.reshape_inplace import viewing_form
from grad.utils.format import format_array
from grad.utils.size import Size

# What `grad.array_api` satisfies: each version adds to the one before.
_ARRAY_API_VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12")


def _type_name(dtype: DType) -> str:
    """The name that PyTorch has for the tensors of a type."""
    return f"torch.{_TYPE_NAMES.get(dtype.name, dtype.name.capitalize())}Tensor"


def _is_size(value: Any) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _legacy_shape(data: Any, dtype: Any, *more: Any) -> tuple[int, ...] | None:
    """The shape that ``torch.Tensor`` makes of these, if they are sizes.

    Raises:
        ShapeError: a size is negative.
    """
    if isinstance(data, Size):
        return data if dtype is None else None
    if not _is_size(data) or not (dtype is None or _is_size(dtype)):
        return None
    given: tuple[Any, ...] = (data, dtype, *more)
    shape = tuple([int(size) for size in itertools.takewhile(_is_size, given)])
    if min(shape) < 0:
        raise ShapeError(
            f"Tensor: sizes {shape} are not possible; grad.tensor makes one of a value."
        )
    return shape


class Tensor(Variable):
    """A multi-dimensional array of one element type, which remembers how it was computed.

    Args:
        data: a fraction, nested lists or tuples of numbers, a NumPy array, a tensor; without it the
            tensor is empty. Whole numbers, or a Size, are the sizes of a tensor of zeros, as in
            ``torch.Tensor``; with `dtype` one is a value.
        dtype: element type; float32 unless given, as in ``torch.Tensor`` (``grad.tensor`` infers).
        requires_grad: whether operations on it are recorded.
        sizes: more of them.

    Raises:
        ShapeError: a nested list is ragged. DTypeError: the data are not numbers.

    Example:
        >>> Tensor([[1, 2, 3], [4, 5, 6]]).shape, Tensor(2, 3).shape
        (torch.Size([2, 3]), torch.Size([2, 3]))
    """

    __slots__ = ()
    # NumPy leaves ``array + tensor`` to the tensor.
    __array_priority__ = 1000

    def __init__(
        self,
        data: Any = (),
        dtype: Any = None,
        requires_grad: bool = False,
        device: Any = None,
        *sizes: int,
    ) -> None:
        shape = _legacy_shape(data, dtype, requires_grad, device, *sizes)
        if shape is not None:
            data, dtype, requires_grad, device = np.zeros(shape, np.float32), None, False, None
        check_device(device)
        kind = as_dtype(dtype) if dtype is not None else None
        if kind is None:
            kind = data.dtype if isinstance(data, Tensor) else default_dtype()
        self._adopt(Variable._wrap(node_of_data(data, kind)), False)
        if requires_grad:
            self.requires_grad_()

    def new(self, *data: Any) -> Tensor:
        """An old form of `new_tensor` (of data) and `new_zeros` (of sizes), and of an empty one.

        Example:
            >>> grad.ones(2).new(3).shape
            torch.Size([3])
        """
        if len(data) == 1 and not isinstance(data[0], int | np.integer | Size):
            return Tensor(data[0], dtype=self.dtype)
        shape = data[0] if data and isinstance(data[0], Size) else data
        return CREATORS["zeros"](tuple(shape) or (0,), dtype=self.dtype)

    @classmethod
    def _make_subclass(cls, data: Tensor, requires_grad: bool = False) -> Any:
        """A leaf of class `cls` on the memory of `data`."""
        self = object.__new__(cls)
        self._adopt(data, requires_grad)
        return self

    # -- attributes --------------------------------------------------------------------------------
    @property
    def device(self) -> Device:
        return CPU

    @property
    def layout(self) -> MemoryLayout:
        """How elements are kept: ``grad.strided``, as those of every tensor here."""
        return strided

    @property
    def ndim(self) -> int:
        return len(self._shape)

    @property
    def itemsize(self) -> int:
        return self.dtype.itemsize

    @property
    def nbytes(self) -> int:
        return math.prod(self._shape) * self.dtype.itemsize

    @property
    def real(self) -> Tensor:
        """The real part: the tensor itself."""
        return self

    @property
    def imag(self) -> Tensor:
        """The imaginary part, which only complex tensors have: raises DTypeError."""
        return REGISTRY["imag"].call(self)

    @property
    def data(self) -> Tensor:
        """The same memory, outside the graph; assigning replaces the memory."""
        return self.detach()

    @data.setter
    def data(self, value: Tensor) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"data must be a Tensor, not {a_kind_of(value)}.")
        if value.dtype is not self.dtype and self._edge is not None:
            raise DTypeError("data: the type of a tensor inside a graph cannot change.")
        self._storage, self._path, self._layout = value._storage, value._path, value._layout
        self.dtype, self._shape = value.dtype, value._shape
        self._node, self._node_version = None, -1
        self._base, self._edge_version = None, value._storage.version

    @property
    def grad(self) -> Any:
        """The gradient that `backward` has added up, or None."""
        return self._grad

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise GradientError(f"grad must be a Tensor or None, got {type(value).__name__}.")
            if value._shape != self._shape or value.dtype is not self.dtype:
                raise GradientError(
                    f"grad must have the shape and type of its tensor, {self._shape} "
                    f"{self.dtype.name}; got {value._shape} {value.dtype.name}."
                )
        if recording.changes is not None:
            recording.changes.gradient_set(self)
        self._grad = value

    @property
    def requires_grad(self) -> bool:
        """Whether operations on this tensor are recorded."""
        return self._requires_grad or (self._base is not None and self._base._requires_grad)

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self.requires_grad_(value)

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made it."""
        edge = gradient_edge(self)
        return edge is None or edge[0] is self

    @property
    def grad_fn(self) -> Any:
        """The function of the graph that made this tensor, or None for a leaf."""
        edge = gradient_edge(self)
        return None if edge is None or edge[0] is self else as_function(edge[0])

    @property
    def output_nr(self) -> int:
        edge = gradient_edge(self)
        return 0 if edge is None else edge[1]

    @property
    def retains_grad(self) -> bool:
        tell_of_description(self, "retains_grad")
        edge = self._edge
        return edge is not None and edge[1] in (edge[0]._retained or {})

    @property
    def _version(self) -> int:
        """How often the memory was written to."""
        tell_of_description(self, "_version")
        return self._storage.version

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one axis."""
        sizes = self._shape
        return self.shape if dim is None else sizes[normal_axis("size", dim, len(sizes))]

    def dim(self) -> int:
        """The number of axes."""
        return len(self._shape)

    ndimension = dim

    def numel(self) -> int:
        """The number of elements."""
        return math.prod(self._shape)

    nelement = numel

    def element_size(self) -> int:
        return self.dtype.itemsize

    def stride(self, dim: int | None = None) -> Any:
        """Elements between neighbours in memory, along each axis or one."""
        strides = self.memory_layout.strides
        return strides if dim is None else strides[normal_axis("stride", dim, len(self._shape))]

    def storage_offset(self) -> int:
        """Where in its memory the tensor starts, in elements."""
        tell_of_place(self)
        return self.memory_layout.offset

    def is_contiguous(self, memory_format: Any = None) -> bool:
        """Whether elements lie in row-major order (or that of a format) without gaps."""
        order, layout = None if memory_format is None else memory_format.order, self.memory_layout
        if order is not None:
            if len(order) != len(layout.shape):
                return False
            shape, strides = ([part[a] for a in order] for part in layout[:2])
            layout = Layout(tuple(shape), tuple(strides), layout.offset)
        return is_contiguous(layout)

    def data_ptr(self) -> int:
        """The address of the first element; computes the tensor."""
        return array_view(self).__array_interface__["data"][0]

    def is_floating_point(self) -> bool:
        return self.dtype.is_floating_point

    def is_complex(self) -> bool:
        return False

    # -- autograd ----------------------------------------------------------------------------------
    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Say whether operations on this leaf are recorded; returns the tensor."""
        if requires_grad and not self.dtype.is_floating_point:
            raise GradientError(
                f"only floating tensors can require gradients, this one is {self.dtype.name}; use "
                f"x.float() first."
            )
        if not requires_grad and self._edge is not None:
            raise GradientError(
                "requires_grad can be switched off for leaves only; use x.detach() for a tensor "
                "outside the graph."
            )
        self._requires_grad = bool(requires_grad) or self._edge is not None
        return self

    def backward(
        self,
        gradient: Any = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Add the gradient of this tensor to the `.grad` of every leaf it was computed from.

        Args:
            gradient: what to start from; may be left out for a tensor of one element.
            retain_graph: keep what was saved, so that one can go backward again.
            create_graph: record the pass, for gradients of gradients.
            inputs: fill only the `.grad` of these.
        """
        backward((self,), gradient, retain_graph, create_graph, inputs=inputs)

    def detach(self) -> Tensor:
        """The same memory, outside the graph."""
        return self._alias(self._path, self._shape, self._layout)

    def detach_(self) -> Tensor:
        """Take this tensor out of the graph; it becomes a leaf."""
        if self._base is not None:
            raise InplaceError("detach_: a view cannot be detached in place; use x.detach().")
        self._edge, self._requires_grad = None, False
        return self

    def retain_grad(self) -> None:
        """Keep the gradient of this non-leaf in `.grad`."""
        edge = gradient_edge(self)
        if edge is None:
            raise GradientError("retain_grad: the tensor does not require a gradient.")
        function, index = edge
        if function is not self:
            tell_of_hooks(function)
            function._retained = function._retained or {}
            function._retained[index] = weakref.ref(self)

    def register_hook(self, hook: Callable[[Any], Any]) -> RemovableHook:
        """Call ``hook(grad)`` when the gradient of this tensor is known; a result replaces it."""
        edge = gradient_edge(self)
        if edge is None:
            raise GradientError("register_hook: the tensor does not require a gradient.")
        function, index = edge
        tell_of_hooks(function)
        if function is self:
            self._hooks = self._hooks or {}
            return RemovableHook(self._hooks.setdefault("tensor", {}), hook)
        function._tensor_hooks = function._tensor_hooks or {}
        return RemovableHook(function._tensor_hooks.setdefault(index, {}), hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Any], Any]) -> RemovableHook:
        """Call ``hook(tensor)`` after a gradient was added to the `.grad` of this leaf."""
        if not self.is_leaf:
            raise GradientError("register_post_accumulate_grad_hook: the tensor is no leaf.")
        tell_of_hooks(self)
        self._hooks = self._hooks or {}
        return RemovableHook(self._hooks.setdefault("accumulated", {}), hook)

    # -- values ------------------------------------------------------------------------------------
    def realize(self) -> Tensor:
        """Compute the values now; returns the tensor."""
        realize((self._storage.node,))
        return self

    def numpy(self, *, force: bool = False) -> np.ndarray[Any, Any]:
        """The values as an array that shares memory with the tensor.

        A tensor that requires grad is refused, as in PyTorch, unless `force`; see `to_numpy`.
        """
        if self.requires_grad and not force and mode.enabled:
            raise GradientError(
                "numpy: the tensor requires grad, and NumPy cannot record; use x.detach().numpy()."
            )
        return lent_array(self)

    def to_numpy(self) -> np.ndarray[Any, Any]:
        """As `numpy`, and whether the tensor requires grad or not."""
        return lent_array(self)

    def item(self) -> Any:
        """The value of a tensor of one element, as a Python number."""
        if math.prod(self._shape) != 1:
            raise ShapeError(
                f"item: needs a tensor of one element, got shape {self._shape}; use x.tolist()."
            )
        value = array_view(self).item()
        return value if self.dtype is not dtypes.bfloat16 else float(value)

    def tolist(self) -> Any:
        """The values as nested lists of numbers; a number for a tensor without dimensions."""
        array = array_view(self)
        return (array.astype(np.float32) if self.dtype is dtypes.bfloat16 else array).tolist()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        array = self.numpy()
        if dtype is None or array.dtype == dtype:
            return array.copy() if copy else array
        if copy is False:
            raise ArgumentError(
                f"an array of {dtype} is a copy of a tensor of {self.dtype.name}, and copy=False "
                f"was given; use copy=None."
            )
        return array.astype(dtype)

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        """What NumPy's functions make of tensors are tensors."""
        return CREATORS["tensor"](array)

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """A DLPack capsule on the memory of this tensor, or of a copy of it if `copy`."""
        if dl_device not in (None, self.__dlpack_device__()):
            raise BufferError(f"there is no way to DLPack device {dl_device}; it is on the CPU.")
        return to_dlpack(self.clone() if copy else self, max_version)

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0

    # -- the Array API standard --------------------------------------------------------------------
    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        """The functions of the Array API standard, `grad.array_api`."""
        if api_version not in (None, *_ARRAY_API_VERSIONS):
            raise ArgumentError(
                f"there is no version {api_version!r} of the Array API here; there are "
                f"{', '.join(_ARRAY_API_VERSIONS)}."
            )
        return open_array_namespace()

    def to_device(self, device: Any, /, *, stream: Any = None) -> Tensor:
        """This tensor, which is on the only device there is."""
        check_device(device)
        return self

    def __bool__(self) -> bool:
        if math.prod(self._shape) != 1:
            raise ShapeError(
                f"the truth of a tensor of shape {self._shape} is not one value; use x.any() or "
                "x.all()."
            )
        return bool(self.item())

    def is_nonzero(self) -> bool:
        """Whether the one element is not 0."""
        return bool(self)

    def __int__(self) -> int:
        return int(self.item())

    def __float__(self) -> float:
        return float(self.item())

    def __index__(self) -> int:
        if self._shape or self.dtype.kind not in "iub":
            raise DTypeError(
                f"only integer tensors without dimensions can be used as an index, this one is "
                f"{self.dtype.name} of shape {self._shape}."
            )
        return int(self.item())

    def __len__(self) -> int:
        if not self._shape:
            raise DTypeError("len() of a tensor without dimensions.")
        return self._shape[0]

    def __iter__(self) -> Iterator[Tensor]:
        if not self._shape:
            raise DTypeError("a tensor without dimensions cannot be iterated over.")
        return iter(self.unbind(0))

    def __contains__(self, value: Any) -> bool:
        return bool((self == value).any())

    __hash__ = object.__hash__

    # -- casts -------------------------------------------------------------------------------------
    def type(self, dtype: Any = None) -> Any:
        """Converted to `dtype`; without one, the name of the type, as PyTorch writes it."""
        if dtype is None:
            return _type_name(self.dtype)
        if isinstance(dtype, str):
            named = [kind for kind in ALL_DTYPES if _type_name(kind) == dtype]
            if not named:
                raise ArgumentError(f"type: there is no type {dtype!r}; use a dtype.")
            return self.to(named[0])
        # Classes of tensors of one type, ``torch.LongTensor``, have it as an attribute.
        return self.to(dtype if isinstance(dtype, DType) else getattr(dtype, "dtype", dtype))

    def type_as(self, other: Tensor) -> Tensor:
        return self.to(other.dtype)

    def cpu(self) -> Tensor:
        return self

    def cuda(self, device: Any = None, non_blocking: bool = False) -> Tensor:
        """On a CUDA device. Raises DeviceError where there is none."""
        named = device is not None and not isinstance(device, int)
        return self.to(device if named else f"cuda:{device or 0}")

    # -- new tensors like this one -----------------------------------------------------------------
    def new_full(self, size: Any, fill_value: Any, *, dtype: Any = None, **options: Any) -> Tensor:
        """A tensor of `size` and (unless given) this type that holds `fill_value` everywhere."""
        return CREATORS["full"](size, fill_value, dtype=dtype or self.dtype, **options)

    def new_zeros(self, *size: Any, dtype: Any = None, **options: Any) -> Tensor:
        return CREATORS["zeros"](*size, dtype=dtype or self.dtype, **options)

    def new_ones(self, *size: Any, dtype: Any = None, **options: Any) -> Tensor:
        return CREATORS["ones"](*size, dtype=dtype or self.dtype, **options)

    def new_empty(self, *size: Any, dtype: Any = None, **options: Any) -> Tensor:
        return CREATORS["empty"](*size, dtype=dtype or self.dtype, **options)

    def new_tensor(self, data: Any, *, dtype: Any = None, **options: Any) -> Tensor:
        return CREATORS["tensor"](data, dtype=dtype or self.dtype, **options)

    # -- copies ------------------------------------------------------------------------------------
    def __copy__(self) -> Tensor:
        return self._make_subclass(self, self._requires_grad) if self.is_leaf else self.alias()

    def alias(self) -> Tensor:
        """Another handle on the same memory, recorded as a view."""
        return self._through(())

    def __deepcopy__(self, memo: dict[int, Any]) -> Tensor:
        if not self.is_leaf:
            raise GradientError(
                "only leaf tensors can be deep-copied; use x.detach().clone() for the values."
            )
        if id(self) in memo:
            return memo[id(self)]
        # Views of one memory become views of one copy.
        memory = memo.get(id(self._storage))
        if memory is None:
            memory = memo[id(self._storage)] = Tensor._wrap(contiguous(self._storage.node))
        same = memory._alias(self._path, self._shape, self._layout)
        same.dtype = self.dtype
        copy = type(self)._make_subclass(same, self.requires_grad)
        memo[id(self)] = copy
        copy._grad = None if self._grad is None else self._grad.__deepcopy__(memo)
        copy.__dict__.update(self.__dict__)
        return copy

    def __reduce__(self) -> tuple[Any, ...]:
        if not self.is_leaf:
            raise GradientError("only leaf tensors can be pickled; use x.detach() first.")
        array = np.array(array_view(self), order="C")
        state = (type(self), array.tobytes(), self._shape, self.dtype, self.requires_grad)
        return _unpickled, (*state, dict(self.__dict__))

    # -- text --------------------------------------------------------------------------------------
    def __repr__(self) -> str:
        """As PyTorch prints: values, and what is not the default."""
        body = format_array(array_view(self), len("tensor("))
        notes = []
        if 0 in self._shape and self._shape != (0,):
            notes.append(f"size={self._shape}")
        if self.dtype not in (dtypes.bool, dtypes.int64, default_dtype()) or (
            0 in self._shape and self.dtype is not default_dtype()
        ):
            notes.append(f"dtype={self.dtype}")
        if self.grad_fn is not None:
            notes.append(f"grad_fn={self.grad_fn!r}")
        elif self.requires_grad:
            notes.append("requires_grad=True")
        return f"tensor({', '.join([body, *notes])})"

    def __format__(self, spec: str) -> str:
        # PyTorch's: one number formats as a number, unless it is a parameter.
        if not self._shape and (spec or type(self) is Tensor):
            return format(self.item(), spec)
        return format(str(self), spec)


def _unpickled(
    kind: type[Tensor],
    data: bytes,
    shape: tuple[int, ...],
    dtype: DType,
    requires_grad: bool,
    attributes: dict[str, Any],
) -> Tensor:
    array = np.frombuffer(data, dtype.numpy).reshape(shape)
    tensor = kind._make_subclass(Tensor._wrap(node_of_data(array, dtype)), requires_grad)
    tensor.__dict__.update(attributes)
    return tensor


_TYPE_NAMES = {
    "float32": "Float",
    "float64": "Double",
    "float16": "Half",
    "bfloat16": "BFloat16",
    "int64": "Long",
    "int32": "Int",
    "int16": "Short",
    "int8": "Char",
    "uint8": "Byte",
    "bool": "Bool",
}
Variable._plain = Tensor


class TransposeAttribute:
    """``x.T`` is a view with its axes reversed, ``Tensor.T(x)`` the same as a function."""

    def __init__(self, name: str, transpose: Callable[[Tensor], Tensor], doc: str) -> None:
        self.__doc__ = doc
        self._name, self._transpose = name, transpose

    def __get__(self, instance: Tensor | None, owner: type) -> Any:
        return self._transpose if instance is None else self._transpose(instance)


def _swap_last(x: Tensor) -> Tensor:
    if len(x._shape) < 2:
        raise ShapeError(f"mT: needs at least 2 dimensions, got shape {x._shape}.")
    return x.transpose(-2, -1)


def _transposed_matrix(x: Tensor) -> Tensor:
    if len(x._shape) not in (0, 2):
        raise ShapeError(f"H: needs a matrix, got shape {x._shape}; use x.mH for batches of them.")
    return x.transpose(0, 1) if x._shape else x


def _flag(name: str, value: bool) -> property:
    return property(lambda self: value, doc=f"Whether it is {name[3:].upper()}: {value}.")


def _cast_method(name: str, dtype: DType) -> Callable[[Tensor], Tensor]:
    def method(self: Tensor) -> Tensor:
        return self.to(dtype)

    method.__name__ = method.__qualname__ = name
    method.__doc__ = f"Converted to {dtype.name}."
    return method


CASTS = {
    "float": dtypes.float32,
    "double": dtypes.float64,
    "half": dtypes.float16,
    "bfloat16": dtypes.bfloat16,
    "int": dtypes.int32,
    "long": dtypes.int64,
    "short": dtypes.int16,
    "char": dtypes.int8,
    "byte": dtypes.uint8,
    "bool": dtypes.bool,
}


def _beside_arrays(call: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    """`call` of two operands, one of which may be a NumPy array, as it may in operators only."""

    def method(x: Any, y: Any) -> Any:
        try:
            return call(x, y)
        except DTypeError:
            if not isinstance(x, np.ndarray) and not isinstance(y, np.ndarray):
                raise
        return call(*with_array(x, y))

    return method


def _reflected(call: Callable[..., Any]) -> Callable[[Tensor, Any], Any]:
    def method(self: Tensor, other: Any) -> Any:
        try:
            return call(other, self)
        except DTypeError:
            if not isinstance(other, np.ndarray):
                raise
        return call(*with_array(other, self))

    return method


def _comparison(call: Callable[..., Any]) -> Callable[[Tensor, Any], Any]:
    """``x == None`` and the like are plain False, as for any object; not an error."""

    def method(self: Tensor, other: Any) -> Any:
        if isinstance(other, np.ndarray):
            return call(*with_array(self, other))
        return NotImplemented if other is None or isinstance(other, str) else call(self, other)

    return method


def _operator(row: Op) -> Callable[..., Any]:
    """The operator form of a row: another class may take the operation over, if it knows how to."""
    if row.operator in ("__eq__", "__ne__"):
        return _comparison(row.positional)
    if row.reflected is None:
        return row.call if len(row.parameters) == 1 else _beside_arrays(row.positional)
    call, reflected = row.positional, row.reflected

    def method(self: Tensor, other: Any) -> Any:
        try:
            return call(self, other)
        except DTypeError:
            ours = isinstance(other, Tensor | Number | np.generic | Sequence)
            if ours or not hasattr(type(other), reflected):
                raise
        return call(*with_array(self, other)) if isinstance(other, np.ndarray) else NotImplemented

    return method


def bind(row: Op) -> None:
    """Make the methods and operators that a row of the registry describes."""
    if row.method:
        for name in (row.method, *row.aliases):
            if name not in Tensor.__dict__:
                setattr(Tensor, name, row.call)
            if row.inplace:
                form = viewing_form if row.view else inplace_form
                setattr(Tensor, f"{name}_", form(row, f"{name}_"))
    if row.operator:
        setattr(Tensor, row.operator, _operator(row))
    if row.reflected:
        setattr(Tensor, row.reflected, _reflected(row.positional))
    if row.inplace_operator:
        call = _beside_arrays(row.positional)
        setattr(Tensor, row.inplace_operator, inplace_form(row, row.inplace_operator, call))


def bind_all() -> None:
    for row in registry():
        bind(row)
    for name, dtype in CASTS.items():
        setattr(Tensor, name, _cast_method(name, dtype))
    for name, create in CREATORS.items():
        if name not in ("tensor", "as_tensor"):
            setattr(Tensor, name, staticmethod(create))
    for name, transpose, doc in (
        ("T", Reversed.apply, "All axes reversed."),
        ("mT", _swap_last, "The last two axes exchanged."),
        ("mH", _swap_last, "The last two axes exchanged, all numbers being real."),
        ("H", _transposed_matrix, "The transpose of a matrix, all numbers being real."),
    ):
        setattr(Tensor, name, TransposeAttribute(name, transpose, doc))
    for name, value in FLAGS.items():
        setattr(Tensor, name, _flag(name, value))
    setattr(Tensor, "from_numpy", staticmethod(from_numpy))  # noqa: B010  pyright reads tensor.pyi
    setattr(Tensor, "from_dlpack", staticmethod(from_dlpack))  # noqa: B010


bind_all()
tensor = CREATORS["tensor"]
