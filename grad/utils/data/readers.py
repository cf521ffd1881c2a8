"""Readers of data sets in files: MNIST and its kin.

`read_idx` reads one file of the format that MNIST came in; `read_mnist` finds the pictures and
labels of a folder, also in the sample that this project ships. Sizes are checked before anything is
allocated.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from grad.tensor import Tensor

# By the third byte of a file. Numbers of more than a byte have the high byte first.
_TYPES = {8: "u1", 9: "i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
_SPLITS = {True: ("train",), False: ("t10k", "test")}
_ENDINGS = ("", ".gz")


def read_idx(path: str | os.PathLike[str]) -> np.ndarray[Any, Any]:
    """The array of an IDX file, compressed by gzip or not, in the byte order of this machine.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no IDX file, is shorter or longer than its header says, or damaged.
    """
    path = Path(path)
    with path.open("rb") as file:
        compressed = file.read(2) == b"\x1f\x8b"
    try:
        with gzip.open(path) if compressed else path.open("rb") as file:
            start = file.read(4)
            if len(start) < 4 or start[:2] != b"\0\0" or start[2] not in _TYPES:
                raise ValueError(f"{path} is no IDX file: it begins with {start!r}.")
            axes = start[3]
            shape = np.frombuffer(_exactly(file, 4 * axes, path), ">u4").tolist()
            dtype = np.dtype(_TYPES[start[2]])
            size = math.prod(shape) * dtype.itemsize
            data = _exactly(file, size, path)
            if file.read(1):
                raise ValueError(f"{path} is longer than the {size} bytes of shape {shape}.")
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ValueError(f"{path} is damaged: {error}.") from error
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="))


def _exactly(file: Any, size: int, path: Path) -> bytes:
    """The next `size` bytes, read in pieces: a header may lie."""
    pieces, missing = [], size
    while missing:
        piece = file.read(min(missing, 1 << 24))
        if not piece:
            raise ValueError(f"{path} is cut off: its header asks for {missing} more bytes.")
        pieces.append(piece)
        missing -= len(piece)
    return b"".join(pieces)


def read_mnist(folder: str | os.PathLike[str], train: bool = True) -> tuple[Tensor, Tensor]:
    """Pictures and labels of MNIST, Fashion-MNIST or another set of their form.

    Args:
        folder: with the files ``train-images-idx3-ubyte`` and ``train-labels-idx1-ubyte``, and
            those of ``t10k``, compressed (``.gz``) or not; or with the ``digits.npz`` of this
            project's data/mnist_5k.
        train: the pictures to train on; False gives those to test with.

    Returns:
        Pictures, uint8 of shape ``(count, height, width)``, and labels, int64 of shape
        ``(count,)``.

    Raises:
        FileNotFoundError: the folder has no such files; the message says which were looked for.
        ValueError: a file is damaged, or the two do not belong together.

    Example:
        >>> images, labels = read_mnist("/usr/share/datasets/fashion-mnist")  # Debian's package
        >>> images.shape, labels.shape
        (torch.Size([60000, 28, 28]), torch.Size([60000]))
    """
    folder = Path(folder)
    sample = folder / "digits.npz"
    if sample.exists():
        part = "train" if train else "test"
        with np.load(sample, allow_pickle=False) as arrays:
            images, labels = arrays[f"{part}_images"], arrays[f"{part}_labels"]
    else:
        images = read_idx(_found(folder, train, "images", 3))
        labels = read_idx(_found(folder, train, "labels", 1))
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels):
        raise ValueError(
            f"{folder}: pictures of shape {images.shape} and labels of shape {labels.shape} do not "
            "belong together; they are (count, height, width) and (count,)."
        )
    return Tensor.from_numpy(images), Tensor.from_numpy(labels.astype(np.int64))


def _found(folder: Path, train: bool, what: str, axes: int) -> Path:
    names = [
        f"{split}-{what}{mark}idx{axes}-ubyte{ending}"
        for split in _SPLITS[train]
        for mark in "-."
        for ending in _ENDINGS
    ]
    for name in names:
        if (folder / name).exists():
            return folder / name
    raise FileNotFoundError(f"{folder} has none of {', '.join(names)}, nor digits.npz.")
