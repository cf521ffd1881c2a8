"""Bessel functions of the first and second kind, modified ones of the second kind, Airy's function.

NumPy computes them in float64 (graph/host.py) by integrals over periodic or rapidly decreasing
functions, for which the trapezoidal rule is exact to the last digits, by series near 0 and by
asymptotic expansions far away. Formulas: Abramowitz and Stegun, "Handbook of mathematical
functions", chapters 9 and 10. As in PyTorch these have no gradient.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from grad.graph.host import hosted
from grad.ops.formulas import Formula
from grad.ops.host_pointwise import on_host
from grad.ops.registry import FLOATING, Array, op
from grad.ops.samples import real
from grad.ops.select import Where

# From here on the asymptotic expansion of J and Y is exact, up to here the integrals are.
_FAR = 25.0
_POINTS = 36
_EULER = 0.57721566490153286


# -- J and Y ---------------------------------------------------------------------------------------
@functools.cache
def _circle(order: int) -> tuple[Array, Array, Array]:
    """Sines of angles in a quarter of a circle; the weights that give J; those that give what Y has
    besides J times a logarithm.
    """
    angles = (np.arange(_POINTS) + 0.5) * (np.pi / 2 / _POINTS)
    k = np.arange(1, _POINTS)[:, None]
    sign = (-1.0) ** k
    if order == 0:
        first, further = np.ones(_POINTS), (2 * sign / k * np.cos(2 * k * angles)).sum(0)
    else:
        scale = sign * (2 * k + 1) / (k * (k + 1))
        first, further = np.sin(angles), (scale * np.sin((2 * k + 1) * angles)).sum(0)
    return np.sin(angles), first, further / _POINTS


def _near(x: Array, order: int) -> tuple[Array, Array]:
    """J by its integral (9.1.18), Y by its series of J (9.1.88), of x up to `_FAR`."""
    sines, first, further = _circle(order)
    waves = x[:, None] * sines
    waves = np.sin(waves) if order else np.cos(waves)
    j, rest = waves @ first / _POINTS, waves @ further
    y = 2 / np.pi * ((np.log(x / 2) + _EULER - order) * j) - 2 / np.pi * rest
    if order:
        zeroth = np.cos(x[:, None] * sines) @ _circle(0)[1] / _POINTS
        y = y - 2 / (np.pi * x) * zeroth
    return j, y


def _far(x: Array, order: int) -> tuple[Array, Array]:
    """Hankel's expansions (9.2.5)."""
    p, q = np.ones_like(x), np.zeros_like(x)
    term = np.ones_like(x)
    for k in range(1, 24):
        term = term * (4 * order**2 - (2 * k - 1) ** 2) / (8 * k * x)
        if k % 2:
            q += term * (-1) ** (k // 2)
        else:
            p += term * (-1) ** (k // 2)
    # Cosine and sine of x - (order / 2 + 1 / 4) * pi, times sqrt(2).
    cosine, sine = np.cos(x) + np.sin(x), np.sin(x) - np.cos(x)
    if order:
        cosine, sine = sine, -cosine
    size = 1 / np.sqrt(np.pi * x)
    return size * (p * cosine - q * sine), size * (p * sine + q * cosine)


def _cylinder(x: Array, order: int, kind: int) -> Array:
    """J (kind 0) or Y (kind 1) of positive x."""
    result = np.empty_like(x)
    near = x < _FAR
    for start in range(0, len(x), 4096):  # the integrals take an array of `_POINTS` times the size
        part = slice(start, start + 4096)
        here, rows = near[part], result[part]
        rows[here] = _near(x[part][here], order)[kind]
        rows[~here] = _far(x[part][~here], order)[kind]
    return result


@hosted
def bessel_first_kind(result: Array, x: Array, order: int) -> None:
    """J of order 0 or 1."""
    found = _cylinder(np.abs(x), order, 0)
    result[...] = np.copysign(1, x) * found if order else found


@hosted
def bessel_second_kind(result: Array, x: Array, order: int) -> None:
    """Y of order 0 or 1; NaN below 0."""
    positive = x > 0
    result[...] = np.where(x == 0, -np.inf, np.nan)
    result[positive] = _cylinder(x[positive], order, 1)


# -- K, and Airy's function, which is one of a third -----------------------------------------------
_STEP = 0.28
_HEIGHTS = _STEP * np.arange(24)


def _decreasing(z: Array, order: float) -> Array:
    """``exp(z) * K(z)`` for z that is not small: 9.6.24 with s = sqrt(2 z) sinh(t / 2)."""
    u = _HEIGHTS / np.sqrt(2 * z)[:, None]
    weights = np.exp(-(_HEIGHTS**2)) * np.where(_HEIGHTS == 0, 0.5, 1) * _STEP
    values = np.cosh(2 * order * np.arcsinh(u)) / np.sqrt(1 + u * u)
    return np.sqrt(2 / z) * (values @ weights)


def _small_modified(x: Array, order: int) -> Array:
    """K of x up to 2, by its series (9.6.11)."""
    square = x * x / 4
    logarithm = np.log(x / 2)
    total, term = np.zeros_like(x), np.ones_like(x) * (x / 2 if order else 1)
    harmonic = 0.0
    for k in range(20):
        if order:
            psi = 2 * harmonic - 2 * _EULER + 1 / (k + 1)
            total += term * (logarithm - psi / 2)
        else:
            total += term * (harmonic - _EULER - logarithm)
        harmonic += 1 / (k + 1)
        term = term * square / ((k + 1) * (k + 1 + order))
    return total + 1 / x if order else total


@hosted
def bessel_modified_second_kind(result: Array, x: Array, order: int, scaled: bool) -> None:
    """K of order 0 or 1, times ``exp(x)`` if `scaled`; NaN below 0."""
    result[...] = np.where(x == 0, np.inf, np.nan)
    small, large = (x > 0) & (x < 2), (x >= 2) & np.isfinite(x)
    found = _small_modified(x[small], order)
    result[small] = found * np.exp(x[small]) if scaled else found
    found = _decreasing(x[large], order)
    result[large] = found if scaled else found * np.exp(-x[large])
    result[np.isposinf(x)] = 0


def _airy_series(x: Array) -> Array:
    """10.4.2."""
    cube = x**3
    first, second = np.ones_like(x), x.copy()
    total_first, total_second = first.copy(), second.copy()
    for k in range(1, 40):
        first = first * cube / ((3 * k - 1) * (3 * k))
        second = second * cube / ((3 * k) * (3 * k + 1))
        total_first += first
        total_second += second
    scale_first = 3 ** (-2 / 3) / math.gamma(2 / 3)
    scale_second = 3 ** (-1 / 3) / math.gamma(1 / 3)
    return scale_first * total_first - scale_second * total_second


@hosted
def airy_first_kind(result: Array, x: Array) -> None:
    """Airy's Ai: by K of order 1/3 (10.4.14), on the negative side of an imaginary number."""
    result[...] = np.nan
    right, left = (x > 2) & np.isfinite(x), (x < -4) & np.isfinite(x)
    middle = (x >= -4) & (x <= 2)
    result[middle] = _airy_series(x[middle])
    z = 2 / 3 * x[right] ** 1.5
    result[right] = np.sqrt(x[right] / 3) / np.pi * _decreasing(z, 1 / 3) * np.exp(-z)
    # Ai(-x) = 2 Re(exp(i pi / 3) Ai(x exp(i pi / 3))), 10.4.7
    size = -x[left]
    z = 2 / 3 * size**1.5
    turned = np.sqrt(size / 3) / np.pi * _decreasing(1j * z, 1 / 3) * np.exp(-1j * z)
    result[left] = 2 * (np.exp(0.5j * np.pi) * turned).real
    result[np.isposinf(x)] = 0


# -- as operations ---------------------------------------------------------------------------------
_DOCS = {
    "bessel_j0": (bessel_first_kind, (0,), "Bessel function of the first kind of order 0"),
    "bessel_j1": (bessel_first_kind, (1,), "Bessel function of the first kind of order 1"),
    "bessel_y0": (bessel_second_kind, (0,), "Bessel function of the second kind of order 0"),
    "bessel_y1": (bessel_second_kind, (1,), "Bessel function of the second kind of order 1"),
    "modified_bessel_k0": (
        bessel_modified_second_kind, (0, False), "Modified Bessel function of the second kind, K0"
    ),
    "modified_bessel_k1": (
        bessel_modified_second_kind, (1, False), "Modified Bessel function of the second kind, K1"
    ),
    "scaled_modified_bessel_k0": (bessel_modified_second_kind, (0, True), "``exp(x) * K0(x)``"),
    "scaled_modified_bessel_k1": (bessel_modified_second_kind, (1, True), "``exp(x) * K1(x)``"),
    "airy_ai": (airy_first_kind, (), "Airy function Ai"),
}  # fmt: skip


def _declare(name: str, function: Callable[..., None], settings: Any, doc: str) -> None:
    class Kind:
        @staticmethod
        def forward(input: Any) -> Any:
            return on_host(name, function, input, settings=settings)

    positive = "second" in doc or "K" in doc
    Kind.__doc__ = f"{doc}, of each element{'; NaN below 0' if positive else ''}."
    op(function=f"special_{name}", dtypes=FLOATING, gradient=False, composite=True)(Kind)


for _name, (_function, _settings, _doc) in _DOCS.items():
    _declare(_name, _function, _settings, _doc)


@op(
    function="special_spherical_bessel_j0",
    dtypes=FLOATING,
    reference=lambda x: np.sin(x) / x,
    samples=(*real(0.1, 6), *real(-9, -5)),
)
class SphericalBesselJ0(Formula):
    """Spherical Bessel function of order 0, ``sin(x) / x``."""

    @staticmethod
    def formula(x: Any) -> Any:
        zero = x == 0
        ratio = (x.sin() / x.masked_fill(zero, 1)).masked_fill(zero, 1)
        return ratio.masked_fill(x.isinf(), 0)

    @staticmethod
    def derivative(x: Any, result: Any) -> Any:
        small = x.abs() < 0.01
        near = x * (x * x / 30 - 1 / 3)
        far = (x.cos() - result) / x.masked_fill(x == 0, 1)
        return Where.apply(small, near, far)
