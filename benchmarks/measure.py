"""Time every case with one library, in this process, and print the figures as JSON.

`python -m benchmarks.measure grad` or `torch`. benchmarks/__main__.py runs it, a new process for
each turn: two thread pools in one process would disturb one another.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Any

from benchmarks.cases import CASES, training_step

SECONDS_PER_CASE = 0.5
MOST_SAMPLES = 30


def time_call(call: Callable[[], Any]) -> float:
    """Return the median seconds of one call. Short calls are timed in groups of a millisecond."""
    call()
    call()
    started = time.perf_counter()
    call()
    group = max(1, round(1e-3 / (time.perf_counter() - started)))
    samples: list[float] = []
    deadline = time.perf_counter() + SECONDS_PER_CASE
    while len(samples) < MOST_SAMPLES and (time.perf_counter() < deadline or len(samples) < 3):
        started = time.perf_counter()
        for _ in range(group):
            call()
        samples.append((time.perf_counter() - started) / group)
    return median(samples)


def main(name: str) -> None:
    started = time.perf_counter()
    library = importlib.import_module(name)
    for submodule in ("nn", "nn.functional", "optim"):
        importlib.import_module(f"{name}.{submodule}")
    figures = {"import": time.perf_counter() - started}

    started = time.perf_counter()
    training_step(library)()
    figures["first training step"] = time.perf_counter() - started

    figures |= {case: time_call(prepare(library)) for case, prepare in CASES.items()}
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1])
