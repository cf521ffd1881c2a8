"""Run the benchmarks: print a table, write JSON and a picture."""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from benchmarks import picture, report
from benchmarks.frameworks import FRAMEWORKS
from benchmarks.run import Plan, run
from benchmarks.runner import NORMAL, QUICK
from benchmarks.workloads import WORKLOADS

OUTPUT = Path("build/bench")
LARGEST_SEED = 100_000


def parser() -> argparse.ArgumentParser:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    made = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    add = made.add_argument
    add("--only", default="", metavar="REGEX", help="workloads whose name matches")
    add("--frameworks", default=",".join(FRAMEWORKS), help="columns, separated by commas")
    add("--threads", default=f"1,{min(2, cores or 1)}", help="numbers of threads, by commas")
    add("--rounds", type=int, help=f"turns for each framework (normally {NORMAL.rounds})")
    add("--quick", action="store_true", help="few rounds, no slow compilers, no first calls")
    add("--shake", nargs="?", type=int, const=-1, metavar="SEED", help="other sizes, near these")
    add("--by", choices=("median", "minimum"), default="median", help="which time counts")
    add("--no-startup", action="store_true", help="no first calls, peak memory and imports")
    add("--startup-only", action="store_true", help="only these, for the rows of the JSON")
    add("--update", action="store_true", help="keep rows of the JSON that are not measured now")
    add("--json", type=Path, default=OUTPUT / "results.json", help="where the results go")
    add("--picture", type=Path, default=OUTPUT / "results.png", help="where the picture goes")
    return made


def plan_of(options: argparse.Namespace) -> Plan:
    """What to run.

    Raises:
        ValueError: when a framework or a workload that was asked for does not exist.
    """
    names = options.frameworks.split(",")
    if not set(names) <= set(FRAMEWORKS):
        raise ValueError(f"frameworks are {', '.join(FRAMEWORKS)}; got {options.frameworks}")
    workloads = [w for w in WORKLOADS.values() if re.search(options.only, w.name)]
    if not workloads:
        raise ValueError(f"no workload matches {options.only}; there are {', '.join(WORKLOADS)}")
    effort = QUICK if options.quick else NORMAL
    seed = time.time_ns() % LARGEST_SEED if options.shake == -1 else options.shake
    return Plan(
        workloads=workloads,
        frameworks=[n for n in names if not (options.quick and FRAMEWORKS[n].slow)],
        threads=sorted({int(number) for number in options.threads.split(",")}),
        path=options.json,
        effort=replace(effort, rounds=options.rounds or effort.rounds),
        shake=seed,
        startup=not (options.no_startup or options.quick),
        startup_only=options.startup_only,
        by=options.by,
        update=options.update,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    made = parser()
    options = made.parse_args(arguments)
    try:
        plan = plan_of(options)
    except ValueError as error:
        made.error(str(error))
    if options.quick:
        slow = [name for name, framework in FRAMEWORKS.items() if framework.slow]
        print(f"quick: without {' and '.join(slow)}, which compile for long")
    if plan.shake is not None:
        print(f"sizes are shaken; repeat with --shake {plan.shake}")
    results = run(plan)
    most = max(plan.threads)
    scores = [score for score in report.all_scores(results) if score.threads == most]
    picture.draw(scores, options.picture, f"{results['machine']['processor']}, {most} threads")
    print(f"\nresults: {options.json}\npicture: {options.picture}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
