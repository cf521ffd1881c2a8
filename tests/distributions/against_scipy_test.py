"""Densities, distribution functions, entropies and moments are those of SciPy."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy import stats

import grad
from grad import distributions as D


def t(*values: Any) -> grad.Tensor:
    return grad.tensor(values, dtype=grad.float64)


class Case(NamedTuple):
    """A distribution, the same one of SciPy, and values to ask both for."""

    ours: D.Distribution
    theirs: Any
    values: Any
    icdf: bool = True
    entropy: bool = True


WIDE = [-3.0, -0.5, 0.0, 0.7, 5.0]
ABOVE = [0.01, 0.3, 1.0, 2.5, 9.0]
COUNTS = [0, 1, 2, 5, 8]
LOC, SCALE = np.array([[-1.0], [0.5]]), np.array([[0.5], [2.0]])
loc, scale = grad.tensor(LOC), grad.tensor(SCALE)

CASES = {
    "normal": Case(D.Normal(loc, scale), stats.norm(LOC, SCALE), WIDE),
    "laplace": Case(D.Laplace(loc, scale), stats.laplace(LOC, SCALE), WIDE),
    "cauchy": Case(D.Cauchy(loc, scale), stats.cauchy(LOC, SCALE), WIDE),
    "gumbel": Case(D.Gumbel(loc, scale), stats.gumbel_r(LOC, SCALE), WIDE),
    "uniform": Case(
        D.Uniform(t(-4.0, -5.0)[:, None], t(6.0, 7.0)[:, None]),
        stats.uniform([[-4.0], [-5.0]], [[10.0], [12.0]]),
        WIDE,
    ),
    "exponential": Case(D.Exponential(1 / scale), stats.expon(0, SCALE), ABOVE),
    "half normal": Case(D.HalfNormal(scale), stats.halfnorm(0, SCALE), ABOVE),
    "half Cauchy": Case(D.HalfCauchy(scale), stats.halfcauchy(0, SCALE), ABOVE),
    "log-normal": Case(D.LogNormal(loc, scale), stats.lognorm(SCALE, 0, np.exp(LOC)), ABOVE),
    "gamma": Case(D.Gamma(scale, 3 * scale), stats.gamma(SCALE, 0, 1 / (3 * SCALE)), ABOVE, False),
    "chi squared": Case(D.Chi2(scale), stats.chi2(SCALE), ABOVE, False),
    "Poisson": Case(D.Poisson(scale), stats.poisson(SCALE), COUNTS, False, False),
    "Bernoulli": Case(
        D.Bernoulli(t(0.1, 0.6)[:, None]), stats.bernoulli([[0.1], [0.6]]), [0, 1], False
    ),
    "Bernoulli by logits": Case(
        D.Bernoulli(logits=loc), stats.bernoulli(1 / (1 + np.exp(-LOC))), [0, 1], False
    ),
    # SciPy counts the success too.
    "geometric": Case(
        D.Geometric(t(0.1, 0.6)[:, None]), stats.geom([[0.1], [0.6]], -1), COUNTS, False
    ),
    "geometric by logits": Case(
        D.Geometric(logits=loc), stats.geom(1 / (1 + np.exp(-LOC)), -1), COUNTS, False
    ),
    "binomial": Case(
        D.Binomial(8, t(0.1, 0.6)[:, None]), stats.binom(8, [[0.1], [0.6]]), COUNTS, False
    ),
    "beta": Case(
        D.Beta(scale + 1, 2 * scale), stats.beta(SCALE + 1, 2 * SCALE), [0.01, 0.3, 0.9], False
    ),
    "Student": Case(
        D.StudentT(2 * scale + 2, loc, scale), stats.t(2 * SCALE + 2, LOC, SCALE), WIDE, False
    ),
}  # fmt: skip

each = pytest.mark.parametrize("name", CASES)


@each
def test_log_prob(name: str) -> None:
    ours, theirs, values, *_ = CASES[name]
    density = theirs.logpmf if hasattr(theirs.dist, "pmf") else theirs.logpdf
    found = ours.log_prob(grad.tensor(values, dtype=grad.float64))
    np.testing.assert_allclose(found.numpy(), density(values), rtol=1e-10, atol=1e-12)


@each
def test_cdf_and_its_inverse(name: str) -> None:
    ours, theirs, values, has_inverse, _ = CASES[name]
    try:
        found = ours.cdf(grad.tensor(values, dtype=grad.float64))
    except NotImplementedError:
        assert not has_inverse
        return
    np.testing.assert_allclose(found.numpy(), theirs.cdf(values), rtol=1e-10, atol=1e-12)
    if has_inverse:
        chances = [0.01, 0.3, 0.5, 0.9]
        quantiles = ours.icdf(grad.tensor(chances, dtype=grad.float64)).numpy()
        np.testing.assert_allclose(quantiles, theirs.ppf(chances), rtol=1e-9, atol=1e-12)


@each
def test_entropy_mean_and_variance(name: str) -> None:
    ours, theirs, _, _, has_entropy = CASES[name]
    if has_entropy:
        np.testing.assert_allclose(ours.entropy().numpy(), theirs.entropy(), rtol=1e-9)
    else:
        with pytest.raises(NotImplementedError):
            ours.entropy()
    mean, variance = theirs.stats("mv")
    if name == "cauchy":  # NaN for SciPy, infinite for PyTorch
        variance = np.full_like(SCALE, np.inf)
    np.testing.assert_allclose(ours.mean.numpy(), mean, rtol=1e-9)
    np.testing.assert_allclose(ours.variance.numpy(), variance, rtol=1e-9)
    np.testing.assert_allclose(ours.stddev.numpy(), np.sqrt(variance), rtol=1e-9)


@each
def test_the_mode_is_the_most_likely_value(name: str) -> None:
    if name == "uniform":
        assert bool(CASES[name].ours.mode.isnan().all())
        return
    ours = CASES[name].ours
    mode = ours.mode.detach()
    at_mode = ours.log_prob(mode)
    for step in (-1, 1) if ours.support.is_discrete else (-0.01, 0.01):
        beside = mode + step
        allowed = ours.support.check(beside)
        lower = ours.log_prob(beside.where(allowed, mode)) <= at_mode + 1e-12
        assert bool(lower.all())


@each
def test_samples(name: str) -> None:
    """Their distribution function is that of SciPy."""
    ours, theirs, *_ = CASES[name]
    grad.manual_seed(1)
    samples = ours.sample((20_000,))
    assert samples.shape == (20_000, 2, 1) and not samples.requires_grad
    assert samples.dtype is grad.float64 and bool(ours.support.check(samples).all())
    values = np.sort(samples.numpy(), axis=0)
    for chance in (0.1, 0.5, 0.8):
        place = theirs.ppf(chance)
        found = (values <= place + 1e-9).mean(0)
        np.testing.assert_allclose(found, theirs.cdf(place + 1e-9), atol=0.015)


def test_vectors() -> None:
    concentration = np.array([0.5, 2.0, 3.0])
    value = np.array([0.2, 0.3, 0.5])
    ours, theirs = D.Dirichlet(grad.tensor(concentration)), stats.dirichlet(concentration)
    np.testing.assert_allclose(ours.log_prob(grad.tensor(value)).item(), theirs.logpdf(value))
    np.testing.assert_allclose(ours.entropy().item(), theirs.entropy())
    np.testing.assert_allclose(ours.mean.numpy(), theirs.mean())
    np.testing.assert_allclose(ours.variance.numpy(), theirs.var())
    counts = np.array([1.0, 3.0, 2.0])
    many, those = D.Multinomial(6, grad.tensor(value)), stats.multinomial(6, value)
    np.testing.assert_allclose(many.log_prob(grad.tensor(counts)).item(), those.logpmf(counts))
    np.testing.assert_allclose(many.entropy().item(), those.entropy())


@pytest.mark.parametrize("given", ["covariance_matrix", "precision_matrix", "scale_tril"])
def test_multivariate_normal(given: str) -> None:
    random = np.random.default_rng(0)
    factor = np.tril(random.normal(size=(3, 3))) + 2 * np.eye(3)
    covariance = factor @ factor.T
    mean, value = random.normal(size=3), random.normal(size=(4, 3))
    matrices = {
        "covariance_matrix": covariance,
        "precision_matrix": np.linalg.inv(covariance),
        "scale_tril": factor,
    }
    ours = D.MultivariateNormal(grad.tensor(mean), **{given: grad.tensor(matrices[given])})
    theirs = stats.multivariate_normal(mean, covariance)
    np.testing.assert_allclose(ours.log_prob(grad.tensor(value)).numpy(), theirs.logpdf(value))
    np.testing.assert_allclose(ours.entropy().item(), theirs.entropy())
    np.testing.assert_allclose(ours.variance.numpy(), np.diag(covariance))
    for name, matrix in matrices.items():
        np.testing.assert_allclose(getattr(ours, name).numpy(), matrix, atol=1e-12)
    grad.manual_seed(0)
    samples = ours.sample((30_000,)).numpy()
    np.testing.assert_allclose(np.cov(samples.T), covariance, atol=0.25)
    wide = ours.expand((2,))
    assert wide.sample((5,)).shape == (5, 2, 3) and wide.covariance_matrix.shape == (2, 3, 3)
    assert wide.log_prob(grad.tensor(value)[:, None]).shape == (4, 2)
