"""Dropout in every form: zeros at random while training, of elements or of whole channels.

One draw of a mask, of the input's shape or of one number a channel, and two ways to fill in what is
dropped: with 0, or (alpha) so that the mean and the variance of self-normalising networks stay.
"""

from __future__ import annotations

import math
import warnings

from grad.errors import ShapeError
from grad.tensor import Tensor

# What SELU tends to for large negative inputs, minus its scale times its alpha.
_ALPHA = 1.7580993408473766


def check_probability(p: float) -> None:
    """Raise ValueError unless `p` is a probability."""
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


def _dropped(
    input: Tensor, p: float, training: bool, inplace: bool, shape: tuple[int, ...], alpha: bool
) -> Tensor:
    """`input` with dropout by a mask of `shape`, which broadcasts."""
    check_probability(p)
    if not training or p == 0.0:
        return input
    if p == 1.0:
        result = input * 0.0
    else:
        kept = Tensor.rand(shape) >= p
        if alpha:
            scale = 1.0 / math.sqrt((_ALPHA * _ALPHA * p + 1) * (1 - p))
            result = (input * scale + _ALPHA * scale * p).where(kept, _ALPHA * scale * (p - 1))
        else:
            result = (input * (1.0 / (1.0 - p))).where(kept, 0.0)
    return input.copy_(result) if inplace else result


def _one_a_channel(name: str, input: Tensor) -> tuple[int, ...]:
    if len(input.shape) < 2:
        raise ShapeError(
            f"{name}: needs a batch and channels in front, got shape {tuple(input.shape)}; use "
            "dropout for elements."
        )
    return (*input.shape[:2], *(1,) * (len(input.shape) - 2))


def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """Zero each element with probability `p`, scale others by ``1 / (1 - p)``; if `training`."""
    return _dropped(input, p, training, inplace, tuple(input.shape), False)


def alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """`dropout` that keeps mean 0 and variance 1, for `selu`; if `training`.

    Klambauer et al., "Self-normalizing neural networks", 2017: an element becomes SELU's lower
    limit with probability `p`, then all are scaled and shifted.
    """
    return _dropped(input, p, training, inplace, tuple(input.shape), True)


def feature_alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """`alpha_dropout` of whole channels of ``(N, C, ...)``."""
    shape = _one_a_channel("feature_alpha_dropout", input)
    return _dropped(input, p, training, inplace, shape, True)


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
    return _dropped(input, p, training, inplace, shape, False)


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
    return _dropped(input, p, training, inplace, _one_a_channel("dropout2d", input), False)


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
    shape = _one_a_channel("dropout3d", input)
    if rank == 4:
        shape = (input.shape[0], 1, 1, 1)
    return _dropped(input, p, training, inplace, shape, False)
