"""`ctc_loss` against PyTorch's: losses, gradients of logits and of log-probabilities."""

from __future__ import annotations

import numpy as np
import pytest

import grad
import grad.nn.functional as F

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("seed", range(8))
def test_random_batches(seed: int) -> None:
    random = np.random.default_rng(seed)
    time, batch, classes = random.integers(1, 9), random.integers(1, 4), random.integers(2, 5)
    longest, blank = random.integers(0, 4), int(random.integers(0, classes))
    labels = [c for c in range(classes) if c != blank]
    targets = random.choice(labels, (batch, longest))
    times = tuple(random.integers(0, time + 1, batch).tolist())
    lengths = tuple(random.integers(0, longest + 1, batch).tolist())
    scores = random.normal(size=(time, batch, classes))
    for reduction in ("none", "mean", "sum"):
        for zero in (False, True):
            results = []
            for module, function in ((torch, torch.nn.functional.ctc_loss), (grad, F.ctc_loss)):
                x = module.tensor(scores).requires_grad_()
                leaf = x.log_softmax(2).detach().requires_grad_()
                rest = (module.tensor(targets), times, lengths, blank, reduction, zero)
                of_logits = function(x.log_softmax(2), *rest)
                of_logits.sum().backward()
                function(leaf, *rest).sum().backward()
                results.append([of_logits.detach(), x.grad, leaf.grad])
            for theirs, ours in zip(*results, strict=True):
                np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("spread", [1, 30, 300, 3000])
def test_probabilities_of_any_size(spread: int) -> None:
    """Products of probabilities leave the range of float64 where logits differ much."""
    random = np.random.default_rng(spread)
    for classes, labels, blank in ((6, 8, 0), (6, 8, 5), (40, 3, 1)):
        logits = torch.tensor(random.normal(size=(40, 3, classes)) * spread)
        if classes == 40:
            logits[:, :, 7] = -torch.inf
        scores = logits.log_softmax(2)
        targets = random.choice([c for c in range(classes) if c not in (blank, 7)], (3, labels))
        rest = ((40, 36, 38), (labels, labels - 2, 0), blank, "none")
        results = []
        for module, function in ((torch, torch.nn.functional.ctc_loss), (grad, F.ctc_loss)):
            leaf = module.tensor(scores.numpy()).requires_grad_()
            losses = function(leaf, module.tensor(targets), *rest)
            losses.sum().backward()
            results.append([losses.detach(), leaf.grad])
        for theirs, ours in zip(*results, strict=True):
            known = ~np.isnan(theirs.numpy())  # PyTorch has NaN for a class without probability
            assert np.isfinite(ours.numpy()).all()
            np.testing.assert_allclose(
                ours.numpy()[known], theirs.numpy()[known], rtol=1e-6, atol=1e-9
            )
