"""gather, scatter and their relatives: values, gradients by differences, bounds checked at the
call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grad
import grad.nn.functional as F
from grad.dtype import dtypes
from grad.errors import DTypeError, IndexOutOfRangeError, ShapeError


def _numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-2, 2, shape)


X = _numbers(3, 4)
INDEX = np.array([[0, 2, 1, 0], [1, 1, 0, 2]])
PICK = np.array([2, 0, 0])


def test_gather_is_take_along_axis() -> None:
    x, index = grad.tensor(X), grad.tensor(INDEX)
    np.testing.assert_array_equal(x.gather(0, index).numpy(), np.take_along_axis(X, INDEX, 0))
    shorter = INDEX[:, :2]
    np.testing.assert_array_equal(
        x.gather(0, grad.tensor(shorter)).numpy(), np.take_along_axis(X[:, :2], shorter, 0)
    )
    assert x.gather(0, grad.zeros((0, 4), dtype=dtypes.int64)).shape == (0, 4)
    assert grad.tensor(5.0).gather(0, grad.tensor(0)).item() == 5.0


def test_scatter_is_put_along_axis() -> None:
    values = _numbers(2, 4, seed=1)
    rows = np.argsort(_numbers(3, 4, seed=2), axis=0)[:2]  # no place twice
    expected = X.copy()
    np.put_along_axis(expected, rows, values, 0)
    actual = grad.tensor(X).scatter(0, grad.tensor(rows), grad.tensor(values))
    np.testing.assert_array_equal(actual.numpy(), expected)
    np.put_along_axis(expected, rows, 7.0, 0)
    np.testing.assert_array_equal(grad.tensor(X).scatter(0, grad.tensor(rows), 7).numpy(), expected)


def test_of_two_writes_to_one_place_the_later_stays() -> None:
    index = grad.tensor([1, 1, 1])
    assert grad.zeros(2).scatter(0, index, grad.tensor([1.0, 2.0, 3.0])).tolist() == [0.0, 3.0]


def test_scatter_add_sums_what_meets() -> None:
    values = _numbers(2, 4, seed=1)
    expected = X.copy()
    np.add.at(expected, (INDEX, np.arange(4)[None, :]), values)
    actual = grad.tensor(X).scatter_add(0, grad.tensor(INDEX), grad.tensor(values))
    np.testing.assert_allclose(actual.numpy(), expected, rtol=1e-12)


def test_many_additions_are_the_same_from_run_to_run() -> None:
    random = np.random.default_rng(0)
    index = grad.tensor(random.integers(0, 5, 20_000))
    values = grad.tensor(random.standard_normal(20_000).astype(np.float32))
    first = grad.zeros(5).scatter_add(0, index, values).numpy().tobytes()
    assert all(
        grad.zeros(5).scatter_add(0, index, values).numpy().tobytes() == first for _ in range(3)
    )


def test_in_place_forms() -> None:
    x = grad.zeros(4)
    alias = x.view(2, 2)
    assert x.scatter_(0, grad.tensor([3]), 2.0) is x
    x.scatter_add_(0, grad.tensor([3, 0]), grad.ones(2))
    x.index_add_(0, grad.tensor([1]), grad.ones(1))
    assert alias.tolist() == [[1.0, 1.0], [0.0, 3.0]]


def test_index_select_add_and_fill() -> None:
    x, pick = grad.tensor(X), grad.tensor(PICK)
    np.testing.assert_array_equal(x.index_select(0, pick).numpy(), X[PICK])
    np.testing.assert_array_equal(x.index_select(-1, pick).numpy(), X[:, PICK])
    added = X.copy()
    np.add.at(added, PICK, X * 2)
    np.testing.assert_allclose(x.index_add(0, pick, x, alpha=2).numpy(), added)
    filled = X.copy()
    filled[:, PICK] = 9
    np.testing.assert_array_equal(x.index_fill(1, pick, 9).numpy(), filled)


def test_index_fill_counts_from_the_end_too() -> None:
    x = grad.tensor(X)
    filled = X.copy()
    filled[:, [-1, 0, -3]] = 9
    np.testing.assert_array_equal(x.index_fill(1, grad.tensor([-1, 0, -3]), 9).numpy(), filled)
    value = grad.tensor(9.0, requires_grad=True)
    result = x.index_fill(-1, grad.tensor([-1, 0, 1]), value)
    np.testing.assert_array_equal(result.detach().numpy(), filled)
    result.sum().backward()
    assert value.grad is not None and value.grad.item() == 9.0
    assert grad.tensor(1.0).index_fill(0, grad.tensor(-1), 5).item() == 5.0
    for number in (4, -5):
        with pytest.raises(IndexOutOfRangeError, match=rf"{number} .*size 4"):
            x.index_fill(1, grad.tensor([number]), 0)


def test_index_copy() -> None:
    x, source = grad.tensor(X), _numbers(3, 2, seed=1)
    copied = X.copy()
    copied[:, [3, 1]] = source
    pick = grad.tensor([3, 1])
    np.testing.assert_array_equal(x.index_copy(-1, pick, grad.tensor(source)).numpy(), copied)
    assert grad.zeros(2).index_copy_(0, grad.tensor(1), grad.tensor(4.0)).tolist() == [0.0, 4.0]
    assert x.index_copy(0, grad.tensor([], dtype=dtypes.int64), x[:0]).tolist() == X.tolist()
    with pytest.raises(ShapeError, match=r"needs \(3, 2\)"):
        x.index_copy(1, pick, x)
    with pytest.raises(DTypeError, match="float32"):
        x.index_copy(1, pick, grad.tensor(source).float())


STORED: dict[str, Callable[[Any, Any], Any]] = {
    "fill_": lambda x, value: x.fill_(value),
    "setitem": lambda x, value: x.__setitem__(0, value) or x,
    "full": lambda x, value: grad.full((1,), value, dtype=x.dtype),
    "full_like": lambda x, value: grad.full_like(x, value),
    "masked_fill": lambda x, value: x.masked_fill(grad.tensor([True]), value),
    "index_fill": lambda x, value: x.index_fill(0, grad.tensor([0]), value),
    "scatter": lambda x, value: x.scatter(0, grad.tensor([0]), value),
}


@pytest.mark.parametrize("name", STORED)
def test_a_stored_number_has_to_fit(name: str) -> None:
    store = STORED[name]
    outside = [("int8", 128), ("int8", -129), ("uint8", 256), ("int32", 2**31), ("int64", 2**63)]
    for kind, value in [*outside, ("int8", float("nan")), ("int64", float("inf"))]:
        with pytest.raises(RuntimeError, match=f"does not fit {kind}"):
            store(grad.zeros(1, dtype=kind), value)
    inside = [("int8", -128, -128), ("uint8", 255, 255), ("uint8", -1, 255), ("int16", 2.7, 2)]
    for kind, value, expected in [
        *inside,
        ("float16", float("inf"), float("inf")),
        ("bool", 300, True),
    ]:
        assert store(grad.zeros(1, dtype=kind), value).tolist() == [expected]


def test_take_along_dim_broadcasts() -> None:
    x = grad.tensor(X)
    index = np.array([[1], [0], [2]])
    np.testing.assert_array_equal(
        x.take_along_dim(grad.tensor(index), 1).numpy(), np.take_along_axis(X, index, 1)
    )
    row = np.array([[2, 0, 1, 1]])
    np.testing.assert_array_equal(
        x.take_along_dim(grad.tensor(row), dim=0).numpy(), np.take_along_axis(X, row, 0)
    )
    assert x.take_along_dim(grad.tensor([11])).item() == X[2, 3]
    assert x.take_along_dim(grad.tensor([[-4]]), 1).tolist() == X[:, :1].tolist()
    for outside in (4, -5):
        with pytest.raises(IndexOutOfRangeError, match=rf"{outside} .*size 4"):
            x.take_along_dim(grad.tensor([[outside]]), 1)


def test_one_hot() -> None:
    labels = grad.tensor([[0, 2], [1, 1]])
    assert grad.one_hot(labels).tolist() == np.eye(3, dtype=int)[labels.numpy()].tolist()
    assert grad.one_hot(labels, 5).shape == (2, 2, 5) and grad.one_hot(labels).dtype is dtypes.int64
    assert grad.one_hot(grad.zeros(0, dtype=dtypes.int64), 4).shape == (0, 4)


Call = Callable[[Any, Any], Any]

DIFFERENTIABLE: dict[str, Call] = {
    "gather": lambda x, y: x.gather(0, grad.tensor(INDEX)) * y[:2],
    "gather shorter": lambda x, y: x.gather(1, grad.tensor(INDEX[:, :2])) * y[:2, 2:],
    "scatter": lambda x, y: (x * x).scatter(1, grad.tensor(INDEX[:, :1]), y * y),
    "scatter number": lambda x, y: (x * y).scatter(1, grad.tensor(INDEX[:, :1]), 2.0),
    "scatter_add": lambda x, y: (x * x).scatter_add(0, grad.tensor(INDEX), y * y),
    "index_select": lambda x, y: (x * y).index_select(0, grad.tensor(PICK)),
    "index_add": lambda x, y: x.index_add(0, grad.tensor(PICK), x * y, alpha=2),
    "index_fill": lambda x, y: (x * y).index_fill(1, grad.tensor(PICK), 3.0),
    "index_copy": lambda x, y: (x * x).index_copy(0, grad.tensor([2, 0]), (y * y)[1:]),
    "take_along_dim": lambda x, y: (x * y).take_along_dim(grad.tensor([[1], [0], [2]]), 1),
    "cummax": lambda x, y: (x * y).cummax(1).values,
    "cummin": lambda x, y: (x * y).cummin(0).values,
    "max": lambda x, y: (x * y).max(1).values,
    "min": lambda x, y: (x * y).min(0, keepdim=True).values,
    "var_mean": lambda x, y: sum((x * y).var_mean(1)),
    "std_mean": lambda x, y: sum((x * y).std_mean(0)),
    "where method": lambda x, y: x.where(x > y, x * y),
}


@pytest.mark.parametrize("name", DIFFERENTIABLE)
def test_gradients(name: str) -> None:
    inputs = tuple(grad.tensor(_numbers(3, 4, seed=s), requires_grad=True) for s in (3, 4))
    assert grad.gradcheck(DIFFERENTIABLE[name], inputs)
    assert grad.gradgradcheck(DIFFERENTIABLE[name], inputs)


OUTSIDE: dict[str, Call] = {
    "gather": lambda x, index: x.gather(1, index),
    "scatter": lambda x, index: x.scatter(1, index, 1.0),
    "scatter_add": lambda x, index: x.scatter_add(1, index, x[:1, :1]),
    "index_select": lambda x, index: x.index_select(1, index[0]),
    "index_add": lambda x, index: x.index_add(1, index[0], x[:, :1]),
    "index_copy": lambda x, index: x.index_copy(1, index[0], x[:, :1]),
    "one_hot": lambda x, index: grad.one_hot(index, 4),
}


@pytest.mark.parametrize("number", [4, -1])
@pytest.mark.parametrize("name", OUTSIDE)
def test_an_index_out_of_range_is_refused_at_the_call(name: str, number: int) -> None:
    with pytest.raises(IndexOutOfRangeError, match=rf"{number} .*size 4"):
        OUTSIDE[name](grad.tensor(X), grad.tensor([[number]]))


@pytest.mark.parametrize(
    "call",
    [
        lambda x, index: F.embedding(index[0], x),
        lambda x, index: x.gather(0, index),
        lambda x, index: x.index_select(0, index[0]),
        lambda x, index: x[index[0]],
        lambda x, index: x[0],
        lambda x, index: x.scatter(0, index, 1.0),
    ],
)
def test_an_index_of_an_empty_axis_says_that_it_is_empty(call: Call) -> None:
    with pytest.raises(IndexOutOfRangeError, match="size 0; the axis is empty"):
        call(grad.zeros(0, 5), grad.tensor([[0]]))


def test_a_source_of_which_nothing_is_taken_has_gradient_zero() -> None:
    for size, there in ((3, 0), (0, 3), (0, 0)):
        x, source = grad.ones(there, requires_grad=True), grad.ones(size, requires_grad=True)
        result = (x * 1).masked_scatter(grad.zeros(there, dtype=grad.bool), source)
        assert result.tolist() == [1.0] * there
        result.sum().backward()
        assert source.grad.tolist() == [0.0] * size and x.grad.tolist() == [1.0] * there
        with grad.no_grad():
            result.zero_()
        assert x.tolist() == [1.0] * there  # the result has memory of its own


def test_what_does_not_fit_is_refused() -> None:
    x, index = grad.tensor(X), grad.tensor(INDEX)
    with pytest.raises(DTypeError, match="int64"):
        x.gather(0, index.float())
    with pytest.raises(ShapeError, match="dimensions"):
        x.gather(0, grad.tensor(PICK))
    with pytest.raises(ShapeError, match="reaches outside"):
        x.gather(0, grad.zeros((1, 5), dtype=dtypes.int64))
    with pytest.raises(DTypeError, match="float32"):
        x.scatter(0, index, x.float())
    with pytest.raises(ValueError, match="reduce"):
        x.scatter(0, index, x, reduce="mean")
    with pytest.raises(ShapeError, match="1 dimension"):
        x.index_select(0, index)
    with pytest.raises(TypeError, match="list"):
        grad.one_hot([1, 2])
    assert x.tolist() == X.tolist()


def test_a_place_filled_twice_counts_once_in_the_gradient() -> None:
    x, value = grad.ones(3, requires_grad=True), grad.tensor(5.0, requires_grad=True)
    filled = x.index_fill(0, grad.tensor([2, 0, 2]), value)
    assert filled.tolist() == [5.0, 1.0, 5.0]
    (filled * grad.tensor([1.0, 2.0, 4.0])).sum().backward()
    assert value.grad.item() == 5 and x.grad.tolist() == [0.0, 2.0, 0.0]


@pytest.mark.parametrize("shape", [(2, 2), (1, 1), (1,), (3, 2), (), (1, 3)])
def test_slices_must_fit_the_tensor_and_the_index(shape: tuple[int, ...]):
    x, one = grad.zeros(3, 2), grad.tensor([0])
    with pytest.raises(RuntimeError, match=r"needs \(1, 2\)"):
        x.index_add(0, one, grad.ones(shape))
    with pytest.raises(RuntimeError, match=r"needs \(1, 2\)"):
        x.index_reduce(0, one, grad.ones(shape), "amax")


def test_slices_of_a_number():
    assert grad.tensor(1.0).index_add(0, grad.tensor([0]), grad.tensor(2.0)).item() == 3
    with pytest.raises(RuntimeError, match="2 indices"):
        grad.tensor(1.0).index_add(0, grad.tensor([0, 0]), grad.tensor(2.0))


def test_an_index_by_a_name_is_refused():
    with pytest.raises(TypeError, match="no names"):
        grad.zeros(3)["first"]


def test_one_number_is_not_many_sources():
    index = grad.tensor([0, 1, 2])
    for scatter in (
        lambda x, y: x.scatter(0, index, y),
        lambda x, y: x.scatter_add(0, index, y),
        lambda x, y: x.scatter_reduce(0, index, y, "amax"),
    ):
        with pytest.raises(RuntimeError, match="reaches outside"):
            scatter(grad.zeros(3), grad.tensor(5.0))
    assert grad.zeros(3).scatter(0, index[1], grad.tensor(5.0)).tolist() == [0, 5, 0]
