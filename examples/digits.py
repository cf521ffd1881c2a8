"""Load the 5,000 MNIST digits that the repository ships in data/mnist_5k.

Plain NumPy, no tensors: examples/mnist.py turns the arrays into tensors. Where the data come from,
and their licence: data/mnist_5k/README.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

DIGITS_FILE = Path(__file__).resolve().parent.parent / "data" / "mnist_5k" / "digits.npz"


class Digits(NamedTuple):
    """Pictures and labels, split for training and testing.

    Images are float32 of shape ``(count, 784)`` in [0, 1], labels int64 of shape ``(count,)``.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def load_digits(path: Path = DIGITS_FILE) -> Digits:
    """Read the digits: 4,000 to train, 1,000 to test.

    Raises:
        FileNotFoundError: `path` does not exist.
        KeyError: the file lacks one of the four arrays.
    """
    with np.load(path, allow_pickle=False) as arrays:
        return Digits(
            train_images=_scaled(arrays["train_images"]),
            train_labels=arrays["train_labels"].astype(np.int64),
            test_images=_scaled(arrays["test_images"]),
            test_labels=arrays["test_labels"].astype(np.int64),
        )


def _scaled(images: np.ndarray) -> np.ndarray:
    """Flatten each picture and scale its bytes to [0, 1]."""
    return images.reshape(len(images), -1).astype(np.float32) / 255.0
