"""`Odds`: distributions of events that happen or not, given by `probs` or by `logits`.

Whichever is given is kept; the other one is worked out when it is asked for.
"""

from __future__ import annotations

from typing import Any

from grad.distributions import constraints
from grad.distributions.distribution import Distribution
from grad.distributions.utils import lazy_property, logits_to_probs, one_of, probs_to_logits
from grad.tensor import Tensor
from grad.utils.size import Size


class Odds(Distribution):
    """Events of probability `probs`, or whose odds have the logarithm `logits`.

    Raises:
        ValueError: none or both of them are given.
    """

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    _given: str

    def _take(self, probs: Any, logits: Any, **others: Any) -> Size:
        """Keep what is given, with `others` in the same shape, which is returned."""
        self._given, value = one_of(probs=probs, logits=logits)
        return self._broadcast(**{self._given: value}, **others)

    @lazy_property
    def logits(self) -> Tensor:
        return probs_to_logits(self.probs, is_binary=True)

    @lazy_property
    def probs(self) -> Tensor:
        return logits_to_probs(self.logits, is_binary=True)

    @property
    def _param(self) -> Tensor:
        return self.__dict__[self._given]

    @property
    def param_shape(self) -> Size:
        """The shape of `probs` and `logits`."""
        return self._param.shape
