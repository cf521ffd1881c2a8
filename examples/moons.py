"""Micrograd's own demo: a small network that tells two moons apart, and pictures of it.

100 points in two half-moons, an MLP with two hidden layers of 16, the hinge loss and a little
weight decay, plain gradient descent with a rate that falls: as in Andrej Karpathy's micrograd,
whose scalar graph is drawn at the end for an expression of a few numbers.
Result: all 100 points, in 3 s.
Options: `python examples/moons.py --help`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib
import numpy as np

import grad
from grad import nn, optim
from grad.utils.progress import progress

matplotlib.use("Agg")  # a file is written, no window is opened
from matplotlib import pyplot

REQUIRED_ACCURACY = 1.0
DECAY = 1e-4


def moons(count: int, noise: float, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points ``(count, 2)`` on two half-circles that interlock, and -1 or 1 for each."""
    angle = random.uniform(0, np.pi, count)
    label = np.arange(count) % 2 * 2 - 1
    upper = np.stack([np.cos(angle), np.sin(angle)], 1)
    lower = np.stack([1 - np.cos(angle), 0.5 - np.sin(angle)], 1)
    points = np.where(label[:, None] > 0, lower, upper) + random.normal(0, noise, (count, 2))
    return points.astype(np.float32), label.astype(np.float32)


def train(model: nn.Module, points: grad.Tensor, labels: grad.Tensor, steps: int) -> float:
    """Minimise the hinge loss; returns the accuracy at the end."""
    optimizer = optim.SGD(model.parameters(), lr=1.0)
    for step in (watched := progress(range(steps), "training")):
        for group in optimizer.param_groups:
            group["lr"] = 1.0 - 0.9 * step / steps
        optimizer.zero_grad()
        scores = model(points).squeeze(1)
        weights = sum(parameter.square().sum() for parameter in model.parameters())
        loss = (1 - labels * scores).relu().mean() + DECAY * weights
        loss.backward()
        optimizer.step()
        watched.set_postfix(loss=loss)
    with grad.no_grad():
        return ((model(points).squeeze(1) > 0) == (labels > 0)).float().mean().item()


def draw_boundary(model: nn.Module, points: np.ndarray, labels: np.ndarray, path: Path) -> None:
    """Where the network says which moon, under the points."""
    low, high = points.min(0) - 0.5, points.max(0) + 0.5
    x, y = np.meshgrid(np.linspace(low[0], high[0], 200), np.linspace(low[1], high[1], 200))
    with grad.no_grad():
        grid = grad.tensor(np.stack([x.ravel(), y.ravel()], 1).astype(np.float32))
        side = model(grid).reshape(x.shape).numpy() > 0
    figure, axes = pyplot.subplots(figsize=(5, 4), layout="constrained")
    axes.contourf(x, y, side, cmap="Spectral", alpha=0.8)
    axes.scatter(points[:, 0], points[:, 1], c=labels, cmap="Spectral", edgecolors="black", s=25)
    axes.set_title("two moons, and where the network sees them")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def draw_graph(path: Path) -> None:
    """One neuron of two inputs, with its values and gradients."""
    x1, x2 = grad.tensor(2.0, requires_grad=True), grad.tensor(0.0, requires_grad=True)
    w1, w2 = grad.tensor(-3.0, requires_grad=True), grad.tensor(1.0, requires_grad=True)
    bias = grad.tensor(6.8813735, requires_grad=True)
    output = (x1 * w1 + x2 * w2 + bias).tanh()
    output.backward()
    grad.draw(output).save(path)


def main() -> None:
    parser = argparse.ArgumentParser(description="Tell two moons apart.")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1337)
    parser.add_argument("--quick", action="store_true", help="few steps, to see that it runs")
    parser.add_argument("--output", type=Path, default=Path("build/examples"))
    options = parser.parse_args()

    grad.manual_seed(options.seed)
    points, labels = moons(100, 0.1, np.random.default_rng(options.seed))
    model = nn.Sequential(
        nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1)
    )
    steps = 10 if options.quick else options.steps
    accuracy = train(model, grad.tensor(points), grad.tensor(labels), steps)
    print(f"accuracy       {accuracy:.0%} of {len(points)} points")
    options.output.mkdir(parents=True, exist_ok=True)
    draw_boundary(model, points, labels, options.output / "moons.png")
    draw_graph(options.output / "neuron.svg")
    print(f"pictures       {options.output / 'moons.png'}, {options.output / 'neuron.svg'}")
    if accuracy < (0.7 if options.quick else REQUIRED_ACCURACY):
        raise SystemExit(f"accuracy is under the {REQUIRED_ACCURACY:.0%} that this must reach")


if __name__ == "__main__":
    main()
