"""Densities, distribution functions, entropies and moments are those of SciPy."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from scipy import stats
from scipy.integrate import trapezoid

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
    "Pareto": Case(
        D.Pareto(scale, scale + 2), stats.pareto(SCALE + 2, 0, SCALE), [2.0, 2.5, 9.0]
    ),
    "generalized Pareto": Case(
        D.GeneralizedPareto(loc, scale, t(0.3, -0.2)[:, None]),
        stats.genpareto([[0.3], [-0.2]], LOC, SCALE),
        [0.5, 1.0, 4.0, 7.5],
    ),
    "generalized Pareto of concentration 0": Case(
        D.GeneralizedPareto(loc, scale, 0.0), stats.expon(LOC, SCALE), [0.5, 1.0, 4.0]
    ),
    "Weibull": Case(
        D.Weibull(scale, scale + 1), stats.weibull_min(SCALE + 1, 0, SCALE), ABOVE
    ),
    "inverse gamma": Case(
        D.InverseGamma(scale + 2, scale), stats.invgamma(SCALE + 2, 0, SCALE), ABOVE, False
    ),
    "Fisher and Snedecor": Case(
        D.FisherSnedecor(scale + 2, scale + 4), stats.f(SCALE + 2, SCALE + 4), ABOVE, False, False
    ),
    "negative binomial": Case(
        D.NegativeBinomial(2.5, t(0.1, 0.6)[:, None]),
        stats.nbinom(2.5, [[0.9], [0.4]]), COUNTS, False, False,
    ),
    "negative binomial by logits": Case(
        D.NegativeBinomial(2.0, logits=loc),
        stats.nbinom(2, 1 / (1 + np.exp(LOC))), COUNTS, False, False,
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


UNIT = np.linspace(0, 1, 20_001)[1:-1]
ANGLES = np.linspace(-np.pi, np.pi, 20_001)
half = t(0.2, 0.4995, 0.5, 0.7)

# Distributions that SciPy does not have, and where they are.
OTHERS: dict[str, tuple[D.Distribution, np.ndarray]] = {
    "Kumaraswamy": (D.Kumaraswamy(t(2.0, 1.0, 3.5), t(3.0, 1.5, 2.0)), UNIT),
    "continuous Bernoulli": (D.ContinuousBernoulli(half), UNIT),
    "continuous Bernoulli by logits": (D.ContinuousBernoulli(logits=t(-3.0, 0.0, 5.0)), UNIT),
    "relaxed Bernoulli": (D.RelaxedBernoulli(t(1.5), t(0.3, 0.6)), UNIT),
    "von Mises": (D.VonMises(t(0.5, -1.0), t(0.7, 4.0)), ANGLES),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_a_density_says(name: str) -> None:
    """Moments, entropy, distribution function and samples are those of the density."""
    made, places = OTHERS[name]
    x = grad.tensor(places)[:, None]
    density = made.log_prob(x).exp().numpy()

    def integral(values: Any) -> np.ndarray:
        return trapezoid(density * values, places, axis=0)

    grad.manual_seed(0)
    samples = made.sample((20_000,)).numpy()
    np.testing.assert_allclose(integral(1.0), 1, atol=1e-3)
    below = np.cumsum((density[1:] + density[:-1]) / 2, 0) * (places[1] - places[0])
    for part in (0.2, 0.5, 0.8):
        at = int(part * len(places))
        np.testing.assert_allclose((samples < places[at]).mean(0), below[at - 1], atol=0.015)
    if name == "von Mises":
        directions = np.exp(1j * (places[:, None] - made.mean.numpy()))
        np.testing.assert_allclose(integral(directions), 1 - made.variance.numpy(), atol=1e-6)
        return
    if name == "relaxed Bernoulli":  # has no moments, in PyTorch too
        return
    np.testing.assert_allclose(made.cdf(x)[1:].numpy(), below, atol=1e-3)
    chances = made.cdf(x[1:-1:100])
    found = made.icdf(chances).numpy()
    np.testing.assert_allclose(found, x[1:-1:100].expand(chances.shape).numpy(), atol=1e-6)
    np.testing.assert_allclose(made.mean.numpy(), integral(places[:, None]), atol=1e-3)
    apart = (places[:, None] - made.mean.numpy()) ** 2
    np.testing.assert_allclose(made.variance.numpy(), integral(apart), atol=1e-3)
    entropy = integral(-made.log_prob(x).numpy())
    np.testing.assert_allclose(made.entropy().numpy(), entropy, atol=1e-3)


def test_series_of_the_continuous_bernoulli() -> None:
    """They join the formulas where these end."""
    for odd in (0.499, 0.501):
        beside = t(odd - 1e-7, odd + 1e-7)
        made = D.ContinuousBernoulli(beside)
        for found in (made.mean, made.variance, made.entropy(), made.log_prob(t(0.3))):
            assert abs((found[0] - found[1]).item()) < 5e-7


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


def test_low_rank_normal() -> None:
    random = np.random.default_rng(0)
    factor, diagonal = random.normal(size=(4, 2)), random.uniform(0.5, 2, 4)
    mean, value = random.normal(size=4), random.normal(size=(3, 4))
    covariance = factor @ factor.T + np.diag(diagonal)
    ours = D.LowRankMultivariateNormal(*map(grad.tensor, (mean, factor, diagonal)))
    theirs = stats.multivariate_normal(mean, covariance)
    np.testing.assert_allclose(ours.log_prob(grad.tensor(value)).numpy(), theirs.logpdf(value))
    np.testing.assert_allclose(ours.entropy().item(), theirs.entropy())
    np.testing.assert_allclose(ours.variance.numpy(), np.diag(covariance))
    np.testing.assert_allclose(ours.covariance_matrix.numpy(), covariance)
    np.testing.assert_allclose(ours.precision_matrix.numpy(), np.linalg.inv(covariance))
    np.testing.assert_allclose(ours.scale_tril.numpy(), np.linalg.cholesky(covariance))
    grad.manual_seed(0)
    np.testing.assert_allclose(np.cov(ours.sample((30_000,)).numpy().T), covariance, atol=0.15)
    wide = ours.expand((2,))
    assert wide.sample((5,)).shape == (5, 2, 4)
    assert wide.log_prob(grad.tensor(value)[:, None]).shape == (3, 2)


@pytest.mark.parametrize("given", ["covariance_matrix", "precision_matrix", "scale_tril"])
def test_wishart(given: str) -> None:
    random = np.random.default_rng(0)
    factor = np.tril(random.normal(size=(3, 3))) + 2 * np.eye(3)
    scale = factor @ factor.T
    matrices = {
        "covariance_matrix": scale,
        "precision_matrix": np.linalg.inv(scale),
        "scale_tril": factor,
    }
    ours = D.Wishart(grad.tensor(5.5).double(), **{given: grad.tensor(matrices[given])})
    theirs = stats.wishart(5.5, scale)
    value = stats.wishart(6, scale).rvs(4, random_state=0)
    expected = theirs.logpdf(value.transpose(1, 2, 0))
    np.testing.assert_allclose(ours.log_prob(grad.tensor(value)).numpy(), expected)
    np.testing.assert_allclose(ours.entropy().item(), theirs.entropy())
    np.testing.assert_allclose(ours.mean.numpy(), theirs.mean())
    np.testing.assert_allclose(ours.variance.numpy(), theirs.var())
    np.testing.assert_allclose(ours.mode.numpy(), theirs.mode())
    for name, matrix in matrices.items():
        np.testing.assert_allclose(getattr(ours, name).numpy(), matrix, atol=1e-12)
    grad.manual_seed(0)
    samples = ours.sample((30_000,)).numpy()
    np.testing.assert_allclose(samples.mean(0), theirs.mean(), rtol=0.05, atol=0.3)
    np.testing.assert_allclose(samples.var(0), theirs.var(), rtol=0.1)
    wide = ours.expand((2,))
    assert wide.sample((5,)).shape == (5, 2, 3, 3) and wide.entropy().shape == (2,)


@pytest.mark.parametrize("concentration", [1.0, 2.5])
def test_correlations(concentration: float) -> None:
    """Each correlation is of a beta distribution, moved from (0, 1) to (-1, 1)."""
    grad.manual_seed(0)
    made = D.LKJCholesky(4, t(concentration)[0])
    factors = made.sample((20_000,))
    assert bool(made.support.check(factors).all())
    correlations = (factors @ factors.mT).numpy()
    one = concentration - 1 + 2
    law = stats.beta(one, one, -1, 2)
    for i, j in ((1, 0), (2, 1), (3, 0), (3, 2)):
        for chance in (0.1, 0.4, 0.9):
            found = (correlations[:, i, j] < law.ppf(chance)).mean()
            assert found == pytest.approx(chance, abs=0.015)


def test_the_density_of_correlations() -> None:
    """With two variables: ``(1 - r**2) ** (concentration - 1)`` of the correlation r."""
    r = np.linspace(-0.999, 0.999, 2001)
    factors = np.zeros((2001, 2, 2))
    factors[:, 0, 0], factors[:, 1, 0], factors[:, 1, 1] = 1, r, np.sqrt(1 - r**2)
    found = D.LKJCholesky(2, t(2.5)[0]).log_prob(grad.tensor(factors)).numpy()
    np.testing.assert_allclose(found, stats.beta(2.5, 2.5, -1, 2).logpdf(r))


def test_mixtures() -> None:
    weights, means, scales = np.array([0.3, 0.7]), np.array([-1.0, 2.0]), np.array([0.5, 1.5])
    ours = D.MixtureSameFamily(
        D.Categorical(grad.tensor(weights)), D.Normal(grad.tensor(means), grad.tensor(scales))
    )
    x = np.array([-2.0, 0.3, 4.0])
    parts = stats.norm(means, scales)
    of = grad.tensor(x)
    expected = parts.pdf(x[:, None]) @ weights
    np.testing.assert_allclose(ours.log_prob(of).exp().numpy(), expected)
    np.testing.assert_allclose(ours.cdf(of).numpy(), parts.cdf(x[:, None]) @ weights)
    mean = weights @ means
    np.testing.assert_allclose(ours.mean.item(), mean)
    variance = weights @ (scales**2 + means**2) - mean**2
    np.testing.assert_allclose(ours.variance.item(), variance)
    grad.manual_seed(0)
    samples = ours.sample((20_000,)).numpy()
    np.testing.assert_allclose((samples[:, None] < x).mean(0), ours.cdf(of).numpy(), atol=0.015)
    vectors = D.MixtureSameFamily(
        D.Categorical(grad.ones(3, 2)),
        D.Independent(D.Normal(grad.zeros(3, 2, 4), 1.0), 1),
    )
    assert vectors.batch_shape == (3,) and vectors.event_shape == (4,)
    assert vectors.sample((5,)).shape == (5, 3, 4) and vectors.mean.shape == (3, 4)
    assert vectors.log_prob(vectors.sample((5,))).shape == (5, 3)
    assert vectors.expand((2, 3)).sample().shape == (2, 3, 4)
    with pytest.raises(ValueError, match="Categorical"):
        D.MixtureSameFamily(D.Normal(0.0, 1.0), D.Normal(grad.zeros(2), 1.0))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="does not equal"):
        D.MixtureSameFamily(D.Categorical(grad.ones(3)), D.Normal(grad.zeros(2), 1.0))
