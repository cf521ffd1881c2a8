"""Relatives of the error function: its inverse, its scaled complement, the normal distribution.

Quantiles are M. Wichura's algorithm AS 241, "The percentage points of the normal distribution",
Applied Statistics 37(3), 1988: three ratios of polynomials, about 16 digits.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from grad.dtype import dtypes
from grad.ops import special_coefficients as table
from grad.ops.formulas import Formula, ratio
from grad.ops.registry import FLOATING, Array, op
from grad.ops.samples import real
from grad.ops.select import Where

_where = Where.apply
_SQRT_HALF = math.sqrt(0.5)
_SQRT_2 = math.sqrt(2)
_SQRT_PI = math.sqrt(math.pi)

# AS 241: between the quantiles of 0.075 and 0.925, of the tails, and of the far tails.
_MIDDLE_ABOVE = (
    3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3,
    1.3731693765509461125e4, 4.5921953931549871457e4, 6.7265770927008700853e4,
    3.3430575583588128105e4, 2.5090809287301226727e3,
)  # fmt: skip
_MIDDLE_BELOW = (
    1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
    2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4,
    5.2264952788528545610e3,
)  # fmt: skip
_TAIL_ABOVE = (
    1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0,
    3.64784832476320460504e0, 1.27045825245236838258e0, 2.41780725177450611770e-1,
    2.27238449892691845833e-2, 7.74545014278341407640e-4,
)  # fmt: skip
_TAIL_BELOW = (
    1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
    1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4,
    1.05075007164441684324e-9,
)  # fmt: skip
_FAR_TAIL_ABOVE = (
    6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0,
    2.96560571828504891230e-1, 2.65321895265761230930e-2, 1.24266094738807843860e-3,
    2.71155556874348757815e-5, 2.01033439929228813265e-7,
)  # fmt: skip
_FAR_TAIL_BELOW = (
    1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
    7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7,
    2.04426310338993978564e-15,
)  # fmt: skip


def _quantile(from_middle: Any, tail: Any) -> Any:
    """Where the normal distribution is ``from_middle + 1/2``; `tail` is the smaller of that and
    what it lacks to 1.
    """
    square = 0.180625 - from_middle * from_middle
    middle = from_middle * ratio(square, _MIDDLE_ABOVE, _MIDDLE_BELOW)
    depth = (-tail.log()).sqrt()
    near = ratio(depth - 1.6, _TAIL_ABOVE, _TAIL_BELOW)
    far = ratio(depth - 5.0, _FAR_TAIL_ABOVE, _FAR_TAIL_BELOW)
    size = _where(depth <= 5.0, near, far).masked_fill(tail == 0, math.inf)
    outside = _where(from_middle < 0, -size, size)
    return _where(from_middle.abs() <= 0.425, middle, outside)


def _scaled_erfc(x: Any) -> Any:
    """``exp(x * x) * erfc(x)``, of x from 0 on."""
    y = (x * 0.5 + 1).reciprocal()
    return y * ratio(y, table.ERFCX_ABOVE, table.ERFCX_BELOW)


def _exp_of_square(x: Any) -> Any:
    """``exp(x * x)``, of the square of a number of 24 bits, which is exact, and of the rest."""
    high = x.to(dtypes.float32).to(dtypes.float64)
    return (high * high).exp() * ((x - high) * (x + high)).exp()


_erfc = np.vectorize(math.erfc, otypes=[float])


def _distribution(x: Array) -> Array:
    return _erfc(-x * _SQRT_HALF) / 2


def _quantiles(x: Array) -> Array:
    """Where the distribution is x, by halving an interval."""
    low, high = np.full(x.shape, -10.0), np.full(x.shape, 10.0)
    for _ in range(60):
        middle = (low + high) / 2
        below = _distribution(middle) < x
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    return low


def _erfcx_reference(x: Array) -> Array:
    return np.exp(x * x) * _erfc(x)


@op(
    method="erfinv",
    inplace=True,
    reference=lambda x: _quantiles((x + 1) / 2) * _SQRT_HALF,
    samples=real(-0.95, 0.95),
    dtypes=FLOATING,
)
class Erfinv(Formula):
    """Inverse of `erf`; infinite at 1 and -1, NaN outside.

    Example:
        >>> grad.erfinv(grad.tensor([0.0, 0.5]))
        tensor([0.0000, 0.4769])
    """

    @staticmethod
    def formula(x: Any) -> Any:
        return _quantile(x * 0.5, (1 - x.abs()) * 0.5) * _SQRT_HALF

    @staticmethod
    def derivative(x: Any, result: Any) -> Any:
        return (result * result).exp() * (_SQRT_PI / 2)


@op(
    function="special_ndtri",
    reference=_quantiles,
    samples=real(0.05, 0.95),
    dtypes=FLOATING,
)
class Ndtri(Formula):
    """Inverse of `special.ndtr`: where the normal distribution is x; NaN outside [0, 1]."""

    @staticmethod
    def formula(x: Any) -> Any:
        return _quantile(x - 0.5, x.minimum(1 - x))

    @staticmethod
    def derivative(x: Any, result: Any) -> Any:
        return (result * result * 0.5).exp() * (_SQRT_2 * _SQRT_PI)


@op(
    function="special_erfcx",
    reference=_erfcx_reference,
    samples=real(-2, 4),
    dtypes=FLOATING,
)
class Erfcx(Formula):
    """Scaled complementary error function, ``exp(x * x) * erfc(x)``."""

    @staticmethod
    def formula(x: Any) -> Any:
        positive = _scaled_erfc(x.abs())
        negative = (_exp_of_square(x) * 2 - positive).masked_fill(x < -27, math.inf)
        return _where(x < 0, negative, positive)

    @staticmethod
    def derivative(x: Any, result: Any) -> Any:
        return x * result * 2 - 2 / _SQRT_PI


@op(
    function="special_ndtr",
    reference=_distribution,
    samples=real(-3, 3),
    dtypes=FLOATING,
)
class Ndtr(Formula):
    """The normal distribution: how likely a standard normal number is at most x."""

    @staticmethod
    def formula(x: Any) -> Any:
        return (x * -_SQRT_HALF).erfc() * 0.5

    @staticmethod
    def derivative(x: Any, result: Any) -> Any:
        return (x * x * -0.5).exp() * (_SQRT_HALF / _SQRT_PI)


@op(
    function="special_log_ndtr",
    reference=lambda x: np.log(_distribution(x)),
    samples=real(-5, 3),
    dtypes=FLOATING,
)
class LogNdtr(Formula):
    """Logarithm of the normal distribution, without underflow."""

    @staticmethod
    def formula(x: Any) -> Any:
        scaled = x * _SQRT_HALF
        tail = (_scaled_erfc(scaled.abs()) * 0.5).log() - scaled * scaled
        return _where(x < -1, tail, (scaled.erfc() * -0.5).log1p())

    @staticmethod
    def derivative(x: Any, result: Any) -> Any:
        return Erfcx.apply(x * -_SQRT_HALF).reciprocal() * (_SQRT_2 / _SQRT_PI)
