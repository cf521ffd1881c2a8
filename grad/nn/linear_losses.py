"""`linear_cross_entropy`: the last layer of a classifier and its loss as one function.

PyTorch can compute it in pieces, to save the memory of the scores; `LinearCrossEntropyOptions` says
how. Here it is always one piece: the options are checked, and change nothing.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from grad.dtype import DType
from grad.errors import ShapeError
from grad.nn.classification import cross_entropy
from grad.ops.registry import REGISTRY
from grad.tensor import Tensor

_POLICIES = ("auto", "accurate", "balanced", "compact")


@dataclass(frozen=True, slots=True)
class LinearCrossEntropyOptions:
    """How PyTorch is to compute `linear_cross_entropy` in pieces; changes nothing here.

    Attributes:
        allow_retain_graph: whether backward may run twice (it always may).
        batch_chunk_size: samples in a piece. chunking_method: ``"auto"``, ``"aspect_ratio"``,
            ``"aspect_ratio:N"`` or None: how their number is chosen.
        acc_policy: ``"auto"``, ``"accurate"``, ``"balanced"`` or ``"compact"``. acc_dtype: the type
            of sums (float32 for halves, here).

    Raises:
        ValueError: an attribute has no such value.
    """

    allow_retain_graph: bool = False
    batch_chunk_size: int | None = None
    chunking_method: str | None = "auto"
    acc_policy: str = "auto"
    acc_dtype: DType | None = None

    def __post_init__(self) -> None:
        size, method, dtype = self.batch_chunk_size, self.chunking_method, self.acc_dtype
        if self.acc_policy not in _POLICIES:
            raise ValueError(f"invalid acc_policy: {self.acc_policy!r}")
        name, colon, factor = (method or "auto").partition(":")
        right = name == "aspect_ratio" and (not colon or (factor.isdigit() and int(factor) > 0))
        if method not in (None, "auto") and not right:
            raise ValueError(f"invalid chunking_method: {method!r}")
        if size is not None and not (isinstance(size, int) and size > 0):
            raise ValueError(f"batch_chunk_size must be positive int or None, got {size!r}")
        if dtype is not None and not (isinstance(dtype, DType) and dtype.is_floating_point):
            raise ValueError(f"acc_dtype must be a floating type or None, got {dtype!r}")


def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: LinearCrossEntropyOptions | None = None,
) -> Tensor:
    """`cross_entropy` of ``linear(input, linear_weight, linear_bias)``.

    Args:
        ignore_index: samples with this class number count nothing; None for -100.
        options: accepted, and not needed here.

    Shape:
        input ``(N, in)`` or ``(in,)``, linear_weight ``(C, d1, ..., in)``, linear_bias
        ``(C, d1, ...)``; target ``(N, d1, ...)`` of class numbers or ``(N, C, d1, ...)`` of
        probabilities.

    Raises:
        RuntimeError: shapes do not fit, or `ignore_index` is given beside probabilities.
    """
    inner = _checked_inner(input, linear_weight, linear_bias)
    classes, features = linear_weight.shape[0], input.shape[-1]
    shape = (*input.shape[:-1], classes, *inner)
    if tuple(target.shape) == shape and ignore_index is not None:
        raise RuntimeError("ignore_index cannot be specified when target contains probabilities")
    if inner:
        linear_weight = linear_weight.reshape((classes * math.prod(inner), features))
        linear_bias = None if linear_bias is None else linear_bias.reshape(-1)
    scores = REGISTRY["linear"](input, linear_weight, linear_bias).reshape(shape)
    return cross_entropy(
        scores,
        target,
        weight,
        ignore_index=-100 if ignore_index is None else ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
    )


def _checked_inner(input: Tensor, weight: Tensor, bias: Tensor | None) -> tuple[Any, ...]:
    """The axes of places that a sample has several classes at: those inside of the weight."""
    given, own = tuple(input.shape), tuple(weight.shape)
    if len(given) not in (1, 2):
        raise ShapeError(f"expected input with dimensionality 1 or 2, got {len(given)}")
    if len(own) < 2:
        raise ShapeError(f"expected linear_weight with dimensionality at least 2, got {len(own)}")
    if given[-1] != own[-1]:
        raise ShapeError(
            "expected equal input and linear_weight last dimensions (in_features), got "
            f"{given[-1]} and {own[-1]}, respectively"
        )
    if bias is not None and tuple(bias.shape) != own[:-1]:
        raise ShapeError(f"expected linear_bias shape {own[:-1]}, got {tuple(bias.shape)}")
    if len(own) > 2 and len(given) == 1:
        raise ShapeError(
            f"K-dimensional loss defined by linear_weight shape {own} requires batched input, "
            f"(N, {given[-1]}), got unbatched input with shape {given}"
        )
    return own[1:-1]
