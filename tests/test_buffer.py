"""Buffers: alignment, views, reuse, limits, statistics, threads, finalisers and forks."""

from __future__ import annotations

import ctypes
import gc
import mmap
import os
import signal
import subprocess
import sys
import threading
import time
import weakref
from itertools import pairwise
from pathlib import Path

import ml_dtypes
import numpy as np
import pytest

from grad import buffer as buffer_module
from grad.buffer import (
    Buffer,
    clear_buffer_cache,
    configure_buffer_pool,
    get_buffer_memory_stats,
)
from grad.dtype import ALL_DTYPES
from grad.errors import OutOfMemoryError
from grad.runtime import memory, slabs
from grad.runtime.buffer_pool import BufferPool, readable
from grad.runtime.memory import capacity_for
from grad.runtime.slabs import map_huge

ROOT = Path(__file__).parents[1]
MEGABYTE = 1 << 20
FLOAT32 = np.dtype(np.float32)
SIZES = [0, 1, 63, 64, 65, 4096, 65536, 65537, MEGABYTE - 1, MEGABYTE, MEGABYTE + 1, 5 * MEGABYTE]


@pytest.fixture(autouse=True)
def default_pool():
    before = get_buffer_memory_stats()
    yield
    configure_buffer_pool(
        max_cached_bytes=before["max_cached_bytes"],
        limit_bytes=before["limit_bytes"],
        enabled=before["enabled"],
    )


@pytest.mark.parametrize("nbytes", SIZES)
def test_memory_is_aligned_writable_and_exact(nbytes):
    buffer = Buffer(nbytes)
    assert buffer.address % 64 == 0
    assert buffer.nbytes == nbytes == buffer.memory.nbytes
    assert not buffer.memory.readonly
    buffer.memory[:] = b"\xa5" * nbytes
    assert bytes(buffer.memory) == b"\xa5" * nbytes


def test_living_buffers_do_not_overlap():
    buffers = [Buffer(nbytes) for nbytes in SIZES * 4]
    ranges = sorted((b.address, b.address + b.nbytes) for b in buffers)
    assert all(end <= start for (_, end), (start, _) in pairwise(ranges))


@pytest.mark.parametrize("nbytes", SIZES[1:])
def test_a_block_is_used_again(nbytes):
    first = Buffer(nbytes)
    address = first.address
    del first
    hits = get_buffer_memory_stats()["hits"]
    assert Buffer(nbytes).address == address
    assert get_buffer_memory_stats()["hits"] == hits + 1


@pytest.mark.parametrize("nbytes", [*SIZES, 100 * MEGABYTE, 2**40 + 1])
def test_size_classes_waste_little(nbytes):
    capacity = capacity_for(nbytes)
    assert capacity >= max(nbytes, 64)
    assert capacity % 64 == 0
    assert capacity_for(capacity) == capacity
    if nbytes > MEGABYTE:
        assert capacity <= 1.25 * nbytes
    elif nbytes > 64:
        assert capacity < 2 * nbytes


@pytest.mark.parametrize("dtype", [d.numpy for d in ALL_DTYPES], ids=str)
def test_views_of_every_dtype_share_the_memory(dtype):
    buffer = Buffer(6 * dtype.itemsize + dtype.itemsize)
    size = dtype.itemsize
    view = buffer.numpy(dtype, (2, 3), (3 * size, size), size)
    assert (view.dtype, view.shape, view.strides) == (dtype, (2, 3), (3 * size, size))
    view[...] = np.arange(6).reshape(2, 3).astype(dtype)
    flipped = buffer.numpy(dtype, (3, 2), (-size, 3 * size), 3 * size)
    assert (flipped == view.T[::-1]).all()
    assert view.ctypes.data == buffer.address + size
    flipped[0, 0] = 1
    assert view[0, 2] == 1


@pytest.mark.parametrize("dtype", [FLOAT32, np.dtype(ml_dtypes.bfloat16)], ids=str)
def test_empty_and_scalar_views(dtype):
    for buffer in (Buffer(0), Buffer.external(0, 0, None)):
        view = buffer.numpy(dtype, (0, 3), (3 * dtype.itemsize, dtype.itemsize), 0)
        assert (view.shape, view.dtype) == ((0, 3), dtype)
        assert buffer.memory.nbytes == 0
    scalar = Buffer(dtype.itemsize).numpy(dtype, (), (), 0)
    scalar[...] = 2
    assert scalar.shape == ()
    assert float(scalar) == 2


def test_views_pin_the_buffer():
    buffer = Buffer(1000)
    alive = weakref.ref(buffer)
    view = buffer.numpy(FLOAT32, (10,), (4,), 0)[2:5]
    memory = buffer.memory
    address = buffer.address
    del buffer
    gc.collect()
    assert alive() is not None
    assert all(Buffer(1000).address != address for _ in range(3))
    del view
    assert alive() is not None
    del memory
    assert alive() is None


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [((7,), (4,), 0), ((6,), (4,), 4), ((6,), (-4,), 16), ((1,), (4,), -4), ((2, 2), (24, 4), 0)],
)
def test_views_outside_the_buffer_are_refused(shape, strides, offset):
    with pytest.raises(ValueError, match="of a buffer of 24"):
        Buffer(24).numpy(FLOAT32, shape, strides, offset)


def test_external_memory_keeps_its_owner():
    owner = np.arange(6, dtype=np.float32)
    alive = weakref.ref(owner)
    buffer = Buffer.external(owner.ctypes.data, owner.nbytes, owner)
    before = get_buffer_memory_stats()["in_use_bytes"]
    view = buffer.numpy(FLOAT32, (2, 3), (12, 4), 0)
    view[0, 0] = 9
    assert owner[0] == 9
    del owner, buffer
    assert alive() is not None
    del view
    assert alive() is None
    assert get_buffer_memory_stats()["in_use_bytes"] == before


@pytest.mark.parametrize("nbytes", [-1, -(2**70)])
def test_negative_sizes(nbytes):
    before = dict(get_buffer_memory_stats())
    with pytest.raises(ValueError, match="negative"):
        Buffer(nbytes)
    with pytest.raises(ValueError, match="negative"):
        Buffer.external(0, nbytes, None)
    assert get_buffer_memory_stats() == before


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * mmap.PAGESIZE


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
def test_memory_of_a_slab_goes_back_part_by_part():
    """Also while a neighbour lives on."""
    clear_buffer_cache()
    buffers = [Buffer(4 * MEGABYTE) for _ in range(10)]
    for buffer in buffers:
        buffer.memory[:] = b"\1" * (4 * MEGABYTE)
    before = resident_bytes()
    del buffers[1:]
    clear_buffer_cache()
    assert before - resident_bytes() >= 8 * 4 * MEGABYTE
    assert bytes(buffers[0].memory[-3:]) == b"\1\1\1"


def test_slabs_are_small_where_memory_is_short(monkeypatch):
    def map_little(nbytes: int):
        if nbytes > MEGABYTE:
            raise MemoryError
        return map_huge(nbytes)

    monkeypatch.setattr(slabs, "map_huge", map_little)
    cutter = slabs.Slabs()
    parts = [cutter.cut(nbytes) for nbytes in (20_000, 300_000, MEGABYTE)]
    for number, part in enumerate(parts):
        ctypes.memset(part.address, number, 20_000)
    assert [ctypes.string_at(part.address, 1)[0] for part in parts] == [0, 1, 2]
    with pytest.raises(MemoryError):
        cutter.cut(2 * MEGABYTE)


@pytest.mark.parametrize("nbytes", [2**48, 2**63, 2**64, 10**30])
def test_absurd_sizes_raise_before_anything_is_allocated(nbytes):
    before = dict(get_buffer_memory_stats())
    with pytest.raises(OutOfMemoryError, match=f"{nbytes} bytes.*limit.*configure_buffer_pool"):
        Buffer(nbytes)
    assert get_buffer_memory_stats() == before
    with pytest.raises(MemoryError):
        Buffer(nbytes)


def test_a_system_that_refuses_is_out_of_memory():
    configure_buffer_pool(limit_bytes=2**55)
    before = get_buffer_memory_stats()["in_use_bytes"]
    with pytest.raises(OutOfMemoryError, match="does not fit"):
        Buffer(2**54)
    assert get_buffer_memory_stats()["in_use_bytes"] == before


def test_the_limit_counts_what_is_in_use_and_makes_room():
    clear_buffer_cache()
    in_use = get_buffer_memory_stats()["in_use_bytes"]
    configure_buffer_pool(limit_bytes=in_use + 8 * MEGABYTE)
    kept = [Buffer(2 * MEGABYTE) for _ in range(3)]
    with pytest.raises(OutOfMemoryError):
        Buffer(4 * MEGABYTE)
    del kept
    assert get_buffer_memory_stats()["cached_bytes"] >= 6 * MEGABYTE
    assert Buffer(7 * MEGABYTE).nbytes == 7 * MEGABYTE  # the free blocks made room
    assert get_buffer_memory_stats()["allocated_bytes"] <= in_use + 8 * MEGABYTE


def test_garbage_is_collected_before_giving_up():
    clear_buffer_cache()
    configure_buffer_pool(limit_bytes=get_buffer_memory_stats()["in_use_bytes"] + 4 * MEGABYTE)
    gc.disable()
    try:
        cycle = [Buffer(3 * MEGABYTE)]
        cycle.append(cycle)
        del cycle
        assert Buffer(3 * MEGABYTE).nbytes == 3 * MEGABYTE
        assert Buffer(4 * MEGABYTE).nbytes == 4 * MEGABYTE
    finally:
        gc.enable()


def test_cached_memory_is_bounded():
    clear_buffer_cache()
    configure_buffer_pool(max_cached_bytes=5 * MEGABYTE)
    del [Buffer(2 * MEGABYTE) for _ in range(6)][:]
    assert 0 < get_buffer_memory_stats()["cached_bytes"] <= 5 * MEGABYTE
    configure_buffer_pool(max_cached_bytes=1000)
    assert get_buffer_memory_stats()["cached_bytes"] <= 1000
    del [Buffer(600) for _ in range(10)][:]
    assert get_buffer_memory_stats()["cached_bytes"] <= 1000


def test_large_blocks_make_way_for_each_other_once():
    """What changes its sizes does not need both; what takes turns does."""
    pool = BufferPool()

    def use(megabytes: int) -> None:
        pool.give(pool.take(megabytes * MEGABYTE))

    use(2)  # small blocks are left alone
    for megabytes in (12, 16, 20, 24):
        use(megabytes)
        assert pool.cached == (2 + megabytes) * MEGABYTE
    misses = pool.misses
    for megabytes in (20, 24) * 3:
        use(megabytes)
    assert pool.misses == misses + 2
    assert pool.cached == (2 + 20 + 24) * MEGABYTE
    use(40)
    assert pool.cached == (2 + 20 + 24 + 40) * MEGABYTE


def test_a_large_block_that_is_in_use_makes_no_way():
    pool = BufferPool()
    held = pool.take(16 * MEGABYTE)
    pool.give(pool.take(20 * MEGABYTE))
    assert pool.allocated == 36 * MEGABYTE
    pool.give(held)
    assert pool.cached == 36 * MEGABYTE


def test_nothing_is_kept_when_disabled():
    configure_buffer_pool(enabled=False)
    for nbytes in SIZES:
        Buffer(nbytes)
    stats = get_buffer_memory_stats()
    assert (stats["cached_bytes"], stats["blocks_cached"], stats["enabled"]) == (0, 0, False)


def test_clearing_returns_the_bytes():
    clear_buffer_cache()
    Buffer(3 * MEGABYTE)
    assert clear_buffer_cache() == 3 * MEGABYTE
    assert get_buffer_memory_stats()["cached_bytes"] == 0
    assert clear_buffer_cache() == 0


def test_statistics_add_up_and_read_well():
    clear_buffer_cache()
    before = get_buffer_memory_stats()
    held = [Buffer(100), Buffer(MEGABYTE), Buffer(3 * MEGABYTE)]
    stats = get_buffer_memory_stats()
    capacities = 128 + 4 * MEGABYTE
    assert stats["in_use_bytes"] - before["in_use_bytes"] == capacities
    assert stats["buffers_in_use"] - before["buffers_in_use"] == 3
    assert stats["misses"] - before["misses"] == 3
    assert stats["allocated_bytes"] == stats["in_use_bytes"] + stats["cached_bytes"]
    assert stats["peak_bytes"] >= stats["in_use_bytes"]
    del held
    after = get_buffer_memory_stats()
    assert after["cached_bytes"] == capacities == buffer_module._pool._free_bytes
    assert after["peak_bytes"] >= stats["in_use_bytes"]
    assert "cached           4 MB" in str(after)
    assert len(str(after).splitlines()) == len(after)


@pytest.mark.parametrize(
    ("nbytes", "text"),
    [(0, "0 bytes"), (1023, "1023 bytes"), (1536, "1.5 KB"), (2**31, "2 GB"), (2**51, "2048 TB")],
)
def test_readable_sizes(nbytes, text):
    assert readable(nbytes) == text


@pytest.mark.parametrize(
    "arguments",
    [
        {"max_cached_bytes": -1},
        {"limit_bytes": -5},
        {"memory_fraction": 0.0},
        {"memory_fraction": 1.5},
        {"memory_fraction": 0.5, "limit_bytes": 100},
    ],
)
def test_bad_configuration_changes_nothing(arguments):
    before = dict(get_buffer_memory_stats())
    with pytest.raises(ValueError, match=next(iter(arguments))):
        configure_buffer_pool(enabled=False, **arguments)
    assert get_buffer_memory_stats() == before


def test_the_fraction_is_of_system_memory():
    configure_buffer_pool(memory_fraction=0.5)
    stats = get_buffer_memory_stats()
    assert stats["limit_bytes"] == int(stats["system_bytes"] * 0.5)


def test_threads_never_share_a_block():
    before = get_buffer_memory_stats()["buffers_in_use"]
    failures = []

    def work(number: int) -> None:
        for turn in range(300):
            held = [Buffer(nbytes) for nbytes in (16, 900, 70_000, 2 * MEGABYTE)]
            pattern = bytes([number, turn % 256]) * 8
            for buffer in held:
                buffer.memory[:16] = pattern
            if any(bytes(buffer.memory[:16]) != pattern for buffer in held):
                failures.append((number, turn))

    workers = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert failures == []
    assert get_buffer_memory_stats()["buffers_in_use"] == before


def test_a_finaliser_under_the_lock_does_not_wait():
    pool = BufferPool()
    block = pool.take(2 * MEGABYTE)
    with pool._lock:
        pool.give(block)  # as when garbage is collected inside the pool
    assert pool.cached == 2 * MEGABYTE
    assert pool.take(2 * MEGABYTE) is block


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_forked_child_has_its_own_memory():
    buffers = [Buffer(nbytes) for nbytes in (100, 3 * MEGABYTE)]
    for buffer in buffers:
        buffer.memory[:4] = b"mine"
    child = os.fork()
    if child == 0:
        for buffer in buffers:
            buffer.memory[:4] = b"hers"
        clear_buffer_cache()
        os._exit(7 if Buffer(5 * MEGABYTE).nbytes == 5 * MEGABYTE else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert all(bytes(buffer.memory[:4]) == b"mine" for buffer in buffers)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_of_a_fork_while_a_slab_is_cut_has_memory():
    cutting, seconds = threading.Event(), 0.2

    def cut() -> None:
        with memory._slabs._lock:
            cutting.set()
            time.sleep(seconds)

    thread = threading.Thread(target=cut)
    thread.start()
    cutting.wait()
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # ends a child that waits for ever
        clear_buffer_cache()
        os._exit(7 if Buffer(MEGABYTE).nbytes == MEGABYTE else 1)
    thread.join()
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7


def test_the_interpreter_ends_quietly_with_buffers_alive():
    script = (
        "import sys, threading\n"
        "from grad.buffer import Buffer\n"
        "kept = [Buffer(n) for n in (0, 10, 1 << 22)]\n"
        "cycle = [Buffer(5000)]\n"
        "cycle.append(cycle)\n"
        "sys.kept = [Buffer(7), kept[1].numpy.__self__]\n"
        "view = Buffer(64).memory\n"
        "print('llvmlite' in sys.modules)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stdout, result.stderr) == (0, "False\n", "")


def test_repr_tells_size_and_kind():
    assert "Buffer(100 bytes" in repr(Buffer(100))
    assert "128" in repr(Buffer(100))
    assert "external" in repr(Buffer.external(64, 3, None))
