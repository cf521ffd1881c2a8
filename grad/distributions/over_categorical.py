"""What distributions share that draw from a `Categorical` and give vectors: its parameters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from grad.distributions import constraints
from grad.distributions.categorical import Categorical
from grad.distributions.distribution import Distribution
from grad.tensor import Tensor
from grad.utils.size import Size


class OverCategorical(Distribution):
    """A distribution of vectors with an element for each position of ``self._categorical``."""

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    _categorical: Categorical

    def expand(self, batch_shape: Iterable[int], _instance: Any = None) -> Any:
        new = super().expand(batch_shape, _instance)
        new._categorical = self._categorical.expand(batch_shape)
        return new

    @property
    def probs(self) -> Tensor:
        """Adding up to 1."""
        return self._categorical.probs

    @property
    def logits(self) -> Tensor:
        """The logarithms of `probs`."""
        return self._categorical.logits

    @property
    def param_shape(self) -> Size:
        """The shape of `probs` and `logits`."""
        return self._categorical.param_shape
