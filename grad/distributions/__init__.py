"""Probability distributions, with the names of ``torch.distributions``.

Read distribution.py, then normal.py. constraints.py says where numbers may lie, transforms.py maps
them (transformed_distribution.py), kl.py compares distributions; odds.py and location_scale.py are
what several distributions have in common. Each other file is a distribution.
"""

from grad.distributions import constraints, transforms
from grad.distributions.bernoulli import Bernoulli
from grad.distributions.beta import Beta
from grad.distributions.binomial import Binomial
from grad.distributions.categorical import Categorical
from grad.distributions.cauchy import Cauchy
from grad.distributions.constraint_registry import biject_to, transform_to
from grad.distributions.dirichlet import Dirichlet
from grad.distributions.distribution import Distribution
from grad.distributions.exponential import Exponential
from grad.distributions.gamma import Chi2, Gamma
from grad.distributions.geometric import Geometric
from grad.distributions.gumbel import Gumbel
from grad.distributions.half import HalfCauchy, HalfNormal
from grad.distributions.independent import Independent
from grad.distributions.kl import kl_divergence, register_kl
from grad.distributions.laplace import Laplace
from grad.distributions.log_normal import LogNormal
from grad.distributions.multinomial import Multinomial
from grad.distributions.multivariate_normal import MultivariateNormal
from grad.distributions.normal import Normal
from grad.distributions.one_hot_categorical import (
    OneHotCategorical,
    OneHotCategoricalStraightThrough,
)
from grad.distributions.poisson import Poisson
from grad.distributions.student_t import StudentT
from grad.distributions.transformed_distribution import TransformedDistribution
from grad.distributions.transforms import (
    AbsTransform,
    AffineTransform,
    CatTransform,
    ComposeTransform,
    CumulativeDistributionTransform,
    ExpTransform,
    IndependentTransform,
    LowerCholeskyTransform,
    PositiveDefiniteTransform,
    PowerTransform,
    ReshapeTransform,
    SigmoidTransform,
    SoftmaxTransform,
    SoftplusTransform,
    StackTransform,
    StickBreakingTransform,
    TanhTransform,
    Transform,
    identity_transform,
)
from grad.distributions.uniform import Uniform

__all__ = [
    "AbsTransform", "AffineTransform", "Bernoulli", "Beta", "Binomial", "CatTransform",
    "Categorical", "Cauchy", "Chi2", "ComposeTransform", "CumulativeDistributionTransform",
    "Dirichlet", "Distribution", "ExpTransform", "Exponential", "Gamma", "Geometric", "Gumbel",
    "HalfCauchy", "HalfNormal", "Independent", "IndependentTransform", "Laplace", "LogNormal",
    "LowerCholeskyTransform", "Multinomial", "MultivariateNormal", "Normal", "OneHotCategorical",
    "OneHotCategoricalStraightThrough", "Poisson", "PositiveDefiniteTransform", "PowerTransform",
    "ReshapeTransform", "SigmoidTransform", "SoftmaxTransform", "SoftplusTransform",
    "StackTransform", "StickBreakingTransform", "StudentT", "TanhTransform", "Transform",
    "TransformedDistribution", "Uniform", "biject_to", "constraints", "identity_transform",
    "kl_divergence", "register_kl", "transform_to", "transforms",
]  # fmt: skip
