"""The modules of the image functions, dropout by channels, and bags, beside PyTorch's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import grad
import grad.nn.functional as F
from grad import nn

torch = pytest.importorskip("torch")

RANDOM = np.random.default_rng(0)
LINES = RANDOM.uniform(0.5, 2, (2, 4, 9))
IMAGES = RANDOM.uniform(0.5, 2, (2, 4, 6, 7))
VOLUMES = RANDOM.uniform(0.5, 2, (1, 2, 4, 6, 5))
ROWS = RANDOM.normal(size=(5, 4))
CLASSES = np.array([0, 3, 1, 1, 2])
SIGNS = np.array([1.0, -1, -1, 1, 1])

MODULES: list[tuple[str, tuple[Any, ...]]] = [
    ("LPPool1d(2, 3)", (LINES,)),
    ("LPPool2d(2, 3, stride=2, ceil_mode=True)", (IMAGES,)),
    ("LPPool3d(3, 2)", (VOLUMES,)),
    ("Upsample(scale_factor=2)", (LINES,)),
    ("Upsample(size=(3, 9), mode='bilinear', align_corners=True)", (IMAGES,)),
    ("UpsamplingNearest2d(scale_factor=2)", (IMAGES,)),
    ("UpsamplingBilinear2d(scale_factor=1.5)", (IMAGES,)),
    ("LocalResponseNorm(3)", (IMAGES,)),
    ("LocalResponseNorm(2, alpha=0.1, beta=0.5, k=2.0)", (VOLUMES,)),
    ("AlphaDropout(0.2)", (LINES,)),
    ("FeatureAlphaDropout(0.2)", (LINES,)),
    ("Dropout1d(0.2)", (LINES,)),
    ("Dropout2d(0.2)", (IMAGES,)),
    ("Dropout3d(0.2)", (VOLUMES,)),
    ("AdaptiveMaxPool2d((2, None), return_indices=True)", (IMAGES,)),
    ("EmbeddingBag(6, 3, mode='sum')", (np.array([[1, 2, 5], [0, 0, 3]]),)),
    ("EmbeddingBag(6, 3, mode='max', padding_idx=2)", (np.array([1, 2, 2, 5]), np.array([0, 1]))),
    ("MarginRankingLoss(0.3)", (ROWS[:, 0], ROWS[:, 1], SIGNS)),
    ("HingeEmbeddingLoss(0.7, reduction='sum')", (ROWS[:, 0], SIGNS)),
    ("SoftMarginLoss()", (ROWS[:, 0], SIGNS)),
    ("CosineEmbeddingLoss(0.1)", (ROWS, ROWS[::-1].copy(), SIGNS)),
    ("TripletMarginLoss(swap=True, p=1.5)", (ROWS, ROWS[::-1].copy(), ROWS * 2)),
    ("TripletMarginWithDistanceLoss(margin=0.4)", (ROWS, ROWS[::-1].copy(), ROWS * 2)),
    ("MultiMarginLoss(p=2, margin=0.5)", (ROWS, CLASSES)),
    ("MultiLabelMarginLoss()", (ROWS[:2], np.array([[3, 0, -1, 1], [-1, 0, 0, 0]]))),
    ("MultiLabelSoftMarginLoss(reduction='none')", (ROWS, (ROWS > 0).astype(float))),
    ("PoissonNLLLoss(full=True)", (ROWS, np.abs(ROWS) * 3)),
    ("GaussianNLLLoss(full=True)", (ROWS, ROWS[::-1].copy(), np.abs(ROWS))),
]


@pytest.mark.parametrize(("text", "arrays"), MODULES, ids=[text for text, _ in MODULES])
def test_modules(text: str, arrays: tuple[Any, ...]) -> None:
    ours = eval(f"nn.{text}", {"nn": nn}).to(grad.float64).eval()
    theirs = eval(f"nn.{text}", {"nn": torch.nn}).to(torch.float64).eval()
    ours.load_state_dict({n: grad.tensor(v.numpy()) for n, v in theirs.state_dict().items()})
    actual = ours(*map(grad.tensor, arrays))
    expected = theirs(*map(torch.tensor, arrays))
    if not isinstance(expected, tuple):
        actual, expected = (actual,), (expected,)
    for mine, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(mine.detach().numpy(), other.detach().numpy(), 1e-6, 1e-9)
    if "Upsample(scale" not in text:  # PyTorch prints 2.0 there
        assert repr(ours).split("(")[0] == repr(theirs).split("(")[0]


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_max_unpool_after_max_pool(rank: int) -> None:
    image = {1: LINES, 2: IMAGES, 3: VOLUMES}[rank]
    results = []
    for package, tensor in ((nn, grad.tensor), (torch.nn, torch.tensor)):
        pool = getattr(package, f"MaxPool{rank}d")(2, return_indices=True)
        values, places = pool(tensor(image))
        unpool = getattr(package, f"MaxUnpool{rank}d")(2)
        results.append(unpool(values, places, output_size=list(image.shape)).numpy())
    np.testing.assert_array_equal(*results)


def test_fractional_max_pool_modules() -> None:
    for rank, image in ((2, IMAGES), (3, VOLUMES)):
        samples = RANDOM.uniform(size=(*image.shape[:2], rank))
        name = f"FractionalMaxPool{rank}d"
        ours = getattr(nn, name)(2, output_size=2, _random_samples=grad.tensor(samples))
        theirs = getattr(torch.nn, name)(2, output_size=2, _random_samples=torch.tensor(samples))
        actual, expected = ours(grad.tensor(image)), theirs(torch.tensor(image))
        np.testing.assert_array_equal(actual.numpy(), expected.numpy())


# -- dropout ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(("name", "shape"), [
    ("dropout1d", (64, 50, 3)), ("dropout2d", (64, 50, 2, 2)), ("dropout3d", (64, 50, 2, 2, 1)),
    ("dropout1d", (3000, 2)), ("dropout3d", (3000, 2, 1, 2)),
])  # fmt: skip
def test_dropout_of_channels_is_all_or_nothing(name: str, shape: tuple[int, ...]) -> None:
    grad.manual_seed(0)
    result = getattr(F, name)(grad.ones(shape), 0.25).numpy()
    lead = 1 if len(shape) in (2, 4) and name != "dropout2d" else 2
    flat = result.reshape((*shape[:lead], -1))
    assert (flat == flat[..., :1]).all()
    assert set(np.unique(flat)) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs((flat[..., 0] == 0).mean() - 0.25) < 0.04


@pytest.mark.parametrize("name", ["alpha_dropout", "feature_alpha_dropout"])
def test_alpha_dropout_keeps_mean_and_variance(name: str) -> None:
    grad.manual_seed(1)
    values = grad.randn(500, 400)
    result = getattr(F, name)(values, 0.3, training=True).numpy()
    assert abs(result.mean()) < 0.02
    assert abs(result.var() - 1) < 0.02
    _, counts = np.unique(result, return_counts=True)
    assert abs(counts.max() / result.size - 0.3) < 0.01  # one value is that of what is dropped
    assert getattr(F, name)(values, 0.3) is values


# -- bags ------------------------------------------------------------------------------------------
@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_embedding_bag(mode: str) -> None:
    table = RANDOM.normal(size=(7, 3))
    numbers = np.array([1, 4, 4, 6, 0, 4, 2, 2])
    cases: list[dict[str, Any]] = [
        {"offsets": np.array([0, 3, 3, 6])},
        {"offsets": np.array([0, 3, 3, 8]), "include_last_offset": True},
        {"offsets": np.array([0, 1, 6, 8]), "padding_idx": 4},
        {"offsets": np.array([0, 5]), "padding_idx": -1},
    ]
    if mode == "sum":
        cases.append({"offsets": np.array([0, 3]), "per_sample_weights": RANDOM.normal(size=8)})
    for case in cases:
        found = []
        for module, tensor in ((F, grad.tensor), (torch.nn.functional, torch.tensor)):
            named = {k: tensor(v) if isinstance(v, np.ndarray) else v for k, v in case.items()}
            weight = tensor(table).requires_grad_(True)
            result = module.embedding_bag(tensor(numbers), weight, mode=mode, **named)
            factors = np.arange(1.0, 1 + result.numel()).reshape(tuple(result.shape))
            (result * tensor(factors)).sum().backward()
            found.append((result.detach().numpy(), weight.grad.numpy()))
        for actual, expected in zip(*found, strict=True):
            np.testing.assert_allclose(actual, expected, 1e-9, 1e-12)


def test_embedding_with_max_norm_scales_the_rows_that_are_used() -> None:
    table, numbers = RANDOM.normal(size=(5, 3)) * 3, np.array([[0, 3], [3, 1]])
    for name in ("embedding", "embedding_bag"):
        ours, theirs = grad.tensor(table), torch.tensor(table)
        actual = getattr(F, name)(grad.tensor(numbers), ours, max_norm=1.5)
        expected = getattr(torch.nn.functional, name)(torch.tensor(numbers), theirs, max_norm=1.5)
        np.testing.assert_allclose(actual.numpy(), expected.numpy(), 1e-9)
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), 1e-9)


def test_gradients_by_frequency_are_divided_by_how_often_a_row_occurs() -> None:
    # PyTorch divides by the count of another row in embedding_bag; in embedding it is right.
    numbers, found = np.array([1, 4, 4, 0, 4]), []
    for module, tensor in ((F, grad.tensor), (torch.nn.functional, torch.tensor)):
        weight = tensor(np.ones((5, 2))).requires_grad_(True)
        module.embedding(tensor(numbers), weight, scale_grad_by_freq=True).sum().backward()
        found.append(weight.grad.numpy())
    np.testing.assert_array_equal(*found)
    weight = grad.ones(5, 2, requires_grad=True)
    bags = (grad.tensor(numbers), weight, grad.tensor([0, 2]))
    F.embedding_bag(*bags, mode="sum", scale_grad_by_freq=True).sum().backward()
    np.testing.assert_array_equal(weight.grad.numpy(), found[1])


def test_embedding_bag_refuses() -> None:
    table, numbers = grad.zeros(4, 2), grad.tensor([0, 1, 2])
    starts = grad.tensor([0, 2])
    for arguments, named, error in (
        ((numbers, table), {}, ValueError),
        ((numbers.reshape(1, 3), table, starts), {}, ValueError),
        ((numbers, table, starts), {"mode": "min"}, ValueError),
        ((numbers + 2, table, starts), {}, RuntimeError),
        ((numbers, table, starts + 1), {}, RuntimeError),
        ((numbers, table, starts * 2), {}, RuntimeError),
        ((numbers, table, starts), {"per_sample_weights": grad.ones(2)}, ValueError),
        ((numbers, table, starts), {"per_sample_weights": grad.ones(3)}, NotImplementedError),
        ((numbers, table, starts), {"padding_idx": 4}, RuntimeError),
    ):
        with pytest.raises(error):
            F.embedding_bag(*arguments, **named)


# -- losses ----------------------------------------------------------------------------------------
def test_a_negative_variance_is_no_number() -> None:
    loss = F.gaussian_nll_loss(
        grad.zeros(2), grad.ones(2), grad.tensor([1.0, -1.0]), reduction="none"
    )
    assert np.isnan(loss.numpy()).tolist() == [False, True]
    with pytest.raises(ValueError, match="negative"):
        F.gaussian_nll_loss(grad.zeros(2), grad.ones(2), -1.0)


def test_losses_have_second_gradients() -> None:
    rows = grad.tensor(ROWS, requires_grad=True)
    other = grad.tensor(ROWS[::-1].copy(), requires_grad=True)
    signs = grad.tensor(SIGNS)
    for call in (
        lambda a, b: F.cosine_embedding_loss(a, b, signs),
        lambda a, b: F.soft_margin_loss(a, b),
        lambda a, b: F.triplet_margin_loss(a, b, a * 2),
        lambda a, b: F.poisson_nll_loss(a, b),
        lambda a, b: F.gaussian_nll_loss(a, b, a * a),
    ):
        assert grad.autograd.gradgradcheck(call, (rows, other))
