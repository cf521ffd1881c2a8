"""Train a network on real handwritten digits, from pixels to a saved model.

The demo of `make demo`, and a first example of the library: what it does is ordinary PyTorch code
with `grad` in place of `torch`. Reads examples/digits.py; writes a picture of the loss curve and of
some predictions, and the trained model, to build/demo.
Result: 95.8 % of the 1,000 test digits, after 20 epochs in 3 s.
Options: `python examples/mnist.py --help`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np

import grad
import grad.nn.functional as F
from digits import Digits, load_digits
from grad import nn, optim
from grad.utils.progress import progress

matplotlib.use("Agg")  # a file is written, no window is opened
from matplotlib import pyplot

REQUIRED_ACCURACY = 0.94
SIDE = 28  # pixels
LARGEST_SHIFT = 2
SHEET_ROWS, SHEET_COLUMNS = 4, 10


class DigitClassifier(nn.Module):
    """Two hidden layers: ``(batch, 784)`` pixels to ``(batch, 10)`` logits."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(784, 256),
            nn.ReLU(),
            nn.Linear(256, 128),
            nn.ReLU(),
            nn.Linear(128, 10),
        )

    def forward(self, pixels: grad.Tensor) -> grad.Tensor:
        return self.layers(pixels)


@dataclass(frozen=True)
class History:
    """The loss of every step, and the wall time of the first step and of all the others."""

    losses: list[float]
    first_step_seconds: float
    later_seconds: float

    @property
    def seconds_per_step(self) -> float:
        return self.later_seconds / max(len(self.losses) - 1, 1)


def batches(
    digits: Digits, batch_size: int, random: np.random.Generator
) -> Iterator[tuple[grad.Tensor, grad.Tensor]]:
    """Yield the training set once, in a random order; an incomplete last batch is left out.

    Every picture is shifted by a few pixels, anew each time it is seen: 4,000 digits are few, and
    without this the network learns them by heart and makes nearly half as many mistakes again.
    """
    order = random.permutation(len(digits.train_labels))
    for start in range(0, len(order) - batch_size + 1, batch_size):
        rows = order[start : start + batch_size]
        pixels = shifted(digits.train_images[rows], random)
        yield grad.tensor(pixels), grad.tensor(digits.train_labels[rows])


def shifted(images: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Move each picture of ``(count, 784)`` by up to `LARGEST_SHIFT` pixels each way."""
    padding = (LARGEST_SHIFT, LARGEST_SHIFT)
    padded = np.pad(images.reshape(-1, SIDE, SIDE), ((0, 0), padding, padding))
    top, left = random.integers(0, 2 * LARGEST_SHIFT + 1, (2, len(images), 1, 1))
    pixel = np.arange(SIDE)
    picture = np.arange(len(images)).reshape(-1, 1, 1)
    return padded[picture, top + pixel.reshape(-1, 1), left + pixel].reshape(len(images), -1)


def train(model: nn.Module, digits: Digits, epochs: int, batch_size: int, seed: int) -> History:
    """Minimise the cross-entropy with Adam."""
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    random = np.random.default_rng(seed)
    steps_per_epoch = len(digits.train_labels) // batch_size
    losses: list[float] = []
    first_step_seconds = 0.0
    started = time.perf_counter()
    with progress(total=epochs * steps_per_epoch, description="training") as watched:
        for _ in range(epochs):
            for pixels, labels in batches(digits, batch_size, random):
                optimizer.zero_grad()
                loss = F.cross_entropy(model(pixels), labels)
                loss.backward()
                optimizer.step()
                losses.append(loss.item())
                if len(losses) == 1:
                    first_step_seconds = time.perf_counter() - started
                watched.update()
            watched.set_postfix(loss=f"{np.mean(losses[-steps_per_epoch:]):.4f}")
    return History(losses, first_step_seconds, time.perf_counter() - started - first_step_seconds)


def predict(model: nn.Module, images: np.ndarray) -> np.ndarray:
    """Return the logits of `images` as an array of shape ``(len(images), 10)``."""
    model.eval()
    with grad.no_grad():
        return model(grad.tensor(images)).numpy()


def draw(history: History, digits: Digits, predicted: np.ndarray, path: Path) -> None:
    """Write one picture: the loss curve, and a sheet of test digits with their predictions.

    The upper half shows right answers; the lower half mistakes, in red, as far as there are any.
    """
    wrong = predicted != digits.test_labels
    half = SHEET_ROWS * SHEET_COLUMNS // 2
    right_first = np.argsort(wrong, kind="stable")
    chosen = np.concatenate([right_first[:half], right_first[-half:]])
    figure = pyplot.figure(figsize=(14, 5), layout="constrained")
    curve, sheet = np.ravel(np.asarray(figure.subfigures(1, 2, width_ratios=(1, 1.6))))

    axes = curve.subplots()
    axes.semilogy(history.losses, linewidth=0.8)
    axes.set(title="Training loss", xlabel="step", ylabel="cross-entropy")
    axes.grid(alpha=0.3)

    sheet.suptitle(f"Test digits: predicted (true); {wrong.sum()} mistakes in {wrong.size}")
    for cell, row in zip(sheet.subplots(SHEET_ROWS, SHEET_COLUMNS).flat, chosen):
        cell.imshow(digits.test_images[row].reshape(28, 28), cmap="gray_r")
        cell.set_title(
            f"{predicted[row]} ({digits.test_labels[row]})",
            fontsize=8,
            color="tab:red" if wrong[row] else "black",
        )
        cell.axis("off")
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def save_and_check(model: nn.Module, images: np.ndarray, logits: np.ndarray, path: Path) -> None:
    """Save the model, load it into a new one and compare what the two compute, to the bit.

    Raises:
        RuntimeError: the model that was loaded computes something else.
    """
    grad.save(model.state_dict(), path)
    reloaded = DigitClassifier()
    reloaded.load_state_dict(grad.load(path))
    if not np.array_equal(predict(reloaded, images), logits):
        raise RuntimeError(f"the model loaded from {path} does not compute what was saved")


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a network on 4,000 handwritten digits.")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="one epoch, to see that it runs")
    parser.add_argument("--output", type=Path, default=Path("build/demo"))
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)

    grad.manual_seed(options.seed)
    digits = load_digits()
    model = DigitClassifier()
    epochs = 1 if options.quick else options.epochs
    history = train(model, digits, epochs, options.batch_size, options.seed)

    logits = predict(model, digits.test_images)
    predicted = logits.argmax(axis=1)
    accuracy = float(np.mean(predicted == digits.test_labels))
    print(f"test accuracy  {accuracy:.1%} of {len(predicted)} digits never trained on")
    print(
        f"speed          {options.batch_size / history.seconds_per_step:,.0f} digits/s, "
        f"{history.seconds_per_step * 1e3:.2f} ms a step of {options.batch_size} "
        f"(first step, compiling: {history.first_step_seconds:.2f} s)"
    )

    picture, weights = options.output / "mnist.png", options.output / "mnist.safetensors"
    draw(history, digits, predicted, picture)
    save_and_check(model, digits.test_images, logits, weights)
    print(f"picture        {picture}")
    print(f"model          {weights} (reloaded: same predictions to the bit)")
    if accuracy < REQUIRED_ACCURACY and not options.quick:
        raise SystemExit(f"accuracy is under the {REQUIRED_ACCURACY:.0%} that this demo must reach")


if __name__ == "__main__":
    main()
