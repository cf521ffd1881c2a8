"""`ctc_loss` against all ways to write the labels, its gradient against differences."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest

import grad
import grad.nn.functional as F
from grad.errors import ArgumentError, GradientError, IndexOutOfRangeError, ShapeError

Array = np.ndarray[Any, Any]
BLANK = 1
TARGETS = np.array([[0, 0, 2], [2, 0, 2], [0, 2, 2], [2, 2, 2]])
TIMES, LENGTHS = (4, 3, 1, 4), (2, 1, 0, 3)


def logits() -> Array:
    return np.random.default_rng(0).normal(size=(4, 4, 3))


def told(path: tuple[int, ...]) -> tuple[int, ...]:
    """The labels that a path means: repetitions, then blanks left out."""
    return tuple(label for label, _ in itertools.groupby(path) if label != BLANK)


def expected(scores: Array) -> Array:
    """Losses by adding up all paths."""
    probabilities = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    losses = []
    for item, (times, length) in enumerate(zip(TIMES, LENGTHS)):
        wanted = tuple(TARGETS[item, :length])
        total = sum(
            math.prod(probabilities[t, item, label] for t, label in enumerate(path))
            for path in itertools.product(range(3), repeat=times)
            if told(path) == wanted
        )
        losses.append(-math.log(total) if total else math.inf)
    return np.array(losses)


def loss_of(scores: Any, **settings: Any) -> Any:
    targets = grad.tensor(TARGETS)
    return F.ctc_loss(scores.log_softmax(2), targets, TIMES, LENGTHS, BLANK, **settings)


def test_losses_are_those_of_all_paths() -> None:
    right = expected(logits())
    found = loss_of(grad.tensor(logits()), reduction="none").numpy()
    np.testing.assert_allclose(found, right)
    assert np.isinf(right).any()  # three equal labels do not fit into four times
    zeroed = np.where(np.isinf(right), 0, right)
    settings = {"zero_infinity": True}
    assert loss_of(grad.tensor(logits()), reduction="sum", **settings).item() == pytest.approx(
        zeroed.sum()
    )
    assert loss_of(grad.tensor(logits()), **settings).item() == pytest.approx(
        (zeroed / np.maximum(LENGTHS, 1)).mean()
    )


def test_gradient() -> None:
    def loss(scores: Any) -> Any:
        return loss_of(scores, reduction="sum", zero_infinity=True)

    x = grad.tensor(logits(), requires_grad=True)
    (slope,) = grad.autograd.grad(loss(x), x)
    direction = np.random.default_rng(1).normal(size=(4, 4, 3))
    step = 1e-5
    ends = [loss(grad.tensor(logits() + sign * step * direction)).item() for sign in (1, -1)]
    assert (slope.numpy() * direction).sum() == pytest.approx((ends[0] - ends[1]) / (2 * step))
    assert not slope[3, 1].any() and not slope[:, 3].any()  # past its time; infinite


def test_gradient_of_an_infinite_loss_is_nan() -> None:
    x = grad.tensor(logits(), requires_grad=True)
    (slope,) = grad.autograd.grad(loss_of(x, reduction="none")[3], x)
    assert slope[:, 3].isnan().all()


def test_no_second_gradient() -> None:
    x = grad.tensor(logits()[:, :1], requires_grad=True)
    loss = F.ctc_loss(x.log_softmax(2), grad.tensor([[0]]), (4,), (1,), BLANK)
    (slope,) = grad.autograd.grad(loss, x, create_graph=True)
    with pytest.raises(GradientError):
        slope.sum().backward()


def test_forms_of_targets_and_lengths() -> None:
    scores = grad.tensor(logits()).log_softmax(2)
    joined = np.concatenate([row[:length] for row, length in zip(TARGETS, LENGTHS)])
    expected_losses = loss_of(grad.tensor(logits()), reduction="none").tolist()
    found = grad.ctc_loss(
        scores, grad.tensor(joined), grad.tensor(TIMES), grad.tensor(LENGTHS), BLANK, 0
    )
    assert found.tolist() == expected_losses
    single = F.ctc_loss(scores[:, 0], grad.tensor(TARGETS[0, :2]), (4,), (2,), BLANK, "none")
    assert single.item() == pytest.approx(expected_losses[0])


def test_module_and_compile() -> None:
    module = grad.nn.CTCLoss(blank=BLANK, reduction="sum", zero_infinity=True)
    targets, times, lengths = (grad.tensor(v) for v in (TARGETS, TIMES, LENGTHS))

    @grad.compile
    def compiled(x: Any, times: Any) -> Any:
        return module(x.log_softmax(2), targets, times, lengths)

    for turn in range(3):
        x = grad.tensor(logits() + turn)
        plain = module(x.log_softmax(2), targets, times, lengths).item()
        assert compiled(x, times).item() == pytest.approx(plain)


@pytest.mark.parametrize(
    ("times", "lengths", "blank", "error"),
    [
        ((2, 2), (1,), 0, ShapeError),
        ((5,), (1,), 0, ShapeError),
        ((2,), (3,), 0, ShapeError),
        ((-1,), (1,), 0, ShapeError),
        ((2,), (1,), 3, ArgumentError),
        (2, 1, 0, TypeError),
    ],
)
def test_refused(times: Any, lengths: Any, blank: int, error: type[Exception]) -> None:
    with pytest.raises(error):
        F.ctc_loss(grad.zeros(4, 1, 3), grad.tensor([[1, 2]]), times, lengths, blank)


def test_labels_that_are_no_class() -> None:
    with pytest.raises(IndexOutOfRangeError):
        F.ctc_loss(grad.zeros(4, 1, 3), grad.tensor([[3]]), (4,), (1,)).item()
