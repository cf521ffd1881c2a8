"""Loaders beside PyTorch's: the same snippets give the same batches, types and errors.

Random orders differ, so what is compared is in order or sorted.
"""

from __future__ import annotations

import collections

import numpy as np
import pytest

import grad
import grad.utils.data

torch = pytest.importorskip("torch")
LIBRARIES = [(grad, grad.utils.data), (torch, torch.utils.data)]


def described(value):
    """A value without its library: tensors are told by dtype, shape and elements."""
    if isinstance(value, grad.Tensor | torch.Tensor):
        name = str(value.dtype).removeprefix("torch.").removeprefix("grad.")
        return ("tensor", name, tuple(value.shape), value.tolist())
    if isinstance(value, dict):
        return type(value).__name__, {key: described(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value).__name__, [described(item) for item in value]
    return value


Pair = collections.namedtuple("Pair", "x y")

SAMPLES = {
    "integers": lambda library: [1, 2, 3],
    "floats": lambda library: [1.5, 2.5],
    "bools": lambda library: [True, False],
    "texts": lambda library: ["a", "b"],
    "bytes": lambda library: [b"a", b"b"],
    "pairs": lambda library: [(1, "a"), (2, "b")],
    "lists": lambda library: [[1, 2.0], [3, 4.0]],
    "named": lambda library: [Pair(1, 2.0), Pair(3, 4.0)],
    "dictionaries": lambda library: [{"a": 1, "b": [2, "c"]}, {"a": 3, "b": [4, "d"]}],
    "ordered": lambda library: [collections.OrderedDict(a=1), collections.OrderedDict(a=2)],
    "arrays": lambda library: [np.ones(3, np.float32), np.zeros(3, np.float32)],
    "numbers": lambda library: [np.float32(1), np.float32(2)],
    "int16": lambda library: [np.int16(1), np.int16(2)],
    "0-d arrays": lambda library: [np.array(1.5), np.array(2.5)],
    "tensors": lambda library: [library.ones(2, 3), library.zeros(2, 3)],
    "strange": lambda library: [Ellipsis],
    "text arrays": lambda library: [np.array(["a"])],
    "uneven lists": lambda library: [[1], [1, 2]],
    "uneven tensors": lambda library: [library.ones(2), library.ones(3)],
    "none": lambda library: [None],
    "empty": lambda library: [],
    "sets": lambda library: [{1}, {2}],
    "deep": lambda library: [([1, (2, {"x": 3})],), ([4, (5, {"x": 6})],)],
}


ERRORS = (TypeError, NotImplementedError, RuntimeError, IndexError, KeyError, ValueError)


def outcome(function, *arguments):
    """What `function` gives, or the kind of its error."""
    try:
        return described(function(*arguments))
    except (*ERRORS, AssertionError) as error:
        return next(kind for kind in (*ERRORS, AssertionError) if isinstance(error, kind))


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("function", ["default_collate", "default_convert"])
def test_collate_and_convert(name, function):
    def run(library, data):
        return getattr(data, function)(SAMPLES[name](library))

    ours, theirs = [outcome(run, *pair) for pair in LIBRARIES]
    assert ours == theirs


LOADERS = {
    "plain": lambda lib, data: data.DataLoader(range(7), 3),
    "one by one": lambda lib, data: data.DataLoader(range(3), batch_size=None),
    "pairs one by one": lambda lib, data: data.DataLoader([(1, np.ones(2))], batch_size=None),
    "drop last": lambda lib, data: data.DataLoader(range(7), 3, drop_last=True),
    "sampler": lambda lib, data: data.DataLoader(range(7), 2, sampler=[3, 1, 5]),
    "batch sampler": lambda lib, data: data.DataLoader(range(7), batch_sampler=[[0, 4], [2]]),
    "negative": lambda lib, data: data.DataLoader(
        data.TensorDataset(lib.arange(5)), sampler=[-1, -5]
    ),
    "outside": lambda lib, data: data.DataLoader(data.TensorDataset(lib.arange(5)), sampler=[5]),
    "own collate": lambda lib, data: data.DataLoader(range(7), 3, collate_fn=sum),
    "tensors": lambda lib, data: data.DataLoader(
        data.TensorDataset(lib.arange(10).reshape(5, 2), lib.arange(5)), 2
    ),
    "subset": lambda lib, data: data.DataLoader(
        data.Subset(data.TensorDataset(lib.arange(5)), [4, 2, 0]), 2
    ),
    "concatenated": lambda lib, data: data.DataLoader(
        data.ConcatDataset([range(3), range(10, 12)]), 2
    ),
    "stacked": lambda lib, data: data.DataLoader(data.StackDataset(a=range(3), b="xyz"), 2),
    "empty": lambda lib, data: data.DataLoader([], 2),
    "empty shuffled": lambda lib, data: data.DataLoader([], 2, shuffle=True),
    "no batch, drop last": lambda lib, data: data.DataLoader([1], None, drop_last=True),
    "batch of nothing": lambda lib, data: data.DataLoader([1], 0),
    "batch of a float": lambda lib, data: data.DataLoader([1], 2.0),
    "empty batch": lambda lib, data: data.DataLoader([1], batch_sampler=[[]]),
    "distributed": lambda lib, data: data.DataLoader(
        range(7), sampler=data.DistributedSampler(range(7), 3, 1, shuffle=False)
    ),
    "distributed, dropping": lambda lib, data: data.DataLoader(
        range(8), sampler=data.DistributedSampler(range(8), 3, 2, shuffle=False, drop_last=True)
    ),
    "more processes than samples": lambda lib, data: data.DataLoader(
        range(2), sampler=data.DistributedSampler(range(2), 5, 4, shuffle=False)
    ),
    "wrong rank": lambda lib, data: data.DistributedSampler(range(7), 3, 3),
    "no length": lambda lib, data: len(data.DataLoader([1, 2], sampler=iter([1]))),
    "concatenation outside": lambda lib, data: data.ConcatDataset([[1]])[-2],
    "nothing stacked": lambda lib, data: data.StackDataset(),
    "nothing concatenated": lambda lib, data: data.ConcatDataset([]),
    "no tensors": lambda lib, data: len(data.TensorDataset()),
    "uneven tensors": lambda lib, data: data.TensorDataset(lib.ones(2), lib.ones(3)),
    "base": lambda lib, data: data.Dataset()[0],
    "split": lambda lib, data: [len(p) for p in data.random_split(range(11), [0.5, 0.25, 0.25])],
    "split wrongly": lambda lib, data: data.random_split(range(11), [5, 5]),
    "split over one": lambda lib, data: data.random_split(range(10), [0.6, 0.6]),
}


@pytest.mark.parametrize("name", LOADERS)
@pytest.mark.parametrize("workers", [0, 2])
def test_batches(name, workers):
    def run(library, data):
        made = LOADERS[name](library, data)
        if not isinstance(made, data.DataLoader):
            return made
        # PyTorch's own workers answer errors with one of two types, by chance.
        if workers and library is grad:
            made.num_workers, made.prefetch_factor = workers, 2
        return [len(made), list(made)]

    ours, theirs = [outcome(run, *pair) for pair in LIBRARIES]
    assert ours == theirs


def stream(data, shared):
    class Stream(data.IterableDataset):
        def __iter__(self):
            info = data.get_worker_info()
            if shared and info is not None:
                return iter(range(info.id, 11, info.num_workers))
            return iter(range(11))

    return Stream()


@pytest.mark.parametrize("workers", [0, 1, 2])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize(
    "settings", [{}, {"batch_size": 3}, {"batch_size": None}, {"batch_size": 4, "drop_last": True}]
)
def test_streams(workers, shared, settings):
    ours, theirs = [
        described(list(data.DataLoader(stream(data, shared), num_workers=workers, **settings)))
        for _, data in LIBRARIES
    ]
    assert ours == theirs
