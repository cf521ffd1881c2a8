"""Special functions: how exact they are, extreme places, and gradients where these are delicate.

float64 is compared with SciPy or mpmath, float32 with float64 rounded.
"""

from __future__ import annotations

import math
from typing import Any

import mpmath
import numpy as np
import pytest
from scipy import special

import grad
from grad import Tensor
from grad.errors import ArgumentError

INFINITY, NAN = math.inf, math.nan
RANDOM = np.random.default_rng(0)


def spread(low: float, high: float, count: int = 60) -> np.ndarray:
    return RANDOM.uniform(low, high, count)


def sizes(low: float, high: float, count: int = 60) -> np.ndarray:
    """Numbers of all orders of magnitude between two powers of ten."""
    return 10 ** RANDOM.uniform(low, high, count)


def real_lgamma(x: Any) -> Any:
    return mpmath.log(abs(mpmath.gamma(x)))


CASES = {
    "lgamma": (grad.lgamma, real_lgamma,
        [spread(0, 3), spread(0.99, 1.01), spread(1.99, 2.01), spread(3, 50), sizes(-300, -2),
         sizes(2, 4), -spread(0, 1), -spread(4, 30)]),
    "digamma": (grad.digamma, mpmath.digamma,
        [spread(0, 3), spread(1.46, 1.463), spread(3, 50), sizes(-100, 100), -spread(0, 0.4)]),
    "trigamma": (lambda x: grad.polygamma(1, x), lambda x: mpmath.polygamma(1, x),
        [spread(0, 3), spread(3, 50), sizes(-50, 50), -spread(0, 4)]),
    "polygamma 4": (lambda x: grad.polygamma(4, x), lambda x: mpmath.polygamma(4, x),
        [spread(0, 3), spread(3, 50), -spread(0, 0.4)]),
    "erfinv": (grad.erfinv, mpmath.erfinv,
        [spread(-1, 1), sizes(-300, -1), 1 - sizes(-15, 0)]),
    "erfc": (grad.erfc, mpmath.erfc, [spread(-5, 26)]),
    "erfcx": (grad.special.erfcx, lambda x: mpmath.exp(x * x) * mpmath.erfc(x),
        [spread(-26, 0), spread(0, 40), sizes(-10, 2)]),
    "ndtri": (grad.special.ndtri, lambda x: mpmath.sqrt(2) * mpmath.erfinv(2 * x - 1),
        [spread(0, 1), sizes(-12, -1)]),
    "log_ndtr": (grad.special.log_ndtr, lambda x: mpmath.log(mpmath.ncdf(x)), [spread(-37, 5)]),
    "i0": (grad.special.i0, lambda x: mpmath.besseli(0, x), [spread(-20, 20), spread(600, 700)]),
    "i1": (grad.special.i1, lambda x: mpmath.besseli(1, x), [spread(-20, 20), spread(600, 700)]),
    "i0e": (grad.special.i0e, lambda x: mpmath.besseli(0, x) * mpmath.exp(-abs(x)),
        [spread(-20, 20), sizes(1, 4)]),
    "i1e": (grad.special.i1e, lambda x: mpmath.besseli(1, x) * mpmath.exp(-abs(x)),
        [spread(-20, 20), sizes(1, 4)]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_accuracy(name: str) -> None:
    function, exact, places = CASES[name]
    with mpmath.workdps(50):
        for x in places:
            expected = np.array([float(exact(mpmath.mpf(float(value)))) for value in x])
            np.testing.assert_allclose(function(grad.tensor(x)).numpy(), expected, rtol=1e-14)
            with np.errstate(over="ignore"):
                single = x.astype(np.float32)
            single = single[(single != 0) & (np.abs(single) != 1)]
            exactly = [float(exact(mpmath.mpf(float(value)))) for value in single]
            with np.errstate(over="ignore", under="ignore"):
                rounded = np.array(exactly).astype(np.float32)
            found = function(grad.tensor(single)).numpy()
            np.testing.assert_array_max_ulp(found, rounded, 2)


def c_lgamma(x: np.ndarray) -> np.ndarray:
    """C's lgamma, infinite at the poles, for which Python raises."""
    return np.array(
        [INFINITY if v <= 0 and (math.isinf(v) or v == int(v)) else _finite(v) for v in x]
    )


def _finite(x: float) -> float:
    try:
        return math.lgamma(x)
    except OverflowError:
        return INFINITY


PLACES = [0.0, -0.0, INFINITY, -INFINITY, NAN, 1.0, -1.0, 2.0, -2.0, 0.5, 1e-320, 1e308, 750.0]
AS_IN_SCIPY = {
    "lgamma": c_lgamma, "digamma": special.psi, "erfc": special.erfc,
    "erfinv": special.erfinv, "special.ndtri": special.ndtri, "special.ndtr": special.ndtr,
    "special.log_ndtr": special.log_ndtr, "special.erfcx": special.erfcx,
    "special.i0e": special.i0e, "special.i1e": special.i1e, "special.entr": special.entr,
}  # fmt: skip


@pytest.mark.parametrize("name", AS_IN_SCIPY)
def test_extreme_places(name: str) -> None:
    function: Any = grad
    for part in name.split("."):
        function = getattr(function, part)
    with np.errstate(all="ignore"):
        expected = AS_IN_SCIPY[name](np.array(PLACES))
    found = function(grad.tensor(PLACES, dtype=grad.float64)).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-13)


def test_bessel_functions_overflow_to_infinity() -> None:
    x = grad.tensor([713.0, 720.5, INFINITY, -1e300, -INFINITY], dtype=grad.float64)
    found = grad.special.i0(x).numpy()
    assert found[0] == pytest.approx(float(mpmath.besseli(0, 713)), rel=1e-13)
    assert np.isposinf(found[1:]).all()
    assert grad.special.i1(x).tolist()[1:] == [INFINITY, INFINITY, -INFINITY, -INFINITY]


def test_products_with_zero() -> None:
    x = grad.tensor([0.0, 0.0, 0.0, 2.0])
    y = grad.tensor([0.0, NAN, INFINITY, 1.0])
    np.testing.assert_array_equal(grad.xlogy(x, y).numpy(), [0, NAN, 0, 0])
    np.testing.assert_array_equal(grad.special.xlog1py(0, y).numpy(), [0, NAN, 0, 0])
    assert grad.xlogy(grad.tensor([2]), 1.0).dtype is grad.float32


@pytest.mark.parametrize(
    ("function", "logarithm", "undefined"),
    [(grad.xlogy, math.log, [0.0, -1.0]), (grad.special.xlog1py, math.log1p, [-1.0, -2.0])],
)
def test_products_with_zero_have_the_logarithm_as_gradient(
    function: Any, logarithm: Any, undefined: list[float]
) -> None:
    x = grad.zeros(5, dtype=grad.float64, requires_grad=True)
    y = [3.0, 0.5, NAN, *undefined]
    function(x, grad.tensor(y, dtype=grad.float64)).sum().backward()
    expected = [logarithm(3), logarithm(0.5), NAN, 0, 0]
    np.testing.assert_allclose(x.grad.numpy(), expected, rtol=1e-15)


def test_logit_at_its_ends_and_outside() -> None:
    x = grad.tensor([0, 1, 0.25, -0.5, 2], dtype=grad.float64, requires_grad=True)
    result = x.logit()
    np.testing.assert_allclose(
        result.detach().numpy(), [-INFINITY, INFINITY, -math.log(3), NAN, NAN], rtol=1e-15
    )
    result.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), [INFINITY, INFINITY, 16 / 3, NAN, NAN], rtol=1e-15)


def test_sinc_has_derivatives_at_zero() -> None:
    x = grad.tensor([0.0, 1e-6], dtype=grad.float64, requires_grad=True)
    (first,) = grad.autograd.grad(grad.sinc(x).sum(), x, create_graph=True)
    (second,) = grad.autograd.grad(first.sum(), x)
    np.testing.assert_allclose(first.detach().numpy(), [0, -(math.pi**2) / 3 * 1e-6], rtol=1e-9)
    np.testing.assert_allclose(second.numpy(), [-(math.pi**2) / 3] * 2, rtol=1e-9)


def test_gradients_at_the_origin() -> None:
    """0 divided by 0 is met on the way, and does not come out."""
    x = grad.zeros(1, dtype=grad.float64, requires_grad=True)
    for function, slope in ((grad.special.i1, 0.5), (grad.special.i1e, 0.5), (grad.i0, 0.0)):
        (found,) = grad.autograd.grad(function(x).sum(), x)
        assert found.tolist() == [slope]


def test_polygamma_by_both_orders_of_arguments() -> None:
    x = grad.tensor([1.0, 2.5])
    np.testing.assert_array_equal(grad.polygamma(2, x).numpy(), x.polygamma(2).numpy())
    np.testing.assert_array_equal(grad.polygamma(0, x).numpy(), grad.digamma(x).numpy())
    assert grad.polygamma(n=1, input=x).shape == (2,)
    assert x.clone().polygamma_(1).tolist() == grad.polygamma(1, x).tolist()
    with pytest.raises(ArgumentError):
        grad.polygamma(-1, x)
    with pytest.raises(TypeError):
        grad.polygamma(1.5, x)  # type: ignore[arg-type]


def test_functions_are_values_of_compiled_functions() -> None:
    def loss(x: Tensor) -> Tensor:
        return (grad.lgamma(x) * grad.special.ndtri(x) + grad.gcd(x.int(), x.int())).sum()

    x = grad.rand(9)
    assert grad.compile(loss)(x).item() == pytest.approx(loss(x).item(), rel=1e-6)


@pytest.mark.parametrize("name", grad.special.__all__)
def test_names_of_the_namespace(name: str) -> None:
    function = getattr(grad.special, name)
    first = (1, grad.ones(2)) if name == "polygamma" else (grad.full((2,), 0.5),)
    second: dict[str, tuple[Any, ...]] = {"xlogy": (0.5,), "xlog1py": (0.5,), "multigammaln": (1,)}
    second |= {name: (grad.ones(2),) for name in ("gammainc", "gammaincc", "zeta")}
    if "_polynomial_" in name:
        second[name] = (3,)
    axis = (0,) if name in ("softmax", "log_softmax", "logsumexp") else ()
    assert function(*first, *second.get(name, ()), *axis).dtype is grad.float32
