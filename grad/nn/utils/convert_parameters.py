"""Parameters as one vector, and back."""

from __future__ import annotations

import math
from collections.abc import Iterable

from grad.autograd.modes import no_grad
from grad.ops.registry import REGISTRY
from grad.tensor import Tensor


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All parameters, flattened, one after the other."""
    return REGISTRY["cat"](tuple(parameter.reshape(-1) for parameter in parameters))


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Copy the pieces of a vector into the parameters: the opposite of `parameters_to_vector`.

    Raises:
        TypeError: `vec` is no tensor.
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected torch.Tensor, but got: {type(vec).__name__}")
    start = 0
    with no_grad():
        for parameter in parameters:
            count = math.prod(parameter.shape)
            parameter.copy_(vec[start : start + count].reshape(parameter.shape))
            start += count
