"""Checkpoints: a run that was killed goes on as if it had not been; files that can't be written."""

from __future__ import annotations

import errno
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import grad
from grad import nn, optim
from grad.compile.recorder import Tape
from grad.io import Checkpoint, FileFormatError
from grad.utils.data import DataLoader, IterableDataset, TensorDataset

REPOSITORY = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("training.py")
STEPS = 30
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(REPOSITORY)}


def start(folder, *options):
    command = [sys.executable, str(SCRIPT), str(folder), str(STEPS), *options]
    return subprocess.Popen(command, env=ENVIRONMENT)


def finish(folder, *options):
    assert start(folder, *options).wait(timeout=120) == 0
    return (folder / "result.pt").read_bytes()


def kill_after(folder, step, delay):
    """Run until the file of `step` is there, and a moment longer."""
    process = start(folder)
    try:
        limit = time.monotonic() + 120
        while process.poll() is None and max(Checkpoint(folder).steps(), default=0) < step:
            assert time.monotonic() < limit
            time.sleep(0.001)
        time.sleep(delay)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    return process.returncode


@pytest.mark.skipif(os.name != "posix", reason="kills a process")
def test_a_killed_run_goes_on_to_the_same_bits(tmp_path):
    (tmp_path / "whole").mkdir()
    expected = finish(tmp_path / "whole")
    moments = random.Random(7)
    step, killed = 0, 0
    folder = tmp_path / "killed"
    while step < STEPS - 5:
        step += moments.randrange(4, 10)
        killed += kill_after(folder, step, moments.uniform(0, 0.01)) == -signal.SIGKILL
        step = max(Checkpoint(folder).steps())
        grad.load(Checkpoint(folder).path(step))
    assert killed >= 3
    assert finish(folder) == expected
    assert len(Checkpoint(folder).steps()) == 3
    assert len(os.listdir(folder)) == 4  # nothing half-written stays


def test_a_compiled_run_goes_on_to_the_same_bits(tmp_path):
    """The steps of a resumed run are recorded anew; the numbers are those of replays."""
    folder = tmp_path / "run"
    whole = tmp_path / "whole"
    for place in (folder, whole):
        place.mkdir()
    expected = finish(whole, "compiled")
    kill_after(folder, 12, 0)
    assert finish(folder, "compiled") == expected


def parts():
    grad.manual_seed(0)
    model = nn.Linear(3, 2)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return {"model": model, "optimizer": optimizer, "progress": {"epoch": 0}}


def test_the_last_files_are_kept(tmp_path):
    checkpoint = Checkpoint(tmp_path / "new" / "folder", keep=2, **parts())
    assert checkpoint.steps() == [] and checkpoint.restore() is None
    for expected in range(4):
        assert checkpoint.save() == checkpoint.path(expected)
    checkpoint.save(100_000_000)
    assert checkpoint.steps() == [3, 100_000_000]
    with pytest.raises(ValueError, match="later"):
        checkpoint.save(5)
    assert checkpoint.save(100_000_000)


def test_state_comes_back(tmp_path):
    mine = parts()
    generator = grad.Generator().manual_seed(3)
    checkpoint = Checkpoint(tmp_path, keep=None, generator=generator, **mine)
    weight = mine["model"].weight.tolist()
    mine["progress"]["best"] = [1.5, None]
    checkpoint.save(1)

    def draw():
        values = grad.rand(3), grad.rand(3, generator=generator)
        return [*(v.tolist() for v in values), random.random(), np.random.rand()]

    expected = draw()
    with grad.no_grad():
        mine["model"].weight.zero_()
    mine["progress"].update(best=2, other=3)
    checkpoint.save(2)
    assert checkpoint.restore(1) == 1
    assert mine["model"].weight.tolist() == weight
    assert mine["progress"] == {"epoch": 0, "best": [1.5, None]}
    assert draw() == expected
    assert checkpoint.restore() == 2 and mine["progress"]["best"] == 2


def test_parts_must_be_the_same(tmp_path):
    Checkpoint(tmp_path, **parts()).save(3)
    model = nn.Linear(3, 2)
    with pytest.raises(FileFormatError, match="optimizer"):
        Checkpoint(tmp_path, model=model).restore()
    assert Checkpoint(tmp_path, model=model).restore(strict=False) == 3
    with pytest.raises(FileNotFoundError):
        Checkpoint(tmp_path, model=model).restore(4)
    with pytest.raises(ValueError, match="number is an int"):
        Checkpoint(tmp_path, number=3)
    with pytest.raises(ValueError, match="keep"):
        Checkpoint(tmp_path, keep=0)


def test_a_damaged_last_file_is_set_aside(tmp_path):
    checkpoint = Checkpoint(tmp_path, **parts())
    for step in (1, 2, 3):
        checkpoint.save(step)
    for step in (2, 3):
        path = checkpoint.path(step)
        path.write_bytes(path.read_bytes()[:-100])
    with pytest.warns(RuntimeWarning, match="damaged"):
        assert checkpoint.restore() == 1
    assert checkpoint.steps() == [1]
    checkpoint.save(2)
    for step in checkpoint.steps():
        checkpoint.path(step).write_bytes(b"")
    with pytest.raises(FileFormatError, match="empty"):
        checkpoint.restore()
    assert checkpoint.steps() == [1, 2]


FULL_DISK = """
import resource, signal, sys
import grad
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path, size = sys.argv[1], int(sys.argv[2])
x = grad.arange(50_000.0).realize()
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
try:
    grad.save({"x": x}, path)
except OSError as error:
    print("OSError", error.errno)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a limit on the size of files")
@pytest.mark.parametrize("name", ["x.pt", "x.safetensors"])
def test_where_nothing_can_be_written_the_old_file_stays(tmp_path, name):
    path = tmp_path / name
    grad.save({"x": grad.ones(3)}, path)
    before = path.read_bytes()
    command = [sys.executable, "-c", FULL_DISK, str(path), "100000"]
    result = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=120)
    assert result.stdout.split() == ["OSError", str(errno.EFBIG)], result.stderr
    assert path.read_bytes() == before and os.listdir(tmp_path) == [name]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_checkpoints(tmp_path, monkeypatch, call):
    checkpoint = Checkpoint(tmp_path, **parts())
    checkpoint.save(1)
    names = os.listdir(tmp_path)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space"):
        checkpoint.save(2)
    monkeypatch.undo()
    assert os.listdir(tmp_path) == names and checkpoint.restore() == 1


# -- loaders ---------------------------------------------------------------------------------------
class Stream(IterableDataset):
    """Ten numbers, in their order."""

    def __iter__(self):
        return iter(range(10))


def loaders():
    data = TensorDataset(grad.arange(23))
    yield lambda: DataLoader(data, 4, shuffle=True)
    yield lambda: DataLoader(data, 4, shuffle=True, generator=grad.Generator().manual_seed(4))
    yield lambda: DataLoader(data, 4)
    yield lambda: DataLoader(data, None, shuffle=True)
    yield lambda: DataLoader(Stream(), 3)
    yield lambda: DataLoader(Stream(), None)
    yield lambda: DataLoader(list(range(9)), 2, drop_last=True, shuffle=True)


def values(batches):
    return [
        grad.tensor(batch[0] if isinstance(batch, list) else batch).tolist() for batch in batches
    ]


@pytest.mark.parametrize("make", [*loaders()])
@pytest.mark.parametrize("done", [0, 1, 3])
def test_a_loader_goes_on_in_the_middle_of_a_pass(tmp_path, make, done):
    def run(loader, checkpoint=None):
        found = []
        for _ in range(2):
            for number, batch in enumerate(loader):
                found += values([batch])
                grad.rand(1).tolist()  # as dropout would
                if checkpoint is not None and number + 1 == done:
                    checkpoint.save()
                    checkpoint = None
        return found

    grad.manual_seed(1)
    loader = make()
    checkpoint = Checkpoint(tmp_path, loader=loader)
    if not done:
        checkpoint.save()
    expected = run(loader, checkpoint if done else None)
    grad.manual_seed(2)
    list(zip(range(2), loader))  # somewhere else
    checkpoint.restore()
    assert run(loader) == expected[done:]


def test_a_pass_inside_a_recorded_function_is_part_of_it(monkeypatch):
    loader = DataLoader([grad.ones(1) * number for number in range(5)], 2)
    monkeypatch.setattr(Tape, "give_up", lambda self, reason: pytest.fail(reason))

    @grad.compile
    def total(x):
        for batch in loader:
            x = x + batch.sum()
        return x

    assert [total(grad.ones(1)).item() for _ in range(4)] == [11] * 4
    assert loader.state_dict() == {"batches": 0, "start": None}
