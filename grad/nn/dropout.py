"""Dropout: zeros at random while training, nothing otherwise."""

from __future__ import annotations

from grad.nn import functional
from grad.nn.module import Module
from grad.tensor import Tensor


class Dropout(Module):
    """Each element is zeroed with probability `p` and the others are scaled by ``1 / (1 - p)``.

    Only in training mode; fresh random numbers at each call.
    """

    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        functional.check_probability(p)
        self.p = p
        self.inplace = inplace

    def forward(self, input: Tensor) -> Tensor:
        return functional.dropout(input, self.p, self.training, self.inplace)

    def extra_repr(self) -> str:
        return f"p={self.p}, inplace={self.inplace}"
