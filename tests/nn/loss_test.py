"""Losses against their formulas in NumPy, their options, and what they refuse."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import special

import grad
import grad.nn.functional as F
from grad import nn
from grad.errors import DTypeError
from grad.tensor import Tensor

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(size=(6, 4))
CLASSES = np.array([0, 3, 1, 1, 2, 0])
WEIGHT = np.array([0.5, 1.0, 2.0, 3.0])


def tensor(array) -> Tensor:
    return grad.tensor(np.asarray(array))


def expected_cross_entropy(logits, classes, weight, ignore, smoothing, reduction):
    """The definition in PyTorch's documentation, sample by sample."""
    logarithm = special.log_softmax(logits, axis=1)
    losses, factors = [], []
    for row, target in zip(logarithm, classes):
        if target == ignore:
            losses.append(0.0)
            continue
        even = -(weight * row).sum() / len(row)
        losses.append((1 - smoothing) * -weight[target] * row[target] + smoothing * even)
        factors.append(weight[target])
    if reduction == "none":
        return np.array(losses)
    return sum(losses) / (sum(factors) if reduction == "mean" else 1)


@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("ignore", [-100, 1])
@pytest.mark.parametrize("weighted", [False, True])
def test_cross_entropy_of_classes(reduction, smoothing, ignore, weighted):
    expected = expected_cross_entropy(
        LOGITS, CLASSES, WEIGHT if weighted else np.ones(4), ignore, smoothing, reduction
    )
    actual = F.cross_entropy(
        tensor(LOGITS),
        tensor(CLASSES),
        tensor(WEIGHT) if weighted else None,
        ignore_index=ignore,
        reduction=reduction,
        label_smoothing=smoothing,
    )
    np.testing.assert_allclose(actual.numpy(), expected, rtol=1e-9)


def test_cross_entropy_of_more_axes_is_that_of_the_rows():
    logits = RANDOM.normal(size=(2, 4, 3, 5))
    classes = RANDOM.integers(0, 4, (2, 3, 5))
    rows = logits.transpose(0, 2, 3, 1).reshape(-1, 4)
    expected = F.cross_entropy(tensor(rows), tensor(classes.reshape(-1)), reduction="none")
    actual = F.cross_entropy(tensor(logits), tensor(classes), reduction="none")
    np.testing.assert_allclose(actual.numpy().reshape(-1), expected.numpy(), rtol=1e-9)
    one = F.cross_entropy(tensor(rows[0]), tensor(classes.reshape(-1)[0]))
    np.testing.assert_allclose(one.item(), expected.numpy()[0], rtol=1e-9)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_of_probabilities(smoothing):
    target = special.softmax(RANDOM.normal(size=LOGITS.shape), axis=1)
    smooth = target * (1 - smoothing) + smoothing / 4
    losses = -(smooth * WEIGHT * special.log_softmax(LOGITS, axis=1)).sum(1)
    actual = F.cross_entropy(
        tensor(LOGITS), tensor(target), tensor(WEIGHT), label_smoothing=smoothing
    )
    np.testing.assert_allclose(actual.item(), losses.mean(), rtol=1e-9)


def test_cross_entropy_gradient_is_softmax_minus_one_hot():
    logits = tensor(LOGITS).requires_grad_()
    F.cross_entropy(logits, tensor(CLASSES)).backward()
    expected = (special.softmax(LOGITS, axis=1) - np.eye(4)[CLASSES]) / 6
    np.testing.assert_allclose(logits.grad.numpy(), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("options", [{}, {"label_smoothing": 0.2, "ignore_index": 1}])
def test_cross_entropy_second_gradient(options):
    def loss(logits, weight):
        return F.cross_entropy(logits, tensor(CLASSES), weight, **options)

    inputs = (tensor(LOGITS).requires_grad_(), tensor(WEIGHT).requires_grad_())
    assert grad.autograd.gradcheck(loss, inputs)
    assert grad.autograd.gradgradcheck(loss, inputs)


def test_cross_entropy_of_huge_logits_is_finite():
    logits = tensor(np.array([[1e4, 0.0, -np.inf], [-1e30, 1e30, 0.0]])).requires_grad_()
    loss = F.cross_entropy(logits, tensor(np.array([1, 1])), reduction="none")
    assert loss.tolist() == [1e4, 0.0]
    loss.sum().backward()
    assert np.isfinite(logits.grad.numpy()).all()


def test_nll_loss():
    logarithm = special.log_softmax(LOGITS, axis=1)
    actual = F.nll_loss(tensor(logarithm), tensor(CLASSES), reduction="none")
    np.testing.assert_allclose(actual.numpy(), -logarithm[np.arange(6), CLASSES])


def test_all_samples_ignored_gives_nan():
    loss = F.cross_entropy(tensor(LOGITS), tensor(np.full(6, -100)))
    assert np.isnan(loss.item())


@pytest.mark.parametrize("dtype", [np.int32, np.uint8, np.int16])
def test_class_numbers_of_any_integer_type(dtype):
    actual = F.cross_entropy(tensor(LOGITS), tensor(CLASSES.astype(dtype)))
    assert actual.item() == F.cross_entropy(tensor(LOGITS), tensor(CLASSES)).item()


@pytest.mark.parametrize(
    ("target", "kwargs", "error", "match"),
    [
        (np.array([0, 4, 1, 1, 2, 0]), {}, IndexError, "Target 4 is out of bounds"),
        (np.array([0, -1, 1, 1, 2, 0]), {}, IndexError, "Target -1 is out of bounds"),
        (np.array([0, 1]), {}, ValueError, "shape"),
        (np.zeros((6, 3)), {}, ValueError, "probabilities"),
        (np.array([True] * 6), {}, TypeError, "integers"),
        (CLASSES, {"reduction": "avg"}, ValueError, "avg"),
        (CLASSES, {"label_smoothing": 1.5}, ValueError, "label_smoothing"),
        (CLASSES, {"weight": Tensor([1.0])}, RuntimeError, "weight"),
    ],
)
def test_cross_entropy_refuses(target, kwargs, error, match):
    with pytest.raises(error, match=match):
        F.cross_entropy(tensor(LOGITS), tensor(target), **kwargs)


A, B = RANDOM.normal(size=(3, 4)) * 2, RANDOM.normal(size=(3, 4))
P, Q = RANDOM.uniform(0.01, 0.99, (3, 4)), RANDOM.uniform(0, 1, (3, 4))
D = A - B
SIMPLE = [
    (nn.MSELoss, A, B, D**2),
    (nn.L1Loss, A, B, abs(D)),
    (nn.SmoothL1Loss, A, B, np.where(abs(D) < 1, D**2 / 2, abs(D) - 0.5)),
    (nn.HuberLoss, A, B, np.where(abs(D) <= 1, D**2 / 2, abs(D) - 0.5)),
    (nn.BCELoss, P, Q, -(Q * np.log(P) + (1 - Q) * np.log(1 - P))),
    (nn.BCEWithLogitsLoss, A, Q, np.logaddexp(0, A) - Q * A),
    (nn.KLDivLoss, A, Q, Q * (np.log(Q) - A)),
]


@pytest.mark.parametrize(
    ("loss", "x", "y", "expected"), SIMPLE, ids=lambda v: getattr(v, "__name__", "")
)
def test_simple_loss(loss, x, y, expected):
    for reduction, reduced in (
        ("none", expected),
        ("sum", expected.sum()),
        ("mean", expected.mean()),
    ):
        actual = loss(reduction=reduction)(tensor(x), tensor(y))
        np.testing.assert_allclose(actual.numpy(), reduced, rtol=1e-7)
    with pytest.raises(ValueError, match="reduction"):
        loss(reduction="average")(tensor(x), tensor(y))


@pytest.mark.parametrize(
    ("loss", "x", "y", "expected"), SIMPLE, ids=lambda v: getattr(v, "__name__", "")
)
def test_simple_loss_gradient(loss, x, y, expected):
    assert grad.autograd.gradcheck(loss(), (tensor(x).requires_grad_(), tensor(y).requires_grad_()))


def test_options_of_the_simple_losses():
    smooth = F.smooth_l1_loss(tensor(A), tensor(B), beta=0.3, reduction="none").numpy()
    np.testing.assert_allclose(smooth, np.where(abs(D) < 0.3, D**2 / 0.6, abs(D) - 0.15))
    assert F.smooth_l1_loss(tensor(A), tensor(B), beta=0.0).item() == pytest.approx(abs(D).mean())
    huber = F.huber_loss(tensor(A), tensor(B), delta=0.3, reduction="none").numpy()
    np.testing.assert_allclose(huber, np.where(abs(D) <= 0.3, D**2 / 2, 0.3 * (abs(D) - 0.15)))
    weighted = nn.BCEWithLogitsLoss(pos_weight=tensor(WEIGHT))(tensor(A), tensor(Q))
    expected = (1 - Q) * np.logaddexp(0, A) + WEIGHT * Q * np.logaddexp(0, -A)
    assert weighted.item() == pytest.approx(expected.mean())
    batch = F.kl_div(tensor(A), tensor(Q), reduction="batchmean").item()
    assert batch == pytest.approx((Q * (np.log(Q) - A)).sum() / 3)
    for call in (
        lambda: F.smooth_l1_loss(tensor(A), tensor(B), beta=-1.0),
        lambda: F.huber_loss(tensor(A), tensor(B), delta=0.0),
        lambda: F.binary_cross_entropy(tensor(P), tensor(Q[:2])),
        lambda: F.binary_cross_entropy_with_logits(tensor(P), tensor(Q[:2])),
    ):
        with pytest.raises(ValueError):
            call()


def test_certain_and_wrong_stays_finite():
    x = tensor(np.array([0.0, 1.0, 0.0, 1.0])).requires_grad_()
    loss = F.binary_cross_entropy(x, tensor(np.array([1.0, 0.0, 0.0, 1.0])), reduction="none")
    assert loss.tolist() == [100.0, 100.0, 0.0, 0.0]
    loss.sum().backward()
    assert np.isfinite(x.grad.numpy()).all()
    big = tensor(np.array([1000.0, -1000.0])).requires_grad_()
    loss = F.binary_cross_entropy_with_logits(big, tensor(np.array([0.0, 1.0])), reduction="sum")
    loss.backward()
    assert loss.item() == 2000.0 and big.grad.tolist() == [1.0, -1.0]


def test_broadcasting_regression_warns():
    with pytest.warns(UserWarning, match="broadcasting"):
        F.mse_loss(tensor(A), tensor(B[:1]))


@pytest.mark.parametrize(
    ("old", "reduction"),
    [
        ({"size_average": False}, "sum"),
        ({"size_average": True}, "mean"),
        ({"reduce": False}, "none"),
        ({"reduce": False, "size_average": False}, "none"),
        ({"reduce": True, "size_average": False}, "sum"),
    ],
)
def test_arguments_of_old(old, reduction):
    x, y = grad.tensor([[0.2, 0.5, 0.9]]), grad.tensor([[1.0, 0.0, 1.0]])
    losses = [
        (nn.MSELoss, F.mse_loss, y),
        (nn.SmoothL1Loss, F.smooth_l1_loss, y),
        (nn.BCELoss, F.binary_cross_entropy, y),
        (nn.BCEWithLogitsLoss, F.binary_cross_entropy_with_logits, y),
        (nn.SoftMarginLoss, F.soft_margin_loss, y),
        (nn.CrossEntropyLoss, F.cross_entropy, grad.tensor([2])),
        (nn.NLLLoss, F.nll_loss, grad.tensor([2])),
        (nn.PoissonNLLLoss, F.poisson_nll_loss, y),
    ]
    for module, function, target in losses:
        expected = module(reduction=reduction)(x, target).tolist()
        with pytest.warns(UserWarning, match=f"reduction='{reduction}'"):
            assert module(**old)(x, target).tolist() == expected
        with pytest.warns(UserWarning, match=f"reduction='{reduction}'"):
            assert function(x, target, **old).tolist() == expected


@pytest.mark.parametrize("loss", [F.mse_loss, F.l1_loss, F.smooth_l1_loss, F.huber_loss])
def test_targets_may_be_truth_values(loss):
    scores = tensor([0.25, 0.75, 3.0]).requires_grad_()
    labels = grad.tensor([True, False, True])
    for first, second in ((scores, labels), (labels, scores)):
        found = loss(first, second)
        assert found.dtype is scores.dtype
        assert found.item() == loss(scores, labels.double()).item()
    assert grad.autograd.grad(loss(scores, labels), scores)[0].shape == (3,)
    with pytest.raises(DTypeError, match="bool"):
        loss(labels, labels)


def test_huber_loss_with_weights():
    x, y, w = grad.tensor([0.0, 0.0]), grad.tensor([1.0, 4.0]), grad.tensor([1.0, 3.0])
    assert F.huber_loss(x, y, weight=w, reduction="none").tolist() == [0.5, 10.5]
    assert F.huber_loss(x, y, weight=w).item() == 11 / 4


def test_what_is_no_probability_gives_nan():
    logarithm = grad.tensor([-1.0, -1.0, -1.0])
    target = grad.tensor([0.0, -0.5, 0.5], requires_grad=True)
    loss = F.kl_div(logarithm, target, reduction="none")
    assert loss[0].item() == 0 and math.isnan(loss[1].item()) and loss[2].item() < 1
    loss.sum().backward()
    assert math.isnan(target.grad[1].item()) and math.isfinite(target.grad[2].item())


def test_ignore_index_beside_probabilities():
    with pytest.raises(RuntimeError, match="ignore_index"):
        F.cross_entropy(grad.ones(2, 3), grad.ones(2, 3), ignore_index=1)
    with pytest.raises(RuntimeError, match="label_smoothing"):
        F.cross_entropy(grad.ones(2, 3), grad.tensor([0, 1]), label_smoothing=1.5)
