"""A training run that saves its state at every step, for checkpoint_test.py, which kills it.

    python training.py FOLDER STEPS [compiled]

Its result is FOLDER/result.pt. Whoever wants to kill it in a given step waits for that step's file.
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

import numpy as np

import grad
from grad import nn, optim
from grad.utils.data import DataLoader, TensorDataset


def main(folder: Path, steps: int, compiled: bool) -> None:
    grad.manual_seed(1)
    random.seed(2)
    np.random.seed(3)
    x = grad.randn(37, 4)
    order = grad.Generator().manual_seed(5)
    loader = DataLoader(TensorDataset(x, x.sum(1)), 5, shuffle=True, generator=order)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 1))
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    scheduler = optim.lr_scheduler.StepLR(optimizer, 5, gamma=0.7)
    progress = {"step": 0, "epoch": 0, "losses": [], "draws": []}

    def compute(batch, target):
        loss = (model(batch).squeeze(1) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    train = grad.compile(compute) if compiled else compute
    checkpoint = grad.io.Checkpoint(
        folder,
        model=model,
        optimizer=optimizer,
        scheduler=scheduler,
        loader=loader,
        progress=progress,
    )
    checkpoint.restore()
    while progress["step"] < steps:
        for batch, target in loader:
            loss = train(batch, target)
            scheduler.step()
            progress["losses"].append(loss.item())
            progress["draws"].append((random.random(), float(np.random.rand())))
            progress["step"] += 1
            checkpoint.save(progress["step"])
            if progress["step"] >= steps:
                break
        else:
            progress["epoch"] += 1
    grad.save({"model": model.state_dict(), "progress": progress}, folder / "result.pt")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), "compiled" in sys.argv)
