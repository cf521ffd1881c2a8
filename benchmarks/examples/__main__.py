"""Time the examples, and the programs of tests/programs, beside PyTorch.

For each script all libraries start a process of their own, and each of these is run until it is
warm. Then they take turns, about a second each, in an order that is rotated; an iteration's time is
the median over the turns of the medians in them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import machine
from benchmarks.client import Client, Failure
from benchmarks.examples import table
from benchmarks.examples.rows import ROWS, Row
from benchmarks.frameworks import FRAMEWORKS

OUTPUT = Path("build/bench/examples.json")
DOCUMENT = machine.REPOSITORY / "docs" / "performance.md"
LIBRARIES = ("grad", "grad.compile", "torch", "torch.compile")
# Compilers that record do so in the second iteration, and some compile anew in the third.
WARM_ITERATIONS = 4
LONGEST_TURN_SECONDS = 120.0


class ScriptClient(Client):
    """The worker of a library for one script."""

    def __init__(self, library: str, threads: int, cache: str, row: Row) -> None:
        super().__init__(FRAMEWORKS[library], threads, cache)
        module = "benchmarks.examples.worker"
        self.command = [sys.executable, "-m", module, library, str(threads), row.name]

    def turn(self, seconds: float, least: int = 1) -> list[float]:
        """Seconds of each iteration of a turn. The first turn may take as long as it needs.

        Raises:
            Failure: there is no figure.
        """
        patience = LONGEST_TURN_SECONDS + self.framework.patience
        return self.ask("turn", patience, seconds=seconds, least=least)["samples"]


def measured(clients: Mapping[str, ScriptClient], rounds: int, seconds: float) -> dict[str, Any]:
    """The figures of a script, or failures, by library."""
    figures: dict[str, Any] = {name: {"rounds": []} for name in clients}

    def attempt(name: str, seconds: float, least: int) -> list[float] | None:
        try:
            return clients[name].turn(seconds, least)
        except Failure as failure:
            figures[name] = {"failure": failure.kind, "reason": failure.reason}
            return None

    order = list(clients)
    for name in order:
        attempt(name, seconds, WARM_ITERATIONS)
    for number in range(rounds):
        first = number % len(order)
        for name in order[first:] + order[:first]:
            if "failure" not in figures[name] and (samples := attempt(name, seconds, 1)):
                figures[name]["rounds"].append(median(samples))
    for figure in figures.values():
        if "failure" not in figure:
            figure["median"] = median(figure["rounds"])
    return figures


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure, printing lines of the table and writing results as they come."""
    results = {
        "machine": machine.describe(),
        "threads": options.threads,
        "frameworks": options.libraries,
        "rows": [],
    }
    options.json.parent.mkdir(parents=True, exist_ok=True)
    for row in (row for row in ROWS.values() if re.search(options.only, row.name)):
        with tempfile.TemporaryDirectory(prefix="micrograd-bench-examples-") as cache:
            clients = {
                name: ScriptClient(name, options.threads, cache, row) for name in options.libraries
            }
            try:
                figures = measured(clients, options.rounds, options.seconds)
            finally:
                for client in clients.values():
                    client.stop()
        results["rows"].append({"name": row.name, "unit": row.unit, "figures": figures})
        options.json.write_text(json.dumps(results, indent=1))
        print(table.line(row.name, row.unit, figures, options.libraries), flush=True)
    return results


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m benchmarks.examples", description=__doc__)
    add = made.add_argument
    add("--only", default="", metavar="REGEX", help="scripts whose name matches")
    add("--quick", action="store_true", help="two short turns, without torch.compile")
    add("--threads", type=int, default=min(2, os.cpu_count() or 1))
    add("--rounds", type=int, default=7, help="turns for each library")
    add("--seconds", type=float, default=1.0, help="how long a turn is, about")
    add("--json", type=Path, default=OUTPUT, help="where the results go")
    add("--write", action="store_true", help="put the table into docs/performance.md")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    options.libraries = list(LIBRARIES)
    if options.quick:
        options.rounds, options.seconds = 2, 0.3
        options.libraries.remove("torch.compile")
    results = run(options)
    text = table.markdown(results)
    if options.write:
        table.insert(text, DOCUMENT)
    print(f"\n{text}\n\nresults: {options.json}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
