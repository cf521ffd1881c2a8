"""From figures to scores: our time over the best peer's, whether the target is reached, the limit.

The table, the picture and the report show scores; nothing is judged anywhere else.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks.workload import Cost, Target, Workload
from grad.runtime.rates import rate

# Where each quantity stands among the figures of a framework.
FIELDS = {"time": "median", "cold": "cold_seconds", "warm": "warm_seconds", "peak": "peak_bytes"}


@dataclass(frozen=True, slots=True)
class Score:
    """One line of the table: a target and how far we are.

    Attributes:
        name: the workload, and what is looked at if it is not the time.
        threads: how many threads all frameworks had.
        target: what was to be reached.
        values: the quantity by framework, and `failures` why it is not there.
        ours, peer: the best of each side, None if there is none.
        ratio: ours over the best peer's (over one unit where the target is absolute).
        limit_share: the least time that the machine could need, over ours.
    """

    name: str
    threads: int
    target: Target
    values: Mapping[str, float]
    failures: Mapping[str, str]
    ours: str | None
    peer: str | None
    ratio: float | None
    limit_share: float | None

    @property
    def present(self) -> bool:
        """Whether anything was measured, or failed: first calls may not have been asked for."""
        return bool(self.values) or self.target.quantity == "time"

    @property
    def reached(self) -> bool | None:
        """Whether the target is reached; None where that cannot be told."""
        if self.ours is None:
            return False
        return None if self.ratio is None else self.ratio <= self.target.reach


def scores_of(
    row: Mapping[str, Any], workload: Workload, limits: Mapping[str, Any] | None, by: str = "median"
) -> list[Score]:
    """The scores of one measured workload."""
    return [_score(row, workload, target, limits, by) for target in workload.targets]


def _score(
    row: Mapping[str, Any],
    workload: Workload,
    target: Target,
    limits: Mapping[str, Any] | None,
    by: str,
) -> Score:
    figures = row["frameworks"]
    field = FIELDS[target.quantity] if target.quantity != "time" else by
    failures = {name: figure["failure"] for name, figure in figures.items() if "failure" in figure}
    values = {
        name: figure[field]
        for name, figure in figures.items()
        if name not in failures and figure.get(field) is not None
    }
    ours, peer = _best(values, target.ours), _best(values, target.peers)
    ratio = None
    if ours and not target.peers:
        ratio = values[ours]  # to one second
    elif ours and peer:
        ratio = values[ours] / values[peer]
    share = None
    if ours and limits and target.quantity == "time":
        share = least_seconds(Cost(**row["cost"]), limits) / values[ours]
    return Score(
        name=f"{workload.name}{target.label}",
        threads=row["threads"],
        target=target,
        values=values,
        failures=failures,
        ours=ours,
        peer=peer,
        ratio=ratio,
        limit_share=share,
    )


def _best(values: Mapping[str, float], names: Iterable[str]) -> str | None:
    present = [name for name in names if name in values]
    return min(present, key=values.__getitem__, default=None)


def least_seconds(cost: Cost, limits: Mapping[str, Any]) -> float:
    """The least time for `cost`: by arithmetic or by memory, whichever takes longer.

    What is both read and written goes at the rate of a copy, the rest at the rate of reading; both
    rates are those of memory of the workload's size, since caches are faster.
    """
    footprint = cost.read + cost.written
    copied = 2 * min(cost.read, cost.written)
    moving = copied / rate(limits["copy"], footprint)
    moving += (footprint - copied) / rate(limits["read"], footprint)
    return max(cost.operations / limits["operations"], moving)
