"""What was wrong with a call, said in the names that its caller knows.

An operation that is called with an argument too few, or with a list where a tensor belongs, fails
somewhere inside with words about `forward` and private attributes. `explain_call` looks at the call
once it has failed; calls that work cost nothing. `within_memory` is for the few that compute tables
with NumPy.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from grad.autograd.variable import Variable
from grad.errors import GradError, OutOfMemoryError
from grad.ops.promotion import is_number, no_tensor


def explain_call(
    name: str,
    forward: Callable[..., Any],
    has_context: bool,
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
    error: Exception,
) -> None:
    """Raise TypeError in the place of `error` if the arguments do not fit `forward`, or if the
    error is that one of them is no tensor; else do nothing.
    """
    signature = _signature(forward, has_context)
    try:
        bound = signature.bind(*args, **kwargs)
    except TypeError as misfit:
        raise TypeError(f"{name}(): {misfit}; it takes {signature}.") from None
    if not isinstance(error, AttributeError):
        return
    for parameter, value in bound.arguments.items():
        if not isinstance(value, Variable) and _leads_to(value, error.obj):
            raise no_tensor(name, parameter, value) from None


def _leads_to(value: Any, failed: object) -> bool:
    """Whether `failed`, which has not the attribute it was asked for, may be made of `value`.

    An array has a shape, a type and some methods of a tensor; a number has arithmetic.
    """
    is_same_kind = is_number(value) and is_number(failed)
    return value is failed or isinstance(value, np.ndarray) or is_same_kind


@contextmanager
def within_memory(name: str) -> Iterator[None]:
    """Have NumPy's MemoryError say which operation asked for so much."""
    try:
        yield
    except MemoryError as error:
        if isinstance(error, GradError):
            raise
        raise OutOfMemoryError(f"{name}: {error}; use smaller sizes.") from None


def _signature(forward: Callable[..., Any], has_context: bool) -> inspect.Signature:
    """Names and defaults of what users give, without types."""
    parameters = list(inspect.signature(forward).parameters.values())[has_context:]
    empty = inspect.Parameter.empty
    return inspect.Signature([parameter.replace(annotation=empty) for parameter in parameters])
