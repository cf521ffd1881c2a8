"""Convolution and the layers on images beside PyTorch's: values, gradients, names, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import grad
import grad.nn.functional as F

torch = pytest.importorskip("torch")

RANDOM = np.random.default_rng(0)
SIZES = {1: (11,), 2: (9, 8), 3: (6, 5, 7)}
CONVOLUTIONS: list[dict[str, Any]] = [
    {},
    {"stride": 2, "padding": 1},
    {"padding": "same", "dilation": 2},
    {"padding": "valid", "groups": 2},
    {"stride": 3, "padding": 2, "dilation": 2, "groups": 4},
]
TRANSPOSED: list[dict[str, Any]] = [
    {},
    {"stride": 2, "padding": 1, "output_padding": 1},
    {"dilation": 3, "output_padding": 2},
    {"stride": 3, "groups": 2},
    {"stride": 2, "padding": 1, "groups": 4, "dilation": 2},
]


def compare(name: str, arrays: list[Any], settings: dict[str, Any]) -> None:
    """Value, gradients, and gradients of those."""
    ours = [grad.tensor(a, requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    actual = getattr(F, name)(*ours, **settings)
    expected = getattr(torch.nn.functional, name)(*theirs, **settings)
    weights = RANDOM.normal(size=expected.shape)
    first = grad.autograd.grad((actual**2 * grad.tensor(weights)).sum(), ours, create_graph=True)
    wanted = torch.autograd.grad(
        (expected**2 * torch.tensor(weights)).sum(), theirs, create_graph=True
    )
    second = grad.autograd.grad(sum((g**2).sum() for g in first), ours)
    wanted_second = torch.autograd.grad(sum((g**2).sum() for g in wanted), theirs)
    for a, b in zip([actual, *first, *second], [expected, *wanted, *wanted_second], strict=True):
        values = b.detach().numpy()
        scale = np.abs(values).max(initial=1.0)
        np.testing.assert_allclose(a.detach().numpy(), values, rtol=1e-10, atol=1e-12 * scale)


@pytest.mark.parametrize("settings", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_convolution(rank: int, settings: dict[str, Any]) -> None:
    x = RANDOM.normal(size=(2, 4, *SIZES[rank]))
    weight = RANDOM.normal(size=(8, 4 // settings.get("groups", 1), *(3, 2, 2)[:rank]))
    bias = RANDOM.normal(size=8)
    compare(f"conv{rank}d", [x, weight, bias], settings)
    compare(f"conv{rank}d", [x[0], weight], settings)


@pytest.mark.parametrize("settings", TRANSPOSED, ids=str)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_transposed_convolution(rank: int, settings: dict[str, Any]) -> None:
    groups = settings.get("groups", 1)
    x = RANDOM.normal(size=(2, 8, *(n // 2 for n in SIZES[rank])))
    weight = RANDOM.normal(size=(8, 4 // groups, *(3, 4, 2)[:rank]))
    bias = RANDOM.normal(size=4)
    compare(f"conv_transpose{rank}d", [x, weight, bias], settings)
    compare(f"conv_transpose{rank}d", [x[0], weight], settings)


LAYERS = [
    ("Conv1d(4, 8, 3)", (2, 4, 9)),
    ("Conv2d(4, 8, 3, padding='same', bias=False, padding_mode='reflect')", (2, 4, 9, 7)),
    ("Conv2d(4, 8, (3, 2), stride=2, padding=(1, 0), dilation=(1, 2), groups=2)", (2, 4, 9, 7)),
    ("Conv2d(4, 4, 3, padding=2, padding_mode='circular')", (2, 4, 9, 7)),
    ("Conv2d(4, 4, 3, padding=2, padding_mode='replicate')", (4, 9, 7)),
    ("Conv3d(2, 3, 2, padding='valid')", (2, 2, 5, 4, 3)),
    ("ConvTranspose1d(4, 2, 3, stride=2)", (2, 4, 5)),
    ("ConvTranspose2d(4, 6, 3, 2, 1, output_padding=1, groups=2, dilation=2)", (2, 4, 5, 4)),
    ("ConvTranspose3d(2, 3, 2, bias=False)", (2, 2, 3, 4, 3)),
    ("MaxPool1d(3)", (2, 4, 9)),
    ("MaxPool2d(3, 2, padding=1, ceil_mode=True)", (2, 4, 9, 8)),
    ("MaxPool3d((2, 1, 2), dilation=2)", (2, 4, 5, 4, 5)),
    ("AvgPool1d(3)", (2, 4, 9)),
    ("AvgPool2d((3, 2), divisor_override=4)", (2, 4, 9, 8)),
    ("AvgPool3d(2, 1, 1, count_include_pad=False)", (2, 4, 5, 4, 5)),
    ("AdaptiveAvgPool1d(4)", (2, 4, 9)),
    ("AdaptiveAvgPool2d((1, None))", (2, 4, 9, 8)),
    ("AdaptiveAvgPool3d(2)", (2, 4, 5, 4, 5)),
    ("AdaptiveMaxPool1d(4)", (2, 4, 9)),
    ("AdaptiveMaxPool2d((3, 5))", (2, 4, 9, 8)),
    ("AdaptiveMaxPool3d(2)", (2, 4, 5, 4, 5)),
    ("ConstantPad2d((1, 2, 0, -1), 3.5)", (2, 4, 9, 8)),
    ("ZeroPad1d(2)", (2, 4, 9)),
    ("ZeroPad2d(1)", (2, 4, 9, 8)),
    ("ReflectionPad2d(2)", (2, 4, 9, 8)),
    ("ReplicationPad3d((1, 2, 0, 1, 2, 2))", (2, 4, 5, 4, 5)),
    ("CircularPad1d((1, 3))", (2, 4, 9)),
]


@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=str)
def test_layers(layer: str, shape: tuple[int, ...]) -> None:
    """The same text, the same state, the same result."""
    ours, theirs = eval(f"grad.nn.{layer}"), eval(f"torch.nn.{layer}")
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(
        {name: grad.tensor(value.numpy()) for name, value in theirs.state_dict().items()}
    )
    x = RANDOM.normal(size=shape).astype(np.float32)
    expected = theirs(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(
        ours(grad.tensor(x)).detach().numpy(), expected, rtol=1e-4, atol=1e-5
    )


REFUSED: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = [
    ("conv2d", ((1, 1, 3, 3), (1, 2, 2, 2)), {}),
    ("conv2d", ((1, 1, 3, 3), (1, 1, 4, 2)), {}),
    ("conv2d", ((1, 1, 3, 3), (1, 1, 2)), {}),
    ("conv2d", ((3, 3), (1, 1, 2, 2)), {}),
    ("conv2d", ((1, 1, 3, 3), (1, 1, 2, 2)), {"padding": "same", "stride": 2}),
    ("conv2d", ((1, 1, 3, 3), (1, 1, 2, 2)), {"padding": "full"}),
    ("conv2d", ((1, 1, 3, 3), (1, 1, 2, 2)), {"stride": 0}),
    ("conv2d", ((1, 1, 3, 3), (1, 1, 2, 2)), {"stride": (1, 1, 1)}),
    ("conv2d", ((1, 1, 3, 3), (1, 1, 2, 2)), {"padding": -1}),
    ("conv2d", ((1, 1, 3, 3), (1, 1, 2, 2), (2,)), {}),
    ("conv2d", ((1, 2, 3, 3), (3, 1, 2, 2)), {"groups": 2}),
    ("conv2d", ((1, 2, 0, 3), (3, 2, 2, 2)), {}),
    ("conv2d", ((1, 2, 3, 3), (0, 2, 2, 2)), {}),
    ("conv_transpose2d", ((1, 2, 3, 3), (2, 3, 2, 2)), {"output_padding": 1}),
    ("conv_transpose2d", ((1, 2, 3, 3), (3, 3, 2, 2)), {}),
    ("conv_transpose2d", ((1, 2, 3, 3), (2, 3, 2, 2)), {"padding": 3}),
]


@pytest.mark.parametrize(("name", "shapes", "settings"), REFUSED, ids=str)
def test_refused_with_the_same_exception(name: str, shapes: Any, settings: Any) -> None:
    with pytest.raises(Exception) as theirs:
        getattr(torch.nn.functional, name)(*map(torch.ones, shapes), **settings)
    with pytest.raises(theirs.type):
        getattr(F, name)(*map(grad.ones, shapes), **settings)
