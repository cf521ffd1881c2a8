"""Products of many matrices: in the cheapest order (`multi_dot`), or of one with itself.

`linalg.multi_dot` and `linalg.matrix_power` are these.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from operator import index
from typing import Any

import numpy as np

from grad.autograd.function import Function
from grad.dtype import dtypes
from grad.errors import ArgumentError, DTypeError, ShapeError
from grad.ops.creation import eye
from grad.ops.matmul import MatMul
from grad.ops.promotion import is_tensor, refuse_bool, unsupported
from grad.ops.registry import NUMERIC, Failure, Sample, op
from grad.ops.systems import inv

Pair = tuple[int, int]


@lru_cache(1024)
def splits(sizes: tuple[int, ...]) -> dict[Pair, int]:
    """Where to split each run ``i..j`` of a chain of matrices for the fewest multiplications.

    Matrix n is ``(sizes[n], sizes[n + 1])``; the run is ``(i..split) @ (split + 1..j)``. Cormen,
    Leiserson, Rivest, Stein, "Introduction to Algorithms", section 14.2.
    """
    count = len(sizes) - 1
    price = {(n, n): 0 for n in range(count)}
    found: dict[Pair, int] = {}
    for length in range(1, count):
        for i in range(count - length):
            j = i + length
            price[i, j], found[i, j] = min(
                (
                    price[i, k] + price[k + 1, j] + sizes[i] * sizes[k + 1] * sizes[j + 1],
                    k,
                )
                for k in range(i, j)
            )
    return found


def product_of_chain(matrices: Sequence[Any]) -> Any:
    """The product of matrices that fit, by `splits`."""
    where = splits((*[m.shape[0] for m in matrices], matrices[-1].shape[1]))
    values = {(n, n): matrix for n, matrix in enumerate(matrices)}
    runs = [(0, len(matrices) - 1)]
    for i, j in runs:
        if i < j:
            k = where[i, j]
            runs += [(i, k), (k + 1, j)]
    for i, j in reversed(runs):
        if i < j:
            k = where[i, j]
            values[i, j] = MatMul.apply(values[i, k], values[k + 1, j])
    return values[0, len(matrices) - 1]


def multi_dot(tensors: Sequence[Any]) -> Any:
    """The product of matrices, with the fewest multiplications; see `linalg.multi_dot`."""
    listed = list(tensors)
    for tensor in listed:
        if not is_tensor(tensor):
            raise unsupported("multi_dot", tensor)
    if len(listed) < 2:
        raise ArgumentError(f"multi_dot: expected at least 2 tensors but got {len(listed)}.")
    last = len(listed) - 1
    for number, tensor in enumerate(listed):
        rank = len(tensor.shape)
        if rank != 2 and not (rank == 1 and number in (0, last)):
            needed = "1D or 2D" if number in (0, last) else "2D"
            raise ShapeError(f"multi_dot: tensor {number} must be {needed} but got {rank}D.")
        if tensor.dtype is not listed[0].dtype:
            raise DTypeError(
                f"multi_dot: all tensors must be the same dtype but tensor 0 is "
                f"{listed[0].dtype.name} and tensor {number} {tensor.dtype.name}."
            )
    row, column = len(listed[0].shape) == 1, len(listed[-1].shape) == 1
    if row:
        listed[0] = listed[0].unsqueeze(0)
    if column:
        listed[-1] = listed[-1].unsqueeze(1)
    for number in range(last):
        first, second = listed[number].shape, listed[number + 1].shape
        if first[1] != second[0]:
            raise ShapeError(
                f"multi_dot: tensors {number} and {number + 1} with shapes {tuple(first)} and "
                f"{tuple(second)} cannot be multiplied."
            )
    found = product_of_chain(listed)
    shape = (*(() if row else found.shape[:1]), *(() if column else found.shape[1:]))
    return found.reshape(shape) if row or column else found


@op(function="chain_matmul", composite=True, dtypes=NUMERIC)
class ChainMatmul(Function):
    """The product of any number of matrices, in the order with the fewest multiplications.

    Example:
        >>> grad.chain_matmul(grad.ones(2, 3), grad.ones(3, 4), grad.ones(4, 5)).shape
        torch.Size([2, 5])
    """

    @staticmethod
    def forward(*matrices: Any) -> Any:
        if not matrices:
            raise ArgumentError("chain_matmul: Expected one or more matrices.")
        for matrix in matrices:
            if not is_tensor(matrix):
                raise unsupported("chain_matmul", matrix)
            if len(matrix.shape) != 2:
                raise ShapeError(
                    f"chain_matmul: Tensor dimension is {len(matrix.shape)}, expected 2 instead."
                )
        return matrices[0] if len(matrices) == 1 else multi_dot(matrices)


@op(
    method="matrix_power",
    reference=np.linalg.matrix_power,
    samples=(
        Sample(((3, 3),), (3,), low=-2, high=2),
        Sample(((2, 2, 2),), (6,), low=-1, high=1),
        Sample(((3, 3),), (0,), gradient=False),
    ),
    errors=(
        Failure(((2, 3),), (2,), match="square"),
        Failure(((3,),), (2,), match="2 dimensions"),
        Failure(((2, 2),), (2.0,), error=TypeError, match="integer"),
        Failure(((2, 2),), (2,), error=DTypeError, match="bool", dtype=dtypes.bool),
        Failure(((2, 2),), (-1,), error=DTypeError, dtype=dtypes.int64),
    ),
    composite=True,
    dtypes=NUMERIC,
)
class MatrixPower(Function):
    """Square matrices times themselves, `n` factors in all; of the inverses for negative `n`.

    Shape:
        ``(..., m, m)`` to the same.

    Raises:
        ShapeError: the matrices are not square. LinAlgError: `n` is negative and one is singular.

    Example:
        >>> grad.tensor([[1, 1], [0, 1]]).matrix_power(5).tolist()
        [[1, 5], [0, 1]]
    """

    @staticmethod
    def forward(x: Any, n: int) -> Any:
        n = index(n)
        if len(x.shape) < 2 or x.shape[-1] != x.shape[-2]:
            raise ShapeError(
                f"linalg.matrix_power: needs at least 2 dimensions and square matrices, but they "
                f"are {tuple(x.shape)}."
            )
        if n == 0:
            unit = eye(x.shape[-1], dtype=x.dtype).expand(x.shape)
            # With a history, which sends back zeros.
            return x.masked_fill(unit == unit, 0) + unit if x.requires_grad else unit.clone()
        refuse_bool("matrix_power", x.dtype, instead="x.int().matrix_power(n)")
        if n < 0:
            x, n = inv(x), -n
        if n == 1:
            return x.clone()
        result: Any = None
        while n:  # the squares as they come, those that n has in binary
            if n & 1:
                result = x if result is None else MatMul.apply(result, x)
            n >>= 1
            if n:
                x = MatMul.apply(x, x)
        return result
