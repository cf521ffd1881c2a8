"""Special functions that NumPy computes, against SciPy over their whole range, and at the edges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.special as scipy_special

import grad
from grad import special
from grad.errors import GradientError

Array = np.ndarray[Any, Any]
INF, NAN = np.inf, np.nan


def numbers(*values: float) -> Any:
    return grad.tensor(values, dtype=grad.float64)


def points() -> Array:
    random = np.random.default_rng(0)
    return np.concatenate([10 ** random.uniform(-8, 3, 300), random.uniform(0, 40, 300)])


KINDS: list[tuple[str, Callable[[Array], Array], float]] = [
    ("bessel_j0", scipy_special.j0, 1),
    ("bessel_j1", scipy_special.j1, -1),
    ("bessel_y0", scipy_special.y0, 1),
    ("bessel_y1", scipy_special.y1, 1),
    ("modified_bessel_k0", scipy_special.k0, 1),
    ("modified_bessel_k1", scipy_special.k1, 1),
    ("scaled_modified_bessel_k0", scipy_special.k0e, 1),
    ("scaled_modified_bessel_k1", scipy_special.k1e, 1),
    ("airy_ai", lambda x: scipy_special.airy(x)[0], 1),
    ("airy_ai", lambda x: scipy_special.airy(x)[0], -1),
]


@pytest.mark.parametrize(("name", "reference", "sign"), KINDS)
def test_bessel(name: str, reference: Callable[[Array], Array], sign: float) -> None:
    x = sign * points()
    x = x[np.abs(x) < 100] if name == "airy_ai" else x
    found, expected = getattr(special, name)(grad.tensor(x)).numpy(), reference(x)
    # Beside the size of a wave, where a function is one: zeros are not met in the last digit.
    wave = 0 if "k" in name or (name, sign) == ("airy_ai", 1) else 1 / np.sqrt(1 + np.abs(x))
    assert (np.abs(found - expected) <= 1e-12 * np.maximum(np.abs(expected), wave)).all()


def test_bessel_at_the_edges() -> None:
    x = numbers(0, -1, NAN)
    assert special.bessel_j0(x)[:1].tolist() == [1] and special.bessel_j1(x)[0].item() == 0
    np.testing.assert_array_equal(special.bessel_y0(x).numpy(), [-INF, NAN, NAN])
    np.testing.assert_array_equal(special.modified_bessel_k1(x).numpy(), [INF, NAN, NAN])
    np.testing.assert_array_equal(special.spherical_bessel_j0(numbers(0, INF)).numpy(), [1, 0])
    assert special.modified_bessel_k0(numbers(INF)).item() == 0


def test_incomplete_gamma() -> None:
    random = np.random.default_rng(1)
    a = 10 ** random.uniform(-3, 5, 600)
    x = np.concatenate([a[:300] * random.uniform(0.5, 1.5, 300), 10 ** random.uniform(-3, 3, 300)])
    for found, expected in (
        (special.gammainc(grad.tensor(a), grad.tensor(x)), scipy_special.gammainc(a, x)),
        (special.gammaincc(grad.tensor(a), grad.tensor(x)), scipy_special.gammaincc(a, x)),
    ):
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-11, atol=1e-300)


def test_incomplete_gamma_at_the_edges() -> None:
    a = numbers(-1, 0, 0, 1, 1, INF, INF, 2, NAN, 1)
    x = numbers(1, 1, 0, 0, INF, 1, INF, -1, 1, NAN)
    lower = [NAN, 1, NAN, 0, 1, 0, NAN, NAN, NAN, NAN]
    np.testing.assert_array_equal(grad.igamma(a, x).numpy(), lower)
    np.testing.assert_array_equal(grad.igammac(a, x).numpy(), 1 - np.array(lower))
    with pytest.raises(GradientError, match="first"):
        grad.igamma(numbers(1).requires_grad_(), 1.0).backward()


def test_zeta() -> None:
    random = np.random.default_rng(2)
    s, q = random.uniform(1.01, 30, 300), 10 ** random.uniform(-2, 4, 300)
    found = special.zeta(grad.tensor(s), grad.tensor(q)).numpy()
    np.testing.assert_allclose(found, scipy_special.zeta(s, q), rtol=1e-13)
    edges = special.zeta(numbers(1, 0.5, 2, 2.5, 2, 3), numbers(1, 1, -1, -1.5, NAN, -20.5))
    exact = sum((k - 20.5) ** -3 for k in range(41)) + scipy_special.zeta(3, 20.5)
    np.testing.assert_allclose(edges.numpy(), [INF, NAN, INF, NAN, NAN, exact], rtol=1e-9)


POLYNOMIALS: dict[str, Callable[..., Any]] = {
    "chebyshev_polynomial_t": scipy_special.eval_chebyt,
    "chebyshev_polynomial_u": scipy_special.eval_chebyu,
    "hermite_polynomial_h": scipy_special.eval_hermite,
    "hermite_polynomial_he": scipy_special.eval_hermitenorm,
    "laguerre_polynomial_l": scipy_special.eval_laguerre,
    "legendre_polynomial_p": scipy_special.eval_legendre,
    "shifted_chebyshev_polynomial_t": scipy_special.eval_sh_chebyt,
    "shifted_chebyshev_polynomial_u": scipy_special.eval_sh_chebyu,
}


@pytest.mark.parametrize("name", POLYNOMIALS)
def test_polynomials(name: str) -> None:
    random = np.random.default_rng(3)
    x, n = random.uniform(-2, 2, 50), random.integers(0, 12, 50)
    found = getattr(special, name)(grad.tensor(x), grad.tensor(n)).numpy()
    np.testing.assert_allclose(found, POLYNOMIALS[name](n, x), rtol=1e-8, atol=1e-8)


def test_polynomials_of_the_third_and_fourth_kind() -> None:
    """With x = cos(a): cos((n + 1/2) a) / cos(a / 2), and the same of sines."""
    angle, n = np.linspace(0.1, 3, 7), 5
    x = grad.tensor(np.cos(angle))
    third = np.cos((n + 0.5) * angle) / np.cos(angle / 2)
    fourth = np.sin((n + 0.5) * angle) / np.sin(angle / 2)
    np.testing.assert_allclose(special.chebyshev_polynomial_v(x, n).numpy(), third, atol=1e-12)
    np.testing.assert_allclose(special.chebyshev_polynomial_w(x, n).numpy(), fourth, atol=1e-12)
    shifted = special.shifted_chebyshev_polynomial_w((x + 1) / 2, n)
    np.testing.assert_allclose(shifted.numpy(), fourth, atol=1e-12)


def test_degrees() -> None:
    x = grad.tensor([0.5, 0.5, 0.5])
    found = special.legendre_polynomial_p(x, grad.tensor([-2.0, 1.9, 0.0]))
    assert found.tolist() == [0, 0.5, 1] and not found.requires_grad
    assert special.chebyshev_polynomial_t(0.5, grad.tensor([1, 2])).tolist() == [0.5, -0.5]
