"""Layers on images: their start, their names, what they print, and a network that learns."""

from __future__ import annotations

import math

import numpy as np
import pytest

import grad
import grad.nn.functional as F
from grad import nn, optim


def test_parameters_are_stored_as_pytorch_stores_them() -> None:
    layer = nn.Conv2d(6, 8, (3, 2), groups=2)
    shapes = {name: tuple(p.shape) for name, p in layer.named_parameters()}
    assert shapes == {"weight": (8, 3, 3, 2), "bias": (8,)}
    transposed = nn.ConvTranspose2d(6, 8, 3, groups=2, bias=False)
    assert {n: tuple(p.shape) for n, p in transposed.named_parameters()} == {"weight": (6, 4, 3, 3)}
    assert transposed.bias is None


def test_the_start_is_uniform_in_one_over_the_root_of_the_taps() -> None:
    grad.manual_seed(0)
    layer = nn.Conv2d(16, 64, 3)
    bound = 1 / math.sqrt(16 * 9)
    weights = layer.weight.detach().numpy()
    assert np.abs(weights).max() <= bound
    assert weights.std() == pytest.approx(bound / math.sqrt(3), rel=0.05)
    assert layer.bias is not None
    assert np.abs(layer.bias.detach().numpy()).max() <= bound


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize("padding", [(2, 1), "same"])
def test_padding_modes_pad_first(mode: str, padding: tuple[int, int] | str) -> None:
    layer = nn.Conv2d(2, 3, (4, 3), padding=padding, padding_mode=mode)
    x = grad.randn((2, 2, 7, 8))
    amounts = (1, 1, 1, 2) if padding == "same" else (1, 1, 2, 2)
    expected = F.conv2d(F.pad(x, amounts, mode), layer.weight, layer.bias)
    np.testing.assert_array_equal(layer(x).detach().numpy(), expected.detach().numpy())


def test_the_output_size_of_a_transposed_convolution() -> None:
    down, up = nn.Conv2d(1, 1, 3, stride=2), nn.ConvTranspose2d(1, 1, 3, stride=2)
    for size in (7, 8):
        x = grad.zeros((1, 1, size, size))
        assert up(down(x), output_size=x.shape).shape == x.shape
    with pytest.raises(ValueError, match="range from"):
        up(down(grad.zeros((1, 1, 7, 7))), output_size=(9, 9))


def test_bad_settings() -> None:
    with pytest.raises(ValueError, match="divisible"):
        nn.Conv2d(3, 4, 3, groups=2)
    with pytest.raises(ValueError, match="positive"):
        nn.Conv2d(4, 4, 3, groups=0)
    with pytest.raises(ValueError, match="padding_mode"):
        nn.Conv2d(4, 4, 3, padding_mode="mirror")
    with pytest.raises(ValueError, match="padding_mode"):
        nn.ConvTranspose2d(4, 4, 3, padding_mode="reflect")
    with pytest.raises(ValueError, match="strided"):
        nn.Conv2d(4, 4, 3, stride=2, padding="same")
    with pytest.raises(ValueError, match="'same'"):
        nn.Conv2d(4, 4, 3, padding="full")


def test_a_small_network_learns_where_a_square_is() -> None:
    grad.manual_seed(0)
    random = np.random.default_rng(0)
    corners = random.integers(0, 4, 64)
    images = random.normal(0, 0.3, (64, 1, 8, 8)).astype(np.float32)
    for image, corner in zip(images, corners, strict=True):
        row, column = 4 * (corner // 2) + 1, 4 * (corner % 2) + 1
        image[0, row : row + 2, column : column + 2] += 1
    model = nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(64, 4)
    )
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    x, y = grad.tensor(images), grad.tensor(corners)
    for _ in range(30):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    assert (model(x).argmax(1) == y).float().mean().item() == 1.0
