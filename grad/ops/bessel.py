"""Modified Bessel functions of the first kind of order 0 and 1, and the same times ``exp(-|x|)``.

Below 8 they are ratios of polynomials in ``x**2 / 4``, beyond ``exp(x) / sqrt(x)`` times one in
``1 / x``: the method of Abramowitz and Stegun, "Handbook of mathematical functions", 9.8, with
coefficients of our own (tools/fit_special.py).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from grad.ops import special_coefficients as table
from grad.ops.formulas import Formula, ratio
from grad.ops.registry import FLOATING, Array, op
from grad.ops.samples import real
from grad.ops.select import Where

_where = Where.apply
_FAR = 8.0
# From here on I0 and I1 are infinite, though exp of half of it is not.
_OVERFLOW = 720.0


def _series(order: int, x: Array) -> Array:
    """The power series of the Bessel function."""
    half = x.astype(np.float64) / 2
    terms = [
        half ** (2 * k + order) / (math.factorial(k) * math.factorial(k + order)) for k in range(60)
    ]
    return np.sum(terms, 0)


def _zeroth(x: Any) -> tuple[Any, Any]:
    """I0 of small x, and ``I0(x) exp(-|x|)`` of large x."""
    half = x * 0.5
    near = ratio(half * half, table.I0_ABOVE, table.I0_BELOW)
    size = x.abs()
    tail = ratio(size.reciprocal() - 1 / 16, table.I0_TAIL_ABOVE, table.I0_TAIL_BELOW)
    return near, tail / size.sqrt()


def _first(x: Any) -> tuple[Any, Any]:
    """I1 of small x, and ``I1(x) exp(-|x|)`` of large x."""
    half = x * 0.5
    near = half * ratio(half * half, table.I1_ABOVE, table.I1_BELOW)
    size = x.abs()
    tail = ratio(size.reciprocal() - 1 / 16, table.I1_TAIL_ABOVE, table.I1_TAIL_BELOW)
    far = tail / size.sqrt()
    return near, _where(x < 0, -far, far)


def _grown(x: Any, parts: tuple[Any, Any], odd: bool) -> Any:
    """Of the two parts the one of x, times ``exp(|x|)``, by halves: it overflows later than that
    alone.
    """
    near, far = parts
    size = x.abs()
    root = (size.clamp(max=_OVERFLOW) * 0.5).exp()
    large = _where(size > _OVERFLOW, x.sign() * math.inf if odd else math.inf, (root * far) * root)
    return _where(size < _FAR, near, large)


def _scaled(x: Any, parts: tuple[Any, Any]) -> Any:
    near, far = parts
    size = x.abs()
    return _where(size < _FAR, near * (-size).exp(), far)


def _over(x: Any, first: Any) -> Any:
    """``first / x``, of I1 (or I1 scaled) at x; 1/2 at 0."""
    zero = x == 0
    return (first / x.masked_fill(zero, 1)).masked_fill(zero, 0.5)


@op(
    method="i0",
    inplace=True,
    reference=lambda x: _series(0, x),
    samples=(*real(-5, 5), *real(8.5, 12)),
    dtypes=FLOATING,
)
class I0(Formula):
    """Modified Bessel function of the first kind of order 0."""

    @staticmethod
    def formula(x: Any) -> Any:
        return _grown(x, _zeroth(x), odd=False)

    @staticmethod
    def derivative(x: Any, result: Any) -> Any:
        return I1.apply(x)


@op(
    function="special_i0e",
    reference=lambda x: _series(0, x) * np.exp(-np.abs(x)),
    samples=(*real(0.1, 5), *real(-12, -8.5)),
    dtypes=FLOATING,
)
class I0e(Formula):
    """``i0(x) * exp(-|x|)``, without overflow."""

    @staticmethod
    def formula(x: Any) -> Any:
        return _scaled(x, _zeroth(x))

    @staticmethod
    def derivative(x: Any, result: Any) -> Any:
        return I1e.apply(x) - x.sign() * result


@op(
    function="special_i1",
    reference=lambda x: _series(1, x),
    samples=(*real(-5, 5), *real(8.5, 12)),
    dtypes=FLOATING,
)
class I1(Formula):
    """Modified Bessel function of the first kind of order 1."""

    @staticmethod
    def formula(x: Any) -> Any:
        return _grown(x, _first(x), odd=True)

    @staticmethod
    def derivative(x: Any, result: Any) -> Any:
        return I0.apply(x) - _over(x, result)


@op(
    function="special_i1e",
    reference=lambda x: _series(1, x) * np.exp(-np.abs(x)),
    samples=(*real(0.1, 5), *real(-12, -8.5)),
    dtypes=FLOATING,
)
class I1e(Formula):
    """``i1(x) * exp(-|x|)``, without overflow."""

    @staticmethod
    def formula(x: Any) -> Any:
        return _scaled(x, _first(x))

    @staticmethod
    def derivative(x: Any, result: Any) -> Any:
        return I0e.apply(x) - x.sign() * result - _over(x, result)
