"""`kl_divergence` is the mean of ``log(p / q)`` over numbers of p, for each pair with a formula."""

from __future__ import annotations

import pytest

import grad
from grad import distributions as D
from grad.distributions.kl import _FORMULAS

t = grad.tensor

SAMPLES: dict[type, tuple[D.Distribution, D.Distribution]] = {
    D.Normal: (D.Normal(0.5, 1.2), D.Normal(0.2, 0.7)),
    D.HalfNormal: (D.HalfNormal(1.2), D.HalfNormal(0.7)),
    D.Laplace: (D.Laplace(0.5, 1.2), D.Laplace(0.2, 2.0)),
    D.Cauchy: (D.Cauchy(0.5, 1.2), D.Cauchy(0.2, 2.0)),
    D.Gumbel: (D.Gumbel(0.5, 1.2), D.Gumbel(0.2, 2.0)),
    D.Uniform: (D.Uniform(0.2, 0.9), D.Uniform(0.0, 1.5)),
    D.Exponential: (D.Exponential(1.5), D.Exponential(0.7)),
    D.Gamma: (D.Gamma(2.0, 1.5), D.Gamma(0.8, 0.7)),
    D.Beta: (D.Beta(2.0, 1.5), D.Beta(0.8, 0.7)),
    D.Dirichlet: (D.Dirichlet(t([1.0, 2, 3])), D.Dirichlet(t([2.0, 2, 0.9]))),
    D.Bernoulli: (D.Bernoulli(0.3), D.Bernoulli(0.8)),
    D.Binomial: (D.Binomial(5, t(0.3)), D.Binomial(5, t(0.8))),
    D.Geometric: (D.Geometric(0.3), D.Geometric(0.8)),
    D.Poisson: (D.Poisson(2.0), D.Poisson(0.8)),
    D.Categorical: (D.Categorical(t([0.2, 0.8])), D.Categorical(t([0.5, 0.5]))),
    D.OneHotCategorical: (
        D.OneHotCategorical(t([0.2, 0.8])),
        D.OneHotCategorical(t([0.5, 0.5])),
    ),
    D.MultivariateNormal: (
        D.MultivariateNormal(grad.zeros(2), t([[2.0, 0.5], [0.5, 1.0]])),
        D.MultivariateNormal(grad.ones(2), grad.eye(2)),
    ),
    D.LowRankMultivariateNormal: (
        D.LowRankMultivariateNormal(grad.zeros(2), t([[1.0], [0.5]]), t([1.0, 0.5])),
        D.LowRankMultivariateNormal(grad.ones(2), t([[1.0], [-0.5]]), t([2.0, 1.5])),
    ),
    D.Pareto: (D.Pareto(1.5, 4.5), D.Pareto(0.15, 0.7)),
    D.ContinuousBernoulli: (D.ContinuousBernoulli(0.3), D.ContinuousBernoulli(0.8)),
    D.TransformedDistribution: (D.LogNormal(0.0, 1.0), D.LogNormal(0.5, 2.0)),
    D.Independent: (
        D.Independent(D.Normal(grad.zeros(3), 1.0), 1),
        D.Independent(D.Normal(grad.ones(3), 2.0), 1),
    ),
}


@pytest.mark.parametrize(
    ("p", "q"), _FORMULAS, ids=[f"{p.__name__}-{q.__name__}" for p, q in _FORMULAS]
)
def test_it_is_the_mean_over_samples(p: type, q: type) -> None:
    one, other = SAMPLES[p][0], SAMPLES[q][1]
    found = D.kl_divergence(one, other)
    assert found.shape == one.batch_shape
    grad.manual_seed(0)
    drawn = one.sample((100_000,))
    inside = other.support.check(drawn)
    if not bool(inside.all()):
        assert found.item() == float("inf")
        return
    terms = one.log_prob(drawn) - other.log_prob(drawn)
    error = 5 * terms.std().item() / 100_000**0.5 + 1e-5
    assert found.item() == pytest.approx(terms.mean().item(), abs=error)


def test_a_distribution_is_no_distance_from_itself() -> None:
    for kind, (one, _) in SAMPLES.items():
        if (kind, kind) in _FORMULAS:
            assert D.kl_divergence(one, one).item() == pytest.approx(0, abs=1e-5)


def test_batches_broadcast() -> None:
    p, q = D.Normal(grad.zeros(3, 1), 1.0), D.Normal(grad.ones(4), 2.0)
    assert D.kl_divergence(p, q).shape == (3, 4)
    assert D.kl_divergence(p, D.Gamma(grad.ones(4), 1.0)).tolist() == [[float("inf")] * 4] * 3


def test_a_uniform_distribution_may_lie_outside() -> None:
    low, high = t([-0.5, 0.0, 0.2, 0.5]), t([0.5, 1.0, 0.9, 1.5])
    uniform = D.Uniform(low, high)
    inside = {
        D.Beta(2.0, 1.5): [1, 2],
        D.ContinuousBernoulli(0.3): [1, 2],
        D.Exponential(1.0): [1, 2, 3],
        D.Gamma(2.0, 1.5): [1, 2, 3],
        D.Pareto(0.1, 1.5): [2, 3],
        D.Gumbel(0.0, 1.0): [0, 1, 2, 3],
    }
    for q, places in inside.items():
        found = D.kl_divergence(uniform, q).isfinite()
        assert found.nonzero().flatten().tolist() == places


def test_a_pareto_of_no_mean() -> None:
    pareto = D.Pareto(1.0, t([0.5, 1.0, 2.0, 3.0]))
    for q, finite in ((D.Exponential(1.0), 2), (D.Gamma(1.0, 1.0), 2), (D.Normal(0.0, 1.0), 1)):
        assert D.kl_divergence(pareto, q).isfinite().sum().item() == finite


def test_where_q_has_no_chance() -> None:
    p, q = D.Categorical(t([0.5, 0.5, 0.0])), D.Categorical(t([1.0, 0.0, 0.0]))
    assert D.kl_divergence(p, q).item() == float("inf")
    assert D.kl_divergence(q, p).item() == pytest.approx(0.6931, abs=1e-4)
    never = D.Bernoulli(t([0.0, 1.0]))
    assert D.kl_divergence(never, D.Bernoulli(t([1.0, 1.0]))).tolist() == [float("inf"), 0.0]


def test_formulas_of_ones_own() -> None:
    class Mine(D.Normal):
        pass

    one, other = Mine(0.0, 1.0), D.Normal(1.0, 1.0)
    assert D.kl_divergence(one, other).item() == 0.5  # that of what it is derived from
    try:

        @D.register_kl(Mine, D.Normal)
        def formula(p: Mine, q: D.Normal) -> grad.Tensor:
            return p.loc + 7

        assert D.kl_divergence(one, other).item() == 7
        assert D.kl_divergence(other, one).item() == 0.5
    finally:
        _FORMULAS.pop((Mine, D.Normal), None)
    with pytest.raises(NotImplementedError, match="p type Normal and q type Poisson"):
        D.kl_divergence(other, D.Poisson(1.0))
    with pytest.raises(TypeError):
        D.register_kl(int, D.Normal)
