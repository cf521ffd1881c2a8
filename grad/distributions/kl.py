"""`kl_divergence`: how far one distribution is from another, by formulas for pairs of classes.

Those for two distributions of one family are here, the others in kl_between.py.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from itertools import product
from typing import Any

from grad.distributions.bernoulli import Bernoulli
from grad.distributions.beta import Beta
from grad.distributions.binomial import Binomial
from grad.distributions.categorical import Categorical
from grad.distributions.cauchy import Cauchy
from grad.distributions.continuous_bernoulli import ContinuousBernoulli
from grad.distributions.dirichlet import Dirichlet
from grad.distributions.distribution import Distribution
from grad.distributions.exponential import Exponential
from grad.distributions.gamma import Gamma
from grad.distributions.geometric import Geometric
from grad.distributions.gumbel import Gumbel
from grad.distributions.half import HalfNormal
from grad.distributions.independent import Independent
from grad.distributions.laplace import Laplace
from grad.distributions.low_rank_multivariate_normal import LowRankMultivariateNormal
from grad.distributions.multivariate_normal import MultivariateNormal, mahalanobis
from grad.distributions.normal import Normal
from grad.distributions.one_hot_categorical import OneHotCategorical
from grad.distributions.pareto import Pareto
from grad.distributions.poisson import Poisson
from grad.distributions.transformed_distribution import TransformedDistribution
from grad.distributions.uniform import Uniform
from grad.distributions.utils import euler_constant, sum_rightmost
from grad.ops.registry import REGISTRY
from grad.ops.systems import solve_triangular
from grad.tensor import Tensor

Formula = Callable[[Any, Any], Tensor]

_FORMULAS: dict[tuple[type, type], Formula] = {}


def register_kl(type_p: type, type_q: type) -> Callable[[Formula], Formula]:
    """Decorator of a function ``(p, q)`` that is to be what `kl_divergence` computes for instances
    of these classes, and of classes derived from them where nothing nearer is known.

    Raises:
        TypeError: one is no class of distributions.
    """
    for name, kind in (("type_p", type_p), ("type_q", type_q)):
        if not isinstance(kind, type) or not issubclass(kind, Distribution):
            raise TypeError(f"Expected {name} to be a Distribution subclass but got {kind}")

    def register(function: Formula) -> Formula:
        _FORMULAS[type_p, type_q] = function
        return function

    return register


def kl_divergence(p: Distribution, q: Distribution) -> Tensor:
    """The expected value of ``log(p / q)`` for numbers of p, in nats; of shape `batch_shape`.

    Raises:
        NotImplementedError: no formula is known for the two classes.

    Example:
        >>> kl_divergence(Normal(0.0, 1.0), Normal(1.0, 1.0))
        tensor(0.5000)
    """
    formula = _formula(type(p), type(q))
    if formula is None:
        raise NotImplementedError(
            f"No KL(p || q) is implemented for p type {type(p).__name__} and q type "
            f"{type(q).__name__}"
        )
    return formula(p, q)


def _formula(type_p: type, type_q: type) -> Formula | None:
    """That of the nearest classes: nearest to p, then to q; it should be the other way too."""
    by_p = [pair for pair in product(type_p.__mro__, type_q.__mro__) if pair in _FORMULAS]
    by_q = [(p, q) for q, p in product(type_q.__mro__, type_p.__mro__) if (p, q) in _FORMULAS]
    if not by_p:
        return None
    if _FORMULAS[by_p[0]] is not _FORMULAS[by_q[0]]:
        (left, _), (_, right) = by_p[0], by_q[0]
        warnings.warn(
            f"Ambiguous kl_divergence({type_p.__name__}, {type_q.__name__}). Please "
            f"register_kl({left.__name__}, {right.__name__})",
            RuntimeWarning,
            stacklevel=3,
        )
    return _FORMULAS[by_p[0]]


# -- distributions of one family -------------------------------------------------------------------
@register_kl(Normal, Normal)
def _normals(p: Normal, q: Normal) -> Tensor:
    ratio = (p.scale / q.scale).square()
    return 0.5 * (ratio + ((p.loc - q.loc) / q.scale).square() - 1 - ratio.log())


@register_kl(HalfNormal, HalfNormal)
def _half_normals(p: HalfNormal, q: HalfNormal) -> Tensor:
    return _normals(p.base_dist, q.base_dist)


@register_kl(Laplace, Laplace)
def _laplaces(p: Laplace, q: Laplace) -> Tensor:
    ratio, apart = p.scale / q.scale, (p.loc - q.loc).abs()
    return apart / q.scale + ratio * (-apart / p.scale).exp() - ratio.log() - 1


@register_kl(Cauchy, Cauchy)
def _cauchys(p: Cauchy, q: Cauchy) -> Tensor:
    apart = (p.scale + q.scale).square() + (p.loc - q.loc).square()
    return apart.log() - (4 * p.scale * q.scale).log()


@register_kl(Gumbel, Gumbel)
def _gumbels(p: Gumbel, q: Gumbel) -> Tensor:
    ratio, apart = p.scale / q.scale, (p.loc - q.loc) / q.scale
    moved = ((1 + ratio).lgamma() - apart).exp()
    return apart - ratio.log() + ratio * euler_constant + moved - (1 + euler_constant)


@register_kl(Uniform, Uniform)
def _uniforms(p: Uniform, q: Uniform) -> Tensor:
    found = ((q.high - q.low) / (p.high - p.low)).log()
    return found.masked_fill((q.low > p.low) | (q.high < p.high), math.inf)


@register_kl(Exponential, Exponential)
def _exponentials(p: Exponential, q: Exponential) -> Tensor:
    ratio = q.rate / p.rate
    return ratio - 1 - ratio.log()


@register_kl(Gamma, Gamma)
def _gammas(p: Gamma, q: Gamma) -> Tensor:
    a, b = p.concentration, q.concentration
    ways = b.lgamma() - a.lgamma() + (a - b) * a.digamma()
    return ways + b * (p.rate / q.rate).log() + (q.rate - p.rate) * (a / p.rate)


@register_kl(Pareto, Pareto)
def _paretos(p: Pareto, q: Pareto) -> Tensor:
    ratio = q.alpha / p.alpha
    found = q.alpha * (p.scale / q.scale).log() - ratio.log() + ratio - 1
    return found.masked_fill(p.scale < q.scale, math.inf)


@register_kl(ContinuousBernoulli, ContinuousBernoulli)
def _continuous_bernoullis(p: ContinuousBernoulli, q: ContinuousBernoulli) -> Tensor:
    one, other = (-p.probs).log1p() + p._log_norm(), (-q.probs).log1p() + q._log_norm()
    return p.mean * (p.logits - q.logits) + one - other


@register_kl(Beta, Beta)
def _betas(p: Beta, q: Beta) -> Tensor:
    return _dirichlets(p._dirichlet, q._dirichlet)


@register_kl(Dirichlet, Dirichlet)
def _dirichlets(p: Dirichlet, q: Dirichlet) -> Tensor:
    a, b = p.concentration, q.concentration
    total = a.sum(-1)
    ways = total.lgamma() - b.sum(-1).lgamma() - (a.lgamma() - b.lgamma()).sum(-1)
    return ways + ((a - b) * (a.digamma() - total.digamma().unsqueeze(-1))).sum(-1)


@register_kl(Bernoulli, Bernoulli)
def _bernoullis(p: Bernoulli, q: Bernoulli) -> Tensor:
    one = p.probs * ((-q.logits).softplus() - (-p.logits).softplus())
    zero = (1 - p.probs) * (q.logits.softplus() - p.logits.softplus())
    one = one.masked_fill(q.probs == 0, math.inf).masked_fill(p.probs == 0, 0)
    return one + zero.masked_fill(q.probs == 1, math.inf).masked_fill(p.probs == 1, 0)


@register_kl(Binomial, Binomial)
def _binomials(p: Binomial, q: Binomial) -> Tensor:
    if bool((p.total_count < q.total_count).any()):
        raise NotImplementedError(
            "KL between Binomials where q.total_count > p.total_count is not implemented"
        )
    each = p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p()
    return (p.total_count * each).masked_fill(p.total_count > q.total_count, math.inf)


@register_kl(Geometric, Geometric)
def _geometrics(p: Geometric, q: Geometric) -> Tensor:
    return -p.entropy() - (-q.probs).log1p() / p.probs - q.logits


@register_kl(Poisson, Poisson)
def _poissons(p: Poisson, q: Poisson) -> Tensor:
    return p.rate.xlogy(p.rate / q.rate) - (p.rate - q.rate)


@register_kl(Categorical, Categorical)
def _categoricals(p: Categorical, q: Categorical) -> Tensor:
    each = p.probs * (p.logits - q.logits)
    return each.masked_fill(q.probs == 0, math.inf).masked_fill(p.probs == 0, 0).sum(-1)


@register_kl(OneHotCategorical, OneHotCategorical)
def _one_hots(p: OneHotCategorical, q: OneHotCategorical) -> Tensor:
    return _categoricals(p._categorical, q._categorical)


def _require_equal_events(p: Distribution, q: Distribution) -> None:
    if p.event_shape != q.event_shape:
        raise ValueError(
            "KL-divergence between two Multivariate Normals with different event shapes cannot be "
            "computed"
        )


@register_kl(MultivariateNormal, MultivariateNormal)
def _multivariate_normals(p: MultivariateNormal, q: MultivariateNormal) -> Tensor:
    _require_equal_events(p, q)
    lead = REGISTRY["broadcast_shapes"](p.batch_shape, q.batch_shape)
    of_p, of_q = (x._factor.expand(*lead, *x._factor.shape[-2:]) for x in (p, q))
    spread = solve_triangular(of_q, of_p, upper=False).square().sum((-2, -1))
    apart = mahalanobis(q._factor, q.loc - p.loc)
    determinants = q._half_log_det() - p._half_log_det()
    return determinants + 0.5 * (spread + apart - p.event_shape[0])


@register_kl(LowRankMultivariateNormal, LowRankMultivariateNormal)
def _low_rank_normals(p: LowRankMultivariateNormal, q: LowRankMultivariateNormal) -> Tensor:
    _require_equal_events(p, q)
    spread, apart = q.squared_lengths(p.columns), q.squared_lengths((q.loc - p.loc).unsqueeze(-1))
    return 0.5 * (q.log_det() - p.log_det() + spread + apart - p.event_shape[0])


@register_kl(MultivariateNormal, LowRankMultivariateNormal)
def _normal_to_low_rank(p: MultivariateNormal, q: LowRankMultivariateNormal) -> Tensor:
    _require_equal_events(p, q)
    spread, apart = q.squared_lengths(p._factor), q.squared_lengths((q.loc - p.loc).unsqueeze(-1))
    return 0.5 * (q.log_det() + spread + apart - p.event_shape[0]) - p._half_log_det()


@register_kl(LowRankMultivariateNormal, MultivariateNormal)
def _low_rank_to_normal(p: LowRankMultivariateNormal, q: MultivariateNormal) -> Tensor:
    _require_equal_events(p, q)
    columns = p.columns
    lead = REGISTRY["broadcast_shapes"](p.batch_shape, q.batch_shape)
    factor, columns = (x.expand(*lead, *x.shape[-2:]) for x in (q._factor, columns))
    spread = solve_triangular(factor, columns, upper=False).square().sum((-2, -1))
    apart = mahalanobis(q._factor, q.loc - p.loc)
    return q._half_log_det() + 0.5 * (spread + apart - p.log_det() - p.event_shape[0])


@register_kl(TransformedDistribution, TransformedDistribution)
def _transformed(p: TransformedDistribution, q: TransformedDistribution) -> Tensor:
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise NotImplementedError("kl_divergence: the transforms differ")
    return kl_divergence(p.base_dist, q.base_dist)


@register_kl(Independent, Independent)
def _independent(p: Independent, q: Independent) -> Tensor:
    count = p.reinterpreted_batch_ndims
    if count != q.reinterpreted_batch_ndims:
        raise NotImplementedError("kl_divergence: reinterpreted_batch_ndims differ")
    return sum_rightmost(kl_divergence(p.base_dist, q.base_dist), count)
