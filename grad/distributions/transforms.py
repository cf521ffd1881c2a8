"""The maps that distributions are transformed by: all of them, and here those of vectors.

transform.py says what a transform is, and has those that are made of others;
pointwise_transforms.py has those of single numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from grad.distributions import constraints
from grad.distributions.pointwise_transforms import (
    AbsTransform,
    AffineTransform,
    CumulativeDistributionTransform,
    ExpTransform,
    Fixed,
    PowerTransform,
    SigmoidTransform,
    SoftplusTransform,
    TanhTransform,
    inside,
)
from grad.distributions.transform import (
    ComposeTransform,
    IndependentTransform,
    ReshapeTransform,
    Transform,
    require_axes,
)
from grad.distributions.utils import limits, tril_matrix_to_vec, vec_to_tril_matrix
from grad.nn.functional import logsigmoid, pad
from grad.ops.creators import CREATORS
from grad.ops.factorizations import cholesky
from grad.ops.registry import REGISTRY
from grad.tensor import Tensor
from grad.utils.size import Size

__all__ = [
    "AbsTransform",
    "AffineTransform",
    "CatTransform",
    "ComposeTransform",
    "CorrCholeskyTransform",
    "CumulativeDistributionTransform",
    "ExpTransform",
    "IndependentTransform",
    "LowerCholeskyTransform",
    "PositiveDefiniteTransform",
    "PowerTransform",
    "ReshapeTransform",
    "SigmoidTransform",
    "SoftmaxTransform",
    "SoftplusTransform",
    "StackTransform",
    "StickBreakingTransform",
    "TanhTransform",
    "Transform",
    "identity_transform",
]

identity_transform = ComposeTransform([])


# -- of vectors and matrices -----------------------------------------------------------------------
class SoftmaxTransform(Fixed):
    """Vectors to probabilities: ``exp(x)`` over its sum. `inv` gives the logarithms."""

    domain = constraints.real_vector
    codomain = constraints.simplex

    def _call(self, x: Tensor) -> Tensor:
        return x.softmax(-1)

    def _inverse(self, y: Tensor) -> Tensor:
        return y.log()

    def forward_shape(self, shape: Iterable[int]) -> Size:
        require_axes(Size(shape), 1)
        return Size(shape)

    inverse_shape = forward_shape


class StickBreakingTransform(Fixed):
    """Vectors to probabilities, one more: each number breaks off a part of what is left."""

    domain = constraints.real_vector
    codomain = constraints.simplex
    bijective = True

    def _call(self, x: Tensor) -> Tensor:
        part = inside((x - _places_left(x)).sigmoid())
        left = (1 - part).cumprod(-1)
        return pad(part, [0, 1], value=1) * pad(left, [1, 0], value=1)

    def _inverse(self, y: Tensor) -> Tensor:
        parts = y[..., :-1]
        left = (1 - parts.cumsum(-1)).clamp(min=float(limits(y).tiny))
        return parts.log() - left.log() + _places_left(parts)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        x = x - _places_left(x)
        return (-x + logsigmoid(x) + y[..., :-1].log()).sum(-1)

    def forward_shape(self, shape: Iterable[int]) -> Size:
        shape = Size(shape)
        require_axes(shape, 1)
        return shape[:-1] + (shape[-1] + 1,)

    def inverse_shape(self, shape: Iterable[int]) -> Size:
        shape = Size(shape)
        require_axes(shape, 1)
        return shape[:-1] + (shape[-1] - 1,)


def _places_left(x: Tensor) -> Tensor:
    """For each number of a vector, the logarithm of how many parts come after its own: of x = 0
    all parts are equal.
    """
    return x.new_tensor([math.log(count) for count in range(x.shape[-1], 0, -1)])


class LowerCholeskyTransform(Fixed):
    """Matrices to lower triangles with a positive diagonal, by its exponential."""

    domain = constraints.independent(constraints.real, 2)
    codomain = constraints.lower_cholesky

    def _call(self, x: Tensor) -> Tensor:
        return x.tril(-1) + x.diagonal(dim1=-2, dim2=-1).exp().diag_embed()

    def _inverse(self, y: Tensor) -> Tensor:
        return y.tril(-1) + y.diagonal(dim1=-2, dim2=-1).log().diag_embed()


class PositiveDefiniteTransform(Fixed):
    """Matrices to positive-definite ones, the squares of such triangles."""

    domain = constraints.independent(constraints.real, 2)
    codomain = constraints.positive_definite

    def _call(self, x: Tensor) -> Tensor:
        factor = LowerCholeskyTransform()(x)
        return factor @ factor.mT

    def _inverse(self, y: Tensor) -> Tensor:
        return LowerCholeskyTransform().inv(cholesky(y))


class CorrCholeskyTransform(Fixed):
    """Vectors to the triangular factors of correlation matrices.

    Each number is, as a hyperbolic tangent, a part of what is left of the length of its row, which
    is 1 in all; the diagonal gets the rest.
    """

    domain = constraints.real_vector
    codomain = constraints.corr_cholesky
    bijective = True

    def _call(self, x: Tensor) -> Tensor:
        eps = float(limits(x).eps)
        part = vec_to_tril_matrix(x.tanh().clamp(eps - 1, 1 - eps), diag=-1)
        left = (1 - part.square()).sqrt().cumprod(-1)
        ones = CREATORS["eye"](part.shape[-1], dtype=part.dtype)
        return (part + ones) * pad(left[..., :-1], [1, 0], value=1)

    def _inverse(self, y: Tensor) -> Tensor:
        left = pad(1 - y.square().cumsum(-1)[..., :-1], [1, 0], value=1)
        return (tril_matrix_to_vec(y, -1) / tril_matrix_to_vec(left, -1).sqrt()).atanh()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        left = tril_matrix_to_vec(1 - y.square().cumsum(-1), -2)
        # log(1 - tanh(x) ** 2), which does not cancel for large x.
        slopes = 2 * (math.log(2) - x - (-2 * x).softplus())
        return 0.5 * left.log().sum(-1) + slopes.sum(-1)

    def forward_shape(self, shape: Iterable[int]) -> Size:
        shape = Size(shape)
        require_axes(shape, 1)
        size = round((0.25 + 2 * shape[-1]) ** 0.5 + 0.5)
        if size * (size - 1) // 2 != shape[-1]:
            raise ValueError("Input is not a flattened lower-diagonal number")
        return shape[:-1] + (size, size)

    def inverse_shape(self, shape: Iterable[int]) -> Size:
        shape = Size(shape)
        require_axes(shape, 2)
        if shape[-2] != shape[-1]:
            raise ValueError("Input is not square")
        return shape[:-2] + (shape[-1] * (shape[-1] - 1) // 2,)


# -- of parts --------------------------------------------------------------------------------------
class StackTransform(Transform):
    """A map of its own for each index along `dim`."""

    def __init__(self, tseq: Sequence[Transform], dim: int = 0, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.transforms, self.dim = [part.with_cache(cache_size) for part in tseq], dim

    @property
    def bijective(self) -> bool:
        return all(part.bijective for part in self.transforms)

    @constraints.dependent_property
    def domain(self) -> Any:
        return constraints.stack([part.domain for part in self.transforms], self.dim)

    @constraints.dependent_property
    def codomain(self) -> Any:
        return constraints.stack([part.codomain for part in self.transforms], self.dim)

    def _parts(self, x: Tensor) -> Sequence[Tensor]:
        return x.unbind(self.dim)

    def _joined(self, parts: Sequence[Tensor]) -> Tensor:
        return REGISTRY["stack"](parts, self.dim)

    def _call(self, x: Tensor) -> Tensor:
        return self._joined([part(each) for part, each in zip(self.transforms, self._parts(x))])

    def _inverse(self, y: Tensor) -> Tensor:
        return self._joined([part.inv(each) for part, each in zip(self.transforms, self._parts(y))])

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        triples = zip(self.transforms, self._parts(x), self._parts(y))
        return self._joined([part.log_abs_det_jacobian(a, b) for part, a, b in triples])


class CatTransform(StackTransform):
    """A map of its own for each of the pieces of given `lengths` along `dim`, of single numbers."""

    def __init__(
        self,
        tseq: Sequence[Transform],
        dim: int = 0,
        lengths: Sequence[int] | None = None,
        cache_size: int = 0,
    ) -> None:
        super().__init__(tseq, dim, cache_size)
        self.lengths = [1] * len(self.transforms) if lengths is None else list(lengths)
        if any(part.domain.event_dim or part.codomain.event_dim for part in tseq):
            raise NotImplementedError("CatTransform: only maps of single numbers can be joined.")

    @constraints.dependent_property
    def domain(self) -> Any:
        return constraints.cat([part.domain for part in self.transforms], self.dim, self.lengths)

    @constraints.dependent_property
    def codomain(self) -> Any:
        return constraints.cat([part.codomain for part in self.transforms], self.dim, self.lengths)

    def _parts(self, x: Tensor) -> Sequence[Tensor]:
        return x.split(self.lengths, self.dim)

    def _joined(self, parts: Sequence[Tensor]) -> Tensor:
        return REGISTRY["cat"](parts, self.dim)
