"""Probability distributions, with the names of ``torch.distributions``.

Read distribution.py, then normal.py. constraints.py says where numbers may lie, transforms.py maps
them (transformed_distribution.py), kl.py and kl_between.py compare distributions; odds.py and
location_scale.py are what several distributions have in common. Each other file is a distribution.
"""

from grad.distributions import constraints, transforms
from grad.distributions import kl_between as kl_between  # which registers its formulas
from grad.distributions.bernoulli import Bernoulli
from grad.distributions.beta import Beta
from grad.distributions.binomial import Binomial
from grad.distributions.categorical import Categorical
from grad.distributions.cauchy import Cauchy
from grad.distributions.constraint_registry import biject_to, transform_to
from grad.distributions.continuous_bernoulli import ContinuousBernoulli
from grad.distributions.dirichlet import Dirichlet
from grad.distributions.distribution import Distribution
from grad.distributions.exponential import Exponential
from grad.distributions.fisher_snedecor import FisherSnedecor
from grad.distributions.gamma import Chi2, Gamma
from grad.distributions.generalized_pareto import GeneralizedPareto
from grad.distributions.geometric import Geometric
from grad.distributions.gumbel import Gumbel
from grad.distributions.half import HalfCauchy, HalfNormal
from grad.distributions.independent import Independent
from grad.distributions.inverse_gamma import InverseGamma
from grad.distributions.kl import kl_divergence, register_kl
from grad.distributions.kumaraswamy import Kumaraswamy
from grad.distributions.laplace import Laplace
from grad.distributions.lkj_cholesky import LKJCholesky
from grad.distributions.log_normal import LogNormal
from grad.distributions.logistic_normal import LogisticNormal
from grad.distributions.low_rank_multivariate_normal import LowRankMultivariateNormal
from grad.distributions.mixture_same_family import MixtureSameFamily
from grad.distributions.multinomial import Multinomial
from grad.distributions.multivariate_normal import MultivariateNormal
from grad.distributions.negative_binomial import NegativeBinomial
from grad.distributions.normal import Normal
from grad.distributions.one_hot_categorical import (
    OneHotCategorical,
    OneHotCategoricalStraightThrough,
)
from grad.distributions.pareto import Pareto
from grad.distributions.poisson import Poisson
from grad.distributions.relaxed_bernoulli import RelaxedBernoulli
from grad.distributions.relaxed_categorical import RelaxedOneHotCategorical
from grad.distributions.student_t import StudentT
from grad.distributions.transformed_distribution import TransformedDistribution
from grad.distributions.transforms import (
    AbsTransform,
    AffineTransform,
    CatTransform,
    ComposeTransform,
    CorrCholeskyTransform,
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
from grad.distributions.von_mises import VonMises
from grad.distributions.weibull import Weibull
from grad.distributions.wishart import Wishart

__all__ = [
    "AbsTransform", "AffineTransform", "Bernoulli", "Beta", "Binomial", "CatTransform",
    "Categorical", "Cauchy", "Chi2", "ComposeTransform", "ContinuousBernoulli",
    "CorrCholeskyTransform", "CumulativeDistributionTransform", "Dirichlet", "Distribution",
    "ExpTransform", "Exponential", "FisherSnedecor", "Gamma", "GeneralizedPareto", "Geometric",
    "Gumbel", "HalfCauchy", "HalfNormal", "Independent", "IndependentTransform", "InverseGamma",
    "Kumaraswamy", "LKJCholesky", "Laplace", "LogNormal", "LogisticNormal",
    "LowRankMultivariateNormal", "LowerCholeskyTransform", "MixtureSameFamily", "Multinomial",
    "MultivariateNormal", "NegativeBinomial", "Normal", "OneHotCategorical",
    "OneHotCategoricalStraightThrough", "Pareto", "Poisson", "PositiveDefiniteTransform",
    "PowerTransform", "RelaxedBernoulli", "RelaxedOneHotCategorical", "ReshapeTransform",
    "SigmoidTransform", "SoftmaxTransform", "SoftplusTransform", "StackTransform",
    "StickBreakingTransform", "StudentT", "TanhTransform", "Transform", "TransformedDistribution",
    "Uniform", "VonMises", "Weibull", "Wishart", "biject_to", "constraints", "identity_transform",
    "kl_divergence", "register_kl", "transform_to", "transforms",
]  # fmt: skip
