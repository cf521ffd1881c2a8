"""What modules of PyTorch answer here that have no namesake in `grad`.

Programs ask them which devices there are, set switches of libraries that are not used here, or call
what has nothing to do: each row is a name and its value. Switches can be set and read, and change
nothing: results are the same from run to run in any case.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable
from typing import Any

import grad
from grad import cuda
from grad.nn import channel_normalization, convolution, dropout, loss_modules

Answers = dict[str, Any]


def always(value: Any) -> Callable[..., Any]:
    """A function that gives `value`, whatever it is called with."""

    def answer(*_: Any, **__: Any) -> Any:
        return value

    return answer


def as_it_is(*arguments: Any, **_: Any) -> Any:
    """A decorator, with or without options, that changes nothing."""
    return arguments[0] if arguments and callable(arguments[0]) else as_it_is


NO, NOTHING, ZERO = always(False), always(None), always(0)
NO_DEVICES: Answers = {
    "is_available": NO, "is_initialized": NO, "device_count": ZERO, "synchronize": NOTHING,
    "empty_cache": NOTHING, "manual_seed": NOTHING, "manual_seed_all": NOTHING,
}  # fmt: skip

CPU: Answers = {
    "is_available": always(True), "is_initialized": always(True), "device_count": always(1),
    "synchronize": NOTHING, "current_device": always("cpu"),
}  # fmt: skip

CUDA: Answers = {
    **NO_DEVICES,
    "is_available": cuda.is_available,
    "device_count": cuda.device_count,
    "is_bf16_supported": NO,
    "memory_allocated": ZERO,
    "memory_reserved": ZERO,
    "max_memory_allocated": ZERO,
    "max_memory_reserved": ZERO,
    "reset_peak_memory_stats": NOTHING,
    "device": always(contextlib.nullcontext()),
}


def mixed_precision(device: str) -> Answers:
    """The names of ``torch.amp`` with the device in the name of the module, as they were before."""

    def autocast(enabled: bool = True, dtype: Any = None, cache_enabled: bool = True) -> Any:
        return grad.autocast(device, dtype, enabled, cache_enabled)

    of_device = {
        name: functools.partial(getattr(grad.amp, name), device_type=device)
        for name in ("custom_fwd", "custom_bwd")
    }
    scaler = functools.partial(grad.amp.GradScaler, device)
    return {"autocast": autocast, "GradScaler": scaler, **of_device}


# What einops says of its functions when it meets PyTorch.
TRACING: Answers = {"allow_in_graph": as_it_is}

LIBRARY: Answers = {
    "enabled": False, "benchmark": False, "deterministic": True, "allow_tf32": False,
    "is_available": NO, "is_built": NO, "version": NOTHING,
}  # fmt: skip

CUDA_LIBRARY: Answers = {
    **LIBRARY,
    "flash_sdp_enabled": NO, "mem_efficient_sdp_enabled": NO, "math_sdp_enabled": always(True),
    "enable_flash_sdp": NOTHING, "enable_mem_efficient_sdp": NOTHING, "enable_math_sdp": NOTHING,
}  # fmt: skip

# One process: groups of several come with the launcher that nobody has called.
DISTRIBUTED: Answers = {
    "is_available": NO, "is_initialized": NO, "get_rank": ZERO, "get_world_size": always(1),
}  # fmt: skip

JIT: Answers = {
    "script": as_it_is, "ignore": as_it_is, "export": as_it_is, "unused": as_it_is,
    "is_scripting": NO, "is_tracing": NO, "Final": Any,
}  # fmt: skip

COMPILER: Answers = {"is_compiling": NO, "disable": as_it_is, "reset": NOTHING}

VERSION: Answers = {
    "__version__": f"2.13.0+micrograd{grad.__version__}", "cuda": None, "hip": None,
    "git_version": "", "debug": False,
}  # fmt: skip


def repeated(count: int) -> Callable[[Any], tuple[Any, ...]]:
    """A function that makes `count` numbers of one, or takes those it is given."""
    return lambda x: tuple(x) if isinstance(x, Iterable) else (x,) * count


NUMBERS: Answers = {
    "_ntuple": repeated, "_single": repeated(1), "_pair": repeated(2), "_triple": repeated(3),
    "_quadruple": repeated(4),
}  # fmt: skip

# Classes that programs derive from, or ask whether a module is one, by the file that has them.
BASES: dict[str, Answers] = {
    "batchnorm": {"_BatchNorm": channel_normalization._BatchNorm,
                  "_NormBase": channel_normalization._ChannelNorm},
    "conv": {"_ConvNd": convolution._Filters},
    "dropout": {"_DropoutNd": dropout._Dropout},
    "instancenorm": {"_InstanceNorm": channel_normalization._InstanceNorm,
                     "_NormBase": channel_normalization._ChannelNorm},
    "loss": {"_Loss": loss_modules._Loss, "_WeightedLoss": loss_modules._WeightedLoss},
}  # fmt: skip

# For annotations.
TYPES: Answers = dict.fromkeys(
    ("Device", "Number", "Storage", "_TensorOrTensors", "_bool", "_device", "_dtype", "_float",
     "_int", "_layout", "_size"),
    Any,
)  # fmt: skip

TORCH: Answers = {
    "__version__": VERSION["__version__"],
    "set_float32_matmul_precision": NOTHING,
    "get_float32_matmul_precision": always("highest"),
    "use_deterministic_algorithms": NOTHING,
    "are_deterministic_algorithms_enabled": always(True),
    "set_num_interop_threads": NOTHING,
    "get_num_interop_threads": always(1),
}
