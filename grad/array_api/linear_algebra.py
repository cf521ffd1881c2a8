"""Products of matrices and vectors, in the namespace itself and in its `linalg` extension."""

from __future__ import annotations

from collections.abc import Sequence

from grad.array_api.operands import operands, require_tensor
from grad.errors import ShapeError
from grad.ops.axes import normal_axis
from grad.ops.registry import REGISTRY
from grad.tensor import Tensor


def matmul(x1: Tensor, x2: Tensor, /) -> Tensor:
    """The product of matrices, or vectors, with leading axes that broadcast."""
    return REGISTRY["matmul"].call(*_tensors("matmul", x1, x2))


def matrix_transpose(x: Tensor, /) -> Tensor:
    """`x` with its last two axes exchanged."""
    return require_tensor("matrix_transpose", x).mT


def tensordot(
    x1: Tensor, x2: Tensor, /, *, axes: int | tuple[Sequence[int], Sequence[int]] = 2
) -> Tensor:
    """Sums of products over so many last axes of `x1` and first of `x2`, or over pairs of axes."""
    return REGISTRY["tensordot"].call(*_tensors("tensordot", x1, x2), axes)


def vecdot(x1: Tensor, x2: Tensor, /, *, axis: int = -1) -> Tensor:
    """Inner products of vectors along `axis`, counted from the end; other axes broadcast."""
    first, second = _tensors("vecdot", x1, x2)
    if not first.shape or not second.shape:
        raise ShapeError(f"vecdot: needs vectors, got shapes {first._shape} and {second._shape}.")
    place = normal_axis("vecdot", axis, min(len(first.shape), len(second.shape)))
    if axis >= 0 and len(first.shape) != len(second.shape):
        raise ShapeError(f"vecdot: axis={axis} must be negative for arrays of different ranks.")
    sizes = first.shape[axis], second.shape[axis]
    if sizes[0] != sizes[1]:
        raise ShapeError(f"vecdot: vectors have {sizes[0]} and {sizes[1]} elements along {place}.")
    return (first * second).sum(axis, dtype=first.dtype)


def _tensors(name: str, x1: Tensor, x2: Tensor) -> tuple[Tensor, Tensor]:
    return operands(name, require_tensor(name, x1), require_tensor(name, x2))
