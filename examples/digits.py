"""Load the 5,000 MNIST digits that the repository ships in data/mnist_5k, as NumPy arrays.

`grad.utils.data.read_mnist` reads the file; here the pixels become rows of numbers in [0, 1]. Where
the data come from, and their licence: data/mnist_5k/README.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from grad.utils.data import read_mnist

DIGITS = Path(__file__).resolve().parent.parent / "data" / "mnist_5k"


class Digits(NamedTuple):
    """Pictures and labels, split for training and testing.

    Images are float32 of shape ``(count, 784)`` in [0, 1], labels int64 of shape ``(count,)``.
    """

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray


def load_digits(folder: Path = DIGITS) -> Digits:
    """Read the digits: 4,000 to train, 1,000 to test. Another set of MNIST's form will do, too.

    Raises:
        FileNotFoundError, ValueError: as `read_mnist`.
    """
    arrays = []
    for train in (True, False):
        images, labels = read_mnist(folder, train)
        arrays += [images.flatten(1).numpy().astype(np.float32) / 255, labels.numpy()]
    return Digits(*arrays)
