"""Fit the ratios of the special functions; run by hand, writes their coefficient file.

    .venv/bin/python tools/fit_special.py

Each row of FITS is a function on an interval and the degrees of numerator and denominator. The
variable is such that rounding the coefficients is harmless: where poles and zeros lie on the
negative axis the interval starts at 0, so that all terms have one sign. The fit
is linear least squares in mpmath, ``p - f q`` divided by the denominator of the round before
(Sanathanan and Koerner, "Transfer function synthesis as a ratio of two complex polynomials", 1963),
on Chebyshev points, which is within a small factor of the minimax. Output:
grad/ops/special_coefficients.py. The largest relative error is printed as a power of two, with
coefficients as they are stored.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import mpmath as mp

mp.mp.dps = 80
OUTPUT = Path(__file__).parents[1] / "grad/ops/special_coefficients.py"
# Where digamma is zero, as a number and what that lacks.
ROOT = mp.findroot(mp.digamma, 1.4616)


class Fit(NamedTuple):
    """``function(x)``, relatively, as a ratio of polynomials in x for x in [low, high]."""

    name: str
    function: Callable[[Any], Any]
    low: float
    high: float
    degrees: tuple[int, int]
    meaning: str


def lgamma_near(t: Any) -> Any:
    a = t + mp.mpf(1) / 2
    return mp.loggamma(a) / ((a - 1) * (a - 2))


def lgamma_tail(z: Any) -> Any:
    a = 1 / mp.sqrt(z)
    half = mp.mpf(1) / 2
    return a * (mp.loggamma(a) - (a - half) * (mp.log(a) - 1) - (mp.log(2 * mp.pi) - 1) / 2)


def digamma_tail(z: Any) -> Any:
    a = 1 / mp.sqrt(z)
    return (mp.log(a) - 1 / (2 * a) - mp.digamma(a)) / z


def scaled_erfc(y: Any) -> Any:
    x = 2 * (1 / y - 1)
    return mp.exp(x * x) * mp.erfc(x) / y


def bessel(order: int) -> Callable[[Any], Any]:
    return lambda t: mp.besseli(order, 2 * mp.sqrt(t)) / mp.sqrt(t) ** order


def bessel_tail(order: int) -> Callable[[Any], Any]:
    """Of the inverse less 1/16: the middle, for it has no zeros or poles to keep away from."""

    def scaled(w: Any) -> Any:
        x = 1 / (w + mp.mpf(1) / 16)
        return mp.besseli(order, x) * mp.exp(-x) * mp.sqrt(x)

    return scaled


FITS = (
    Fit("LGAMMA", lgamma_near, 0.0, 2.5, (9, 9),
        "lgamma(a) / ((a - 1) * (a - 2)) of a - 1/2, a from 1/2 to 3"),
    Fit("LGAMMA_TAIL", lgamma_tail, 1e-9, 1 / 9, (5, 5),
        "a * (lgamma(a) - (a - 1/2) * (log(a) - 1) - log(2 pi) / 2 + 1/2) of 1 / a**2, a >= 3"),
    Fit("DIGAMMA", lambda t: mp.digamma(t + 1) / (t + 1 - ROOT), 0.0, 2.0, (7, 7),
        "digamma(a) / (a - root) of a - 1, a from 1 to 3"),
    Fit("DIGAMMA_TAIL", digamma_tail, 1e-9, 1 / 9, (5, 5),
        "(log(a) - 1 / (2 a) - digamma(a)) * a**2 of 1 / a**2, a >= 3"),
    Fit("ERFCX", scaled_erfc, 1e-12, 1.0, (13, 13),
        "exp(x**2) * erfc(x) / y of y = 1 / (1 + x / 2), x >= 0"),
    Fit("I0", bessel(0), 1e-9, 16.0, (10, 5),
        "I0(2 sqrt(t)), up to t = 16"),
    Fit("I0_TAIL", bessel_tail(0), 1e-9 - 1 / 16, 1 / 16, (20, 4),
        "sqrt(x) * exp(-x) * I0(x) of 1 / x - 1/16, x >= 8"),
    Fit("I1", bessel(1), 1e-9, 16.0, (10, 5),
        "I1(2 sqrt(t)) / sqrt(t), up to t = 16"),
    Fit("I1_TAIL", bessel_tail(1), 1e-9 - 1 / 16, 1 / 16, (20, 4),
        "sqrt(x) * exp(-x) * I1(x) of 1 / x - 1/16, x >= 8"),
)  # fmt: skip


def points_of(fit: Fit, count: int) -> list[Any]:
    """Chebyshev points of the interval."""
    middle, half = (mp.mpf(fit.low) + fit.high) / 2, (mp.mpf(fit.high) - fit.low) / 2
    return [middle - half * mp.cos(mp.pi * (2 * k + 1) / (2 * count)) for k in range(count)]


def value_of(coefficients: list[Any], x: Any) -> Any:
    return mp.polyval(coefficients[::-1], x)


def fitted(fit: Fit, rounds: int = 4) -> tuple[list[Any], list[Any]]:
    """Numerator and denominator, lowest power first; the denominator's first is 1."""
    above, below = fit.degrees
    points = points_of(fit, 4 * (above + below + 1))
    values = [fit.function(x) for x in points]
    denominator: list[Any] = [mp.mpf(1)]
    numerator: list[Any] = []
    for _ in range(rounds if below else 1):
        rows, right = [], []
        for x, value in zip(points, values, strict=True):
            weight = 1 / abs(value * value_of(denominator, x))
            row = [x**k for k in range(above + 1)] + [-value * x**k for k in range(1, below + 1)]
            rows.append([weight * part for part in row])
            right.append(weight * value)
        found = list(mp.lu_solve(mp.matrix(rows), mp.matrix(right)))
        numerator, denominator = found[: above + 1], [mp.mpf(1), *found[above + 1 :]]
    return numerator, denominator


def report(fit: Fit, numerator: list[Any], denominator: list[Any]) -> None:
    """The largest error between the points of the fit."""
    worst = mp.mpf(0)
    for x in points_of(fit, 397):
        value = fit.function(x)
        ratio = value_of(numerator, x) / value_of(denominator, x)
        worst = max(worst, abs(ratio / value - 1))
    print(f"{fit.name:14} 2**{float(mp.log(worst, 2)):.1f}", flush=True)


def text_of(name: str, coefficients: list[float]) -> str:
    numbers = textwrap.fill(", ".join(map(repr, coefficients)), 96, break_long_words=False)
    return f"{name} = (\n{textwrap.indent(numbers, '    ')},\n)\n"


HEADER = '''"""Coefficients of the special functions, written by tools/fit_special.py; do not edit.

Of each ratio of polynomials the numerator and the denominator, lowest power first.
"""

from __future__ import annotations
'''


def main() -> None:
    parts = [
        HEADER,
        "# Where digamma is zero, in two parts.\n"
        f"DIGAMMA_ROOT = ({float(ROOT)!r}, {float(ROOT - mp.mpf(float(ROOT)))!r})\n",
    ]
    for fit in FITS:
        numerator, denominator = ([float(c) for c in part] for part in fitted(fit))
        report(fit, [mp.mpf(c) for c in numerator], [mp.mpf(c) for c in denominator])
        parts.append(
            f"# {fit.meaning}\n"
            + text_of(f"{fit.name}_ABOVE", numerator)
            + text_of(f"{fit.name}_BELOW", denominator)
        )
    OUTPUT.write_text("\n".join(parts))


if __name__ == "__main__":
    main()
