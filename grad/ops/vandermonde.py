"""Matrices of powers, as `vander` and `linalg.vander` give them."""

from __future__ import annotations

from typing import Any

import numpy as np

from grad.autograd.function import Function
from grad.dtype import dtypes
from grad.errors import ArgumentError, ShapeError
from grad.ops.join import Cat
from grad.ops.registry import ALL, Failure, Sample, op


def powers(x: Any, count: int) -> Any:
    """The powers 0 to ``count - 1`` of each element, along a new last axis; of integers int64."""
    if not x.dtype.is_floating_point:
        x = x.to(dtypes.int64)
    column = x.unsqueeze(-1)
    ones = x.new_ones((*x.shape, min(count, 1)))
    if count <= 1:
        return ones
    repeated = column.expand((*x.shape, count - 1))
    return Cat.forward((ones, repeated.cumprod(-1)), -1)


@op(
    function="vander",
    reference=lambda x, N=None, increasing=False: np.vander(x, N, increasing),
    samples=(
        Sample(((4,),), low=-2, high=2),
        Sample(((3,),), (5, True), low=-2, high=2),
        Sample(((3,),), (1,), gradient=False),
    ),
    errors=(
        Failure(((2, 2),), match="one-dimensional"),
        Failure(((2,),), (-1,), error=ArgumentError, match="non-negative"),
    ),
    composite=True,
    dtypes=ALL,
)
class Vander(Function):
    """A matrix with the powers of each element of the vector x in a row, the highest first.

    Args:
        N: how many columns; as many as x has elements unless given.
        increasing: the lowest power first.

    Example:
        >>> grad.vander(grad.tensor([1, 2, 3])).tolist()
        [[1, 1, 1], [4, 2, 1], [9, 3, 1]]
    """

    @staticmethod
    def forward(x: Any, N: int | None = None, increasing: bool = False) -> Any:
        if len(x.shape) != 1:
            raise ShapeError(f"vander: x must be a one-dimensional tensor, got {tuple(x.shape)}.")
        count = x.shape[0] if N is None else N
        if count < 0:
            raise ArgumentError(f"vander: N must be non-negative, got {N}.")
        found = powers(x, count)
        return found if increasing else found.flip(-1)
