"""Loading by worker processes: the same batches, whatever happens to the workers."""

from __future__ import annotations

import gc
import os
import signal
import subprocess
import sys
import textwrap
import time
from multiprocessing import active_children, resource_tracker
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
    resource_tracker.ensure_running()  # which Python does for spawned processes, once and for all
    before = set(os.listdir("/dev/shm")) if os.path.isdir("/dev/shm") else set()
    files = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    yield
    gc.collect()  # tracebacks hold iterators
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


def test_elements_travel_through_shared_memory_that_is_used_again():
    for number, batch in enumerate(DataLoader(Big(7), None, num_workers=1, collate_fn=as_is)):
        expected = Big(7)[number]
        for name in ("tensor", "half"):
            assert batch[name].dtype is expected[name].dtype
            assert batch[name].tolist() == expected[name].tolist()
        assert np.array_equal(batch["array"], expected["array"])
        assert batch["array"].dtype == np.int16 and batch["array"].flags.owndata
        assert batch["text"] == expected["text"]


def test_batches_keep_their_values_after_the_pass():
    batches = list(
        DataLoader(TensorDataset(grad.arange(40960).reshape(20, 2048)), 4, num_workers=1)
    )
    joined = grad.cat([batch[0] for batch in batches])
    assert joined.tolist() == np.arange(40960).reshape(20, 2048).tolist()


def test_one_tensor_twice_in_a_batch_stays_one():
    tensor = grad.ones(5000)
    (batch,) = DataLoader([0], None, num_workers=1, collate_fn=lambda _: [tensor, tensor])
    assert batch[0] is batch[1]


def test_gradients_stop_at_a_worker():
    leaf = grad.ones(3, requires_grad=True)
    (batch,) = DataLoader([0], None, num_workers=1, collate_fn=lambda _: leaf)
    assert batch.requires_grad and batch.is_leaf
    with pytest.raises(grad.errors.GradientError, match="only leaf tensors"):
        list(DataLoader([0], None, num_workers=1, collate_fn=lambda _: leaf * 2))


@pytest.mark.parametrize("error", [ValueError("bad"), KeyError("bad"), IndexError("bad")])
def test_an_exception_comes_with_its_traceback(error):
    loader = DataLoader(Failing(error), 2, num_workers=2)
    iterator = iter(loader)
    assert [next(iterator)[1].tolist(), next(iterator)[1].tolist()] == [[0, 1], [2, 3]]
    name = type(error).__name__
    with pytest.raises(type(error)) as caught:
        next(iterator)
    text = str(caught.value)
    assert text.startswith(f"Caught {name} in DataLoader worker process 0.\nOriginal Traceback")
    assert "in __getitem__\n    raise self.error\n" in text
    # The pass goes on, as in PyTorch.
    assert [batch[1].tolist() for batch in iterator] == [[6, 7], [8, 9]]


def test_an_exception_that_cannot_be_sent_is_a_runtime_error():
    class Local(Exception):
        pass

    with pytest.raises(RuntimeError, match="Caught Local in DataLoader worker process 0"):
        list(DataLoader(Failing(Local(), 0), num_workers=1))


def test_an_exception_with_other_arguments_is_a_runtime_error():
    error = UnicodeDecodeError("utf-8", b"x", 0, 1, "reason")
    with pytest.raises(RuntimeError, match="Caught UnicodeDecodeError"):
        list(DataLoader(Failing(error, 0), num_workers=1))


class Worded(Exception):
    """Has a message of its own, whatever it is given."""

    def __init__(self, cause: object = None) -> None:
        super().__init__("worded")


def test_an_exception_with_a_message_of_its_own_has_the_traceback_as_a_note():
    with pytest.raises(Worded, match="worded") as caught:
        list(DataLoader(Failing(Worded(), 0), num_workers=1))
    assert "Original Traceback" in caught.value.__notes__[0]


@pytest.mark.parametrize("workers", [0, 1])
def test_stop_iteration_in_a_dataset_does_not_end_the_pass(workers):
    with pytest.raises(RuntimeError, match="StopIteration"):
        list(DataLoader(Failing(StopIteration()), num_workers=workers))


def test_an_exception_of_the_init_function():
    with pytest.raises(ValueError, match=r"(?s)Caught ValueError.*init"):
        list(DataLoader(Squares(), num_workers=1, worker_init_fn=leave))


def test_a_batch_that_cannot_be_pickled():
    loader = DataLoader([0, 1], None, num_workers=1, collate_fn=lambda n: lambda: n)
    with pytest.raises(Exception, match=r"(?s)Caught .*pickle"):
        list(loader)


def test_a_worker_that_exits_is_reported():
    with pytest.raises(RuntimeError, match=r"exited unexpectedly, with exit code 7"):
        list(DataLoader(Leaving(), 2, num_workers=1))


def test_after_a_death_the_iterator_says_so_and_the_loader_begins_anew():
    loader = DataLoader(Killed(), 2, num_workers=1, persistent_workers=True)
    iterator = iter(loader)
    for _ in range(2):
        next(iterator)
    for _ in range(2):
        with pytest.raises(RuntimeError):
            next(iterator)
    assert next(iter(loader)).tolist() == [0, 1]
    loader._iterator.close()


def test_workers_killed_from_outside_while_idle():
    loader = DataLoader(Squares(50), 1, num_workers=2)
    iterator = iter(loader)
    next(iterator)
    for process in active_children():
        os.kill(process.pid, signal.SIGTERM)
    with pytest.raises(RuntimeError, match="SIGTERM"):
        for _ in range(50):
            next(iterator)


def test_timeout():
    with pytest.raises(RuntimeError, match=r"timed out after 0\.2 seconds"):
        list(DataLoader(Endless(), num_workers=1, timeout=0.2))


def test_an_abandoned_iterator_ends_its_workers():
    iterator = iter(DataLoader(Squares(1000), num_workers=2))
    next(iterator)
    assert len(active_children()) == 2
    del iterator
    assert not active_children()


def test_a_loop_that_breaks_ends_its_workers():
    for _ in DataLoader(Squares(1000), num_workers=1):
        break
    assert not active_children()


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_each_worker_iterates_over_its_copy_of_a_stream(workers):
    batches = [b.tolist() for b in DataLoader(Stream(5), 2, num_workers=workers)]
    whole = [[0, 1], [2, 3], [4]]
    assert batches == [batch for batch in whole for _ in range(max(workers, 1))]


def test_a_shared_stream():
    loader = DataLoader(Stream(9, shared=True), 2, num_workers=2)
    assert [b.tolist() for b in loader] == [[0, 2], [1, 3], [4, 6], [5, 7], [8]]
    uneven = DataLoader(Stream(2, shared=True), None, num_workers=2, drop_last=False)
    assert [int(n) for n in uneven] == [0, 1]
    assert [b.tolist() for b in DataLoader(Stream(9, True), 2, num_workers=2, drop_last=True)] == [
        [0, 2],
        [1, 3],
        [4, 6],
        [5, 7],
    ]


def test_streams_of_different_lengths():
    class Uneven(IterableDataset):
        def __iter__(self):
            worker = get_worker_info().id
            return iter([worker] * (1 if worker == 0 else 6))

    values = [int(n) for n in DataLoader(Uneven(), None, num_workers=2)]
    assert sorted(values) == [0] + [1] * 6


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("dataset", [Squares(12), Stream(12)])
@pytest.mark.parametrize("persistent", [False, True])
def test_a_pass_is_taken_up_again(dataset, workers, persistent):
    def make():
        kind = {"persistent_workers": True} if persistent and workers else {}
        shuffle = not isinstance(dataset, IterableDataset)
        return DataLoader(dataset, 2, shuffle=shuffle, num_workers=workers, **kind)

    grad.manual_seed(5)
    loader = make()
    iterator = iter(loader)
    for _ in range(3):
        next(iterator)
    saved = loader.state_dict(), grad.get_rng_state()
    rest = [repr(batch) for batch in iterator] + [repr(batch) for batch in loader]
    assert loader.state_dict() == {"batches": 0, "start": None}
    again = make()
    grad.manual_seed(77)
    next(iter(again))
    grad.set_rng_state(saved[1])
    again.load_state_dict(saved[0])
    assert [repr(batch) for batch in again] + [repr(batch) for batch in again] == rest


@pytest.mark.parametrize("dataset", [Squares(9), Stream(9)])
def test_persistent_workers_serve_every_pass(dataset):
    loader = DataLoader(dataset, 2, num_workers=2, persistent_workers=True)
    first = iter(loader)
    processes = sorted(process.pid for process in active_children())
    whole = [repr(batch) for batch in first]
    assert sorted(process.pid for process in active_children()) == processes
    next(iter(loader))  # abandoned in the middle
    assert [repr(batch) for batch in loader] == whole
    assert sorted(process.pid for process in active_children()) == processes
    first.close()


def test_out_of_order():
    loader = DataLoader(Squares(20), 2, num_workers=2, in_order=False)
    assert sorted(n for _, numbers in loader for n in numbers.tolist()) == list(range(20))
    stream = DataLoader(Stream(7, shared=True), 2, num_workers=2, in_order=False)
    assert sorted(n for numbers in stream for n in numbers.tolist()) == list(range(7))


def test_what_a_worker_knows_of_itself():
    assert get_worker_info() is None
    grad.manual_seed(0)
    found = list(DataLoader(Info(4), None, num_workers=2, collate_fn=as_is))
    assert [(number, count, same) for number, count, _, same in found] == [
        (0, 2, True),
        (1, 2, True),
        (0, 2, True),
        (1, 2, True),
    ]
    assert found[1][2] == found[0][2] + 1 and found[2][2] == found[0][2]


def test_random_numbers_of_workers_are_decided_by_the_seed():
    def run():
        return list(DataLoader(Draws(4), None, num_workers=2, collate_fn=as_is))

    grad.manual_seed(1)
    first, second = run(), run()
    assert len({number for pair in first + second for number in pair}) == 16
    grad.manual_seed(1)
    assert run() == first
    assert get_worker_info() is None


def test_init_function_runs_in_each_worker():
    def init(worker):
        dataset = get_worker_info().dataset
        dataset.count = 100 + worker

    class Counted(Squares):
        def __getitem__(self, index):
            return self.count

    batches = DataLoader(Counted(4), 1, num_workers=2, worker_init_fn=init)
    assert [b.item() for b in batches] == [100, 101, 100, 101]


def test_spawned_workers():
    dataset = TensorDataset(grad.arange(6), grad.ones(6, 2000))
    loader = DataLoader(dataset, 4, num_workers=1, multiprocessing_context="spawn")
    assert [batch[0].tolist() for batch in loader] == [[0, 1, 2, 3], [4, 5]]


def test_what_cannot_be_pickled_cannot_be_spawned():
    loader = DataLoader([1], num_workers=1, collate_fn=lambda x: x, multiprocessing_context="spawn")
    with pytest.raises(Exception, match="pickle"):
        iter(loader)


def test_large_entries_do_not_fill_the_pipe():
    rows = TensorDataset(grad.arange(60000))
    loader = DataLoader(rows, 30000, num_workers=1, prefetch_factor=8)
    assert sum(len(batch[0]) for batch in loader) == 60000


def test_fork_while_the_thread_pool_computes():
    grad.rand(300, 300).matmul(grad.rand(300, 300)).sum().item()

    class Products(Squares):
        def __getitem__(self, index):
            return (grad.full((64, 64), float(index)) @ grad.ones(64, 64)).sum()

    batches = list(DataLoader(Products(6), 3, num_workers=2))
    assert [b.tolist() for b in batches] == [
        [64.0**3 * index for index in part] for part in ([0, 1, 2], [3, 4, 5])
    ]


PROGRAM = """
    import os, signal, sys, threading, time
    from grad.utils.data import DataLoader, Dataset

    class Slow(Dataset):
        def __len__(self):
            return 100
        def __getitem__(self, index):
            if index > 3:
                time.sleep({sleep})
            return index

    if __name__ == "__main__":
        loader = DataLoader(Slow(), num_workers=2)
        for batch in loader:
            print(batch.item(), flush=True)
"""


def program(tmp_path: Path, sleep: float) -> subprocess.Popen:
    """A program in a process group of its own, which has come to its fourth batch."""
    path = tmp_path / "program.py"
    path.write_text(textwrap.dedent(PROGRAM.format(sleep=sleep)))
    process = subprocess.Popen(
        [sys.executable, path],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    for _ in range(4):
        process.stdout.readline()
    return process


def group_is_gone(group: int, seconds: float = 8) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    os.killpg(group, signal.SIGKILL)
    return False


def test_interrupt_ends_everything(tmp_path):
    process = program(tmp_path, sleep=30)
    os.killpg(process.pid, signal.SIGINT)  # as Ctrl-C at a terminal does
    _, errors = process.communicate(timeout=20)
    assert process.returncode == -signal.SIGINT
    assert errors.count("Traceback") == 1 and errors.rstrip().endswith("KeyboardInterrupt")
    assert group_is_gone(process.pid)


def test_workers_end_when_their_program_is_killed(tmp_path):
    process = program(tmp_path, sleep=0.2)
    process.kill()
    process.communicate(timeout=20)
    assert group_is_gone(process.pid)
