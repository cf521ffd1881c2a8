"""Numbers of the gamma law of rate 1, by concentrations that a tensor says, an element each.

NumPy's generators draw them, as they draw counts (random_counts.py). The gradient is that of the
quantile: a number x whose place in the law stays what it is moves by ``-(dP/da) / p`` when the
concentration a does, where P is the law's distribution function, the incomplete gamma function, and
p its density (Figurnov, Mohamed, Mnih, "Implicit reparameterization gradients", NeurIPS 2018).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from grad.autograd.function import Context, Function
from grad.dtype import dtypes
from grad.graph.host import Array, host, hosted
from grad.graph.node import cast, reshape
from grad.ops.promotion import require_floating, wrap
from grad.ops.random_counts import in_blocks, numpy_generator

_MOST_TERMS = 10_000
_NEARLY = 1e-15


class StandardGamma(Function):
    """Numbers of the gamma law of concentration x and rate 1; never 0.

    Raises:
        TypeError: x is not floating.
    """

    @staticmethod
    def forward(ctx: Context, x: Any) -> Any:
        require_floating("standard_gamma", x.dtype)
        found = in_blocks(gamma_numbers, x._shape, None, x.node)
        result = wrap(cast(found, x.dtype)).clamp(min=float(np.finfo(_wide(x)).tiny))
        ctx.save_for_backward(x, result)
        return result

    @staticmethod
    def backward(ctx: Context, grad: Any) -> Any:
        x, result = ctx.saved_tensors
        return grad * QuantileSlope.apply(x, result)


def _wide(x: Any) -> Any:
    """Halves are cut off where float32 is, which rounds to 0 in float16 only."""
    return np.float64 if x.dtype is dtypes.float64 else np.float32


class QuantileSlope(Function):
    """How a number of the gamma law moves with the concentration. Has no gradient itself."""

    @staticmethod
    def forward(ctx: Context, concentration: Any, number: Any) -> Any:
        wide = [value.detach().to(dtypes.float64) for value in (concentration, number)]
        count = wide[0].numel()
        sources = [value.reshape(count).node for value in (*wide, (wide[0] + 1).digamma())]
        slopes = host(gamma_slopes, sources, (count,), dtypes.float64)
        return wrap(cast(reshape(slopes, concentration._shape), concentration.dtype))


@hosted
def gamma_numbers(result: Array, keys: Array, concentrations: Array) -> None:
    """In each row numbers of the gamma law."""
    for row, key, concentration in zip(result, keys, concentrations, strict=True):
        valid = concentration > 0
        drawn = numpy_generator(key).standard_gamma(np.where(valid, concentration, 1.0))
        row[:] = np.where(valid, drawn, np.nan)


@hosted
def gamma_slopes(result: Array, concentration: Array, number: Array, digamma: Array) -> None:
    """``-(dP/da) / p`` at each number x; `digamma` is that of ``a + 1``."""
    below = number <= concentration + 1
    for chosen, slopes in ((below, _by_series), (~below, _by_fraction)):
        if chosen.any():
            result[chosen] = slopes(concentration[chosen], number[chosen], digamma[chosen])


def _by_series(a: Array, x: Array, digamma: Array) -> Array:
    """By the series ``P / p = x / a * sum(x**n / ((a + 1) ... (a + n)))`` and its derivative."""
    term, term_slope = np.ones_like(a), np.zeros_like(a)
    total, total_slope = term.copy(), term_slope.copy()
    for n in range(1, _MOST_TERMS):
        factor = x / (a + n)
        term_slope = (term_slope - term / (a + n)) * factor
        term = term * factor
        total += term
        total_slope += term_slope
        if np.all(np.abs(term_slope) <= _NEARLY * np.abs(total_slope)):
            break
    found = -x / a * (total * (np.log(x) - digamma) + total_slope)
    return np.where(x == 0, 0.0, found)


def _by_fraction(a: Array, x: Array, digamma: Array) -> Array:
    """By Legendre's continued fraction of ``(1 - P) / (p x)`` and its derivative, in the way of
    Lentz (1976).
    """
    b = x + 1 - a
    c, c_slope = np.full_like(a, 1e300), np.zeros_like(a)
    d, d_slope = 1 / b, 1 / b**2
    total, total_slope = d.copy(), d_slope.copy()
    for n in range(1, _MOST_TERMS):
        numerator, b = n * (a - n), b + 2
        d_next = 1 / (numerator * d + b)
        d_slope = -(d_next**2) * (n * d + numerator * d_slope - 1)
        c_slope = n / c - numerator * c_slope / c**2 - 1
        c, d = b + numerator / c, d_next
        step, step_slope = c * d, c_slope * d + c * d_slope
        total_slope = total_slope * step + total * step_slope
        total = total * step
        if np.all(np.abs(step - 1) + np.abs(step_slope) <= _NEARLY):
            break
    return x * (total * (np.log(x) - (digamma - 1 / a)) + total_slope)
