"""The distribution of Lewandowski, Kurowicka and Joe: triangular factors of correlations.

"Generating random correlation matrices based on vines and extended onion method", Journal of
Multivariate Analysis 100, 2009.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from grad.autograd.modes import no_grad
from grad.distributions import constraints
from grad.distributions.beta import Beta
from grad.distributions.distribution import Distribution
from grad.distributions.utils import limits
from grad.nn.functional import pad
from grad.ops.creators import CREATORS
from grad.tensor import Tensor
from grad.utils.size import Size


class LKJCholesky(Distribution):
    """Lower triangular factors L of correlation matrices, of a density of ``L @ L.T`` in proportion
    to its determinant to the power ``concentration - 1``: of 1 all are equally likely.

    Raises:
        ValueError: `dim` is below 2.

    Example:
        >>> LKJCholesky(3, 0.5).sample().shape
        torch.Size([3, 3])
    """

    arg_constraints = {"concentration": constraints.positive}
    support = constraints.corr_cholesky
    concentration: Tensor

    def __init__(
        self, dim: int, concentration: Any = 1.0, validate_args: bool | None = None
    ) -> None:
        if dim < 2:
            raise ValueError(
                f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}."
            )
        self.dim = dim
        super().__init__(self._broadcast(concentration=concentration), (dim, dim), validate_args)

    def sample(self, sample_shape: Iterable[int] = Size()) -> Tensor:
        # Row by row: how much of its length a row has below the diagonal, and where it points.
        with no_grad():
            shape, concentration = self._extended_shape(sample_shape), self.concentration
            before = CREATORS["arange"](1, self.dim, dtype=concentration.dtype)
            rest = concentration.unsqueeze(-1) + (self.dim - 1 - before) / 2
            squared = Beta(before / 2, rest, validate_args=False).sample(sample_shape)
            length = pad(squared.sqrt(), [1, 0])
            toward = CREATORS["randn"](shape, dtype=concentration.dtype).tril(-1)
            norm = toward.norm(dim=-1, keepdim=True)
            toward = toward / norm.masked_fill(norm == 0, 1)
            below = length.unsqueeze(-1) * toward
            left = (1 - below.square().sum(-1)).clamp(min=float(limits(concentration).tiny))
            return below + left.sqrt().diag_embed()

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        diagonal = value.diagonal(dim1=-2, dim2=-1)[..., 1:]
        after = CREATORS["arange"](self.dim - 2, -1, -1, dtype=diagonal.dtype)
        powers = 2 * (self.concentration - 1).unsqueeze(-1) + after
        return (powers * diagonal.log()).sum(-1) - self._log_norm()

    def _log_norm(self) -> Tensor:
        """The logarithm of the integral of what the density is in proportion to."""
        rows = self.dim - 1
        alpha = self.concentration + 0.5 * rows
        return 0.5 * rows * math.log(math.pi) + (alpha - 0.5).mvlgamma(rows) - rows * alpha.lgamma()
