"""`autocast`: inside, products take bfloat16 or float16, and what needs digits float32.

The switch is `mode.autocast`, which belongs to the thread; operations ask for it themselves
(grad/ops/autocast.py). A backward pass runs without it: each gradient has the type of its forward.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from grad.autograd.modes import mode
from grad.dtype import DType, dtypes
from grad.errors import ArgumentError

DEVICES = ("cpu", "cuda")
_DTYPES: dict[str, tuple[DType, ...]] = dict.fromkeys(DEVICES, (dtypes.bfloat16, dtypes.float16))


class autocast:
    """Compute in lower precision inside: a context manager and a decorator.

    Args:
        device_type: "cpu", which is where tensors are. "cuda" is accepted, and does nothing.
        dtype: bfloat16 (what None means) or float16. float32 switches it off.
        enabled: False switches it off inside.
        cache_enabled: accepted; a conversion that is needed twice is computed once in any case.

    Raises:
        RuntimeError: for another device.

    Example:
        >>> with grad.autocast("cpu", dtype=grad.bfloat16):
        ...     (grad.ones(2, 3) @ grad.ones(3, 2)).dtype
        grad.bfloat16
    """

    def __init__(
        self,
        device_type: str,
        dtype: DType | None = None,
        enabled: bool = True,
        cache_enabled: bool | None = None,
    ) -> None:
        if device_type not in DEVICES:
            raise ArgumentError(
                f"autocast: there is no device type {device_type!r}; use "
                f"{' or '.join(map(repr, DEVICES))}."
            )
        wanted = dtypes.bfloat16 if dtype is None else dtype
        if wanted is not dtypes.float32 and wanted not in _DTYPES[device_type]:
            raise ArgumentError(
                f"autocast: computes in bfloat16 or float16, got {wanted}; use one of these."
            )
        self.device, self.fast_dtype, self.enabled = device_type, wanted, enabled
        self._before: list[DType | None] = []

    def __enter__(self) -> autocast:
        self._before.append(mode.autocast)
        if self.device == "cpu":
            off = not self.enabled or self.fast_dtype is dtypes.float32
            mode.autocast = None if off else self.fast_dtype
        return self

    def __exit__(self, *exception: Any) -> None:
        mode.autocast = self._before.pop()

    def _compile_guards(self, guards: Any) -> None:
        """What a recorded function takes for granted of it (compile/guards.py)."""
        for name in ("device", "fast_dtype", "enabled"):
            guards.item(self.__dict__, name)

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def inside(*args: Any, **kwargs: Any) -> Any:
            with autocast(self.device, self.fast_dtype, self.enabled):
                return function(*args, **kwargs)

        return inside


def is_autocast_enabled(device_type: str = "cpu") -> bool:
    """Whether operations of this thread on that device are converted now."""
    return device_type == "cpu" and mode.autocast is not None


def is_autocast_available(device_type: str) -> bool:
    """Whether `autocast` knows that device."""
    return device_type in DEVICES


def get_autocast_dtype(device_type: str = "cpu") -> DType:
    """The type that products take inside the innermost `autocast`; outside, what it would be."""
    return mode.autocast or dtypes.bfloat16


def custom_fwd(
    function: Callable[..., Any] | None = None,
    *,
    device_type: str,
    cast_inputs: DType | None = None,
) -> Callable[..., Any]:
    """Decorates the `forward` of a `Function`: with `cast_inputs` floats among the arguments are
    converted to it, and what `forward` does is not converted again; without, nothing changes.
    """
    if function is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(function)
    def forward(ctx: Any, *args: Any, **kwargs: Any) -> Any:
        if cast_inputs is None or not is_autocast_enabled(device_type):
            return function(ctx, *args, **kwargs)
        cast = [
            arg.to(cast_inputs) if getattr(getattr(arg, "dtype", None), "kind", "") == "f" else arg
            for arg in args
        ]
        with autocast(device_type, enabled=False):
            return function(ctx, *cast, **kwargs)

    return forward


def custom_bwd(
    function: Callable[..., Any] | None = None, *, device_type: str
) -> Callable[..., Any]:
    """Decorates the `backward` of a `Function` whose `forward` has `custom_fwd`: backward passes
    run without `autocast` here, so there is nothing to add.
    """
    if function is None:
        return functools.partial(custom_bwd, device_type=device_type)
    return function
