"""micrograd: deep learning in pure Python, with PyTorch's interface and a compiler of its own.

``import grad as torch`` is the idea. This module only gathers names: tensors and their creation,
every function of the registry (`grad.exp`, `grad.matmul` ...), dtypes, gradient modes and the
subpackages, of which those in `LATE` are opened when they are first asked for. Where a name is both
a submodule and a name of PyTorch's (`tensor`, `dtype`, `device`), it is PyTorch's here, and
``from grad.tensor import Tensor`` still works. Their types are in __init__.pyi, written by
tools/stubs.py.
"""

# Names are imported here to be found here.
# ruff: noqa: F401

from __future__ import annotations

import builtins as _builtins
from collections.abc import Callable
from typing import Any

from grad.utils.garbage import uncollected as _uncollected

with _uncollected():
    import ml_dtypes as _ml_dtypes
    import numpy as _numpy

    from grad import compile, tensor  # which import nearly everything

from grad import autograd, cuda, engine, errors, utils
from grad.autograd.anomaly import (
    is_anomaly_check_nan_enabled,
    is_anomaly_enabled,
    set_anomaly_enabled,
)
from grad.autograd.gradcheck import gradcheck, gradgradcheck
from grad.autograd.modes import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
)
from grad.buffer import clear_buffer_cache, configure_buffer_pool, get_buffer_memory_stats
from grad.compile import compile
from grad.device import Device
from grad.dtype import (
    ALL_DTYPES,
    DType,
    default_dtype,
    dtypes,
    promote_types,
    set_default_dtype,
)
from grad.engine.threads import get_num_threads, set_num_threads
from grad.memory_format import (
    MemoryFormat as memory_format,
)
from grad.memory_format import (
    MemoryLayout as layout,
)
from grad.memory_format import (
    channels_last,
    channels_last_3d,
    contiguous_format,
    preserve_format,
    strided,
)
from grad.ops.convert import from_dlpack, from_numpy, to_dlpack
from grad.ops.creators import CREATORS
from grad.ops.generator import (
    Generator,
    default_generator,
    get_rng_state,
    initial_seed,
    manual_seed,
    seed,
    set_rng_state,
)
from grad.ops.precision import (
    get_float32_convolution_precision,
    set_float32_convolution_precision,
)
from grad.ops.promotion import can_cast, result_type
from grad.ops.registry import registry
from grad.settings import settings
from grad.switches import (
    are_deterministic_algorithms_enabled,
    get_default_device,
    get_deterministic_debug_mode,
    get_float32_matmul_precision,
    get_num_interop_threads,
    is_deterministic_algorithms_warn_only_enabled,
    is_warn_always_enabled,
    set_default_device,
    set_deterministic_debug_mode,
    set_float32_matmul_precision,
    set_flush_denormal,
    set_num_interop_threads,
    set_warn_always,
    use_deterministic_algorithms,
)
from grad.tensor import CASTS, Tensor
from grad.type_limits import finfo, iinfo
from grad.utils.constants import e, inf, nan, pi
from grad.utils.format import set_printoptions
from grad.utils.late import late_names as _late_names
from grad.utils.size import Size
from grad.version import VERSION

# Everything that tensors do without: importing the library takes little longer than NumPy.
LATE = {
    "BFloat16Tensor": "grad.former_names:BFloat16Tensor",
    "BoolTensor": "grad.former_names:BoolTensor",
    "ByteTensor": "grad.former_names:ByteTensor",
    "CharTensor": "grad.former_names:CharTensor",
    "DoubleTensor": "grad.former_names:DoubleTensor",
    "FloatTensor": "grad.former_names:FloatTensor",
    "GradScaler": "grad.amp:GradScaler",
    "HalfTensor": "grad.former_names:HalfTensor",
    "IntTensor": "grad.former_names:IntTensor",
    "LongTensor": "grad.former_names:LongTensor",
    "ShortTensor": "grad.former_names:ShortTensor",
    "amp": "grad.amp",
    "autocast": "grad.amp:autocast",
    "distributions": "grad.distributions",
    "draw": "grad.drawing:draw",
    "drawing": "grad.drawing",
    "explain": "grad.profiler:explain",
    "func": "grad.func",
    "get_autocast_dtype": "grad.amp:get_autocast_dtype",
    "io": "grad.io",
    "is_autocast_available": "grad.amp:is_autocast_available",
    "is_autocast_enabled": "grad.amp:is_autocast_enabled",
    "linalg": "grad.linalg",
    "load": "grad.io:load",
    "nn": "grad.nn",
    "optim": "grad.optim",
    "profiler": "grad.profiler",
    "random": "grad.random",
    "range": "grad.former_names:range",
    "save": "grad.io:save",
    "serialization": "grad.serialization",
    "set_default_tensor_type": "grad.former_names:set_default_tensor_type",
    "special": "grad.special",
    "testing": "grad.testing",
    "vmap": "grad.func:vmap",
}
__getattr__ = _late_names(__name__, globals(), LATE)

__version__ = VERSION

device = Device
dtype = DType
get_default_dtype = default_dtype
newaxis = None

bool = dtypes.bool
int8 = dtypes.int8
int16 = short = dtypes.int16
int32 = int = dtypes.int32
int64 = long = dtypes.int64
uint8 = dtypes.uint8
uint16 = dtypes.uint16
uint32 = dtypes.uint32
uint64 = dtypes.uint64
float16 = half = dtypes.float16
bfloat16 = dtypes.bfloat16
float32 = float = dtypes.float32
float64 = double = dtypes.float64


def is_tensor(value: Any) -> Any:
    """Whether `value` is a Tensor."""
    return isinstance(value, Tensor)


def is_floating_point(input: Tensor) -> Any:
    """Whether the elements of `input` are floating."""
    return input.dtype.is_floating_point


def is_complex(input: Tensor) -> Any:
    """Whether the elements of `input` are complex: no."""
    return input.is_complex()


def numel(input: Tensor) -> Any:
    """The number of elements of `input`."""
    return input.numel()


def is_nonzero(input: Tensor) -> Any:
    """Whether the one element of `input` is nonzero, as a Python bool."""
    return _builtins.bool(input)


def detach(input: Tensor) -> Tensor:
    """The same memory, outside the graph."""
    return input.detach()


# Of these PyTorch has functions that write to their operand.
_INPLACE_FUNCTIONS = (
    "abs_", "acos_", "acosh_", "addmv_", "arccos_", "arccosh_", "arcsin_", "arcsinh_", "arctan_",
    "arctanh_", "as_strided_", "asin_", "asinh_", "atan_", "atanh_", "ceil_", "celu_", "clamp_",
    "clamp_max_", "clamp_min_", "clip_", "conj_physical_", "cos_", "cosh_", "deg2rad_", "detach_",
    "erf_", "erfc_", "exp2_", "exp_", "expm1_", "fill_", "fix_", "floor_", "frac_", "gcd_", "i0_",
    "lcm_", "ldexp_", "log10_", "log1p_", "log2_", "log_", "logit_", "nan_to_num_", "neg_",
    "negative_", "rad2deg_", "reciprocal_", "relu_", "resize_as_", "round_", "rsqrt_", "selu_",
    "sigmoid_", "sin_", "sinc_", "sinh_", "sqrt_", "square_", "tan_", "tanh_", "threshold_",
    "trunc_", "xlogy_", "zero_",
)  # fmt: skip


def _functions() -> dict[str, Callable[..., Any]]:
    """What is bound besides the names above: creators, and functions of the registry.

    Those named ``special_...`` are in `special` alone.
    """
    found: dict[str, Callable[..., Any]] = dict(CREATORS)
    for row in registry():
        if row.function is not None and not row.function.startswith("special_"):
            for name in (row.function, *row.aliases):
                found[name] = row.call
    for name in _INPLACE_FUNCTIONS:
        found[name] = getattr(Tensor, name)
    return found


_FUNCTIONS = _functions()
globals().update(_FUNCTIONS)
tensor = CREATORS["tensor"]

_PRIVATE = {
    "ALL_DTYPES",
    "Any",
    "CASTS",
    "CREATORS",
    "Callable",
    "LATE",
    "VERSION",
    "annotations",
    "registry",
}
__all__ = sorted(
    name for name in {*globals(), *LATE} if not name.startswith("_") and name not in _PRIVATE
)


def __dir__() -> list[str]:
    return sorted({*globals(), *LATE})
