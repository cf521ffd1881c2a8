"""What comes before the first result: first calls in new processes, imports, and size on disk.

A first call is from the inputs, as arrays, to the first result: making the model, compiling,
computing. It is timed twice, each time in a new process: with an empty cache on disk ("cold") and
with the one which that left ("warm"). The second process also tells the peak of memory: how much
more is resident at most, while later calls run, than before the inputs were made.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks import machine
from benchmarks.client import Client, Failure
from benchmarks.frameworks import FRAMEWORKS
from benchmarks.workload import Workload

# Distributions to measure for each framework; what they require is counted too.
DISTRIBUTIONS = {
    "grad": "micrograd",
    "torch": "torch",
    "jax": "jax",
    "tinygrad": "tinygrad",
    "numpy": "numpy",
}
# `import grad` may take this much longer than `import numpy`, which it needs.
IMPORT_SECONDS_OVER_NUMPY = 0.1


def first_calls(
    workload: Workload, sizes: Mapping[str, int], name: str, threads: int
) -> dict[str, Any]:
    """Seconds of the first call, cold and warm, and the peak of memory, as figures.

    Raises:
        Failure: when one of the processes fails.
    """
    with tempfile.TemporaryDirectory(prefix="micrograd-bench-start-") as cache:
        cold = _prepared(workload, sizes, name, threads, cache)
        warm = _prepared(workload, sizes, name, threads, cache)
    return {
        "cold_seconds": cold["first_call_seconds"],
        "warm_seconds": warm["first_call_seconds"],
        "peak_bytes": warm["peak_bytes"],
    }


def _prepared(
    workload: Workload, sizes: Mapping[str, int], name: str, threads: int, cache: str
) -> dict[str, Any]:
    client = Client(FRAMEWORKS[name], threads, cache)
    try:
        return client.prepare(workload, sizes, reference="")
    finally:
        client.stop()


def add_first_calls(
    figures: Mapping[str, dict[str, Any]],
    workload: Workload,
    sizes: Mapping[str, int],
    threads: int,
) -> dict[str, dict[str, Any]]:
    """The figures of a workload, by framework, with those of first calls where there was none."""
    added = {}
    for name, figure in figures.items():
        added[name] = figure
        if "failure" not in figure:
            try:
                added[name] = figure | first_calls(workload, sizes, name, threads)
            except Failure as failure:
                added[name] = figure | {"startup_failure": str(failure)}
    return added


def imports(modules: Iterable[str]) -> dict[str, dict[str, float]]:
    """Seconds to import each module and bytes on disk, of those that can be imported."""
    found = {}
    for module in modules:
        seconds = machine.import_seconds(module)
        if seconds is not None:
            installed = machine.installed_bytes(DISTRIBUTIONS[module])
            found[module] = {"import_seconds": seconds, "installed_bytes": installed}
    return found


def import_lines(found: Mapping[str, Mapping[str, float]]) -> list[str]:
    """A small table of `imports`, with the target of ours."""
    lines = [f"{'':12}{'import, s':>12}{'installed, MB':>16}"]
    for module, figure in found.items():
        seconds, size = figure["import_seconds"], figure["installed_bytes"] / 1e6
        line = f"{module:12}{seconds:>12.3f}{size:>16.1f}"
        if module == "grad" and "numpy" in found:
            allowed = found["numpy"]["import_seconds"] + IMPORT_SECONDS_OVER_NUMPY
            line += f"   reach {allowed:.3f}: {'yes' if seconds <= allowed else 'no'}"
        lines.append(line)
    return lines
