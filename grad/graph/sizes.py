"""Sizes that are not fixed yet: whole numbers that remember what they are made of.

A plan is made for one example of its sizes. Where an axis has been seen with several sizes, its
size is a `Size`: it has the example's value and is a polynomial of symbols besides, so that what
planning computes of it (strides, loop bounds, bytes) can be computed again for other values. Every
comparison is decided by the example and written down in `Assumptions`; so is every use as a plain
number (``range(size)``, ``str(size)``). Whatever was decided for the example is therefore right for
each choice of values under which all that was written down is the same. Code that has never heard
of sizes only makes the plan hold for fewer of them.

Wherever a size is annotated as ``int`` a `Size` may stand. `hint` gives the example's value without
an assumption: for estimates, where any answer is right.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

from grad.errors import CompileError
from grad.graph.assumptions import Assumptions, Floor, Monomial, Symbol, Terms, evaluated


class FixedSizesError(CompileError):
    """Raised by planning that needs to know sizes: they stay fixed, then."""


def symbol(assumptions: Assumptions, example: int, low: int, high: int) -> int:
    """A new unknown between `low` and `high`, with this value in the example."""
    number = assumptions.add(Symbol(low, high), example)
    return polynomial(assumptions, {(number,): 1}, example)


def polynomial(assumptions: Assumptions, terms: dict[Monomial, int], value: int) -> int:
    """The polynomial as a number: a plain one where it is constant."""
    kept = tuple(sorted((m, c) for m, c in terms.items() if c))
    if not kept or (len(kept) == 1 and not kept[0][0]):
        return value
    return cast(int, Size(assumptions, kept, value))


def terms_of(number: int) -> Terms:
    """A number, or a `Size`, as a polynomial."""
    if isinstance(number, Size):
        return number.polynomial
    return (((), number),) if number else ()


def hint(size: int) -> int:
    """The example's value, for estimates: nothing that must be right may be made of it."""
    return size.value if isinstance(size, Size) else size


def least_value(size: int) -> int:
    """The least that a size may be, for estimates too: 0 where there is no telling."""
    if isinstance(size, Size):
        return size.assumptions.bounds(size.polynomial)[0] or 0
    return size


def is_fixed(size: int) -> bool:
    """Whether a size is a plain number."""
    return not isinstance(size, Size)


def is_one(size: int) -> bool:
    """Whether a size is fixed and 1. An open one may happen to be 1 as well (the number of pieces
    of something long): what holds for any number holds for 1, and asking would write it down.
    """
    return is_fixed(size) and size == 1


def concrete(size: int, values: Sequence[int]) -> int:
    """A size where the atoms have these values."""
    return evaluated(size.polynomial, values) if isinstance(size, Size) else size


class Size:
    """A whole number that is a polynomial; see the module."""

    __slots__ = ("_hash", "assumptions", "polynomial", "value")

    def __init__(self, assumptions: Assumptions, polynomial: Terms, value: int) -> None:
        self.assumptions = assumptions
        self.polynomial = polynomial
        self.value = value
        self._hash = hash((id(assumptions), polynomial))

    # -- arithmetic --------------------------------------------------------------------------------
    def __add__(self, other: Any) -> Any:
        if not isinstance(other, Size | int):
            return NotImplemented if not isinstance(other, float) else float(self) + other
        terms = dict(self.polynomial)
        for monomial, coefficient in terms_of(other):  # type: ignore[arg-type]
            terms[monomial] = terms.get(monomial, 0) + coefficient
        return polynomial(self.assumptions, terms, self.value + hint(other))  # type: ignore[arg-type]

    __radd__ = __add__

    def __neg__(self) -> Any:
        return self * -1

    def __pos__(self) -> Any:
        return self

    def __sub__(self, other: Any) -> Any:
        if not isinstance(other, Size | int):
            return NotImplemented if not isinstance(other, float) else float(self) - other
        return self + (-other)

    def __rsub__(self, other: Any) -> Any:
        return (-self) + other

    def __mul__(self, other: Any) -> Any:
        if not isinstance(other, Size | int):
            return NotImplemented if not isinstance(other, float) else float(self) * other
        terms: dict[Monomial, int] = {}
        others = terms_of(other)  # type: ignore[arg-type]
        for monomial, coefficient in self.polynomial:
            for another, factor in others:
                product = tuple(sorted(monomial + another))
                terms[product] = terms.get(product, 0) + coefficient * factor
        return polynomial(self.assumptions, terms, self.value * hint(other))  # type: ignore[arg-type]

    __rmul__ = __mul__

    def __floordiv__(self, other: Any) -> Any:
        return _divided(self, other)[0] if isinstance(other, Size | int) else NotImplemented

    def __rfloordiv__(self, other: Any) -> Any:
        return _divided(other, self)[0] if isinstance(other, int) else NotImplemented

    def __mod__(self, other: Any) -> Any:
        return _divided(self, other)[1] if isinstance(other, Size | int) else NotImplemented

    def __rmod__(self, other: Any) -> Any:
        return _divided(other, self)[1] if isinstance(other, int) else NotImplemented

    def __divmod__(self, other: Any) -> Any:
        return _divided(self, other) if isinstance(other, Size | int) else NotImplemented

    def __rdivmod__(self, other: Any) -> Any:
        return _divided(other, self) if isinstance(other, int) else NotImplemented

    def __truediv__(self, other: Any) -> Any:
        return float(self) / other

    def __rtruediv__(self, other: Any) -> Any:
        return other / float(self)

    def __abs__(self) -> Any:
        return self if self >= 0 else -self

    # -- decisions ---------------------------------------------------------------------------------
    def __lt__(self, other: Any) -> bool:
        return _positive(other - self)

    def __gt__(self, other: Any) -> bool:
        return _positive(self - other)

    def __le__(self, other: Any) -> bool:
        return not _positive(self - other)

    def __ge__(self, other: Any) -> bool:
        return not _positive(other - self)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if isinstance(other, Size) and other.assumptions is not self.assumptions:
            return False
        if not isinstance(other, Size | int):
            return float(self) == other if isinstance(other, float) else NotImplemented
        difference = self - other
        if isinstance(difference, Size):
            a = difference.assumptions
            return a.holds(difference.polynomial, difference.value, equal=True)
        return difference == 0

    def __hash__(self) -> int:
        # As a key, a size is what it is made of: two that happen to be equal are two keys, and a
        # table finds less than it might.
        return self._hash

    def __bool__(self) -> bool:
        return self != 0

    # -- plain numbers -----------------------------------------------------------------------------
    def __index__(self) -> int:
        is_same = self == self.value  # which writes the assumption down
        return self.value if is_same else 0

    __int__ = __index__

    def __float__(self) -> float:
        return float(int(self))

    def __str__(self) -> str:
        return str(int(self))

    def __format__(self, how: str) -> str:
        return format(int(self), how)

    def __repr__(self) -> str:
        def product(monomial: Monomial, coefficient: int) -> str:
            return "*".join([str(coefficient), *(f"n{number}" for number in monomial)])

        return "(" + " + ".join(product(*term) for term in self.polynomial) + ")"


def _positive(number: Any) -> bool:
    if isinstance(number, Size):
        return number.assumptions.holds(number.polynomial, number.value, equal=False)
    return number > 0


def _assumptions(*numbers: int) -> Assumptions:
    return next(n.assumptions for n in numbers if isinstance(n, Size))


def whole_part(number: int, divisor: int) -> int:
    """What divides evenly of the terms of `number`, divided: the rest is ``number - it * divisor``,
    which need not be smaller than `divisor` where sizes are not fixed.
    """
    if is_fixed(number) and is_fixed(divisor):
        return number // divisor
    a = _assumptions(number, divisor)
    terms = terms_of(divisor)
    if not divisor or len(terms) != 1:
        even = number == 0 or terms_of(number) == terms
        return 0 if number == 0 or not even else 1
    ((monomial, factor),) = terms
    found: dict[Monomial, int] = {}
    for product, coefficient in terms_of(number):
        rest = _without(product, monomial)
        if rest is not None and coefficient % factor == 0:
            found[rest] = coefficient // factor
    return polynomial(a, found, evaluated(tuple(found.items()), a.examples))


def _without(product: Monomial, factor: Monomial) -> Monomial | None:
    """A product of atoms divided by another; None where it does not divide evenly."""
    left = list(product)
    for number in factor:
        if number not in left:
            return None
        left.remove(number)
    return tuple(left)


def _divided(number: Any, divisor: Any) -> tuple[int, int]:
    """``divmod(number, divisor)``."""
    if not divisor:
        raise ZeroDivisionError("a size divided by 0.")
    a = _assumptions(number, divisor)
    whole = whole_part(number, divisor)
    rest = number - whole * divisor
    if is_fixed(rest) and rest == 0:
        return whole, 0
    if all(a.always_positive(terms_of(n)) for n in (rest + 1, divisor - rest)):
        return whole, rest
    if all(a.always_positive(terms_of(n)) for n in (1 - rest, divisor)):
        # Rounded up, of numbers that are not negative.
        quotient = whole - _floor(a, divisor - rest - 1, divisor)
    else:
        quotient = whole + _floor(a, rest, divisor)
    return quotient, number - quotient * divisor


def _floor(assumptions: Assumptions, dividend: int, divisor: int) -> int:
    """``dividend // divisor`` as an atom of its own."""
    value = hint(dividend) // hint(divisor)
    number = assumptions.quotient(Floor(terms_of(dividend), terms_of(divisor)), value)
    return polynomial(assumptions, {(number,): 1}, value)


def is_multiple(number: int, divisor: int) -> bool:
    """Whether `divisor` divides `number`, whatever the symbols are."""
    rest = number - whole_part(number, divisor) * divisor
    return is_fixed(rest) and rest == 0


def common_divisor(first: int, second: int) -> int:
    """A number that divides both; the greatest where both are fixed."""
    if is_fixed(first) and is_fixed(second):
        return math.gcd(first, second)
    terms = [*terms_of(first), *terms_of(second)]
    factor = math.gcd(*(coefficient for _, coefficient in terms))
    shared = list(terms[0][0])
    for monomial, _ in terms[1:]:
        left, kept = list(monomial), []
        for number in shared:
            if number in left:
                left.remove(number)
                kept.append(number)
        shared = kept
    a = _assumptions(first, second)
    monomial = tuple(shared)
    return polynomial(a, {monomial: factor}, evaluated(((monomial, factor),), a.examples))
