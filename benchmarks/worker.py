"""A framework's own process: it reads requests, one JSON object a line, and answers each.

`python -m benchmarks.worker FRAMEWORK THREADS` says when it is ready; then it obeys `prepare`,
`reference`, `time` and `release` (the functions below) until its input ends. What a framework
prints goes to standard error, so that only answers are on standard output. client.py is the other
end.

After each batch of timed calls the worker waits until its threads have gone to sleep: most thread
pools spin for a while when there is nothing to do (libgomp for about 10 ms, others for less), which
would disturb the framework whose turn is next. It is measured, not assumed: a worker answers when
the processor time of its process has stood still for 10 ms.
"""

from __future__ import annotations

import gc
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from benchmarks import accuracy
from benchmarks.adapters import ADAPTERS, Adapter, Call
from benchmarks.frameworks import FRAMEWORKS, pin
from benchmarks.memory import peak_bytes, reset_peak, resident_bytes
from benchmarks.workload import Arrays, Workload
from benchmarks.workloads import WORKLOADS

SHORTEST_SAMPLE_SECONDS = 5e-4
QUIET_SECONDS = 0.01
LONGEST_WAIT_SECONDS = 2.0


class Worker:
    """One framework and, between `prepare` and `release`, one workload of it."""

    def __init__(self, adapter: Adapter) -> None:
        self.adapter = adapter
        self.call: Call | None = None

    def prepare(self, workload: Workload, sizes: dict[str, int], reference: str) -> dict[str, Any]:
        """Make the inputs, call twice, and compare the first results with the reference."""
        self.release()
        baseline = resident_bytes()
        arrays = workload.arrays(sizes)
        started = time.perf_counter()
        call = self.adapter.call(workload, sizes, arrays)
        del arrays
        result = call()
        first_call_seconds = time.perf_counter() - started
        found = self.samples(workload, itertools.chain([result], repeated(call)))
        del result
        error = accuracy.difference(found, accuracy.load(reference)) if reference else None
        for _ in range(2):  # compilers that record do so in the second call
            call()
        reset_peak()
        started = time.perf_counter()
        call()
        self.call = call
        return {
            "first_call_seconds": first_call_seconds,
            "next_call_seconds": time.perf_counter() - started,
            "peak_bytes": peak_bytes() - baseline,
            "difference": error,
        }

    def reference(self, workload: Workload, sizes: dict[str, int], path: str) -> dict[str, Any]:
        """Write the results that the others are compared with."""
        self.release()
        arrays = accuracy.doubled(workload.arrays(sizes))
        call = self.adapter.call(workload, sizes, arrays)
        accuracy.save(path, self.samples(workload, repeated(call)))
        return {}

    def samples(self, workload: Workload, results: Iterator[Any]) -> Arrays:
        """What is compared of the first results."""
        compared = itertools.islice(results, workload.check_calls)
        return accuracy.samples_of(map(self.adapter.arrays, compared))

    def time(self, seconds: float) -> dict[str, Any]:
        """Time calls for about `seconds`, at least one; returns seconds a call, by sample."""
        call = self.call
        assert call is not None, "prepare comes before time"
        samples = time_calls(call, seconds)
        settle()
        return {"samples": samples}

    def release(self) -> dict[str, Any]:
        """Forget the workload."""
        self.call = None
        gc.collect()
        return {}


def repeated(call: Call) -> Iterator[Any]:
    """The results of `call`, again and again."""
    while True:
        yield call()


def time_calls(call: Call, seconds: float) -> list[float]:
    """Seconds a call, measured in samples that are not too short for the clock.

    The first call, which finds the caches full of other things, is not counted unless there is
    time for one only.
    """
    clock = time.perf_counter
    started = clock()
    call()
    once = clock() - started
    if once > seconds:
        return [once]
    count = max(1, round(SHORTEST_SAMPLE_SECONDS / once))
    samples = []
    end = started + seconds
    while not samples or clock() < end:
        started = clock()
        for _ in range(count):
            call()
        samples.append((clock() - started) / count)
    return samples


def settle() -> None:
    """Wait until no thread of this process is busy."""
    end = time.perf_counter() + LONGEST_WAIT_SECONDS
    while time.perf_counter() < end:
        before = time.process_time()
        time.sleep(QUIET_SECONDS)
        if time.process_time() - before < QUIET_SECONDS / 10:
            return


def answer(worker: Worker, request: dict[str, Any]) -> dict[str, Any]:
    """Do what is asked; what goes wrong is the answer."""
    arguments = dict(request)
    action: Callable[..., dict[str, Any]] = getattr(worker, arguments.pop("do"))
    if "workload" in arguments:
        arguments["workload"] = WORKLOADS[arguments["workload"]]
    try:
        return action(**arguments)
    except Exception as error:
        # Any failure of a framework is a result: the parent shows it in the table.
        worker.call = None
        return {"error": type(error).__name__, "message": str(error)[:2000]}


def main(name: str, threads: int) -> None:
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    pin(threads)
    framework = FRAMEWORKS[name]
    started = time.perf_counter()
    try:
        adapter = ADAPTERS[framework.adapter](framework.module, framework.compiled, threads)
    except Exception as error:
        # Not installed, or does not run here: an answer as well.
        print(json.dumps({"error": type(error).__name__, "message": str(error)}), file=answers)
        return
    ready = {"import_seconds": time.perf_counter() - started}
    worker = Worker(adapter)
    print(json.dumps(ready), file=answers)
    for line in sys.stdin:
        print(json.dumps(answer(worker, json.loads(line))), file=answers)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
