"""Dropout in every form of `nn.functional`; ops/dropout.py does it."""

from __future__ import annotations

import warnings

from grad.errors import ShapeError
from grad.ops.dropout import channels, check_probability, dropped
from grad.ops.promotion import require_tensors
from grad.tensor import Tensor


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero each element with probability `p`, scale others by ``1 / (1 - p)``; if `training`."""
    require_tensors("dropout", input=input)
    return dropped("dropout", input, p, training, tuple(input.shape), False, inplace)


def alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """`dropout` that keeps mean 0 and variance 1, for `selu`; if `training`.

    Klambauer et al., "Self-normalizing neural networks", 2017: an element becomes SELU's lower
    limit with probability `p`, then all are scaled and shifted.
    """
    return dropped("alpha_dropout", input, p, training, tuple(input.shape), True, inplace)


def feature_alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """`alpha_dropout` of whole channels of ``(N, C, ...)``."""
    if not training or p == 0.0:
        check_probability(p)
        return input  # of any shape
    shape = channels("feature_alpha_dropout", input)
    return dropped("feature_alpha_dropout", input, p, training, shape, True, inplace)


def dropout1d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """`dropout` of whole channels of ``(N, C, L)`` or ``(C, L)``.

    Raises:
        ValueError: `p` is no probability. RuntimeError: the input has other axes.
    """
    check_probability(p)
    if len(input.shape) not in (2, 3):
        raise ShapeError(
            f"dropout1d: expected (C, L) or (N, C, L), but got shape {tuple(input.shape)}."
        )
    shape = (*input.shape[:-1], 1)
    return dropped("dropout1d", input, p, training, shape, False, inplace)


def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """`dropout` of whole channels of ``(N, C, H, W)``.

    Other inputs get a warning, as in PyTorch: the first two axes are taken for batch and channels.
    """
    check_probability(p)
    if len(input.shape) != 4:
        warnings.warn(
            f"dropout2d: received a {len(input.shape)}-D input, of which the first two axes are "
            "taken for batch and channels; use dropout1d or dropout for other meanings.",
            stacklevel=2,
        )
    return dropped("dropout2d", input, p, training, channels("dropout2d", input), False, inplace)


def dropout3d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """`dropout` of whole channels of ``(N, C, D, H, W)`` or ``(C, D, H, W)``.

    Other inputs get a warning, as in PyTorch.
    """
    check_probability(p)
    rank = len(input.shape)
    if rank not in (4, 5):
        warnings.warn(
            f"dropout3d: received a {rank}-D input, of which the first two axes are taken for "
            "batch and channels; use dropout for other meanings.",
            stacklevel=2,
        )
    shape = channels("dropout3d", input)
    if rank == 4:
        shape = (input.shape[0], 1, 1, 1)
    return dropped("dropout3d", input, p, training, shape, False, inplace)
