"""Loading by worker processes: the same batches, whatever happens to the workers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest

import grad
from grad.utils.data import (
    DataLoader,
    Dataset,
    IterableDataset,
    TensorDataset,
    get_worker_info,
)


class Squares(Dataset):
    """Pairs of tensors, as a program would write it."""

    def __init__(self, count=10):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        return grad.full((2, 3), float(index * index)), index


class Failing(Squares):
    def __init__(self, error, at=5):
        super().__init__()
        self.error, self.at = error, at

    def __getitem__(self, index):
        if index == self.at:
            raise self.error
        return super().__getitem__(index)


class Stream(IterableDataset):
    def __init__(self, count, shared=False):
        self.count, self.shared = count, shared

    def __iter__(self):
        info = get_worker_info()
        if info is None or not self.shared:
            return iter(range(self.count))
        return iter(range(info.id, self.count, info.num_workers))


class Big(Squares):
    """Batches that do not fit into a pipe, of different sizes."""

    def __getitem__(self, index):
        return {
            "tensor": grad.full((1000 * (index + 1),), float(index)),
            "array": np.full(30000, index, np.int16),
            "text": str(index) * 20000,
            "half": grad.full((40, 40), index, dtype=grad.bfloat16),
        }


class Endless(Squares):
    """Takes its time."""

    def __getitem__(self, index):
        time.sleep(30)


class Killed(Squares):
    def __getitem__(self, index):
        if index == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        return index


class Leaving(Squares):
    def __getitem__(self, index):
        os._exit(7)


class Info(Squares):
    def __getitem__(self, index):
        info = get_worker_info()
        return info.id, info.num_workers, info.seed, info.dataset is self


class Draws(Squares):
    def __getitem__(self, index):
        return grad.rand(1).item(), np.random.rand()


def as_is(samples):
    return samples


def leave(worker):
    raise ValueError("init")


@pytest.fixture(autouse=True)
def nothing_is_left():
    """No process, no shared memory, no open file."""
    before = set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set()
    files = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    yield
    assert not active_children()
    if os.path.isdir("/dev/shm"):
        assert set(os.listdir("/dev/shm")) <= before
    if files:
        assert len(os.listdir("/proc/self/fd")) <= files


def values(loader):
    return [[part.tolist() for part in batch] for batch in loader]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("dataset", [Squares(11), TensorDataset(grad.arange(11), grad.rand(11, 3))])
def test_the_same_batches_in_the_same_order(workers, dataset):
    def run(count):
        grad.manual_seed(3)
        loader = DataLoader(dataset, 3, shuffle=True, num_workers=count)
        return values(loader) + values(loader)

    assert run(workers) == run(0)


def test_a_killed_worker_is_reported():
    loader = DataLoader(Killed(), 2, num_workers=2)
    with pytest.raises(RuntimeError, match=r"worker \(pid \d+\) is killed by signal: SIGKILL"):
        list(loader)
