"""What is assumed of sizes that are not fixed: unknowns, polynomials of them, decisions.

`sizes.py` has the numbers that planning computes with; here is what is written down meanwhile, and
whether it holds for other values. A polynomial is its terms: products of atoms (unknowns, and
quotients that cannot be said more simply), each with a coefficient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

Monomial = tuple[int, ...]  # numbers of atoms, ascending; () is 1
Terms = tuple[tuple[Monomial, int], ...]


class Symbol(NamedTuple):
    """An unknown between two numbers, both included."""

    low: int
    high: int


class Floor(NamedTuple):
    """``dividend // divisor`` where it cannot be said more simply."""

    dividend: Terms
    divisor: Terms


Atom = Symbol | Floor


class Guard(NamedTuple):
    """A polynomial that is positive, or (`equal`) zero."""

    terms: Terms
    equal: bool


class Assumptions:
    """The atoms of some sizes, and what was decided about them.

    Attributes:
        atoms: by number; a quotient comes after the atoms that it is made of.
        examples: their values. guards: what was decided, and how.
    """

    def __init__(self) -> None:
        self.atoms: list[Atom] = []
        self.examples: list[int] = []
        self.numbers: dict[Floor, int] = {}
        self.guards: dict[Guard, bool] = {}

    def add(self, atom: Atom, example: int) -> int:
        """The number of a new atom with this value in the example."""
        self.atoms.append(atom)
        self.examples.append(example)
        return len(self.atoms) - 1

    def quotient(self, floor: Floor, example: int) -> int:
        """The number of the atom that a quotient is."""
        if floor not in self.numbers:
            self.numbers[floor] = self.add(floor, example)
        return self.numbers[floor]

    def holds(self, terms: Terms, value: int, equal: bool) -> bool:
        """Whether a polynomial is positive, or zero (`equal`); written down unless it always is."""
        result = value == 0 if equal else value > 0
        low, high = self.bounds(terms)
        if equal:
            certain = (low is not None and low > 0) or (high is not None and high < 0)
        else:
            certain = (low is not None and low > 0) or (high is not None and high <= 0)
        if not certain:
            self.guards.setdefault(Guard(terms, equal), result)
        return result

    def bounds(self, terms: Terms) -> tuple[int | None, int | None]:
        """Numbers that a polynomial is between; None where there is no telling."""
        low = high = 0
        for monomial, coefficient in terms:
            least, most = 1, 1
            for number in monomial:
                found = self.range(number)
                if found is None:
                    return None, None
                least, most = least * found[0], most * found[1]
            if coefficient < 0:
                least, most = most, least
            low, high = low + coefficient * least, high + coefficient * most
        return low, high

    def always_positive(self, terms: Terms) -> bool:
        """Whether a polynomial is positive whatever the symbols are; nothing is written down."""
        low, _ = self.bounds(terms)
        return low is not None and low > 0

    def range(self, number: int) -> tuple[int, int] | None:
        """The least and the greatest value of an atom; None where it may be negative."""
        atom = self.atoms[number]
        if isinstance(atom, Symbol):
            return atom.low, atom.high
        low, high = self.bounds(atom.dividend)
        least, most = self.bounds(atom.divisor)
        if low is None or high is None or least is None or most is None or least <= 0 or low < 0:
            return None
        return low // most, high // least

    def is_pinned(self) -> bool:
        """Whether some symbol has been taken to be one number."""
        for (terms, equal), holds in self.guards.items():
            found = {number for monomial, _ in terms for number in monomial}
            atoms = [self.atoms[number] for number in found]
            if equal and holds and len(atoms) == 1 and isinstance(atoms[0], Symbol):
                return True
        return False

    # -- other values ------------------------------------------------------------------------------
    def values(self, symbols: Sequence[int]) -> list[int] | None:
        """The values of all atoms for these of the symbols, in order; None where something that
        was assumed does not hold.
        """
        given = iter(symbols)
        found: list[int] = []
        for atom in self.atoms:
            if isinstance(atom, Symbol):
                value = next(given)
                if not atom.low <= value <= atom.high:
                    return None
                found.append(value)
                continue
            divisor = evaluated(atom.divisor, found)
            if divisor == 0:
                return None
            found.append(evaluated(atom.dividend, found) // divisor)
        for (terms, equal), expected in self.guards.items():
            value = evaluated(terms, found)
            if (value == 0 if equal else value > 0) is not expected:
                return None
        return found


def evaluated(terms: Terms, values: Sequence[int]) -> int:
    """A polynomial with `values` for its atoms."""
    total = 0
    for monomial, coefficient in terms:
        for number in monomial:
            coefficient *= values[number]
        total += coefficient
    return total
