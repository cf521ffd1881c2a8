# Written by `python -m tools.stubs` from the registry of operations; do not edit.
# ruff: noqa
from builtins import bool as _bool
from builtins import float as _float
from builtins import int as _int
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, overload

import numpy as np

newaxis: None
__version__: str
__all__: list[str]

from collections.abc import Callable as Callable
from typing import Any as Any
from grad import (
    autograd as autograd,
    cuda as cuda,
    engine as engine,
    errors as errors,
    utils as utils,
)
from grad.autograd.anomaly import (
    is_anomaly_check_nan_enabled as is_anomaly_check_nan_enabled,
    is_anomaly_enabled as is_anomaly_enabled,
    set_anomaly_enabled as set_anomaly_enabled,
)
from grad.autograd.gradcheck import gradcheck as gradcheck, gradgradcheck as gradgradcheck
from grad.autograd.modes import (
    enable_grad as enable_grad,
    inference_mode as inference_mode,
    is_grad_enabled as is_grad_enabled,
    is_inference_mode_enabled as is_inference_mode_enabled,
    no_grad as no_grad,
    set_grad_enabled as set_grad_enabled,
)
from grad.buffer import (
    clear_buffer_cache as clear_buffer_cache,
    configure_buffer_pool as configure_buffer_pool,
    get_buffer_memory_stats as get_buffer_memory_stats,
)
from grad.compile import compile as compile
from grad.device import Device as Device
from grad.dtype import (
    ALL_DTYPES as ALL_DTYPES,
    DType as DType,
    default_dtype as default_dtype,
    dtypes as dtypes,
    promote_types as promote_types,
    set_default_dtype as set_default_dtype,
)
from grad.engine.threads import (
    get_num_threads as get_num_threads,
    set_num_threads as set_num_threads,
)
from grad.memory_format import MemoryFormat as _memory_format

memory_format = _memory_format
from grad.memory_format import MemoryLayout as _layout

layout = _layout
from grad.memory_format import (
    channels_last as channels_last,
    channels_last_3d as channels_last_3d,
    contiguous_format as contiguous_format,
    preserve_format as preserve_format,
    strided as strided,
)
from grad.ops.convert import to_dlpack as to_dlpack
from grad.ops.creators import CREATORS as CREATORS
from grad.ops.generator import (
    Generator as Generator,
    default_generator as default_generator,
    get_rng_state as get_rng_state,
    initial_seed as initial_seed,
    manual_seed as manual_seed,
    seed as seed,
    set_rng_state as set_rng_state,
)
from grad.ops.precision import (
    get_float32_convolution_precision as get_float32_convolution_precision,
    set_float32_convolution_precision as set_float32_convolution_precision,
)
from grad.ops.promotion import can_cast as can_cast, result_type as result_type
from grad.ops.registry import registry as registry
from grad.settings import settings as settings
from grad.switches import (
    are_deterministic_algorithms_enabled as are_deterministic_algorithms_enabled,
    get_default_device as get_default_device,
    get_deterministic_debug_mode as get_deterministic_debug_mode,
    get_float32_matmul_precision as get_float32_matmul_precision,
    get_num_interop_threads as get_num_interop_threads,
    is_deterministic_algorithms_warn_only_enabled as is_deterministic_algorithms_warn_only_enabled,
    is_warn_always_enabled as is_warn_always_enabled,
    set_default_device as set_default_device,
    set_deterministic_debug_mode as set_deterministic_debug_mode,
    set_float32_matmul_precision as set_float32_matmul_precision,
    set_flush_denormal as set_flush_denormal,
    set_num_interop_threads as set_num_interop_threads,
    set_warn_always as set_warn_always,
    use_deterministic_algorithms as use_deterministic_algorithms,
)
from grad.tensor import CASTS as CASTS, Tensor as Tensor
from grad.type_limits import finfo as finfo, iinfo as iinfo
from grad.utils.constants import e as e, inf as inf, nan as nan, pi as pi
from grad.utils.format import set_printoptions as set_printoptions
from grad.utils.size import Size as Size
from grad.version import VERSION as VERSION

device = Device
dtype = DType
get_default_dtype = default_dtype
bool = dtypes.bool
int8 = dtypes.int8
int16 = dtypes.int16
short = dtypes.int16
int32 = dtypes.int32
int = dtypes.int32
int64 = dtypes.int64
long = dtypes.int64
uint8 = dtypes.uint8
uint16 = dtypes.uint16
uint32 = dtypes.uint32
uint64 = dtypes.uint64
float16 = dtypes.float16
half = dtypes.float16
bfloat16 = dtypes.bfloat16
float32 = dtypes.float32
float = dtypes.float32
float64 = dtypes.float64
double = dtypes.float64

def is_tensor(value: Any) -> Any:
    """Whether `value` is a Tensor."""

def is_floating_point(input: Tensor) -> Any:
    """Whether the elements of `input` are floating."""

def is_complex(input: Tensor) -> Any:
    """Whether the elements of `input` are complex: no."""

def numel(input: Tensor) -> Any:
    """The number of elements of `input`."""

def is_nonzero(input: Tensor) -> Any:
    """Whether the one element of `input` is nonzero, as a Python bool."""

def detach(input: Tensor) -> Tensor:
    """The same memory, outside the graph."""

from grad.former_names import BFloat16Tensor as BFloat16Tensor
from grad.former_names import BoolTensor as BoolTensor
from grad.former_names import ByteTensor as ByteTensor
from grad.former_names import CharTensor as CharTensor
from grad.former_names import DoubleTensor as DoubleTensor
from grad.former_names import FloatTensor as FloatTensor
from grad.amp import GradScaler as GradScaler
from grad.former_names import HalfTensor as HalfTensor
from grad.former_names import IntTensor as IntTensor
from grad.former_names import LongTensor as LongTensor
from grad.former_names import ShortTensor as ShortTensor
from grad import amp as amp
from grad.amp import autocast as autocast
from grad import distributions as distributions
from grad.drawing import draw as draw
from grad import drawing as drawing
from grad.profiler import explain as explain
from grad import func as func
from grad.amp import get_autocast_dtype as get_autocast_dtype
from grad import io as io
from grad.amp import is_autocast_available as is_autocast_available
from grad.amp import is_autocast_enabled as is_autocast_enabled
from grad import linalg as linalg
from grad.io import load as load
from grad import nn as nn
from grad import optim as optim
from grad import profiler as profiler
from grad import random as random
from grad.former_names import range as range
from grad.io import save as save
from grad import serialization as serialization
from grad.former_names import set_default_tensor_type as set_default_tensor_type
from grad import special as special
from grad import testing as testing
from grad.func import vmap as vmap
from grad.tensor import (
    AminmaxResult,
    CumulativeResult,
    FrexpResult,
    GeqrfResult,
    HistogramResult,
    KthvalueResult,
    LuUnpackResult,
    MaxResult,
    MedianResult,
    MinResult,
    ModeResult,
    NanmedianResult,
    SortResult,
    SvdResult,
    TopkResult,
)

def from_numpy(source: Any) -> Tensor: ...
def from_dlpack(source: Any) -> Tensor: ...
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

def as_tensor(
    data: Any, dtype: Any = ..., device: Any = ..., *, layout: Any = ..., pin_memory: _bool = ...
) -> Tensor:
    """`data` itself if it is such a tensor; memory shared with a NumPy array; else a copy."""

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

def scalar_tensor(
    value: Any, *, layout: Any = ..., pin_memory: _bool = ..., **options: Any
) -> Tensor:
    """A tensor without dimensions, of the default floating type."""

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

def hann_window(
    window_length: _int,
    periodic: _bool = ...,
    *,
    layout: Any = ...,
    pin_memory: _bool = ...,
    **options: Any,
) -> Tensor:
    """Half of ``1 - cos``, of `window_length` elements."""

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

def blackman_window(
    window_length: _int,
    periodic: _bool = ...,
    *,
    layout: Any = ...,
    pin_memory: _bool = ...,
    **options: Any,
) -> Tensor:
    """``0.42 - 0.5 * cos + 0.08 * cos`` of twice that, of `window_length` elements."""

def bartlett_window(
    window_length: _int,
    periodic: _bool = ...,
    *,
    layout: Any = ...,
    pin_memory: _bool = ...,
    **options: Any,
) -> Tensor:
    """A triangle, of `window_length` elements."""

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

def where(condition: Any, input: Any = ..., other: Any = ...) -> Tensor:
    """`input` where the bool tensor `condition` is true, `other` elsewhere; all three broadcast."""

def masked_fill(x: Any, mask: Any, value: Any) -> Tensor:
    """x with `value` (a number or a 0-dimensional tensor) where the bool tensor `mask` is true; x's type stays."""

def clamp(x: Any, min: Any = ..., max: Any = ...) -> Tensor:
    """x limited to ``[min, max]``, each a number, a tensor or None; `max` wins where they cross; NaN stays."""

def clip(x: Any, min: Any = ..., max: Any = ...) -> Tensor:
    """x limited to ``[min, max]``, each a number, a tensor or None; `max` wins where they cross; NaN stays."""

def clamp_min(x: Any, min: Any) -> Tensor:
    """x, but at least `min`."""

def clamp_max(x: Any, max: Any) -> Tensor:
    """x, but at most `max`."""

def tril(x: Any, diagonal: _int = ...) -> Tensor:
    """The elements on and below the given diagonal, zeros above."""

def triu(x: Any, diagonal: _int = ...) -> Tensor:
    """The elements on and above the given diagonal, zeros below."""

def relu(x: Any) -> Tensor:
    """``max(x, 0)``, with derivative 0 at 0."""

def gelu(x: Any, *, approximate: str = ...) -> Tensor:
    """``x * Phi(x)``, Phi being the normal distribution; ``approximate="tanh"`` is the formula with tanh."""

def silu(x: Any) -> Tensor:
    """``x * sigmoid(x)``."""

def swish(x: Any) -> Tensor:
    """``x * sigmoid(x)``."""

def softplus(x: Any, beta: _float = ..., threshold: _float = ...) -> Tensor:
    """``log(1 + exp(beta * x)) / beta``, and x itself where ``beta * x > threshold``."""

def leaky_relu(x: Any, negative_slope: _float = ...) -> Tensor:
    """x where it is positive, ``negative_slope * x`` elsewhere."""

def elu(x: Any, alpha: _float = ...) -> Tensor:
    """x where it is positive, ``alpha * (exp(x) - 1)`` elsewhere."""

def celu(x: Any, alpha: _float = ...) -> Tensor:
    """x where it is positive, ``alpha * (exp(x / alpha) - 1)`` elsewhere."""

def logsigmoid(x: Any) -> Tensor:
    """``log(sigmoid(x))``, without underflow."""

def softsign(x: Any) -> Tensor:
    """``x / (1 + |x|)``."""

def mish(x: Any) -> Tensor:
    """``x * tanh(softplus(x))``."""

def selu(x: Any) -> Tensor:
    """`elu` with the scale and alpha that keep mean 0 and variance 1."""

def glu(x: Any, dim: _int = ..., **numpy_names: Any) -> Tensor:
    """The first half of x along `dim` times the sigmoid of the second."""

def add(x: Any, y: Any, *, alpha: _float = ...) -> Tensor:
    """Sum ``x + alpha * y``; of two bool tensors, their logical or."""

def sub(x: Any, y: Any, *, alpha: _float = ...) -> Tensor:
    """Difference ``x - alpha * y``. For masks use ``^`` or ``~``: bool tensors are refused, as in PyTorch."""

def subtract(x: Any, y: Any, *, alpha: _float = ...) -> Tensor:
    """Difference ``x - alpha * y``. For masks use ``^`` or ``~``: bool tensors are refused, as in PyTorch."""

def mul(x: Any, y: Any) -> Tensor:
    """Product; of two bool tensors, their logical and."""

def multiply(x: Any, y: Any) -> Tensor:
    """Product; of two bool tensors, their logical and."""

def rsub(x: Any, y: Any, *, alpha: _float = ...) -> Tensor:
    """Difference ``y - alpha * x``: `sub` with its operands exchanged."""

def div(x: Any, y: Any, *, rounding_mode: str | None = ...) -> Tensor:
    """Quotient, floating also for integers; ``rounding_mode="floor"`` or ``"trunc"`` rounds and keeps the type."""

def divide(x: Any, y: Any, *, rounding_mode: str | None = ...) -> Tensor:
    """Quotient, floating also for integers; ``rounding_mode="floor"`` or ``"trunc"`` rounds and keeps the type."""

def true_divide(x: Any, y: Any, *, rounding_mode: str | None = ...) -> Tensor:
    """Quotient, floating also for integers; ``rounding_mode="floor"`` or ``"trunc"`` rounds and keeps the type."""

def floor_divide(x: Any, y: Any) -> Tensor:
    """Quotient rounded down. An integer divided by zero is 0, as in NumPy. Has no gradient, as in PyTorch."""

def remainder(x: Any, y: Any) -> Tensor:
    """Remainder with the sign of the divisor, Python's ``%``. An integer modulo zero is 0, as in NumPy."""

def fmod(x: Any, y: Any) -> Tensor:
    """Remainder with the sign of the dividend, C's ``fmod``."""

def atan2(x: Any, other: Any) -> Tensor:
    """Angle of the point ``(other, x)`` from the first axis, in (-pi, pi]; x is its height."""

def arctan2(x: Any, other: Any) -> Tensor:
    """Angle of the point ``(other, x)`` from the first axis, in (-pi, pi]; x is its height."""

def reshape(x: Any, *shape: Any) -> Tensor:
    """The same values in another shape; a view where that can be, else a copy."""

def flatten(x: Any, start_dim: _int = ..., end_dim: _int = ...) -> Tensor:
    """Axes `start_dim` to `end_dim` made one; a number becomes one element."""

def unflatten(x: Any, dim: _int, sizes: Any, **numpy_names: Any) -> Tensor:
    """Axis `dim` split into `sizes`, one of which may be -1."""

def squeeze(x: Any, *dim: Any, **numpy_names: Any) -> Tensor:
    """Axes of size 1 left out: all of them, or those named (others stay)."""

def unsqueeze(x: Any, dim: _int, **numpy_names: Any) -> Tensor:
    """A new axis of size 1 at `dim`."""

def broadcast_to(x: Any, *shape: Any) -> Tensor:
    """`x` expanded to `shape`."""

def clone(x: Any, memory_format: Any = ...) -> Tensor:
    """A copy with memory of its own; the gradient goes through."""

def sum_to_size(x: Any, *size: Any) -> Tensor:
    """`x` summed over what broadcasting to its shape would have repeated: of the given sizes."""

def is_same_size(x: Any, other: Any) -> _bool:
    """Whether `x` and `other` have one shape."""

def broadcast_shapes(*shapes: Any) -> Tensor:
    """The shape that all shapes (tuples, or ints for one axis) broadcast to."""

def broadcast_tensors(*tensors: Any) -> Tensor:
    """All tensors expanded to their common shape."""

def cat(tensors: Sequence[Any], dim: _int = ..., **numpy_names: Any) -> Tensor:
    """Tensors side by side along an axis that exists: ``cat((x, y), dim=0)``."""

def concat(tensors: Sequence[Any], dim: _int = ..., **numpy_names: Any) -> Tensor:
    """Tensors side by side along an axis that exists: ``cat((x, y), dim=0)``."""

def concatenate(tensors: Sequence[Any], dim: _int = ..., **numpy_names: Any) -> Tensor:
    """Tensors side by side along an axis that exists: ``cat((x, y), dim=0)``."""

def stack(tensors: Sequence[Any], dim: _int = ..., **numpy_names: Any) -> Tensor:
    """Tensors of one shape along a new axis."""

def split(
    x: Any, split_size: _int | Sequence[_int], dim: _int = ..., **numpy_names: Any
) -> tuple[Tensor, ...]:
    """Views of `split_size` elements each along `dim`, the last maybe fewer, or of given sizes."""

def unsafe_split(
    x: Any, split_size: _int | Sequence[_int], dim: _int = ..., **numpy_names: Any
) -> tuple[Tensor, ...]:
    """Views of `split_size` elements each along `dim`, the last maybe fewer, or of given sizes."""

def chunk(x: Any, chunks: _int, dim: _int = ..., **numpy_names: Any) -> tuple[Tensor, ...]:
    """`chunks` views along `dim`, equal but for the last."""

def unsafe_chunk(x: Any, chunks: _int, dim: _int = ..., **numpy_names: Any) -> tuple[Tensor, ...]:
    """`chunks` views along `dim`, equal but for the last."""

def unbind(x: Any, dim: _int = ..., **numpy_names: Any) -> tuple[Tensor, ...]:
    """A view for each position along `dim`."""

def tile(x: Any, *dims: Any) -> Tensor:
    """As `repeat`; where there are fewer `dims` than axes, they count from the last."""

def roll(x: Any, shifts: Any, dims: Any = ...) -> Tensor:
    """Elements moved along `dims` by `shifts`, those that fall off coming in at the other end."""

def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = ...,
    dropout_p: _float = ...,
    is_causal: _bool = ...,
    scale: _float | None = ...,
    enable_gqa: _bool = ...,
) -> Tensor:
    """``softmax(query @ key.mT * scale + mask) @ value`` over the last two axes."""

def pad(x: Any, pad: Any, mode: str = ..., value: _float | None = ...) -> Tensor:
    """x with elements put before and after its last axes."""

def sum(
    x: Any, dim: Any = ..., keepdim: _bool = ..., *, dtype: Any = ..., **numpy_names: Any
) -> Tensor:
    """Sum over `dim` (an axis, several, or all); integers and bool are summed in int64."""

def mean(
    x: Any, dim: Any = ..., keepdim: _bool = ..., *, dtype: Any = ..., **numpy_names: Any
) -> Tensor:
    """Mean over `dim`, of floating tensors; NaN where there is nothing to average."""

def prod(
    x: Any, dim: Any = ..., keepdim: _bool = ..., *, dtype: Any = ..., **numpy_names: Any
) -> Tensor:
    """Product over `dim`; integers and bool are multiplied in int64. Its gradient is exact where elements are 0."""

def any(x: Any, dim: Any = ..., keepdim: _bool = ..., **numpy_names: Any) -> Tensor:
    """Whether any element over `dim` is nonzero; of nothing, False."""

def all(x: Any, dim: Any = ..., keepdim: _bool = ..., **numpy_names: Any) -> Tensor:
    """Whether all elements over `dim` are nonzero; of nothing, True."""

def count_nonzero(x: Any, dim: Any = ..., **numpy_names: Any) -> Tensor:
    """How many elements over `dim` are nonzero."""

def i0(x: Any, *settings: Any) -> Tensor:
    """Modified Bessel function of the first kind of order 0."""

def addcmul(x: Any, tensor1: Any, tensor2: Any, *, value: _float = ...) -> Tensor:
    """``x + value * tensor1 * tensor2``."""

def addcdiv(x: Any, tensor1: Any, tensor2: Any, *, value: _float = ...) -> Tensor:
    """``x + value * tensor1 / tensor2``, of floating tensors."""

def lerp(start: Any, end: Any, weight: Any) -> Tensor:
    """Linear interpolation ``start + weight * (end - start)``, exactly `end` at weight 1."""

def matmul(x: Any, y: Any) -> Tensor:
    """Matrix product of 1-D to n-D tensors; leading axes broadcast."""

def mm(x: Any, mat2: Any) -> Tensor:
    """Product of two matrices."""

def _int_mm(x: Any, mat2: Any) -> Tensor:
    """Product of two int8 matrices with sums in int32, which is the result's type."""

def bmm(x: Any, mat2: Any) -> Tensor:
    """Products of two batches of matrices of equal size, which do not broadcast."""

def mv(x: Any, vec: Any) -> Tensor:
    """Product of a matrix and a vector."""

def dot(x: Any, tensor: Any) -> Tensor:
    """Inner product of two vectors."""

def vdot(x: Any, tensor: Any) -> Tensor:
    """Inner product of two vectors."""

def outer(x: Any, vec2: Any) -> Tensor:
    """All products of two vectors: ``out[i, j] = x[i] * vec2[j]``."""

def ger(x: Any, vec2: Any) -> Tensor:
    """All products of two vectors: ``out[i, j] = x[i] * vec2[j]``."""

def linear(x: Any, weight: Any, bias: Any = ...) -> Tensor:
    """``x @ weight.T + bias``."""

def chain_matmul(*matrices: Any) -> Tensor:
    """The product of any number of matrices, in the order with the fewest multiplications."""

def matrix_power(x: Any, n: _int) -> Tensor:
    """Square matrices times themselves, `n` factors in all; of the inverses for negative `n`."""

def relu6(x: Any) -> Tensor:
    """``min(max(x, 0), 6)``."""

def hardtanh(x: Any, min_val: _float = ..., max_val: _float = ...) -> Tensor:
    """x limited to ``[min_val, max_val]``; of integers, to these without their fractions."""

def hardsigmoid(x: Any) -> Tensor:
    """``x / 6 + 1 / 2`` limited to ``[0, 1]``."""

def hardswish(x: Any) -> Tensor:
    """``x * hardsigmoid(x)``."""

def eq(x: Any, y: Any) -> Tensor:
    """Whether ``x == y``, for each element."""

def ne(x: Any, y: Any) -> Tensor:
    """Whether ``x != y``, for each element; true of NaN."""

def not_equal(x: Any, y: Any) -> Tensor:
    """Whether ``x != y``, for each element; true of NaN."""

def lt(x: Any, y: Any) -> Tensor:
    """Whether ``x < y``, for each element."""

def less(x: Any, y: Any) -> Tensor:
    """Whether ``x < y``, for each element."""

def le(x: Any, y: Any) -> Tensor:
    """Whether ``x <= y``, for each element."""

def less_equal(x: Any, y: Any) -> Tensor:
    """Whether ``x <= y``, for each element."""

def gt(x: Any, y: Any) -> Tensor:
    """Whether ``x > y``, for each element."""

def greater(x: Any, y: Any) -> Tensor:
    """Whether ``x > y``, for each element."""

def ge(x: Any, y: Any) -> Tensor:
    """Whether ``x >= y``, for each element."""

def greater_equal(x: Any, y: Any) -> Tensor:
    """Whether ``x >= y``, for each element."""

def maximum(x: Any, y: Any) -> Tensor:
    """The larger of two elements; NaN if either is. Equal elements share the gradient."""

def minimum(x: Any, y: Any) -> Tensor:
    """The smaller of two elements; NaN if either is. Equal elements share the gradient."""

def fmax(x: Any, y: Any) -> Tensor:
    """The larger of two elements; of NaN and a number the number."""

def fmin(x: Any, y: Any) -> Tensor:
    """The smaller of two elements; of NaN and a number the number."""

def heaviside(x: Any, values: Any) -> Tensor:
    """0 where x is negative (or NaN), 1 where it is positive, and `values` where it is 0."""

def isclose(
    x: Any, y: Any, rtol: _float = ..., atol: _float = ..., equal_nan: _bool = ...
) -> Tensor:
    """Whether ``|x - y| <= atol + rtol * |y|``; equal infinities are close, NaN only with `equal_nan`."""

def allclose(
    x: Any, y: Any, rtol: _float = ..., atol: _float = ..., equal_nan: _bool = ...
) -> _bool:
    """Whether all elements are close (see `isclose`), as a Python bool."""

def equal(x: Any, y: Any) -> _bool:
    """Whether two tensors have the same shape and elements, as a Python bool."""

def fill(x: Any, value: Any) -> Tensor:
    """A tensor like `x` with one number (or the 0-dimensional tensor `value`) everywhere."""

def diagonal(x: Any, offset: _int = ..., dim1: _int = ..., dim2: _int = ...) -> Tensor:
    """The elements of axes `dim1` and `dim2` at which their positions differ by `offset`: a view."""

def diag_embed(x: Any, offset: _int = ..., dim1: _int = ..., dim2: _int = ...) -> Tensor:
    """Matrices with the last axis of `x` on the diagonal `offset` and zeros elsewhere."""

def diag(x: Any, diagonal: _int = ...) -> Tensor:
    """A vector as a square matrix with it on a diagonal; the diagonal of a matrix as a vector."""

def diagflat(x: Any, offset: _int = ...) -> Tensor:
    """A square matrix with all elements of `x` on a diagonal."""

def diagonal_scatter(
    x: Any, src: Any, offset: _int = ..., dim1: _int = ..., dim2: _int = ...
) -> Tensor:
    """A copy of `x` with `src` on a diagonal; see `diagonal` for its shape."""

def einsum(equation: Any, *operands: Any) -> Tensor:
    """Sum of products by an equation, such as ``"ij,jk->ik"`` for a matrix product."""

def conv1d(
    x: Any,
    weight: Any,
    bias: Any = ...,
    stride: Any = ...,
    padding: Any = ...,
    dilation: Any = ...,
    groups: _int = ...,
) -> Tensor:
    """Cross-correlation of an image with filters, as networks call convolution."""

def conv2d(
    x: Any,
    weight: Any,
    bias: Any = ...,
    stride: Any = ...,
    padding: Any = ...,
    dilation: Any = ...,
    groups: _int = ...,
) -> Tensor:
    """Cross-correlation over the last 2 axes of ``(N, C, H, W)``; see `conv1d`."""

def conv3d(
    x: Any,
    weight: Any,
    bias: Any = ...,
    stride: Any = ...,
    padding: Any = ...,
    dilation: Any = ...,
    groups: _int = ...,
) -> Tensor:
    """Cross-correlation over the last 3 axes of ``(N, C, D, H, W)``; see `conv1d`."""

def conv_transpose1d(
    x: Any,
    weight: Any,
    bias: Any = ...,
    stride: Any = ...,
    padding: Any = ...,
    output_padding: Any = ...,
    groups: _int = ...,
    dilation: Any = ...,
) -> Tensor:
    """The transpose of `conv1d` as a linear map: its gradient, used as an operation."""

def conv_transpose2d(
    x: Any,
    weight: Any,
    bias: Any = ...,
    stride: Any = ...,
    padding: Any = ...,
    output_padding: Any = ...,
    groups: _int = ...,
    dilation: Any = ...,
) -> Tensor:
    """The transpose of `conv2d`, over the last 2 axes of ``(N, C, H, W)``; see `conv_transpose1d`."""

def conv_transpose3d(
    x: Any,
    weight: Any,
    bias: Any = ...,
    stride: Any = ...,
    padding: Any = ...,
    output_padding: Any = ...,
    groups: _int = ...,
    dilation: Any = ...,
) -> Tensor:
    """The transpose of `conv3d`, over the last 3 axes of ``(N, C, D, H, W)``; see `conv_transpose1d`."""

def searchsorted(
    sorted_sequence: Any,
    input: Any,
    *,
    out_int32: _bool = ...,
    right: _bool = ...,
    side: str | None = ...,
    sorter: Any = ...,
) -> Tensor:
    """For each value the position in `sorted_sequence` before which it belongs."""

def bucketize(input: Any, boundaries: Any, *, out_int32: _bool = ..., right: _bool = ...) -> Tensor:
    """For each element of `input` the number of the bucket it is in, of those between `boundaries`."""

def isin(
    elements: Any, test_elements: Any, *, assume_unique: _bool = ..., invert: _bool = ...
) -> Tensor:
    """Whether each element is among `test_elements`, or is not if `invert`. NaN never is."""

def bincount(input: Any, weights: Any = ..., minlength: _int = ...) -> Tensor:
    """How often each whole number from 0 to the largest (or to ``minlength - 1``) occurs in a vector, or the sums of `weights` at its places. Computes `input`."""

def histc(input: Any, bins: _int = ..., min: _float = ..., max: _float = ...) -> Tensor:
    """How many elements fall into each of `bins` equal parts of the range from `min` to `max`."""

def histogram(
    input: Any, bins: Any, *, range: Any = ..., weight: Any = ..., density: _bool = ...
) -> HistogramResult:
    """The sums of `weight` (or counts) of the elements in each bin, and the edges of the bins."""

def unique(
    input: Any,
    sorted: _bool = ...,
    return_inverse: _bool = ...,
    return_counts: _bool = ...,
    dim: _int | None = ...,
    **numpy_names: Any,
) -> Any:
    """The different elements of `input`, or its different slices along `dim`, in order; computes it."""

def unique_consecutive(
    input: Any,
    return_inverse: _bool = ...,
    return_counts: _bool = ...,
    dim: _int | None = ...,
    **numpy_names: Any,
) -> Any:
    """`input` without the elements that repeat the one before, or without such slices along `dim`; computes it."""

def cov(x: Any, *, correction: _int = ..., fweights: Any = ..., aweights: Any = ...) -> Tensor:
    """The covariances of variables, the rows of x, over observations, its columns."""

def corrcoef(x: Any) -> Tensor:
    """The correlation coefficients of variables, the rows of x: covariances divided by both standard deviations, from -1 to 1."""

def ctc_loss(
    log_probs: Any,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    blank: _int = ...,
    reduction: str | _int = ...,
    zero_infinity: _bool = ...,
) -> Tensor:
    """Minus the log-probability of the labels `targets` for a time series of log-probabilities."""

def var(
    x: Any,
    dim: Any = ...,
    unbiased: _bool | None = ...,
    keepdim: _bool = ...,
    *,
    correction: _float | None = ...,
    **numpy_names: Any,
) -> Tensor:
    """Variance over `dim`: squared differences from the mean, summed, by ``count - correction``."""

def std(
    x: Any,
    dim: Any = ...,
    unbiased: _bool | None = ...,
    keepdim: _bool = ...,
    *,
    correction: _float | None = ...,
    **numpy_names: Any,
) -> Tensor:
    """Standard deviation over `dim`, the square root of `var`; its gradient is 0 where it is 0."""

def var_mean(
    x: Any,
    dim: Any = ...,
    unbiased: _bool | None = ...,
    keepdim: _bool = ...,
    *,
    correction: Any = ...,
    **numpy_names: Any,
) -> tuple[Tensor, ...]:
    """The pair of `var` and `mean` over `dim`."""

def std_mean(
    x: Any,
    dim: Any = ...,
    unbiased: _bool | None = ...,
    keepdim: _bool = ...,
    *,
    correction: Any = ...,
    **numpy_names: Any,
) -> tuple[Tensor, ...]:
    """The pair of `std` and `mean` over `dim`."""

def diff(
    x: Any,
    n: _int = ...,
    dim: _int = ...,
    prepend: Any = ...,
    append: Any = ...,
    **numpy_names: Any,
) -> Tensor:
    """Each element less the one before it along `dim`, `n` times over; bool: whether they differ."""

def trapezoid(
    y: Any, x: Any = ..., *, dx: _float = ..., dim: _int = ..., **numpy_names: Any
) -> Tensor:
    """The integral along `dim` by the trapezoidal rule, of samples at `x`, or `dx` apart."""

def trapz(y: Any, x: Any = ..., *, dx: _float = ..., dim: _int = ..., **numpy_names: Any) -> Tensor:
    """The integral along `dim` by the trapezoidal rule, of samples at `x`, or `dx` apart."""

def cumulative_trapezoid(
    y: Any, x: Any = ..., *, dx: _float = ..., dim: _int = ..., **numpy_names: Any
) -> Tensor:
    """The integrals up to each sample but the first; see `trapezoid`."""

def norm(
    x: Any,
    p: Any = ...,
    dim: Any = ...,
    keepdim: _bool = ...,
    *,
    dtype: Any = ...,
    **numpy_names: Any,
) -> Tensor:
    """Vector norm ``sum(|x| ** p) ** (1 / p)`` over `dim`; `p` may be infinite, 0 (counts nonzeros), "fro" (2) or "nuc" (the sum of singular values, of two axes)."""

def renorm(x: Any, p: _float, dim: _int, maxnorm: _float, **numpy_names: Any) -> Tensor:
    """`x` with each part along `dim` scaled so that its p-norm is `maxnorm` at most."""

def dist(x: Any, other: Any, p: _float = ...) -> Tensor:
    """The p-norm of ``x - other``, one number."""

def pairwise_distance(
    x1: Any, x2: Any, p: _float = ..., eps: _float = ..., keepdim: _bool = ..., **numpy_names: Any
) -> Tensor:
    """The p-norm of ``x1 - x2 + eps`` along the last axis."""

def cosine_similarity(
    x1: Any, x2: Any, dim: _int = ..., eps: _float = ..., **numpy_names: Any
) -> Tensor:
    """``sum(x1 * x2) / (|x1| * |x2|)`` along `dim`, of lengths that count as `eps` at least."""

def cdist(x1: Any, x2: Any, p: _float = ..., compute_mode: str = ...) -> Tensor:
    """The p-norm of the differences of each vector of x1 to each of x2."""

def pdist(x: Any, p: _float = ...) -> Tensor:
    """The p-norms of the differences of all pairs of rows i < j, ordered by i, then j."""

def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = ...) -> Tensor:
    """``x1 @ weight[o] @ x2 + bias[o]`` for each o."""

def dropout(input: Any, p: _float, train: _bool) -> Tensor:
    """Each element zero with probability `p`, the others times ``1 / (1 - p)``; if `train`."""

def dropout_(input: Any, p: _float, train: _bool) -> Tensor:
    """`dropout` in place."""

def feature_dropout(input: Any, p: _float, train: _bool) -> Tensor:
    """`dropout` of whole channels of ``(N, C, ...)``; if `train`."""

def feature_dropout_(input: Any, p: _float, train: _bool) -> Tensor:
    """`feature_dropout` in place."""

def alpha_dropout(input: Any, p: _float, train: _bool) -> Tensor:
    """`dropout` that keeps mean 0 and variance 1, for `selu`; if `train`."""

def alpha_dropout_(input: Any, p: _float, train: _bool) -> Tensor:
    """`alpha_dropout` in place."""

def feature_alpha_dropout(input: Any, p: _float, train: _bool) -> Tensor:
    """`alpha_dropout` of whole channels of ``(N, C, ...)``; if `train`."""

def feature_alpha_dropout_(input: Any, p: _float, train: _bool) -> Tensor:
    """`feature_alpha_dropout` in place."""

def native_dropout(input: Any, p: _float, train: _bool | None) -> tuple[Tensor, ...]:
    """`dropout`, and the mask of what was kept."""

def xlogy(x: Any, y: Any) -> Tensor:
    """``x * log(y)``, and 0 where x is 0 unless y is NaN."""

def erfinv(x: Any, *settings: Any) -> Tensor:
    """Inverse of `erf`; infinite at 1 and -1, NaN outside."""

def amax(x: Any, dim: Any = ..., keepdim: _bool = ..., **numpy_names: Any) -> Tensor:
    """The largest elements over `dim`; equal ones share the gradient."""

def amin(x: Any, dim: Any = ..., keepdim: _bool = ..., **numpy_names: Any) -> Tensor:
    """The smallest elements over `dim`; equal ones share the gradient."""

def argmax(x: Any, dim: _int | None = ..., keepdim: _bool = ..., **numpy_names: Any) -> Tensor:
    """Index of the largest element along `dim` (in the flattened tensor without it); the first of equals."""

def argmin(x: Any, dim: _int | None = ..., keepdim: _bool = ..., **numpy_names: Any) -> Tensor:
    """Index of the smallest element along `dim` (in the flattened tensor without it); the first of equals."""

@overload
def max(input: Tensor, dim: _int, keepdim: _bool = ...) -> MaxResult:
    """The largest element; with `dim`, ``(values, indices)`` along it; with another tensor, `maximum` of both."""

@overload
def max(input: Tensor, *, axis: _int, keepdims: _bool = ...) -> MaxResult:
    """The largest element; with `dim`, ``(values, indices)`` along it; with another tensor, `maximum` of both."""

@overload
def max(input: Tensor, other: Tensor = ..., /) -> Tensor:
    """The largest element; with `dim`, ``(values, indices)`` along it; with another tensor, `maximum` of both."""

@overload
def min(input: Tensor, dim: _int, keepdim: _bool = ...) -> MinResult:
    """The smallest element; with `dim`, ``(values, indices)`` along it; with another tensor, `minimum` of both."""

@overload
def min(input: Tensor, *, axis: _int, keepdims: _bool = ...) -> MinResult:
    """The smallest element; with `dim`, ``(values, indices)`` along it; with another tensor, `minimum` of both."""

@overload
def min(input: Tensor, other: Tensor = ..., /) -> Tensor:
    """The smallest element; with `dim`, ``(values, indices)`` along it; with another tensor, `minimum` of both."""

def aminmax(
    x: Any, *, dim: _int | None = ..., keepdim: _bool = ..., **numpy_names: Any
) -> AminmaxResult:
    """The smallest and the largest element, of all or along `dim`."""

def is_signed(x: Any) -> _bool:
    """Whether the type of `x` has negative numbers."""

def is_conj(x: Any) -> _bool:
    """Whether `x` is a conjugate that is still to be made: no, all numbers being real."""

def is_neg(x: Any) -> _bool:
    """Whether `x` is a negative that is still to be made: no."""

def is_inference(x: Any) -> _bool:
    """Whether `x` can never be recorded: no, tensors made in inference mode are as any others."""

def is_distributed(x: Any) -> _bool:
    """Whether `x` is spread over several machines: no."""

def get_device(x: Any) -> _int:
    """The number of the CUDA device that `x` is on; -1 for the CPU."""

def typename(obj: Any) -> Tensor:
    """The name of the type of any object; of tensors with their element type."""

def nonzero_static(x: Any, *, size: _int, fill_value: _int = ...) -> Tensor:
    """As `nonzero`, cut or filled up with `fill_value` to `size` rows."""

def index_put_(x: Any, indices: Sequence[Any], values: Any, accumulate: _bool = ...) -> Tensor:
    """Write `values` at the positions of the tensors `indices`; add them with `accumulate`."""

def index_put(x: Any, indices: Sequence[Any], values: Any, accumulate: _bool = ...) -> Tensor:
    """A copy of `x` with `values` written to, or added at, the positions of `indices`."""

def select(x: Any, dim: _int, index: _int, **numpy_names: Any) -> Tensor:
    """The view at one position of axis `dim`, which disappears."""

def nonzero(x: Any, as_tuple: _bool = ...) -> Tensor:
    """The positions of all elements that are not zero, one row each; computes `x`."""

def argwhere(x: Any) -> Tensor:
    """The positions of all elements that are not zero, one row each; as `nonzero`."""

def masked_select(x: Any, mask: Any) -> Tensor:
    """The elements of `x` where `mask` holds, as a vector."""

def take(x: Any, index: Any) -> Tensor:
    """The elements of `x`, seen as a vector, at the positions `index`, in the shape of `index`."""

def put(x: Any, index: Any, source: Any, accumulate: _bool = ...) -> Tensor:
    """`x`, seen as a vector, with the elements of `source` written to the positions `index`, or added there with `accumulate`."""

def masked_scatter(x: Any, mask: Any, source: Any) -> Tensor:
    """`x` with the elements of `source`, in their order, where `mask` holds."""

def unravel_index(indices: Any, shape: Sequence[_int]) -> tuple[Tensor, ...]:
    """The positions, one tensor for each axis of `shape`, of elements with row-major numbers."""

def copysign(x: Any, other: Any) -> Tensor:
    """The size of x with the sign of `other`, also that of -0.0."""

def nextafter(x: Any, other: Any) -> Tensor:
    """The next number after x in the direction of `other`; `other` where they are equal."""

def ldexp(x: Any, other: Any) -> Tensor:
    """``x * 2 ** other``. With an integer `other` it keeps the type of a floating x, and the power may be out of range where the product is not."""

def frexp(x: Any) -> FrexpResult:
    """x as ``mantissa * 2 ** exponent``, with the mantissa's size in [1/2, 1)."""

def lgamma(x: Any, *settings: Any) -> Tensor:
    """Natural logarithm of the absolute value of the gamma function; infinite at 0, -1, -2 ..."""

def digamma(x: Any, *settings: Any) -> Tensor:
    """Derivative of `lgamma`; NaN at -1, -2 ..., infinite at 0."""

def polygamma(n: _int, input: Any) -> Tensor:
    """The n-th derivative of `digamma`, for each element; n is a whole number from 0 on."""

def mvlgamma(x: Any, p: _int) -> Tensor:
    """Logarithm of the multivariate gamma function of dimension `p`, for each element."""

def gather(
    x: Any, dim: _int, index: Any, *, sparse_grad: _bool = ..., **numpy_names: Any
) -> Tensor:
    """``out[i][j] = x[index[i][j]][j]`` for ``dim=0``: elements of x chosen along `dim`."""

def scatter(
    x: Any,
    dim: _int,
    index: Any,
    src: Any = ...,
    *,
    reduce: str | None = ...,
    value: Any = ...,
    **numpy_names: Any,
) -> Tensor:
    """x with ``x[index[i][j]][j] = src[i][j]`` for ``dim=0``; `src` is a tensor or a number."""

def scatter_add(x: Any, dim: _int, index: Any, src: Any, **numpy_names: Any) -> Tensor:
    """x with ``x[index[i][j]][j] += src[i][j]`` for ``dim=0``; the order of additions is always the same."""

def index_fill(x: Any, dim: _int, index: Any, value: Any, **numpy_names: Any) -> Tensor:
    """x with `value`, a number or a 0-dimensional tensor, at ``x[index]`` for ``dim=0``; index has one dimension, and negative numbers in it count from the end."""

def index_copy(x: Any, dim: _int, index: Any, source: Any, **numpy_names: Any) -> Tensor:
    """x with ``x[index[i]] = source[i]`` for ``dim=0``; index has one dimension."""

def index_select(x: Any, dim: _int, index: Any, **numpy_names: Any) -> Tensor:
    """``x[index]`` for ``dim=0``: whole slices of x along `dim`; index has one dimension."""

def take_along_dim(x: Any, indices: Any, dim: _int | None = ..., **numpy_names: Any) -> Tensor:
    """`gather`, but the other axes of x and the index broadcast, and negative numbers count from the end; without `dim`, of both flattened."""

def one_hot(x: Any, num_classes: _int = ...) -> Tensor:
    """int64 with 1 at each class number on a new last axis of size `num_classes` (-1: one more than the largest)."""

def meshgrid(*tensors: Any, indexing: str = ...) -> tuple[Tensor, ...]:
    """The coordinates of a grid: one tensor for each vector, which varies along that axis only."""

def cartesian_prod(*tensors: Any) -> Tensor:
    """All ways to choose one element of each vector, as rows; a single vector is its own."""

def combinations(x: Any, r: _int = ..., with_replacement: _bool = ...) -> Tensor:
    """All ways to choose `r` elements of a vector, as rows, in the order of the vector."""

def geqrf(x: Any) -> GeqrfResult:
    """R of ``x = Q @ R`` on and above the diagonal of `a`, and the reflections that make Q below it and in `tau`; see `orgqr`. It has no gradient: use `linalg.qr`."""

def orgqr(x: Any, tau: Any) -> Tensor:
    """The first columns of the product of reflections, as many as `x` has: Q of `geqrf`."""

def ormqr(x: Any, tau: Any, other: Any, left: _bool = ..., transpose: _bool = ...) -> Tensor:
    """The product of all reflections times `other`, or of `other` times it unless `left`; of its transpose with `transpose`."""

def igamma(x: Any, other: Any) -> Tensor:
    """The regularized lower incomplete gamma function of `x` (often called a) and `other`."""

def igammac(x: Any, other: Any) -> Tensor:
    """The regularized upper incomplete gamma function, ``1 - igamma(x, other)`` without loss."""

def gcd(x: Any, y: Any) -> Tensor:
    """The greatest common divisor of two integers, from 0 on; of 0 and y it is ``|y|``."""

def lcm(x: Any, y: Any) -> Tensor:
    """The least common multiple of two integers, from 0 on; of 0 and y it is 0."""

def bitwise_and(x: Any, y: Any) -> Tensor:
    """``x & y``."""

def bitwise_or(x: Any, y: Any) -> Tensor:
    """``x | y``."""

def bitwise_xor(x: Any, y: Any) -> Tensor:
    """``x ^ y``."""

def bitwise_left_shift(x: Any, y: Any) -> Tensor:
    """``x << y``; bits shifted out are lost."""

def bitwise_right_shift(x: Any, y: Any) -> Tensor:
    """``x >> y``; signed integers keep their sign."""

def bitwise_not(x: Any) -> Tensor:
    """``~x``; of bool the opposite."""

def logical_and(x: Any, y: Any) -> Tensor:
    """Whether both elements are nonzero."""

def logical_or(x: Any, y: Any) -> Tensor:
    """Whether either element is nonzero."""

def logical_xor(x: Any, y: Any) -> Tensor:
    """Whether exactly one element is nonzero."""

def logical_not(x: Any) -> Tensor:
    """Whether each element is zero."""

def rand_like(
    x: Any,
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
    x: Any,
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
    x: Any,
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

def lu_unpack(
    LU_data: Any, LU_pivots: Any, unpack_data: _bool = ..., unpack_pivots: _bool = ...
) -> LuUnpackResult:
    """P, L and U of ``A = P @ L @ U`` from the result of `linalg.lu_factor`."""

def svd_lowrank(A: Any, q: _int | None = ..., niter: _int | None = ..., M: Any = ...) -> Tensor:
    """About the `q` largest singular values, and their vectors, of large matrices."""

def pca_lowrank(A: Any, q: _int | None = ..., center: _bool = ..., niter: _int = ...) -> Tensor:
    """The principal components of rows of numbers: `svd_lowrank` of the columns less their means."""

def det(x: Any) -> Tensor:
    """The determinants of square matrices."""

def slogdet(x: Any) -> Tensor:
    """The signs of determinants, and the logarithms of their magnitudes."""

def logdet(x: Any) -> Tensor:
    """The logarithms of determinants; NaN where one is negative."""

def inverse(x: Any) -> Tensor:
    """The inverse of square matrices; raises LinAlgError for a singular one."""

def pinverse(x: Any, rcond: _float = ...) -> Tensor:
    """The pseudo-inverse; singular values up to `rcond` times the largest count as zero."""

def matrix_exp(x: Any) -> Tensor:
    """The exponential of square matrices: the sum of ``A^k / k!``."""

def cholesky(x: Any, upper: _bool = ...) -> Tensor:
    """The triangular factor of symmetric positive-definite matrices; see `linalg.cholesky`."""

def cholesky_solve(x: Any, L: Any, upper: _bool = ...) -> Tensor:
    """X of ``A @ X = x`` for ``A = L @ L.mT`` (or ``L.mT @ L`` if `upper`), given its factor."""

def cholesky_inverse(x: Any, upper: _bool = ...) -> Tensor:
    """The inverse of ``L @ L.mT`` (or ``L.mT @ L`` if `upper`), given the factor L."""

def qr(x: Any, some: _bool = ...) -> Tensor:
    """``x = Q @ R``; `some` is ``mode="reduced"`` of `linalg.qr`, else "complete"."""

def svd(x: Any, some: _bool = ..., compute_uv: _bool = ...) -> SvdResult:
    """``x = U @ diag(S) @ V.mT``; unlike `linalg.svd` it gives V, and reduced matrices if `some`."""

def addmm(x: Any, mat1: Any, mat2: Any, *, beta: _float = ..., alpha: _float = ...) -> Tensor:
    """``beta * x + alpha * (mat1 @ mat2)`` of matrices; x expands to the product."""

def baddbmm(x: Any, batch1: Any, batch2: Any, *, beta: _float = ..., alpha: _float = ...) -> Tensor:
    """``beta * x + alpha * (batch1 @ batch2)`` of batches of matrices; x expands to the product."""

def addbmm(x: Any, batch1: Any, batch2: Any, *, beta: _float = ..., alpha: _float = ...) -> Tensor:
    """``beta * x + alpha * (batch1 @ batch2).sum(0)``; x expands to the sum."""

def addmv(x: Any, mat: Any, vec: Any, *, beta: _float = ..., alpha: _float = ...) -> Tensor:
    """``beta * x + alpha * (mat @ vec)``; x expands to the product. Raises as `addmm` does."""

def addr(x: Any, vec1: Any, vec2: Any, *, beta: _float = ..., alpha: _float = ...) -> Tensor:
    """``beta * x + alpha * outer(vec1, vec2)``; x expands to the product, types are promoted."""

def multinomial(
    input: Any, num_samples: _int, replacement: _bool = ..., *, generator: Any = ..., out: Any = ...
) -> Tensor:
    """`num_samples` positions of each row of `input`, each as likely as its element is large."""

def gradient(
    input: Any, *, spacing: Any = ..., dim: Any = ..., edge_order: _int = ..., **numpy_names: Any
) -> tuple[Tensor, ...]:
    """The derivatives of the function whose values are the elements, along each axis of `dim`."""

def permute(x: Any, *dims: Any) -> Tensor:
    """Axes in another order: ``x.permute(2, 0, 1)``."""

def transpose(x: Any, dim0: _int, dim1: _int) -> Tensor:
    """Two axes exchanged."""

def swapaxes(x: Any, dim0: _int, dim1: _int) -> Tensor:
    """Two axes exchanged."""

def swapdims(x: Any, dim0: _int, dim1: _int) -> Tensor:
    """Two axes exchanged."""

def t(x: Any) -> Tensor:
    """The transpose of a matrix; vectors and numbers stay as they are."""

def flip(x: Any, *dims: Any) -> Tensor:
    """The named axes run backward. A copy, as in PyTorch."""

def movedim(x: Any, source: Any, destination: Any) -> Tensor:
    """Axes `source` moved to the places `destination`; the others keep their order."""

def moveaxis(x: Any, source: Any, destination: Any) -> Tensor:
    """Axes `source` moved to the places `destination`; the others keep their order."""

def narrow(x: Any, dim: _int, start: Any, length: _int, **numpy_names: Any) -> Tensor:
    """`length` elements of axis `dim` from `start` on."""

def avg_pool1d(
    x: Any,
    kernel_size: Any,
    stride: Any = ...,
    padding: Any = ...,
    ceil_mode: _bool = ...,
    count_include_pad: _bool = ...,
) -> Tensor:
    """The mean of each window of `kernel_size` elements, `stride` apart (as long as the window without it)."""

def avg_pool2d(
    x: Any,
    kernel_size: Any,
    stride: Any = ...,
    padding: Any = ...,
    ceil_mode: _bool = ...,
    count_include_pad: _bool = ...,
    divisor_override: _int | None = ...,
) -> Tensor:
    """The mean of each window of ``(N, C, H, W)``; see `avg_pool1d`."""

def avg_pool3d(
    x: Any,
    kernel_size: Any,
    stride: Any = ...,
    padding: Any = ...,
    ceil_mode: _bool = ...,
    count_include_pad: _bool = ...,
    divisor_override: _int | None = ...,
) -> Tensor:
    """The mean of each window of ``(N, C, D, H, W)``; see `avg_pool2d`."""

def max_pool1d(
    x: Any,
    kernel_size: Any,
    stride: Any = ...,
    padding: Any = ...,
    dilation: Any = ...,
    ceil_mode: _bool = ...,
    return_indices: _bool = ...,
) -> Tensor:
    """The largest element of each window of `kernel_size` elements, `stride` apart (as long as the window without it)."""

def max_pool2d(
    x: Any,
    kernel_size: Any,
    stride: Any = ...,
    padding: Any = ...,
    dilation: Any = ...,
    ceil_mode: _bool = ...,
    return_indices: _bool = ...,
) -> Tensor:
    """The largest element of each window of ``(N, C, H, W)``; see `max_pool1d`."""

def max_pool3d(
    x: Any,
    kernel_size: Any,
    stride: Any = ...,
    padding: Any = ...,
    dilation: Any = ...,
    ceil_mode: _bool = ...,
    return_indices: _bool = ...,
) -> Tensor:
    """The largest element of each window of ``(N, C, D, H, W)``; see `max_pool1d`."""

def adaptive_avg_pool1d(x: Any, output_size: Any) -> Tensor:
    """The mean of each of `output_size` windows that cover the image evenly."""

def adaptive_avg_pool2d(x: Any, output_size: Any) -> Tensor:
    """The mean of each of `output_size` windows of ``(N, C, H, W)``; see `adaptive_avg_pool1d`."""

def adaptive_avg_pool3d(x: Any, output_size: Any) -> Tensor:
    """The mean of each of `output_size` windows of ``(N, C, D, H, W)``; see `adaptive_avg_pool1d`."""

def adaptive_max_pool1d(x: Any, output_size: Any, return_indices: _bool = ...) -> Tensor:
    """The largest element of each of `output_size` windows that cover the image evenly."""

def adaptive_max_pool2d(x: Any, output_size: Any, return_indices: _bool = ...) -> Tensor:
    """The largest element of each of `output_size` windows of ``(N, C, H, W)``; see `adaptive_max_pool1d`."""

def adaptive_max_pool3d(x: Any, output_size: Any, return_indices: _bool = ...) -> Tensor:
    """The largest element of each of `output_size` windows of ``(N, C, D, H, W)``; see `adaptive_max_pool1d`."""

def pow(x: Any, exponent: Any) -> Tensor:
    """``x ** exponent``. Integers to a negative Python number are refused; to a tensor of negative integers they give 0 or ±1."""

def float_power(x: Any, exponent: Any) -> Tensor:
    """``x ** exponent`` in float64, whatever the types."""

def inner(x: Any, other: Any) -> Tensor:
    """Sums of products over the last axis of both; with a number, the product."""

def tensordot(a: Any, b: Any, dims: Any = ...) -> Tensor:
    """Sums of products over several axes: the last `dims` of a with the first of b, or two lists."""

def kron(x: Any, other: Any) -> Tensor:
    """The Kronecker product: every element of x times the whole of `other`, side by side."""

def cross(x: Any, other: Any, dim: _int | None = ..., **numpy_names: Any) -> Tensor:
    """The vectors of three numbers that stand upright on those of x and `other`, along `dim`."""

def trace(x: Any) -> Tensor:
    """The sum of the diagonal of a matrix; of integers in int64."""

def sort(
    x: Any, dim: _int = ..., descending: _bool = ..., *, stable: _bool = ..., **numpy_names: Any
) -> SortResult:
    """Values along `dim` from the smallest to the largest, and the indices they had."""

def argsort(
    x: Any, dim: _int = ..., descending: _bool = ..., *, stable: _bool = ..., **numpy_names: Any
) -> Tensor:
    """The indices that sort along `dim`; equal elements keep their order, whether `stable` or not."""

def msort(x: Any) -> Tensor:
    """Values along the first axis from the smallest to the largest."""

def topk(
    x: Any, k: _int, dim: _int = ..., largest: _bool = ..., sorted: _bool = ..., **numpy_names: Any
) -> TopkResult:
    """The `k` largest (or smallest) elements along `dim`, and their indices."""

def kthvalue(
    x: Any, k: _int, dim: _int = ..., keepdim: _bool = ..., **numpy_names: Any
) -> KthvalueResult:
    """The `k`-th smallest element along `dim` (the first for 1), and its index."""

@overload
def median(input: Tensor, dim: _int, keepdim: _bool = ...) -> MedianResult:
    """The median of all elements; with `dim`, ``(values, indices)`` along it."""

@overload
def median(input: Tensor, *, axis: _int, keepdims: _bool = ...) -> MedianResult:
    """The median of all elements; with `dim`, ``(values, indices)`` along it."""

@overload
def median(input: Tensor) -> Tensor:
    """The median of all elements; with `dim`, ``(values, indices)`` along it."""

@overload
def nanmedian(input: Tensor, dim: _int, keepdim: _bool = ...) -> NanmedianResult:
    """The median of the elements that are not NaN; with `dim`, ``(values, indices)`` along it."""

@overload
def nanmedian(input: Tensor, *, axis: _int, keepdims: _bool = ...) -> NanmedianResult:
    """The median of the elements that are not NaN; with `dim`, ``(values, indices)`` along it."""

@overload
def nanmedian(input: Tensor) -> Tensor:
    """The median of the elements that are not NaN; with `dim`, ``(values, indices)`` along it."""

def mode(x: Any, dim: _int = ..., keepdim: _bool = ..., **numpy_names: Any) -> ModeResult:
    """The most frequent element along `dim`, the smallest of several, and the last index it has."""

def quantile(
    x: Any,
    q: Any,
    dim: _int | None = ...,
    keepdim: _bool = ...,
    *,
    interpolation: str = ...,
    **numpy_names: Any,
) -> Tensor:
    """The `q`-quantiles of all elements or along `dim`; NaN where an element is."""

def nanquantile(
    x: Any,
    q: Any,
    dim: _int | None = ...,
    keepdim: _bool = ...,
    *,
    interpolation: str = ...,
    **numpy_names: Any,
) -> Tensor:
    """As `quantile`, of the elements that are not NaN."""

def bernoulli(x: Any, p: _float | None = ..., *, generator: Any = ...) -> Tensor:
    """1 with the probability that x says (or that `p` says, for each element of x), else 0."""

def poisson(input: Any, generator: Any = ...) -> Tensor:
    """Numbers of Poisson's law, whose rates x says: how many events come where so many are expected."""

def binomial(count: Any, prob: Any, generator: Any = ...) -> Tensor:
    """How many of `count` trials succeed, each with probability `prob`; the two broadcast."""

def conj_physical(x: Any) -> Tensor:
    """The complex conjugate: x itself, which is real."""

def conj(x: Any) -> Tensor:
    """The complex conjugate: x itself, which is real."""

def resolve_conj(x: Any) -> Tensor:
    """The complex conjugate: x itself, which is real."""

def resolve_neg(x: Any) -> Tensor:
    """The complex conjugate: x itself, which is real."""

def real(input: Any) -> Tensor:
    """The real part: x itself."""

def imag(input: Any) -> Tensor:
    """The imaginary part, which only complex tensors have: raises DTypeError."""

def isreal(x: Any) -> Tensor:
    """Whether each element is real: True."""

def angle(x: Any) -> Tensor:
    """The angle from the real axis: 0, and pi for negative numbers."""

def rot90(x: Any, k: _int = ..., dims: Any = ...) -> Tensor:
    """`k` quarter turns in the plane of `dims`, from the first towards the second; a copy."""

def fliplr(x: Any) -> Tensor:
    """Columns in reverse order: axis 1 runs backward."""

def flipud(x: Any) -> Tensor:
    """Rows in reverse order: axis 0 runs backward."""

def ravel(x: Any) -> Tensor:
    """All elements as a vector; a view where that can be."""

def adjoint(x: Any) -> Tensor:
    """The last two axes exchanged: the conjugate transpose, all numbers being real."""

def narrow_copy(x: Any, dim: _int, start: _int, length: _int, **numpy_names: Any) -> Tensor:
    """`narrow` as a copy."""

def select_scatter(x: Any, src: Any, dim: _int, index: _int, **numpy_names: Any) -> Tensor:
    """A copy of `x` with `src` at position `index` of axis `dim`."""

def slice_scatter(
    x: Any,
    src: Any,
    dim: _int = ...,
    start: _int | None = ...,
    end: _int | None = ...,
    step: _int = ...,
    **numpy_names: Any,
) -> Tensor:
    """A copy of `x` with `src` in the slice ``start:end:step`` of axis `dim`."""

def repeat_interleave(
    x: Any,
    repeats: Any = ...,
    dim: _int | None = ...,
    *,
    output_size: _int | None = ...,
    **numpy_names: Any,
) -> Tensor:
    """Each element (or slice along `dim`) `repeats` times in a row."""

def pixel_shuffle(x: Any, upscale_factor: _int) -> Tensor:
    """Channels as pixels: ``(..., c * r * r, h, w)`` to ``(..., c, h * r, w * r)``."""

def pixel_unshuffle(x: Any, downscale_factor: _int) -> Tensor:
    """Pixels as channels, `pixel_shuffle` reversed: ``(..., c, h * r, w * r)`` to ``(..., c * r * r, h, w)``."""

def channel_shuffle(x: Any, groups: _int) -> Tensor:
    """Channels ``(n, groups * c, ...)`` in the order of a card shuffle: one of each group in turn."""

def native_channel_shuffle(x: Any, groups: _int) -> Tensor:
    """Channels ``(n, groups * c, ...)`` in the order of a card shuffle: one of each group in turn."""

def neg(x: Any) -> Tensor:
    """``-x``; unsigned integers wrap."""

def negative(x: Any) -> Tensor:
    """``-x``; unsigned integers wrap."""

def abs(x: Any) -> Tensor:
    """Absolute value, with derivative 0 at 0. The smallest signed integer is its own, as in NumPy."""

def absolute(x: Any) -> Tensor:
    """Absolute value, with derivative 0 at 0. The smallest signed integer is its own, as in NumPy."""

def sign(x: Any) -> Tensor:
    """-1, 0 or 1; of NaN 0, as in PyTorch."""

def sgn(x: Any) -> Tensor:
    """-1, 0 or 1; of NaN 0, as in PyTorch."""

def positive(x: Any) -> Tensor:
    """``+x``, x itself."""

def floor(x: Any) -> Tensor:
    """The largest whole number not above x."""

def ceil(x: Any) -> Tensor:
    """The smallest whole number not below x."""

def trunc(x: Any) -> Tensor:
    """x without its fraction."""

def fix(x: Any) -> Tensor:
    """x without its fraction."""

def round(x: Any, *, decimals: _int = ...) -> Tensor:
    """The nearest whole number, halves to even; with `decimals`, the nearest multiple of ``10 ** -decimals``."""

def frac(x: Any) -> Tensor:
    """The fraction ``x - trunc(x)``, with the sign of x."""

def isnan(x: Any) -> Tensor:
    """Whether each element is not a number."""

def isinf(x: Any) -> Tensor:
    """Whether each element is infinite, of either sign."""

def isposinf(x: Any) -> Tensor:
    """Whether each element is positive infinity."""

def isneginf(x: Any) -> Tensor:
    """Whether each element is negative infinity."""

def isfinite(x: Any) -> Tensor:
    """Whether each element is neither infinite nor NaN."""

def nan_to_num(
    x: Any, nan: _float = ..., posinf: _float | None = ..., neginf: _float | None = ...
) -> Tensor:
    """x with NaN and infinities replaced: by `nan`, and by `posinf`, `neginf` or the largest finite values."""

def logcumsumexp(x: Any, dim: _int, **numpy_names: Any) -> Tensor:
    """The logarithm of the sum of the exponentials of the elements up to each along `dim`."""

def cumsum(x: Any, dim: _int, *, dtype: Any = ..., **numpy_names: Any) -> Tensor:
    """Sums of the elements up to each along `dim`; integers and bool are summed in int64."""

def cumprod(x: Any, dim: _int, *, dtype: Any = ..., **numpy_names: Any) -> Tensor:
    """Products of the elements up to each along `dim`; of integers and bool in int64."""

def cummax(x: Any, dim: _int, **numpy_names: Any) -> CumulativeResult:
    """The largest element so far along `dim`, and its index: ``(values, indices)``."""

def cummin(x: Any, dim: _int, **numpy_names: Any) -> CumulativeResult:
    """The smallest element so far along `dim`, and its index: ``(values, indices)``."""

def scatter_reduce(
    x: Any,
    dim: _int,
    index: Any,
    src: Any,
    reduce: str,
    *,
    include_self: _bool = ...,
    **numpy_names: Any,
) -> Tensor:
    """x with ``src[i][j]`` combined into ``x[index[i][j]][j]`` for ``dim=0``."""

def index_add(
    x: Any, dim: _int, index: Any, source: Any, *, alpha: _float = ..., **numpy_names: Any
) -> Tensor:
    """x with ``x[index[i]] += alpha * source[i]`` for ``dim=0``; index has one dimension."""

def index_reduce(
    x: Any,
    dim: _int,
    index: Any,
    source: Any,
    reduce: str,
    *,
    include_self: _bool = ...,
    **numpy_names: Any,
) -> Tensor:
    """x with ``source[i]`` combined into ``x[index[i]]`` for ``dim=0``; index has one dimension."""

def threshold(x: Any, threshold: _float, value: _float) -> Tensor:
    """x where it is above `threshold` (or NaN), `value` elsewhere."""

def hardshrink(x: Any, lambd: _float = ...) -> Tensor:
    """0 where ``|x| <= lambd``, x elsewhere."""

def softshrink(x: Any, lambd: _float = ...) -> Tensor:
    """x moved towards zero by `lambd`, and 0 where it would pass it."""

def tanhshrink(x: Any) -> Tensor:
    """``x - tanh(x)``."""

def prelu(x: Any, weight: Any) -> Tensor:
    """x where it is positive, ``weight * x`` elsewhere."""

def rrelu(
    input: Any,
    lower: _float = ...,
    upper: _float = ...,
    training: _bool = ...,
    generator: Any = ...,
) -> Tensor:
    """x where it is positive, elsewhere x times a slope between `lower` and `upper`: if `training` a random one for each element, else their mean."""

def softmax(x: Any, dim: _int, *, dtype: Any = ..., **numpy_names: Any) -> Tensor:
    """``exp(x) / sum(exp(x))`` along `dim`; NaN for a row of -inf alone."""

def log_softmax(x: Any, dim: _int, *, dtype: Any = ..., **numpy_names: Any) -> Tensor:
    """``x - logsumexp(x)`` along `dim`."""

def softmin(x: Any, dim: _int, *, dtype: Any = ..., **numpy_names: Any) -> Tensor:
    """Softmax of ``-x``."""

def logsumexp(x: Any, dim: Any = ..., keepdim: _bool = ..., **numpy_names: Any) -> Tensor:
    """``log(sum(exp(x)))`` over `dim`, without overflow."""

def asinh(x: Any) -> Tensor:
    """Inverse hyperbolic sine."""

def arcsinh(x: Any) -> Tensor:
    """Inverse hyperbolic sine."""

def acosh(x: Any) -> Tensor:
    """Inverse hyperbolic cosine; NaN below 1."""

def arccosh(x: Any) -> Tensor:
    """Inverse hyperbolic cosine; NaN below 1."""

def atanh(x: Any) -> Tensor:
    """Inverse hyperbolic tangent; infinite at 1 and -1, NaN outside."""

def arctanh(x: Any) -> Tensor:
    """Inverse hyperbolic tangent; infinite at 1 and -1, NaN outside."""

def hypot(x: Any, y: Any) -> Tensor:
    """``sqrt(x * x + y * y)``, without overflow."""

def logaddexp(x: Any, y: Any) -> Tensor:
    """``log(exp(x) + exp(y))``, without overflow."""

def logaddexp2(x: Any, y: Any) -> Tensor:
    """``log2(2 ** x + 2 ** y)``, without overflow."""

def logit(x: Any, eps: _float | None = ...) -> Tensor:
    """``log(x / (1 - x))``, of x limited to ``[eps, 1 - eps]`` if `eps` is given."""

def sinc(x: Any) -> Tensor:
    """``sin(pi * x) / (pi * x)``, 1 at 0."""

def deg2rad(x: Any) -> Tensor:
    """Degrees as radians."""

def rad2deg(x: Any) -> Tensor:
    """Radians as degrees."""

def signbit(x: Any) -> Tensor:
    """Whether the sign is minus, also that of -0.0."""

def nansum(
    x: Any, dim: Any = ..., keepdim: _bool = ..., *, dtype: Any = ..., **numpy_names: Any
) -> Tensor:
    """Sum over `dim` with NaN counted as 0."""

def nanmean(
    x: Any, dim: Any = ..., keepdim: _bool = ..., *, dtype: Any = ..., **numpy_names: Any
) -> Tensor:
    """Mean over `dim` of the elements that are not NaN."""

def atleast_1d(*tensors: Any) -> Tensor:
    """A number as a vector of one element; a tuple of several tensors."""

def atleast_2d(*tensors: Any) -> Tensor:
    """New axes in front, up to two in all; a tuple of several tensors."""

def atleast_3d(*tensors: Any) -> Tensor:
    """As `atleast_2d`, and a last axis where there were less than three."""

def hstack(tensors: Sequence[Any]) -> Tensor:
    """Tensors side by side along axis 1, vectors along their only axis."""

def vstack(tensors: Sequence[Any]) -> Tensor:
    """Tensors one above the other along axis 0; a vector is a row."""

def row_stack(tensors: Sequence[Any]) -> Tensor:
    """Tensors one above the other along axis 0; a vector is a row."""

def dstack(tensors: Sequence[Any]) -> Tensor:
    """Tensors one behind the other along axis 2."""

def column_stack(tensors: Sequence[Any]) -> Tensor:
    """Tensors side by side along axis 1; a vector is a column."""

def block_diag(*tensors: Any) -> Tensor:
    """A matrix with the given ones along its diagonal; vectors are rows, numbers single elements."""

def tensor_split(
    x: Any, indices_or_sections: Any, dim: _int = ..., **numpy_names: Any
) -> tuple[Tensor, ...]:
    """Views along `dim`: so many, as equal as can be, or those between the given cuts."""

def hsplit(x: Any, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Equal parts, or those between the given cuts, along axis 1 (of a vector: 0)."""

def vsplit(x: Any, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Equal parts, or those between the given cuts, along axis 0."""

def dsplit(x: Any, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Equal parts, or those between the given cuts, along axis 2."""

def split_with_sizes(
    x: Any, split_sizes: Sequence[_int], dim: _int = ..., **numpy_names: Any
) -> tuple[Tensor, ...]:
    """Views of the given sizes along `dim`; as `split`."""

def unsafe_split_with_sizes(
    x: Any, split_sizes: Sequence[_int], dim: _int = ..., **numpy_names: Any
) -> tuple[Tensor, ...]:
    """Views of the given sizes along `dim`; as `split`."""

def as_strided(
    x: Any, size: Sequence[_int], stride: Sequence[_int], storage_offset: _int | None = ...
) -> Tensor:
    """The view of the memory of `x` with these sizes, strides and offset, in elements."""

def as_strided_scatter(
    x: Any,
    src: Any,
    size: Sequence[_int],
    stride: Sequence[_int],
    storage_offset: _int | None = ...,
) -> Tensor:
    """A copy of `x` with `src` where `as_strided` would show it."""

def exp(x: Any) -> Tensor:
    """Exponential, ``e ** x``."""

def exp2(x: Any) -> Tensor:
    """``2 ** x``."""

def expm1(x: Any) -> Tensor:
    """``e ** x - 1``, exact also for small x."""

def log(x: Any) -> Tensor:
    """Natural logarithm; -inf at 0, NaN below."""

def log2(x: Any) -> Tensor:
    """Logarithm to base 2."""

def log10(x: Any) -> Tensor:
    """Logarithm to base 10."""

def log1p(x: Any) -> Tensor:
    """``log(1 + x)``, exact also for small x."""

def sqrt(x: Any) -> Tensor:
    """Square root; NaN below 0."""

def rsqrt(x: Any) -> Tensor:
    """``1 / sqrt(x)``."""

def reciprocal(x: Any) -> Tensor:
    """``1 / x``; infinite at 0."""

def square(x: Any) -> Tensor:
    """``x * x``."""

def sin(x: Any) -> Tensor:
    """Sine of x radians."""

def cos(x: Any) -> Tensor:
    """Cosine of x radians."""

def tan(x: Any) -> Tensor:
    """Tangent of x radians."""

def asin(x: Any) -> Tensor:
    """Inverse sine, in [-pi/2, pi/2]; NaN outside [-1, 1]."""

def arcsin(x: Any) -> Tensor:
    """Inverse sine, in [-pi/2, pi/2]; NaN outside [-1, 1]."""

def acos(x: Any) -> Tensor:
    """Inverse cosine, in [0, pi]; NaN outside [-1, 1]."""

def arccos(x: Any) -> Tensor:
    """Inverse cosine, in [0, pi]; NaN outside [-1, 1]."""

def atan(x: Any) -> Tensor:
    """Inverse tangent, in [-pi/2, pi/2]."""

def arctan(x: Any) -> Tensor:
    """Inverse tangent, in [-pi/2, pi/2]."""

def sinh(x: Any) -> Tensor:
    """Hyperbolic sine."""

def cosh(x: Any) -> Tensor:
    """Hyperbolic cosine."""

def tanh(x: Any) -> Tensor:
    """Hyperbolic tangent."""

def erf(x: Any) -> Tensor:
    """Error function, ``2 / sqrt(pi)`` times the integral of ``exp(-t * t)`` from 0 to x."""

def erfc(x: Any) -> Tensor:
    """Complementary error function, ``1 - erf(x)``, exact also where that is small."""

def sigmoid(x: Any) -> Tensor:
    """Logistic function, ``1 / (1 + exp(-x))``."""

def vander(x: Any, N: _int | None = ..., increasing: _bool = ...) -> Tensor:
    """A matrix with the powers of each element of the vector x in a row, the highest first."""

def im2col(
    x: Any, kernel_size: Any, dilation: Any = ..., padding: Any = ..., stride: Any = ...
) -> Tensor:
    """The windows of images as columns: ``nn.functional.unfold``."""

def col2im(
    x: Any,
    output_size: Any,
    kernel_size: Any,
    dilation: Any = ...,
    padding: Any = ...,
    stride: Any = ...,
) -> Tensor:
    """Windows added up to images, each element where it belongs: ``nn.functional.fold``."""

def as_strided_copy(
    x: Any, size: Sequence[_int], stride: Sequence[_int], storage_offset: _int | None = ...
) -> Tensor:
    """`as_strided` as a copy."""

def diagonal_copy(x: Any, offset: _int = ..., dim1: _int = ..., dim2: _int = ...) -> Tensor:
    """`diagonal` as a copy."""

def expand_copy(x: Any, *size: Any) -> Tensor:
    """`expand` as a copy."""

def permute_copy(x: Any, *dims: Any) -> Tensor:
    """`permute` as a copy."""

def select_copy(x: Any, dim: _int, index: _int, **numpy_names: Any) -> Tensor:
    """`select` as a copy."""

def split_copy(
    x: Any, split_size: _int | Sequence[_int], dim: _int = ..., **numpy_names: Any
) -> Tensor:
    """`split` as a copy."""

def split_with_sizes_copy(
    x: Any, split_sizes: Sequence[_int], dim: _int = ..., **numpy_names: Any
) -> Tensor:
    """`split_with_sizes` as a copy."""

def squeeze_copy(x: Any, *dim: Any, **numpy_names: Any) -> Tensor:
    """`squeeze` as a copy."""

def t_copy(x: Any) -> Tensor:
    """`t` as a copy."""

def transpose_copy(x: Any, dim0: _int, dim1: _int) -> Tensor:
    """`transpose` as a copy."""

def unbind_copy(x: Any, dim: _int = ..., **numpy_names: Any) -> Tensor:
    """`unbind` as a copy."""

def unfold_copy(x: Any, dimension: _int, size: _int, step: _int) -> Tensor:
    """`unfold` as a copy."""

def unsqueeze_copy(x: Any, dim: _int, **numpy_names: Any) -> Tensor:
    """`unsqueeze` as a copy."""

def view_copy(x: Any, *shape: Any) -> Tensor:
    """`view` as a copy."""

def alias_copy(x: Any) -> Tensor:
    """A copy of `x`; the gradient goes through."""

def detach_copy(x: Any) -> Tensor:
    """A copy of `x` outside the graph."""

def slice_copy(
    x: Any,
    dim: _int = ...,
    start: _int | None = ...,
    end: _int | None = ...,
    step: _int = ...,
    **numpy_names: Any,
) -> Tensor:
    """A copy of the elements from `start` to before `end` along `dim`, in steps of `step`."""

def abs_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def acos_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def acosh_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def addmv_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def arccos_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def arccosh_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def arcsin_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def arcsinh_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def arctan_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def arctanh_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def as_strided_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def asin_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def asinh_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def atan_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def atanh_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def ceil_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def celu_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def clamp_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def clamp_max_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def clamp_min_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def clip_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def conj_physical_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def cos_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def cosh_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def deg2rad_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def detach_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def erf_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def erfc_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def exp2_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def exp_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def expm1_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def fill_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def fix_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def floor_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def frac_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def gcd_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def i0_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def lcm_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def ldexp_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def log10_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def log1p_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def log2_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def log_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def logit_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def nan_to_num_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def neg_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def negative_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def rad2deg_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def reciprocal_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def relu_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def resize_as_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def round_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def rsqrt_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def selu_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def sigmoid_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def sin_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def sinc_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def sinh_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def sqrt_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def square_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def tan_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def tanh_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def threshold_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def trunc_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def xlogy_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
def zero_(input: Tensor, *arguments: Any, **options: Any) -> Tensor: ...
