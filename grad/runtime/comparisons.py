"""Whether Python objects still hold what they held: rows to compare, and their interpreter.

`grad.compile` compares hundreds of things before each replay. A backend may compile the rows
(cpu/comparisons.py); `interpreted` is what they mean, and serves where it does not.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

MISSING: Any = object()


class Sort(IntEnum):
    """What is compared with `expected`: all but LENGTH and REFERENCES by identity."""

    ENTRY = 0  # the value of a dictionary at a key, or MISSING
    LENGTH = 1  # the length of a container
    ITEM = 2  # the item of a sequence at an index
    CELL = 3  # the content of a closure's cell, or MISSING
    ATTRIBUTE = 4  # an attribute
    REFERENCES = 5  # how many references there are; as many as when the rows were handed over


class Comparison(NamedTuple):
    """One row; `key` and `expected` as the sort needs them."""

    sort: Sort
    subject: Any
    key: Any = None
    expected: Any = None


# Gives the number of the first row that differs, or -1.
FirstDifference = Callable[[], int]


def references(row: Comparison) -> int:
    """References to a row's subject. A caller must hold no name for it."""
    return sys.getrefcount(row.subject)


def content(cell: Any) -> Any:
    """What a cell holds, or MISSING for a variable that has no value yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return MISSING


def interpreted(rows: Sequence[Comparison]) -> FirstDifference:
    """Compare row by row in Python."""
    counts = [references(row) if row.sort is Sort.REFERENCES else 0 for row in rows]

    def first_difference() -> int:
        for number, row in enumerate(rows):
            if not _same(row, counts[number]):
                return number
        return -1

    return first_difference


def _same(row: Comparison, count: int) -> bool:
    match row.sort:
        case Sort.ENTRY:
            return row.subject.get(row.key, MISSING) is row.expected
        case Sort.LENGTH:
            return len(row.subject) == row.expected
        case Sort.ITEM:
            within = row.key < len(row.subject)
            return within and row.subject[row.key] is row.expected
        case Sort.CELL:
            return content(row.subject) is row.expected
        case Sort.ATTRIBUTE:
            return getattr(row.subject, row.key) is row.expected
        case Sort.REFERENCES:
            return references(row) == count
