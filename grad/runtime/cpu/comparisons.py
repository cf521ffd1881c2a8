"""Compare rows of Python objects in machine code: a few nanoseconds each.

A builtin whose ``self`` is the table of rows (comparisons_code.py) asks the interpreter's own
functions; attributes in slots, and reference counts, are read where they lie, once a probe has
shown where that is. Where it has not, rows are interpreted. ../comparisons.py says what rows mean.
"""

from __future__ import annotations

import ctypes
import sys
from array import array
from collections.abc import Sequence
from itertools import chain
from types import MemberDescriptorType
from typing import Any

from grad.runtime.comparisons import MISSING, Comparison, FirstDifference, Sort, interpreted
from grad.runtime.cpu.comparisons_code import COMPARE, WORD
from grad.runtime.cpu.compiler import compile_ir
from grad.runtime.cpu.replay import method_definition, new_builtin, register_python_symbols

PYTHON_SYMBOLS = (
    "PyDict_GetItemWithError",
    "PyObject_Size",
    "PySequence_GetItem",
    "PyObject_GetAttr",
    "PyCell_Get",
    "PyLong_FromSsize_t",
    "PyErr_Clear",
)
WORD_BYTES = 8
COUNT_OFFSET = 0  # of an object's reference count, in CPython
TYPE_OFFSET = 8  # of its class


def _compile() -> Any:
    register_python_symbols(PYTHON_SYMBOLS)
    name = "grad_first_difference"
    address = compile_ir(COMPARE, (name,), "comparisons")[name]
    return method_definition(name, address, "The number of the first row that differs, or -1.")


def _word(address: int) -> int:
    return ctypes.c_ssize_t.from_address(address).value


def _counts_are_words() -> bool:
    """Whether an object's first word is its reference count."""
    probe = object()
    before = _word(id(probe) + COUNT_OFFSET), sys.getrefcount(probe)
    more = [probe] * 7
    after = _word(id(probe) + COUNT_OFFSET), sys.getrefcount(probe)
    return bool(more) and before[1] - before[0] == after[1] - after[0] and after[0] == before[0] + 7


class _Probe:
    """An object of a class of its own."""


_definition = _compile()
_supported = _counts_are_words()
_types_are_words = _word(id(_Probe()) + TYPE_OFFSET) == id(_Probe)
_offsets: dict[MemberDescriptorType, int | None] = {}


def first_difference(rows: Sequence[Comparison]) -> FirstDifference:
    """A function that compares `rows`, which it keeps alive."""
    if not _supported:
        return interpreted(rows)
    # The rows hold what the table points to.
    table = _Table(array("Q", chain((len(rows),), *map(_row, rows))).tobytes())
    table.rows = tuple(rows)
    return new_builtin(ctypes.addressof(_definition), table, None)


class _Table(bytes):
    """The words of a table, and the rows they point into."""

    rows: tuple[Comparison, ...]


def _row(row: Comparison) -> tuple[int, int, int, int]:
    """The words of a row. No name here refers to its subject: that would count."""
    match row.sort:
        case Sort.ENTRY:
            return row.sort, id(row.subject), id(row.key), _identity(row.expected)
        case Sort.LENGTH | Sort.ITEM:
            expected = row.expected if row.sort is Sort.LENGTH else id(row.expected)
            return row.sort, id(row.subject), row.key or 0, expected
        case Sort.CELL:
            return row.sort, id(row.subject), 0, _identity(row.expected)
        case Sort.ATTRIBUTE:
            if row.key == "__class__" and _types_are_words:
                return WORD, id(row.subject), TYPE_OFFSET, id(row.expected)
            offset = _slot(type(row.subject), row.key)
            if offset is not None:
                return WORD, id(row.subject), offset, id(row.expected)
            return row.sort, id(row.subject), id(row.key), id(row.expected)
        case Sort.REFERENCES:
            return WORD, id(row.subject), COUNT_OFFSET, _word(id(row.subject) + COUNT_OFFSET)


def _identity(expected: Any) -> int:
    return 0 if expected is MISSING else id(expected)


def _slot(kind: type, name: str) -> int | None:
    """Where in an object of `kind` the slot `name` is, if it is one: found with a probe."""
    descriptor = getattr(kind, name, None)
    if not isinstance(descriptor, MemberDescriptorType):
        return None
    if descriptor not in _offsets:
        owner = descriptor.__objclass__
        holder, probe = object.__new__(owner), object()
        descriptor.__set__(holder, probe)
        places = range(2 * WORD_BYTES, owner.__basicsize__, WORD_BYTES)
        found = [offset for offset in places if _word(id(holder) + offset) == id(probe)]
        _offsets[descriptor] = found[0] if len(found) == 1 else None
    return _offsets[descriptor]
