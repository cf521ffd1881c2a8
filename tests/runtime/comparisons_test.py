"""Rows compared in machine code and by the interpreter: both see every change, and nothing else."""

from __future__ import annotations

import sys
from collections import deque

import pytest

import grad
from grad.graph.storage import Storage
from grad.runtime.comparisons import MISSING, Comparison, Sort, interpreted
from grad.runtime.cpu.comparisons import first_difference


@pytest.fixture(params=[first_difference, interpreted], ids=["compiled", "interpreted"])
def compare(request):
    return request.param


class Box:
    """An object with attributes in a dictionary."""


def cell_of(value):
    def inner():
        return value

    assert inner.__closure__ is not None
    return inner.__closure__[0]


def test_entries(compare):
    value = object()
    table = {"a": value, ("b", 1): None}
    rows = [
        Comparison(Sort.ENTRY, table, "a", value),
        Comparison(Sort.ENTRY, table, ("b", 1), None),
        Comparison(Sort.ENTRY, table, "absent", MISSING),
    ]
    differs = compare(rows)
    assert differs() == -1
    table["a"] = object()
    assert differs() == 0
    table["a"] = value
    del table[("b", 1)]
    assert differs() == 1
    table[("b", 1)] = None
    table["absent"] = None
    assert differs() == 2
    del table["absent"]
    assert differs() == -1


def test_items_and_lengths(compare):
    first, second = object(), object()
    for sequence in ([first, second], deque([first, second])):
        rows = [
            Comparison(Sort.ITEM, sequence, 1, second),
            Comparison(Sort.LENGTH, sequence, None, 2),
        ]
        differs = compare(rows)
        assert differs() == -1
        sequence.append(first)
        assert differs() == 1
        sequence.pop()
        sequence.pop()
        assert differs() == 0  # there is no such item; no exception is left behind
        sequence.append(first)
        assert differs() == 0
        sequence[1] = second
        assert differs() == -1


def test_cells(compare):
    value = object()
    cell = cell_of(value)
    differs = compare([Comparison(Sort.CELL, cell, None, value)])
    assert differs() == -1
    cell.cell_contents = 5
    assert differs() == 0
    del cell.cell_contents
    assert differs() == 0
    assert compare([Comparison(Sort.CELL, cell, None, MISSING)])() == -1


def test_attributes_in_slots_and_dictionaries(compare):
    tensor, box = grad.ones(3), Box()
    box.name = value = object()  # pyright: ignore
    storage = tensor._storage
    rows = [
        Comparison(Sort.ATTRIBUTE, tensor, "_storage", storage),
        Comparison(Sort.ATTRIBUTE, tensor, "_requires_grad", False),
        Comparison(Sort.ATTRIBUTE, tensor, "_edge", None),
        Comparison(Sort.ATTRIBUTE, box, "name", value),
    ]
    differs = compare(rows)
    assert differs() == -1
    tensor._storage = Storage(storage.node)
    assert differs() == 0
    tensor._storage = storage
    tensor.requires_grad_()
    assert differs() == 1
    tensor.requires_grad_(False)
    assert differs() == -1
    box.name = None  # pyright: ignore
    assert differs() == 3


def test_references(compare):
    subjects = [object(), object()]
    differs = compare([Comparison(Sort.REFERENCES, subject) for subject in subjects[:1]])
    assert differs() == -1
    other = subjects[0]
    assert differs() == 0
    del other
    assert differs() == -1
    subjects.clear()
    assert differs() == 0


def test_rows_stay_alive_and_counts_do_not_grow(compare):
    value = object()
    before = sys.getrefcount(value), sys.getrefcount(None)
    differs = compare([Comparison(Sort.ITEM, [value], 0, value)])
    held = sys.getrefcount(value)
    for _ in range(1000):
        assert differs() == -1
    assert sys.getrefcount(value) == held
    del differs
    assert sys.getrefcount(value) == before[0]
    assert abs(sys.getrefcount(None) - before[1]) < 100


def test_no_rows(compare):
    assert compare([])() == -1
