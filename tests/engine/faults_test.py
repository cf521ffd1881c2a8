"""Faults leave everything usable: Ctrl-C, memory that runs out, code that LLVM refuses."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import grad
import grad.nn.functional as F
from grad.buffer import clear_buffer_cache, configure_buffer_pool, get_buffer_memory_stats
from grad.codegen.llvm import phases
from grad.device import open_backend
from grad.engine import cache, realize
from grad.errors import CompileError, DTypeError, OutOfMemoryError, ShapeError

INTERRUPTED = """
import signal
import sys
import numpy as np
import grad

signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
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


def test_bad_code_names_the_kernel_and_the_file_it_is_in(monkeypatch: pytest.MonkeyPatch) -> None:
    y = grad.arange(11.0) * 5 + 0.625
    honest = phases.phase_text

    def spoiled(*arguments: Any) -> str:
        return honest(*arguments).replace("ret void", "ret i32 0")

    with monkeypatch.context() as patch:
        patch.setattr(phases, "phase_text", spoiled)
        with pytest.raises(CompileError, match=r"LLVM refused the code of .*11") as caught:
            y.realize()
    found = re.search(r"The code is in (\S+\.ll)\.", str(caught.value))
    assert found is not None
    path = Path(found[1])
    assert "ret i32 0" in path.read_text()
    path.unlink()
    np.testing.assert_allclose(y.numpy(), np.arange(11) * 5 + 0.625)


HUGE = 1 << 62
# One element, or two rows of three, made into far more than 64 bits can count.
TOO_MANY: dict[str, Callable[[Any, Any], Any]] = {
    "zeros": lambda x, y: grad.zeros(HUGE),
    "zeros by product": lambda x, y: grad.zeros(1 << 40, 1 << 40),
    "randn": lambda x, y: grad.randn(1 << 61),
    "arange": lambda x, y: grad.arange(0, 1e30),
    "linspace": lambda x, y: grad.linspace(0, 1, HUGE),
    "eye": lambda x, y: grad.eye(1 << 40),
    "expand": lambda x, y: x.expand(HUGE),
    "expand and sum": lambda x, y: x.expand(1 << 40, 1 << 40).sum(),
    "broadcast": lambda x, y: x.expand(1 << 33, 1) * x.expand(1, 1 << 33),
    "compare": lambda x, y: x.expand(1 << 33, 1) < x.expand(1, 1 << 33),
    "repeat": lambda x, y: y.repeat(1 << 40, 1 << 40),
    "pad": lambda x, y: F.pad(y, (HUGE, HUGE)),
    "cat": lambda x, y: grad.cat([x.expand(HUGE - 1)] * 4),
    "matmul": lambda x, y: x.expand(1 << 40, 1) @ x.expand(1, 1 << 40),
    "one_hot": lambda x, y: F.one_hot(x.long(), HUGE),
    "reshape": lambda x, y: y.reshape(1 << 33, 1 << 33),
    "convolution": lambda x, y: F.conv2d(
        grad.zeros(1, 1, 4, 4), grad.zeros(1, 1, 2, 2), padding=HUGE
    ),
}


@pytest.mark.parametrize("case", TOO_MANY)
def test_sizes_that_overflow_are_refused_at_the_call(case: str) -> None:
    with pytest.raises(ShapeError):
        TOO_MANY[case](grad.ones(1), grad.ones(2, 3))


def test_sizes_beyond_any_memory_are_views_at_most() -> None:
    wide = grad.ones(1).expand(1 << 61)
    assert wide.shape == (1 << 61,)
    with pytest.raises(OutOfMemoryError):
        (wide[: 1 << 58] + 1).realize()
    assert grad.zeros(0, HUGE, HUGE).realize().shape == (0, HUGE, HUGE)


@pytest.mark.parametrize(
    "make",
    [
        lambda: grad.tensor([1]) + (1 << 70),
        lambda: grad.full((2,), -(1 << 64)),
        lambda: grad.zeros(3, dtype=grad.int64).fill_(1 << 64),
        lambda: grad.tensor([1]) * grad.tensor(1 << 70),
    ],
)
def test_integers_beyond_64_bits_are_refused(make: Callable[[], Any]) -> None:
    with pytest.raises(DTypeError, match="does not fit"):
        make().realize()


BAD_INDICES = ([0, 5], [-6, 0], [0, 1 << 62], [-(1 << 63), 1])
# What is done to x of five rows of five, with row numbers i and as many rows r of numbers.
INDEXED: dict[str, Callable[[Any, Any, Any], Any]] = {
    "gather": lambda x, i, r: x.gather(0, i.reshape(2, 1)),
    "take_along_dim": lambda x, i, r: grad.take_along_dim(x, i.reshape(2, 1), 0),
    "index_select": lambda x, i, r: x.index_select(0, i),
    "[i]": lambda x, i, r: x[i],
    "[:, i]": lambda x, i, r: x[:, i],
    "[i, i]": lambda x, i, r: x[i, i],
    "scatter": lambda x, i, r: x.scatter(1, i.reshape(1, 2), r[:1, :2]),
    "scatter_": lambda x, i, r: x.scatter_(1, i.reshape(1, 2), r[:1, :2]),
    "scatter_add_": lambda x, i, r: x.scatter_add_(1, i.reshape(1, 2), r[:1, :2]),
    "index_add_": lambda x, i, r: x.index_add_(0, i, r),
    "index_fill_": lambda x, i, r: x.index_fill_(0, i, 9.0),
    "[i] =": lambda x, i, r: x.__setitem__(i, 9.0),
    "[i] = rows": lambda x, i, r: x.__setitem__(i, r),
    "[i, i] =": lambda x, i, r: x.__setitem__((i, i), 9.0),
    "embedding": lambda x, i, r: F.embedding(i, x),
    "cross_entropy": lambda x, i, r: F.cross_entropy(x[:2], i),
    "one_hot": lambda x, i, r: F.one_hot(i, 5),
}


@pytest.mark.parametrize("indices", BAD_INDICES, ids=str)
@pytest.mark.parametrize("case", INDEXED)
def test_indices_out_of_range_are_refused_and_nothing_is_written(
    case: str, indices: list[int]
) -> None:
    x = grad.arange(25.0).reshape(5, 5)
    guarded = x.clone()
    for lazy in (False, True):
        index = grad.tensor(indices)
        if lazy:
            index = index * 1  # not computed yet
        with pytest.raises(IndexError, match=r"out of (range|bounds)"):
            result = INDEXED[case](guarded, index, grad.ones(2, 5))
            (guarded if result is None else result).realize()
        np.testing.assert_array_equal(guarded.numpy(), x.numpy())
