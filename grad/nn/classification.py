"""Losses whose target is a class: `nll_loss` of log-probabilities, `cross_entropy` of logits.

The target's column is selected by comparing class numbers with the target and summing what is left.
That is pointwise work inside the rows' kernel, which a gather, and the scatter that is its
gradient, would leave. Targets are checked at once, so their values are looked at (they seldom are
pending).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from grad.autograd.function import Function
from grad.dtype import dtypes
from grad.engine.recording import recording
from grad.errors import DTypeError, IndexOutOfRangeError, ShapeError
from grad.graph.node import cast, constant, iota, pointwise, reduce, reshape
from grad.graph.primitives import EQ, SUM, WHERE
from grad.nn.losses import check_reduction, reduced
from grad.ops.convert import array_view
from grad.tensor import Tensor


class Pick(Function):
    """``values`` at the class numbers ``target`` along `axis`, which disappears.

    Values broadcast to the target with the axis put in. A class number that is none picks 0.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, target: Tensor, axis: int, classes: int) -> Tensor:
        numbers = reshape(iota(classes), (classes,) + (1,) * (len(target.shape) - axis))
        spread = (*target.shape[:axis], 1, *target.shape[axis:])
        hits = pointwise(EQ, numbers, reshape(cast(target.node, dtypes.int64), spread))
        ctx.hits, ctx.axis = target._wrap(hits), axis
        zero = constant(0, values.dtype)
        return values._wrap(reduce(SUM, pointwise(WHERE, hits, values.node, zero), (axis,)))

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        return gradient.unsqueeze(ctx.axis).where(ctx.hits, 0), None, None, None


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
        picked = Pick.apply(values, self.target, self.axis, self.classes)
        return picked if self.kept is None else picked.where(self.kept, 0)


def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: None = None,
    ignore_index: int = -100,
    reduce: None = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """``-log(softmax(input))`` of the target's class.

    Args:
        input: logits ``(C,)``, ``(N, C)`` or ``(N, C, d1, ...)``.
        target: class numbers (the input's shape without C), or probabilities (the input's shape).
        weight: one factor per class ``(C,)``; with class numbers the mean is divided by their sum.
        size_average, reduce: places of PyTorch's old arguments; not used.
        ignore_index: samples with this class number count nothing.
        reduction: ``"none"`` (the target's shape), ``"sum"`` or ``"mean"``.
        label_smoothing: this much of the target is spread evenly over all classes.

    Raises:
        IndexError: a class number is out of range.
        ValueError: shapes do not fit, or `label_smoothing` is not within [0, 1].
    """
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"label_smoothing must be between 0.0 and 1.0. Got: {label_smoothing}")
    _check_input("cross_entropy", input, weight)
    axis = _class_axis(input)
    logarithm = input.log_softmax(axis)
    if target.dtype.is_floating_point:
        return _soft_cross_entropy(logarithm, target, weight, reduction, label_smoothing)
    selection = _select("cross_entropy", input, target, ignore_index)
    return _negative_likelihood(logarithm, selection, weight, reduction, label_smoothing)


def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: None = None,
    ignore_index: int = -100,
    reduce: None = None,
    reduction: str = "mean",
) -> Tensor:
    """``-input`` of the target's class for log-probabilities; arguments as `cross_entropy`."""
    _check_input("nll_loss", input, weight)
    selection = _select("nll_loss", input, target, ignore_index)
    return _negative_likelihood(input, selection, weight, reduction, 0.0)


def _negative_likelihood(
    logarithm: Tensor,
    selection: _Selection,
    weight: Tensor | None,
    reduction: str,
    label_smoothing: float,
) -> Tensor:
    """The loss of class numbers, given log-probabilities."""
    check_reduction(reduction)
    factors = None if weight is None else _along(weight, logarithm)
    weighted = logarithm if factors is None else logarithm * factors
    loss = -selection.pick(weighted)
    if label_smoothing:
        even = -weighted.sum(selection.axis)
        if selection.kept is not None:
            even = even.where(selection.kept, 0)
        loss = loss * (1 - label_smoothing) + even * (label_smoothing / selection.classes)
    if reduction != "mean" or (factors is None and selection.kept is None):
        return reduced(loss, reduction)
    if factors is not None:
        return loss.sum() / selection.pick(factors).sum()
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
    if weight is not None and tuple(weight.shape) != (classes,):
        raise ShapeError(
            f"{name}: weight tensor should be defined either for all {classes} classes or no "
            f"classes but got weight tensor of shape: {tuple(weight.shape)}"
        )


def _select(name: str, input: Tensor, target: Tensor, ignore_index: int) -> _Selection:
    """Check the class numbers and compare them with all classes."""
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
    classes = input.shape[axis]
    some_ignored = _check_classes(target, classes, ignore_index)
    return _Selection(target, axis, classes, target != ignore_index if some_ignored else None)


def _check_classes(target: Tensor, classes: int, ignore_index: int) -> bool:
    """Whether any sample is to be ignored; raises IndexError for a class that does not exist."""
    if not target.numel():
        return False

    def error(found: int) -> Exception:
        return IndexOutOfRangeError(
            f"Target {found} is out of bounds. There are {classes} classes, from 0 to "
            f"{classes - 1}; use ignore_index={found} to leave such samples out."
        )

    if recording.recorder is not None:
        # Whether some are ignored is known at each replay only.
        existing = target.where(target != ignore_index, 0)
        recording.recorder.bounded(existing.node, 0, classes, error)
        return True
    values = array_view(target)
    low, high = int(values.min()), int(values.max())
    if low >= 0 and high < classes and not low <= ignore_index <= high:
        return False
    ignored = values == ignore_index
    wrong = values[((values < 0) | (values >= classes)) & ~ignored]
    if wrong.size:
        raise error(int(wrong[0]))
    return bool(ignored.any())
