"""Averages of models beside PyTorch's, and their states across."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import grad

torch = pytest.importorskip("torch")

from tests.peers.optim_peer_test import converted  # noqa: E402  it needs PyTorch itself

KINDS: dict[str, Any] = {
    "mean": lambda swa: {},
    "mean by function": lambda swa: {"avg_fn": swa.get_swa_avg_fn()},
    "mean of lists": lambda swa: {"multi_avg_fn": swa.get_swa_multi_avg_fn()},
    "fading": lambda swa: {"avg_fn": swa.get_ema_avg_fn(0.7)},
    "fading lists": lambda swa: {"multi_avg_fn": swa.get_ema_multi_avg_fn(0.7)},
    "with buffers": lambda swa: {"avg_fn": lambda a, c, n: 0.5 * a + 0.5 * c, "use_buffers": True},
}


def network(library: Any) -> Any:
    nn = library.nn
    return nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Tanh(), nn.Linear(4, 2))


def values(model: Any) -> dict[str, Any]:
    return {name: np.array(value.numpy()) for name, value in model.state_dict().items()}


@pytest.mark.parametrize("kind", KINDS)
def test_averages_are_those_of_pytorch(kind):
    start = {name: value.clone() for name, value in network(torch).state_dict().items()}
    batches = np.random.default_rng(4).normal(size=(6, 8, 3)).astype(np.float32)
    averaged = []
    for library in (grad, torch):
        model = network(library)
        model.load_state_dict(converted(start, library))
        swa = library.optim.swa_utils
        average = swa.AveragedModel(model, **KINDS[kind](swa))
        optimizer = library.optim.SGD(model.parameters(), lr=0.2)
        inputs = [library.tensor(batch) for batch in batches]
        for x in inputs:
            optimizer.zero_grad()
            (model(x) ** 2).mean().backward()
            optimizer.step()
            average.update_parameters(model)
        averaged.append((average, inputs))
    (ours, x), (theirs, y) = averaged
    mine, its = values(ours), values(theirs)
    assert [*mine] == [*its]
    for name, value in its.items():
        np.testing.assert_allclose(mine[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
    grad.optim.swa_utils.update_bn(x, ours)
    torch.optim.swa_utils.update_bn([(batch, 1) for batch in y], theirs)
    mine, its = values(ours), values(theirs)
    for name, value in its.items():
        np.testing.assert_allclose(mine[name], value, rtol=1e-4, atol=1e-5, err_msg=name)
    assert ours.module[1].momentum == 0.1 and ours.training
    other = grad.optim.swa_utils.AveragedModel(network(grad))
    other.load_state_dict(converted(theirs.state_dict(), grad))
    assert other.n_averaged.item() == 6
    ours.eval(), theirs.eval()
    np.testing.assert_allclose(
        ours(x[0]).detach().numpy(), theirs(y[0]).detach().numpy(), rtol=1e-4, atol=1e-5
    )


def test_misuse():
    for library in (grad, torch):
        swa = library.optim.swa_utils
        with pytest.raises(ValueError, match="decay"):
            swa.get_ema_avg_fn(1.5)
        with pytest.raises(AssertionError, match="Only one"):
            swa.AveragedModel(
                network(library),
                avg_fn=swa.get_swa_avg_fn(),
                multi_avg_fn=swa.get_swa_multi_avg_fn(),
            )
