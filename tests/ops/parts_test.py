"""Floating numbers by their parts, divisors, and steps: values that samples cannot ask for."""

from __future__ import annotations

import math

import numpy as np
import pytest

import grad
from grad.errors import ArgumentError, DTypeError

RANDOM = np.random.default_rng(0)
WIDTHS = {"float16": np.uint16, "float32": np.uint32, "float64": np.uint64}


def all_sorts(kind: str, count: int = 3000) -> np.ndarray:
    """Numbers of random bits: subnormals, infinities and NaN among them, and both zeros."""
    whole = np.iinfo(WIDTHS[kind])
    bits = RANDOM.integers(0, whole.max, count, dtype=whole.dtype, endpoint=True)
    small = bits[:50] >> np.array(8 * whole.dtype.itemsize - 9, whole.dtype)
    signed = np.concatenate([bits, small]).view(kind)
    return np.concatenate([signed, np.array([0.0, -0.0, np.inf, -np.inf, np.nan], kind)])


@pytest.mark.parametrize("kind", WIDTHS)
def test_frexp(kind: str) -> None:
    x = all_sorts(kind)
    mantissa, exponent = grad.frexp(grad.tensor(x))
    with np.errstate(invalid="ignore"):
        expected, power = np.frexp(x)
    finite = np.isfinite(x)
    np.testing.assert_array_equal(mantissa.numpy(), expected)
    np.testing.assert_array_equal(exponent.numpy()[finite], power[finite])
    assert (exponent.numpy()[~finite] == 0).all()
    assert mantissa.dtype.name == kind and exponent.dtype is grad.int32


def test_frexp_gradient() -> None:
    x = grad.tensor([6.0, -0.3], requires_grad=True)
    grad.frexp(x).mantissa.sum().backward()
    assert x.grad.tolist() == [1 / 8, 2.0]


@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_next_numbers(kind: str) -> None:
    x = all_sorts(kind)
    y = RANDOM.permutation(x)
    found = grad.nextafter(grad.tensor(x), grad.tensor(y)).numpy()
    with np.errstate(all="ignore"):
        expected = np.nextafter(x, y)
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(
        np.signbit(found[found == 0]), np.signbit(expected[expected == 0])
    )


@pytest.mark.parametrize("kind", WIDTHS)
def test_signs_are_copied_with_those_of_zeros(kind: str) -> None:
    x = all_sorts(kind)
    y = RANDOM.permutation(x)
    found = grad.copysign(grad.tensor(x), grad.tensor(y)).numpy()
    np.testing.assert_array_equal(np.abs(found), np.abs(x))
    known = ~np.isnan(x)
    np.testing.assert_array_equal(np.signbit(found[known]), np.signbit(y[known]))


def test_ldexp_where_the_power_is_out_of_range() -> None:
    x = np.array([5e-324, 1e-320, 1e300, 1.3 * 2.0**-30, 1.5, -2.0, 0.0, np.inf, np.nan])
    powers = np.array([2090, -1080, -1100, -1040, 1100, 77, -2098, 0, 5000, -5000])[:, None]
    with np.errstate(all="ignore"):
        expected = np.ldexp(x, powers)
    np.testing.assert_array_equal(grad.ldexp(grad.tensor(x), grad.tensor(powers)).numpy(), expected)
    assert grad.ldexp(grad.ones(1, dtype=grad.float16), grad.tensor([3])).dtype is grad.float16
    with pytest.raises(TypeError):
        grad.ldexp(grad.ones(1), 3)


def test_divisors_of_layouts_and_nothing() -> None:
    columns = grad.arange(12).reshape(3, 4).T
    row = grad.tensor([4, 6, 8])
    np.testing.assert_array_equal(
        grad.gcd(columns, row).numpy(), np.gcd(columns.numpy(), row.numpy())
    )
    assert grad.lcm(grad.zeros(0, 3, dtype=grad.int64), row).shape == (0, 3)
    assert grad.gcd(grad.tensor(12), grad.tensor(-18)).item() == 6
    x = grad.tensor([4, 9])
    assert x.gcd_(grad.tensor([6, 6])).tolist() == [2, 3] and x.tolist() == [2, 3]
    with pytest.raises(TypeError):
        grad.gcd(grad.ones(2), grad.ones(2))


def test_numbers_come_before_nan() -> None:
    x, y = grad.tensor([math.nan, 1.0, math.nan]), grad.tensor([2.0, math.nan, math.nan])
    np.testing.assert_array_equal(grad.fmax(x, y).numpy(), [2, 1, math.nan])
    np.testing.assert_array_equal(grad.fmin(x, y).numpy(), [2, 1, math.nan])
    np.testing.assert_array_equal(
        grad.heaviside(grad.tensor([math.nan, -1.0, 0.0, 3.0]), grad.tensor(0.5)).numpy(),
        [0, 0, 0.5, 1],
    )


def test_functions_in_place() -> None:
    x = grad.tensor([1.0, 4.0])
    assert grad.sqrt_(x) is x and x.tolist() == [1.0, 2.0]
    assert grad.nn.functional.threshold_(x, 1.5, 0.0) is x and x.tolist() == [0.0, 2.0]
    with pytest.raises(TypeError):
        grad.ones(2).float_power_(2)


REFUSED = [
    (lambda x: grad.bitwise_and(2, 3), TypeError),
    (lambda x: grad.logical_and(2, 3), TypeError),
    (lambda x: grad.logaddexp(2, 3), TypeError),
    (lambda x: grad.isclose(x, x, rtol=-1), RuntimeError),
    (lambda x: grad.nn.functional.hardtanh(x, 1, -1), ValueError),
    (lambda x: (x > 0).round(), DTypeError),
    (lambda x: x.int().round(decimals=-1), DTypeError),
    (lambda x: x.lerp(x.double(), 0.5), RuntimeError),
    (lambda x: x - True, RuntimeError),
    (lambda x: x.softshrink(-1), ArgumentError),
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_what_is_refused(number: int) -> None:
    call, error = REFUSED[number]
    x = grad.ones(2)
    with pytest.raises(error):
        call(x)
    assert x.tolist() == [1.0, 1.0]


def test_interpolation_meets_both_ends() -> None:
    a, b = grad.tensor([1e8, 0.1]), grad.tensor([1.0, 0.7])
    for weight in (1.0, grad.tensor(1.0)):
        assert a.lerp(b, weight).tolist() == b.tolist()
    for weight in (0.0, grad.tensor(0.0)):
        assert a.lerp(b, weight).tolist() == a.tolist()


# -- activations that draw -------------------------------------------------------------------------
def test_random_slopes() -> None:
    grad.manual_seed(0)
    x = grad.full((2000,), -1.0, requires_grad=True)
    y = grad.nn.functional.rrelu(x, 0.2, 0.6, training=True)
    values = -y.detach().numpy()
    assert values.min() >= 0.2 and values.max() <= 0.6 and abs(values.mean() - 0.4) < 0.02
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), values, rtol=1e-6)
    layer = grad.nn.RReLU(0.2, 0.6).eval()
    np.testing.assert_allclose(layer(x).detach().numpy(), -0.4, rtol=1e-6)


@pytest.mark.parametrize("hard", [False, True])
def test_gumbel_softmax(hard: bool) -> None:
    """Samples follow softmax of the logits, and each is one row of probabilities."""
    grad.manual_seed(1)
    logits = grad.tensor([0.0, 1.0, 2.0]).expand(4000, 3).clone().requires_grad_()
    sample = grad.nn.functional.gumbel_softmax(logits, tau=0.5, hard=hard)
    np.testing.assert_allclose(sample.detach().sum(-1).numpy(), 1, rtol=1e-5)
    largest = np.bincount(sample.detach().numpy().argmax(-1), minlength=3) / 4000
    np.testing.assert_allclose(largest, np.exp([0, 1, 2]) / np.exp([0, 1, 2]).sum(), atol=0.03)
    if hard:
        assert set(np.unique(sample.detach().numpy().round(5))) == {0.0, 1.0}
    (sample * grad.tensor([1.0, 2.0, 3.0])).sum().backward()
    assert np.abs(logits.grad.numpy()).max() > 0
