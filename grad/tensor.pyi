# Written by `python -m tools.stubs` from the registry of operations; do not edit.
# ruff: noqa
from builtins import bool as _bool
from builtins import float as _float
from builtins import int as _int
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, overload

import numpy as np

from grad.autograd.function import RemovableHook
from grad.autograd.variable import Variable
from grad.device import Device
from grad.dtype import DType
from grad.memory_format import MemoryLayout

class Tensor(Variable):
    _shape: tuple[_int, ...]
    dtype: DType
    __slots__ = ()
    __array_priority__ = 1000
    def __init__(
        self,
        data: Any = (),
        dtype: Any = None,
        requires_grad: _bool = False,
        device: Any = None,
        *sizes: _int,
    ) -> None: ...
    def new(self, *data: Any) -> Tensor:
        """An old form of `new_tensor` (of data) and `new_zeros` (of sizes), and of an empty one.

        Example:
            >>> grad.ones(2).new(3).shape
            torch.Size([3])
        """
    @classmethod
    def _make_subclass(cls, data: Tensor, requires_grad: _bool = False) -> Any:
        """A leaf of class `cls` on the memory of `data`."""
    @property
    def device(self) -> Device: ...
    @property
    def layout(self) -> MemoryLayout:
        """How elements are kept: ``grad.strided``, as those of every tensor here."""
    @property
    def ndim(self) -> _int: ...
    @property
    def itemsize(self) -> _int: ...
    @property
    def nbytes(self) -> _int: ...
    @property
    def real(self) -> Tensor:
        """The real part: the tensor itself."""
    @property
    def imag(self) -> Tensor:
        """The imaginary part, which only complex tensors have: raises DTypeError."""
    @property
    def data(self) -> Tensor:
        """The same memory, outside the graph; assigning replaces the memory."""
    @data.setter
    def data(self, value: Tensor) -> None: ...
    @property
    def grad(self) -> Any:
        """The gradient that `backward` has added up, or None."""
    @grad.setter
    def grad(self, value: Any) -> None: ...
    @property
    def requires_grad(self) -> _bool:
        """Whether operations on this tensor are recorded."""
    @requires_grad.setter
    def requires_grad(self, value: _bool) -> None: ...
    @property
    def is_leaf(self) -> _bool:
        """Whether no recorded operation made it."""
    @property
    def grad_fn(self) -> Any:
        """The function of the graph that made this tensor, or None for a leaf."""
    @property
    def output_nr(self) -> _int: ...
    @property
    def retains_grad(self) -> _bool: ...
    @property
    def _version(self) -> _int:
        """How often the memory was written to."""
    def size(self, dim: _int | None = None) -> Any:
        """The shape, or the size of one axis."""
    def dim(self) -> _int:
        """The number of axes."""
    ndimension = dim
    def numel(self) -> _int:
        """The number of elements."""
    nelement = numel
    def element_size(self) -> _int: ...
    def stride(self, dim: _int | None = None) -> Any:
        """Elements between neighbours in memory, along each axis or one."""
    def storage_offset(self) -> _int:
        """Where in its memory the tensor starts, in elements."""
    def is_contiguous(self, memory_format: Any = None) -> _bool:
        """Whether elements lie in row-major order (or that of a format) without gaps."""
    def data_ptr(self) -> _int:
        """The address of the first element; computes the tensor."""
    def is_floating_point(self) -> _bool: ...
    def is_complex(self) -> _bool: ...
    def requires_grad_(self, requires_grad: _bool = True) -> Tensor:
        """Say whether operations on this leaf are recorded; returns the tensor."""
    def backward(
        self,
        gradient: Any = None,
        retain_graph: _bool | None = None,
        create_graph: _bool = False,
        inputs: Any = None,
    ) -> None:
        """Add the gradient of this tensor to the `.grad` of every leaf it was computed from.

        Args:
            gradient: what to start from; may be left out for a tensor of one element.
            retain_graph: keep what was saved, so that one can go backward again.
            create_graph: record the pass, for gradients of gradients.
            inputs: fill only the `.grad` of these.
        """
    def detach(self) -> Tensor:
        """The same memory, outside the graph."""
    def detach_(self) -> Tensor:
        """Take this tensor out of the graph; it becomes a leaf."""
    def retain_grad(self) -> None:
        """Keep the gradient of this non-leaf in `.grad`."""
    def register_hook(self, hook: Callable[[Any], Any]) -> RemovableHook:
        """Call ``hook(grad)`` when the gradient of this tensor is known; a result replaces it."""
    def register_post_accumulate_grad_hook(self, hook: Callable[[Any], Any]) -> RemovableHook:
        """Call ``hook(tensor)`` after a gradient was added to the `.grad` of this leaf."""
    def realize(self) -> Tensor:
        """Compute the values now; returns the tensor."""
    def numpy(self, *, force: _bool = False) -> np.ndarray[Any, Any]:
        """The values as an array that shares memory with the tensor.

        A tensor that requires grad is refused, as in PyTorch, unless `force`; see `to_numpy`.
        """
    def to_numpy(self) -> np.ndarray[Any, Any]:
        """As `numpy`, and whether the tensor requires grad or not."""
    def item(self) -> Any:
        """The value of a tensor of one element, as a Python number."""
    def tolist(self) -> Any:
        """The values as nested lists of numbers; a number for a tensor without dimensions."""
    def __array__(self, dtype: Any = None, copy: _bool | None = None) -> np.ndarray[Any, Any]: ...
    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: _bool = False) -> Any:
        """What NumPy's functions make of tensors are tensors."""
    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[_int, _int] | None = None,
        dl_device: tuple[_int, _int] | None = None,
        copy: _bool | None = None,
    ) -> Any:
        """A DLPack capsule on the memory of this tensor, or of a copy of it if `copy`."""
    def __dlpack_device__(self) -> tuple[_int, _int]: ...
    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        """The functions of the Array API standard, `grad.array_api`."""
    def to_device(self, device: Any, /, *, stream: Any = None) -> Tensor:
        """This tensor, which is on the only device there is."""
    def __bool__(self) -> _bool: ...
    def is_nonzero(self) -> _bool:
        """Whether the one element is not 0."""
    def __int__(self) -> _int: ...
    def __float__(self) -> _float: ...
    def __index__(self) -> _int: ...
    def __len__(self) -> _int: ...
    def __iter__(self) -> Iterator[Tensor]: ...
    def __contains__(self, value: Any) -> _bool: ...
    __hash__ = object.__hash__
    def type(self, dtype: Any = None) -> Any:
        """Converted to `dtype`; without one, the name of the type, as PyTorch writes it."""
    def type_as(self, other: Tensor) -> Tensor: ...
    def cpu(self) -> Tensor: ...
    def cuda(self, device: Any = None, non_blocking: _bool = False) -> Tensor:
        """On a CUDA device. Raises DeviceError where there is none."""
    def new_full(self, size: Any, fill_value: Any, *, dtype: Any = None, **options: Any) -> Tensor:
        """A tensor of `size` and (unless given) this type that holds `fill_value` everywhere."""
    def new_zeros(self, *size: Any, dtype: Any = None, **options: Any) -> Tensor: ...
    def new_ones(self, *size: Any, dtype: Any = None, **options: Any) -> Tensor: ...
    def new_empty(self, *size: Any, dtype: Any = None, **options: Any) -> Tensor: ...
    def new_tensor(self, data: Any, *, dtype: Any = None, **options: Any) -> Tensor: ...
    def __copy__(self) -> Tensor: ...
    def alias(self) -> Tensor:
        """Another handle on the same memory, recorded as a view."""
    def __deepcopy__(self, memo: dict[_int, Any]) -> Tensor: ...
    def __reduce__(self) -> tuple[Any, ...]: ...
    def __repr__(self) -> str:
        """As PyTorch prints: values, and what is not the default."""
    def __format__(self, spec: str) -> str: ...
    def where_self(self, condition: Any, other: Any) -> Tensor:
        """x where `condition` is true, `other` elsewhere; ``grad.where(condition, x, other)``."""
    def where(self, condition: Any, other: Any) -> Tensor:
        """x where `condition` is true, `other` elsewhere; ``grad.where(condition, x, other)``."""
    def masked_fill(self, mask: Any, value: Any) -> Tensor:
        """x with `value` (a number or a 0-dimensional tensor) where the bool tensor `mask` is true; x's type stays."""
    def masked_fill_(self, mask: Any, value: Any) -> Tensor:
        """`masked_fill` in place."""
    def clamp(self, min: Any = ..., max: Any = ...) -> Tensor:
        """x limited to ``[min, max]``, each a number, a tensor or None; `max` wins where they cross; NaN stays."""
    def clamp_(self, min: Any = ..., max: Any = ...) -> Tensor:
        """`clamp` in place."""
    def clip(self, min: Any = ..., max: Any = ...) -> Tensor:
        """x limited to ``[min, max]``, each a number, a tensor or None; `max` wins where they cross; NaN stays."""
    def clip_(self, min: Any = ..., max: Any = ...) -> Tensor:
        """`clamp` in place."""
    def clamp_min(self, min: Any) -> Tensor:
        """x, but at least `min`."""
    def clamp_min_(self, min: Any) -> Tensor:
        """`clamp_min` in place."""
    def clamp_max(self, max: Any) -> Tensor:
        """x, but at most `max`."""
    def clamp_max_(self, max: Any) -> Tensor:
        """`clamp_max` in place."""
    def tril(self, diagonal: _int = ...) -> Tensor:
        """The elements on and below the given diagonal, zeros above."""
    def tril_(self, diagonal: _int = ...) -> Tensor:
        """`tril` in place."""
    def triu(self, diagonal: _int = ...) -> Tensor:
        """The elements on and above the given diagonal, zeros below."""
    def triu_(self, diagonal: _int = ...) -> Tensor:
        """`triu` in place."""
    def relu(self) -> Tensor:
        """``max(x, 0)``, with derivative 0 at 0."""
    def relu_(self) -> Tensor:
        """`relu` in place."""
    def gelu(self, *, approximate: str = ...) -> Tensor:
        """``x * Phi(x)``, Phi being the normal distribution; ``approximate="tanh"`` is the formula with tanh."""
    def silu(self) -> Tensor:
        """``x * sigmoid(x)``."""
    def swish(self) -> Tensor:
        """``x * sigmoid(x)``."""
    def softplus(self, beta: _float = ..., threshold: _float = ...) -> Tensor:
        """``log(1 + exp(beta * x)) / beta``, and x itself where ``beta * x > threshold``."""
    def leaky_relu(self, negative_slope: _float = ...) -> Tensor:
        """x where it is positive, ``negative_slope * x`` elsewhere."""
    def leaky_relu_(self, negative_slope: _float = ...) -> Tensor:
        """`leaky_relu` in place."""
    def elu(self, alpha: _float = ...) -> Tensor:
        """x where it is positive, ``alpha * (exp(x) - 1)`` elsewhere."""
    def elu_(self, alpha: _float = ...) -> Tensor:
        """`elu` in place."""
    def celu(self, alpha: _float = ...) -> Tensor:
        """x where it is positive, ``alpha * (exp(x / alpha) - 1)`` elsewhere."""
    def celu_(self, alpha: _float = ...) -> Tensor:
        """`celu` in place."""
    def logsigmoid(self) -> Tensor:
        """``log(sigmoid(x))``, without underflow."""
    def softsign(self) -> Tensor:
        """``x / (1 + |x|)``."""
    def mish(self) -> Tensor:
        """``x * tanh(softplus(x))``."""
    def selu(self) -> Tensor:
        """`elu` with the scale and alpha that keep mean 0 and variance 1."""
    def selu_(self) -> Tensor:
        """`selu` in place."""
    def glu(self, dim: _int = ..., **numpy_names: Any) -> Tensor:
        """The first half of x along `dim` times the sigmoid of the second."""
    def add(self, y: Any, *, alpha: _float = ...) -> Tensor:
        """Sum ``x + alpha * y``; of two bool tensors, their logical or."""
    def add_(self, y: Any, *, alpha: _float = ...) -> Tensor:
        """`add` in place."""
    def __add__(self, other: Any) -> Tensor: ...
    def __radd__(self, other: Any) -> Tensor: ...
    def __iadd__(self, other: Any) -> Tensor: ...
    def sub(self, y: Any, *, alpha: _float = ...) -> Tensor:
        """Difference ``x - alpha * y``. For masks use ``^`` or ``~``: bool tensors are refused, as in PyTorch."""
    def sub_(self, y: Any, *, alpha: _float = ...) -> Tensor:
        """`sub` in place."""
    def subtract(self, y: Any, *, alpha: _float = ...) -> Tensor:
        """Difference ``x - alpha * y``. For masks use ``^`` or ``~``: bool tensors are refused, as in PyTorch."""
    def subtract_(self, y: Any, *, alpha: _float = ...) -> Tensor:
        """`sub` in place."""
    def __sub__(self, other: Any) -> Tensor: ...
    def __rsub__(self, other: Any) -> Tensor: ...
    def __isub__(self, other: Any) -> Tensor: ...
    def mul(self, y: Any) -> Tensor:
        """Product; of two bool tensors, their logical and."""
    def mul_(self, y: Any) -> Tensor:
        """`mul` in place."""
    def multiply(self, y: Any) -> Tensor:
        """Product; of two bool tensors, their logical and."""
    def multiply_(self, y: Any) -> Tensor:
        """`mul` in place."""
    def __mul__(self, other: Any) -> Tensor: ...
    def __rmul__(self, other: Any) -> Tensor: ...
    def __imul__(self, other: Any) -> Tensor: ...
    def rsub(self, y: Any, *, alpha: _float = ...) -> Tensor:
        """Difference ``y - alpha * x``: `sub` with its operands exchanged."""
    def div(self, y: Any, *, rounding_mode: str | None = ...) -> Tensor:
        """Quotient, floating also for integers; ``rounding_mode="floor"`` or ``"trunc"`` rounds and keeps the type."""
    def div_(self, y: Any, *, rounding_mode: str | None = ...) -> Tensor:
        """`div` in place."""
    def divide(self, y: Any, *, rounding_mode: str | None = ...) -> Tensor:
        """Quotient, floating also for integers; ``rounding_mode="floor"`` or ``"trunc"`` rounds and keeps the type."""
    def divide_(self, y: Any, *, rounding_mode: str | None = ...) -> Tensor:
        """`div` in place."""
    def true_divide(self, y: Any, *, rounding_mode: str | None = ...) -> Tensor:
        """Quotient, floating also for integers; ``rounding_mode="floor"`` or ``"trunc"`` rounds and keeps the type."""
    def true_divide_(self, y: Any, *, rounding_mode: str | None = ...) -> Tensor:
        """`div` in place."""
    def __truediv__(self, other: Any) -> Tensor: ...
    def __rtruediv__(self, other: Any) -> Tensor: ...
    def __itruediv__(self, other: Any) -> Tensor: ...
    def floor_divide(self, y: Any) -> Tensor:
        """Quotient rounded down. An integer divided by zero is 0, as in NumPy. Has no gradient, as in PyTorch."""
    def floor_divide_(self, y: Any) -> Tensor:
        """`floor_divide` in place."""
    def __floordiv__(self, other: Any) -> Tensor: ...
    def __rfloordiv__(self, other: Any) -> Tensor: ...
    def __ifloordiv__(self, other: Any) -> Tensor: ...
    def remainder(self, y: Any) -> Tensor:
        """Remainder with the sign of the divisor, Python's ``%``. An integer modulo zero is 0, as in NumPy."""
    def remainder_(self, y: Any) -> Tensor:
        """`remainder` in place."""
    def __mod__(self, other: Any) -> Tensor: ...
    def __rmod__(self, other: Any) -> Tensor: ...
    def __imod__(self, other: Any) -> Tensor: ...
    def fmod(self, y: Any) -> Tensor:
        """Remainder with the sign of the dividend, C's ``fmod``."""
    def fmod_(self, y: Any) -> Tensor:
        """`fmod` in place."""
    def atan2(self, other: Any) -> Tensor:
        """Angle of the point ``(other, x)`` from the first axis, in (-pi, pi]; x is its height."""
    def atan2_(self, other: Any) -> Tensor:
        """`atan2` in place."""
    def arctan2(self, other: Any) -> Tensor:
        """Angle of the point ``(other, x)`` from the first axis, in (-pi, pi]; x is its height."""
    def arctan2_(self, other: Any) -> Tensor:
        """`atan2` in place."""
    def _through(self, path: Any) -> Tensor:
        """`x` through any path; what a view's history becomes when its base was written to."""
    def view(self, *shape: Any) -> Tensor:
        """The same memory in another shape: ``x.view(2, -1)``; given a dtype, a copy of the bits."""
    def reshape(self, *shape: Any) -> Tensor:
        """The same values in another shape; a view where that can be, else a copy."""
    def flatten(self, start_dim: _int = ..., end_dim: _int = ...) -> Tensor:
        """Axes `start_dim` to `end_dim` made one; a number becomes one element."""
    def unflatten(self, dim: _int, sizes: Any, **numpy_names: Any) -> Tensor:
        """Axis `dim` split into `sizes`, one of which may be -1."""
    def squeeze(self, *dim: Any, **numpy_names: Any) -> Tensor:
        """Axes of size 1 left out: all of them, or those named (others stay)."""
    def squeeze_(self, *dim: Any, **numpy_names: Any) -> Tensor:
        """`squeeze` in place."""
    def unsqueeze(self, dim: _int, **numpy_names: Any) -> Tensor:
        """A new axis of size 1 at `dim`."""
    def unsqueeze_(self, dim: _int, **numpy_names: Any) -> Tensor:
        """`unsqueeze` in place."""
    def expand(self, *size: Any) -> Tensor:
        """Axes of size 1 repeated without copying, new axes in front; -1 keeps a size."""
    def expand_as(self, other: Any) -> Tensor:
        """`x` expanded to the shape of `other`."""
    def broadcast_to(self, *shape: Any) -> Tensor:
        """`x` expanded to `shape`."""
    def view_as(self, other: Any) -> Tensor:
        """`x` viewed in the shape of `other`."""
    def reshape_as(self, other: Any) -> Tensor:
        """`x` in the shape of `other`."""
    def clone(self, memory_format: Any = ...) -> Tensor:
        """A copy with memory of its own; the gradient goes through."""
    def contiguous(self, memory_format: Any = ...) -> Tensor:
        """`x` itself if its elements lie in row-major order (or that of `memory_format`), else a copy in which they do."""
    def sum_to_size(self, *size: Any) -> Tensor:
        """`x` summed over what broadcasting to its shape would have repeated: of the given sizes."""
    def is_same_size(self, other: Any) -> _bool:
        """Whether `x` and `other` have one shape."""
    def split(
        self, split_size: _int | Sequence[_int], dim: _int = ..., **numpy_names: Any
    ) -> tuple[Tensor, ...]:
        """Views of `split_size` elements each along `dim`, the last maybe fewer, or of given sizes."""
    def unsafe_split(
        self, split_size: _int | Sequence[_int], dim: _int = ..., **numpy_names: Any
    ) -> tuple[Tensor, ...]:
        """Views of `split_size` elements each along `dim`, the last maybe fewer, or of given sizes."""
    def chunk(self, chunks: _int, dim: _int = ..., **numpy_names: Any) -> tuple[Tensor, ...]:
        """`chunks` views along `dim`, equal but for the last."""
    def unsafe_chunk(self, chunks: _int, dim: _int = ..., **numpy_names: Any) -> tuple[Tensor, ...]:
        """`chunks` views along `dim`, equal but for the last."""
    def unbind(self, dim: _int = ..., **numpy_names: Any) -> tuple[Tensor, ...]:
        """A view for each position along `dim`."""
    def repeat(self, *repeats: Any) -> Tensor:
        """Copies side by side, `repeats` of them along each axis; new axes in front."""
    def tile(self, *dims: Any) -> Tensor:
        """As `repeat`; where there are fewer `dims` than axes, they count from the last."""
    def roll(self, shifts: Any, dims: Any = ...) -> Tensor:
        """Elements moved along `dims` by `shifts`, those that fall off coming in at the other end."""
    def sum(
        self, dim: Any = ..., keepdim: _bool = ..., *, dtype: Any = ..., **numpy_names: Any
    ) -> Tensor:
        """Sum over `dim` (an axis, several, or all); integers and bool are summed in int64."""
    def mean(
        self, dim: Any = ..., keepdim: _bool = ..., *, dtype: Any = ..., **numpy_names: Any
    ) -> Tensor:
        """Mean over `dim`, of floating tensors; NaN where there is nothing to average."""
    def prod(
        self, dim: Any = ..., keepdim: _bool = ..., *, dtype: Any = ..., **numpy_names: Any
    ) -> Tensor:
        """Product over `dim`; integers and bool are multiplied in int64. Its gradient is exact where elements are 0."""
    def any(self, dim: Any = ..., keepdim: _bool = ..., **numpy_names: Any) -> Tensor:
        """Whether any element over `dim` is nonzero; of nothing, False."""
    def all(self, dim: Any = ..., keepdim: _bool = ..., **numpy_names: Any) -> Tensor:
        """Whether all elements over `dim` are nonzero; of nothing, True."""
    def count_nonzero(self, dim: Any = ..., **numpy_names: Any) -> Tensor:
        """How many elements over `dim` are nonzero."""
    def i0(self, *settings: Any) -> Tensor:
        """Modified Bessel function of the first kind of order 0."""
    def i0_(self, *settings: Any) -> Tensor:
        """`i0` in place."""
    def addcmul(self, tensor1: Any, tensor2: Any, *, value: _float = ...) -> Tensor:
        """``x + value * tensor1 * tensor2``."""
    def addcmul_(self, tensor1: Any, tensor2: Any, *, value: _float = ...) -> Tensor:
        """`addcmul` in place."""
    def addcdiv(self, tensor1: Any, tensor2: Any, *, value: _float = ...) -> Tensor:
        """``x + value * tensor1 / tensor2``, of floating tensors."""
    def addcdiv_(self, tensor1: Any, tensor2: Any, *, value: _float = ...) -> Tensor:
        """`addcdiv` in place."""
    def lerp(self, end: Any, weight: Any) -> Tensor:
        """Linear interpolation ``start + weight * (end - start)``, exactly `end` at weight 1."""
    def lerp_(self, end: Any, weight: Any) -> Tensor:
        """`lerp` in place."""
    def matmul(self, y: Any) -> Tensor:
        """Matrix product of 1-D to n-D tensors; leading axes broadcast."""
    def __matmul__(self, other: Any) -> Tensor: ...
    def __rmatmul__(self, other: Any) -> Tensor: ...
    def mm(self, mat2: Any) -> Tensor:
        """Product of two matrices."""
    def bmm(self, mat2: Any) -> Tensor:
        """Products of two batches of matrices of equal size, which do not broadcast."""
    def mv(self, vec: Any) -> Tensor:
        """Product of a matrix and a vector."""
    def dot(self, tensor: Any) -> Tensor:
        """Inner product of two vectors."""
    def vdot(self, tensor: Any) -> Tensor:
        """Inner product of two vectors."""
    def outer(self, vec2: Any) -> Tensor:
        """All products of two vectors: ``out[i, j] = x[i] * vec2[j]``."""
    def ger(self, vec2: Any) -> Tensor:
        """All products of two vectors: ``out[i, j] = x[i] * vec2[j]``."""
    def matrix_power(self, n: _int) -> Tensor:
        """Square matrices times themselves, `n` factors in all; of the inverses for negative `n`."""
    def relu6(self) -> Tensor:
        """``min(max(x, 0), 6)``."""
    def hardtanh(self, min_val: _float = ..., max_val: _float = ...) -> Tensor:
        """x limited to ``[min_val, max_val]``; of integers, to these without their fractions."""
    def hardtanh_(self, min_val: _float = ..., max_val: _float = ...) -> Tensor:
        """`hardtanh` in place."""
    def hardsigmoid(self) -> Tensor:
        """``x / 6 + 1 / 2`` limited to ``[0, 1]``."""
    def hardswish(self) -> Tensor:
        """``x * hardsigmoid(x)``."""
    def eq(self, y: Any) -> Tensor:
        """Whether ``x == y``, for each element."""
    def eq_(self, y: Any) -> Tensor:
        """`eq` in place."""
    def __eq__(self, other: Any) -> Tensor: ...  # type: ignore[override]
    def __ieq__(self, other: Any) -> Tensor: ...
    def ne(self, y: Any) -> Tensor:
        """Whether ``x != y``, for each element; true of NaN."""
    def ne_(self, y: Any) -> Tensor:
        """`ne` in place."""
    def not_equal(self, y: Any) -> Tensor:
        """Whether ``x != y``, for each element; true of NaN."""
    def not_equal_(self, y: Any) -> Tensor:
        """`ne` in place."""
    def __ne__(self, other: Any) -> Tensor: ...  # type: ignore[override]
    def __ine__(self, other: Any) -> Tensor: ...
    def lt(self, y: Any) -> Tensor:
        """Whether ``x < y``, for each element."""
    def lt_(self, y: Any) -> Tensor:
        """`lt` in place."""
    def less(self, y: Any) -> Tensor:
        """Whether ``x < y``, for each element."""
    def less_(self, y: Any) -> Tensor:
        """`lt` in place."""
    def __lt__(self, other: Any) -> Tensor: ...
    def __ilt__(self, other: Any) -> Tensor: ...
    def le(self, y: Any) -> Tensor:
        """Whether ``x <= y``, for each element."""
    def le_(self, y: Any) -> Tensor:
        """`le` in place."""
    def less_equal(self, y: Any) -> Tensor:
        """Whether ``x <= y``, for each element."""
    def less_equal_(self, y: Any) -> Tensor:
        """`le` in place."""
    def __le__(self, other: Any) -> Tensor: ...
    def __ile__(self, other: Any) -> Tensor: ...
    def gt(self, y: Any) -> Tensor:
        """Whether ``x > y``, for each element."""
    def gt_(self, y: Any) -> Tensor:
        """`gt` in place."""
    def greater(self, y: Any) -> Tensor:
        """Whether ``x > y``, for each element."""
    def greater_(self, y: Any) -> Tensor:
        """`gt` in place."""
    def __gt__(self, other: Any) -> Tensor: ...
    def __igt__(self, other: Any) -> Tensor: ...
    def ge(self, y: Any) -> Tensor:
        """Whether ``x >= y``, for each element."""
    def ge_(self, y: Any) -> Tensor:
        """`ge` in place."""
    def greater_equal(self, y: Any) -> Tensor:
        """Whether ``x >= y``, for each element."""
    def greater_equal_(self, y: Any) -> Tensor:
        """`ge` in place."""
    def __ge__(self, other: Any) -> Tensor: ...
    def __ige__(self, other: Any) -> Tensor: ...
    def maximum(self, y: Any) -> Tensor:
        """The larger of two elements; NaN if either is. Equal elements share the gradient."""
    def minimum(self, y: Any) -> Tensor:
        """The smaller of two elements; NaN if either is. Equal elements share the gradient."""
    def fmax(self, y: Any) -> Tensor:
        """The larger of two elements; of NaN and a number the number."""
    def fmin(self, y: Any) -> Tensor:
        """The smaller of two elements; of NaN and a number the number."""
    def heaviside(self, values: Any) -> Tensor:
        """0 where x is negative (or NaN), 1 where it is positive, and `values` where it is 0."""
    def heaviside_(self, values: Any) -> Tensor:
        """`heaviside` in place."""
    def isclose(
        self, y: Any, rtol: _float = ..., atol: _float = ..., equal_nan: _bool = ...
    ) -> Tensor:
        """Whether ``|x - y| <= atol + rtol * |y|``; equal infinities are close, NaN only with `equal_nan`."""
    def allclose(
        self, y: Any, rtol: _float = ..., atol: _float = ..., equal_nan: _bool = ...
    ) -> _bool:
        """Whether all elements are close (see `isclose`), as a Python bool."""
    def equal(self, y: Any) -> _bool:
        """Whether two tensors have the same shape and elements, as a Python bool."""
    def copy_(self, other: Any, non_blocking: _bool = ...) -> Tensor:
        """Write the values of `other`, broadcast and converted; returns `x`."""
    def fill_(self, value: Any) -> Tensor:
        """Write one number everywhere; returns `x`."""
    def fill_diagonal_(self, fill_value: Any, wrap: _bool = ...) -> Tensor:
        """Write one number to the main diagonal; returns `x`."""
    def zero_(self) -> Tensor:
        """Write zeros everywhere; returns `x`."""
    def diagonal(self, offset: _int = ..., dim1: _int = ..., dim2: _int = ...) -> Tensor:
        """The elements of axes `dim1` and `dim2` at which their positions differ by `offset`: a view."""
    def diag_embed(self, offset: _int = ..., dim1: _int = ..., dim2: _int = ...) -> Tensor:
        """Matrices with the last axis of `x` on the diagonal `offset` and zeros elsewhere."""
    def diag(self, diagonal: _int = ...) -> Tensor:
        """A vector as a square matrix with it on a diagonal; the diagonal of a matrix as a vector."""
    def diagflat(self, offset: _int = ...) -> Tensor:
        """A square matrix with all elements of `x` on a diagonal."""
    def diagonal_scatter(
        self, src: Any, offset: _int = ..., dim1: _int = ..., dim2: _int = ...
    ) -> Tensor:
        """A copy of `x` with `src` on a diagonal; see `diagonal` for its shape."""
    def to(
        self,
        target: Any = ...,
        dtype: Any = ...,
        non_blocking: _bool = ...,
        copy: _bool = ...,
        device: Any = ...,
        memory_format: Any = ...,
    ) -> Tensor:
        """`x` as another dtype (or like another tensor); `x` itself if nothing changes."""
    def bitcast(self, dtype: Any) -> Tensor:
        """The same bits read as `dtype`, of equal size; a copy."""
    def bincount(self, weights: Any = ..., minlength: _int = ...) -> Tensor:
        """How often each whole number from 0 to the largest (or to ``minlength - 1``) occurs in a vector, or the sums of `weights` at its places. Computes `input`."""
    def histc(self, bins: _int = ..., min: _float = ..., max: _float = ...) -> Tensor:
        """How many elements fall into each of `bins` equal parts of the range from `min` to `max`."""
    def histogram(
        self, bins: Any, *, range: Any = ..., weight: Any = ..., density: _bool = ...
    ) -> HistogramResult:
        """The sums of `weight` (or counts) of the elements in each bin, and the edges of the bins."""
    def unique(
        self,
        sorted: _bool = ...,
        return_inverse: _bool = ...,
        return_counts: _bool = ...,
        dim: _int | None = ...,
        **numpy_names: Any,
    ) -> Any:
        """The different elements of `input`, or its different slices along `dim`, in order; computes it."""
    def unique_consecutive(
        self,
        return_inverse: _bool = ...,
        return_counts: _bool = ...,
        dim: _int | None = ...,
        **numpy_names: Any,
    ) -> Any:
        """`input` without the elements that repeat the one before, or without such slices along `dim`; computes it."""
    def cov(self, *, correction: _int = ..., fweights: Any = ..., aweights: Any = ...) -> Tensor:
        """The covariances of variables, the rows of x, over observations, its columns."""
    def corrcoef(self) -> Tensor:
        """The correlation coefficients of variables, the rows of x: covariances divided by both standard deviations, from -1 to 1."""
    def var(
        self,
        dim: Any = ...,
        unbiased: _bool | None = ...,
        keepdim: _bool = ...,
        *,
        correction: _float | None = ...,
        **numpy_names: Any,
    ) -> Tensor:
        """Variance over `dim`: squared differences from the mean, summed, by ``count - correction``."""
    def std(
        self,
        dim: Any = ...,
        unbiased: _bool | None = ...,
        keepdim: _bool = ...,
        *,
        correction: _float | None = ...,
        **numpy_names: Any,
    ) -> Tensor:
        """Standard deviation over `dim`, the square root of `var`; its gradient is 0 where it is 0."""
    def var_mean(
        self,
        dim: Any = ...,
        unbiased: _bool | None = ...,
        keepdim: _bool = ...,
        *,
        correction: Any = ...,
        **numpy_names: Any,
    ) -> tuple[Tensor, ...]:
        """The pair of `var` and `mean` over `dim`."""
    def std_mean(
        self,
        dim: Any = ...,
        unbiased: _bool | None = ...,
        keepdim: _bool = ...,
        *,
        correction: Any = ...,
        **numpy_names: Any,
    ) -> tuple[Tensor, ...]:
        """The pair of `std` and `mean` over `dim`."""
    def diff(
        self,
        n: _int = ...,
        dim: _int = ...,
        prepend: Any = ...,
        append: Any = ...,
        **numpy_names: Any,
    ) -> Tensor:
        """Each element less the one before it along `dim`, `n` times over; bool: whether they differ."""
    def norm(
        self,
        p: Any = ...,
        dim: Any = ...,
        keepdim: _bool = ...,
        *,
        dtype: Any = ...,
        **numpy_names: Any,
    ) -> Tensor:
        """Vector norm ``sum(|x| ** p) ** (1 / p)`` over `dim`; `p` may be infinite, 0 (counts nonzeros), "fro" (2) or "nuc" (the sum of singular values, of two axes)."""
    def renorm(self, p: _float, dim: _int, maxnorm: _float, **numpy_names: Any) -> Tensor:
        """`x` with each part along `dim` scaled so that its p-norm is `maxnorm` at most."""
    def renorm_(self, p: _float, dim: _int, maxnorm: _float, **numpy_names: Any) -> Tensor:
        """`renorm` in place."""
    def dist(self, other: Any, p: _float = ...) -> Tensor:
        """The p-norm of ``x - other``, one number."""
    def xlogy(self, y: Any) -> Tensor:
        """``x * log(y)``, and 0 where x is 0 unless y is NaN."""
    def xlogy_(self, y: Any) -> Tensor:
        """`xlogy` in place."""
    def erfinv(self, *settings: Any) -> Tensor:
        """Inverse of `erf`; infinite at 1 and -1, NaN outside."""
    def erfinv_(self, *settings: Any) -> Tensor:
        """`erfinv` in place."""
    def amax(self, dim: Any = ..., keepdim: _bool = ..., **numpy_names: Any) -> Tensor:
        """The largest elements over `dim`; equal ones share the gradient."""
    def amin(self, dim: Any = ..., keepdim: _bool = ..., **numpy_names: Any) -> Tensor:
        """The smallest elements over `dim`; equal ones share the gradient."""
    def argmax(self, dim: _int | None = ..., keepdim: _bool = ..., **numpy_names: Any) -> Tensor:
        """Index of the largest element along `dim` (in the flattened tensor without it); the first of equals."""
    def argmin(self, dim: _int | None = ..., keepdim: _bool = ..., **numpy_names: Any) -> Tensor:
        """Index of the smallest element along `dim` (in the flattened tensor without it); the first of equals."""
    @overload
    def max(self, dim: _int, keepdim: _bool = ...) -> MaxResult:
        """The largest element; with `dim`, ``(values, indices)`` along it; with another tensor, `maximum` of both."""
    @overload
    def max(self, *, axis: _int, keepdims: _bool = ...) -> MaxResult:
        """The largest element; with `dim`, ``(values, indices)`` along it; with another tensor, `maximum` of both."""
    @overload
    def max(self, other: Tensor = ..., /) -> Tensor:
        """The largest element; with `dim`, ``(values, indices)`` along it; with another tensor, `maximum` of both."""
    @overload
    def min(self, dim: _int, keepdim: _bool = ...) -> MinResult:
        """The smallest element; with `dim`, ``(values, indices)`` along it; with another tensor, `minimum` of both."""
    @overload
    def min(self, *, axis: _int, keepdims: _bool = ...) -> MinResult:
        """The smallest element; with `dim`, ``(values, indices)`` along it; with another tensor, `minimum` of both."""
    @overload
    def min(self, other: Tensor = ..., /) -> Tensor:
        """The smallest element; with `dim`, ``(values, indices)`` along it; with another tensor, `minimum` of both."""
    def aminmax(
        self, *, dim: _int | None = ..., keepdim: _bool = ..., **numpy_names: Any
    ) -> AminmaxResult:
        """The smallest and the largest element, of all or along `dim`."""
    def is_signed(self) -> _bool:
        """Whether the type of `x` has negative numbers."""
    def is_conj(self) -> _bool:
        """Whether `x` is a conjugate that is still to be made: no, all numbers being real."""
    def is_neg(self) -> _bool:
        """Whether `x` is a negative that is still to be made: no."""
    def is_inference(self) -> _bool:
        """Whether `x` can never be recorded: no, tensors made in inference mode are as any others."""
    def is_distributed(self) -> _bool:
        """Whether `x` is spread over several machines: no."""
    def get_device(self) -> _int:
        """The number of the CUDA device that `x` is on; -1 for the CPU."""
    def is_pinned(self, device: Any = ...) -> _bool:
        """Whether the memory is locked, so that another device can read it: no."""
    def pin_memory(self, device: Any = ...) -> Tensor:
        """`x` itself: there is no other device whose copies would gain from locked memory."""
    def is_set_to(self, tensor: Any) -> _bool:
        """Whether `x` and `tensor` show the same memory in the same way."""
    def dim_order(self) -> tuple[Tensor, ...]:
        """The axes from the slowest in memory to the fastest."""
    def nonzero_static(self, *, size: _int, fill_value: _int = ...) -> Tensor:
        """As `nonzero`, cut or filled up with `fill_value` to `size` rows."""
    def new_empty_strided(
        self,
        size: Sequence[_int],
        stride: Sequence[_int],
        *,
        dtype: Any = ...,
        device: Any = ...,
        requires_grad: _bool = ...,
    ) -> Tensor:
        """As `empty_strided`, of the type of `x` unless another is given."""
    def apply_(self, callable: Any) -> Tensor:
        """Replace each element by ``callable(element)``, one after the other; returns `x`."""
    def map_(self, tensor: Any, callable: Any) -> Tensor:
        """Replace each element by ``callable(element, element of tensor)``; returns `x`."""
    def map2_(self, first: Any, second: Any, callable: Any) -> Tensor:
        """As `map_`, with the elements of two tensors; returns `self`."""
    def __getitem__(self, index: Any) -> Tensor:
        """``x[index]``: a view for integers, slices, None, ...; a copy for tensors and lists."""
    def __setitem__(self, index: Any, value: Any) -> None:
        """``x[index] = value``; the value broadcasts to what is indexed and is converted to the type of `x`."""
    def index_put_(self, indices: Sequence[Any], values: Any, accumulate: _bool = ...) -> Tensor:
        """Write `values` at the positions of the tensors `indices`; add them with `accumulate`."""
    def index_put(self, indices: Sequence[Any], values: Any, accumulate: _bool = ...) -> Tensor:
        """A copy of `x` with `values` written to, or added at, the positions of `indices`."""
    def select(self, dim: _int, index: _int, **numpy_names: Any) -> Tensor:
        """The view at one position of axis `dim`, which disappears."""
    def nonzero(self, as_tuple: _bool = ...) -> Tensor:
        """The positions of all elements that are not zero, one row each; computes `x`."""
    def argwhere(self) -> Tensor:
        """The positions of all elements that are not zero, one row each; as `nonzero`."""
    def masked_select(self, mask: Any) -> Tensor:
        """The elements of `x` where `mask` holds, as a vector."""
    def take(self, index: Any) -> Tensor:
        """The elements of `x`, seen as a vector, at the positions `index`, in the shape of `index`."""
    def put(self, index: Any, source: Any, accumulate: _bool = ...) -> Tensor:
        """`x`, seen as a vector, with the elements of `source` written to the positions `index`, or added there with `accumulate`."""
    def put_(self, index: Any, source: Any, accumulate: _bool = ...) -> Tensor:
        """`put` in place."""
    def masked_scatter(self, mask: Any, source: Any) -> Tensor:
        """`x` with the elements of `source`, in their order, where `mask` holds."""
    def masked_scatter_(self, mask: Any, source: Any) -> Tensor:
        """`masked_scatter` in place."""
    def copysign(self, other: Any) -> Tensor:
        """The size of x with the sign of `other`, also that of -0.0."""
    def copysign_(self, other: Any) -> Tensor:
        """`copysign` in place."""
    def nextafter(self, other: Any) -> Tensor:
        """The next number after x in the direction of `other`; `other` where they are equal."""
    def nextafter_(self, other: Any) -> Tensor:
        """`nextafter` in place."""
    def ldexp(self, other: Any) -> Tensor:
        """``x * 2 ** other``. With an integer `other` it keeps the type of a floating x, and the power may be out of range where the product is not."""
    def ldexp_(self, other: Any) -> Tensor:
        """`ldexp` in place."""
    def frexp(self) -> FrexpResult:
        """x as ``mantissa * 2 ** exponent``, with the mantissa's size in [1/2, 1)."""
    def lgamma(self, *settings: Any) -> Tensor:
        """Natural logarithm of the absolute value of the gamma function; infinite at 0, -1, -2 ..."""
    def lgamma_(self, *settings: Any) -> Tensor:
        """`lgamma` in place."""
    def digamma(self, *settings: Any) -> Tensor:
        """Derivative of `lgamma`; NaN at -1, -2 ..., infinite at 0."""
    def digamma_(self, *settings: Any) -> Tensor:
        """`digamma` in place."""
    def polygamma_self(self, n: _int) -> Tensor:
        """``grad.polygamma(n, x)``, the n-th derivative of `digamma`."""
    def polygamma_self_(self, n: _int) -> Tensor:
        """`polygamma_self` in place."""
    def polygamma(self, n: _int) -> Tensor:
        """``grad.polygamma(n, x)``, the n-th derivative of `digamma`."""
    def polygamma_(self, n: _int) -> Tensor:
        """`polygamma_self` in place."""
    def mvlgamma(self, p: _int) -> Tensor:
        """Logarithm of the multivariate gamma function of dimension `p`, for each element."""
    def mvlgamma_(self, p: _int) -> Tensor:
        """`mvlgamma` in place."""
    def gather(
        self, dim: _int, index: Any, *, sparse_grad: _bool = ..., **numpy_names: Any
    ) -> Tensor:
        """``out[i][j] = x[index[i][j]][j]`` for ``dim=0``: elements of x chosen along `dim`."""
    def scatter(
        self,
        dim: _int,
        index: Any,
        src: Any = ...,
        *,
        reduce: str | None = ...,
        value: Any = ...,
        **numpy_names: Any,
    ) -> Tensor:
        """x with ``x[index[i][j]][j] = src[i][j]`` for ``dim=0``; `src` is a tensor or a number."""
    def scatter_(
        self,
        dim: _int,
        index: Any,
        src: Any = ...,
        *,
        reduce: str | None = ...,
        value: Any = ...,
        **numpy_names: Any,
    ) -> Tensor:
        """`scatter` in place."""
    def scatter_add(self, dim: _int, index: Any, src: Any, **numpy_names: Any) -> Tensor:
        """x with ``x[index[i][j]][j] += src[i][j]`` for ``dim=0``; the order of additions is always the same."""
    def scatter_add_(self, dim: _int, index: Any, src: Any, **numpy_names: Any) -> Tensor:
        """`scatter_add` in place."""
    def index_fill(self, dim: _int, index: Any, value: Any, **numpy_names: Any) -> Tensor:
        """x with `value`, a number or a 0-dimensional tensor, at ``x[index]`` for ``dim=0``; index has one dimension, and negative numbers in it count from the end."""
    def index_fill_(self, dim: _int, index: Any, value: Any, **numpy_names: Any) -> Tensor:
        """`index_fill` in place."""
    def index_copy(self, dim: _int, index: Any, source: Any, **numpy_names: Any) -> Tensor:
        """x with ``x[index[i]] = source[i]`` for ``dim=0``; index has one dimension."""
    def index_copy_(self, dim: _int, index: Any, source: Any, **numpy_names: Any) -> Tensor:
        """`index_copy` in place."""
    def index_select(self, dim: _int, index: Any, **numpy_names: Any) -> Tensor:
        """``x[index]`` for ``dim=0``: whole slices of x along `dim`; index has one dimension."""
    def take_along_dim(self, indices: Any, dim: _int | None = ..., **numpy_names: Any) -> Tensor:
        """`gather`, but the other axes of x and the index broadcast, and negative numbers count from the end; without `dim`, of both flattened."""
    def geqrf(self) -> GeqrfResult:
        """R of ``x = Q @ R`` on and above the diagonal of `a`, and the reflections that make Q below it and in `tau`; see `orgqr`. It has no gradient: use `linalg.qr`."""
    def orgqr(self, tau: Any) -> Tensor:
        """The first columns of the product of reflections, as many as `x` has: Q of `geqrf`."""
    def ormqr(self, tau: Any, other: Any, left: _bool = ..., transpose: _bool = ...) -> Tensor:
        """The product of all reflections times `other`, or of `other` times it unless `left`; of its transpose with `transpose`."""
    def igamma(self, other: Any) -> Tensor:
        """The regularized lower incomplete gamma function of `x` (often called a) and `other`."""
    def igamma_(self, other: Any) -> Tensor:
        """`igamma` in place."""
    def igammac(self, other: Any) -> Tensor:
        """The regularized upper incomplete gamma function, ``1 - igamma(x, other)`` without loss."""
    def igammac_(self, other: Any) -> Tensor:
        """`igammac` in place."""
    def gcd(self, y: Any) -> Tensor:
        """The greatest common divisor of two integers, from 0 on; of 0 and y it is ``|y|``."""
    def gcd_(self, y: Any) -> Tensor:
        """`gcd` in place."""
    def lcm(self, y: Any) -> Tensor:
        """The least common multiple of two integers, from 0 on; of 0 and y it is 0."""
    def lcm_(self, y: Any) -> Tensor:
        """`lcm` in place."""
    def bitwise_and(self, y: Any) -> Tensor:
        """``x & y``."""
    def bitwise_and_(self, y: Any) -> Tensor:
        """`bitwise_and` in place."""
    def __and__(self, other: Any) -> Tensor: ...
    def __rand__(self, other: Any) -> Tensor: ...
    def __iand__(self, other: Any) -> Tensor: ...
    def bitwise_or(self, y: Any) -> Tensor:
        """``x | y``."""
    def bitwise_or_(self, y: Any) -> Tensor:
        """`bitwise_or` in place."""
    def __or__(self, other: Any) -> Tensor: ...
    def __ror__(self, other: Any) -> Tensor: ...
    def __ior__(self, other: Any) -> Tensor: ...
    def bitwise_xor(self, y: Any) -> Tensor:
        """``x ^ y``."""
    def bitwise_xor_(self, y: Any) -> Tensor:
        """`bitwise_xor` in place."""
    def __xor__(self, other: Any) -> Tensor: ...
    def __rxor__(self, other: Any) -> Tensor: ...
    def __ixor__(self, other: Any) -> Tensor: ...
    def bitwise_left_shift(self, y: Any) -> Tensor:
        """``x << y``; bits shifted out are lost."""
    def bitwise_left_shift_(self, y: Any) -> Tensor:
        """`bitwise_left_shift` in place."""
    def __lshift__(self, other: Any) -> Tensor: ...
    def __rlshift__(self, other: Any) -> Tensor: ...
    def __ilshift__(self, other: Any) -> Tensor: ...
    def bitwise_right_shift(self, y: Any) -> Tensor:
        """``x >> y``; signed integers keep their sign."""
    def bitwise_right_shift_(self, y: Any) -> Tensor:
        """`bitwise_right_shift` in place."""
    def __rshift__(self, other: Any) -> Tensor: ...
    def __rrshift__(self, other: Any) -> Tensor: ...
    def __irshift__(self, other: Any) -> Tensor: ...
    def bitwise_not(self) -> Tensor:
        """``~x``; of bool the opposite."""
    def bitwise_not_(self) -> Tensor:
        """`bitwise_not` in place."""
    def __invert__(self) -> Tensor: ...
    def __iinvert__(self) -> Tensor: ...
    def logical_and(self, y: Any) -> Tensor:
        """Whether both elements are nonzero."""
    def logical_and_(self, y: Any) -> Tensor:
        """`logical_and` in place."""
    def logical_or(self, y: Any) -> Tensor:
        """Whether either element is nonzero."""
    def logical_or_(self, y: Any) -> Tensor:
        """`logical_or` in place."""
    def logical_xor(self, y: Any) -> Tensor:
        """Whether exactly one element is nonzero."""
    def logical_xor_(self, y: Any) -> Tensor:
        """`logical_xor` in place."""
    def logical_not(self) -> Tensor:
        """Whether each element is zero."""
    def logical_not_(self) -> Tensor:
        """`logical_not` in place."""
    def rand_like(
        self,
        *,
        dtype: Any = ...,
        generator: Any = ...,
        device: Any = ...,
        requires_grad: _bool = ...,
        layout: Any = ...,
        pin_memory: _bool = ...,
        memory_format: Any = ...,
    ) -> Tensor:
        """Numbers uniform in [0, 1), of the shape and type of x (or of `dtype`)."""
    def randn_like(
        self,
        *,
        dtype: Any = ...,
        generator: Any = ...,
        device: Any = ...,
        requires_grad: _bool = ...,
        layout: Any = ...,
        pin_memory: _bool = ...,
        memory_format: Any = ...,
    ) -> Tensor:
        """Normally distributed numbers of the shape and type of x (or of `dtype`)."""
    def randint_like(
        self,
        low: Any = ...,
        high: Any = ...,
        *,
        dtype: Any = ...,
        generator: Any = ...,
        device: Any = ...,
        requires_grad: _bool = ...,
        layout: Any = ...,
        pin_memory: _bool = ...,
        memory_format: Any = ...,
    ) -> Tensor:
        """Whole numbers in ``[low, high)``, or ``[0, low)``, of the shape and type of x (or of `dtype`)."""
    def det(self) -> Tensor:
        """The determinants of square matrices."""
    def slogdet(self) -> Tensor:
        """The signs of determinants, and the logarithms of their magnitudes."""
    def logdet(self) -> Tensor:
        """The logarithms of determinants; NaN where one is negative."""
    def inverse(self) -> Tensor:
        """The inverse of square matrices; raises LinAlgError for a singular one."""
    def pinverse(self, rcond: _float = ...) -> Tensor:
        """The pseudo-inverse; singular values up to `rcond` times the largest count as zero."""
    def matrix_exp(self) -> Tensor:
        """The exponential of square matrices: the sum of ``A^k / k!``."""
    def cholesky(self, upper: _bool = ...) -> Tensor:
        """The triangular factor of symmetric positive-definite matrices; see `linalg.cholesky`."""
    def cholesky_solve(self, L: Any, upper: _bool = ...) -> Tensor:
        """X of ``A @ X = x`` for ``A = L @ L.mT`` (or ``L.mT @ L`` if `upper`), given its factor."""
    def cholesky_inverse(self, upper: _bool = ...) -> Tensor:
        """The inverse of ``L @ L.mT`` (or ``L.mT @ L`` if `upper`), given the factor L."""
    def qr(self, some: _bool = ...) -> Tensor:
        """``x = Q @ R``; `some` is ``mode="reduced"`` of `linalg.qr`, else "complete"."""
    def svd(self, some: _bool = ..., compute_uv: _bool = ...) -> SvdResult:
        """``x = U @ diag(S) @ V.mT``; unlike `linalg.svd` it gives V, and reduced matrices if `some`."""
    def addmm(self, mat1: Any, mat2: Any, *, beta: _float = ..., alpha: _float = ...) -> Tensor:
        """``beta * x + alpha * (mat1 @ mat2)`` of matrices; x expands to the product."""
    def addmm_(self, mat1: Any, mat2: Any, *, beta: _float = ..., alpha: _float = ...) -> Tensor:
        """`addmm` in place."""
    def baddbmm(
        self, batch1: Any, batch2: Any, *, beta: _float = ..., alpha: _float = ...
    ) -> Tensor:
        """``beta * x + alpha * (batch1 @ batch2)`` of batches of matrices; x expands to the product."""
    def baddbmm_(
        self, batch1: Any, batch2: Any, *, beta: _float = ..., alpha: _float = ...
    ) -> Tensor:
        """`baddbmm` in place."""
    def addbmm(
        self, batch1: Any, batch2: Any, *, beta: _float = ..., alpha: _float = ...
    ) -> Tensor:
        """``beta * x + alpha * (batch1 @ batch2).sum(0)``; x expands to the sum."""
    def addbmm_(
        self, batch1: Any, batch2: Any, *, beta: _float = ..., alpha: _float = ...
    ) -> Tensor:
        """`addbmm` in place."""
    def addmv(self, mat: Any, vec: Any, *, beta: _float = ..., alpha: _float = ...) -> Tensor:
        """``beta * x + alpha * (mat @ vec)``; x expands to the product. Raises as `addmm` does."""
    def addmv_(self, mat: Any, vec: Any, *, beta: _float = ..., alpha: _float = ...) -> Tensor:
        """`addmv` in place."""
    def addr(self, vec1: Any, vec2: Any, *, beta: _float = ..., alpha: _float = ...) -> Tensor:
        """``beta * x + alpha * outer(vec1, vec2)``; x expands to the product, types are promoted."""
    def addr_(self, vec1: Any, vec2: Any, *, beta: _float = ..., alpha: _float = ...) -> Tensor:
        """`addr` in place."""
    def multinomial(
        self, num_samples: _int, replacement: _bool = ..., *, generator: Any = ..., out: Any = ...
    ) -> Tensor:
        """`num_samples` positions of each row of `input`, each as likely as its element is large."""
    def permute(self, *dims: Any) -> Tensor:
        """Axes in another order: ``x.permute(2, 0, 1)``."""
    def transpose(self, dim0: _int, dim1: _int) -> Tensor:
        """Two axes exchanged."""
    def transpose_(self, dim0: _int, dim1: _int) -> Tensor:
        """`transpose` in place."""
    def swapaxes(self, dim0: _int, dim1: _int) -> Tensor:
        """Two axes exchanged."""
    def swapaxes_(self, dim0: _int, dim1: _int) -> Tensor:
        """`transpose` in place."""
    def swapdims(self, dim0: _int, dim1: _int) -> Tensor:
        """Two axes exchanged."""
    def swapdims_(self, dim0: _int, dim1: _int) -> Tensor:
        """`transpose` in place."""
    def t(self) -> Tensor:
        """The transpose of a matrix; vectors and numbers stay as they are."""
    def t_(self) -> Tensor:
        """`t` in place."""
    def flip(self, *dims: Any) -> Tensor:
        """The named axes run backward. A copy, as in PyTorch."""
    def movedim(self, source: Any, destination: Any) -> Tensor:
        """Axes `source` moved to the places `destination`; the others keep their order."""
    def moveaxis(self, source: Any, destination: Any) -> Tensor:
        """Axes `source` moved to the places `destination`; the others keep their order."""
    def narrow(self, dim: _int, start: Any, length: _int, **numpy_names: Any) -> Tensor:
        """`length` elements of axis `dim` from `start` on."""
    def pow(self, exponent: Any) -> Tensor:
        """``x ** exponent``. Integers to a negative Python number are refused; to a tensor of negative integers they give 0 or ±1."""
    def pow_(self, exponent: Any) -> Tensor:
        """`pow` in place."""
    def __pow__(self, other: Any) -> Tensor: ...
    def __rpow__(self, other: Any) -> Tensor: ...
    def __ipow__(self, other: Any) -> Tensor: ...
    def float_power(self, exponent: Any) -> Tensor:
        """``x ** exponent`` in float64, whatever the types."""
    def float_power_(self, exponent: Any) -> Tensor:
        """`float_power` in place, of a float64 tensor."""
    def inner(self, other: Any) -> Tensor:
        """Sums of products over the last axis of both; with a number, the product."""
    def kron(self, other: Any) -> Tensor:
        """The Kronecker product: every element of x times the whole of `other`, side by side."""
    def cross(self, other: Any, dim: _int | None = ..., **numpy_names: Any) -> Tensor:
        """The vectors of three numbers that stand upright on those of x and `other`, along `dim`."""
    def trace(self) -> Tensor:
        """The sum of the diagonal of a matrix; of integers in int64."""
    def sort(
        self, dim: _int = ..., descending: _bool = ..., *, stable: _bool = ..., **numpy_names: Any
    ) -> SortResult:
        """Values along `dim` from the smallest to the largest, and the indices they had."""
    def argsort(
        self, dim: _int = ..., descending: _bool = ..., *, stable: _bool = ..., **numpy_names: Any
    ) -> Tensor:
        """The indices that sort along `dim`; equal elements keep their order, whether `stable` or not."""
    def msort(self) -> Tensor:
        """Values along the first axis from the smallest to the largest."""
    def topk(
        self,
        k: _int,
        dim: _int = ...,
        largest: _bool = ...,
        sorted: _bool = ...,
        **numpy_names: Any,
    ) -> TopkResult:
        """The `k` largest (or smallest) elements along `dim`, and their indices."""
    def kthvalue(
        self, k: _int, dim: _int = ..., keepdim: _bool = ..., **numpy_names: Any
    ) -> KthvalueResult:
        """The `k`-th smallest element along `dim` (the first for 1), and its index."""
    @overload
    def median(self, dim: _int, keepdim: _bool = ...) -> MedianResult:
        """The median of all elements; with `dim`, ``(values, indices)`` along it."""
    @overload
    def median(self, *, axis: _int, keepdims: _bool = ...) -> MedianResult:
        """The median of all elements; with `dim`, ``(values, indices)`` along it."""
    @overload
    def median(self) -> Tensor:
        """The median of all elements; with `dim`, ``(values, indices)`` along it."""
    @overload
    def nanmedian(self, dim: _int, keepdim: _bool = ...) -> NanmedianResult:
        """The median of the elements that are not NaN; with `dim`, ``(values, indices)`` along it."""
    @overload
    def nanmedian(self, *, axis: _int, keepdims: _bool = ...) -> NanmedianResult:
        """The median of the elements that are not NaN; with `dim`, ``(values, indices)`` along it."""
    @overload
    def nanmedian(self) -> Tensor:
        """The median of the elements that are not NaN; with `dim`, ``(values, indices)`` along it."""
    def mode(self, dim: _int = ..., keepdim: _bool = ..., **numpy_names: Any) -> ModeResult:
        """The most frequent element along `dim`, the smallest of several, and the last index it has."""
    def quantile(
        self,
        q: Any,
        dim: _int | None = ...,
        keepdim: _bool = ...,
        *,
        interpolation: str = ...,
        **numpy_names: Any,
    ) -> Tensor:
        """The `q`-quantiles of all elements or along `dim`; NaN where an element is."""
    def nanquantile(
        self,
        q: Any,
        dim: _int | None = ...,
        keepdim: _bool = ...,
        *,
        interpolation: str = ...,
        **numpy_names: Any,
    ) -> Tensor:
        """As `quantile`, of the elements that are not NaN."""
    def bernoulli(self, p: _float | None = ..., *, generator: Any = ...) -> Tensor:
        """1 with the probability that x says (or that `p` says, for each element of x), else 0."""
    def uniform_(self, low: _float = ..., high: _float = ..., *, generator: Any = ...) -> Tensor:
        """Fill x with numbers uniform in ``[low, high)``, and return it."""
    def normal_(self, mean: _float = ..., std: _float = ..., *, generator: Any = ...) -> Tensor:
        """Fill x with normally distributed numbers, and return it."""
    def log_normal_(self, mean: _float = ..., std: _float = ..., *, generator: Any = ...) -> Tensor:
        """Fill x with numbers whose logarithm has the normal law of `mean` and `std`, and return it."""
    def exponential_(self, lambd: _float = ..., *, generator: Any = ...) -> Tensor:
        """Fill x with numbers of the exponential law of rate `lambd`, and return it."""
    def cauchy_(self, median: _float = ..., sigma: _float = ..., *, generator: Any = ...) -> Tensor:
        """Fill x with numbers of the Cauchy law around `median`, of scale `sigma`, and return it."""
    def geometric_(self, p: _float, *, generator: Any = ...) -> Tensor:
        """Fill x with how many trials it takes until one succeeds, each with probability `p`; returns x."""
    def bernoulli_(self, p: Any = ..., *, generator: Any = ...) -> Tensor:
        """Fill x with 1 with probability `p` (a number or a tensor that broadcasts to x), else 0, and return it."""
    def random_(self, low: Any = ..., high: Any = ..., *, generator: Any = ...) -> Tensor:
        """Fill x with whole numbers, and return it."""
    def conj_physical(self) -> Tensor:
        """The complex conjugate: x itself, which is real."""
    def conj_physical_(self) -> Tensor:
        """`conj_physical` in place."""
    def conj(self) -> Tensor:
        """The complex conjugate: x itself, which is real."""
    def resolve_conj(self) -> Tensor:
        """The complex conjugate: x itself, which is real."""
    def resolve_neg(self) -> Tensor:
        """The complex conjugate: x itself, which is real."""
    def isreal(self) -> Tensor:
        """Whether each element is real: True."""
    def angle(self) -> Tensor:
        """The angle from the real axis: 0, and pi for negative numbers."""
    def rot90(self, k: _int = ..., dims: Any = ...) -> Tensor:
        """`k` quarter turns in the plane of `dims`, from the first towards the second; a copy."""
    def fliplr(self) -> Tensor:
        """Columns in reverse order: axis 1 runs backward."""
    def flipud(self) -> Tensor:
        """Rows in reverse order: axis 0 runs backward."""
    def ravel(self) -> Tensor:
        """All elements as a vector; a view where that can be."""
    def adjoint(self) -> Tensor:
        """The last two axes exchanged: the conjugate transpose, all numbers being real."""
    def narrow_copy(self, dim: _int, start: _int, length: _int, **numpy_names: Any) -> Tensor:
        """`narrow` as a copy."""
    def select_scatter(self, src: Any, dim: _int, index: _int, **numpy_names: Any) -> Tensor:
        """A copy of `x` with `src` at position `index` of axis `dim`."""
    def slice_scatter(
        self,
        src: Any,
        dim: _int = ...,
        start: _int | None = ...,
        end: _int | None = ...,
        step: _int = ...,
        **numpy_names: Any,
    ) -> Tensor:
        """A copy of `x` with `src` in the slice ``start:end:step`` of axis `dim`."""
    def repeat_interleave(
        self,
        repeats: Any = ...,
        dim: _int | None = ...,
        *,
        output_size: _int | None = ...,
        **numpy_names: Any,
    ) -> Tensor:
        """Each element (or slice along `dim`) `repeats` times in a row."""
    def resize_(self, *sizes: Any, memory_format: Any = ...) -> Tensor:
        """Give the tensor another shape, whatever the number of elements; returns `x`."""
    def resize_as_(self, other: Any, *, memory_format: Any = ...) -> Tensor:
        """`resize_` to the shape of `other`; returns `x`."""
    def set_(
        self, source: Any = ..., storage_offset: _int = ..., size: Any = ..., stride: Any = ...
    ) -> Tensor:
        """Make the tensor show the memory of `source`; without a source none. Returns `x`."""
    def neg(self) -> Tensor:
        """``-x``; unsigned integers wrap."""
    def neg_(self) -> Tensor:
        """`neg` in place."""
    def negative(self) -> Tensor:
        """``-x``; unsigned integers wrap."""
    def negative_(self) -> Tensor:
        """`neg` in place."""
    def __neg__(self) -> Tensor: ...
    def __ineg__(self) -> Tensor: ...
    def abs(self) -> Tensor:
        """Absolute value, with derivative 0 at 0. The smallest signed integer is its own, as in NumPy."""
    def abs_(self) -> Tensor:
        """`abs` in place."""
    def absolute(self) -> Tensor:
        """Absolute value, with derivative 0 at 0. The smallest signed integer is its own, as in NumPy."""
    def absolute_(self) -> Tensor:
        """`abs` in place."""
    def __abs__(self) -> Tensor: ...
    def __iabs__(self) -> Tensor: ...
    def sign(self) -> Tensor:
        """-1, 0 or 1; of NaN 0, as in PyTorch."""
    def sign_(self) -> Tensor:
        """`sign` in place."""
    def sgn(self) -> Tensor:
        """-1, 0 or 1; of NaN 0, as in PyTorch."""
    def sgn_(self) -> Tensor:
        """`sign` in place."""
    def positive(self) -> Tensor:
        """``+x``, x itself."""
    def __pos__(self) -> Tensor: ...
    def floor(self) -> Tensor:
        """The largest whole number not above x."""
    def floor_(self) -> Tensor:
        """`floor` in place."""
    def ceil(self) -> Tensor:
        """The smallest whole number not below x."""
    def ceil_(self) -> Tensor:
        """`ceil` in place."""
    def trunc(self) -> Tensor:
        """x without its fraction."""
    def trunc_(self) -> Tensor:
        """`trunc` in place."""
    def fix(self) -> Tensor:
        """x without its fraction."""
    def fix_(self) -> Tensor:
        """`trunc` in place."""
    def __trunc__(self) -> Tensor: ...
    def __itrunc__(self) -> Tensor: ...
    def round(self, *, decimals: _int = ...) -> Tensor:
        """The nearest whole number, halves to even; with `decimals`, the nearest multiple of ``10 ** -decimals``."""
    def round_(self, *, decimals: _int = ...) -> Tensor:
        """`round` in place."""
    def frac(self) -> Tensor:
        """The fraction ``x - trunc(x)``, with the sign of x."""
    def frac_(self) -> Tensor:
        """`frac` in place."""
    def isnan(self) -> Tensor:
        """Whether each element is not a number."""
    def isinf(self) -> Tensor:
        """Whether each element is infinite, of either sign."""
    def isposinf(self) -> Tensor:
        """Whether each element is positive infinity."""
    def isneginf(self) -> Tensor:
        """Whether each element is negative infinity."""
    def isfinite(self) -> Tensor:
        """Whether each element is neither infinite nor NaN."""
    def nan_to_num(
        self, nan: _float = ..., posinf: _float | None = ..., neginf: _float | None = ...
    ) -> Tensor:
        """x with NaN and infinities replaced: by `nan`, and by `posinf`, `neginf` or the largest finite values."""
    def nan_to_num_(
        self, nan: _float = ..., posinf: _float | None = ..., neginf: _float | None = ...
    ) -> Tensor:
        """`nan_to_num` in place."""
    def logcumsumexp(self, dim: _int, **numpy_names: Any) -> Tensor:
        """The logarithm of the sum of the exponentials of the elements up to each along `dim`."""
    def cumsum(self, dim: _int, *, dtype: Any = ..., **numpy_names: Any) -> Tensor:
        """Sums of the elements up to each along `dim`; integers and bool are summed in int64."""
    def cumsum_(self, dim: _int, *, dtype: Any = ..., **numpy_names: Any) -> Tensor:
        """`cumsum` in place."""
    def cumprod(self, dim: _int, *, dtype: Any = ..., **numpy_names: Any) -> Tensor:
        """Products of the elements up to each along `dim`; of integers and bool in int64."""
    def cumprod_(self, dim: _int, *, dtype: Any = ..., **numpy_names: Any) -> Tensor:
        """`cumprod` in place."""
    def cummax(self, dim: _int, **numpy_names: Any) -> CumulativeResult:
        """The largest element so far along `dim`, and its index: ``(values, indices)``."""
    def cummin(self, dim: _int, **numpy_names: Any) -> CumulativeResult:
        """The smallest element so far along `dim`, and its index: ``(values, indices)``."""
    def scatter_reduce(
        self,
        dim: _int,
        index: Any,
        src: Any,
        reduce: str,
        *,
        include_self: _bool = ...,
        **numpy_names: Any,
    ) -> Tensor:
        """x with ``src[i][j]`` combined into ``x[index[i][j]][j]`` for ``dim=0``."""
    def scatter_reduce_(
        self,
        dim: _int,
        index: Any,
        src: Any,
        reduce: str,
        *,
        include_self: _bool = ...,
        **numpy_names: Any,
    ) -> Tensor:
        """`scatter_reduce` in place."""
    def index_add(
        self, dim: _int, index: Any, source: Any, *, alpha: _float = ..., **numpy_names: Any
    ) -> Tensor:
        """x with ``x[index[i]] += alpha * source[i]`` for ``dim=0``; index has one dimension."""
    def index_add_(
        self, dim: _int, index: Any, source: Any, *, alpha: _float = ..., **numpy_names: Any
    ) -> Tensor:
        """`index_add` in place."""
    def index_reduce(
        self,
        dim: _int,
        index: Any,
        source: Any,
        reduce: str,
        *,
        include_self: _bool = ...,
        **numpy_names: Any,
    ) -> Tensor:
        """x with ``source[i]`` combined into ``x[index[i]]`` for ``dim=0``; index has one dimension."""
    def index_reduce_(
        self,
        dim: _int,
        index: Any,
        source: Any,
        reduce: str,
        *,
        include_self: _bool = ...,
        **numpy_names: Any,
    ) -> Tensor:
        """`index_reduce` in place."""
    def threshold(self, threshold: _float, value: _float) -> Tensor:
        """x where it is above `threshold` (or NaN), `value` elsewhere."""
    def threshold_(self, threshold: _float, value: _float) -> Tensor:
        """`threshold` in place."""
    def hardshrink(self, lambd: _float = ...) -> Tensor:
        """0 where ``|x| <= lambd``, x elsewhere."""
    def softshrink(self, lambd: _float = ...) -> Tensor:
        """x moved towards zero by `lambd`, and 0 where it would pass it."""
    def tanhshrink(self) -> Tensor:
        """``x - tanh(x)``."""
    def prelu(self, weight: Any) -> Tensor:
        """x where it is positive, ``weight * x`` elsewhere."""
    def softmax(self, dim: _int, *, dtype: Any = ..., **numpy_names: Any) -> Tensor:
        """``exp(x) / sum(exp(x))`` along `dim`; NaN for a row of -inf alone."""
    def log_softmax(self, dim: _int, *, dtype: Any = ..., **numpy_names: Any) -> Tensor:
        """``x - logsumexp(x)`` along `dim`."""
    def softmin(self, dim: _int, *, dtype: Any = ..., **numpy_names: Any) -> Tensor:
        """Softmax of ``-x``."""
    def logsumexp(self, dim: Any = ..., keepdim: _bool = ..., **numpy_names: Any) -> Tensor:
        """``log(sum(exp(x)))`` over `dim`, without overflow."""
    def asinh(self) -> Tensor:
        """Inverse hyperbolic sine."""
    def asinh_(self) -> Tensor:
        """`asinh` in place."""
    def arcsinh(self) -> Tensor:
        """Inverse hyperbolic sine."""
    def arcsinh_(self) -> Tensor:
        """`asinh` in place."""
    def acosh(self) -> Tensor:
        """Inverse hyperbolic cosine; NaN below 1."""
    def acosh_(self) -> Tensor:
        """`acosh` in place."""
    def arccosh(self) -> Tensor:
        """Inverse hyperbolic cosine; NaN below 1."""
    def arccosh_(self) -> Tensor:
        """`acosh` in place."""
    def atanh(self) -> Tensor:
        """Inverse hyperbolic tangent; infinite at 1 and -1, NaN outside."""
    def atanh_(self) -> Tensor:
        """`atanh` in place."""
    def arctanh(self) -> Tensor:
        """Inverse hyperbolic tangent; infinite at 1 and -1, NaN outside."""
    def arctanh_(self) -> Tensor:
        """`atanh` in place."""
    def hypot(self, y: Any) -> Tensor:
        """``sqrt(x * x + y * y)``, without overflow."""
    def hypot_(self, y: Any) -> Tensor:
        """`hypot` in place."""
    def logaddexp(self, y: Any) -> Tensor:
        """``log(exp(x) + exp(y))``, without overflow."""
    def logaddexp2(self, y: Any) -> Tensor:
        """``log2(2 ** x + 2 ** y)``, without overflow."""
    def logit(self, eps: _float | None = ...) -> Tensor:
        """``log(x / (1 - x))``, of x limited to ``[eps, 1 - eps]`` if `eps` is given."""
    def logit_(self, eps: _float | None = ...) -> Tensor:
        """`logit` in place."""
    def sinc(self) -> Tensor:
        """``sin(pi * x) / (pi * x)``, 1 at 0."""
    def sinc_(self) -> Tensor:
        """`sinc` in place."""
    def deg2rad(self) -> Tensor:
        """Degrees as radians."""
    def deg2rad_(self) -> Tensor:
        """`deg2rad` in place."""
    def rad2deg(self) -> Tensor:
        """Radians as degrees."""
    def rad2deg_(self) -> Tensor:
        """`rad2deg` in place."""
    def signbit(self) -> Tensor:
        """Whether the sign is minus, also that of -0.0."""
    def nansum(
        self, dim: Any = ..., keepdim: _bool = ..., *, dtype: Any = ..., **numpy_names: Any
    ) -> Tensor:
        """Sum over `dim` with NaN counted as 0."""
    def nanmean(
        self, dim: Any = ..., keepdim: _bool = ..., *, dtype: Any = ..., **numpy_names: Any
    ) -> Tensor:
        """Mean over `dim` of the elements that are not NaN."""
    def tensor_split(
        self, indices_or_sections: Any, dim: _int = ..., **numpy_names: Any
    ) -> tuple[Tensor, ...]:
        """Views along `dim`: so many, as equal as can be, or those between the given cuts."""
    def hsplit(self, indices_or_sections: Any) -> tuple[Tensor, ...]:
        """Equal parts, or those between the given cuts, along axis 1 (of a vector: 0)."""
    def vsplit(self, indices_or_sections: Any) -> tuple[Tensor, ...]:
        """Equal parts, or those between the given cuts, along axis 0."""
    def dsplit(self, indices_or_sections: Any) -> tuple[Tensor, ...]:
        """Equal parts, or those between the given cuts, along axis 2."""
    def split_with_sizes(
        self, split_sizes: Sequence[_int], dim: _int = ..., **numpy_names: Any
    ) -> tuple[Tensor, ...]:
        """Views of the given sizes along `dim`; as `split`."""
    def unsafe_split_with_sizes(
        self, split_sizes: Sequence[_int], dim: _int = ..., **numpy_names: Any
    ) -> tuple[Tensor, ...]:
        """Views of the given sizes along `dim`; as `split`."""
    def as_strided(
        self, size: Sequence[_int], stride: Sequence[_int], storage_offset: _int | None = ...
    ) -> Tensor:
        """The view of the memory of `x` with these sizes, strides and offset, in elements."""
    def as_strided_(
        self, size: Sequence[_int], stride: Sequence[_int], storage_offset: _int | None = ...
    ) -> Tensor:
        """`as_strided` in place."""
    def as_strided_scatter(
        self,
        src: Any,
        size: Sequence[_int],
        stride: Sequence[_int],
        storage_offset: _int | None = ...,
    ) -> Tensor:
        """A copy of `x` with `src` where `as_strided` would show it."""
    def exp(self) -> Tensor:
        """Exponential, ``e ** x``."""
    def exp_(self) -> Tensor:
        """`exp` in place."""
    def exp2(self) -> Tensor:
        """``2 ** x``."""
    def exp2_(self) -> Tensor:
        """`exp2` in place."""
    def expm1(self) -> Tensor:
        """``e ** x - 1``, exact also for small x."""
    def expm1_(self) -> Tensor:
        """`expm1` in place."""
    def log(self) -> Tensor:
        """Natural logarithm; -inf at 0, NaN below."""
    def log_(self) -> Tensor:
        """`log` in place."""
    def log2(self) -> Tensor:
        """Logarithm to base 2."""
    def log2_(self) -> Tensor:
        """`log2` in place."""
    def log10(self) -> Tensor:
        """Logarithm to base 10."""
    def log10_(self) -> Tensor:
        """`log10` in place."""
    def log1p(self) -> Tensor:
        """``log(1 + x)``, exact also for small x."""
    def log1p_(self) -> Tensor:
        """`log1p` in place."""
    def sqrt(self) -> Tensor:
        """Square root; NaN below 0."""
    def sqrt_(self) -> Tensor:
        """`sqrt` in place."""
    def rsqrt(self) -> Tensor:
        """``1 / sqrt(x)``."""
    def rsqrt_(self) -> Tensor:
        """`rsqrt` in place."""
    def reciprocal(self) -> Tensor:
        """``1 / x``; infinite at 0."""
    def reciprocal_(self) -> Tensor:
        """`reciprocal` in place."""
    def square(self) -> Tensor:
        """``x * x``."""
    def square_(self) -> Tensor:
        """`square` in place."""
    def sin(self) -> Tensor:
        """Sine of x radians."""
    def sin_(self) -> Tensor:
        """`sin` in place."""
    def cos(self) -> Tensor:
        """Cosine of x radians."""
    def cos_(self) -> Tensor:
        """`cos` in place."""
    def tan(self) -> Tensor:
        """Tangent of x radians."""
    def tan_(self) -> Tensor:
        """`tan` in place."""
    def asin(self) -> Tensor:
        """Inverse sine, in [-pi/2, pi/2]; NaN outside [-1, 1]."""
    def asin_(self) -> Tensor:
        """`asin` in place."""
    def arcsin(self) -> Tensor:
        """Inverse sine, in [-pi/2, pi/2]; NaN outside [-1, 1]."""
    def arcsin_(self) -> Tensor:
        """`asin` in place."""
    def acos(self) -> Tensor:
        """Inverse cosine, in [0, pi]; NaN outside [-1, 1]."""
    def acos_(self) -> Tensor:
        """`acos` in place."""
    def arccos(self) -> Tensor:
        """Inverse cosine, in [0, pi]; NaN outside [-1, 1]."""
    def arccos_(self) -> Tensor:
        """`acos` in place."""
    def atan(self) -> Tensor:
        """Inverse tangent, in [-pi/2, pi/2]."""
    def atan_(self) -> Tensor:
        """`atan` in place."""
    def arctan(self) -> Tensor:
        """Inverse tangent, in [-pi/2, pi/2]."""
    def arctan_(self) -> Tensor:
        """`atan` in place."""
    def sinh(self) -> Tensor:
        """Hyperbolic sine."""
    def sinh_(self) -> Tensor:
        """`sinh` in place."""
    def cosh(self) -> Tensor:
        """Hyperbolic cosine."""
    def cosh_(self) -> Tensor:
        """`cosh` in place."""
    def tanh(self) -> Tensor:
        """Hyperbolic tangent."""
    def tanh_(self) -> Tensor:
        """`tanh` in place."""
    def erf(self) -> Tensor:
        """Error function, ``2 / sqrt(pi)`` times the integral of ``exp(-t * t)`` from 0 to x."""
    def erf_(self) -> Tensor:
        """`erf` in place."""
    def erfc(self) -> Tensor:
        """Complementary error function, ``1 - erf(x)``, exact also where that is small."""
    def erfc_(self) -> Tensor:
        """`erfc` in place."""
    def sigmoid(self) -> Tensor:
        """Logistic function, ``1 / (1 + exp(-x))``."""
    def sigmoid_(self) -> Tensor:
        """`sigmoid` in place."""
    def unfold(self, dimension: _int, size: _int, step: _int) -> Tensor:
        """Windows of `size` elements along `dimension`, `step` apart: a view."""
    def float(self) -> Tensor: ...
    def double(self) -> Tensor: ...
    def half(self) -> Tensor: ...
    def bfloat16(self) -> Tensor: ...
    def int(self) -> Tensor: ...
    def long(self) -> Tensor: ...
    def short(self) -> Tensor: ...
    def char(self) -> Tensor: ...
    def byte(self) -> Tensor: ...
    def bool(self) -> Tensor: ...
    @staticmethod
    def zeros(
        *size: Any,
        dtype: Any = ...,
        device: Any = ...,
        requires_grad: _bool = ...,
        memory_format: Any = ...,
        layout: Any = ...,
        pin_memory: _bool = ...,
        out: Any = ...,
    ) -> Tensor:
        """A tensor of zeros of the given size."""
    @staticmethod
    def zeros_like(
        input: Any,
        *,
        dtype: Any = ...,
        device: Any = ...,
        requires_grad: _bool = ...,
        layout: Any = ...,
        pin_memory: _bool = ...,
        **_: Any,
    ) -> Tensor:
        """A tensor of zeros of the given size, like `input`."""
    @staticmethod
    def ones(
        *size: Any,
        dtype: Any = ...,
        device: Any = ...,
        requires_grad: _bool = ...,
        memory_format: Any = ...,
        layout: Any = ...,
        pin_memory: _bool = ...,
        out: Any = ...,
    ) -> Tensor:
        """A tensor of ones of the given size."""
    @staticmethod
    def ones_like(
        input: Any,
        *,
        dtype: Any = ...,
        device: Any = ...,
        requires_grad: _bool = ...,
        layout: Any = ...,
        pin_memory: _bool = ...,
        **_: Any,
    ) -> Tensor:
        """A tensor of ones of the given size, like `input`."""
    @staticmethod
    def empty(
        *size: Any,
        dtype: Any = ...,
        device: Any = ...,
        requires_grad: _bool = ...,
        memory_format: Any = ...,
        layout: Any = ...,
        pin_memory: _bool = ...,
        out: Any = ...,
    ) -> Tensor:
        """A tensor of the given size, to be written to."""
    @staticmethod
    def empty_like(
        input: Any,
        *,
        dtype: Any = ...,
        device: Any = ...,
        requires_grad: _bool = ...,
        layout: Any = ...,
        pin_memory: _bool = ...,
        **_: Any,
    ) -> Tensor:
        """A tensor of the given size, to be written to, like `input`."""
    @staticmethod
    def full(
        size: Any,
        fill_value: Any,
        *,
        dtype: Any = ...,
        device: Any = ...,
        requires_grad: _bool = ...,
        layout: Any = ...,
        pin_memory: _bool = ...,
        out: Any = ...,
    ) -> Tensor:
        """A tensor of `size` that holds `fill_value` everywhere; its type is that of the value."""
    @staticmethod
    def full_like(
        input: Any,
        fill_value: Any,
        *,
        dtype: Any = ...,
        layout: Any = ...,
        pin_memory: _bool = ...,
        **options: Any,
    ) -> Tensor:
        """A tensor of the size and type of `input` that holds `fill_value` everywhere."""
    @staticmethod
    def arange(
        start: Any,
        end: Any = ...,
        step: Any = ...,
        *,
        dtype: Any = ...,
        device: Any = ...,
        requires_grad: _bool = ...,
        layout: Any = ...,
        pin_memory: _bool = ...,
        out: Any = ...,
    ) -> Tensor:
        """`start`, `start + step` ... up to but without `end`; ``arange(end)`` starts from 0."""
    @staticmethod
    def linspace(
        start: Any,
        end: Any,
        steps: _int,
        *,
        dtype: Any = ...,
        device: Any = ...,
        requires_grad: _bool = ...,
        layout: Any = ...,
        pin_memory: _bool = ...,
        out: Any = ...,
    ) -> Tensor:
        """`steps` numbers from `start` to `end`, both included, equally far apart."""
    @staticmethod
    def eye(
        n: _int,
        m: _int | None = ...,
        *,
        dtype: Any = ...,
        device: Any = ...,
        requires_grad: _bool = ...,
        layout: Any = ...,
        pin_memory: _bool = ...,
        out: Any = ...,
    ) -> Tensor:
        """The identity matrix of `n` rows and `m` (default `n`) columns."""
    @staticmethod
    def scalar_tensor(
        value: Any, *, layout: Any = ..., pin_memory: _bool = ..., **options: Any
    ) -> Tensor:
        """A tensor without dimensions, of the default floating type."""
    @staticmethod
    def empty_strided(
        size: Sequence[_int],
        stride: Sequence[_int],
        *,
        dtype: Any = ...,
        device: Any = ...,
        requires_grad: _bool = ...,
        layout: Any = ...,
        pin_memory: _bool = ...,
    ) -> Tensor:
        """A tensor of `size` whose elements lie `stride` apart, to be written to."""
    @staticmethod
    def empty_permuted(
        size: Sequence[_int],
        physical_layout: Sequence[_int],
        *,
        dtype: Any = ...,
        device: Any = ...,
        requires_grad: _bool = ...,
        layout: Any = ...,
        pin_memory: _bool = ...,
    ) -> Tensor:
        """A tensor of `size` whose axes lie in memory in the order of `physical_layout`."""
    @staticmethod
    def asarray(
        obj: Any,
        *,
        dtype: Any = ...,
        device: Any = ...,
        copy: _bool | None = ...,
        requires_grad: _bool = ...,
        layout: Any = ...,
        pin_memory: _bool = ...,
    ) -> Tensor:
        """`obj` as a tensor, on the same memory where it has some."""
    @staticmethod
    def frombuffer(
        buffer: Any,
        *,
        dtype: Any,
        count: _int = ...,
        offset: _int = ...,
        requires_grad: _bool = ...,
        layout: Any = ...,
        pin_memory: _bool = ...,
    ) -> Tensor:
        """A vector on the memory of `buffer` (bytes, a bytearray, an array ...), without copying."""
    @staticmethod
    def tril_indices(
        row: _int,
        col: _int,
        offset: _int = ...,
        *,
        dtype: Any = ...,
        layout: Any = ...,
        pin_memory: _bool = ...,
        **options: Any,
    ) -> Tensor:
        """Rows and columns, as ``(2, n)``, of the elements on and below a diagonal, row by row."""
    @staticmethod
    def triu_indices(
        row: _int,
        col: _int,
        offset: _int = ...,
        *,
        dtype: Any = ...,
        layout: Any = ...,
        pin_memory: _bool = ...,
        **options: Any,
    ) -> Tensor:
        """Rows and columns, as ``(2, n)``, of the elements on and above a diagonal, row by row."""
    @staticmethod
    def logspace(
        start: Any,
        end: Any,
        steps: _int,
        base: _float = ...,
        *,
        dtype: Any = ...,
        device: Any = ...,
        requires_grad: _bool = ...,
        layout: Any = ...,
        pin_memory: _bool = ...,
        out: Any = ...,
    ) -> Tensor:
        """`steps` numbers from ``base**start`` to ``base**end``, each the same factor from the next."""
    @staticmethod
    def rand(
        *sizes: Any,
        size: Any = ...,
        generator: Any = ...,
        out: Any = ...,
        dtype: Any = ...,
        device: Any = ...,
        requires_grad: _bool = ...,
        layout: Any = ...,
        pin_memory: _bool = ...,
    ) -> Tensor:
        """Numbers uniform in [0, 1), of shape `size`: multiples of the type's precision, each equally likely."""
    @staticmethod
    def randn(
        *sizes: Any,
        size: Any = ...,
        generator: Any = ...,
        out: Any = ...,
        dtype: Any = ...,
        device: Any = ...,
        requires_grad: _bool = ...,
        layout: Any = ...,
        pin_memory: _bool = ...,
    ) -> Tensor:
        """Normally distributed numbers of mean 0 and variance 1, of shape `size`."""
    @staticmethod
    def randint(
        low: Any = ...,
        high: Any = ...,
        size: Any = ...,
        *,
        generator: Any = ...,
        out: Any = ...,
        dtype: Any = ...,
        device: Any = ...,
        requires_grad: _bool = ...,
        layout: Any = ...,
        pin_memory: _bool = ...,
    ) -> Tensor:
        """Whole numbers in ``[low, high)``, int64 unless told; ``randint(high, size)`` begins at 0."""
    @staticmethod
    def randperm(
        n: _int,
        *,
        generator: Any = ...,
        out: Any = ...,
        dtype: Any = ...,
        device: Any = ...,
        requires_grad: _bool = ...,
        layout: Any = ...,
        pin_memory: _bool = ...,
    ) -> Tensor:
        """The numbers below `n` in random order; int64 unless told."""
    @staticmethod
    def normal(
        mean: Any,
        std: Any = ...,
        size: Any = ...,
        *,
        generator: Any = ...,
        out: Any = ...,
        dtype: Any = ...,
        device: Any = ...,
        requires_grad: _bool = ...,
        layout: Any = ...,
        pin_memory: _bool = ...,
    ) -> Tensor:
        """Normally distributed numbers: of `size`, or where `mean` or `std` are tensors, of the shape that these broadcast to."""
    @staticmethod
    def hann_window(
        window_length: _int,
        periodic: _bool = ...,
        *,
        layout: Any = ...,
        pin_memory: _bool = ...,
        **options: Any,
    ) -> Tensor:
        """Half of ``1 - cos``, of `window_length` elements."""
    @staticmethod
    def hamming_window(
        window_length: _int,
        periodic: _bool = ...,
        alpha: _float = ...,
        beta: _float = ...,
        *,
        layout: Any = ...,
        pin_memory: _bool = ...,
        **options: Any,
    ) -> Tensor:
        """``alpha - beta * cos``, of `window_length` elements."""
    @staticmethod
    def blackman_window(
        window_length: _int,
        periodic: _bool = ...,
        *,
        layout: Any = ...,
        pin_memory: _bool = ...,
        **options: Any,
    ) -> Tensor:
        """``0.42 - 0.5 * cos + 0.08 * cos`` of twice that, of `window_length` elements."""
    @staticmethod
    def bartlett_window(
        window_length: _int,
        periodic: _bool = ...,
        *,
        layout: Any = ...,
        pin_memory: _bool = ...,
        **options: Any,
    ) -> Tensor:
        """A triangle, of `window_length` elements."""
    @staticmethod
    def kaiser_window(
        window_length: _int,
        periodic: _bool = ...,
        beta: _float = ...,
        *,
        layout: Any = ...,
        pin_memory: _bool = ...,
        **options: Any,
    ) -> Tensor:
        """Kaiser's window, by Bessel functions of the shape parameter `beta`."""
    @staticmethod
    def from_numpy(source: Any) -> Tensor: ...
    @staticmethod
    def from_dlpack(source: Any) -> Tensor: ...
    @property
    def T(self) -> Tensor: ...
    @property
    def mT(self) -> Tensor: ...
    @property
    def is_cpu(self) -> _bool: ...
    @property
    def is_cuda(self) -> _bool: ...
    @property
    def is_ipu(self) -> _bool: ...
    @property
    def is_maia(self) -> _bool: ...
    @property
    def is_meta(self) -> _bool: ...
    @property
    def is_mkldnn(self) -> _bool: ...
    @property
    def is_mps(self) -> _bool: ...
    @property
    def is_mtia(self) -> _bool: ...
    @property
    def is_nested(self) -> _bool: ...
    @property
    def is_quantized(self) -> _bool: ...
    @property
    def is_sparse(self) -> _bool: ...
    @property
    def is_sparse_csr(self) -> _bool: ...
    @property
    def is_vulkan(self) -> _bool: ...
    @property
    def is_xla(self) -> _bool: ...
    @property
    def is_xpu(self) -> _bool: ...

class AminmaxResult(NamedTuple):
    min: Tensor
    max: Tensor

class CumulativeResult(NamedTuple):
    values: Tensor
    indices: Tensor

class FrexpResult(NamedTuple):
    mantissa: Tensor
    exponent: Tensor

class GeqrfResult(NamedTuple):
    a: Tensor
    tau: Tensor

class HistogramResult(NamedTuple):
    hist: Tensor
    bin_edges: Tensor

class KthvalueResult(NamedTuple):
    values: Tensor
    indices: Tensor

class LuUnpackResult(NamedTuple):
    P: Tensor
    L: Tensor
    U: Tensor

class MaxResult(NamedTuple):
    values: Tensor
    indices: Tensor

class MedianResult(NamedTuple):
    values: Tensor
    indices: Tensor

class MinResult(NamedTuple):
    values: Tensor
    indices: Tensor

class ModeResult(NamedTuple):
    values: Tensor
    indices: Tensor

class NanmedianResult(NamedTuple):
    values: Tensor
    indices: Tensor

class SortResult(NamedTuple):
    values: Tensor
    indices: Tensor

class SvdResult(NamedTuple):
    U: Tensor
    S: Tensor
    V: Tensor

class TopkResult(NamedTuple):
    values: Tensor
    indices: Tensor

def bind_all() -> None: ...
def tensor(
    data: Any,
    *,
    dtype: Any = ...,
    device: Any = ...,
    requires_grad: _bool = ...,
    layout: Any = ...,
    pin_memory: _bool = ...,
) -> Tensor:
    """A new tensor that holds a copy of `data`; ints give int64, floats the default floating type."""

CASTS: dict[str, DType]
