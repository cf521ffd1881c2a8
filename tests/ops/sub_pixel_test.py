"""Transposed convolutions with long steps: the values of the convolution that they stand for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import grad
import grad.nn.functional as F
from grad.engine import realize
from grad.graph.evaluate import evaluate
from grad.graph.node import convolve
from grad.graph.windows import Windows
from grad.ops.sub_pixel import convolved_far_apart, is_far_apart
from tests.engine.exact_graphs import leaf, values_of

Sizes = tuple[int, ...]


def whole_numbers(*shape: int, seed: int = 0) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(np.float64)


def spread(
    steps: Sizes, padding: tuple[tuple[int, int], ...], dilation: Sizes | None = None
) -> Windows:
    ones = (1,) * len(steps)
    return Windows(ones, padding, dilation or ones, steps)


@pytest.mark.parametrize(
    ("sizes", "kernel", "windows"),
    [
        ((4,), (8,), spread((8,), ((7, 7),))),  # windows side by side
        ((5,), (16,), spread((8,), ((11, 11),))),  # two taps for each sub-pixel
        ((5,), (11,), spread((8,), ((6, 10),))),  # some sub-pixels meet two taps, others one
        ((3,), (3,), spread((7,), ((2, 2),))),  # most meet none
        ((4,), (6,), spread((5,), ((-3, 9),))),  # the image is cut off in front
        ((4,), (9,), spread((6,), ((20, -2),))),
        ((1,), (5,), spread((9,), ((4, 4),))),
        ((3, 4), (5, 8), spread((5, 8), ((4, 6), (7, 7)))),
        ((3, 4), (3, 9), spread((1, 6), ((1, 1), (8, 3)))),  # an axis as it is
        ((4, 3), (7, 2), spread((6, 2), ((6, 6), (1, 1)))),
        ((2, 3, 2), (5, 5, 6), spread((5, 5, 5), ((4, 4), (4, 8), (5, 5)))),
        # Taps that are apart, too.
        ((5,), (4,), spread((6,), ((9, 11),), (3,))),
        ((4,), (3,), spread((8,), ((-2, 40),), (16,))),
        ((3, 4), (3, 2), spread((5, 8), ((4, 6), (7, 7)), (2, 3))),
        ((3, 4), (3, 2), spread((1, 8), ((4, 6), (9, 2)), (2, 5))),
    ],
    ids=str,
)
@pytest.mark.parametrize("groups", [1, 2])
def test_values_are_those_of_the_primitive(
    sizes: Sizes, kernel: Sizes, windows: Windows, groups: int
) -> None:
    assert is_far_apart(windows)
    windows = replace(windows, groups=groups)
    image = leaf(whole_numbers(2, 3 * groups, *sizes))
    weight = leaf(whole_numbers(4 * groups, 3, *kernel, seed=1))
    expected = evaluate([convolve(image, weight, windows)])[0]
    found = convolved_far_apart(image, weight, windows, convolve)
    np.testing.assert_array_equal(evaluate([found])[0], expected)
    realize([found])
    np.testing.assert_array_equal(values_of(found), expected)


def test_near_elements_are_left_to_kernels() -> None:
    assert not is_far_apart(spread((4, 4), ((3, 3), (3, 3))))
    assert not is_far_apart(Windows((2,), ((9, 9),), (1,), (8,)))  # no gradient leads there


@pytest.mark.parametrize("kernel", [16, 21, 5])
def test_derivatives_of_patches(kernel: int) -> None:
    """Patches of an image, as the first layer of a vision transformer takes them."""
    x = grad.tensor(whole_numbers(1, 2, 21, 24)).requires_grad_()
    weight = grad.tensor(whole_numbers(3, 2, kernel, kernel, seed=1)).requires_grad_()
    assert grad.autograd.gradcheck(lambda x, w: F.conv2d(x, w, stride=8) / 9, (x, weight))


def test_infinities_stay_where_they_are_met() -> None:
    """Zeros between elements, and those that fill up a row of taps, are multiplied with nothing."""
    image = np.ones((1, 1, 3))
    image[0, 0, 1] = np.inf
    found = F.conv_transpose1d(grad.tensor(image), grad.ones(1, 1, 7).double(), stride=5).numpy()
    np.testing.assert_array_equal(
        np.isinf(found[0, 0]), (np.arange(17) >= 5) & (np.arange(17) < 12)
    )
    assert not np.isnan(found).any()


def test_the_time_does_not_depend_on_the_taps_that_meet_nothing() -> None:
    """Every kernel is a convolution: plain loops would go over all taps for every position."""
    weight, image = grad.randn(64, 3, 16, 16), grad.randn(1, 64, 4, 4)
    explained = grad.explain(lambda: F.conv_transpose2d(image, weight, stride=16))
    assert "# convolution" in "".join(str(kernel.ir) for kernel in explained.kernels)
    assert sum(kernel.operations for kernel in explained.kernels) < 4 * weight.numel() * 16
