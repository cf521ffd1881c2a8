"""Dropout: zeros at random while training, nothing otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from grad.nn import functional
from grad.nn.module import Module
from grad.ops.dropout import check_probability
from grad.tensor import Tensor


class _Dropout(Module):
    """The probability `p`, and whether the input is written to."""

    function: ClassVar[Callable[..., Tensor]]

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        check_probability(p)
        self.p = p
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return type(self).function(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """Each element is zeroed with probability `p` and the others are scaled by ``1 / (1 - p)``.

    Only in training mode; fresh random numbers at each call.
    """

    function = staticmethod(functional.dropout)


class Dropout1d(_Dropout):
    """Whole channels of ``(N, C, L)`` are zeroed, see `functional.dropout1d`."""

    function = staticmethod(functional.dropout1d)


class Dropout2d(_Dropout):
    """Whole channels of ``(N, C, H, W)`` are zeroed, see `functional.dropout2d`."""

    function = staticmethod(functional.dropout2d)


class Dropout3d(_Dropout):
    """Whole channels of ``(N, C, D, H, W)`` are zeroed, see `functional.dropout3d`."""

    function = staticmethod(functional.dropout3d)


class AlphaDropout(_Dropout):
    """Dropout that keeps mean and variance, see `functional.alpha_dropout`."""

    function = staticmethod(functional.alpha_dropout)


class FeatureAlphaDropout(_Dropout):
    """`AlphaDropout` of whole channels, see `functional.feature_alpha_dropout`."""

    function = staticmethod(functional.feature_alpha_dropout)
