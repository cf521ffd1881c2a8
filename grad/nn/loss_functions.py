"""Loss functions over numbers: how far a prediction is from its target, in all or per element.

Regression first, then two classes, where the target is a probability; targets that are class
numbers are in `classification.py`. `functional.py` offers them all under their PyTorch names.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from grad.autograd.function import Function
from grad.autograd.rebuilt import rebuilt, warn
from grad.dtype import dtypes
from grad.errors import ArgumentError, ShapeError
from grad.ops.autocast import autocasts
from grad.ops.halves import rounded_once
from grad.ops.promotion import promote, require_tensors
from grad.tensor import Tensor

_REDUCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "none": lambda loss: loss,
    "sum": lambda loss: loss.sum(),
    "mean": lambda loss: loss.mean(),
}


def reduced(loss: Tensor, reduction: str) -> Tensor:
    """`loss` as it is, its sum, or its mean."""
    check_reduction(reduction)
    return _REDUCTIONS[reduction](loss)


def check_reduction(reduction: str) -> None:
    """Raise ValueError unless `reduction` is "none", "sum" or "mean"."""
    if reduction not in _REDUCTIONS:
        raise ValueError(
            f"{reduction} is not a valid value for reduction; use one of {', '.join(_REDUCTIONS)}."
        )


def chosen_reduction(size_average: bool | None, reduce: bool | None, reduction: str) -> str:
    """`reduction`, unless PyTorch's arguments of old say another."""
    if size_average is None and reduce is None:
        return reduction
    if reduce is not None and not reduce:
        chosen = "none"
    else:
        chosen = "mean" if size_average is None or size_average else "sum"
    warn(
        f"size_average and reduce args will be deprecated, please use reduction='{chosen}' "
        "instead.",
        stacklevel=3,
    )
    return chosen


# -- regression ------------------------------------------------------------------------------------
def _difference(
    name: str,
    input: Tensor,
    target: Tensor,
    of: Callable[..., Tensor] = operator.sub,
    *numbers: Any,
) -> Tensor:
    """``input - target``, or what is made `of` both and of `numbers`; warns when they broadcast,
    which is nearly always a mistake.
    """
    require_tensors(name, input=input, target=target)
    if input._shape != target._shape:
        warn(
            f"{name}: using a target size {tuple(target.shape)} that is different to the input "
            f"size {tuple(input.shape)}. This will likely lead to incorrect results due to "
            "broadcasting; use x.reshape(...) or x.squeeze(...) to give both the same size.",
            stacklevel=5,  # past `rebuilt` and `autocasts`
        )
    # A difference of truth values is refused, but these may be labels.
    if dtypes.bool in (input.dtype, target.dtype) and input.dtype is not target.dtype:
        input, target = promote(name, input, target)
    return of(input, target, *numbers)


def _weighted(loss: Tensor, weight: Tensor | None) -> Tensor:
    return loss if weight is None else loss * weight


def _reduced_by_weight(loss: Tensor, weight: Tensor | None, reduction: str) -> Tensor:
    """`loss` times `weight`, reduced; the mean counts each element as often as its weight."""
    weighted = _weighted(loss, weight)
    if weight is not None and reduction == "mean":
        return weighted.sum() / weight.expand(weighted.shape).sum()
    return reduced(weighted, reduction)


@autocasts
@rebuilt
def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """``(input - target) ** 2``. With `weight`, the mean is divided by the sum of the weights."""
    reduction = chosen_reduction(size_average, reduce, reduction)
    difference = _difference("mse_loss", input, target)
    return _reduced_by_weight(difference * difference, weight, reduction)


@autocasts
@rebuilt
def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """``|input - target|``. With `weight`, the mean is divided by the sum of the weights."""
    reduction = chosen_reduction(size_average, reduce, reduction)
    return _reduced_by_weight(_difference("l1_loss", input, target).abs(), weight, reduction)


@autocasts
@rebuilt
def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """``d ** 2 / (2 beta)`` where ``d = |input - target| < beta``, else ``d - beta / 2``."""
    reduction = chosen_reduction(size_average, reduce, reduction)
    if beta < 0:
        raise ArgumentError(
            f"smooth_l1_loss does not support negative values for beta; got {beta}."
        )
    if beta == 0:
        return reduced(_difference("smooth_l1_loss", input, target).abs(), reduction)
    return reduced(_difference("smooth_l1_loss", input, target, _smooth_l1, beta), reduction)


@autocasts
@rebuilt
def huber_loss(
    input: Tensor,
    target: Tensor,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """``d ** 2 / 2`` where ``d = |input - target| <= delta``, else ``delta * (d - delta / 2)``.

    With `weight`, the mean is divided by the sum of the weights.
    """
    if delta <= 0:
        raise ArgumentError(
            f"huber_loss does not support non-positive values for delta; got {delta}."
        )
    distance = _difference("huber_loss", input, target, _huber, delta)
    return _reduced_by_weight(distance, weight, reduction)


@rounded_once
def _smooth_l1(input: Tensor, target: Tensor, beta: float) -> Tensor:
    return _huber(input, target, beta) / beta


@rounded_once
def _huber(input: Tensor, target: Tensor, bound: float) -> Tensor:
    """``d ** 2 / 2`` where ``|d| <= bound``, else ``bound * (|d| - bound / 2)``.

    Nothing far is squared, so that infinite differences keep their finite gradient.
    """
    difference = input - target
    near = difference.clamp(-bound, bound)
    return near * (difference - near * 0.5)


@autocasts
def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """``target * (log(target) - input)``; `input` is a log-probability, `target` too if
    `log_target`.

    ``reduction="batchmean"`` divides the sum by the size of the first axis: the mathematical
    definition.
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    require_tensors("kl_div", input=input, target=target)
    if log_target:
        divergence = target.exp() * (target - input)
    else:
        # 0 * log(0) is 0 here; what is no probability, negative or NaN, gives NaN.
        some = target != 0
        logarithm = target.where(some, 1.0).log()
        divergence = (target * logarithm).where(some, 0.0) - target * input
    if reduction == "batchmean":
        return divergence.sum() / (input.shape[0] if input.shape else 1)
    return reduced(divergence, reduction)


# -- two classes -----------------------------------------------------------------------------------
class BinaryCrossEntropy(Function):
    """``-(target * log(x) + (1 - target) * log(1 - x))`` per element, logarithms limited to -100.

    The limits keep a certain but wrong prediction finite: PyTorch's convention, for the gradient
    too.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, target: Tensor) -> Tensor:
        ctx.save_for_backward(x, target)
        negative = (target - 1) * (-x).log1p().clamp(min=-100.0)
        return negative - target * x.log().clamp(min=-100.0)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, target = ctx.saved_tensors
        to_input = to_target = None
        if ctx.needs_input_grad[0]:
            to_input = gradient * (x - target) / ((1 - x) * x).clamp(min=1e-12)
        if ctx.needs_input_grad[1]:
            to_target = gradient * ((-x).log1p() - x.log()).clamp(-100.0, 100.0)
        return to_input, to_target


@autocasts
@rebuilt
def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``-(target * log(input) + (1 - target) * log(1 - input))`` for probabilities `input`.

    An input outside [0, 1] gives NaN (PyTorch raises, but to look would end the fusion here).

    Raises:
        ValueError: the sizes differ.
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    _check_same_size("binary_cross_entropy", input, target)
    return reduced(_weighted(BinaryCrossEntropy.apply(input, target), weight), reduction)


@autocasts
@rebuilt
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """`binary_cross_entropy` of ``sigmoid(input)``, without overflow.

    `pos_weight` multiplies the part of the positive class; it broadcasts.
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    require_tensors("binary_cross_entropy_with_logits", input=input, target=target)
    _check_same_size("binary_cross_entropy_with_logits", input, target)
    logarithm = input.logsigmoid()
    if pos_weight is not None:
        logarithm = logarithm * ((pos_weight - 1) * target + 1)
    loss = (1 - target) * input - logarithm
    return reduced(_weighted(loss, weight), reduction)


def _check_same_size(name: str, input: Tensor, target: Tensor) -> None:
    if input._shape != target._shape:
        raise ShapeError(
            f"{name}: target size ({tuple(target.shape)}) must be the same as input size "
            f"({tuple(input.shape)}); use target.reshape(...) or target.unsqueeze(-1)."
        )
