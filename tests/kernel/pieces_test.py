"""Loops cut where guards change: what is left in the pieces, and that values are what they were."""

from __future__ import annotations

import numpy as np
import pytest

import grad
from grad.kernel.ir import Kernel, Load, Loop, Statement
from grad.kernel.ir import Test as Asked
from grad.kernel.pieces import MOST_PIECES, SHORTEST_PHASE
from grad.settings import settings
from grad.tensor import Tensor
from tests.codegen.named_rows_test import kernel_of


def loops(kernel: Kernel) -> list[Loop]:
    """The loops in lanes, in order."""
    found = []
    stack: list[Statement] = [s for phase in reversed(kernel.phases) for s in reversed(phase)]
    while stack:
        statement = stack.pop()
        if isinstance(statement, Loop):
            stack.extend(reversed(statement.body))
            found += [statement] if statement.vector else []
    return found


def asks(loop: Loop) -> bool:
    return any(isinstance(s, Asked) or (isinstance(s, Load) and s.guards) for s in loop.body)


def matrix(rows: int, columns: int) -> Tensor:
    return grad.ones(rows, columns).realize()


def test_padding_is_a_loop_for_each_side_and_one_for_the_middle() -> None:
    left, middle, right = loops(kernel_of(grad.nn.functional.pad(matrix(30, 50), (2, 3))))
    assert [loop.variable.size for loop in (left, middle, right)] == [2, 50, 3]
    assert not any(map(asks, (left, middle, right)))
    assert [sum(isinstance(s, Load) for s in loop.body) for loop in (left, middle, right)] == [
        0,
        1,
        0,
    ]


@pytest.mark.parametrize("parts", [2, 5])
def test_columns_side_by_side_are_a_loop_for_each_part(parts: int) -> None:
    found = loops(kernel_of(grad.cat([matrix(30, 40 + n) for n in range(parts)], 1)))
    assert [loop.variable.size for loop in found] == [40 + n for n in range(parts)]
    assert not any(map(asks, found))
    assert [len(loop.body) for loop in found] == [2] * parts  # a load, a store


def test_rows_below_each_other_are_a_phase_for_each_part() -> None:
    kernel = kernel_of(grad.cat([matrix(200, 100), matrix(300, 100)]))
    first, second = loops(kernel)
    assert len(kernel.phases) == 2
    assert (first.variable.size, second.variable.size) == (20_000, 30_000)
    assert not asks(first) and not asks(second)
    # Not where threads would meet for a few elements.
    few = grad.cat([matrix(2, 100), matrix(SHORTEST_PHASE // 100 - 1, 100)])
    assert len(kernel_of(few).phases) == 1


def test_many_parts_are_written_one_by_one() -> None:
    parts = [np.full((3, n), n, np.float32) for n in range(2 * MOST_PIECES)]
    found = grad.cat([grad.tensor(part) for part in parts], 1)
    assert np.array_equal(found.numpy(), np.concatenate(parts, 1))


@pytest.mark.parametrize("backend", ["cpu", "reference"])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_parts_along_every_axis(axis: int, backend: str) -> None:
    random = np.random.default_rng(axis)
    with settings.override(backend=backend):
        for sizes in [(1, 1), (3, 0, 40), (17, 1, 33, 2), (70, 90)]:
            shapes = [[5, 7, 19] for _ in sizes]
            for shape, size in zip(shapes, sizes, strict=True):
                shape[axis] = size
            arrays = [random.standard_normal(shape).astype(np.float32) for shape in shapes]
            for array in arrays:
                array[random.random(array.shape) < 0.2] = random.choice([np.nan, np.inf, -0.0])
            tensors = [grad.tensor(array) for array in arrays]
            expected = np.concatenate(arrays, axis)
            found = grad.cat(tensors, axis)
            np.testing.assert_array_equal(found.numpy(), expected)
            assert np.array_equal(np.signbit(found.numpy()), np.signbit(expected))
            computed = grad.cat([tensor * 2 for tensor in tensors], axis).permute(2, 0, 1) + 1
            np.testing.assert_array_equal(computed.numpy(), (expected * 2).transpose(2, 0, 1) + 1)
            stacked = grad.stack([found, found * 3], axis)
            np.testing.assert_array_equal(stacked.numpy(), np.stack([expected, expected * 3], axis))
            rolled = found.roll((2, -3), (0, 2))
            np.testing.assert_array_equal(rolled.numpy(), np.roll(expected, (2, -3), (0, 2)))


def test_what_a_choice_names() -> None:
    """An index that is itself joined of two parts."""
    table = np.arange(300, dtype=np.float32).reshape(100, 3)
    first, second = np.array([3, 99, 0]), np.array([7, 7, 12, 50])
    index = grad.cat([grad.tensor(first), grad.tensor(second) + 1])
    found = grad.tensor(table)[index]
    assert np.array_equal(found.numpy(), table[np.concatenate([first, second + 1])])
    taken = grad.tensor(table).index_select(1, grad.cat([grad.tensor([2, 0]), grad.tensor([1])]))
    assert np.array_equal(taken.numpy(), table[:, [2, 0, 1]])


@pytest.mark.parametrize("backend", ["cpu", "reference"])
def test_a_guard_may_ask_for_an_index(backend: str) -> None:
    """The piece of a padded row that is left keeps the index that its guard depends on."""
    x = (grad.arange(2.0) + 5).realize().expand(2, 2)
    index = grad.tensor([[3, 0, 2, 1], [0, 2, 2, 3]])
    with settings.override(backend=backend):
        taken = grad.nn.functional.pad(x, (0, 2, 2, 0)).clamp(min=1.0).gather(0, index)
        padded = np.pad(x.numpy(), ((2, 0), (0, 2))).clip(1)
        expected = np.take_along_axis(padded, index.numpy(), 0)
        assert np.array_equal(taken.numpy(), expected)
