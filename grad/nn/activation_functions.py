"""Activation functions with thresholds and slopes, Gumbel's softmax, and the forms in place.

`functional.py` gives them out with the others, which it has itself.
"""

from __future__ import annotations

import warnings

from grad.dtype import DType
from grad.ops.registry import REGISTRY
from grad.tensor import Tensor


def _result(input: Tensor, value: Tensor, inplace: bool) -> Tensor:
    """`value`, written over `input` when that is wanted."""
    return input.copy_(value) if inplace else value


def celu(input: Tensor, alpha: float = 1.0, inplace: bool = False) -> Tensor:
    """``x`` where positive, else ``alpha * (exp(x / alpha) - 1)``."""
    return _result(input, Tensor.celu(input, alpha), inplace)


def threshold(input: Tensor, threshold: float, value: float, inplace: bool = False) -> Tensor:
    """``x`` where it is above `threshold`, else `value`."""
    return _result(input, Tensor.threshold(input, threshold, value), inplace)


def hardshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """0 where ``|x| <= lambd``, else ``x``."""
    return Tensor.hardshrink(input, lambd)


def softshrink(input: Tensor, lambd: float = 0.5) -> Tensor:
    """``x`` moved towards zero by `lambd`, 0 where it would pass it."""
    return Tensor.softshrink(input, lambd)


def tanhshrink(input: Tensor) -> Tensor:
    """``x - tanh(x)``."""
    return Tensor.tanhshrink(input)


def prelu(input: Tensor, weight: Tensor) -> Tensor:
    """``x`` where positive, else ``weight * x``; one weight, or one for each channel (axis 1)."""
    return Tensor.prelu(input, weight)


def rrelu(
    input: Tensor,
    lower: float = 1 / 8,
    upper: float = 1 / 3,
    training: bool = False,
    inplace: bool = False,
) -> Tensor:
    """``x`` where positive, else ``x`` times a slope.

    The slope is random between `lower` and `upper` for each element if `training`, else their mean.
    """
    return _result(input, REGISTRY["rrelu"](input, lower, upper, training), inplace)


def softmin(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: DType | None = None
) -> Tensor:
    """Softmax of ``-x``; with `dtype`, of the input converted to that first."""
    axis = default_axis("softmin", input, _stacklevel) if dim is None else dim
    return Tensor.softmin(input, axis, dtype=dtype)


def default_axis(name: str, input: Tensor, level: int) -> int:
    """The axis of `name` where none is given: the first of 0, 1 or 3 axes, else the second.

    Warns as PyTorch does; `level` is that of the line to name (3: who called who asks).
    """
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include "
        f"dim=X as an argument.",
        stacklevel=level,
    )
    return 0 if len(input.shape) in (0, 1, 3) else 1


def gumbel_softmax(
    logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """A random sample of Gumbel's softmax distribution with temperature `tau`, along `dim`.

    Jang, Gu, Poole, "Categorical reparameterization with Gumbel-softmax", 2017. With `hard` the
    result is 1 at the largest element and 0 elsewhere, with the gradient of the soft one. `eps` is
    not used, as in PyTorch.

    Raises:
        DTypeError: the logits are not floating.
    """
    # Minus the logarithm of an exponentially distributed number; where that is of 0 or below
    # the least number, the sample is -inf and its probability 0.
    uniform = REGISTRY["rand_like"](logits)
    noise = -((-(uniform.log())).log())
    soft = ((logits + noise) / tau).softmax(dim)
    if not hard:
        return soft
    index = soft.detach().max(dim, keepdim=True)[1]
    ones = logits.new_ones(tuple(index.shape))
    return logits.new_zeros(logits.shape).scatter(dim, index, ones) - soft.detach() + soft


# -- in place --------------------------------------------------------------------------------------
def relu_(input: Tensor) -> Tensor:
    """`relu` in place."""
    return Tensor.relu_(input)


def elu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """`elu` in place."""
    return Tensor.elu_(input, alpha)


def selu_(input: Tensor) -> Tensor:
    """`selu` in place."""
    return Tensor.selu_(input)


def celu_(input: Tensor, alpha: float = 1.0) -> Tensor:
    """`celu` in place."""
    return Tensor.celu_(input, alpha)


def leaky_relu_(input: Tensor, negative_slope: float = 0.01) -> Tensor:
    """`leaky_relu` in place."""
    return Tensor.leaky_relu_(input, negative_slope)


def hardtanh_(input: Tensor, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """`hardtanh` in place."""
    return Tensor.hardtanh_(input, min_val, max_val)


def threshold_(input: Tensor, threshold: float, value: float) -> Tensor:
    """`threshold` in place."""
    return Tensor.threshold_(input, threshold, value)


def rrelu_(
    input: Tensor, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False
) -> Tensor:
    """`rrelu` in place."""
    return rrelu(input, lower, upper, training, True)
