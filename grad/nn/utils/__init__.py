"""Helpers for training loops: limits for gradients, and parameters as one vector.

`rnn.py` has what belongs to sequences of different lengths.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from grad.autograd.modes import no_grad
from grad.dtype import dtypes
from grad.nn.utils import rnn
from grad.ops.registry import REGISTRY
from grad.tensor import Tensor

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "parameters_to_vector",
    "vector_to_parameters",
    "rnn",
]


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    given = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return [parameter.grad for parameter in given if parameter.grad is not None]


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scale all gradients together so that their common norm is at most `max_norm`.

    Returns:
        The norm before, a tensor of shape ().

    Raises:
        RuntimeError: the norm is not finite, if `error_if_nonfinite` (this looks at its value).
    """
    gradients = _gradients(parameters)
    with no_grad():
        if not gradients:
            return Tensor.zeros(())
        total = _norm(gradients, float(norm_type))
        if error_if_nonfinite and not math.isfinite(float(total)):
            raise RuntimeError(
                f"The total norm of order {norm_type} for gradients from `parameters` is "
                "non-finite, so it cannot be clipped."
            )
        factor = (max_norm / (total + 1e-6)).clamp(max=1.0)
        for gradient in gradients:
            gradient.mul_(factor.to(gradient.dtype))
    return total


def _norm(gradients: Sequence[Tensor], order: float) -> Tensor:
    """The norm of all gradients together, in float32 at least."""
    wide = [g.to(dtypes.float32) if g.dtype.itemsize < 4 else g for g in gradients]
    if math.isinf(order):
        parts = [g.abs().max() for g in wide]
        return REGISTRY["stack"](tuple(parts)).max()
    if order == 2.0:
        return REGISTRY["stack"](tuple((g * g).sum() for g in wide)).sum().sqrt()
    return REGISTRY["stack"](tuple((g.abs() ** order).sum() for g in wide)).sum() ** (1.0 / order)


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Limit each element of each gradient to ``[-clip_value, clip_value]``."""
    with no_grad():
        for gradient in _gradients(parameters):
            gradient.clamp_(-clip_value, clip_value)


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All parameters, flattened, one after the other."""
    return REGISTRY["cat"](tuple(parameter.reshape(-1) for parameter in parameters))


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Copy the pieces of a vector into the parameters: the opposite of `parameters_to_vector`."""
    start = 0
    with no_grad():
        for parameter in parameters:
            count = math.prod(parameter.shape)
            parameter.copy_(vec[start : start + count].reshape(parameter.shape))
            start += count
