"""Convolution where the loop over the registry does not look: edges, types, derivatives, threads.

Values, layouts and both derivatives of every convolution are in `registry_test.py`; the kernels are
in `codegen/convolution_test.py`; the peer test compares with PyTorch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import signal

import grad
import grad.nn.functional as F
from grad.dtype import dtypes

Array = np.ndarray[Any, Any]


def _numbers(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).normal(size=shape)


def test_one_filter_is_a_cross_correlation() -> None:
    image, kernel = _numbers(17, 23), _numbers(5, 4, seed=1)
    actual = F.conv2d(grad.tensor(image[None, None]), grad.tensor(kernel[None, None]))
    expected = signal.correlate(image, kernel, "valid")
    np.testing.assert_allclose(actual.numpy()[0, 0], expected, rtol=1e-12, atol=1e-12)


def test_one_transposed_filter_is_a_convolution() -> None:
    image, kernel = _numbers(7, 11), _numbers(5, 4, seed=1)
    actual = F.conv_transpose2d(grad.tensor(image[None, None]), grad.tensor(kernel[None, None]))
    expected = signal.convolve(image, kernel, "full")
    np.testing.assert_allclose(actual.numpy()[0, 0], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize("stride", [1, 2, (3, 1)])
@pytest.mark.parametrize("dilation", [1, (1, 2)])
def test_the_transpose_of_a_linear_map(groups: int, stride: Any, dilation: Any) -> None:
    """``<conv(x), y> == <x, conv_transpose(y)>``, both with the same weight."""
    x, weight = _numbers(2, 4, 10, 11), _numbers(6, 4 // groups, 3, 2, seed=1)
    settings = {"stride": stride, "padding": 1, "dilation": dilation, "groups": groups}
    out = F.conv2d(grad.tensor(x), grad.tensor(weight), **settings).numpy()
    y = _numbers(*out.shape, seed=2)
    back = F.conv_transpose2d(grad.tensor(y), grad.tensor(weight), **settings)
    # Elements behind the last window, which get nothing, come back with output_padding.
    missing = tuple(n - m for n, m in zip(x.shape[2:], back.shape[2:], strict=True))
    whole = F.conv_transpose2d(
        grad.tensor(y), grad.tensor(weight), **settings, output_padding=missing
    )
    assert (x * whole.numpy()).sum() == pytest.approx((out * y).sum(), rel=1e-10)


def test_halves_are_computed_in_float32() -> None:
    x, weight = _numbers(1, 64, 9, 9), _numbers(8, 64, 3, 3, seed=1)
    bias = _numbers(8, seed=2)
    half = [grad.tensor(a).to(dtypes.float16) for a in (x, weight, bias)]
    actual = F.conv2d(*half)
    expected = F.conv2d(*[t.float() for t in half])
    assert actual.dtype is dtypes.float16
    np.testing.assert_array_equal(actual.numpy(), expected.to(dtypes.float16).numpy())


def test_gradients_of_halves_are_halves() -> None:
    x = grad.ones((1, 2, 5, 5), dtype=dtypes.bfloat16, requires_grad=True)
    weight = grad.ones((3, 2, 3, 3), dtype=dtypes.bfloat16, requires_grad=True)
    F.conv2d(x, weight, padding=1).sum().backward()
    assert x.grad is not None
    assert weight.grad is not None
    assert x.grad.dtype is weight.grad.dtype is dtypes.bfloat16
    assert x.grad[0, 0, 2, 2].item() == 27.0


def test_no_channels_and_no_images() -> None:
    weight = grad.ones((3, 2, 2, 2), requires_grad=True)
    bias = grad.tensor([1.0, 2.0, 3.0], requires_grad=True)
    none = F.conv2d(grad.zeros((0, 2, 5, 5)), weight, bias)
    assert none.shape == (0, 3, 4, 4)
    none.sum().backward()
    assert weight.grad is not None
    assert weight.grad.abs().sum().item() == 0.0
    only_bias = F.conv2d(grad.zeros((1, 0, 3, 3)), grad.zeros((3, 0, 2, 2)), bias)
    assert only_bias[0, :, 0, 0].tolist() == [1.0, 2.0, 3.0]
    assert F.conv_transpose2d(grad.zeros((0, 3, 5, 5)), weight).shape == (0, 2, 6, 6)


def test_nan_stays_in_the_windows_that_see_it() -> None:
    x = np.ones((1, 1, 7, 7), np.float32)
    x[0, 0, 3, 3] = np.nan
    out = F.conv2d(grad.tensor(x), grad.ones((1, 1, 3, 3)), padding=1).numpy()[0, 0]
    seen = np.zeros((7, 7), bool)
    seen[2:5, 2:5] = True
    np.testing.assert_array_equal(np.isnan(out), seen)


def test_second_derivatives_of_a_network() -> None:
    """Of a loss in which image, weight and result all are squared somewhere."""
    start = _numbers(1, 2, 6, 5)
    weight = grad.tensor(_numbers(4, 1, 3, 2, seed=1), requires_grad=True)

    def gradients(image: Any, keep: bool) -> Any:
        out = F.conv2d(image * image, weight * weight, stride=2, padding=1, groups=2)
        loss = (F.conv_transpose2d(out * out, weight, stride=2, groups=2) ** 2).sum()
        return grad.autograd.grad(loss, [image, weight], create_graph=keep)

    x = grad.tensor(start, requires_grad=True)
    first = gradients(x, True)
    ways = [_numbers(*g.shape, seed=3 + n) for n, g in enumerate(first)]
    total = sum((g * grad.tensor(way)).sum() for g, way in zip(first, ways, strict=True))
    (second,) = grad.autograd.grad(total, [x])
    direction, step = _numbers(*start.shape, seed=9), 1e-5

    def value(amount: float) -> float:
        found = gradients(grad.tensor(start + amount * direction, requires_grad=True), False)
        return sum(float((g.numpy() * way).sum()) for g, way in zip(found, ways, strict=True))

    expected = (value(step) - value(-step)) / (2 * step)
    assert float((second.numpy() * direction).sum()) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("shape", [(3, 5, 17, 19), (1, 3, 8, 8)])
def test_threads_do_not_change_a_bit(shape: Any) -> None:
    array = _numbers(*shape).astype(np.float32)
    taps = _numbers(7, shape[1], 3, 3, seed=1).astype(np.float32)

    def run(threads: int) -> list[Array]:
        grad.set_num_threads(threads)
        x, weight = grad.tensor(array, requires_grad=True), grad.tensor(taps, requires_grad=True)
        out = F.conv2d(x, weight, stride=2, padding=1)
        (out * out).sum().backward()
        assert x.grad is not None
        assert weight.grad is not None
        return [out.detach().numpy(), x.grad.numpy(), weight.grad.numpy()]

    before = grad.get_num_threads()
    try:
        expected = run(1)
        for threads in (2, 3, 8):
            for actual, wanted in zip(run(threads), expected, strict=True):
                np.testing.assert_array_equal(actual, wanted)
    finally:
        grad.set_num_threads(before)


def test_types_must_agree() -> None:
    x = grad.ones((1, 1, 4, 4))
    with pytest.raises(RuntimeError, match="one dtype"):
        F.conv2d(x, grad.ones((1, 1, 2, 2)).double())
    with pytest.raises(TypeError, match="bool"):
        F.conv2d(x.bool(), grad.ones((1, 1, 2, 2)).bool())
    with pytest.raises(TypeError, match="Tensor"):
        F.conv2d(x, [[[[1.0]]]])
