"""The incomplete gamma functions, regularized, and Hurwitz's zeta function.

Where x is small beside a it is the power series, where it is large a continued fraction, for large
numbers close to each other an integral (Press et al., "Numerical Recipes", 3rd edition, 6.2). The
zeta function is the sum of some terms, and Euler and Maclaurin's formula for the rest (Abramowitz
and Stegun, "Handbook of mathematical functions", 23.1.30).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from grad.autograd.function import Context
from grad.dtype import DType, dtypes
from grad.errors import GradientError
from grad.graph.host import hosted
from grad.ops.gamma import BERNOULLI
from grad.ops.halves import Pointwise
from grad.ops.host_pointwise import on_host
from grad.ops.registry import FLOATING, Array, Sample, op
from grad.ops.samples import between, operands

_LARGE = 100.0
_STEPS = 2000
_TINY = 1e-300
_EPSILON = float(np.finfo(np.float64).eps)


# -- incomplete gamma, of positive and finite numbers ----------------------------------------------
def _density(a: Array, x: Array) -> Array:
    """``x ** a * exp(-x) / gamma(a)``; by Stirling's formula for large a."""
    size = np.maximum(a, _LARGE)
    ratio = (x - size) / size
    correction = 1 / (12 * size) - 1 / (360 * size**3) + 1 / (1260 * size**5)
    far = np.exp(size * (np.log1p(ratio) - ratio) - correction) * np.sqrt(size / (2 * np.pi))
    small = np.minimum(a, _LARGE)
    logarithm = np.array([math.lgamma(value) for value in small.tolist()]).reshape(a.shape)
    near = np.exp(small * np.log(x) - x - logarithm)
    return np.where(a >= _LARGE, far, near)


def _series(a: Array, x: Array) -> Array:
    """The lower function, for x below a + 1."""
    term = total = 1 / a
    for step in range(1, _STEPS):
        term = term * (x / (a + step))
        total = total + term
        if (term <= total * _EPSILON).all():
            break
    return total * _density(a, x)


def _fraction(a: Array, x: Array) -> Array:
    """The upper function, for x above a + 1, by Lentz's method."""
    b = x + 1 - a
    c = np.full_like(x, 1 / _TINY)
    d = h = 1 / b
    for i in range(1, _STEPS):
        factor = -i * (i - a)
        b = b + 2
        d = factor * d + b
        d = 1 / np.where(np.abs(d) < _TINY, _TINY, d)
        c = b + factor / c
        c = np.where(np.abs(c) < _TINY, _TINY, c)
        h = h * d * c
        if (np.abs(d * c - 1) <= _EPSILON).all():
            break
    return h * _density(a, x)


@functools.cache
def _gauss() -> tuple[Array, Array]:
    """Nodes and weights of Gauss and Legendre's rule for an integral from 0 to 1."""
    nodes, weights = np.polynomial.legendre.leggauss(64)
    return (nodes + 1) / 2, weights / 2


def _integral(a: Array, x: Array) -> Array:
    """The upper function for x above a - 1, minus the lower one below; for large a."""
    peak = a - 1
    width = np.sqrt(peak)
    above = np.maximum(peak + 11.5 * width, x + 6 * width)
    below = np.maximum(0, np.minimum(peak - 7.5 * width, x - 5 * width))
    length = np.where(x > peak, above, below) - x
    nodes, weights = _gauss()
    ratio = ((x - peak)[:, None] + length[:, None] * nodes) / peak[:, None]
    heights = np.exp(peak[:, None] * (np.log1p(ratio) - ratio)) @ weights
    correction = 1 / (12 * peak) - 1 / (360 * peak**3)
    return heights * length * np.exp(-correction) / np.sqrt(2 * np.pi * peak)


def _both(a: Array, x: Array) -> tuple[Array, Array]:
    """The lower and the upper function, the smaller of which is exact."""
    lower, upper = np.empty_like(a), np.empty_like(a)
    close = (a >= _LARGE) & (np.abs(x - a) < 0.4 * a)
    small = ~close & (x < a + 1)
    for where, find, is_lower in (
        (small, _series, lambda a, x: np.ones(a.shape, bool)),
        (~close & ~small, _fraction, lambda a, x: np.zeros(a.shape, bool)),
        (close, _integral, lambda a, x: x <= a - 1),
    ):
        if where.any():
            found = np.abs(find(a[where], x[where]))
            first = is_lower(a[where], x[where])
            lower[where] = np.where(first, found, 1 - found)
            upper[where] = np.where(first, 1 - found, found)
    return lower, upper


def _incomplete(result: Array, a: Array, x: Array, which: int) -> None:
    usual = (a > 0) & (x > 0) & np.isfinite(a) & np.isfinite(x)
    result[...] = np.nan
    result[usual] = _both(a[usual], x[usual])[which]
    # All of it lies above 0 and below infinity.
    nothing = ((x == 0) & (a > 0)) | (np.isposinf(a) & (x >= 0) & np.isfinite(x))
    everything = ((a == 0) & (x > 0)) | (np.isposinf(x) & (a >= 0) & np.isfinite(a))
    result[nothing], result[everything] = (0, 1) if which == 0 else (1, 0)


@hosted
def lower_gamma(result: Array, a: Array, x: Array) -> None:
    """The regularized lower incomplete gamma function."""
    _incomplete(result, a, x, 0)


@hosted
def upper_gamma(result: Array, a: Array, x: Array) -> None:
    """The regularized upper incomplete gamma function."""
    _incomplete(result, a, x, 1)


def _reference(a: Array, x: Array) -> Array:
    """The lower function by its power series."""
    a, x = np.broadcast_arrays(a.astype(np.float64), x)
    gamma = np.vectorize(math.gamma, otypes=[float])
    terms = [x ** (a + n) * np.exp(-x) / gamma(a + n + 1) for n in range(100)]
    return np.sum(terms, 0)


def _whole_first(random: np.random.Generator, shape: Any, dtype: DType) -> Array:
    return between(1, 6)(random, shape, dtypes.int64)


_SAMPLES = (
    *operands(((3, 4), (4,)), low=0.3, high=8, gradient=False),
    # The first operand has no gradient; whole numbers want none.
    *operands(((3, 4), (4,)), first=_whole_first, second=between(0.3, 8), name="whole"),
)


class _Incomplete(Pointwise):
    """One of the two functions; `_sign` is that of its derivative by x."""

    rounds_once = True
    _sign: int
    _name: str
    _function: Callable[..., None]

    @classmethod
    def forward(cls, ctx: Context, x: Any, other: Any) -> Any:
        ctx.save_for_backward(x, other)
        return on_host(cls._name, cls._function, x, other)

    @classmethod
    def backward(cls, ctx: Context, grad: Any) -> Any:
        a, x = ctx.saved_tensors
        if ctx.needs_input_grad[0]:
            raise GradientError(
                f"{cls._name}: there is no derivative by the first operand; use a.detach()."
            )
        density = ((a - 1) * x.log() - x - a.lgamma()).exp()
        return None, grad * (density * cls._sign)


@op(
    method="igamma",
    inplace=True,
    reference=_reference,
    samples=_SAMPLES,
    dtypes=FLOATING,
)
class Igamma(_Incomplete):
    """The regularized lower incomplete gamma function of `x` (often called a) and `other`.

    It is ``integral of t ** (x - 1) * exp(-t) from 0 to other / gamma(x)``; NaN for negative
    numbers. Only `other` has a gradient, as in PyTorch.

    Example:
        >>> grad.igamma(grad.tensor([1.0]), grad.tensor([2.0]))
        tensor([0.8647])
    """

    _sign, _name, _function = 1, "igamma", staticmethod(lower_gamma)


@op(
    method="igammac",
    inplace=True,
    reference=lambda a, x: 1 - _reference(a, x),
    samples=_SAMPLES,
    dtypes=FLOATING,
)
class Igammac(_Incomplete):
    """The regularized upper incomplete gamma function, ``1 - igamma(x, other)`` without loss."""

    _sign, _name, _function = -1, "igammac", staticmethod(upper_gamma)


# -- zeta ------------------------------------------------------------------------------------------
def _zeta_sum(s: Array, q: Array) -> Array:
    """The sum of ``(q + k) ** -s`` over all k from 0: terms up to 10 at least, and the rest."""
    total, a = np.zeros_like(s), q.copy()
    count = int(max(10, math.ceil(10 - q.min(initial=0))))
    for _ in range(count):
        total += a**-s
        a += 1
    total += a ** (1 - s) / (s - 1) + 0.5 * a**-s
    rising, power = s, a ** (-s - 1)
    for j, (above, below) in enumerate(BERNOULLI, 1):
        total += above / below / math.factorial(2 * j) * rising * power
        rising = rising * (s + 2 * j - 1) * (s + 2 * j)
        power = power / (a * a)
    return total


@hosted
def hurwitz_zeta(result: Array, s: Array, q: Array) -> None:
    """Hurwitz's zeta function; infinite at its poles, NaN where it is not real, or below 1."""
    result[...] = np.nan
    whole = q == np.floor(q)
    usual = (s > 1) & np.isfinite(s) & np.isfinite(q) & ((q > 0) | (~whole & (s == np.floor(s))))
    result[usual] = _zeta_sum(s[usual], q[usual])
    result[(s == 1) | ((s > 1) & (q <= 0) & whole)] = np.inf
    result[np.isnan(s) | np.isnan(q)] = np.nan
    result[(s > 1) & np.isposinf(q)] = 0
    result[np.isposinf(s) & (q > 1)] = 0
    result[np.isposinf(s) & (q == 1)] = 1
    result[np.isposinf(s) & (q > 0) & (q < 1)] = np.inf


def _zeta_reference(s: Array, q: Array) -> Array:
    s, q = np.broadcast_arrays(s.astype(np.float64), q)
    count = 200_000
    terms = ((q[..., None] + np.arange(count)) ** -s[..., None]).sum(-1)
    return terms + (q + count - 0.5) ** (1 - s) / (s - 1)


@op(
    function="special_zeta",
    reference=_zeta_reference,
    samples=[
        Sample(
            ((3,), (3,)),
            make=lambda random, dtype: (
                np.array([2, 3, 5]),
                random.uniform(0.5, 4, 3).astype(dtype.numpy),
            ),
        )
    ],
    dtypes=FLOATING,
)
class Zeta(Pointwise):
    """Hurwitz's zeta function of `x` and `other`, the sum of ``(k + other) ** -x`` from k = 0.

    Riemann's where `other` is 1. Only `other` has a gradient, as in PyTorch.

    Example:
        >>> grad.special.zeta(grad.tensor([2.0]), 1)
        tensor([1.6449])
    """

    rounds_once = True

    @staticmethod
    def forward(ctx: Context, x: Any, other: Any) -> Any:
        ctx.save_for_backward(x, other)
        return on_host("zeta", hurwitz_zeta, x, other)

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        s, q = ctx.saved_tensors
        if ctx.needs_input_grad[0]:
            raise GradientError("zeta: there is no derivative by the first operand.")
        return None, grad * -s * Zeta.apply(s + 1, q)
