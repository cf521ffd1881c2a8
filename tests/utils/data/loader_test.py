"""Datasets and loaders: which samples, in which order, in which batches."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

import grad
from grad.tensor import Tensor
from grad.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    Subset,
    TensorDataset,
    default_collate,
    random_split,
)


class Squares(Dataset):
    def __init__(self, count: int) -> None:
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> tuple[int, float]:
        return index, float(index * index)


def tensors(count: int = 10) -> TensorDataset:
    return TensorDataset(grad.arange(count * 2).reshape(count, 2), grad.arange(count))


def numbers(loader: DataLoader) -> list[list[int]]:
    return [batch[-1].tolist() for batch in loader]


def test_tensor_dataset():
    data = tensors()
    assert len(data) == 10 and data[3][0].tolist() == [6, 7] and data[-1][1].item() == 9
    for bad, error in (
        ((), IndexError),
        ((grad.arange(3), grad.arange(4)), AssertionError),
        ((Tensor(1.0),), IndexError),
    ):
        with pytest.raises(error):
            TensorDataset(*bad)


def test_loader_in_order():
    loader = DataLoader(tensors(), batch_size=4)
    assert len(loader) == 3 and numbers(loader) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert numbers(DataLoader(tensors(), batch_size=4, drop_last=True)) == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
    ]
    images, labels = next(iter(loader))
    assert images.tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]] and labels.dtype is grad.int64


def test_shuffled_loader_is_a_permutation_decided_by_the_seed():
    loader = DataLoader(tensors(50), batch_size=10, shuffle=True)
    grad.manual_seed(4)
    first, second = numbers(loader), numbers(loader)
    assert first != second
    assert sorted(n for batch in first for n in batch) == list(range(50))
    grad.manual_seed(4)
    assert numbers(loader) == first


def test_generator_decides_alone():
    def order():
        generator = grad.Generator().manual_seed(7)
        return numbers(DataLoader(tensors(20), 5, shuffle=True, generator=generator))

    first = order()
    grad.manual_seed(99)
    assert order() == first


def test_general_dataset_is_collated():
    index, square = next(iter(DataLoader(Squares(5), batch_size=3)))
    assert index.tolist() == [0, 1, 2] and square.tolist() == [0.0, 1.0, 4.0]
    assert index.dtype is grad.int64 and square.dtype is grad.float64
    assert list(DataLoader(Squares(3), batch_size=None)) == [[0, 0.0], [1, 1.0], [2, 4.0]]
    batches = list(DataLoader(Squares(3), batch_size=2, collate_fn=len))
    assert batches == [2, 1]


def test_samplers():
    assert next(iter(DataLoader(Squares(4), batch_size=None, sampler=[2, 0]))) == [2, 4.0]
    assert numbers(DataLoader(tensors(), batch_sampler=[[1], [3, 5]])) == [[1], [3, 5]]
    drawn = list(RandomSampler(range(3), replacement=True, num_samples=20))
    assert len(drawn) == 20 and set(drawn) <= {0, 1, 2}
    assert sorted(RandomSampler(range(3), num_samples=6)) == [0, 0, 1, 1, 2, 2]
    with pytest.raises(ValueError):
        RandomSampler(range(3), num_samples=0)
    with pytest.raises(ValueError):
        BatchSampler(range(3), 0, False)


def test_iterable_dataset():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(range(5))

    assert [b.tolist() for b in DataLoader(Stream(), batch_size=2)] == [[0, 1], [2, 3], [4]]
    with pytest.raises(ValueError):
        DataLoader(Stream(), shuffle=True)


@pytest.mark.parametrize(
    "settings",
    [
        {"sampler": [0], "shuffle": True},
        {"batch_sampler": [[0]], "batch_size": 2},
        {"batch_size": None, "drop_last": True},
        {"batch_size": -1},
    ],
)
def test_contradictory_settings_raise(settings):
    with pytest.raises(ValueError):
        DataLoader(tensors(), **settings)


def test_parts_of_datasets():
    part = Subset(Squares(10), [9, 1])
    assert len(part) == 2 and part[0] == (9, 81.0)
    both = Squares(2) + ConcatDataset([Squares(3), Squares(1)])
    assert [both[i][0] for i in range(6)] == [0, 1, 0, 1, 2, 0] and both[-1] == (0, 0.0)
    with pytest.raises(IndexError):
        both[6]
    with pytest.raises(AssertionError):
        ConcatDataset([])


def test_random_split():
    parts = random_split(Squares(10), [7, 3])
    assert [len(p) for p in parts] == [7, 3]
    assert sorted(i for p in parts for i, _ in (p[n] for n in range(len(p)))) == list(range(10))
    assert [len(p) for p in random_split(Squares(10), [0.55, 0.45])] == [6, 4]
    assert [len(p) for p in random_split(Squares(1), [1])] == [1]
    with pytest.raises(ValueError, match="Sum of input lengths"):
        random_split(Squares(10), [7, 4])


def test_default_collate():
    class Pair(NamedTuple):
        x: int
        y: str

    pair = default_collate([Pair(1, "a"), Pair(2, "b")])
    assert isinstance(pair, Pair) and pair.x.tolist() == [1, 2] and pair.y == ("a", "b")
    nested = default_collate([{"t": Tensor([1.0]), "n": np.float32(2)}] * 2)
    assert nested["t"].tolist() == [[1.0], [1.0]] and nested["n"].dtype is grad.float32
    assert default_collate([True, False]).dtype is grad.bool
    with pytest.raises(RuntimeError, match="equal size"):
        default_collate([[1], [1, 2]])
    with pytest.raises(TypeError, match="collate_fn"):
        default_collate([object()])
