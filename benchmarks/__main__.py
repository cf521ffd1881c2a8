"""Time micrograd and PyTorch side by side and print a table: `python -m benchmarks`.

The libraries take turns, each turn in a new process with the same number of threads, and the best
turn counts. The first turn of micrograd starts with an empty kernel cache, the others find it full:
these are the cold and the warm first step. Without PyTorch only micrograd is timed.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tempfile

TURNS = 3
FIRST_STEP = "first training step"


def measure(library: str, cache_directory: str, threads: int) -> dict[str, float]:
    """Run one turn and return seconds by case."""
    environment = os.environ | {
        "GRAD_CACHE_DIR": cache_directory,
        "GRAD_NUM_THREADS": str(threads),
        "OMP_NUM_THREADS": str(threads),
    }
    command = [sys.executable, "-m", "benchmarks.measure", library]
    finished = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(finished.stdout)


def best(turns: list[dict[str, float]]) -> dict[str, float]:
    return {case: min(turn[case] for turn in turns) for case in turns[0]}


def row(case: str, own: float, peer: float | None) -> str:
    if peer is None:
        return f"{case:32}{own * 1e3:12.4f}"
    return f"{case:32}{own * 1e3:12.4f}{peer * 1e3:12.4f}{own / peer:10.2f}"


def main() -> None:
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    libraries = ["grad"] + (["torch"] if importlib.util.find_spec("torch") else [])
    turns: dict[str, list[dict[str, float]]] = {library: [] for library in libraries}
    with tempfile.TemporaryDirectory() as cache_directory:
        for _ in range(TURNS):
            for library in libraries:
                turns[library].append(measure(library, cache_directory, threads or 1))

    own = best(turns["grad"])
    peer = best(turns["torch"]) if "torch" in turns else {}
    print(f"{threads} threads, milliseconds, best of {TURNS} turns")
    print(f"{'':32}{'micrograd':>12}" + (f"{'PyTorch':>12}{'ratio':>10}" if peer else ""))
    print(row(f"{FIRST_STEP}, cold cache", turns["grad"][0][FIRST_STEP], peer.get(FIRST_STEP)))
    for case, seconds in own.items():
        print(row(case, seconds, peer.get(case)))


if __name__ == "__main__":
    main()
