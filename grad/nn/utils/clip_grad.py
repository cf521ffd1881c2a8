"""Limits for gradients: by their common norm, or element by element."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from grad.autograd.modes import no_grad
from grad.dtype import dtypes
from grad.ops.registry import REGISTRY
from grad.tensor import Tensor


def _listed(tensors: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _gradients(parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    return [p.grad for p in _listed(parameters) if p.grad is not None]


def get_total_norm(
    tensors: Tensor | Iterable[Tensor],
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of all `tensors` together, as if they were one vector, in float32 at least.

    `foreach` is accepted; it is one computation either way.

    Raises:
        RuntimeError: the norm is not finite, if `error_if_nonfinite` (this looks at its value).

    Example:
        >>> get_total_norm([Tensor([3.0]), Tensor([4.0])])
        tensor(5.)
    """
    given = _listed(tensors)
    with no_grad():
        if not given:
            return Tensor.zeros(())
        total = _norm(given, float(norm_type))
        if error_if_nonfinite and not math.isfinite(float(total)):
            raise RuntimeError(
                f"The total norm of order {norm_type} for gradients from `parameters` is "
                "non-finite, so it cannot be clipped. To disable this error and scale the "
                "gradients by the non-finite norm anyway, set `error_if_nonfinite=False`"
            )
        return total


def _norm(tensors: Sequence[Tensor], order: float) -> Tensor:
    wide = [t.to(dtypes.float32) if t.dtype.itemsize < 4 else t for t in tensors]
    if math.isinf(order):
        largest = order > 0
        parts = [(t.abs().max() if largest else t.abs().min()) for t in wide]
        stacked = REGISTRY["stack"](tuple(parts))
        return stacked.max() if largest else stacked.min()
    if order == 0.0:
        # Of each tensor how many are not zero, and then how many tensors have any.
        parts = [(t != 0).sum().to(t.dtype) for t in wide]
        return (REGISTRY["stack"](tuple(parts)) != 0).sum().to(dtypes.float32)
    if order == 2.0:
        return REGISTRY["stack"](tuple((t * t).sum() for t in wide)).sum().sqrt()
    return REGISTRY["stack"](tuple((t.abs() ** order).sum() for t in wide)).sum() ** (1.0 / order)


def clip_grads_with_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    total_norm: Tensor,
    foreach: bool | None = None,
) -> None:
    """Scale all gradients by ``max_norm / total_norm``, where that is below 1."""
    with no_grad():
        factor = (float(max_norm) / (total_norm + 1e-6)).clamp(max=1.0)
        for gradient in _gradients(parameters):
            gradient.mul_(factor.to(gradient.dtype))


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scale all gradients together so that their common norm is at most `max_norm`.

    Returns:
        The norm before, a tensor of shape ().

    Raises:
        RuntimeError: the norm is not finite, if `error_if_nonfinite` (this looks at its value).
    """
    given = _listed(parameters)
    total = get_total_norm(_gradients(given), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(given, max_norm, total)
    return total


def clip_grad_value_(
    parameters: Tensor | Iterable[Tensor], clip_value: float, foreach: bool | None = None
) -> None:
    """Limit each element of each gradient to ``[-clip_value, clip_value]``."""
    with no_grad():
        for gradient in _gradients(parameters):
            gradient.clamp_(-clip_value, clip_value)
