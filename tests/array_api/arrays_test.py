"""NumPy arrays as operands of operators, with gradients, and tensors as arrays."""

from __future__ import annotations

import numpy as np
import pytest

import grad


@pytest.mark.parametrize("operator", ["+", "-", "*", "/", "**"])
@pytest.mark.parametrize("array_first", [False, True])
def test_gradients_beside_arrays(operator: str, array_first: bool) -> None:
    """The array is copied: what is written to it later changes no gradient."""
    apply = eval(f"lambda x, y: x {operator} y")
    array = np.array([2.0, 3.0])
    values, other = np.array([1.5, 0.5]), array.copy()
    x = grad.tensor(values, requires_grad=True)
    y = apply(array, x) if array_first else apply(x, array)
    array[:] = 0
    y.sum().backward()
    step = 1e-6
    moved = [values + step, values - step]
    ends = [apply(other, v) if array_first else apply(v, other) for v in moved]
    np.testing.assert_allclose(x.grad.numpy(), (ends[0] - ends[1]) / (2 * step), 1e-6)


def test_matrix_products_beside_arrays() -> None:
    x = grad.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    array = np.array([[0.0, 1.0], [2.0, 0.0]])
    for product, expected in ((x @ array, [[4, 1], [8, 3]]), (array @ x, [[3, 4], [2, 4]])):
        assert product.dtype is grad.float64 and product.tolist() == expected
    (x @ array).sum().backward()
    assert x.grad.tolist() == [[1, 2], [1, 2]]


def test_in_place_beside_arrays() -> None:
    x = grad.ones(2)
    same = x
    x += np.array([1.0, 2.0])
    x *= np.array([2, 2])
    assert x is same and x.tolist() == [4, 6] and x.dtype is grad.float32


def test_types_are_numpys() -> None:
    assert (grad.ones(2) + np.array([1, 2])).dtype is grad.float64
    assert (grad.ones(2, dtype=grad.int32) * np.array([1, 2], dtype=np.int8)).dtype is grad.int32
    assert (grad.ones(2) < np.array([1, 2])).tolist() == [False, True]


def test_functions_take_tensors_only() -> None:
    for call in (lambda: grad.add(grad.ones(2), np.ones(2)), lambda: grad.cat([np.ones(2)])):
        with pytest.raises(TypeError, match="ndarray"):
            call()


def test_as_arrays() -> None:
    x = grad.tensor([1.0, 2.0])
    assert np.asarray(x).base is not None and np.array(x, dtype="f8").dtype == np.float64
    with pytest.raises(ValueError, match="copy"):
        x.__array__(np.float64, copy=False)
    np.asarray(x)[0] = 5
    assert x.tolist() == [5, 2]
    with pytest.raises(RuntimeError, match="requires grad"):
        np.asarray(grad.ones(2, requires_grad=True))
    assert x.real is x
    with pytest.raises(RuntimeError, match="complex"):
        _ = x.imag
