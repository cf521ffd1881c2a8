"""Rounds: in each, every framework times a short batch of the same workload, one after another.

What disturbs the machine for a while so disturbs all of them, and the order changes with each
round. A framework that has used up its time for a workload (tinygrad takes seconds for some) is
left out of the later rounds; one that fails is left out with its reason.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.client import Client, Failure
from benchmarks.workload import Workload

REFERENCE_SECONDS = 300.0
FEWEST_ROUNDS = 2


@dataclass(frozen=True, slots=True)
class Effort:
    """How long to measure.

    Attributes:
        rounds: how often each framework gets its turn.
        batch_seconds: how long a turn is, about.
        budget_seconds: after so long on one workload a framework gets no more turns.
    """

    rounds: int
    batch_seconds: float
    budget_seconds: float


NORMAL = Effort(rounds=7, batch_seconds=0.1, budget_seconds=4.0)
QUICK = Effort(rounds=3, batch_seconds=0.04, budget_seconds=1.0)


def measure(
    workload: Workload,
    sizes: Mapping[str, int],
    clients: Sequence[Client],
    effort: Effort,
    reference: Client | None,
) -> dict[str, dict[str, Any]]:
    """Time a workload in all frameworks; the figures, or the failure, by framework."""
    figures: dict[str, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory(prefix="micrograd-bench-") as directory:
        path = _write_reference(workload, sizes, reference, Path(directory) / "reference.npz")
        for client in clients:
            figures[client.framework.name] = _attempt(_prepare, client, workload, sizes, path)
    _take_turns(clients, figures, effort)
    for client in clients:
        if "failure" not in figures[client.framework.name]:
            _attempt(client.ask, "release", 30.0)
    return {name: _summary(figure, workload) for name, figure in figures.items()}


def _attempt(action: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    try:
        return action(*arguments)
    except Failure as failure:
        return {"failure": failure.kind, "reason": failure.reason}


def _write_reference(
    workload: Workload, sizes: Mapping[str, int], client: Client | None, path: Path
) -> str:
    """Have the reference computed; empty where that cannot be."""
    if client is None:
        return ""
    arguments = {"workload": workload.name, "sizes": dict(sizes), "path": str(path)}
    made = _attempt(lambda: client.ask("reference", REFERENCE_SECONDS, **arguments))
    return "" if "failure" in made else str(path)


def _prepare(
    client: Client, workload: Workload, sizes: Mapping[str, int], reference: str
) -> dict[str, Any]:
    figure = client.prepare(workload, sizes, reference)
    # In a process that has done other work, memory that is free but not returned blurs the peak;
    # startup.py measures it in new ones.
    del figure["peak_bytes"]
    return figure | {"rounds": [], "minima": []}


def _take_turns(
    clients: Sequence[Client], figures: dict[str, dict[str, Any]], effort: Effort
) -> None:
    used = dict.fromkeys(figures, 0.0)
    for number in range(effort.rounds):
        first = number % len(clients)
        for client in (*clients[first:], *clients[:first]):
            name = client.framework.name
            figure = figures[name]
            late = number >= FEWEST_ROUNDS and used[name] > effort.budget_seconds
            if "failure" in figure or late:
                continue
            timeout = 30.0 + 20.0 * figure["next_call_seconds"]
            answer = _attempt(
                lambda c=client, t=timeout: c.ask("time", t, seconds=effort.batch_seconds)
            )
            if "failure" in answer:
                figures[name] = answer
                continue
            samples = answer["samples"]
            figure["rounds"].append(median(samples))
            figure["minima"].append(min(samples))
            used[name] += max(effort.batch_seconds, samples[0])


def _summary(figure: dict[str, Any], workload: Workload) -> dict[str, Any]:
    """Figures with their median and minimum; a result that is wrong is a failure, with its time."""
    if "failure" in figure:
        return figure
    figure = figure | {"median": median(figure["rounds"]), "minimum": min(figure["minima"])}
    error = figure["difference"]
    if error is not None and not error <= workload.tolerance:
        reason = f"differs from the reference by {error:.2g}, allowed is {workload.tolerance:.2g}"
        return figure | {"failure": "wrong", "reason": reason}
    return figure
