"""Faults leave everything usable: Ctrl-C, memory that runs out, code that LLVM refuses."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import grad
from grad.buffer import clear_buffer_cache, configure_buffer_pool, get_buffer_memory_stats
from grad.device import open_backend
from grad.engine import cache, realize
from grad.errors import CompileError, OutOfMemoryError

INTERRUPTED = """
import sys
import numpy as np
import grad

x = grad.ones(400, 400)
counter = grad.zeros(1000)
counter.realize()
print("ready", flush=True)
rounds = interrupts = 0
while interrupts < 3:
    try:
        while True:
            y = (x @ x).sum()
            counter[rounds % 1000] = float(rounds)
            counter.realize()
            assert y.item() == 400.0**3, y.item()
            rounds += 1
    except KeyboardInterrupt:
        interrupts += 1
        print("interrupted", flush=True)
assert np.isfinite(counter.numpy()).all()
assert (grad.ones(3) + 1).tolist() == [2.0, 2.0, 2.0]
print("done", rounds > 0, flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT between processes")
def test_ctrl_c_leaves_the_library_usable() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        for _ in range(3):
            time.sleep(0.3)
            process.send_signal(signal.SIGINT)
            # Python drops an interrupt that lands in a finaliser: then the user presses again.
            while not select.select([process.stdout], [], [], 5)[0]:
                process.send_signal(signal.SIGINT)
            assert process.stdout.readline() == "interrupted\n"
        assert process.stdout.readline() == "done True\n"
        assert process.wait(timeout=30) == 0


def test_out_of_memory_changes_nothing() -> None:
    x = grad.arange(1000.0)
    x.realize()
    configure_buffer_pool(limit_bytes=64 << 20)
    try:
        large = x.reshape(1000, 1) * grad.ones(1, 100_000)
        with pytest.raises(OutOfMemoryError, match="does not fit"):
            large.realize()
        with pytest.raises(MemoryError):
            grad.zeros(1 << 40).realize()
        np.testing.assert_array_equal((x + 1).numpy(), np.arange(1000.0) + 1)
    finally:
        configure_buffer_pool(memory_fraction=0.9)
    # What could not be computed is still pending, and can be computed now.
    assert large.sum().item() == pytest.approx(999 * 500 * 100_000, rel=1e-5)


def test_out_of_memory_for_a_copy_leaves_what_would_be_overwritten() -> None:
    x = grad.zeros(1 << 20)
    x.realize()
    index, ones = grad.zeros(3, dtype=grad.int64), grad.ones(3)
    realize([index.node, ones.node])
    x.scatter_add_(0, index, ones)  # in place, and again would be too much
    second = x.reshape(1024, 1024)
    clear_buffer_cache()
    in_use = get_buffer_memory_stats()["in_use_bytes"]
    configure_buffer_pool(limit_bytes=in_use + (2 << 20))
    try:
        with pytest.raises(OutOfMemoryError):
            realize([x.node, second.node])  # each has its own memory
    finally:
        configure_buffer_pool(memory_fraction=0.9)
    assert x[:2].tolist() == [3.0, 0.0]


def test_refused_code_is_reported_and_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = open_backend("cpu")
    x = grad.arange(7.0)
    x.realize()
    y = (x * 3 - 1.25).cos()

    def refuse(kernel: object) -> None:
        raise CompileError(f"LLVM refused the code of {kernel}")

    with monkeypatch.context() as patch:
        patch.setattr(backend, "compile", refuse)
        with pytest.raises(CompileError, match="refused"):
            y.realize()
    misses = cache.misses
    np.testing.assert_allclose(y.numpy(), np.cos(np.arange(7.0) * 3 - 1.25), rtol=1e-5)
    assert cache.misses == misses + 1
