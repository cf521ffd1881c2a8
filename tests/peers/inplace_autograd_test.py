"""In-place operations, views and gradients against PyTorch: the same random programs in both."""

from __future__ import annotations

import numpy as np
import pytest

import grad

torch = pytest.importorskip("torch")


def program(lib, seed: int, nudge: float = 0.0) -> tuple[list, list]:
    """Run a random program; return what it ends with and the gradients of the two leaves.

    The inputs are moved by `nudge` in every element.
    """
    random = np.random.default_rng(seed)
    start = random.standard_normal((3, 4)) + nudge
    leaf = lib.tensor(start.tolist(), dtype=lib.float64, requires_grad=True)
    other = lib.tensor((start[0] + 1).tolist(), dtype=lib.float64, requires_grad=True)
    tensors = [leaf * 1.5, lib.zeros(3, 4, dtype=lib.float64)]
    kept = []
    for _ in range(12):
        x = tensors[random.integers(len(tensors))]
        action = random.integers(11)
        if action == 0:
            tensors.append(x.t() if len(x.shape) == 2 else x[1:])
        elif action == 1 and len(x.shape) == 2:
            tensors.append(x[1])
        elif action == 2:
            tensors.append(x[..., 1:])
        elif action == 3:
            x.mul_(x * 0.3 + 0.1)
        elif action == 4 and x.shape[-1] == 4:
            x.mul_(other)
        elif action == 5 and x.shape[-1] == 4:
            x += other * 2
        elif action == 6:
            x[0] = x[1] if len(x.shape) == 2 else 2.0
        elif action == 7:
            kept.append((x * x).sum())
        elif action == 8:
            x.zero_() if random.random() < 0.3 else x.sub_(1)
        elif action == 9:
            kept.append(x.exp().sum() * 0.1)
        elif action == 10 and x.shape[-1] == 4:
            x.copy_(other) if random.random() < 0.3 else x[..., ::2].mul_(3)
    total = sum((x * (i + 1)).sum() for i, x in enumerate(tensors)) + sum(kept)
    total = total + (leaf * other).sum()
    total.backward()
    values = [x.detach().tolist() for x in tensors]
    flags = [x.requires_grad for x in tensors]
    return [values, flags, total.item()], [leaf.grad.tolist(), other.grad.tolist()]


@pytest.mark.parametrize("seed", range(120))
def test_same_as_torch(seed: int) -> None:
    try:
        expected_values, expected_grads = program(torch, seed)
    except RuntimeError as error:
        # PyTorch saves memory where we save values, and so refuses programs that can be
        # differentiated.
        assert "inplace operation" in str(error) or "in-place operation" in str(error)
        _, grads = program(grad, seed)
        above, below = (program(grad, seed, nudge)[0][2] for nudge in (1e-6, -1e-6))
        slope = sum(np.sum(g) for g in grads)
        np.testing.assert_allclose(slope, (above - below) / 2e-6, rtol=1e-5, atol=1e-5)
        return
    values, grads = program(grad, seed)
    assert values[1] == expected_values[1]
    for given, wanted in zip(values[0] + grads, expected_values[0] + expected_grads):
        np.testing.assert_allclose(given, wanted, rtol=1e-9, atol=1e-9)
