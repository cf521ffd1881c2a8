"""Run the benchmarks, print the table, write JSON and a picture: `python -m benchmarks --help`.

The results are written after every workload, so that a run that is stopped keeps what it has.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks import machine, table
from benchmarks.client import Client, measured_limits
from benchmarks.frameworks import FRAMEWORKS
from benchmarks.runner import NORMAL, QUICK, Effort, measure
from benchmarks.scores import scores_of
from benchmarks.workload import Workload, shaken
from benchmarks.workloads import WORKLOADS

OUTPUT = Path("build/bench")


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = parser.add_argument
    add("--only", default="", metavar="REGEX", help="workloads whose name matches")
    add("--frameworks", default=",".join(FRAMEWORKS), help="columns, by commas; without spaces")
    add("--threads", default=f"1,{min(2, cores or 1)}", help="numbers of threads, by commas")
    add("--rounds", type=int, help=f"turns for each framework (normally {NORMAL.rounds})")
    add("--quick", action="store_true", help="few rounds, without torch.compile and tinygrad")
    add("--shake", nargs="?", type=int, const=-1, metavar="SEED", help="other sizes, near these")
    add("--by", choices=("median", "minimum"), default="median", help="which time counts")
    add("--update", action="store_true", help="keep the rows of the JSON not measured now")
    add("--json", type=Path, default=OUTPUT / "results.json", help="where the results go")
    add("--picture", type=Path, default=OUTPUT / "results.png", help="where the picture goes")
    options = parser.parse_args(arguments)
    options.threads = [int(number) for number in options.threads.split(",")]
    options.frameworks = options.frameworks.split(",")
    unknown = set(options.frameworks) - set(FRAMEWORKS)
    if unknown:
        parser.error(f"no framework is called {unknown}; there are {', '.join(FRAMEWORKS)}")
    if options.shake == -1:
        options.shake = time.time_ns() % 100_000
    return options


@contextmanager
def clients(names: Sequence[str], threads: int, cache: str) -> Iterator[dict[str, Client]]:
    """A client for each framework; their processes end with the block."""
    made = {name: Client(FRAMEWORKS[name], threads, cache) for name in names}
    try:
        yield made
    finally:
        for client in made.values():
            client.stop()


def reference_client(workload: Workload, made: dict[str, Client]) -> Client | None:
    """Who computes the reference: NumPy where the workload has that form, else PyTorch."""
    name = "numpy" if "numpy" in workload.functions else "torch"
    return made.get(name)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure, printing and writing as it goes; returns the results."""
    results = _start(options)
    names = [n for n in options.frameworks if not (options.quick and FRAMEWORKS[n].slow)]
    if options.quick:
        left_out = [n for n in options.frameworks if n not in names]
        print(f"quick: without {', '.join(left_out)}, which take long to compile")
    effort = QUICK if options.quick else NORMAL
    if options.rounds:
        effort = Effort(options.rounds, effort.batch_seconds, effort.budget_seconds)
    chosen = [w for w in WORKLOADS.values() if re.search(options.only, w.name)]
    with tempfile.TemporaryDirectory(prefix="micrograd-bench-cache-") as cache:
        for threads in options.threads:
            limits = results["limits"][str(threads)] = measured_limits(threads)
            print(f"\n{table.header(names, threads)}")
            with clients(names, threads, cache) as made:
                for workload in chosen:
                    row = _row(workload, made, threads, effort, options.shake)
                    _keep(results, row)
                    for score in scores_of(row, workload, limits, options.by):
                        print(table.line(score, names), flush=True)
                    _write(results, options.json)
    return results


def _start(options: argparse.Namespace) -> dict[str, Any]:
    results: dict[str, Any] = {"machine": machine.describe(), "limits": {}, "rows": []}
    if options.update and options.json.exists():
        results = json.loads(options.json.read_text()) | {"machine": results["machine"]}
    results["options"] = {"shake": options.shake, "quick": options.quick, "by": options.by}
    if options.shake is not None:
        print(f"sizes shaken: repeat with --shake {options.shake}")
    return results


def _row(
    workload: Workload, made: dict[str, Client], threads: int, effort: Effort, seed: int | None
) -> dict[str, Any]:
    sizes = dict(workload.sizes) if seed is None else shaken(workload, seed)
    cost = workload.cost(sizes)
    return {
        "workload": workload.name,
        "threads": threads,
        "sizes": sizes,
        "cost": {"operations": cost.operations, "read": cost.read, "written": cost.written},
        "frameworks": measure(
            workload, sizes, list(made.values()), effort, reference_client(workload, made)
        ),
    }


def _keep(results: dict[str, Any], row: dict[str, Any]) -> None:
    """Add a row, in the place of an older one."""
    key = row["workload"], row["threads"]
    rows = [other for other in results["rows"] if (other["workload"], other["threads"]) != key]
    results["rows"] = [*rows, row]


def _write(results: dict[str, Any], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1))


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    run(options)
    print(f"\nresults: {options.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
