"""Dropout: zeros at random, of elements or of whole channels, with or without correction.

One draw of a mask, of the input's shape or of one number a channel, and two ways to fill in what is
dropped: with 0, or (alpha) so that the mean and the variance of self-normalising networks stay. The
functions here have the names of PyTorch's; nn/dropout_functions.py has those of `nn.functional`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from grad.dtype import dtypes
from grad.errors import ArgumentError, ShapeError
from grad.graph.node import expand
from grad.ops.inplace import check_writable, overwrite
from grad.ops.promotion import number, require_floating, wrap
from grad.ops.random_numbers import uniform_node
from grad.ops.registry import op
from grad.ops.samples import operands

Shape = tuple[int, ...]
# What SELU tends to for large negative inputs, minus its scale times its alpha.
_ALPHA = 1.7580993408473766


def check_probability(p: float) -> None:
    """Raise ArgumentError unless `p` is a probability."""
    if not 0.0 <= p <= 1.0:
        raise ArgumentError(f"dropout probability has to be between 0 and 1, but got {p}")


def channels(name: str, input: Any) -> Shape:
    """The shape of a mask of one number a channel of ``(N, C, ...)``."""
    if len(input.shape) < 2:
        raise ShapeError(
            f"{name}: needs a batch and channels in front, got shape {tuple(input.shape)}; use "
            "dropout for elements."
        )
    return (*input.shape[:2], *(1,) * (len(input.shape) - 2))


def dropped(
    name: str, input: Any, p: float, train: bool, shape: Shape, alpha: bool, inplace: bool
) -> Any:
    """`input` with dropout by a mask of `shape`, which broadcasts; itself if nothing is dropped."""
    check_probability(p)
    if not train or p == 0.0:
        return input
    require_floating(name, input.dtype)
    if inplace:
        check_writable(name, input)
    result = input * 0.0 if p == 1.0 else _masked(input, kept(shape, p), p, alpha)
    if inplace:
        overwrite(name, input, result)
        return input
    return result


def kept(shape: Shape, p: float) -> Any:
    """False with probability `p`."""
    return wrap(uniform_node(shape, dtypes.float32)) >= p


def _masked(input: Any, mask: Any, p: float, alpha: bool) -> Any:
    if not alpha:
        return (input * (1.0 / (1.0 - p))).where(mask, 0.0)
    scale = 1.0 / math.sqrt((_ALPHA * _ALPHA * p + 1) * (1 - p))
    return (input * scale + _ALPHA * scale * p).where(mask, _ALPHA * scale * (p - 1))


def _declare(name: str, by_channel: bool, alpha: bool, doc: str) -> None:
    """``grad.<name>`` and ``grad.<name>_``, which writes to its input."""

    def shape_of(which: str, input: Any, p: float, train: bool) -> Shape:
        drops = by_channel and train and p != 0.0
        return channels(which, input) if drops else tuple(input.shape)

    class Fresh:
        @staticmethod
        def forward(input: Any, p: float, train: bool) -> Any:
            shape = shape_of(name, input, p, train)
            return dropped(name, input, p, train, shape, alpha, False)

    class InPlace:
        @staticmethod
        def forward(input: Any, p: float, train: bool) -> Any:
            shape = shape_of(f"{name}_", input, p, train)
            return dropped(f"{name}_", input, p, train, shape, alpha, True)

    Fresh.__doc__, InPlace.__doc__ = doc, f"`{name}` in place."
    op(
        function=name,
        composite=True,
        reference=lambda x, p, train: np.zeros_like(x),
        samples=operands(((3, 2, 4),), arguments=(1.0, True)),
    )(Fresh)
    op(function=f"{name}_", composite=True, gradient=False)(InPlace)


_RAISES = """

    Raises:
        ValueError, RuntimeError: `p` is no probability. TypeError: the input is not floating.
"""
_declare(
    "dropout",
    by_channel=False,
    alpha=False,
    doc="Each element zero with probability `p`, the others times ``1 / (1 - p)``; if `train`."
    + _RAISES,
)
_declare(
    "feature_dropout",
    by_channel=True,
    alpha=False,
    doc="`dropout` of whole channels of ``(N, C, ...)``; if `train`." + _RAISES,
)
_declare(
    "alpha_dropout",
    by_channel=False,
    alpha=True,
    doc="""`dropout` that keeps mean 0 and variance 1, for `selu`; if `train`.

    Klambauer et al., "Self-normalizing neural networks", 2017: an element becomes SELU's lower
    limit with probability `p`, then all are scaled and shifted."""
    + _RAISES,
)
_declare(
    "feature_alpha_dropout",
    by_channel=True,
    alpha=True,
    doc="`alpha_dropout` of whole channels of ``(N, C, ...)``; if `train`." + _RAISES,
)


@op(function="native_dropout", composite=True, gradient=False)
class NativeDropout:
    """`dropout`, and the mask of what was kept.

    Returns:
        ``(output, mask)``, both of the shape of the input; the mask is bool.

    Example:
        >>> output, mask = grad.native_dropout(grad.ones(4), 0.5, True)
        >>> grad.equal(output, 2 * mask.float())
        True
    """

    @staticmethod
    def forward(input: Any, p: float, train: bool | None) -> tuple[Any, Any]:
        check_probability(p)
        if train is False or p == 0.0:
            return input.clone(), wrap(expand(number(1, dtypes.bool), input.shape))
        require_floating("native_dropout", input.dtype)
        if p == 1.0:
            return input * 0.0, wrap(expand(number(0, dtypes.bool), input.shape))
        mask = kept(input.shape, p)
        return _masked(input, mask, p, False), mask
