"""Train a convolutional network on real handwritten digits.

The same digits, training loop and options as `mnist.py`, with a network that looks at pictures as
pictures: two convolutions with pooling, then two linear layers. It makes about half the mistakes.
Options: `python examples/mnist_cnn.py --help`.
"""

from __future__ import annotations

import argparse

import numpy as np
from mnist import SIDE, predict, train

import grad
from digits import load_digits
from grad import nn

REQUIRED_ACCURACY = 0.97


class ConvolutionalClassifier(nn.Module):
    """Pictures as rows of pixels ``(batch, 784)`` to ``(batch, 10)`` logits."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 16, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(16, 32, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(32 * 7 * 7, 128),
            nn.ReLU(),
            nn.Linear(128, 10),
        )

    def forward(self, pixels: grad.Tensor) -> grad.Tensor:
        pictures = pixels.reshape(-1, 1, SIDE, SIDE)
        return self.classifier(self.features(pictures))


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a small CNN on 4,000 handwritten digits.")
    parser.add_argument("--epochs", type=int, default=25)
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="one epoch, to see that it runs")
    options = parser.parse_args()

    grad.manual_seed(options.seed)
    digits = load_digits()
    model = ConvolutionalClassifier()
    epochs = 1 if options.quick else options.epochs
    history = train(model, digits, epochs, options.batch_size, options.seed)

    predicted = predict(model, digits.test_images).argmax(axis=1)
    accuracy = float(np.mean(predicted == digits.test_labels))
    print(f"test accuracy  {accuracy:.1%} of {len(predicted)} digits never trained on")
    print(
        f"speed          {options.batch_size / history.seconds_per_step:,.0f} digits/s, "
        f"{history.seconds_per_step * 1e3:.2f} ms a step of {options.batch_size} "
        f"(first step, compiling: {history.first_step_seconds:.2f} s)"
    )
    if accuracy < REQUIRED_ACCURACY and not options.quick:
        raise SystemExit(f"accuracy is under the {REQUIRED_ACCURACY:.0%} that this must reach")


if __name__ == "__main__":
    main()
