"""Equations of `einsum`: the text, or lists of numbers, as labels of axes.

``"...ij,jk"`` becomes one string of labels for each operand and one for the result, a character
for each axis; the axes under an ellipsis get labels that no letter has. Sizes are looked at
where the labels are used (`contraction.py`).
"""

from __future__ import annotations

import string
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from grad.errors import ArgumentError, DTypeError, ShapeError, a_kind_of

LETTERS = string.ascii_uppercase + string.ascii_lowercase
_LETTERS = frozenset(LETTERS)
ELLIPSIS = "..."
# Axes under an ellipsis are labelled from here on: the last axis has the first label, so that
# axes of several operands line up at the end, as in broadcasting.
_FIRST_UNNAMED = 0x100


class Equation(NamedTuple):
    """A label for each axis of each operand, and of the result."""

    operands: tuple[str, ...]
    output: str


@lru_cache(1024)
def parsed(text: str, ranks: tuple[int, ...]) -> Equation:
    """The equation `text` for operands of these numbers of axes.

    Raises:
        ArgumentError: `text` is no equation for as many operands.
        ShapeError: an operand has another number of axes than subscripts.
    """
    left, arrow, right = text.partition("->")
    terms = [_named(term, f"operand {n}") for n, term in enumerate(left.split(","))]
    if len(terms) != len(ranks):
        few = "fewer" if len(terms) > len(ranks) else "more"
        raise ArgumentError(
            f"einsum: {few} operands were provided than specified in the equation {text!r}: "
            f"{len(ranks)} for {len(terms)}."
        )
    unnamed = [_unnamed(n, term, rank) for n, (term, rank) in enumerate(zip(terms, ranks))]
    most = max(unnamed)
    labels = tuple([term.replace(ELLIPSIS, _run(n)) for term, n in zip(terms, unnamed)])
    if not arrow:
        named = "".join(terms).replace(".", "")
        return Equation(
            labels, _run(most) + "".join(c for c in sorted(set(named)) if named.count(c) == 1)
        )
    output = _named(right, "the output")
    _check_output(output, terms)
    return Equation(labels, output.replace(ELLIPSIS, _run(most)))


def _named(term: str, what: str) -> str:
    """One term without its blanks; ArgumentError unless it is letters and at most one ellipsis."""
    term = term.strip() if " " not in term.strip() else _without_blanks(term)
    rest = term.replace(ELLIPSIS, "", 1)
    if "." in rest:
        raise ArgumentError(
            f"einsum: found '.' for {what} that is not part of any ellipsis, or an ellipsis was "
            f"already found: {term!r}."
        )
    if not _LETTERS.issuperset(rest):
        raise ArgumentError(
            f"einsum: invalid subscript in {term!r} for {what}, subscripts must be in [a-zA-Z]."
        )
    return term


def _without_blanks(term: str) -> str:
    # The dots of an ellipsis stand together.
    if ELLIPSIS not in term and "." in term:
        return term
    return term.replace(" ", "")


def _unnamed(number: int, term: str, rank: int) -> int:
    """How many axes the ellipsis of `term` stands for."""
    if ELLIPSIS in term:
        count = rank - (len(term) - len(ELLIPSIS))
        if count >= 0:
            return count
    elif len(term) == rank:
        return 0
    raise ShapeError(
        f"einsum: the number of subscripts in {term!r} does not match the number of dimensions "
        f"({rank}) for operand {number}; put one letter for each axis, or '...' for the rest."
    )


def _run(count: int) -> str:
    return "".join([chr(_FIRST_UNNAMED + n) for n in reversed(range(count))])


def _check_output(output: str, terms: Sequence[str]) -> None:
    for label in output.replace(ELLIPSIS, ""):
        if output.count(label) > 1:
            raise ArgumentError(
                f"einsum: output subscript {label} appears more than once in the output."
            )
        if not any(label in term for term in terms):
            raise ArgumentError(
                f"einsum: output subscript {label} does not appear in the equation for any input "
                f"operand."
            )


def from_lists(args: Sequence[Any]) -> tuple[str, tuple[Any, ...]]:
    """The equation and the operands of ``einsum(x, [0, 1], y, [1, 2], [0, 2])``."""
    pairs = len(args) // 2
    operands = tuple(args[: 2 * pairs : 2])
    text = ",".join(_lettered(numbers) for numbers in args[1 : 2 * pairs : 2])
    return (f"{text}->{_lettered(args[-1])}" if len(args) % 2 else text), operands


def _lettered(numbers: Any) -> str:
    if not isinstance(numbers, Sequence) or isinstance(numbers, str):
        raise DTypeError(
            f"einsum: got {a_kind_of(numbers)} where a list of subscripts was expected; "
            f"write einsum('ij,jk', x, y) or einsum(x, [0, 1], y, [1, 2])."
        )
    return "".join([_letter(number) for number in numbers])


def _letter(number: Any) -> str:
    if number is Ellipsis:
        return ELLIPSIS
    if not isinstance(number, int):
        raise DTypeError(f"einsum: a subscript is an int or Ellipsis, got {number!r}.")
    if not 0 <= number < len(LETTERS):
        raise ArgumentError(
            f"einsum: subscript {number} in subscript list is not within the valid range [0, 52)."
        )
    return LETTERS[number]
