"""Batch, instance and group normalisation beside PyTorch's: text, state, values, gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import grad

torch = pytest.importorskip("torch")

RANDOM = np.random.default_rng(0)
LAYERS = [
    ("BatchNorm1d(4)", (6, 4)),
    ("BatchNorm1d(4, momentum=None, affine=False)", (6, 4, 5)),
    ("BatchNorm2d(4, eps=0.1, momentum=0.3)", (3, 4, 5, 6)),
    ("BatchNorm2d(4, track_running_stats=False)", (3, 4, 9, 7)),
    ("BatchNorm3d(4, bias=False)", (3, 4, 2, 3, 4)),
    ("InstanceNorm1d(4)", (3, 4, 7)),
    ("InstanceNorm2d(4, affine=True)", (3, 4, 5, 6)),
    ("InstanceNorm2d(4, track_running_stats=True)", (3, 4, 5, 6)),
    ("InstanceNorm3d(4)", (4, 2, 3, 4)),
    ("GroupNorm(2, 4)", (3, 4, 5, 6)),
    ("GroupNorm(4, 4, affine=False)", (3, 4, 2)),
    ("GroupNorm(1, 4, eps=0.1)", (3, 4, 7)),
]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("layer", "shape"), LAYERS, ids=str)
def test_layers(layer: str, shape: tuple[int, ...], training: bool) -> None:
    ours, theirs = eval(f"grad.nn.{layer}"), eval(f"torch.nn.{layer}")
    assert repr(ours) == repr(theirs)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    for ours_parameter, theirs_parameter in zip(ours.parameters(), theirs.parameters()):
        values = RANDOM.normal(size=tuple(theirs_parameter.shape)).astype(np.float32)
        ours_parameter.data.copy_(grad.tensor(values))
        theirs_parameter.data.copy_(torch.tensor(values))
    ours.train(training)
    theirs.train(training)
    for _ in range(2):
        array = (RANDOM.normal(size=shape) * 3 + 1).astype(np.float32)
        x, y = grad.tensor(array, requires_grad=True), torch.tensor(array, requires_grad=True)
        weights = RANDOM.normal(size=shape).astype(np.float32)
        actual, expected = ours(x), theirs(y)
        (actual * grad.tensor(weights)).sum().backward()
        (expected * torch.tensor(weights)).sum().backward()
        close(actual, expected)
        close(x.grad, y.grad)
        for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
            close(a.grad, b.grad)
    for a, b in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True):
        close(a, b)


def close(actual: Any, expected: Any) -> None:
    np.testing.assert_allclose(
        actual.detach().numpy(), expected.detach().numpy(), rtol=2e-4, atol=2e-5
    )
