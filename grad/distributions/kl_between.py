"""Formulas of `kl_divergence` for distributions of two families.

It is the cross entropy, ``-E_p[log q]``, less the entropy: of a normal q the former needs the mean
and the variance of p alone, of an exponential one the mean. It is infinite where q does not reach
all values of p.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import Any

from grad.distributions.bernoulli import Bernoulli
from grad.distributions.beta import Beta
from grad.distributions.binomial import Binomial
from grad.distributions.continuous_bernoulli import ContinuousBernoulli
from grad.distributions.exponential import Exponential
from grad.distributions.gamma import Gamma
from grad.distributions.gumbel import Gumbel
from grad.distributions.kl import Formula, register_kl
from grad.distributions.laplace import Laplace
from grad.distributions.normal import Normal
from grad.distributions.pareto import Pareto
from grad.distributions.poisson import Poisson
from grad.distributions.uniform import Uniform
from grad.distributions.utils import euler_constant
from grad.ops.registry import REGISTRY
from grad.tensor import Tensor


def _to_normal(p: Any, q: Normal) -> Tensor:
    squared = (p.variance + (p.mean - q.loc).square()) / q.scale.square()
    return 0.5 * squared + q.scale.log() + 0.5 * math.log(2 * math.pi) - p.entropy()


def _to_exponential(p: Any, q: Exponential) -> Tensor:
    return q.rate * p.mean - q.rate.log() - p.entropy()


def _to_gumbel(shrunk: Formula) -> Formula:
    """The formula for a class of which ``shrunk(p, c)`` is ``E_p[exp(-x / c)]``."""

    def formula(p: Any, q: Gumbel) -> Tensor:
        expected = shrunk(p, q.scale) * (q.loc / q.scale).exp()
        return (p.mean - q.loc) / q.scale + expected + q.scale.log() - p.entropy()

    return formula


def _to_gamma(logarithm: Callable[[Any], Tensor]) -> Formula:
    """The formula for a class of which ``logarithm(p)`` is ``E_p[log x]``."""

    def formula(p: Any, q: Gamma) -> Tensor:
        b = q.concentration
        ways = b.lgamma() - b * q.rate.log() - (b - 1) * logarithm(p)
        return ways + q.rate * p.mean - p.entropy()

    return formula


def _to_uniform(p: Any, q: Uniform) -> Tensor:
    found = (q.high - q.low).log() - p.entropy()
    return found.masked_fill((q.low > 0) | (q.high < 1), math.inf)


def _to_continuous_bernoulli(p: Any, q: ContinuousBernoulli) -> Tensor:
    return -p.entropy() - p.mean * q.logits - (-q.probs).log1p() - q._log_norm()


def _uniform_to_pareto(p: Uniform, q: Pareto) -> Tensor:
    cross = (q.alpha + 1) * _expected_log(p) - q.alpha * q.scale.log() - q.alpha.log()
    return (cross - p.entropy()).masked_fill(p.low < q.scale, math.inf)


def _uniform_to_beta(p: Uniform, q: Beta) -> Tensor:
    a, b = q.concentration1, q.concentration0
    ways = a.lgamma() + b.lgamma() - (a + b).lgamma()
    rest = Uniform(1 - p.high, 1 - p.low, validate_args=False)
    chance = (a - 1) * _expected_log(p) + (b - 1) * _expected_log(rest)
    return ways - chance - p.entropy()


def _expected_log(p: Uniform) -> Tensor:
    return (p.high.xlogy(p.high) - p.low.xlogy(p.low)) / (p.high - p.low) - 1


def _shrunk_uniform(p: Uniform, c: Tensor) -> Tensor:
    return c * ((-p.low / c).exp() - (-p.high / c).exp()) / (p.high - p.low)


def _within(low: float, high: float, formula: Formula) -> Formula:
    """`formula`, for a uniform p between `low` and `high`; infinite elsewhere."""

    def held(p: Uniform, q: Any) -> Tensor:
        return formula(p, q).masked_fill((p.low < low) | (p.high > high), math.inf)

    return held


def _to_poisson(p: Bernoulli, q: Poisson) -> Tensor:
    return q.rate - p.probs * q.rate.log() - p.entropy()


def _normal_to_laplace(p: Normal, q: Laplace) -> Tensor:
    z = (p.loc - q.loc) / p.scale
    distance = math.sqrt(2 / math.pi) * (-0.5 * z.square()).exp() + z * (z * math.sqrt(0.5)).erf()
    return p.scale * distance / q.scale + (2 * q.scale).log() - p.entropy()


def _infinite(p: Any, q: Any) -> Tensor:
    """Where q does not reach all values of p."""
    shape = REGISTRY["broadcast_shapes"](p.batch_shape, q.batch_shape)
    return p.mean.new_full(shape, math.inf)


def _by_classes(formula: Formula, sources: tuple[type, ...], targets: tuple[type, ...]) -> None:
    for pair in product(sources, targets):
        register_kl(*pair)(formula)


_by_classes(
    _to_normal,
    (Beta, ContinuousBernoulli, Exponential, Gamma, Gumbel, Laplace, Pareto, Uniform),
    (Normal,),
)
_by_classes(_to_exponential, (Beta, ContinuousBernoulli, Gamma, Pareto), (Exponential,))
_by_classes(_to_uniform, (Beta, ContinuousBernoulli), (Uniform,))
_by_classes(_to_poisson, (Bernoulli,), (Poisson,))
_by_classes(_to_continuous_bernoulli, (Beta,), (ContinuousBernoulli,))
_by_classes(_normal_to_laplace, (Normal,), (Laplace,))
_by_classes(
    _infinite,
    (Normal, Laplace, Gumbel),
    (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform),
)
_by_classes(_infinite, (Exponential, Gamma), (Beta, ContinuousBernoulli, Pareto, Uniform))
_by_classes(_infinite, (Pareto,), (Beta, ContinuousBernoulli, Uniform))
_by_classes(_infinite, (Beta, ContinuousBernoulli), (Pareto,))
_by_classes(_infinite, (Poisson,), (Bernoulli, Binomial))
register_kl(Uniform, Beta)(_within(0, 1, _uniform_to_beta))
register_kl(Uniform, ContinuousBernoulli)(_within(0, 1, _to_continuous_bernoulli))
register_kl(Uniform, Exponential)(_within(0, math.inf, _to_exponential))
register_kl(Uniform, Gamma)(_within(0, math.inf, _to_gamma(_expected_log)))
register_kl(Uniform, Gumbel)(_to_gumbel(_shrunk_uniform))
register_kl(Uniform, Pareto)(_uniform_to_pareto)
register_kl(Pareto, Gamma)(_to_gamma(lambda p: p.scale.log() + p.alpha.reciprocal()))
register_kl(Exponential, Gamma)(_to_gamma(lambda p: -p.rate.log() - euler_constant))
register_kl(Beta, Gamma)(
    _to_gamma(
        lambda p: p.concentration1.digamma() - (p.concentration1 + p.concentration0).digamma()
    )
)
register_kl(Exponential, Gumbel)(_to_gumbel(lambda p, c: p.rate / (p.rate + 1 / c)))
register_kl(Gamma, Gumbel)(_to_gumbel(lambda p, c: (1 + 1 / (c * p.rate)) ** -p.concentration))
register_kl(Normal, Gumbel)(
    _to_gumbel(lambda p, c: (0.5 * (p.scale / c).square() - p.loc / c).exp())
)
