"""Shapes, checks of arguments, gradients, laziness and compilation of distributions."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import grad
from grad import distributions as D
from grad.distributions import constraints

t = grad.tensor
P = t([0.2, 0.5, 0.3])

MAKERS: dict[str, Callable[[], D.Distribution]] = {
    "Normal": lambda: D.Normal(grad.zeros(2), 1.0),
    "Uniform": lambda: D.Uniform(grad.zeros(2), 3.0),
    "LogNormal": lambda: D.LogNormal(grad.zeros(2), 1.0),
    "HalfNormal": lambda: D.HalfNormal(grad.ones(2)),
    "Gamma": lambda: D.Gamma(t([0.5, 3.0]), 2.0),
    "Chi2": lambda: D.Chi2(t([0.5, 3.0])),
    "Beta": lambda: D.Beta(t([0.5, 3.0]), 2.0),
    "StudentT": lambda: D.StudentT(t([2.5, 3.0])),
    "Dirichlet": lambda: D.Dirichlet(grad.ones(2, 3)),
    "Bernoulli": lambda: D.Bernoulli(t([0.2, 0.9])),
    "Geometric": lambda: D.Geometric(t([0.2, 0.9])),
    "Binomial": lambda: D.Binomial(4, logits=t([0.2, 0.9])),
    "Poisson": lambda: D.Poisson(t([0.2, 0.9])),
    "Categorical": lambda: D.Categorical(grad.stack([P, P])),
    "OneHotCategorical": lambda: D.OneHotCategorical(logits=grad.stack([P, P])),
    "Multinomial": lambda: D.Multinomial(5, grad.stack([P, P])),
    "MultivariateNormal": lambda: D.MultivariateNormal(grad.zeros(2, 3), grad.eye(3)),
    "LowRankMultivariateNormal": lambda: D.LowRankMultivariateNormal(
        grad.zeros(2, 3), grad.ones(3, 1), grad.ones(3)
    ),
    "Wishart": lambda: D.Wishart(t([3.5, 4.0]), scale_tril=grad.eye(3)),
    "LKJCholesky": lambda: D.LKJCholesky(3, t([0.5, 2.0])),
    "Pareto": lambda: D.Pareto(t([0.5, 2.0]), 3.0),
    "GeneralizedPareto": lambda: D.GeneralizedPareto(t([0.5, 2.0]), 3.0, 0.1),
    "Weibull": lambda: D.Weibull(t([0.5, 2.0]), 3.0),
    "InverseGamma": lambda: D.InverseGamma(t([0.5, 2.0]), 3.0),
    "Kumaraswamy": lambda: D.Kumaraswamy(t([0.5, 2.0]), 3.0),
    "FisherSnedecor": lambda: D.FisherSnedecor(t([0.5, 2.0]), 3.0),
    "VonMises": lambda: D.VonMises(t([0.5, 2.0]), 3.0),
    "LogisticNormal": lambda: D.LogisticNormal(grad.zeros(2, 3), 1.0),
    "NegativeBinomial": lambda: D.NegativeBinomial(t([0.5, 2.0]), 0.3),
    "ContinuousBernoulli": lambda: D.ContinuousBernoulli(t([0.2, 0.9])),
    "RelaxedBernoulli": lambda: D.RelaxedBernoulli(t(0.5), t([0.2, 0.9])),
    "RelaxedOneHotCategorical": lambda: D.RelaxedOneHotCategorical(t(0.5), grad.stack([P, P])),
    "MixtureSameFamily": lambda: D.MixtureSameFamily(
        D.Categorical(grad.stack([P, P])), D.Normal(grad.zeros(2, 3), 1.0)
    ),
    "Independent": lambda: D.Independent(D.Normal(grad.zeros(2, 3), 1.0), 1),
    "TransformedDistribution": lambda: D.TransformedDistribution(
        D.Normal(grad.zeros(2, 3), 1.0), [D.AffineTransform(1.0, 2.0), D.StickBreakingTransform()]
    ),
}


@pytest.mark.parametrize("name", MAKERS)
def test_shapes(name: str) -> None:
    made = MAKERS[name]()
    event = made.event_shape
    assert made.batch_shape == (2,) and type(made.batch_shape) is type(event) is grad.Size
    samples = made.sample((5, 1))
    assert samples.shape == (5, 1, 2, *event) and made.sample().shape == (2, *event)
    assert made.log_prob(samples).shape == (5, 1, 2)
    assert bool(made.support.check(samples).all())
    wide = made.expand((4, 2))
    assert wide.batch_shape == (4, 2) and wide.event_shape == event and type(wide) is type(made)
    assert wide.sample((3,)).shape == (3, 4, 2, *event)
    grad.testing.assert_close(wide.log_prob(samples), made.log_prob(samples).expand(5, 4, 2))
    assert isinstance(repr(made), str)


@pytest.mark.parametrize("name", [name for name in MAKERS if MAKERS[name]().has_rsample])
def test_gradients_reach_the_parameters(name: str) -> None:
    made = MAKERS[name]()
    parameters = {
        key: value.detach().clone().requires_grad_()
        for key, value in made.__dict__.items()
        if isinstance(value, grad.Tensor) and key != "covariance_matrix"
    }
    if isinstance(made, D.TransformedDistribution | D.Independent):  # those of its base
        return
    made.__dict__.update(parameters)
    made.rsample((3,)).square().sum().backward()
    assert all(p.grad is not None and bool((p.grad != 0).any()) for p in parameters.values())


PROBABILITIES = t([[0.2, 0.5, 0.3], [0.3, 0.3, 0.4]])
PARAMETERS: dict[str, tuple[Callable[..., D.Distribution], list[grad.Tensor]]] = {
    "Pareto": (D.Pareto, [t([0.5, 2.0]), t([1.5, 3.0])]),
    "Weibull": (D.Weibull, [t([0.5, 2.0]), t([1.5, 3.0])]),
    "InverseGamma": (D.InverseGamma, [t([0.5, 2.0]), t([1.5, 3.0])]),
    "Kumaraswamy": (D.Kumaraswamy, [t([0.5, 2.0]), t([1.5, 3.0])]),
    "LogisticNormal": (D.LogisticNormal, [grad.zeros(2, 3), grad.ones(2, 3)]),
    "RelaxedBernoulli": (D.RelaxedBernoulli, [t(0.5), t([0.2, 0.9])]),
    "RelaxedOneHotCategorical": (D.RelaxedOneHotCategorical, [t(0.5), PROBABILITIES]),
    "LowRankMultivariateNormal": (
        D.LowRankMultivariateNormal,
        [grad.zeros(2, 3), grad.ones(3, 2), t([1.0, 2.0, 0.5])],
    ),
    "Wishart": (
        lambda df, factor: D.Wishart(df, scale_tril=factor),
        [t([3.5, 4.0]), t([[1.0, 0.0], [0.5, 2.0]])],
    ),
    "ContinuousBernoulli": (D.ContinuousBernoulli, [t([0.2, 0.5])]),
}  # fmt: skip


@pytest.mark.parametrize("name", PARAMETERS)
def test_gradients_reach_the_arguments(name: str) -> None:
    kind, values = PARAMETERS[name]
    parameters = [value.clone().requires_grad_() for value in values]
    samples = kind(*parameters).sample((3,))
    kind(*parameters).log_prob(samples).sum().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in parameters)
    for parameter in parameters:
        parameter.grad = None
    kind(*parameters).rsample((3,)).square().sum().backward()
    assert all(p.grad is not None and bool((p.grad != 0).any()) for p in parameters)


def test_numbers_are_parameters() -> None:
    made = D.Normal(0, 1)
    assert made.batch_shape == () and made.loc.dtype is grad.float32
    assert repr(made) == "Normal(loc: 0.0, scale: 1.0)"
    assert repr(D.Normal(grad.zeros(2), 1)) == (
        "Normal(loc: torch.Size([2]), scale: torch.Size([2]))"
    )
    assert D.Normal(t(0.0).double(), 1).sample().dtype is grad.float64
    # Of a gamma distribution, in PyTorch, values may be numbers, too.
    assert D.Gamma(1.0, 2.0).log_prob(0.5).item() == D.Gamma(1.0, 2.0).log_prob(t(0.5)).item()


INVALID: dict[str, tuple[Callable[[], Any], str]] = {
    "a negative scale": (lambda: D.Normal(0.0, t([1.0, -1.0])), "parameter scale .*GreaterThan"),
    "NaN": (lambda: D.Normal(math.nan, 1.0), r"parameter loc .*Real\(\)"),
    "an empty range": (lambda: D.Uniform(1.0, 0.0), "parameter low"),
    "a probability above 1": (lambda: D.Bernoulli(t([0.5, 1.5])), "parameter probs"),
    "a negative probability": (lambda: D.Categorical(t([0.5, -0.5, 1.0])), r"Simplex\(\)"),
    "no success ever": (lambda: D.Geometric(t(0.0)), "positive"),
    "probs and logits": (lambda: D.Bernoulli(0.5, 0.5), "Either `probs` or `logits`"),
    "neither of them": (lambda: D.Categorical(), "Either `probs` or `logits`"),
    "a number of categories": (lambda: D.Categorical(t(1.0)), "at least one-dimensional"),
    "text": (lambda: D.Normal("a", 1), "Number"),
    "a covariance of no normal law": (
        lambda: D.MultivariateNormal(grad.zeros(2), -grad.eye(2)),
        "covariance_matrix .*PositiveDefinite",
    ),
    "two covariances": (
        lambda: D.MultivariateNormal(grad.zeros(2), grad.eye(2), grad.eye(2)),
        "Exactly one",
    ),
    "a value outside": (lambda: D.Exponential(1.0).log_prob(t(-1.0)), "within the support"),
    "a half": (lambda: D.Bernoulli(0.5).log_prob(t(0.5)), r"within the support \(Boolean"),
    "a category too many": (lambda: D.Categorical(P).log_prob(t(3)), "within the support"),
    "a value of another shape": (
        lambda: D.Normal(grad.zeros(2), 1).log_prob(grad.zeros(3)),
        "not broadcastable",
    ),
    "an event of another shape": (
        lambda: D.Dirichlet(grad.ones(2)).log_prob(grad.ones(3) / 3),
        "match event_shape",
    ),
    "a number as value": (lambda: D.Normal(0.0, 1.0).log_prob(1.0), "must be a Tensor"),
    "too many axes": (lambda: D.Independent(D.Normal(0.0, 1.0), 1), "reinterpreted_batch_ndims"),
    "no transform": (lambda: D.TransformedDistribution(D.Normal(0.0, 1.0), [1]), "Transform"),
}  # fmt: skip


@pytest.mark.parametrize(("call", "message"), INVALID.values(), ids=list(INVALID))
def test_arguments_are_checked(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


def test_checks_can_be_left_out() -> None:
    assert D.Normal(0.0, -1.0, validate_args=False).scale.item() == -1
    value = D.Uniform(0.0, 1.0, validate_args=False).log_prob(t(2.0))
    assert value.item() == -math.inf
    D.Distribution.set_default_validate_args(False)
    try:
        assert D.Normal(0.0, -1.0).scale.item() == -1
    finally:
        D.Distribution.set_default_validate_args(True)


def test_nothing_is_computed_when_nothing_is_checked() -> None:
    loc = grad.ones(3) * 2 + 1
    made = D.Normal(loc, 1.0, validate_args=False)
    loss = made.log_prob(made.rsample((2,))).sum() + made.entropy().sum()
    assert not loc.node.is_realized and not loss.node.is_realized


def test_a_class_of_ones_own() -> None:
    class Twice(D.Distribution):
        arg_constraints = {"x": constraints.positive}  # noqa: RUF012
        support = constraints.real

        def __init__(self, x: grad.Tensor, validate_args: bool | None = None) -> None:
            self.x = x
            super().__init__(x.shape, validate_args=validate_args)

        def rsample(self, sample_shape: Any = ()) -> grad.Tensor:
            return (2 * self.x).expand(self._extended_shape(sample_shape))

    made = Twice(grad.ones(3))
    assert made.expand((2, 3)).sample((4,)).tolist() == [[[2.0] * 3] * 2] * 4
    with pytest.raises(ValueError, match="parameter x"):
        Twice(-grad.ones(1))
    with pytest.raises(NotImplementedError):
        made.log_prob(grad.ones(3))


# -- gradients -------------------------------------------------------------------------------------
def test_log_prob_and_entropy_have_gradients() -> None:
    a, b = t([0.5, 2.0]).double().requires_grad_(), t([1.5, 0.7]).double().requires_grad_()
    value = t([0.3, 0.6]).double()
    for kind in (D.Normal, D.Laplace, D.Gamma, D.Beta, D.Gumbel, D.Cauchy, D.StudentT):
        assert grad.autograd.gradcheck(lambda a, b, kind=kind: kind(a, b).log_prob(value), (a, b))
        assert grad.autograd.gradcheck(lambda a, b, kind=kind: kind(a, b).entropy(), (a, b))


def test_gamma_numbers_move_as_their_quantile() -> None:
    special = pytest.importorskip("scipy.special")
    grad.manual_seed(3)
    concentration = t([0.03, 0.4, 1.0, 2.5, 30.0, 900.0]).double().requires_grad_()
    numbers = D.Gamma(concentration, 1.0).rsample((200,))
    (slope,) = grad.autograd.grad(numbers.sum(), concentration)
    a, x = concentration.detach().numpy(), numbers.detach().numpy()
    step = 1e-4 * a
    place = special.gammainc(a, x)
    upper = special.gammaincinv(a + step, place) - special.gammaincinv(a - step, place)
    # Far out, where the place is rounded, the other tail knows it better.
    other = special.gammaincc(a, x)
    lower = special.gammainccinv(a + step, other) - special.gammainccinv(a - step, other)
    expected = np.where(place < 0.5, upper, lower) / (2 * step)
    np.testing.assert_allclose(slope.numpy(), expected.sum(0), rtol=1e-5)
    with pytest.raises(RuntimeError):
        (first,) = grad.autograd.grad(
            D.Gamma(concentration, 1.0).rsample().sum(), concentration, create_graph=True
        )
        first.sum().backward()


def test_a_policy_learns() -> None:
    """REINFORCE: the better arm is drawn in the end."""
    grad.manual_seed(0)
    logits = grad.zeros(3, requires_grad=True)
    optimizer = grad.optim.Adam([logits], lr=0.1)
    for _ in range(60):
        policy = D.Categorical(logits=logits)
        action = policy.sample((20,))
        reward = (action == 1).float()
        loss = -(policy.log_prob(action) * (reward - reward.mean())).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert D.Categorical(logits=logits).probs[1].item() > 0.8


# -- transformations of functions ------------------------------------------------------------------
def test_in_a_compiled_step() -> None:
    @grad.compile
    def step(loc: grad.Tensor, scale: grad.Tensor, value: grad.Tensor) -> grad.Tensor:
        made = D.Normal(loc, scale)
        return made.log_prob(value).sum() + D.kl_divergence(made, D.Normal(0.0, 1.0)).sum()

    for seed in range(4):
        grad.manual_seed(seed)
        loc, scale, value = grad.randn(3), grad.rand(3) + 0.5, grad.randn(3)
        made = D.Normal(loc, scale)
        expected = made.log_prob(value).sum() + D.kl_divergence(made, D.Normal(0.0, 1.0)).sum()
        grad.testing.assert_close(step(loc, scale, value), expected)
    with pytest.raises(ValueError, match="constraint"):
        step(loc, -scale, value)


def test_compiled_samples_are_new_each_time() -> None:
    draw = grad.compile(lambda loc: D.Normal(loc, 1.0).rsample((4,)))
    found = [tuple(draw(grad.zeros(2)).flatten().tolist()) for _ in range(5)]
    assert len(set(found)) == 5
