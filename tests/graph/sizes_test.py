"""Sizes that are not fixed: what is computed of them holds for all values that they may have."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grad.graph.assumptions import Assumptions
from grad.graph.index import add, floordiv, mod, scale, variable
from grad.graph.positions import flatten, unflatten
from grad.graph.sizes import (
    common_divisor,
    concrete,
    hint,
    is_fixed,
    is_multiple,
    symbol,
    whole_part,
)

HIGH = 60
Step = tuple[Callable[[int, int], int], int, int]


def rounded_up(a: int, b: int) -> int:
    return -(-a // b)


OPERATIONS = (
    operator.add,
    operator.sub,
    operator.mul,
    operator.floordiv,
    operator.mod,
    rounded_up,
    min,
    max,
    lambda a, b: a if a < b else b * 2,
    lambda a, b: a + 1 if a == b else a,
    lambda a, b: a if a > 3 * b else b,
    lambda a, b: abs(a - b),
)
steps = st.lists(
    st.tuples(st.sampled_from(OPERATIONS), st.integers(0, 30), st.integers(0, 30)), max_size=12
)
values = st.integers(2, HIGH)


def computed(numbers: Sequence[int], program: Sequence[Step]) -> list[int]:
    """What the steps make of the numbers, each step of two of those before it."""
    found = [*numbers, 1, 4, 16]
    for operation, first, second in program:
        a, b = found[first % len(found)], found[second % len(found)]
        divides = operation in (operator.floordiv, operator.mod, rounded_up)
        if divides and b <= 0:
            continue
        found.append(operation(a, b))
    return found


@given(steps, values, values, values, values)
def test_numbers_made_of_sizes_hold_for_other_values(
    program: list[Step], n: int, m: int, other_n: int, other_m: int
) -> None:
    assumptions = Assumptions()
    made = computed([symbol(assumptions, v, 2, HIGH) for v in (n, m)], program)
    assert [hint(number) for number in made] == computed((n, m), program)
    for others in ((n, m), (other_n, other_m), (n, other_m), (other_n, m)):
        known = assumptions.values(others)
        if known is not None:
            assert [concrete(number, known) for number in made] == computed(others, program)
    assert assumptions.values((n, m)) is not None


@pytest.fixture
def n() -> int:
    return symbol(Assumptions(), 37, 2, 511)


def guards(size: int) -> int:
    assert not is_fixed(size)
    return len(size.assumptions.guards)  # type: ignore[attr-defined]


def test_what_divides_evenly_disappears(n: int) -> None:
    assert n * 64 // n == 64
    assert (n * 64) % n == 0
    assert repr((n * 64 + 128) // 64) == repr(n + 2)
    assert n - n == 0
    assert is_fixed(n - n + 3)
    assert guards(n) == 0


def test_what_always_holds_is_not_written_down(n: int) -> None:
    assert n > 1
    assert n != 0
    assert n * 64 > n
    assert not n > 511
    assert guards(n) == 0


def test_decisions_are_written_down(n: int) -> None:
    assert n > 30
    assert n != 64
    assumptions: Assumptions = n.assumptions  # type: ignore[attr-defined]
    assert assumptions.values([40]) is not None
    assert assumptions.values([30]) is None
    assert assumptions.values([64]) is None
    assert assumptions.values([512]) is None  # beyond what it may be


@pytest.mark.parametrize("use", [int, str, float, range, bool, "{:d}".format, [1].__mul__])
def test_a_use_as_a_plain_number_fixes_it(n: int, use: Callable[[int], object]) -> None:
    use(n)
    assumptions: Assumptions = n.assumptions  # type: ignore[attr-defined]
    assert assumptions.is_pinned() is (use is not bool)
    assert (assumptions.values([38]) is None) is (use is not bool)
    assert assumptions.values([37]) is not None


def test_hints_assume_nothing(n: int) -> None:
    assert hint(n * 3 + 1) == 112
    assert guards(n) == 0


def test_whole_parts_and_common_divisors(n: int) -> None:
    assert whole_part(n * 6 + 4, 2) == n * 3 + 2
    assert whole_part(n * 6 + 3, 2) == n * 3
    assert whole_part(64, n) == 0
    assert common_divisor(n * 12, n * 8) == n * 4
    assert common_divisor(n * 12, 8) == 4
    assert is_multiple(n * 64, 16)
    assert not is_multiple(n * 8, 16)


def test_indices_are_simplified_as_with_fixed_sizes(n: int) -> None:
    row, column = variable("row", n), variable("column", 64)
    flat = add(scale(row, 64), column)
    assert floordiv(flat, 64) == row
    assert mod(flat, 64) == column
    across = add(scale(column, n), row)
    assert floordiv(across, n) == column
    assert mod(across, n) == row
    assert unflatten(flatten((column, row), (64, n)), (64, n)) == (column, row)
    assert guards(n) == 0
