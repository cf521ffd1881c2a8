"""Losses whose target is a class: `nll_loss` of log-probabilities, `cross_entropy` of logits.

The target's class is read inside the rows' kernel. Its gradient compares class numbers with the
target: pointwise work inside that kernel too, which a scatter, the gradient of a gather, would
leave. Targets are checked at once, so their values are looked at (they seldom are pending).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from grad.autograd.function import Function
from grad.autograd.rebuilt import rebuilt
from grad.autograd.remembered import remembered
from grad.dtype import dtypes
from grad.engine.recording import recording
from grad.errors import ArgumentError, DTypeError, IndexOutOfRangeError, ShapeError
from grad.graph.node import Node, cast, constant, expand, iota, pointwise, reduce, reshape, take
from grad.graph.primitives import AND, EQ, EXP, LE, LOG, LT, MAX, SUB, SUM, WHERE
from grad.nn.loss_functions import check_reduction, chosen_reduction, reduced
from grad.ops.autocast import autocasts
from grad.ops.bounds import extremes
from grad.ops.convert import array_view
from grad.ops.promotion import accumulation_dtype, require_tensors
from grad.tensor import Tensor


class Pick(Function):
    """``values`` at the class numbers ``target`` along `axis`, which disappears.

    Values broadcast to the target with the axis put in. A class number that is none picks 0.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, target: Tensor, axis: int, classes: int) -> Tensor:
        ctx.target, ctx.axis, ctx.classes = target, axis, classes
        return values._wrap(_at(values.node, target, axis, classes))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        hits = ctx.target._wrap(_hits(ctx.target, ctx.axis, ctx.classes))
        return gradient.unsqueeze(ctx.axis).where(hits, 0), None, None, None


@remembered
class LogLikelihood(Function):
    """``log_softmax(x)`` along `axis` at the class numbers `target`, 0 where one is none.

    Its gradient, ``gradient * (hit - softmax(x))``, is one pass over the row's exponentials, which
    the gradients of `log_softmax` and of `Pick` one after the other are not.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, target: Tensor, axis: int) -> Tensor:
        node = cast(x.node, accumulation_dtype(x.dtype))
        kept = (*x.shape[:axis], 1, *x.shape[axis + 1 :])
        peak = reshape(reduce(MAX, node, (axis,)), kept)
        exponentials = pointwise(EXP, pointwise(SUB, node, peak))
        total = reshape(reduce(SUM, exponentials, (axis,)), kept)
        logarithm = pointwise(SUB, pointwise(SUB, node, peak), pointwise(LOG, total))
        ctx.save_for_backward(x, target)
        ctx.axis = axis
        found = _at(logarithm, target, axis, x.shape[axis])
        return x._wrap(cast(found, x.dtype))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        x, target = ctx.saved_tensors
        axis, classes = ctx.axis, x.shape[ctx.axis]
        softmax = x.softmax(axis, dtype=accumulation_dtype(x.dtype))
        valid, _ = _valid(target, classes)
        given = gradient.where(target._wrap(valid), 0).unsqueeze(axis).to(softmax.dtype)
        hits = target._wrap(_hits(target, axis, classes))
        return (given.where(hits, 0) - softmax * given).to(x.dtype), None, None


def _valid(target: Tensor, classes: int) -> tuple[Node, Node]:
    """Where class numbers are valid, and numbers that are: 0 where they are not."""
    node = cast(target.node, dtypes.int64)
    low, high = constant(0, node.dtype), constant(classes, node.dtype)
    valid = pointwise(AND, pointwise(LE, low, node), pointwise(LT, node, high))
    return valid, pointwise(WHERE, valid, node, low)


def _at(values: Node, target: Tensor, axis: int, classes: int) -> Node:
    """`values` at the target's class numbers along `axis`, which disappears; 0 where one is none.

    It reads one element a sample, inside whatever kernel computes the values.
    """
    shape = tuple(target.shape)
    valid, numbers = _valid(target, classes)
    spread = (*shape[:axis], 1, *shape[axis:])
    whole = expand(values, (*shape[:axis], classes, *shape[axis:]))
    found = reshape(take(whole, (axis,), (reshape(numbers, spread),)), shape)
    return pointwise(WHERE, valid, found, constant(0, values.dtype))


def _hits(target: Tensor, axis: int, classes: int) -> Node:
    """Bool, of the target's shape with the axis of classes put in: which class each sample has."""
    # Class numbers fit 32 bits, and vectors of them are as long as those of float32.
    narrow = dtypes.int32 if classes < 2**31 else dtypes.int64
    valid, found = _valid(target, classes)
    found = pointwise(WHERE, valid, found, constant(-1, found.dtype))
    shape = tuple(target.shape)
    numbers = reshape(iota(classes, narrow), (classes,) + (1,) * (len(shape) - axis))
    spread = (*shape[:axis], 1, *shape[axis:])
    return pointwise(EQ, numbers, reshape(cast(found, narrow), spread))


class _Selection(NamedTuple):
    """Which class each sample has.

    Attributes:
        target: class numbers. axis: of the classes in the input: 1, or 0 for a single sample.
        classes: how many there are.
        kept: bool, like the target: whether the sample counts; None if all do.
    """

    target: Tensor
    axis: int
    classes: int
    kept: Tensor | None

    def pick(self, values: Tensor) -> Tensor:
        """`values` (broadcast to the input) of each sample's class; 0 for ignored samples."""
        return self.masked(Pick.apply(values, self.target, self.axis, self.classes))

    def masked(self, picked: Tensor) -> Tensor:
        """One number a sample; 0 for ignored samples."""
        return picked if self.kept is None else picked.where(self.kept, 0)


@autocasts
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """``-log(softmax(input))`` of the target's class.

    Args:
        input: logits ``(C,)``, ``(N, C)`` or ``(N, C, d1, ...)``.
        target: class numbers (the input's shape without C), or probabilities (the input's shape).
        weight: one factor per class ``(C,)``; with class numbers the mean is divided by their sum.
        size_average, reduce: PyTorch's arguments of old, which say `reduction`, too.
        ignore_index: samples with this class number count nothing.
        reduction: ``"none"`` (the target's shape), ``"sum"`` or ``"mean"``.
        label_smoothing: this much of the target is spread evenly over all classes.

    Raises:
        IndexError: a class number is out of range.
        ValueError: shapes do not fit, or `label_smoothing` is not within [0, 1].
    """
    reduction = chosen_reduction(size_average, reduce, reduction)
    if not 0.0 <= label_smoothing <= 1.0:
        raise ArgumentError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    require_tensors("cross_entropy", input=input, target=target)
    _check_input("cross_entropy", input, weight)
    axis = _class_axis(input)
    if target.dtype.is_floating_point:
        if ignore_index >= 0:
            raise ArgumentError(
                "ignore_index is not supported for floating point target; with probabilities, "
                "weigh the samples."
            )
        logarithm = input.log_softmax(axis)
        return _soft_cross_entropy(logarithm, target, weight, reduction, label_smoothing)
    ignored = _checked("cross_entropy", input, target, ignore_index)
    check_reduction(reduction)
    return _cross_entropy(input, target, weight, ignored, reduction, label_smoothing)


@rebuilt
def _cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None,
    ignored: int | None,
    reduction: str,
    label_smoothing: float,
) -> Tensor:
    """`cross_entropy` of class numbers, which have been checked."""
    selection = _select(input, target, ignored)
    if not label_smoothing and 0 not in input.shape:
        loss = -selection.masked(LogLikelihood.apply(input, target, selection.axis))
        factors = None if weight is None else selection.pick(_along(weight, input))
        loss = loss if factors is None else loss * factors
        return _averaged(loss, factors, selection, reduction)
    logarithm = input.log_softmax(selection.axis)
    return _negative_likelihood(logarithm, selection, weight, reduction, label_smoothing)


@autocasts
def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: bool | None = None,
    ignore_index: int = -100,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """``-input`` of the target's class for log-probabilities; arguments as `cross_entropy`."""
    reduction = chosen_reduction(size_average, reduce, reduction)
    require_tensors("nll_loss", input=input, target=target)
    _check_input("nll_loss", input, weight)
    ignored = _checked("nll_loss", input, target, ignore_index)
    check_reduction(reduction)
    return _nll_loss(input, target, weight, ignored, reduction)


@rebuilt
def _nll_loss(
    input: Tensor, target: Tensor, weight: Tensor | None, ignored: int | None, reduction: str
) -> Tensor:
    """`nll_loss` of class numbers, which have been checked."""
    selection = _select(input, target, ignored)
    return _negative_likelihood(input, selection, weight, reduction, 0.0)


def _negative_likelihood(
    logarithm: Tensor,
    selection: _Selection,
    weight: Tensor | None,
    reduction: str,
    label_smoothing: float,
) -> Tensor:
    """The loss of class numbers, given log-probabilities."""
    spread = None if weight is None else _along(weight, logarithm)
    factors = None if spread is None else selection.pick(spread)
    loss = -selection.pick(logarithm)
    loss = loss if factors is None else loss * factors
    if label_smoothing:
        weighted = logarithm if spread is None else logarithm * spread
        even = -selection.masked(weighted.sum(selection.axis))
        loss = loss * (1 - label_smoothing) + even * (label_smoothing / selection.classes)
    return _averaged(loss, factors, selection, reduction)


def _averaged(
    loss: Tensor, factors: Tensor | None, selection: _Selection, reduction: str
) -> Tensor:
    """`loss` reduced; its mean is over the samples that count, each as often as its factor."""
    if reduction != "mean" or (factors is None and selection.kept is None):
        return reduced(loss, reduction)
    if factors is not None:
        return loss.sum() / factors.sum()
    assert selection.kept is not None
    return loss.sum() / selection.kept.to(loss.dtype).sum()


def _soft_cross_entropy(
    logarithm: Tensor,
    target: Tensor,
    weight: Tensor | None,
    reduction: str,
    label_smoothing: float,
) -> Tensor:
    """The loss of probabilities, given log-probabilities."""
    check_reduction(reduction)
    if tuple(target.shape) != tuple(logarithm.shape):
        raise ShapeError(
            f"cross_entropy: target of probabilities has shape {tuple(target.shape)}, the input "
            f"{tuple(logarithm.shape)}; they must be equal. If the targets are class numbers, make "
            "them integers: target.long()."
        )
    axis = _class_axis(logarithm)
    classes = logarithm.shape[axis]
    if label_smoothing:
        target = target * (1 - label_smoothing) + label_smoothing / classes
    if weight is not None:
        target = target * _along(weight, logarithm)
    loss = -(logarithm * target).sum(axis)
    return reduced(loss, reduction)


# -- checks ----------------------------------------------------------------------------------------
def _class_axis(input: Tensor) -> int:
    return 0 if len(input.shape) == 1 else 1


def _along(weight: Tensor, input: Tensor) -> Tensor:
    """`weight` ``(C,)`` shaped to broadcast along the input's class axis."""
    return weight.reshape((-1,) + (1,) * (len(input.shape) - 1 - _class_axis(input)))


def _check_input(name: str, input: Tensor, weight: Tensor | None) -> None:
    if not input.shape:
        raise ShapeError(
            f"{name}: input has no axis of classes; its shape must be (C,) or (N, C, ...)."
        )
    if not input.dtype.is_floating_point:
        raise DTypeError(f"{name}: input is {input.dtype}, not floating; use input.float().")
    classes = input.shape[_class_axis(input)]
    if weight is None:
        return
    require_tensors(name, weight=weight)
    if tuple(weight.shape) != (classes,):
        raise ShapeError(
            f"{name}: weight tensor should be defined either for all {classes} classes or no "
            f"classes but got weight tensor of shape: {tuple(weight.shape)}"
        )


def _select(input: Tensor, target: Tensor, ignored: int | None) -> _Selection:
    """Which class each sample has; samples of the class `ignored`, if any, do not count."""
    axis = _class_axis(input)
    kept = None if ignored is None else target != ignored
    return _Selection(target, axis, input.shape[axis], kept)


def _checked(name: str, input: Tensor, target: Tensor, ignore_index: int) -> int | None:
    """Check the class numbers; gives `ignore_index` if samples are to be ignored."""
    axis = _class_axis(input)
    expected = tuple(input.shape[:axis] + input.shape[axis + 1 :])
    if tuple(target.shape) != expected:
        raise ShapeError(
            f"{name}: expected target of shape {expected} for input {tuple(input.shape)}, got "
            f"{tuple(target.shape)}; class numbers have the input's shape without the class axis."
        )
    if target.dtype.is_floating_point or target.dtype is dtypes.bool:
        raise DTypeError(
            f"{name}: class numbers must be integers, not {target.dtype}; use .long()."
        )
    return ignore_index if _check_classes(target, input.shape[axis], ignore_index) else None


def _check_classes(target: Tensor, classes: int, ignore_index: int) -> bool:
    """Whether any sample is to be ignored; raises IndexError for a class that does not exist."""
    if not target.numel():
        return False

    def error(found: int) -> Exception:
        return IndexOutOfRangeError(
            f"Target {found} is out of bounds. There are {classes} classes"
            f"{f', from 0 to {classes - 1}' if classes else ''}; "
            f"use ignore_index={found} to leave such samples out."
        )

    if recording.recorder is not None:
        # Whether some are ignored is known at each replay only.
        existing = target.where(target != ignore_index, 0)
        recording.recorder.bounded(existing.node, 0, classes, error)
        return True
    values = array_view(target)
    low, high = extremes(values)
    if low >= 0 and high < classes and not low <= ignore_index <= high:
        return False
    ignored = values == ignore_index
    wrong = values[((values < 0) | (values >= classes)) & ~ignored]
    if wrong.size:
        raise error(int(wrong[0]))
    return bool(ignored.any())
