"""Index expressions against brute force: simplified or not, an index has the same value."""

from __future__ import annotations

import itertools
import math
import random

import numpy as np
import pytest

from grad.graph.index import (
    Dynamic,
    Index,
    Quotient,
    Variable,
    add,
    const,
    dynamic,
    floordiv,
    mod,
    run_length,
    run_start,
    scale,
    show,
    substitute,
    variable,
)
from grad.graph.movement import Move, move_array, moved_shape
from grad.graph.positions import Position, flatten, moved_index, unflatten
from grad.graph.primitives import AFFINE, AS_STRIDED, EXPAND, PAD, PERMUTE, RESHAPE, SLICE

Shape = tuple[int, ...]
VARIABLES = (Variable("i", 6), Variable("j", 4), Variable("k", 5))


def value_of(index: Index, values: dict[str, int]) -> int:
    """The number that `index` stands for, which must be inside its bounds."""
    total = index.constant
    for atom, coefficient in index.terms:
        if isinstance(atom, Variable):
            found = values[atom.name]
        elif isinstance(atom, Dynamic):
            found = values[f"v{atom.value}"]
        elif isinstance(atom, Quotient):
            found = value_of(atom.index, values) // atom.divisor
        else:
            found = value_of(atom.index, values) % atom.divisor
        total += coefficient * found
    assert index.low <= total <= index.high
    return total


def assignments() -> list[dict[str, int]]:
    names = [v.name for v in VARIABLES]
    return [
        dict(zip(names, found, strict=True))
        for found in itertools.product(*(range(v.size) for v in VARIABLES))
    ]


def grown(choose: random.Random) -> tuple[Index, list[int]]:
    """A random expression, and its value for each of `assignments`."""
    every = assignments()
    index, values = const(0), [0] * len(every)
    for _ in range(choose.randint(1, 7)):
        step = choose.randrange(5)
        number = choose.randint(1, 12)
        if step <= 1:
            v = choose.choice(VARIABLES)
            factor = choose.choice([-6, -3, -1, 1, 2, 4, 5, 20, 24])
            index = add(index, scale(variable(v.name, v.size), factor))
            values = [a + b[v.name] * factor for a, b in zip(values, every, strict=True)]
        elif step == 2:
            index, values = add(index, number - 6), [a + number - 6 for a in values]
        elif step == 3:
            index, values = floordiv(index, number), [a // number for a in values]
        else:
            index, values = mod(index, number), [a % number for a in values]
    return index, values


@pytest.mark.parametrize("block", range(10))
def test_simplified_expressions_keep_their_values(block: int) -> None:
    choose = random.Random(block)
    for _ in range(60):
        index, values = grown(choose)
        assert [value_of(index, found) for found in assignments()] == values, show(index)


@pytest.mark.parametrize("block", range(5))
def test_substitution_keeps_values(block: int) -> None:
    choose = random.Random(100 + block)
    for _ in range(30):
        index, _ = grown(choose)
        first, _ = grown(choose)
        inside = mod(first, 6)
        replaced = substitute(index, {Variable("i", 6): inside})
        for found in assignments():
            expected = value_of(index, {**found, "i": value_of(inside, found)})
            assert value_of(replaced, found) == expected


def test_printed_expressions_are_python() -> None:
    choose = random.Random(5)
    for _ in range(50):
        index, values = grown(choose)
        assert [eval(show(index), {}, found) for found in assignments()] == values


def random_move(choose: random.Random, shape: Shape) -> Move:
    way = choose.choice([RESHAPE, RESHAPE, PERMUTE, EXPAND, SLICE, PAD, AS_STRIDED, AFFINE])
    if way is RESHAPE:
        left, sizes = math.prod(shape), []
        while left > 1 and choose.random() < 0.7:
            sizes.append(choose.choice([d for d in range(1, left + 1) if left % d == 0]))
            left //= sizes[-1]
        return Move(RESHAPE, (*sizes, left))
    if way is PERMUTE:
        return Move(PERMUTE, tuple(choose.sample(range(len(shape)), len(shape))))
    if way is EXPAND:
        return Move(EXPAND, (2, *(choose.choice([2, 3]) if s == 1 else s for s in shape)))
    if way is PAD:
        return Move(PAD, tuple((choose.randint(0, 2), choose.randint(0, 2)) for _ in shape))
    if way is AS_STRIDED and len(shape) == 1 and shape[0] >= 3:
        return Move(AS_STRIDED, ((shape[0] - 2, 3), (1, 1), 0))
    if way is AFFINE:
        return affine_move(choose, shape)
    ranges = []
    for size in shape:
        step, start = choose.choice([1, -1, 2]), choose.randrange(size)
        most = (size - 1 - start) // step + 1 if step > 0 else start // -step + 1
        ranges.append((start, step, choose.randint(1, most)))
    return Move(SLICE, tuple(ranges))


def affine_move(choose: random.Random, shape: Shape) -> Move:
    """A diagonal of all axes, or windows of the first."""
    if choose.random() < 0.5:
        starts = [choose.randrange(size) for size in shape]
        count = min(size - start for size, start in zip(shape, starts))
        return Move(AFFINE, ((count,), tuple((start, (1,)) for start in starts)))
    size = choose.randint(1, shape[0])
    step = choose.randint(1, 3)
    rest = len(shape) - 1
    rows = [(0, (step, *[0] * rest, 1))]
    rows += [(0, (0, *[int(a == b) for b in range(rest)], 0)) for a in range(rest)]
    return Move(AFFINE, (((shape[0] - size) // step + 1, *shape[1:], size), tuple(rows)))


@pytest.mark.parametrize("block", range(10))
def test_moved_indices_find_what_numpy_finds(block: int) -> None:
    choose = random.Random(block)
    for _ in range(25):
        shape = tuple(choose.choice([1, 2, 3, 4, 6]) for _ in range(choose.randint(1, 4)))
        numbers = np.arange(1, math.prod(shape) + 1).reshape(shape)
        path: list[tuple[Move, Shape]] = []
        current, moved = shape, numbers
        for _ in range(choose.randint(1, 4)):
            move = random_move(choose, current)
            if math.prod(moved_shape(current, move)) > 800:
                continue
            path.append((move, current))
            current, moved = moved_shape(current, move), move_array(moved, move)
        position: Position = tuple(variable(f"i{n}", size) for n, size in enumerate(current))
        guards = []
        for move, source in reversed(path):
            position, found = moved_index(move, source, position)
            guards.extend(found)
        flat = flatten(position, shape)
        for place in np.ndindex(*current):
            values = {f"i{n}": v for n, v in enumerate(place)}
            alive = all(g.low <= value_of(g.index, values) < g.high for g in guards)
            expected = int(moved[place])
            actual = int(numbers.reshape(-1)[value_of(flat, values)]) if alive else 0
            assert actual == expected, (path, show(flat))


@pytest.mark.parametrize(
    ("shape", "other"),
    [
        ((6, 4), (24,)),
        ((2, 3, 4), (6, 4)),
        ((5, 7, 1, 7), (245,)),
        ((2, 3, 5, 7), (210,)),
        ((8, 1, 3), (4, 6)),
    ],
)
def test_a_reshape_there_and_back_disappears(shape: Shape, other: Shape) -> None:
    position = tuple(variable(f"i{n}", size) for n, size in enumerate(other))
    flat = flatten(position, other)
    assert flatten(unflatten(flat, shape), shape) == flat


def test_division_of_what_is_known() -> None:
    i, j = variable("i", 6), variable("j", 4)
    assert floordiv(add(scale(i, 4), j), 4) == i
    assert mod(add(scale(i, 4), j), 4) == j
    assert add(scale(floordiv(i, 4), 4), mod(i, 4)) == i
    part = mod(floordiv(variable("x", 210), 7), 5)
    assert add(scale(part, 7), mod(variable("x", 210), 7)) == mod(variable("x", 210), 35)


def test_what_is_computed_by_the_kernel_is_kept() -> None:
    index = add(scale(dynamic(3, 10), 4), variable("i", 4))
    assert index.dynamics() == {3}
    assert index.variables() == {Variable("i", 4)}
    assert (index.low, index.high) == (0, 39)
    assert floordiv(index, 4) == dynamic(3, 10)


@pytest.mark.parametrize(
    ("axis", "order", "length"),
    [((4, 3, 32), (1, 0, 2), 16), ((4, 3, 8), (1, 0, 2), 8), ((3, 5, 12), (1, 0, 2), 4),
     ((3, 5, 6), (1, 0, 2), None), ((4, 3, 32), (0, 1, 2), None), ((4, 3, 32), (2, 0, 1), None)],
)  # fmt: skip
def test_runs_of_joined_axes(
    axis: tuple[int, ...], order: tuple[int, ...], length: int | None
) -> None:
    """The longest power of two of neighbours that are in a row; none where all are, or too few."""
    shape = tuple(axis[n] for n in order)
    lanes = variable("i", math.prod(shape))
    joined = unflatten(lanes, shape)
    place = flatten(tuple(joined[order.index(n)] for n in range(3)), axis)
    assert run_length(place, Variable("i", lanes.high + 1), 16) == length
    if length is not None:
        positions = np.arange(math.prod(axis)).reshape(axis).transpose(order).reshape(-1, length)
        inside = run_start(place, Variable("i", lanes.high + 1), length, variable("j", length))
        for number, row in enumerate(positions):
            values = {Variable("i", len(positions)): const(number)}
            start = substitute(substitute(inside, values), {Variable("j", length): const(0)})
            assert start == const(int(row[0])) and np.array_equal(row - row[0], np.arange(length))
