"""A whole run: for each number of threads, all workloads in all frameworks, printed and kept.

`Plan` says what to run. The results are JSON, written after every workload, so that a run that is
stopped keeps what it has: "machine", "options", "limits" by number of threads, "rows" (a workload
with so many threads: sizes, cost, and figures or failures by framework) and "imports".
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import machine, startup, table
from benchmarks.client import Client, measured_limits
from benchmarks.frameworks import FRAMEWORKS
from benchmarks.runner import NORMAL, Effort, measure
from benchmarks.scores import scores_of
from benchmarks.workload import Workload, shaken

Results = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run.

    Attributes:
        workloads, frameworks, threads: all combinations of these.
        path: where the results go.
        effort: how long to measure.
        shake: a seed for other sizes, None for those declared.
        startup: whether to time first calls and imports, and to measure peak memory.
        by: which time counts, "median" or "minimum".
        update: whether to keep the rows that `path` has already and that are not measured anew.
        startup_only: whether only first calls and imports are measured, for the rows in `path`.
    """

    workloads: Sequence[Workload]
    frameworks: Sequence[str]
    threads: Sequence[int]
    path: Path
    effort: Effort = NORMAL
    shake: int | None = None
    startup: bool = True
    by: str = "median"
    update: bool = False
    startup_only: bool = False

    def sizes(self, workload: Workload) -> dict[str, int]:
        return dict(workload.sizes) if self.shake is None else shaken(workload, self.shake)


def run(plan: Plan) -> Results:
    """Measure, printing lines of the table and writing results as they come."""
    results = begin(plan)
    if plan.startup_only:
        run_first_calls(plan, results)
    else:
        run_workloads(plan, results)
    if plan.startup:
        modules = dict.fromkeys(FRAMEWORKS[name].module for name in plan.frameworks)
        results["imports"] = startup.imports(modules)
        print("\n" + "\n".join(startup.import_lines(results["imports"])))
        write(results, plan.path)
    return results


def run_workloads(plan: Plan, results: Results) -> None:
    """Each workload in each framework, one after the other, with first calls where asked for."""
    with tempfile.TemporaryDirectory(prefix="micrograd-bench-cache-") as cache:
        for threads in plan.threads:
            results["limits"][str(threads)] = measured_limits(threads)
            print(f"\n{table.header(plan.frameworks, threads)}")
            with clients(plan.frameworks, threads, cache) as made:
                for workload in plan.workloads:
                    row = measured_row(plan, workload, made, threads)
                    keep(results, row)
                    write(results, plan.path)
                    print_row(results, row, workload, plan)


def run_first_calls(plan: Plan, results: Results) -> None:
    """First calls anew of the rows that there are, with the most threads asked for."""
    threads = max(plan.threads)
    print(f"\n{table.header(plan.frameworks, threads)}")
    rows = {row["workload"]: row for row in results["rows"] if row["threads"] == threads}
    for workload in plan.workloads:
        if workload.startup and (row := rows.get(workload.name)) is not None:
            measured = {n: f for n, f in row["frameworks"].items() if n in plan.frameworks}
            row["frameworks"] |= startup.add_first_calls(measured, workload, row["sizes"], threads)
            write(results, plan.path)
            print_row(results, row, workload, plan)


def begin(plan: Plan) -> Results:
    """Results without rows, or with those of an earlier run."""
    results: Results = {"limits": {}, "rows": []}
    if (plan.update or plan.startup_only) and plan.path.exists():
        results = json.loads(plan.path.read_text())
    results["machine"] = machine.describe()
    results["options"] = {"shake": plan.shake, "rounds": plan.effort.rounds, "by": plan.by}
    return results


@contextmanager
def clients(names: Sequence[str], threads: int, cache: str) -> Iterator[dict[str, Client]]:
    """A client for each framework; their processes end with the block."""
    made = {name: Client(FRAMEWORKS[name], threads, cache) for name in names}
    try:
        yield made
    finally:
        for client in made.values():
            client.stop()


def measured_row(
    plan: Plan, workload: Workload, made: Mapping[str, Client], threads: int
) -> dict[str, Any]:
    """One workload with so many threads, in all frameworks."""
    sizes = plan.sizes(workload)
    cost = workload.cost(sizes)
    # NumPy computes the reference where the workload has that form, else PyTorch.
    reference = made.get("numpy" if "numpy" in workload.functions else "torch")
    figures = measure(workload, sizes, list(made.values()), plan.effort, reference)
    if plan.startup and workload.startup and threads == max(plan.threads):
        figures = startup.add_first_calls(figures, workload, sizes, threads)
    return {
        "workload": workload.name,
        "threads": threads,
        "sizes": sizes,
        "cost": {"operations": cost.operations, "read": cost.read, "written": cost.written},
        "frameworks": figures,
    }


def keep(results: Results, row: dict[str, Any]) -> None:
    """Add a row, in the place of an older one."""
    key = row["workload"], row["threads"]
    rows = [other for other in results["rows"] if (other["workload"], other["threads"]) != key]
    results["rows"] = [*rows, row]


def write(results: Results, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1))


def print_row(results: Results, row: dict[str, Any], workload: Workload, plan: Plan) -> None:
    limits = results["limits"][str(row["threads"])]
    for score in scores_of(row, workload, limits, plan.by):
        if score.present:
            print(table.line(score, plan.frameworks), flush=True)
