"""The figures of the scripts as a table in Markdown, and its place in docs/performance.md."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.table import FAILURES, amount
from benchmarks.workload import OURS

PACKAGES = ("torch", "numpy", "llvmlite")
BEGIN, END = "<!-- examples begin -->", "<!-- examples end -->"
Figures = Mapping[str, Mapping[str, Any]]


def medians(figures: Figures, ours: bool) -> dict[str, float]:
    """Seconds of an iteration, by library, of ours or of the peers."""
    return {
        name: figure["median"]
        for name, figure in figures.items()
        if "median" in figure and (name in OURS) == ours
    }


def ratio(figures: Figures) -> float | None:
    """Our best time over the peers' best."""
    ours, peers = medians(figures, True), medians(figures, False)
    return min(ours.values()) / min(peers.values()) if ours and peers else None


def cell(figure: Mapping[str, Any] | None) -> str:
    """Milliseconds, or why there are none."""
    if figure is None:
        return ""
    if "median" in figure:
        return amount(figure["median"], "time")
    failure: str = figure["failure"]
    return FAILURES.get(failure, failure)


def line(name: str, unit: str, figures: Figures, libraries: Sequence[str]) -> str:
    """A script's line: the best of ours and the best of the peers are bold."""
    best = [min(found, key=found.__getitem__) for side in (True, False)
            if (found := medians(figures, side))]  # fmt: skip
    texts = {library: cell(figures.get(library)) for library in libraries}
    cells = [f"**{text}**" if library in best else text for library, text in texts.items()]
    found = ratio(figures)
    share = "" if found is None else f"{found:.2f}"
    return f"| {' | '.join([name, unit, *cells, share])} |"


def markdown(results: Mapping[str, Any]) -> str:
    """Where and when, the table, and the reasons of what is missing in it."""
    machine, libraries = results["machine"], results["frameworks"]
    found = machine["versions"]
    versions = ", ".join(f"{name} {found[name]}" for name in PACKAGES if name in found)
    rows = results["rows"]
    reasons = {
        f"* {row['name']}, {library}: {figure['reason']}"
        for row in rows
        for library, figure in row["figures"].items()
        if "failure" in figure
    }
    return "\n".join([
        f"{machine['date'][:10]}, commit {machine['commit']}, {machine['processor']}, "
        f"{results['threads']} threads, Python {machine['python']}, {versions}.",
        "",
        f"| milliseconds | for each | {' | '.join(libraries)} | ratio |",
        f"|---|---|{'---:|' * (len(libraries) + 1)}",
        *(line(row["name"], row["unit"], row["figures"], libraries) for row in rows),
        *(["", *sorted(reasons)] if reasons else []),
    ])  # fmt: skip


def insert(text: str, path: Path) -> None:
    """Put `text` between the marks of the document at `path`.

    Raises:
        ValueError: it has no marks.
    """
    document = path.read_text(encoding="utf-8")
    before, begin, rest = document.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{path} has no {BEGIN} and {END} to write between.")
    path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}", encoding="utf-8")
