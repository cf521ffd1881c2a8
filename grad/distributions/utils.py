"""What distributions share: parameters of one shape, and probabilities as logits and back."""

from __future__ import annotations

from functools import cached_property
from numbers import Number
from typing import Any

import ml_dtypes

from grad.autograd.modes import enable_grad
from grad.dtype import default_dtype
from grad.ops.creators import CREATORS
from grad.ops.registry import REGISTRY
from grad.tensor import Tensor

euler_constant = 0.57721566490153286060


class lazy_property(cached_property):
    """A property that is computed when it is asked for, once; with gradients, whoever asks."""

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        if instance is None:
            return self
        with enable_grad():
            return super().__get__(instance, owner)


def broadcast_all(*values: Any) -> tuple[Tensor, ...]:
    """All values as tensors of their common shape; numbers get the type of the first tensor.

    Raises:
        ValueError: one is neither a tensor nor a number.
    """
    if not all(isinstance(value, Tensor | Number) for value in values):
        raise ValueError(
            "Input arguments must all be instances of Number, torch.Tensor or objects implementing "
            "__torch_function__."
        )
    kinds = [value.dtype for value in values if isinstance(value, Tensor)]
    dtype = kinds[0] if kinds else default_dtype()
    made = [
        value if isinstance(value, Tensor) else CREATORS["tensor"](value, dtype=dtype)
        for value in values
    ]
    return REGISTRY["broadcast_tensors"](*made)


def sum_rightmost(value: Tensor, count: int) -> Tensor:
    """`value` summed over its last `count` axes."""
    return value.sum(tuple(range(-count, 0))) if count else value


def limits(x: Tensor) -> Any:
    """What is known of the type of `x`: `eps`, `tiny`, `min`, `max`."""
    return ml_dtypes.finfo(x.dtype.numpy)


def clamp_probs(probs: Tensor) -> Tensor:
    """`probs`, but neither 0 nor 1: at least by the precision of the type away from them."""
    eps = float(limits(probs).eps)
    return probs.clamp(min=eps, max=1 - eps)


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    """The logarithms of probabilities; if `is_binary` those of odds."""
    clamped = clamp_probs(probs)
    return clamped.log() - (-clamped).log1p() if is_binary else clamped.log()


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    """Probabilities in proportion to the exponentials of `logits` along the last axis; if
    `is_binary`, those of which `logits` are the logarithms of odds.
    """
    return logits.sigmoid() if is_binary else logits.softmax(-1)


def one_of(**values: Any) -> tuple[str, Any]:
    """The name and the value of the one that is not None.

    Raises:
        ValueError: that is none of them, or more than one.
    """
    given = [(name, value) for name, value in values.items() if value is not None]
    if len(given) != 1:
        names = [f"`{name}`" for name in values]
        if len(names) == 2:
            raise ValueError(f"Either {names[0]} or {names[1]} must be specified, but not both.")
        raise ValueError(f"Exactly one of {' or '.join(names)} may be specified.")
    return given[0]


def tril_matrix_to_vec(mat: Tensor, diag: int = 0) -> Tensor:
    """The elements of matrices at a diagonal or below, row by row.

    Raises:
        ValueError: there is no such diagonal.
    """
    size = mat.shape[-1]
    if not -size <= diag < size:
        raise ValueError(f"diag ({diag}) provided is outside [{-size}, {size - 1}].")
    rows, columns = CREATORS["tril_indices"](size, size, diag)
    return mat[..., rows, columns]


def vec_to_tril_matrix(vec: Tensor, diag: int = 0) -> Tensor:
    """Matrices with the elements of `vec` at a diagonal and below, row by row, and zeros.

    Raises:
        ValueError: it is of no square matrix that there are so many elements.
    """
    count, size = vec.shape[-1], 0
    while _below(size, diag) < count:
        size += 1
    if _below(size, diag) != count:
        raise ValueError(
            f"The size of last dimension is {count} which cannot be expressed as the lower "
            f"triangular part of a square D x D matrix."
        )
    rows, columns = CREATORS["tril_indices"](size, size, diag)
    result = vec.new_zeros((*vec.shape[:-1], size, size))
    result[..., rows, columns] = vec
    return result


def _below(size: int, diag: int) -> int:
    """How many elements a square matrix of `size` has at a diagonal or below."""
    return sum(min(max(row + diag + 1, 0), size) for row in range(size))
