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
from grad.dtype import dtypes
from grad.errors import ArgumentError, ShapeError
from grad.linalg import qr
from grad.ops.promotion import accumulation_dtype
from grad.special import ndtri
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
    """Fill from N(mean, std ** 2) restricted to ``[a, b]``: quantiles of uniform numbers.

    Raises:
        ValueError: `std` is not positive, `a` is above `b`, or ``[a, b]`` is so far from `mean`
            that nothing falls inside.
    """
    if not std > 0 or not a <= b:
        raise ArgumentError(
            f"trunc_normal_: std={std} must be positive, and a={a} not above b={b}."
        )
    low, high = (a - mean) / std, (b - mean) / std
    # From the side where probabilities are small: near 1 they would be rounded to 1.
    flipped = low + high > 0
    if flipped:
        low, high = -high, -low
    least, most = (math.erfc(-bound / math.sqrt(2)) / 2 for bound in (low, high))
    if not most > 0:
        raise ArgumentError(
            f"trunc_normal_: nothing of N({mean}, {std}^2) falls inside [{a}, {b}]; use uniform_."
        )
    with no_grad():
        unit = Tensor.empty(tensor.shape, dtype=dtypes.float64).uniform_(generator=generator)
        found = ndtri(unit * (most - least) + least).clamp(low, high)
        found = found * (-std if flipped else std) + mean
        return tensor.copy_(found.to(tensor.dtype).clamp(a, b))


def sparse_(
    tensor: Tensor, sparsity: float, std: float = 0.01, generator: Generator = None
) -> Tensor:
    """Fill a matrix from N(0, std ** 2), then a fraction `sparsity` of each column, rounded up,
    with zeros at random.

    Martens, "Deep learning via Hessian-free optimization", 2010.

    Raises:
        ValueError: the tensor is no matrix.
    """
    if len(tensor.shape) != 2:
        raise ShapeError(f"sparse_: needs a matrix, got shape {tuple(tensor.shape)}.")
    count = math.ceil(sparsity * tensor.shape[0])
    with no_grad():
        tensor.normal_(0.0, std, generator=generator)
        order = Tensor.rand(tensor.shape, dtype=dtypes.float64, generator=generator).argsort(0)
        return tensor.copy_(tensor.masked_fill(order.argsort(0) < count, 0.0))


def orthogonal_(tensor: Tensor, gain: float = 1.0, generator: Generator = None) -> Tensor:
    """Fill with `gain` times a matrix whose rows (or columns, if there are fewer) are orthonormal,
    all such matrices equally likely; the axes after the first count as one.

    Saxe, McClelland, Ganguli, "Exact solutions to the nonlinear dynamics of learning in deep linear
    neural networks", 2013.

    Raises:
        ValueError: the tensor has less than 2 axes.
    """
    if len(tensor.shape) < 2:
        raise ShapeError(f"orthogonal_: needs 2 axes or more, got shape {tuple(tensor.shape)}.")
    if 0 in tensor.shape:
        return tensor
    rows, columns = tensor.shape[0], math.prod(tensor.shape[1:])
    kind = accumulation_dtype(tensor.dtype)
    with no_grad():
        drawn = Tensor.randn(
            max(rows, columns), min(rows, columns), dtype=kind, generator=generator
        )
        q, r = qr(drawn)
        # LAPACK's signs are not random: Mezzadri, "How to generate random matrices from the
        # classical compact groups", 2007.
        q = q * r.diagonal().sign() * gain
        return tensor.copy_((q.t() if rows < columns else q).reshape(tensor.shape))


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


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """Fill the weight of a convolution ``(out, in, *window)`` such that it gives its input back, as
    far as there are channels; in each of `groups`.

    Raises:
        ValueError: the tensor has not 3 to 5 axes, or the groups do not divide the first.
    """
    if len(tensor.shape) not in (3, 4, 5):
        raise ShapeError(f"dirac_: needs 3, 4 or 5 axes, got shape {tuple(tensor.shape)}.")
    outputs, inputs, *window = tensor.shape
    if outputs % groups:
        raise ShapeError(f"dirac_: {outputs} output channels are no multiple of {groups} groups.")
    with no_grad():
        tensor.zero_()
        if 0 not in tensor.shape:
            number_in_group = Tensor.arange(outputs) % (outputs // groups)
            same = number_in_group.unsqueeze(1) == Tensor.arange(inputs)
            centre = tuple([size // 2 for size in window])
            tensor[:, :, *centre] = same.to(tensor.dtype)
        return tensor


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
