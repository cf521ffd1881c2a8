"""Losses that ask for a margin, and likelihoods of other distributions.

Ranking and embedding losses want a distance between numbers, vectors or the scores of classes;
beyond it nothing is lost. `poisson_nll_loss` and `gaussian_nll_loss` are negative log-likelihoods.
PyTorch's arguments of old, `size_average` and `reduce`, are another way to say `reduction`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from grad.dtype import dtypes
from grad.errors import ArgumentError, DTypeError, ShapeError
from grad.nn.classification import Pick
from grad.nn.loss_functions import check_reduction, chosen_reduction, reduced
from grad.ops.autocast import autocasts
from grad.ops.distances import PairwiseDistance
from grad.ops.gather import checked
from grad.ops.promotion import require_tensors
from grad.tensor import Tensor


# -- two inputs ------------------------------------------------------------------------------------
@autocasts
def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``max(0, -target * (input1 - input2) + margin)``; target 1 if the first should be larger."""
    reduction = chosen_reduction(size_average, reduce, reduction)
    check_reduction(reduction)
    if not len(input1.shape) == len(input2.shape) == len(target.shape):
        raise ShapeError(
            "margin_ranking_loss: all inputs should have the same number of axes, but got "
            f"{tuple(input1.shape)}, {tuple(input2.shape)} and {tuple(target.shape)}."
        )
    return reduced((-target * (input1 - input2) + margin).clamp(min=0), reduction)


@autocasts
def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``input`` where target is 1, ``max(0, margin - input)`` where it is -1."""
    reduction = chosen_reduction(size_average, reduce, reduction)
    check_reduction(reduction)
    far = (margin - input).clamp(min=0).where(target != 1, 0)
    return reduced(far + input.where(target != -1, 0), reduction)


@autocasts
def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``log(1 + exp(-target * input))`` for targets 1 and -1."""
    reduction = chosen_reduction(size_average, reduce, reduction)
    check_reduction(reduction)
    return reduced(-(target * input).logsigmoid(), reduction)


@autocasts
def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``1 - cos`` where target is 1, ``max(0, cos - margin)`` where it is -1.

    Shape:
        inputs ``(N, D)`` and target ``(N,)``, or ``(D,)`` and ``()``.
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    check_reduction(reduction)
    rank = len(target.shape)
    if rank > 1:
        raise ArgumentError(
            f"cosine_embedding_loss: target has shape {tuple(target.shape)}; needs 0 or 1 axes."
        )
    if len(input1.shape) != rank + 1 or len(input2.shape) != rank + 1:
        raise ArgumentError(
            f"cosine_embedding_loss: for a target of {rank} axes the inputs have {rank + 1}; got "
            f"{tuple(input1.shape)} and {tuple(input2.shape)}."
        )
    tiny = 1e-12
    product = (input1 * input2).sum(-1)
    squares = ((input1 * input1).sum(-1) + tiny) * ((input2 * input2).sum(-1) + tiny)
    cosine = product / squares.sqrt()
    near = (1 - cosine).where(target == 1, 0)
    return reduced(near + (cosine - margin).clamp(min=0).where(target == -1, 0), reduction)


# -- three inputs ----------------------------------------------------------------------------------
@autocasts
def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``max(0, d(anchor, positive) - d(anchor, negative) + margin)`` by the p-norm of rows.

    With `swap`, from the nearer of anchor and positive to the negative (Balntas et al., 2016).
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    return triplet_margin_with_distance_loss(
        anchor,
        positive,
        negative,
        distance_function=lambda x, y: PairwiseDistance.forward(x, y, p, eps),
        margin=margin,
        swap=swap,
        reduction=reduction,
    )


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """`triplet_margin_loss` by a distance of one's own (None: the Euclidean)."""
    check_reduction(reduction)
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")
    if not len(anchor.shape) == len(positive.shape) == len(negative.shape):
        raise ShapeError(
            "triplet_margin_loss: anchor, positive and negative should have the same number of "
            f"axes, but got {tuple(anchor.shape)}, {tuple(positive.shape)} and "
            f"{tuple(negative.shape)}."
        )
    distance = distance_function or PairwiseDistance.forward
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = far.minimum(distance(positive, negative))
    return reduced((near - far + margin).clamp(min=0), reduction)


# -- scores of classes -----------------------------------------------------------------------------
@autocasts
def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``sum over i != t of max(0, margin - input[t] + input[i]) ** p / C`` for the class t.

    `weight` ``(C,)`` multiplies the terms of a class before the power.

    Shape:
        input ``(N, C)`` and target ``(N,)``, or ``(C,)`` and ``()``.

    Raises:
        ValueError: p is neither 1 nor 2. RuntimeError: shapes do not fit, a class is out of range.
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    check_reduction(reduction)
    require_tensors("multi_margin_loss", input=input, target=target)
    if p not in (1, 2):
        raise ValueError("only p == 1 and p == 2 supported")
    if weight is not None and len(weight.shape) != 1:
        raise ValueError("weight must be one-dimensional")
    rank = len(input.shape)
    if rank > 2 or 0 in input.shape[-1:]:
        raise ShapeError(f"multi_margin_loss: input has shape {tuple(input.shape)}; needs (N, C).")
    rows = input if rank == 2 else input.reshape((1, -1))
    classes = rows.shape[1]
    if target.numel() != rows.shape[0] or len(target.shape) > 1:
        raise ShapeError(
            f"multi_margin_loss: target has shape {tuple(target.shape)} for an input "
            f"{tuple(input.shape)}; needs one class for each row."
        )
    if weight is not None and weight.shape[0] != classes:
        raise ShapeError(
            f"multi_margin_loss: weight has shape {tuple(weight.shape)}, needs ({classes},)."
        )
    numbers = _classes("multi_margin_loss", target.reshape(-1), classes)
    own = Pick.apply(rows, numbers, 1, classes).unsqueeze(1)
    terms = (margin - own + rows).clamp(min=0)
    terms = terms if p == 1 else terms * terms
    if weight is not None:
        terms = terms * Pick.apply(weight.unsqueeze(0), numbers, 1, classes).unsqueeze(1)
    other = Tensor.arange(classes, dtype=dtypes.int64) != numbers.unsqueeze(1)
    loss = terms.where(other, 0).sum(1) / classes
    return reduced(loss if rank == 2 else loss.reshape(()), reduction)


def _classes(name: str, target: Tensor, classes: int) -> Tensor:
    if target.dtype is not dtypes.int64:
        raise DTypeError(f"{name}: target has type {target.dtype.name}; use target.long().")
    try:
        return target._wrap(checked(name, target, classes))
    except IndexError as error:
        raise ArgumentError(str(error)) from None


@autocasts
def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``sum over t in target, i not in target of max(0, 1 - (input[t] - input[i])) / C``.

    Each row of the target begins with class numbers; the first -1 ends them.

    Shape:
        input and target ``(N, C)`` or ``(C,)``.
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    check_reduction(reduction)
    require_tensors("multilabel_margin_loss", input=input, target=target)
    rank = len(input.shape)
    if rank > 2 or tuple(input.shape) != tuple(target.shape):
        raise ShapeError(
            f"multilabel_margin_loss: input has shape {tuple(input.shape)} and target "
            f"{tuple(target.shape)}; both are (N, C) or (C,)."
        )
    classes = input.shape[-1] if rank else 1
    scores, labels = input.reshape((-1, classes)), target.reshape((-1, classes))
    _classes("multilabel_margin_loss", labels + 1, classes + 1)
    named = (labels < 0).cumsum(1) == 0
    hits = (labels.unsqueeze(2) == Tensor.arange(classes, dtype=dtypes.int64)) & named.unsqueeze(2)
    member = hits.any(1)
    # (N, target, class): the score of each label, against that of each class that is none.
    own = scores.gather(1, labels.where(named, 0)).unsqueeze(2)
    terms = (1 - own + scores.unsqueeze(1)).clamp(min=0)
    counted = named.unsqueeze(2) & member.logical_not().unsqueeze(1)
    loss = terms.where(counted, 0).sum((1, 2)) / classes
    return reduced(loss if rank == 2 else loss.reshape(()), reduction)


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """The mean over classes (the last axis) of the binary cross-entropy of logits."""
    reduction = chosen_reduction(size_average, reduce, reduction)
    check_reduction(reduction)
    require_tensors("multilabel_soft_margin_loss", input=input, target=target)
    loss = -(target * input.logsigmoid() + (1 - target) * (-input).logsigmoid())
    loss = loss if weight is None else loss * weight
    return reduced(loss.sum(-1) / input.shape[-1], reduction)


# -- likelihoods -----------------------------------------------------------------------------------
@autocasts
def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: bool | None = None,
    eps: float = 1e-8,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``exp(input) - target * input``: a Poisson count with logarithm of its mean `input`.

    Without `log_input` the mean is `input`: ``input - target * log(input + eps)``. `full` adds
    Stirling's approximation of ``log(target!)`` for targets over 1.
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    check_reduction(reduction)
    require_tensors("poisson_nll_loss", input=input, target=target)
    if log_input:
        loss = input.exp() - target * input
    else:
        loss = input - target * (input + eps).log()
    if full:
        large = target > 1
        count = target.where(large, 1)
        stirling = count * count.log() - count + 0.5 * (2 * math.pi * count).log()
        loss = loss + stirling.where(large, 0)
    return reduced(loss, reduction)


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Any,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """``(log(var) + (input - target) ** 2 / var) / 2``, with variances of at least `eps`.

    `var` is a number or a tensor: of the input's shape, or with one last axis missing or one axis
    of size 1. `full` adds the constant ``log(2 pi) / 2``.

    A negative variance gives NaN (PyTorch raises, but to look would end the fusion here).

    Raises:
        ValueError: the number `var` is negative, or the shape of `var` does not fit.
    """
    check_reduction(reduction)
    if isinstance(var, Tensor):
        variance = _variance(input, var.where(var >= 0, math.nan))
    elif var < 0:
        raise ValueError("gaussian_nll_loss: var has a negative entry.")
    else:
        variance = input * 0 + var
    # The gradient passes the limit, as in PyTorch.
    lifted = variance + (variance.clamp(min=eps) - variance).detach()
    difference = input - target
    loss = 0.5 * (lifted.log() + difference * difference / lifted)
    return reduced(loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)


def _variance(input: Tensor, var: Tensor) -> Tensor:
    own, given = tuple(input.shape), tuple(var.shape)
    if given == own:
        return var
    if given == own[:-1]:
        return var.unsqueeze(-1)
    if len(given) == len(own) and sum(b for a, b in zip(own, given) if a != b) == 1:
        return var
    raise ValueError(f"gaussian_nll_loss: var has shape {given}, the input {own}.")
