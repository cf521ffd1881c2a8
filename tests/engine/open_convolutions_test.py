"""Gradients of convolutions where the number of images is open, against NumPy in float64."""

from __future__ import annotations

import numpy as np
import pytest

import grad
import grad.nn.functional as F
from grad.settings import settings

pytestmark = [
    pytest.mark.usefixtures("empty_cache"),
    pytest.mark.skipif(
        settings.backend != "cpu", reason="the other backends have no kernels of open sizes"
    ),
]
# Sizes of an image and of the weight, and options.
CASES = {
    "3x3": ((4, 9, 9), (8, 4, 3, 3), {"padding": 1}),
    "1x1": ((16, 10, 12), (24, 16, 1, 1), {}),
    "depthwise": ((8, 9, 9), (8, 1, 3, 3), {"padding": 1, "groups": 8}),
    "strided": ((3, 11, 11), (16, 3, 3, 3), {"stride": 2, "padding": 1}),
    "dilated": ((4, 12, 12), (6, 4, 3, 3), {"dilation": 2}),
    "narrow": ((2, 10, 10), (3, 2, 2, 2), {"stride": 3}),
}
# One template holds from 3 to 31 images, whether they fill all blocks of the sums or not.
IMAGES = (7, 9, 11, 3, 17, 30, 5, 40, 33, 1, 2)


def weight_gradient(x: np.ndarray, g: np.ndarray, shape: tuple[int, ...], how: dict) -> np.ndarray:
    """By its definition: for each tap, products of shifted images and the gradient."""
    step, apart, groups = how.get("stride", 1), how.get("dilation", 1), how.get("groups", 1)
    pad = how.get("padding", 0)
    x = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (pad, pad), (pad, pad)))
    n, _, height, width = g.shape
    x = x.reshape(n, groups, -1, *x.shape[2:])
    g = g.astype(np.float64).reshape(n, groups, -1, height, width)
    found = np.empty(shape)
    for i in range(shape[2]):
        for j in range(shape[3]):
            rows = slice(i * apart, i * apart + step * (height - 1) + 1, step)
            columns = slice(j * apart, j * apart + step * (width - 1) + 1, step)
            taps = np.einsum("ngohw,ngchw->goc", g, x[:, :, :, rows, columns])
            found[:, :, i, j] = taps.reshape(shape[0], shape[1])
    return found


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", CASES)
def test_weight_gradients_of_any_number_of_images(name: str, dtype: type) -> None:
    image, shape, how = CASES[name]
    random = np.random.default_rng(0)
    weight = grad.tensor(random.standard_normal(shape).astype(dtype), requires_grad=True)
    for images in IMAGES:
        x = random.standard_normal((images, *image)).astype(dtype)
        y = F.conv2d(grad.tensor(x), weight, **how)
        slope = random.standard_normal(y.shape).astype(dtype)
        (actual,) = grad.autograd.grad(y, [weight], grad.tensor(slope))
        expected = weight_gradient(x, slope, shape, how)
        tolerance = (1e-5 if dtype is np.float32 else 1e-13) * np.abs(expected).max()
        np.testing.assert_allclose(actual.numpy(), expected, 0, tolerance)
