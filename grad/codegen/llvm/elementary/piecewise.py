"""Odd, saturating functions from a table of polynomials, for one AVX-512 register.

Two registers hold one coefficient of all pieces, 32 for float32 and 16 for float64, so that
`vpermi2ps` or `vpermi2pd` looks up all lanes in one instruction: tanh and erf cost half of what
their portable forms do. The tables have constant
terms that are almost exact floats (Gal's accurate tables, 1986); see tools/fit_elementary.py.
hyperbolic.py and error.py call `piecewise`.
"""

from __future__ import annotations

from collections.abc import Sequence

from grad.codegen.llvm.builder import Builder, Value, element_of
from grad.codegen.llvm.elementary.parts import (
    absolute,
    at_most,
    bits_of,
    copysign,
    fills_avx512,
    format_of,
)


def has_table_lookup(b: Builder, x: Value) -> bool:
    """Whether `piecewise` can be written for values like `x`."""
    return fills_avx512(b, x)


def piecewise(b: Builder, x: Value, columns: Sequence[Sequence[float]], per_unit: float) -> Value:
    """The function of the table `columns` (centers, coefficients from the lowest) with
    `per_unit` pieces a unit."""
    centers, *coefficients = columns
    size = at_most(b, absolute(b, x), (len(centers) - 1) / per_unit)
    # The instruction reads the lowest bits alone, so what NaN leaves there does no harm.
    piece = bits_of(b, b.fma(size, per_unit, format_of(x).nearest_shift))
    offset = b.fsub(size, _look_up(b, centers, piece))
    result = _look_up(b, coefficients[-1], piece)
    for column in coefficients[-2:0:-1]:
        result = b.fma(result, offset, _look_up(b, column, piece))
    # The first piece is x and a polynomial: its leading coefficient need not round.
    first = b.icmp("eq", b.binary("and", piece, len(centers) - 1), 0)
    constant = b.select(first, size, _look_up(b, coefficients[0], piece))
    return copysign(b, b.fma(result, offset, constant), x)


def _look_up(b: Builder, column: Sequence[float], piece: Value) -> Value:
    element, suffix = {"i32": ("float", "ps"), "i64": ("double", "pd")}[element_of(piece.type)]
    middle = len(column) // 2
    low, high = b.vector(element, column[:middle]), b.vector(element, column[middle:])
    return b.call(low.type, f"llvm.x86.avx512.vpermi2var.{suffix}.512", low, piece, high)
