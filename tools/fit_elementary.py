"""Fit the polynomials of the elementary functions; run by hand, writes their coefficient file.

    .venv/bin/python tools/fit_elementary.py

Each row of FITS names a function, an interval, a weight and, for each element type, how many
terms. The fit is a weighted minimax one: Remez's exchange on a grid of Chebyshev points, in
mpmath with 50 digits. Coefficients are then rounded to the element type one after the other,
lowest first, and those after it are fitted again each time (but the last two), so that the later
ones absorb the rounding of the earlier ones (Brisebarre and Chevillard, "Efficient polynomial
L-infinity approximations", 2007, solve this exactly; the greedy form is within a few per cent
here). Output: grad/codegen/llvm/elementary/coefficients.py, whose users are the modules beside
it. The grid's error is printed, as a power of two, for each row.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import mpmath as mp
import numpy as np

mp.mp.dps = 50
OUTPUT = Path(__file__).parents[1] / "grad/codegen/llvm/elementary/coefficients.py"
ROUND = {"float": lambda value: float(np.float32(float(value))), "double": float}
REFITTED = 8  # coefficients that are rounded one at a time; the rest hardly matter and go together


class Fit(NamedTuple):
    """A polynomial in ``x ** step`` close to `function` on [low, high], errors counted `weight`
    times."""

    name: str
    function: Callable[[Any], Any]
    low: float
    high: float
    terms: dict[str, int]
    weight: Callable[[Any], Any]
    step: int = 1
    meaning: str = ""


def one(x: Any) -> Any:
    return mp.mpf(1)


def tail(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """What an odd function leaves after its linear term: ``(f(x) / x - 1) / x**2``."""
    return lambda x: (function(x) / x - 1) / x**2


def tail_weight(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Turns an error of the tail into a relative error of the function."""
    return lambda x: x**3 / function(x)


def scaled_erfc(
    name: str, factor: float, center: float, farthest: float, terms: dict[str, int]
) -> Fit:
    """The fit of ``exp(x**2) * erfc(x) / y`` with ``y = 1 / (1 + factor * x)``, a polynomial in
    ``y - center``, for x from 0 to `farthest`; errors are relative."""

    def function(offset: Any) -> Any:
        y = offset + mp.mpf(center)
        x = (1 / y - 1) / factor
        return mp.exp(x * x) * mp.erfc(x) / y

    return Fit(
        name, function, 1 / (1 + factor * farthest) - center, 1 - center, terms,
        lambda offset: 1 / function(offset),
        meaning=f"exp(x**2) * erfc(x) = y * p(y - {center}), y = 1 / (1 + {factor} * x)",
    )  # fmt: skip


# fmt: off
FITS = (
    Fit("EXP_TAIL", lambda r: (mp.expm1(r) - r) / r**2, -0.3475, 0.3475, {"float": 5, "double": 11},
        lambda r: r**2, meaning="exp(r) = 1 + r + r**2 * p(r), half an ln 2 either side"),
    Fit("EXP2_SLOPE", lambda r: (mp.power(2, r) - 1) / r, -0.5, 0.5, {"float": 6, "double": 12},
        abs, meaning="2**r = 1 + r * p(r)"),
    Fit("LOG_TAIL", lambda r: (mp.log1p(r) - r) / r**2, -0.25, 0.5, {"float": 10, "double": 23},
        lambda r: r**2 / abs(mp.log1p(r)), meaning="log(1 + r) = r + r**2 * p(r)"),
    Fit("LOG2_RATIO", lambda s: 2 * mp.atanh(s) / s / mp.log(2), 1e-9, 0.2, {"double": 7},
        one, 2, meaning="log2(m) = s * p(s**2), s = (m - 1) / (m + 1), to about 45 bits"),
    Fit("SIN_TAIL", tail(mp.sin), 1e-3, 0.79, {"float": 4, "double": 7},
        tail_weight(mp.sin), 2, meaning="sin(r) = r + r**3 * p(r**2)"),
    Fit("COS_TAIL", lambda x: (mp.cos(x) - 1 + x**2 / 2) / x**4, 1e-2, 0.79,
        {"float": 3, "double": 6}, lambda x: x**4, 2,
        meaning="cos(r) = 1 - r**2 / 2 + r**4 * p(r**2)"),
    Fit("TAN_TAIL", tail(mp.tan), 1e-3, 0.79, {"float": 7, "double": 15},
        tail_weight(mp.tan), 2, meaning="tan(r) = r + r**3 * p(r**2)"),
    Fit("ASIN_TAIL", tail(mp.asin), 1e-3, 0.5, {"float": 6, "double": 14},
        tail_weight(mp.asin), 2, meaning="asin(x) = x + x**3 * p(x**2)"),
    Fit("ATAN_TAIL", tail(mp.atan), 1e-3, 1.0, {"float": 9, "double": 22},
        tail_weight(mp.atan), 2, meaning="atan(x) = x + x**3 * p(x**2)"),
    Fit("SINH_TAIL", tail(mp.sinh), 1e-3, 0.3475, {"float": 3, "double": 6},
        tail_weight(mp.sinh), 2, meaning="sinh(r) = r + r**3 * p(r**2)"),
    Fit("COSH_TAIL", lambda r: (mp.cosh(r) - 1) / r**2, 1e-3, 0.3475, {"float": 3, "double": 6},
        lambda r: r**2, 2, meaning="cosh(r) = 1 + r**2 * p(r**2)"),
    Fit("TANH_TAIL", tail(mp.tanh), 1e-3, 0.6, {"float": 5, "double": 11},
        tail_weight(mp.tanh), 2, meaning="tanh(x) = x + x**3 * p(x**2)"),
    Fit("CUBIC_LOG_TAIL", lambda r: (mp.log1p(r) - r + r**2 / 2) / r**3, -0.0079, 0.0079,
        {"double": 7}, lambda r: r**2, meaning="log(1 + r) = r - r**2 / 2 + r**3 * p(r)"),
    Fit("ERF_SLOPE", lambda x: mp.erf(x) / x - 1, 1e-3, 0.925, {"float": 6, "double": 12},
        lambda x: x / mp.erf(x), 2, meaning="erf(x) = x + x * p(x**2)"),
    Fit("ERFC_LOG", lambda x: mp.log(mp.erfc(x)), 0.92, 3.95, {"float": 7},
        mp.erfc, meaning="erf(x) = 1 - exp(p(x)), x above 0.92"),
    Fit("ERFC_LOG_LONG", lambda x: mp.log(mp.erfc(x)), 0.92, 5.95, {"double": 19},
        mp.erfc, meaning="the same up to where erf of float64 is 1"),
    scaled_erfc("ERFCX_SINGLE", 0.375, 0.59375, 10.5, {"float": 10}),
    scaled_erfc("ERFCX_DOUBLE", 0.25, 0.5625, 27.5, {"double": 24}),
)
# fmt: on


def chebyshev(low: float, high: float, count: int) -> list[Any]:
    """`count` points of [low, high], dense at the ends, never 0."""
    middle, half = (mp.mpf(low) + high) / 2, (mp.mpf(high) - low) / 2
    points = [middle - half * mp.cos(mp.pi * (2 * k + 1) / (2 * count)) for k in range(count)]
    return [x for x in points if abs(x) > mp.mpf(10) ** -20]


def alternation(errors: Sequence[Any], count: int) -> list[int]:
    """Indices of `count` extremes of alternating sign, the largest set of neighbours there is."""
    extremes: list[int] = []
    for index, error in enumerate(errors):
        if extremes and (errors[extremes[-1]] > 0) == (error > 0):
            if abs(error) > abs(errors[extremes[-1]]):
                extremes[-1] = index
        else:
            extremes.append(index)
    while len(extremes) > count:
        extremes.pop(0 if abs(errors[extremes[0]]) < abs(errors[extremes[-1]]) else -1)
    return extremes


def worst_error(
    points: list[Any],
    values: list[Any],
    weights: list[Any],
    powers: Sequence[int],
    coefficients: Sequence[Any],
) -> Any:
    """``max |weight * (p - value)|`` on the grid."""
    return max(
        abs(w * (sum(c * x**p for c, p in zip(coefficients, powers, strict=True)) - f))
        for x, f, w in zip(points, values, weights, strict=True)
    )


def remez(
    points: list[Any],
    values: list[Any],
    weights: list[Any],
    powers: Sequence[int],
    known: list[Any] | None,
) -> list[Any]:
    """Coefficients of ``x ** power`` that make ``max |weight * (p - value)|`` small.

    Without the lowest powers, and with 0 inside the interval, the theorem behind the exchange does
    not hold and it may go astray; hence two starts, and the better of them and of the coefficients
    `known` before.
    """
    count = len(powers) + 1
    starts = (
        [round(k * (len(points) - 1) / spaces) for k in range(count)]
        for spaces in (count - 1, count)
    )
    found = [exchange(points, values, weights, powers, chosen) for chosen in starts]
    candidates = found + ([known] if known else [])
    return min(candidates, key=lambda c: worst_error(points, values, weights, powers, c))


def exchange(
    points: list[Any],
    values: list[Any],
    weights: list[Any],
    powers: Sequence[int],
    chosen: list[int],
) -> list[Any]:
    """Remez's algorithm from the points `chosen`: the best coefficients met."""
    best: tuple[list[Any], Any] = ([mp.mpf(0)] * len(powers), mp.inf)
    for _ in range(30):
        rows = [
            [points[i] ** p for p in powers] + [(-1) ** k / weights[i]]
            for k, i in enumerate(chosen)
        ]
        try:
            solution = list(mp.lu_solve(mp.matrix(rows), mp.matrix([values[i] for i in chosen])))
        except ZeroDivisionError:
            # A symmetric set and odd powers alone: the other start has no such symmetry.
            break
        coefficients, level = solution[:-1], abs(solution[-1])
        errors = [
            w * (sum(c * x**p for c, p in zip(coefficients, powers, strict=True)) - f)
            for x, f, w in zip(points, values, weights, strict=True)
        ]
        worst = max(map(abs, errors))
        if worst < best[1]:
            best = (coefficients, worst)
        following = alternation(errors, len(chosen))
        if worst < 1.01 * level or len(following) < len(chosen) or following == chosen:
            break
        chosen = following
    return best[0]


def fit(row: Fit, element: str) -> tuple[list[float], float]:
    """Rounded coefficients, lowest first, and log2 of the largest weighted error on the grid."""
    terms = row.terms[element]
    points = chebyshev(row.low, row.high, 12 * terms + 40)
    values = [row.function(x) for x in points]
    weights = [row.weight(x) for x in points]
    powers = [row.step * k for k in range(terms)]
    rounded: list[float] = []
    coefficients: list[Any] | None = None
    while len(rounded) < terms:
        done = len(rounded)
        rest = [
            f - sum(c * x**p for c, p in zip(rounded, powers, strict=False))
            for x, f in zip(points, values, strict=True)
        ]
        coefficients = remez(points, rest, weights, powers[done:], coefficients)
        taken = 1 if done < REFITTED and terms - done > 2 else len(coefficients)
        rounded += [ROUND[element](c) for c in coefficients[:taken]]
        coefficients = coefficients[taken:]
    worst = worst_error(points, values, weights, powers, rounded)
    return rounded, float(mp.log(worst, 2))


class Pieces(NamedTuple):
    """An odd, saturating function in pieces of equal width, as many as numbers fit in two AVX-512
    registers, for tables of one coefficient each.

    Piece k serves ``|x| * per_unit`` nearest to k by a polynomial in ``|x| - center[k]``; piece
    0 by x and a polynomial. The last piece must round to 1.
    """

    name: str
    function: Callable[[Any], Any]
    per_unit: float
    terms: int
    element: str = "float"


PIECES = {"float": 32, "double": 16}
TABLES = (
    Pieces("TANH_PIECES", mp.tanh, 3.4, 8),
    Pieces("ERF_PIECES", mp.erf, 7.9, 6),
    Pieces("ERF_DOUBLE_PIECES", mp.erf, 2.53, 14, "double"),
)


def accurate_center(table: Pieces, near: float) -> tuple[float, float]:
    """A number c of the element type close to `near` whose f(c) is almost one, and that number
    (Gal 1986).

    So the constant term of the piece has no rounding error to speak of.
    """
    best: tuple[float, float, float] | None = None
    kind = {"float": np.float32, "double": np.float64}[table.element]
    start = kind(near)
    for step in range(-400, 401):
        center = float(start) + step * float(np.spacing(start))
        exact = table.function(mp.mpf(center))
        rounded = kind(float(exact))
        miss = abs(float((exact - mp.mpf(float(rounded))) / float(np.spacing(rounded))))
        if best is None or miss < best[0]:
            best = (miss, center, float(rounded))
    assert best is not None
    return best[1], best[2]


def odd_fit(table: Pieces, half: float) -> Fit:
    """The fit of ``f(x) / x - 1`` for x up to `half`, by errors relative to f."""
    return Fit(
        "", lambda x: table.function(x) / x - 1, 1e-4, half,
        {table.element: table.terms // 2}, lambda x: x / table.function(x), 2,
    )  # fmt: skip


def slope_fit(table: Pieces, center: float, value: float, half: float) -> Fit:
    """The fit of ``(f(center + d) - value) / d`` for |d| up to `half`, by errors relative to f."""
    middle = mp.mpf(center)
    return Fit(
        "", lambda d: (table.function(middle + d) - value) / d, -half, half,
        {table.element: table.terms - 1}, lambda d: abs(d) / table.function(middle),
    )  # fmt: skip


def fit_pieces(table: Pieces) -> tuple[list[list[float]], float]:
    """Columns (centers, then coefficients from the lowest), each with a row a piece; log2 of the
    worst error."""
    half = mp.mpf(0.5) / table.per_unit
    rows = []
    worst = -200.0
    for piece in range(PIECES[table.element]):
        if piece == 0:
            # Odd about 0, and relative errors count: what the function has above x itself.
            row = odd_fit(table, float(half) * 1.001)
            even, error = fit(row, table.element)
            rows.append([0.0] + [c for e in even for c in (0.0, e)])
        else:
            center, value = accurate_center(table, piece / table.per_unit)
            row = slope_fit(table, center, value, float(half) * 1.001)
            slopes, error = fit(row, table.element)
            rows.append([center, value, *slopes])
        worst = max(worst, error)
    return [list(column) for column in zip(*rows, strict=True)], worst


LOG2_ROWS = 128


def log2_table() -> list[list[float]]:
    """Columns (inverse, log2 high, log2 low) for 128 intervals of [0.75, 1.5), in the order of
    their floats' bits, 64 on either side of 1.

    The inverses are multiples of 2**-7 below 1 and 2**-8 above it, so that ``m * inverse - 1``,
    at most 2**-7, is a float64; the two beside 1 are 1. The high parts are multiples of 2**-42:
    adding an exponent to one is exact.
    """
    rows = []
    for row in range(LOG2_ROWS):
        below = row < LOG2_ROWS // 2
        center = 0.75 + (row + 0.5) * 2.0**-8 if below else 1 + (row - 63.5) * 2.0**-7
        unit = 2.0**-7 if below else 2.0**-8
        inverse = round(1 / center / unit) * unit
        if row in (LOG2_ROWS // 2 - 1, LOG2_ROWS // 2):
            inverse = 1.0
        exact = -mp.log(mp.mpf(inverse), 2)
        high = float(mp.nint(exact * 2**42) / 2**42)
        rows.append([inverse, high, float(exact - high)])
    return [list(column) for column in zip(*rows, strict=True)]


HEADER = '''"""Coefficients of the elementary functions, lowest first, by element type.

Written by tools/fit_elementary.py, which says what each is fitted to; do not edit by hand. This
file is long because it is a table, of one number a line.
"""

from __future__ import annotations
'''


def listing(numbers: Sequence[float]) -> str:
    """Numbers as lines of Python, indented by eight."""
    text = " ".join(f"{number!r}," for number in numbers)
    return textwrap.indent(textwrap.fill(text, 88), " " * 8) + "\n"


def main() -> None:
    """Fit every row and table, and write the coefficient file."""
    text = HEADER
    for row in FITS:
        text += f"\n# {row.meaning}; x in [{row.low:g}, {row.high:g}].\n"
        text += f"{row.name}: dict[str, tuple[float, ...]] = {{\n"
        for element in row.terms:
            coefficients, error = fit(row, element)
            print(
                f"{row.name:12} {element:6} {len(coefficients):2} terms, error 2**{error:.1f}",
                flush=True,
            )
            text += f'    "{element}": (\n{listing(coefficients)}    ),\n'
        text += "}\n"
    for table in TABLES:
        columns, error = fit_pieces(table)
        print(
            f"{table.name:12} {table.element:6} {table.terms:2} terms, error 2**{error:.1f}",
            flush=True,
        )
        text += (
            f"\n# {len(columns[0])} pieces, {table.per_unit} a unit: centers, then coefficients.\n"
        )
        text += f"{table.name.replace('PIECES', 'PER_UNIT')} = {table.per_unit}\n"
        text += f"{table.name}: tuple[tuple[float, ...], ...] = (\n"
        for column in columns:
            text += f"    (\n{listing(column)}    ),\n"
        text += ")\n"
    text += (
        "\n# log2(m) = table + log2(1 + r), r = m * inverse - 1: inverses, high and low parts.\n"
    )
    text += "LOG2_TABLE: tuple[tuple[float, ...], ...] = (\n"
    for column in log2_table():
        text += f"    (\n{listing(column)}    ),\n"
    text += ")\n"
    OUTPUT.write_text(text)


if __name__ == "__main__":
    main()
