"""Pooling where the loop over the registry does not look: large windows, ties, NaN, positions.

Values, types, layouts and both derivatives of every pooling operation are in `registry_test.py`;
the peer test compares with PyTorch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import grad
import grad.nn.functional as F
from grad.dtype import dtypes
from grad.ops.pooling_reference import average_reference, max_reference

Array = np.ndarray[Any, Any]


def _numbers(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


# Windows of more than 16 elements go axis by axis, of more than 8 along an axis by doubling, and
# windows side by side become reductions.
LARGE = [
    ((2, 3, 13, 17), (5, 5), (1, 1), (2, 2)),
    ((2, 1, 23, 11), (11, 9), (2, 3), (5, 4)),
    ((1, 2, 13, 14), (13, 14), (13, 14), (0, 0)),
    ((3, 2, 15, 11), (7, 5), (7, 5), (0, 0)),
    ((1, 1, 31, 7), (17, 1), (3, 1), (8, 0)),
    ((2, 2, 19, 23), (3, 3), (2, 2), (1, 1)),
]


@pytest.mark.parametrize(("shape", "kernel", "stride", "padding"), LARGE)
def test_large_windows(shape: Any, kernel: Any, stride: Any, padding: Any) -> None:
    array = _numbers(*shape)
    x = grad.tensor(array)
    expected = average_reference(2)(array, kernel, stride, padding, False, False)
    actual = F.avg_pool2d(x, kernel, stride, padding, count_include_pad=False)
    np.testing.assert_allclose(actual.numpy(), expected, rtol=1e-12, atol=1e-13)
    values, indices = F.max_pool2d(x, kernel, stride, padding, return_indices=True)
    expected = max_reference(2)(array, kernel, stride, padding)
    np.testing.assert_array_equal(values.numpy(), expected)
    flat = array.reshape(*shape[:2], -1)
    chosen = np.take_along_axis(flat, indices.numpy().reshape(*shape[:2], -1), 2)
    np.testing.assert_array_equal(chosen.reshape(expected.shape), expected)


@pytest.mark.parametrize(("shape", "kernel", "stride", "padding"), LARGE)
@pytest.mark.parametrize("function", [F.max_pool2d, F.avg_pool2d])
def test_gradients_of_large_windows(
    function: Any, shape: Any, kernel: Any, stride: Any, padding: Any
) -> None:
    x = grad.tensor(_numbers(*shape), requires_grad=True)
    out = function(x, kernel, stride, padding)
    weights = _numbers(*out.shape, seed=1)
    (out * grad.tensor(weights)).sum().backward()
    direction = _numbers(*shape, seed=2)

    def value(step: float) -> float:
        moved = grad.tensor(x.detach().numpy() + step * direction)
        return float((function(moved, kernel, stride, padding).numpy() * weights).sum())

    expected = (value(1e-7) - value(-1e-7)) / 2e-7
    assert x.grad is not None
    assert float((x.grad.numpy() * direction).sum()) == pytest.approx(expected, rel=1e-5)


def test_equal_elements_give_the_gradient_to_the_first() -> None:
    x = grad.ones((1, 1, 4, 4), requires_grad=True)
    values, indices = F.max_pool2d(x, 3, 1, return_indices=True)
    values.sum().backward()
    assert indices.flatten().tolist() == [0, 1, 4, 5]
    assert x.grad is not None
    expected = np.zeros((4, 4))
    expected[:2, :2] = 1
    np.testing.assert_array_equal(x.grad.numpy()[0, 0], expected)


def test_nan_is_the_maximum_and_the_last_one_has_the_position() -> None:
    nan = np.nan
    x = grad.tensor([[[nan, 1.0, nan, 2.0, 5.0, 3.0, nan, np.inf]]])
    values, indices = F.max_pool1d(x, 4, return_indices=True)
    assert np.isnan(values.numpy()).all()
    assert indices.flatten().tolist() == [2, 6]
    blocks, positions = F.adaptive_max_pool1d(
        grad.tensor(np.full((1, 1, 40), nan)), 2, return_indices=True
    )
    assert np.isnan(blocks.numpy()).all()
    assert positions.flatten().tolist() == [19, 39]


def test_nothing_larger_than_minus_infinity_is_at_the_first_element_inside() -> None:
    x = grad.full((1, 1, 3, 3), -np.inf)
    values, indices = F.max_pool2d(x, 3, 2, 1, return_indices=True)
    assert (values.numpy() == -np.inf).all()
    assert indices.flatten().tolist() == [0, 1, 3, 4]


def test_infinity_in_one_window_does_not_reach_the_others() -> None:
    array = np.ones((1, 1, 4, 6))
    array[0, 0, 0, 0] = np.inf
    for result in (
        F.avg_pool2d(grad.tensor(array), 2),
        F.adaptive_avg_pool2d(grad.tensor(array), (3, 4)),
    ):
        finite = np.isfinite(result.numpy())
        assert not finite[0, 0, 0, 0]
        assert finite.sum() == finite.size - 1


def test_halves_are_added_up_in_float32() -> None:
    x = grad.full((1, 1, 64, 64), 0.1, dtype=dtypes.float16)
    assert F.avg_pool2d(x, 64).item() == pytest.approx(float(np.float16(0.1)), abs=1e-7)
    assert F.avg_pool2d(x, 3, 2).dtype is dtypes.float16


def test_an_empty_batch() -> None:
    x = grad.zeros((0, 3, 8, 8), requires_grad=True)
    for result in (F.max_pool2d(x, 2), F.avg_pool2d(x, 3, 2), F.adaptive_avg_pool2d(x, 3)):
        assert result.shape[:2] == (0, 3)
        result.sum().backward()
    assert x.grad is not None
    assert x.grad.shape == x.shape


def test_second_derivative_of_max_pooling_of_squares() -> None:
    x = grad.tensor(_numbers(1, 2, 7, 7), requires_grad=True)
    out = (F.max_pool2d(x * x, 3, 2) ** 2).sum()
    (first,) = grad.autograd.grad(out, [x], create_graph=True)
    direction = grad.tensor(_numbers(1, 2, 7, 7, seed=3))
    (second,) = grad.autograd.grad((first * direction).sum(), [x])

    def gradient(step: float) -> Array:
        moved = (x.detach() + direction * step).requires_grad_()
        (F.max_pool2d(moved * moved, 3, 2) ** 2).sum().backward()
        assert moved.grad is not None
        return moved.grad.numpy()

    expected = (gradient(1e-6) - gradient(-1e-6)) / 2e-6
    np.testing.assert_allclose(second.numpy(), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_threads_do_not_change_a_bit(threads: int) -> None:
    array = _numbers(5, 3, 37, 41).astype(np.float32)

    def run() -> list[Array]:
        x = grad.tensor(array, requires_grad=True)
        out = F.max_pool2d(x, 3, 2, 1) + F.avg_pool2d(x, 3, 2, 1)
        (out * out).sum().backward()
        assert x.grad is not None
        return [out.detach().numpy(), x.grad.numpy()]

    before = grad.get_num_threads()
    try:
        grad.set_num_threads(1)
        expected = run()
        grad.set_num_threads(threads)
        for actual, wanted in zip(run(), expected, strict=True):
            np.testing.assert_array_equal(actual, wanted)
    finally:
        grad.set_num_threads(before)


def test_bool_is_refused() -> None:
    with pytest.raises(NotImplementedError, match="bool"):
        F.max_pool2d(grad.ones((1, 4, 4)).bool(), 2)
    with pytest.raises(TypeError, match="floating"):
        F.avg_pool2d(grad.ones((1, 4, 4)).int(), 2)
    with pytest.raises(RuntimeError, match="zero"):
        F.avg_pool2d(grad.ones((1, 4, 4)), 2, divisor_override=0)
