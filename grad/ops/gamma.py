"""The gamma function's logarithm and the derivatives of that.

Ratios of polynomials serve up to 3, asymptotic series beyond; negative numbers are reflected to
positive ones. The derivatives of digamma are sums over all inverse powers, by Euler and Maclaurin's
formula. Formulas: Abramowitz and Stegun, "Handbook of mathematical functions", 6.1, 6.3, 6.4, 23.1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from grad.autograd.function import Function
from grad.errors import ArgumentError
from grad.ops import special_coefficients as table
from grad.ops.formulas import Formula, distance_to_whole, floating_type, ratio, sin_of_pi
from grad.ops.promotion import accumulation_dtype, refuse_bool
from grad.ops.registry import FLOATING, Array, Failure, op
from grad.ops.samples import operands, real
from grad.ops.select import Where

_where = Where.apply
_HALF_LOG_2PI = math.log(2 * math.pi) / 2
# From here on the asymptotic series are used.
_FAR = 3.0


def _lgamma_reference(x: Array) -> Array:
    return np.vectorize(math.lgamma, otypes=[float])(x)


def _digamma_reference(x: Array) -> Array:
    """By recurrence to 20, and the series there."""
    total, x = np.zeros(x.shape), x.astype(np.float64)
    for _ in range(20):
        total, x = total - 1 / x, x + 1
    square = 1 / (x * x)
    series = square * (1 / 12 - square * (1 / 120 - square / 252))
    return total + np.log(x) - 0.5 / x - series


@op(
    method="lgamma",
    inplace=True,
    reference=_lgamma_reference,
    samples=(*real(0.2, 9), *real(-1.9, -1.1)),
    dtypes=FLOATING,
)
class Lgamma(Formula):
    """Natural logarithm of the absolute value of the gamma function; infinite at 0, -1, -2 ...

    Example:
        >>> grad.lgamma(grad.tensor([1.0, 4.0]))
        tensor([0.0000, 1.7918])
    """

    @staticmethod
    def formula(x: Any) -> Any:
        size = x.abs()
        small = size < 0.5
        a = _where(small, size + 1, size)
        logarithm = size.log()
        near = (a - 1) * (a - 2) * ratio(a - 0.5, table.LGAMMA_ABOVE, table.LGAMMA_BELOW)
        tail = ratio((a * a).reciprocal(), table.LGAMMA_TAIL_ABOVE, table.LGAMMA_TAIL_BELOW)
        far = (a - 0.5) * (logarithm - 1) + (tail / a + (_HALF_LOG_2PI - 0.5))
        # At 1 and 2 the product can be -0.
        of_a = _where(a < _FAR, near.masked_fill(near == 0, 0.0), far)
        positive = _where(small, of_a - logarithm, of_a)
        # Reflection: gamma(x) gamma(1 - x) = pi / sin(pi x).
        sine = sin_of_pi(distance_to_whole(size)).abs() * (1 / math.pi)
        negative = -(sine * _where(small, 1.0, size)).log() - of_a
        negative = negative.masked_fill(size == size.round(), math.inf)
        return _where(x < 0, negative, positive)

    @staticmethod
    def derivative(x: Any, result: Any) -> Any:
        return x.digamma()


@op(
    method="digamma",
    inplace=True,
    reference=_digamma_reference,
    samples=(*real(0.2, 9), *real(-1.9, -1.1)),
    dtypes=FLOATING,
)
class Digamma(Formula):
    """Derivative of `lgamma`; NaN at -1, -2 ..., infinite at 0."""

    @staticmethod
    def formula(x: Any) -> Any:
        negative, small = x < 0, x < 1
        a = _where(negative, 1 - x, _where(small, x + 1, x))
        root, root_low = table.DIGAMMA_ROOT
        near = (a - root - root_low) * ratio(a - 1, table.DIGAMMA_ABOVE, table.DIGAMMA_BELOW)
        inverse = a.reciprocal()
        square = inverse * inverse
        tail = square * ratio(square, table.DIGAMMA_TAIL_ABOVE, table.DIGAMMA_TAIL_BELOW)
        of_a = _where(a < _FAR, near, a.log() - inverse * 0.5 - tail)
        distance = distance_to_whole(x)
        cotangent = (math.pi / (distance * math.pi).tan()).masked_fill(distance == 0, math.nan)
        return _where(negative, of_a - cotangent, _where(small, of_a - x.reciprocal(), of_a))

    @staticmethod
    def derivative(x: Any, result: Any) -> Any:
        return x.polygamma(1)


# -- derivatives of digamma ------------------------------------------------------------------------
# Bernoulli's numbers B2, B4 ... B20.
BERNOULLI = (
    (1, 6), (-1, 30), (1, 42), (-1, 30), (5, 66), (-691, 2730), (7, 6), (-3617, 510),
    (43867, 798), (-174611, 330),
)  # fmt: skip


def _inverse_powers(q: Any, s: int) -> Any:
    """The sum of ``(q + k) ** -s`` over all k from 0, of positive q: Hurwitz's zeta function."""
    count = max(10, s // 2 + 6)
    total = q ** -float(s)
    for k in range(1, count):
        total = total + (q + k) ** -float(s)
    end = q + count
    inverse = end.reciprocal()
    square = inverse * inverse
    corrections = 0.0
    for j, (above, below) in reversed(list(enumerate(BERNOULLI, 1))):
        rising = math.prod(range(s, s + 2 * j - 1))
        corrections = square * corrections + above * rising / (below * math.factorial(2 * j))
    integral = end ** -float(s - 1)
    power = integral * inverse
    return total + (integral * (1 / (s - 1)) + power * 0.5 + power * inverse * corrections)


def _cotangent_derivative(cotangent: Any, n: int) -> Any:
    """The n-th derivative of ``cot(x)``, a polynomial in the cotangent c, as c' is -(1 + c * c)."""
    coefficients = [0, 1]
    for _ in range(n):
        slope = [k * c for k, c in enumerate(coefficients)][1:]
        coefficients = [0] * (len(slope) + 2)
        for k, c in enumerate(slope):
            coefficients[k] -= c
            coefficients[k + 2] -= c
    return _sparse_polynomial(cotangent, coefficients)


def _sparse_polynomial(x: Any, coefficients: Sequence[int]) -> Any:
    """A polynomial of which every second coefficient is 0."""
    first = 0 if coefficients[0] else 1
    *rest, last = coefficients[first::2]
    square, result = x * x, float(last)
    for c in reversed(rest):
        result = square * result + float(c)
    return result * x if first else result


class _Polygamma(Formula):
    """The n-th derivative of digamma, n from 1 on."""

    @staticmethod
    def formula(x: Any, n: int) -> Any:
        negative = x < 0
        sums = _inverse_powers(_where(negative, 1 - x, x.abs()), n + 1)
        size = sums * float(math.factorial(n))
        distance = distance_to_whole(x)
        cotangent = (distance * math.pi).tan().reciprocal()
        reflected = _cotangent_derivative(cotangent, n) * math.pi ** (n + 1)
        # (-1)**n psi(1 - x) less the derivative of the cotangent; psi has the sign -(-1)**n.
        below = (-size - reflected).masked_fill(distance == 0, math.inf if n % 2 else -math.inf)
        return _where(negative, below, size if n % 2 else -size)

    @staticmethod
    def derivative(x: Any, result: Any, n: int) -> Any:
        return _Polygamma.apply(x, n + 1)


# n! and pi ** (n + 1) are numbers of float64 well beyond, also for derivatives of the result.
_HIGHEST = 100


def _polygamma_reference(x: Array, n: int = 1) -> Array:
    """The sum of inverse powers, and the integral over those that are left out."""
    count = 100_000
    x = x.astype(np.float64)
    terms = (x[..., None] + np.arange(count)) ** -(n + 1.0)
    rest = (x + count - 0.5) ** -float(n) / n
    return -((-1.0) ** n) * math.factorial(n) * (terms.sum(-1) + rest)


@op(
    method="polygamma_self",
    function=False,
    aliases=("polygamma",),
    inplace=True,
    reference=_polygamma_reference,
    samples=(
        *operands(((2, 3),), arguments=(1,), low=0.3, high=5),
        *operands(((2, 3),), arguments=(2,), low=0.3, high=5),
    ),
    errors=(Failure(((2,),), args=(-1,), error=ArgumentError, match="from 0"),),
    dtypes=FLOATING,
    composite=True,
)
class PolygammaMethod(Function):
    """``grad.polygamma(n, x)``, the n-th derivative of `digamma`."""

    @staticmethod
    def forward(x: Any, n: int) -> Any:
        return Polygamma.forward(n, x)


@op(function="polygamma", composite=True)
class Polygamma(Function):
    """The n-th derivative of `digamma`, for each element; n is a whole number from 0 on.

    Raises:
        TypeError: n is no int. ArgumentError: it is negative or above 100.

    Example:
        >>> grad.polygamma(1, grad.tensor([1.0]))
        tensor([1.6449])
    """

    @staticmethod
    def forward(n: int, input: Any) -> Any:
        if not isinstance(n, int):
            raise TypeError(f"polygamma: n has to be an int, got {type(n).__name__}.")
        if not 0 <= n <= _HIGHEST:
            raise ArgumentError(f"polygamma: n={n}; it is computed for n from 0 to {_HIGHEST}.")
        return _Polygamma.apply(input, n) if n else Digamma.apply(input)


def _mvlgamma_reference(x: Array, p: int) -> Array:
    parts = [_lgamma_reference(x - i / 2) for i in range(p)]
    return np.sum(parts, 0) + p * (p - 1) / 4 * math.log(math.pi)


@op(
    method="mvlgamma",
    inplace=True,
    reference=_mvlgamma_reference,
    samples=operands(((3, 4),), arguments=(3,), low=1.2, high=6),
    errors=(Failure(((2,),), args=(0,), error=ArgumentError, match="p=0"),),
    dtypes=FLOATING,
    composite=True,
)
class Mvlgamma(Function):
    """Logarithm of the multivariate gamma function of dimension `p`, for each element.

    It is ``log(pi) * p * (p - 1) / 4`` and the sum of ``lgamma(x - i / 2)`` for i below p.

    Raises:
        ArgumentError: p is less than 1.
    """

    @staticmethod
    def forward(x: Any, p: int) -> Any:
        refuse_bool("mvlgamma", x.dtype, instead="x.float()")
        if p < 1:
            raise ArgumentError(f"mvlgamma: p={p}; it has to be 1 or more.")
        dtype = floating_type(x.dtype)
        wide = x.to(accumulation_dtype(dtype))
        total = wide.lgamma()
        for i in range(1, p):
            total = total + (wide - i / 2).lgamma()
        return (total + p * (p - 1) / 4 * math.log(math.pi)).to(dtype)
