"""`nn.utils.summary`: shapes, parameters, operations and memory of each call."""

from __future__ import annotations

import pytest

import grad
import grad.nn.functional as F
from grad import nn
from grad.nn.summary import summary


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1, groups=1)
        self.inner = nn.Sequential(nn.Linear(8, 16), nn.ReLU(), nn.Linear(16, 16, bias=False))
        self.inner[0].weight.requires_grad_(False)

    def forward(self, x: grad.Tensor, scale: float = 1.0) -> tuple[grad.Tensor, grad.Tensor]:
        x = self.conv(x).mean((-2, -1)) * scale
        x = self.inner(self.inner(x)[:, :8])
        q = x.reshape(2, 1, 4, 4)
        return F.scaled_dot_product_attention(q, q, q), x


def test_what_is_counted() -> None:
    model = Net().train()
    x = grad.ones(2, 3, 10, 10)
    found = summary(model, x, scale=2.0)
    by_name = {layer.name: layer for layer in found.layers}
    conv = by_name["conv"]
    assert conv.shape == (2, 8, 10, 10) and conv.parameters == 8 * 3 * 9 + 8
    assert conv.operations == 2 * (2 * 8 * 100) * 27 + 2 * 8 * 100  # products, bias
    assert conv.output_bytes == 2 * 8 * 100 * 4
    linear = by_name["inner.0"]
    assert linear.operations == 2 * 2 * 16 * 8 + 2 * 16
    assert (linear.parameters, linear.trainable) == (8 * 16 + 16, 16)
    assert [layer.name for layer in found.layers].count("inner.2") == 2
    assert by_name["inner"].operations == linear.operations + 2 * 16 + 2 * 2 * 16 * 16
    whole = found.layers[0]
    assert whole.shape == ((2, 1, 4, 4), (2, 16)) and whole.depth == 0
    mean = 2 * 8 * 100 + 2 * 8
    attention = 2 * (2 * 4 * 4 * 4) * 2
    twice = 2 * by_name["inner"].operations
    assert found.operations == conv.operations + mean + 2 * 8 + twice + attention
    assert found.parameters == sum(p.numel() for p in model.parameters())
    assert found.parameters - found.trainable == 8 * 16
    assert found.output_bytes == conv.output_bytes + 2 * 3 * (2 * 16 * 4)


def test_the_model_is_as_before() -> None:
    model = Net()
    model.conv.eval()
    summary(model, grad.ones(2, 3, 10, 10))
    assert model.training and not model.conv.training
    with pytest.raises(RuntimeError):
        summary(model, grad.ones(2, 4, 10, 10))
    assert model.training and not model.conv.training
    assert not model._forward_hooks and not model.inner[0]._forward_pre_hooks


def test_the_table() -> None:
    lines = str(summary(Net(), grad.ones(2, 3, 10, 10))).splitlines()
    assert lines[0].split() == ["layer", "output", "parameters", "operations"]
    assert lines[1].startswith("Net ") and lines[2].startswith("  conv Conv2d")
    assert lines[4].startswith("    0 Linear")
    assert lines[-1].startswith("624 parameters (128 fixed), 2.4 KiB; ")
