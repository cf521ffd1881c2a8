"""How weights start: fills tensors in place, never recorded by autograd.

Source of the scaled ones: He, Zhang, Ren, Sun, "Delving deep into rectifiers", 2015 (kaiming) and
Glorot, Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010
(xavier).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from grad.autograd.modes import no_grad
from grad.errors import ShapeError
from grad.tensor import Tensor

Generator = Any


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0, generator: Generator = None) -> Tensor:
    """Fill from U(a, b)."""
    with no_grad():
        return tensor.uniform_(a, b, generator=generator)


def normal_(
    tensor: Tensor, mean: float = 0.0, std: float = 1.0, generator: Generator = None
) -> Tensor:
    """Fill from N(mean, std ** 2)."""
    with no_grad():
        return tensor.normal_(mean, std, generator=generator)


def trunc_normal_(
    tensor: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Generator = None,
) -> Tensor:
    """Fill from N(mean, std ** 2) restricted to ``[a, b]``: what falls outside is drawn again.

    Raises:
        ValueError: hardly anything falls inside.
    """
    low, high = (math.erf((bound - mean) / (std * math.sqrt(2))) for bound in (a, b))
    if high - low < 0.01:
        raise ValueError(
            f"trunc_normal_: [{a}, {b}] holds less than 0.5 % of N({mean}, {std}^2); use uniform_."
        )
    with no_grad():
        tensor.normal_(mean, std, generator=generator)
        outside = (tensor < a) | (tensor > b)
        while bool(outside.any()):
            again = Tensor.empty_like(tensor).normal_(mean, std, generator=generator)
            tensor.copy_(again.where(outside, tensor))
            outside = (tensor < a) | (tensor > b)
        return tensor


def constant_(tensor: Tensor, val: float) -> Tensor:
    """Fill with one value."""
    with no_grad():
        return tensor.fill_(val)


def ones_(tensor: Tensor) -> Tensor:
    """Fill with 1."""
    return constant_(tensor, 1.0)


def zeros_(tensor: Tensor) -> Tensor:
    """Fill with 0."""
    return constant_(tensor, 0.0)


def eye_(tensor: Tensor) -> Tensor:
    """Fill a matrix with 1 on the diagonal, 0 elsewhere."""
    if len(tensor.shape) != 2:
        raise ShapeError(f"eye_: needs 2 axes, got shape {tuple(tensor.shape)}.")
    with no_grad():
        return tensor.copy_(Tensor.eye(*tensor.shape))


# -- scaled by the number of inputs and outputs ----------------------------------------------------
# Factors that keep the variance of a signal through a non-linearity.
_GAINS: dict[str, Callable[[float], float]] = {
    "linear": lambda _: 1.0,
    "sigmoid": lambda _: 1.0,
    "tanh": lambda _: 5.0 / 3,
    "relu": lambda _: math.sqrt(2.0),
    "leaky_relu": lambda slope: math.sqrt(2.0 / (1 + slope**2)),
    "selu": lambda _: 3.0 / 4,
    **{f"conv{d}d": lambda _: 1.0 for d in (1, 2, 3)},
    **{f"conv_transpose{d}d": lambda _: 1.0 for d in (1, 2, 3)},
}


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """The recommended gain for a non-linearity; `param` is the slope of ``"leaky_relu"`` (0.01)."""
    if nonlinearity not in _GAINS:
        raise ValueError(f"Unsupported nonlinearity {nonlinearity}; there are {', '.join(_GAINS)}.")
    return _GAINS[nonlinearity](0.01 if param is None else param)


def _fans(tensor: Tensor) -> dict[str, int]:
    """Inputs and outputs that meet at one element of a weight ``(out, in, *window)``."""
    if len(tensor.shape) < 2:
        raise ShapeError(
            f"Fan in and fan out can not be computed for tensor with fewer than 2 dimensions; "
            f"got shape {tuple(tensor.shape)}. Use uniform_ or normal_."
        )
    window = math.prod(tensor.shape[2:])
    return {"fan_in": tensor.shape[1] * window, "fan_out": tensor.shape[0] * window}


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    fans = _fans(tensor)
    if mode not in fans:
        raise ValueError(f"Mode {mode} not supported, please use one of {list(fans)}")
    return calculate_gain(nonlinearity, a) / math.sqrt(max(fans[mode], 1))


def kaiming_uniform_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator = None,
) -> Tensor:
    """Fill from U(-k, k), ``k = gain * sqrt(3 / fan)``."""
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Tensor,
    a: float = 0.0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Generator = None,
) -> Tensor:
    """Fill from N(0, gain ** 2 / fan)."""
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0, generator: Generator = None) -> Tensor:
    """Fill from U(-k, k), ``k = gain * sqrt(6 / (fan_in + fan_out))``."""
    bound = gain * math.sqrt(6.0 / sum(_fans(tensor).values()))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Tensor, gain: float = 1.0, generator: Generator = None) -> Tensor:
    """Fill from N(0, 2 gain ** 2 / (fan_in + fan_out))."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / sum(_fans(tensor).values())), generator)
