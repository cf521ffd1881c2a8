"""``out=``: results that are written to tensors that are there.

`registry.py` takes the argument off every function that does not name it, and hands the result to
`put_into`; functions that are no rows of the registry are decorated by `takes_out`. What is written
is not recorded for gradients, so it is refused where a gradient is wanted, as in PyTorch.
"""

from __future__ import annotations

import functools
import inspect
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from grad.autograd.modes import mode, no_grad
from grad.autograd.variable import Variable
from grad.errors import DTypeError, GradientError


def refuse_gradients(name: str, operands: Sequence[Any]) -> None:
    """Raise if the gradient of one of the operands, or of a tensor in a sequence of them, is
    wanted.
    """
    given = [x for part in operands for x in (part if isinstance(part, list | tuple) else (part,))]
    if mode.enabled and any(isinstance(x, Variable) and x._needs_grad for x in given):
        raise GradientError(
            f"{name}(): functions with out=... arguments don't support automatic differentiation, "
            f"but one of the arguments requires grad. Leave out= away, or use grad.no_grad()."
        )


def put_into(name: str, out: Any, result: Any) -> Any:
    """Write `result` (a tensor or a tuple of tensors) to `out`, which is returned.

    A tensor of another shape takes the memory of the result over, with a warning unless it has no
    elements.
    """
    if isinstance(result, tuple | list):
        if not isinstance(out, tuple | list) or len(out) != len(result):
            raise TypeError(f"{name}(): out must be a tuple of {len(result)} tensors.")
        for target, value in zip(out, result):
            put_into(name, target, value)
        return type(result)(*out) if hasattr(result, "_fields") else tuple(out)
    if not isinstance(out, Variable):
        raise TypeError(f"{name}(): argument 'out' must be a Tensor, not {type(out).__name__}.")
    target: Any = out
    if result.dtype.priority > out.dtype.priority:
        raise DTypeError(
            f"{name}(): result type {result.dtype.name} can't be cast to the desired output type "
            f"{out.dtype.name}."
        )
    with no_grad():
        if result.shape == out.shape:
            target.copy_(result)
            return out
        if 0 not in out.shape:
            warnings.warn(
                f"{name}(): an output with shape {tuple(out.shape)} was given for a result of "
                f"shape {tuple(result.shape)}: it gets that shape. Give one of the right shape, or "
                f"an empty one.",
                stacklevel=4,
            )
        target.data = result.to(out.dtype, copy=True)
    return out


def in_its_type(
    out: Any, args: Sequence[Any], kwargs: dict[str, Any], parameters: Sequence[inspect.Parameter]
) -> dict[str, Any]:
    """`kwargs` of a function that has a `dtype`, which is that of `out` unless another is given:
    sums of halves for a float32 are not rounded to halves, nor infinite, first.
    """
    names = [parameter.name for parameter in parameters]
    if "dtype" not in names[len(args) :] or kwargs.get("dtype") is not None:
        return kwargs
    if not isinstance(out, Variable):
        return kwargs  # which `put_into` refuses
    operand = args[0] if args else kwargs.get(names[0], kwargs.get("input"))
    if isinstance(operand, Variable) and operand.dtype.priority <= out.dtype.priority:
        return {**kwargs, "dtype": out.dtype}
    return kwargs


def takes_out(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` with ``out=``."""

    @functools.wraps(function)
    def call(*args: Any, out: Any = None, **kwargs: Any) -> Any:
        if out is None:
            return function(*args, **kwargs)
        refuse_gradients(function.__name__, (*args, *kwargs.values()))
        return put_into(function.__name__, out, function(*args, **kwargs))

    return with_parameters(call, function, out=None)


def with_parameters(
    call: Callable[..., Any], function: Callable[..., Any], **defaults: Any
) -> Callable[..., Any]:
    """`call`, which shows the parameters of `function` and those of `defaults`."""
    signature = inspect.signature(function)
    parameters = [*signature.parameters.values()]
    more = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=default,
            annotation="bool" if isinstance(default, bool) else "Any",
        )
        for name, default in defaults.items()
        if name not in signature.parameters
    ]
    options = [p for p in parameters if p.kind is inspect.Parameter.VAR_KEYWORD]
    named = [p for p in parameters if p.kind is not inspect.Parameter.VAR_KEYWORD]
    shown = signature.replace(parameters=[*named, *more, *options])
    call.__signature__ = shown  # type: ignore[attr-defined]
    return call
