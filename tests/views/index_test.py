"""Indexing and assignment by everything NumPy takes, next to NumPy."""

from __future__ import annotations

import numpy as np
import pytest

import grad
from grad import Tensor

DATA = np.arange(2 * 3 * 4, dtype=np.float64).reshape(2, 3, 4)
MASK = DATA % 3 == 1
ROWS = np.array([2, 0, -1])

# Each is an index of an array of shape (2, 3, 4), made of NumPy arrays.
BASIC = [
    0, -1, (0, 1), (0, 1, 2), slice(None), slice(0, 1), slice(None, None, -1), (slice(1, 0), 0),
    (slice(None), slice(2, None, -2)), None, (None, 0), (0, None, slice(1, 3)), ..., (..., 0),
    (0, ..., None, 1), (slice(None), None, slice(None), 2), (slice(5, 9),), (slice(-2, None), 1),
    (np.int64(1), np.int32(0)), (),
]  # fmt: skip
ADVANCED = [
    [1, 0], np.array([1, 0, 1]), np.array([[0, 1], [1, 1]]), (slice(None), ROWS), (ROWS % 2, ROWS),
    (np.array([[0], [1]]), ROWS), (..., np.array([3, -4])), (slice(None), ROWS, slice(1, 3)),
    (np.array([0, 1]), slice(None), np.array([1, 2])), (None, np.array([1])), MASK, MASK[:, 0, 0],
    MASK[:, :, 0], (slice(None), MASK[0]), (slice(None), MASK[0, :, 0], 1), np.array([], np.int64),
    (np.array([0, 1, 1]), ROWS, np.array([0, 3, -2])), (np.array(1), slice(None)),
    np.zeros((2, 3), bool),
    (slice(None, None, -1), np.array([0, 2])), True, False, (True, 0), ([0, 1], [1, 2]),
    np.array(0),
]  # fmt: skip


def as_tensors(index: object) -> object:
    if isinstance(index, tuple):
        return tuple(as_tensors(item) for item in index)
    return grad.tensor(index) if isinstance(index, np.ndarray) else index


def name(index: object) -> str:
    return str(index).replace("\n", "")[:50]


@pytest.mark.parametrize("index", BASIC + ADVANCED, ids=name)
def test_reading(index: object) -> None:
    x = grad.tensor(DATA)
    np.testing.assert_array_equal(x[index].numpy(), DATA[index])
    np.testing.assert_array_equal(x[as_tensors(index)].numpy(), DATA[index])


@pytest.mark.parametrize("index", BASIC, ids=name)
def test_basic_indexing_makes_views(index: object) -> None:
    x = grad.tensor(DATA)
    expected = DATA.copy()
    x[index].zero_()
    expected[index] = 0
    np.testing.assert_array_equal(x.numpy(), expected)


@pytest.mark.parametrize("index", BASIC + ADVANCED, ids=name)
@pytest.mark.parametrize("kind", ["number", "array", "broadcast"])
def test_writing(index: object, kind: str) -> None:
    x, expected = grad.tensor(DATA), DATA.copy()
    shape = np.shape(DATA[index])
    values = {
        "number": -7,
        "array": np.arange(np.prod(shape, dtype=int)).reshape(shape) - 100.0,
        "broadcast": np.arange(shape[-1]) - 50 if shape else np.float64(-50),
    }[kind]
    x[as_tensors(index)] = grad.tensor(values) if kind == "array" else values
    expected[index] = values
    np.testing.assert_array_equal(x.numpy(), expected)


@pytest.mark.parametrize("index", BASIC + ADVANCED, ids=name)
def test_writing_through_a_view(index: object) -> None:
    whole, expected = grad.tensor(np.zeros((4, 3, 2))), np.zeros((4, 3, 2))
    x, a = whole.T, expected.T
    x[as_tensors(index)] = 5
    a[index] = 5
    x[as_tensors(index)] += 2
    a[index] += 2
    np.testing.assert_array_equal(whole.numpy(), expected)


@pytest.mark.parametrize("index", BASIC + ADVANCED, ids=name)
def test_gradient_of_reading(index: object) -> None:
    x = grad.tensor(DATA, requires_grad=True)
    weight = np.random.default_rng(0).standard_normal(np.shape(DATA[index]))
    (x[as_tensors(index)] * grad.tensor(weight)).sum().backward()
    expected = np.zeros_like(DATA)
    np.add.at(expected, index, weight)
    np.testing.assert_allclose(x.grad.numpy(), expected)


@pytest.mark.parametrize("index", [BASIC[3], BASIC[8], *ADVANCED[:14]], ids=name)
def test_gradient_of_writing(index: object) -> None:
    shape = np.shape(DATA[index])
    x = grad.tensor(DATA / 10, requires_grad=True)
    v = grad.tensor(np.ones(shape), requires_grad=True)

    def assign(x: Tensor, v: Tensor) -> Tensor:
        y = x * 2
        # Of two values for one place the last stays, whose gradient is the only one.
        y[as_tensors(index)] = v
        return (y * y).sum()

    if np.size(np.unique(np.arange(24).reshape(2, 3, 4)[index])) == v.numel():
        assert grad.gradcheck(assign, (x, v))
        assert grad.gradgradcheck(assign, (x, v))


def test_accumulating() -> None:
    x = Tensor.zeros(3)
    x.index_put_((grad.tensor([0, 0, 2]),), grad.tensor([1.0, 2.0, 3.0]), accumulate=True)
    assert x.tolist() == [3.0, 0.0, 3.0]


@pytest.mark.parametrize(
    ("index", "error"),
    [
        (2, IndexError), (-3, IndexError), ((0, 3), IndexError), ((0, 0, 0, 0), IndexError),
        ((..., ...), IndexError), ([5], IndexError), (np.array([0, -3]), IndexError),
        (1.5, IndexError),
        ("a", TypeError), (np.array([0.5]), IndexError), (np.ones((2, 2), bool), IndexError),
        (([0, 1], [0, 1, 2]), IndexError), (slice(None, None, 0), (ValueError, IndexError)),
        (([0], [[1], [2, 3]]), IndexError),
    ],
)  # fmt: skip
def test_wrong_indices(index: object, error: type[Exception]) -> None:
    x = grad.tensor(DATA)
    with pytest.raises(error):
        x[as_tensors(index)]
    with pytest.raises(error):
        x[as_tensors(index)] = 0
    np.testing.assert_array_equal(x.numpy(), DATA)


def test_values_that_do_not_fit() -> None:
    x = Tensor.zeros(3, 4)
    with pytest.raises(RuntimeError, match="does not fit"):
        x[0] = Tensor.ones(3)
    with pytest.raises(RuntimeError):
        x[[0, 1]] = Tensor.ones(3, 4)
    with pytest.raises(TypeError):
        x[0] = "a"
    assert not x.numpy().any()


def test_integers_beside_tensors_are_selected_first_as_in_pytorch() -> None:
    assert grad.zeros(2, 3, 4)[0, :, grad.tensor([0, 1])].shape == (3, 2)


def test_nonzero_and_masked_select() -> None:
    x = grad.tensor([[0, 3], [2, 0]])
    assert x.nonzero().tolist() == [[0, 1], [1, 0]]
    assert [axis.tolist() for axis in x.nonzero(as_tuple=True)] == [[0, 1], [1, 0]]
    assert x.masked_select(x > 1).tolist() == [3, 2]


def test_positions_may_be_numbers_of_numpy():
    a = np.arange(12, dtype=np.float32).reshape(3, 4)
    for number in (np.int64, int, np.int32):  # equal numbers of another type came before
        x = grad.tensor(a)
        for view, expected in (
            (x.narrow(0, number(1), number(2)), a[1:3]),
            (x.select(number(1), number(2)), a[:, 2]),
            (x[number(2)], a[2]),
        ):
            np.testing.assert_array_equal((view + 1).numpy(), expected + 1)
            assert [type(step) for step in view.stride()] == [int] * expected.ndim
