"""Transforms are inverted, know how much they stretch, and compose."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

import grad
from grad import distributions as D
from grad.distributions import constraints
from grad.testing import assert_close

t = grad.tensor
REAL = t([[-1.5, 0.3, 2.0], [0.1, -0.2, 0.7]]).double()

POINTWISE: dict[str, tuple[D.Transform, grad.Tensor]] = {
    "exp": (D.ExpTransform(), REAL),
    "sigmoid": (D.SigmoidTransform(), REAL),
    "tanh": (D.TanhTransform(), REAL),
    "softplus": (D.SoftplusTransform(), REAL),
    "affine": (D.AffineTransform(1.0, -2.0), REAL),
    "affine by tensors": (D.AffineTransform(t([1.0, 2, 3]), t([1.0, -2, 3]).double()), REAL),
    "power": (D.PowerTransform(3.0), REAL.exp()),
    "distribution": (D.CumulativeDistributionTransform(D.Normal(0.0, 2.0)), REAL),
    "composed": (D.ComposeTransform([D.AffineTransform(0.0, 2.0), D.TanhTransform()]), REAL),
    "inverse": (D.ExpTransform().inv, REAL.exp()),
    "stacked": (
        D.StackTransform([D.ExpTransform(), D.AffineTransform(1.0, 2.0)], 0),
        REAL,
    ),
    "joined": (
        D.CatTransform([D.ExpTransform(), D.AffineTransform(1.0, 2.0)], 1, [1, 2]),
        REAL,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", POINTWISE)
def test_pointwise(name: str) -> None:
    transform, x = POINTWISE[name]
    x = x.clone().requires_grad_()
    y = transform(x)
    assert y.shape == transform.forward_shape(x.shape) == x.shape
    assert_close(transform.inv(y), x.detach(), rtol=1e-6, atol=1e-8)
    assert transform.inv.inv is transform and transform.bijective
    (slope,) = grad.autograd.grad(y.sum(), x)
    assert_close(transform.log_abs_det_jacobian(x, y).detach(), slope.abs().log())
    assert bool(transform.codomain.check(y).all()) and bool(transform.domain.check(x).all())


@pytest.mark.parametrize("name", ["stick", "independent", "reshape"])
def test_of_vectors(name: str) -> None:
    transform: D.Transform = {
        "stick": D.StickBreakingTransform(),
        "independent": D.IndependentTransform(D.ExpTransform(), 1),
        "reshape": D.ReshapeTransform((3,), (3, 1)),
    }[name]
    y = transform(REAL)
    assert y.shape == transform.forward_shape(REAL.shape)
    assert REAL.shape == transform.inverse_shape(y.shape)
    assert_close(transform.inv(y), REAL)
    for row, found in zip(REAL, transform.log_abs_det_jacobian(REAL, y)):
        jacobian = grad.autograd.functional.jacobian(transform, row).reshape(-1, 3)[:3]
        assert_close(found, grad.linalg.slogdet(jacobian).logabsdet)


def test_correlations() -> None:
    transform = D.CorrCholeskyTransform()
    x = t([[-1.5, 0.3, 2.0, 0.1, -0.2, 0.7], [0.0, 0.2, 0.5, -3.0, 1.0, -1.0]]).double()
    y = transform(x)
    assert y.shape == transform.forward_shape(x.shape) == (2, 4, 4)
    assert x.shape == transform.inverse_shape(y.shape)
    assert bool(transform.codomain.check(y).all())
    assert_close(transform.inv(y), x)
    rows, columns = grad.tril_indices(4, 4, -1)
    for row, found in zip(x, transform.log_abs_det_jacobian(x, y)):
        jacobian = grad.autograd.functional.jacobian(lambda v: transform(v)[rows, columns], row)
        assert_close(found, grad.linalg.slogdet(jacobian).logabsdet)
    with pytest.raises(ValueError, match="flattened lower-diagonal"):
        transform.forward_shape((4,))
    with pytest.raises(ValueError, match="square"):
        transform.inverse_shape((4, 3))


def test_maps_of_parts() -> None:
    parts = [constraints.positive, constraints.interval(-1.0, 1.0)]
    for registry in (D.biject_to, D.transform_to):
        for whole in (constraints.cat(parts, 0, [1, 1]), constraints.stack(parts, 0)):
            transform = registry(whole)
            y = transform(REAL)
            assert bool(whole.check(y).all())
            assert_close(transform.inv(y), REAL)
        factors = registry(constraints.corr_cholesky)(REAL)
        assert bool(constraints.corr_cholesky.check(factors).all())


def test_of_matrices() -> None:
    x = grad.randn(2, 3, 3).double()
    lower, definite = D.LowerCholeskyTransform(), D.PositiveDefiniteTransform()
    assert bool(lower.codomain.check(lower(x)).all())
    assert_close(lower.inv(lower(x)), x.tril())
    assert bool(definite.codomain.check(definite(x)).all())
    assert_close(definite.inv(definite(x)), x.tril(), rtol=1e-6, atol=1e-6)


def test_caches_keep_operands() -> None:
    transform = D.TanhTransform(cache_size=1)
    x = t([1.0, 30.0])
    assert transform.inv(transform(x)) is x
    assert D.TanhTransform().inv(transform(x))[1].item() == float("inf")
    assert D.TanhTransform().with_cache(1)._cache_size == 1
    with pytest.raises(ValueError, match="cache_size"):
        D.ExpTransform(2)


def test_equality_and_pickling() -> None:
    made = D.ComposeTransform([D.ExpTransform(), D.AffineTransform(0.0, t(2.0))])
    same = D.ComposeTransform([D.ExpTransform(), D.AffineTransform(0.0, t(2.0))])
    assert made == same and made.inv == same.inv and made != D.ExpTransform()
    assert D.ExpTransform() == pickle.loads(pickle.dumps(D.ExpTransform()))
    assert D.AffineTransform(0, 1) != D.AffineTransform(0, 2)


def test_a_transformed_distribution_is_a_distribution() -> None:
    """The log-normal one, made in three ways."""
    x = t([0.2, 1.0, 3.0]).double()
    base = D.Normal(t(0.5).double(), 2.0)
    ways = [
        D.LogNormal(t(0.5).double(), 2.0),
        D.TransformedDistribution(base, D.ExpTransform()),
        D.TransformedDistribution(
            D.Normal(t(0.0).double(), 1.0), [D.AffineTransform(0.5, 2.0), D.ExpTransform()]
        ),
    ]
    for way in ways[1:]:
        assert_close(way.log_prob(x), ways[0].log_prob(x))
        assert_close(way.cdf(x), ways[0].cdf(x))
        assert_close(way.icdf(way.cdf(x)), x, rtol=1e-6, atol=0)
    falling = D.TransformedDistribution(base, D.AffineTransform(0.0, -1.0))
    assert_close(falling.cdf(-x), 1 - base.cdf(x))


CONSTRAINTS: dict[str, tuple[Any, grad.Tensor]] = {
    "real": (constraints.real, REAL),
    "positive": (constraints.positive, REAL),
    "nonnegative": (constraints.nonnegative, REAL),
    "greater_than": (constraints.greater_than(2.0), REAL),
    "less_than": (constraints.less_than(-1.0), REAL),
    "unit_interval": (constraints.unit_interval, REAL),
    "interval": (constraints.interval(-1.0, 4.0), REAL),
    "simplex": (constraints.simplex, REAL),
    "independent": (constraints.independent(constraints.positive, 1), REAL),
    "lower_cholesky": (constraints.lower_cholesky, grad.ones(3, 3)),
    "positive_definite": (constraints.positive_definite, grad.ones(3, 3)),
}


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_parameters_can_be_moved_freely(name: str) -> None:
    constraint, free = CONSTRAINTS[name]
    assert bool(constraint.check(D.transform_to(constraint)(free)).all())
    if name not in ("lower_cholesky", "positive_definite"):
        transform = D.biject_to(constraint)
        assert bool(constraint.check(transform(free)).all())
        assert_close(transform.inv(transform(free)), free, rtol=1e-5, atol=1e-7)


def test_constraints_without_a_transform() -> None:
    with pytest.raises(NotImplementedError, match="Boolean"):
        D.biject_to(constraints.boolean)
    with pytest.raises(TypeError):
        D.biject_to.register(1, D.ExpTransform)


CHECKS: dict[str, tuple[Any, Any, Any]] = {
    "boolean": (constraints.boolean, [0.0, 1, 0.5], [True, True, False]),
    "integers": (constraints.integer_interval(1, 3), [0.0, 1, 1.5, 3, 4], [0, 1, 0, 1, 0]),
    "half-open": (constraints.half_open_interval(0, 1), [0.0, 0.5, 1.0], [1, 1, 0]),
    "one hot": (constraints.one_hot, [[0.0, 1], [1, 1], [0, 0]], [1, 0, 0]),
    "multinomial": (constraints.multinomial(3), [[1.0, 2], [2, 2], [-1, 1]], [1, 0, 0]),
    "lower": (constraints.lower_triangular, [[[1.0, 0], [1, 1]], [[1, 1], [0, 1]]], [1, 0]),
    "correlations": (constraints.corr_cholesky, [[[1.0, 0], [0.6, 0.8]], [[1, 0], [1, 1]]], [1, 0]),
    "symmetric": (constraints.symmetric, [[[1.0, 2], [2, 1]], [[1, 2], [0, 1]]], [1, 0]),
    "semidefinite": (
        *(constraints.positive_semidefinite, [[[1.0, 1], [1, 1]], [[1, 2], [2, 1]]], [1, 0]),
    ),
    "square": (constraints.square, [[1.0, 2]], False),
    "joined": (
        constraints.cat([constraints.positive, constraints.real], 0, [1, 2]),
        *([-1.0, -1, 2], [0, 1, 1]),
    ),
    "stacked": (
        constraints.stack([constraints.positive, constraints.real]),
        *([[-1.0], [-1]], [[0], [1]]),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CHECKS)
def test_constraints(name: str) -> None:
    constraint, values, expected = CHECKS[name]
    assert constraint.check(t(values)).tolist() == expected
    assert isinstance(repr(constraint), str) and isinstance(constraint.is_discrete, bool)


def test_constraints_that_depend() -> None:
    assert constraints.is_dependent(constraints.dependent)
    assert constraints.is_dependent(D.Uniform.support)
    assert not constraints.is_dependent(D.Uniform(0.0, 1.0).support)
    with pytest.raises(ValueError, match="dependent"):
        constraints.dependent.check(t(1.0))
    with pytest.raises(NotImplementedError):
        constraints.dependent.event_dim
    assert constraints.dependent(is_discrete=True, event_dim=1).event_dim == 1
