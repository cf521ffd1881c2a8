"""The thread pool: its size, forks and spawns, idling, signals, the portable wait."""

from __future__ import annotations

import ctypes
import math
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from grad.runtime.cpu import compiler, pool_code
from grad.runtime.cpu.compiler import compile_ir
from grad.runtime.cpu.host import host
from grad.runtime.cpu.replay import Call, NativePlan
from grad.runtime.cpu.threads import get_num_threads, pool, set_num_threads
from tests.runtime.native_kernels import COUNT, WORK, add_plan, adds_right, exit_with_answer, kernel

ROOT = Path(__file__).parents[2]
posix = pytest.mark.skipif(os.name != "posix", reason="needs POSIX threads and fork")


@pytest.fixture(autouse=True)
def three_threads():
    before = get_num_threads()
    set_num_threads(3)
    yield
    set_num_threads(before)


def run_script(text: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", text],
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@posix
def test_size_changes_both_ways():
    for count in (4, 1, 2, 8, 3):
        set_num_threads(count)
        assert get_num_threads() == count
        assert adds_right()
        assert pool._alive() == count - 1


@pytest.mark.parametrize(
    ("count", "error"),
    [(0, ValueError), (-1, ValueError), (10**6, ValueError), (2.0, TypeError), (True, TypeError)],
)
def test_bad_sizes(count, error):
    with pytest.raises(error, match="number of threads"):
        set_num_threads(count)
    assert get_num_threads() == 3


def test_size_from_the_environment():
    script = "from grad.runtime.cpu.threads import get_num_threads; print(get_num_threads())"
    assert run_script(script, GRAD_NUM_THREADS="5").stdout == "5\n"


def test_size_changes_while_others_compute():
    stop = threading.Event()
    answers = []

    def compute() -> None:
        while not stop.is_set():
            answers.append(adds_right(times=5))

    callers = [threading.Thread(target=compute) for _ in range(2)]
    for caller in callers:
        caller.start()
    for count in (1, 4, 2, 3) * 10:
        set_num_threads(count)
    stop.set()
    for caller in callers:
        caller.join()
    assert answers
    assert all(answers)


@posix
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_child_processes_compute(method):
    assert adds_right()
    children = [
        multiprocessing.get_context(method).Process(target=exit_with_answer) for _ in range(2)
    ]
    for child in children:
        child.start()
    assert adds_right()
    for child in children:
        child.join(60)
    assert [child.exitcode for child in children] == [7, 7]


@posix
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_fork_while_another_thread_computes():
    stop = threading.Event()

    def compute() -> None:
        values = np.zeros(1000, np.int64)
        plan = add_plan(1000, 10, times=100)
        while not stop.is_set():
            plan.run([values.ctypes.data, 1])

    caller = threading.Thread(target=compute)
    caller.start()
    try:
        for _ in range(10):
            child = multiprocessing.get_context("fork").Process(target=exit_with_answer)
            child.start()
            child.join(60)
            assert child.exitcode == 7
    finally:
        stop.set()
        caller.join()


@posix
def test_idle_threads_burn_nothing():
    assert adds_right()
    time.sleep(0.05)
    before = time.process_time()
    time.sleep(0.5)
    assert time.process_time() - before < 0.1


def chunks_by_worker(nanoseconds: float, steps: int = 1) -> list[int]:
    """Run 12 chunks of a few microseconds a step, said to cost so much; how many each worker ran.

    The two calls of a step count and work."""
    counts = np.zeros((3, 8), np.int64)
    count = Call(kernel(COUNT, "count"), ((0, 0),), 12, 1, nanoseconds)
    work = Call(kernel(WORK, "work"), ((1, 0),), 12, 1, 0.0)
    NativePlan([[count], [work]] * steps, 2).run([counts.ctypes.data, 10_000])
    return counts[:, 0].tolist()


@posix
def test_little_work_wakes_nobody():
    """Waking a thread costs more than it would do: the caller runs everything itself."""
    assert adds_right()
    for _ in range(5):
        time.sleep(0.02)  # the others are asleep by now
        assert chunks_by_worker(5_000) == [12, 0, 0]


@posix
def test_much_work_wakes_the_others():
    """In one job, and in many small ones that follow each other at once."""
    for nanoseconds, steps in ((math.inf, 1), (5_000, 300)):
        deadline = time.monotonic() + 60
        helped = 0
        while not helped:
            assert time.monotonic() < deadline, "nobody ever helped"
            time.sleep(0.01)
            counts = chunks_by_worker(nanoseconds, steps)
            assert sum(counts) == 12 * steps
            helped = sum(counts[1:])


@posix
def test_work_that_took_longer_than_estimated_wakes_the_others():
    """Jobs of a millisecond that are said to cost nothing: the second one is shared."""
    counts = np.zeros((3, 8), np.int64)
    count = Call(kernel(COUNT, "count"), ((0, 0),), 300, 1, 1.0)
    work = Call(kernel(WORK, "work"), ((1, 0),), 300, 1, 1.0)
    plan = NativePlan([[count, work]], 2)
    deadline = time.monotonic() + 60
    while not counts[1:, 0].any():
        assert time.monotonic() < deadline, "nobody ever helped"
        time.sleep(0.02)  # the others are asleep by now
        for _ in range(3):
            plan.run([counts.ctypes.data, 10_000])


# As if thread 1 had just been woken while the caller is awake on `core`: where it runs afterwards.
WOKEN_BESIDE = """
define i32 @apart_woken_beside(i32 %core) {
  %place = add i32 %core, 1
  store atomic i32 %place, ptr @places monotonic, align 4
  store atomic i64 2, ptr @limit seq_cst, align 8
  call void @spread(i64 1)
  %now = call i32 @core()
  ret i32 %now
}
"""


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="threads choose no core here")
@pytest.mark.parametrize("count", [1, 2])
def test_a_woken_thread_leaves_the_core_of_another(count):
    """And may be moved again afterwards; where all are allowed one core, they share it."""
    before = os.sched_getaffinity(0)
    cores = sorted(before)[:count]
    if len(cores) < count:
        pytest.skip("this process may use one core only")
    text = pool_code.pool_text(host().triple).replace("@grad_", "@apart_") + WOKEN_BESIDE
    address = compile_ir(text, ["apart_woken_beside"], "a pool")["apart_woken_beside"]
    woken_beside = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(address)
    try:
        for here in cores:
            os.sched_setaffinity(0, {here})
            os.sched_setaffinity(0, cores)  # still there
            assert (woken_beside(here) == here) == (count == 1)
            assert os.sched_getaffinity(0) == set(cores)
    finally:
        os.sched_setaffinity(0, before)


@posix
def test_many_more_threads_than_cores():
    set_num_threads(100)
    for _ in range(3):
        assert adds_right(items=5000, grain=1, times=5)
        time.sleep(0.01)
    assert pool._alive() == 99
    set_num_threads(2)
    assert pool._alive() == 1
    assert adds_right()


@posix
def test_pool_threads_take_no_signals():
    """Each thread but Python's own has every catchable signal blocked."""
    if sys.platform != "linux":
        pytest.skip("reads /proc")
    assert adds_right()
    bit = 1 << (signal.SIGINT - 1)
    own = {thread.native_id for thread in threading.enumerate()}
    blocking = set()
    for task in Path("/proc/self/task").iterdir():
        try:
            status = (task / "status").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue  # a thread that was let go a moment ago
        mask = next(line.split()[1] for line in status if line.startswith("SigBlk"))
        if int(mask, 16) & bit:
            blocking.add(int(task.name))
    assert len(blocking - own) >= get_num_threads() - 1
    assert threading.main_thread().native_id not in blocking


@posix
def test_an_interrupt_leaves_the_pool_usable():
    work = kernel(WORK, "work")
    plan = NativePlan([[Call(work, ((0, 0),), 4, 1)]] * 200, 1)
    killer = threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT))
    killer.start()
    with pytest.raises(KeyboardInterrupt):
        for _ in range(100_000):
            plan.run([100_000])
    killer.join()
    assert adds_right()


def test_the_process_ends_while_daemon_threads_compute():
    result = run_script(
        "import threading, time\n"
        "from tests.runtime.native_kernels import adds_right\n"
        "def compute():\n"
        "    while True:\n"
        "        adds_right()\n"
        "for _ in range(3):\n"
        "    threading.Thread(target=compute, daemon=True).start()\n"
        "time.sleep(0.2)\n"
    )
    assert (result.returncode, result.stderr) == (0, "")


@posix
@pytest.mark.parametrize("architecture", ["x86_64", "none"])
def test_other_platforms_wait_on_a_condition(architecture):
    """The portable pool, and the one for an unknown CPU, compute and idle on this one too."""
    result = run_script(
        "import time\n"
        "from grad.runtime.cpu import pool_platforms\n"
        "pool_platforms.WAITS.clear()\n"
        f"pool_platforms.PAUSES.pop('x86_64' if '{architecture}' == 'none' else '', None)\n"
        "from tests.runtime.native_kernels import adds_right\n"
        "from grad.runtime.cpu.threads import pool, set_num_threads\n"
        "for count in (2, 4, 1, 3):\n"
        "    set_num_threads(count)\n"
        "    for _ in range(20):\n"
        "        time.sleep(0.002)\n"
        "        assert adds_right()\n"
        "assert pool._alive() == 2\n"
        "before = time.process_time()\n"
        "time.sleep(0.3)\n"
        "assert time.process_time() - before < 0.1\n"
    )
    assert (result.returncode, result.stderr) == (0, "")


def test_without_posix_threads_all_is_serial():
    text = pool_code.pool_text("x86_64-pc-windows-msvc").replace("@grad_", "@serial_")
    address = compile_ir(text, ["serial_pool_start"], "the serial pool")["serial_pool_start"]
    assert ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int64)(address)(1) == 11


@pytest.mark.parametrize("triple", ["arm64-apple-darwin23", "aarch64-linux-gnu", "x86_64-linux"])
def test_platforms_have_their_parts(triple):
    text = pool_code.pool_text(triple)
    assert ("llvm.aarch64.hint" in text) == triple.startswith(("arm64", "aarch64"))
    assert ("@syscall" in text) == ("linux" in triple)


@posix
def test_a_fork_that_began_before_the_compiler_was_opened():
    # Its hooks after the fork are called, those before it were not there yet.
    before = compiler._lock
    held = threading.Event()
    done = threading.Event()

    def hold():
        with before:
            held.set()
            done.wait()

    other = threading.Thread(target=hold)
    other.start()
    held.wait()
    try:
        compiler._after_fork_in_parent()
        assert compiler._lock is before
        compiler._after_fork_in_child()
        assert compiler._lock.acquire(blocking=False)
        compiler._lock.release()
    finally:
        compiler._lock = before
        done.set()
        other.join()
