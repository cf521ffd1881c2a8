"""Readers of data sets: right values, and clear errors for files that are damaged or missing."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

import grad
from grad.utils.data import (
    CharacterDataset,
    DataLoader,
    Subset,
    read_idx,
    read_mnist,
    read_text,
)

DIGITS = Path(__file__).resolve().parents[3] / "data" / "mnist_5k"


def idx(array: np.ndarray, code: int) -> bytes:
    header = bytes([0, 0, code, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


@pytest.mark.parametrize(
    ("code", "dtype"),
    [(8, "u1"), (9, "i1"), (11, ">i2"), (12, ">i4"), (13, ">f4"), (14, ">f8")],
)
@pytest.mark.parametrize("compressed", [False, True])
def test_idx(tmp_path, code, dtype, compressed):
    array = np.arange(-3, 21).astype(dtype).reshape(2, 3, 4)
    data = idx(array, code)
    (tmp_path / "file").write_bytes(gzip.compress(data) if compressed else data)
    found = read_idx(tmp_path / "file")
    assert np.array_equal(found, array) and found.dtype.isnative and found.flags.writeable


GOOD = idx(np.zeros((4, 5), np.uint8), 8)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no IDX file"),
        (b"PNG and more", "no IDX file"),
        (b"\0\0\7\1" + GOOD[4:], "no IDX file"),
        (GOOD[:6], "cut off"),
        (GOOD[:-1], "cut off: its header asks for 1 more"),
        (GOOD + b"x", "longer"),
        (b"\0\0\x08\x04" + b"\xff" * 16, "cut off"),
        (gzip.compress(GOOD, mtime=0)[:-10], "damaged"),
        (gzip.compress(GOOD, mtime=0)[:-8] + b"checksum", "damaged"),
    ],
    ids=range(9),
)
def test_bad_files(tmp_path, data, message):
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(ValueError, match=message):
        read_idx(tmp_path / "file")


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_mnist(tmp_path, ending):
    pack = gzip.compress if ending else bytes
    for split, count in (("train", 6), ("t10k", 2)):
        images = np.full((count, 4, 5), count, np.uint8)
        labels = np.arange(count, dtype=np.uint8)
        (tmp_path / f"{split}-images-idx3-ubyte{ending}").write_bytes(pack(idx(images, 8)))
        (tmp_path / f"{split}-labels-idx1-ubyte{ending}").write_bytes(pack(idx(labels, 8)))
    images, labels = read_mnist(tmp_path)
    assert images.shape == (6, 4, 5) and images.dtype is grad.uint8
    assert labels.tolist() == [0, 1, 2, 3, 4, 5] and labels.dtype is grad.int64
    assert read_mnist(tmp_path, train=False)[0].tolist() == np.full((2, 4, 5), 2).tolist()


def test_mnist_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="train-images-idx3-ubyte"):
        read_mnist(tmp_path)
    (tmp_path / "train-images-idx3-ubyte").write_bytes(idx(np.zeros((3, 2, 2), np.uint8), 8))
    (tmp_path / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(2, np.uint8), 8))
    with pytest.raises(ValueError, match="belong together"):
        read_mnist(tmp_path)


def test_digits_of_the_repository():
    images, labels = read_mnist(DIGITS, train=False)
    assert images.shape == (1000, 28, 28) and np.bincount(labels.numpy()).tolist() == [100] * 10


def test_characters():
    data = CharacterDataset("abracadabra", 4)
    assert data.vocabulary == "abcdr" and len(data) == 7
    assert data.decode(data[6][0]) == "dabr" and data.decode(data[-1][1]) == "abra"
    inputs, targets = next(iter(DataLoader(Subset(data, [1, 0]), 2)))
    assert [data.decode(row) for row in inputs] == ["brac", "abra"]
    assert [data.decode(row) for row in targets] == ["raca", "brac"]
    assert data.encode("bad").tolist() == [1, 0, 3]
    assert CharacterDataset("bb", 1, vocabulary="ab")[0][0].tolist() == [1]
    with pytest.raises(IndexError):
        data[7]
    with pytest.raises(ValueError, match="lacks 'z'"):
        data.encode("z")
    with pytest.raises(ValueError, match="4 characters"):
        CharacterDataset("abcd", 4)


def test_text(tmp_path):
    (tmp_path / "text").write_bytes("ä\r\nb".encode())
    assert read_text(tmp_path / "text") == "ä\nb"
    with pytest.raises(ValueError, match="not text in ascii"):
        read_text(tmp_path / "text", "ascii")
