"""Fit a gradient to its tensor: the one place where broadcasting and casts are undone.

A `backward` may return what the operation itself would have broadcast or cast; here it is summed to
the shape, and cast to the type, of the tensor that it belongs to.
"""

from __future__ import annotations

from typing import Any

from grad.autograd.function import OutputInfo
from grad.autograd.variable import Variable
from grad.errors import GradientError, a_kind_of


def conform(gradient: Any, info: OutputInfo, source: Any) -> Any:
    """`gradient` summed over what was broadcast, and cast to the type of its tensor."""
    shape, dtype = info
    if not isinstance(gradient, Variable):
        raise GradientError(
            f"{source!r}: backward returned {a_kind_of(gradient)}; return tensors or None."
        )
    if gradient._shape != shape:
        gradient = sum_to_shape(gradient, shape, source)
    return gradient if gradient.dtype is dtype else gradient.to(dtype)


def sum_to_shape(gradient: Any, shape: tuple[int, ...], source: Any) -> Any:
    """The reverse of broadcasting: sum over the axes that `shape` lacks or has as 1."""
    given = gradient._shape
    extra = len(given) - len(shape)
    if extra >= 0 and all(s in (1, given[extra + i]) for i, s in enumerate(shape)):
        stretched = [extra + i for i, s in enumerate(shape) if s == 1 and given[extra + i] != 1]
        axes = (*range(extra), *stretched)
        return gradient.sum(axes).reshape(shape)
    if extra <= 0 and all(s in (1, shape[i - extra]) for i, s in enumerate(given)):
        return gradient.expand(shape)
    raise GradientError(
        f"{source!r}: backward returned a gradient of shape {given} for a tensor of shape {shape}; "
        f"it must have that shape, or broadcast from it."
    )
