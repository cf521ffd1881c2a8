"""Datasets and loaders: which samples, in which order, in which batches."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

import numpy as np
import pytest

import grad
from grad.tensor import Tensor
from grad.utils.data import (
    BatchSampler,
    ChainDataset,
    ConcatDataset,
    DataLoader,
    Dataset,
    DistributedSampler,
    IterableDataset,
    RandomSampler,
    Sampler,
    StackDataset,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    default_collate,
    default_collate_fn_map,
    default_convert,
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


def test_weighted_samples():
    sampler = WeightedRandomSampler([0.0, 3.0, 1.0], 4000)
    counts = np.bincount(list(sampler), minlength=3)
    assert len(sampler) == 4000 and counts[0] == 0 and abs(counts[1] - 3000) < 200
    once = WeightedRandomSampler(Tensor([0.5, 0.0, 0.1, 9]), 3, replacement=False)
    assert sorted(once) == [0, 2, 3]
    for arguments in (([1.0], 0), ([1.0], True), ([1.0], 1, 1), ([[1.0]], 1)):
        with pytest.raises(ValueError):
            WeightedRandomSampler(*arguments)
    for weights in ([1.0, -1.0], [0.0, 0.0], [1.0, float("nan")]):
        with pytest.raises(RuntimeError):
            list(WeightedRandomSampler(weights, 1))
    with pytest.raises(RuntimeError):
        list(WeightedRandomSampler([1.0, 0.0], 2, replacement=False))


def test_subset_random_sampler():
    sampler = SubsetRandomSampler([7, 3, 5])
    assert len(sampler) == 3 and sorted(sampler) == [3, 5, 7]
    orders = {tuple(sampler) for _ in range(50)}
    assert len(orders) == 6


def test_a_sampler_of_ones_own():
    class Backwards(Sampler[int]):
        def __iter__(self):
            return iter([2, 1, 0])

    assert [int(i) for i, _ in DataLoader(Squares(3), None, sampler=Backwards())] == [2, 1, 0]
    with pytest.raises(NotImplementedError):
        iter(Sampler())
    with pytest.raises(TypeError):
        RandomSampler(range(3), replacement=1)
    with pytest.raises(ValueError):
        BatchSampler(range(3), 1, drop_last=1)
    with pytest.raises(ValueError):
        DataLoader([], shuffle=True)


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
        {"num_workers": -1},
        {"timeout": -1},
        {"prefetch_factor": 2},
        {"prefetch_factor": -2, "num_workers": 1},
        {"persistent_workers": True},
        {"multiprocessing_context": "fork"},
        {"multiprocessing_context": "threads", "num_workers": 1},
        {"sampler": [0], "shuffle": True},
        {"batch_sampler": [[0]], "batch_size": 2},
        {"batch_size": None, "drop_last": True},
        {"batch_size": -1},
    ],
)
def test_contradictory_settings_raise(settings):
    with pytest.raises(ValueError):
        DataLoader(tensors(), **settings)


def test_settings_that_are_fixed():
    loader = DataLoader(tensors(), 2)
    for name in ("batch_size", "sampler", "drop_last", "dataset", "batch_sampler"):
        with pytest.raises(ValueError, match="should not be set"):
            setattr(loader, name, None)
    with pytest.raises(TypeError, match="multiprocessing_context"):
        DataLoader(tensors(), num_workers=1, multiprocessing_context=3)
    with pytest.warns(UserWarning, match="5000 worker"):
        DataLoader(tensors(), num_workers=5000)
    assert loader.collate_fn is default_collate and loader.batch_size == 2
    assert DataLoader(tensors(), None).collate_fn is default_convert
    assert DataLoader(tensors(), batch_sampler=[[1]]).batch_size is None


def test_parts_of_datasets():
    part = Subset(Squares(10), [9, 1])
    assert len(part) == 2 and part[0] == (9, 81.0)
    both = Squares(2) + ConcatDataset([Squares(3), Squares(1)])
    assert [both[i][0] for i in range(6)] == [0, 1, 0, 1, 2, 0] and both[-1] == (0, 0.0)
    with pytest.raises(IndexError):
        both[6]
    with pytest.raises(AssertionError):
        ConcatDataset([])


def test_datasets_side_by_side():
    pairs = StackDataset(Squares(3), TensorDataset(grad.arange(3)))
    assert len(pairs) == 3 and pairs[1][0] == (1, 1.0) and pairs[1][1][0].item() == 1
    named = StackDataset(number=[1, 2], part=Subset([5, 6, 7], [2, 0]))
    assert named[1] == {"number": 2, "part": 5}
    (batch,) = DataLoader(named, 2)
    assert {name: column.tolist() for name, column in batch.items()} == {
        "number": [1, 2],
        "part": [7, 5],
    }
    for parts, names in (((), {}), (([1], [1, 2]), {}), (([1],), {"a": [1]})):
        with pytest.raises(ValueError):
            StackDataset(*parts, **names)

    class Short(Squares):
        def __getitems__(self, indices):
            return []

    with pytest.raises(ValueError, match="Expected 2, got 0"):
        next(iter(DataLoader(StackDataset(Short(3)), 2)))


def test_chained_streams():
    class Stream(IterableDataset):
        def __init__(self, count):
            self.count = count

        def __iter__(self):
            return iter(range(self.count))

        def __len__(self):
            return self.count

    both = Stream(2) + Stream(3)
    assert isinstance(both, ChainDataset) and list(both) == [0, 1, 0, 1, 2] and len(both) == 5
    assert len(DataLoader(both, 2)) == 3 and len(DataLoader(both, 2, drop_last=True)) == 2
    with pytest.raises(AssertionError):
        list(ChainDataset([[1]]))
    with pytest.raises(AssertionError):
        ConcatDataset([both])


def test_getitems_is_asked_for_whole_batches():
    class Asked(Squares):
        def __getitems__(self, indices):
            return [-index for index in indices]

    assert [b.tolist() for b in DataLoader(Asked(3), 2)] == [[0, -1], [-2]]
    assert [b.tolist() for b in DataLoader(Subset(Asked(3), [2, 1]), 2)] == [[-2, -1]]

    class Half(Subset):
        def __getitem__(self, index):
            return 0

    with pytest.raises(NotImplementedError, match="__getitems__"):
        Half([1], [0])


def test_a_tensor_dataset_is_gathered_only_if_that_is_all_it_does():
    class Changed(TensorDataset):
        def __getitem__(self, index):
            return (super().__getitem__(index)[0] + 100,)

    data = Changed(grad.arange(4))
    for dataset in (data, Subset(data, [0, 1, 2, 3])):
        assert next(iter(DataLoader(dataset, 2)))[0].tolist() == [100, 101]
    scale = grad.ones(3, requires_grad=True)
    ((rows,),) = DataLoader(TensorDataset(scale), 3)
    rows.sum().backward()
    assert scale.grad.tolist() == [1, 1, 1]
    turned = grad.arange(12).reshape(3, 4).T
    ((rows,),) = DataLoader(Subset(TensorDataset(turned), [3, -4]), 2)
    assert rows.tolist() == [[3, 7, 11], [0, 4, 8]]
    with pytest.raises(IndexError):
        list(DataLoader(TensorDataset(turned), sampler=[4]))


def test_default_convert():
    class Point(NamedTuple):
        x: object
        y: object

    found = default_convert({"a": np.float32(2), "b": ["c", np.array([1])], "d": Point(b"e", 1)})
    assert found["a"].dtype is grad.float32 and found["b"][0] == "c"
    assert found["b"][1].tolist() == [1] and found["d"] == Point(b"e", 1)
    assert default_convert(np.array(["text"]))[0] == "text"


def test_collating_types_of_ones_own(monkeypatch):
    class Word:
        pass

    def count(batch, *, collate_fn_map):
        return len(batch)

    monkeypatch.setitem(default_collate_fn_map, Word, count)
    assert default_collate([{"w": Word()}, {"w": Word()}]) == {"w": 2}
    counted = Counter(a=1)
    assert type(default_collate([counted, counted])) is Counter
    assert default_collate([["a", 1], ["b", 2]])[0] == ("a", "b")
    assert default_collate([1, 2.5]).dtype is grad.float32  # as of a list
    assert default_collate([1.0, 2.5]).dtype is grad.float64


def test_tensors_of_different_sizes_do_not_stack():
    with pytest.raises((RuntimeError, ValueError)):
        default_collate([grad.ones(2), grad.ones(3)])
    with pytest.raises(RuntimeError):
        default_collate([np.ones(2), np.ones(3)])
    with pytest.raises(TypeError):
        default_collate([np.array(["a"])])


def test_random_split():
    parts = random_split(Squares(10), [7, 3])
    assert [len(p) for p in parts] == [7, 3]
    assert sorted(i for p in parts for i, _ in (p[n] for n in range(len(p)))) == list(range(10))
    assert [len(p) for p in random_split(Squares(10), [0.55, 0.45])] == [6, 4]
    assert [len(p) for p in random_split(Squares(1), [1])] == [1]
    with pytest.raises(ValueError, match="Sum of input lengths"):
        random_split(Squares(10), [7, 4])
    with pytest.raises(ValueError, match="Fraction at index 0"):
        random_split(Squares(10), [1.5, -0.5])
    with pytest.warns(UserWarning, match="split at index 1 is 0"):
        random_split(Squares(1), [0.5, 0.5])
    generator = grad.Generator().manual_seed(1)
    first = random_split(range(9), [4, 5], generator)[0].indices
    assert random_split(range(9), [4, 5], generator.manual_seed(1))[0].indices == first


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


@pytest.mark.parametrize(
    "batch", [[1.5, None], [1.5, "2.5"], [1, None], [1, "2"], [2**70], [True, None]]
)
def test_numbers_beside_what_is_none_raise(batch):
    with pytest.raises(TypeError, match=r"cannot hold|made of strings|fit"):
        default_collate(batch)


def test_numbers_of_several_kinds():
    assert default_collate([1.5, 2, True]).dtype is grad.float64
    assert default_collate([1, True]).dtype is grad.int64
    assert default_collate([1, 2.5]).tolist() == [1, 2.5]
    assert default_collate([1.5, Tensor(2.5)]).tolist() == [1.5, 2.5]


def test_generators_of_another_library():
    class Drawn(Sampler):
        def __init__(self):
            self.generator = np.random.default_rng(0)

        def __iter__(self):
            return iter([2, 1])

    assert numbers(DataLoader(tensors(), 2, sampler=Drawn())) == [[2, 1]]
    with pytest.raises(TypeError, match="generator"):
        DataLoader(tensors(), shuffle=True, generator=np.random.default_rng(0))


def test_shares_of_several_processes():
    shares = [DistributedSampler(range(7), 3, rank, seed=2) for rank in range(3)]
    first = [list(share) for share in shares]
    assert [len(numbers) for numbers in first] == [3, 3, 3] == [len(share) for share in shares]
    assert {number for numbers in first for number in numbers} == set(range(7))
    assert [list(share) for share in shares] == first
    for share in shares:
        share.set_epoch(1)
    assert [list(share) for share in shares] != first
