"""Write results into docs/performance.md: `python -m benchmarks.report build/bench/results.json`.

The document has a section for each kind of processor, between two marks that carry LLVM's name of
it; the section of the results' machine is replaced, or comes last if there was none: machine,
tables, the limits, and for each target not reached the reason and the next thing to try, from
reasons.toml.
"""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.scores import Score, scores_of
from benchmarks.startup import IMPORT_SECONDS_OVER_NUMPY
from benchmarks.table import amount
from benchmarks.workloads import WORKLOADS

REPOSITORY = Path(__file__).resolve().parent.parent
DOCUMENT = REPOSITORY / "docs" / "performance.md"
REASONS = Path(__file__).with_name("reasons.toml")
BEGIN, END = "<!-- results on {} begin -->", "<!-- results on {} end -->"
NOT_EXPLAINED = "not explained yet"
COLUMNS = ("grad", "grad.compile", "torch", "torch.compile", "jax", "tinygrad", "numpy")


def all_scores(results: Mapping[str, Any]) -> list[Score]:
    """Scores of all rows, in the order of the workloads, most threads first."""
    order = {name: number for number, name in enumerate(WORKLOADS)}
    rows = [row for row in results["rows"] if row["workload"] in order]
    rows.sort(key=lambda row: (-row["threads"], order[row["workload"]]))
    return [
        score
        for row in rows
        for score in scores_of(
            row,
            WORKLOADS[row["workload"]],
            results["limits"].get(str(row["threads"])),
            results["options"]["by"],
        )
        if score.present
    ]


def machine_lines(results: Mapping[str, Any]) -> list[str]:
    machine = results["machine"]
    caches = ", ".join(f"{size >> 10} KiB" for size in machine["cache_bytes"])
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    shaken = results["options"]["shake"]
    sizes = "as declared" if shaken is None else f"shaken with seed {shaken}"
    return [
        f"{machine['date'][:10]}, commit {machine['commit']}. {machine['processor']} "
        f"({machine['llvm_processor']}, vectors of {machine['vector_bits']} bits), "
        f"{machine['cores']} cores, caches of {caches}, "
        f"{machine['memory_bytes'] / 2**30:.0f} GiB; {machine['system']}, "
        f"Python {machine['python']}; {versions}. Load before the run: "
        f"{machine['load'][0] if machine['load'] else 0:.1f}. Sizes {sizes}; the "
        f"{results['options']['by']} of the rounds counts.",
        "",
    ]


def limit_lines(results: Mapping[str, Any]) -> list[str]:
    """The limits, one line for each number of threads."""
    lines = []
    for threads, limits in sorted(results["limits"].items()):
        memory = ", ".join(
            f"{_size(read[0])} {read[1] / 1e9:.0f} / {copy[1] / 1e9:.0f}"
            for read, copy in zip(limits["read"], limits["copy"])
        )
        lines.append(
            f"Limits with {threads} threads: {limits['operations'] / 1e9:.0f} GFLOP/s in "
            f"float32; GB/s reading / copying, by memory used: {memory}."
        )
        lines.append("")
    return lines


def _size(count: int) -> str:
    return f"{count >> 20} MiB" if count >= 1 << 20 else f"{count >> 10} KiB"


def table_lines(scores: Sequence[Score], threads: int) -> list[str]:
    """A Markdown table of the scores with so many threads."""
    chosen = [score for score in scores if score.threads == threads]
    reached = sum(score.reached is True for score in chosen)
    names = [
        name for name in COLUMNS if any(name in s.values or name in s.failures for s in chosen)
    ]
    lines = [
        f"### {threads} thread{'s' if threads > 1 else ''}: {reached} of {len(chosen)} reached",
        "",
        f"| milliseconds | {' | '.join(names)} | ratio | reach | | of the limit |",
        f"|---|{'---:|' * len(names)}---:|---:|---|---:|",
    ]
    for score in chosen:
        cells = " | ".join(_cell(score, name) for name in names)
        ratio = "" if score.ratio is None else f"{score.ratio:.2f}"
        share = "" if score.limit_share is None else f"{100 * score.limit_share:.0f} %"
        mark = {True: "yes", False: "**no**", None: ""}[score.reached]
        line = f"| {score.name} | {cells} | {ratio} | {score.target.reach} | {mark} | {share} |"
        lines.append(line)
    return [*lines, ""]


def _cell(score: Score, name: str) -> str:
    if name in score.values:
        text = amount(score.values[name], score.target.quantity)
        return f"**{text}**" if name in (score.ours, score.peer) else text
    return score.failures.get(name, "")


def import_lines(results: Mapping[str, Any]) -> list[str]:
    found = results.get("imports", {})
    if not found:
        return []
    lines = [
        "### Imports and sizes",
        "",
        "| | import, s | installed with what it requires, MB |",
        "|---|---:|---:|",
    ]
    for module, figure in found.items():
        size = figure["installed_bytes"] / 1e6
        lines.append(f"| {module} | {figure['import_seconds']:.3f} | {size:.0f} |")
    if "grad" in found and "numpy" in found:
        allowed = found["numpy"]["import_seconds"] + IMPORT_SECONDS_OVER_NUMPY
        met = found["grad"]["import_seconds"] <= allowed
        lines += [
            "",
            f"`import grad` is to take {allowed:.3f} s at most: {'yes' if met else '**no**'}.",
        ]
    return [*lines, ""]


def reason_lines(scores: Iterable[Score], reasons: Mapping[str, str]) -> list[str]:
    """What is not reached, each with its reason and the next thing to try."""
    missed: dict[str, list[Score]] = {}
    for score in scores:
        if score.reached is False:
            missed.setdefault(score.name, []).append(score)
    lines = ["### Not reached", ""] if missed else []
    for name, found in missed.items():
        ratios = ", ".join(
            f"{score.ratio:.2f} with {score.threads}" if score.ratio else "no figure"
            for score in found
        )
        lines.append(
            f"* **{name}** ({ratios}; reach {found[0].target.reach}): {reason(name, reasons)}"
        )
    return [*lines, ""]


def reason(name: str, reasons: Mapping[str, str]) -> str:
    """The text for a line, by its name or the longest key with a star that fits."""
    fitting = [key for key in reasons if key.endswith("*") and name.startswith(key[:-1])]
    key = name if name in reasons else max(fitting, key=len, default="")
    return reasons.get(key, NOT_EXPLAINED)


def body(results: Mapping[str, Any], reasons: Mapping[str, str]) -> str:
    scores = all_scores(results)
    lines = [f"## Results on {results['machine']['llvm_processor']}", ""]
    lines += machine_lines(results) + limit_lines(results)
    for threads in sorted({score.threads for score in scores}, reverse=True):
        lines += table_lines(scores, threads)
    lines += import_lines(results) + reason_lines(scores, reasons)
    return "\n".join(lines)


def rewritten(document: str, processor: str, text: str) -> str:
    """The document with `text` between the marks of `processor`; at its end where it has none.

    Raises:
        ValueError: when only one of the marks is there.
    """
    begin, end = BEGIN.format(processor), END.format(processor)
    if (begin in document) != (end in document):
        raise ValueError(f"the document needs both lines, {begin} and {end}, or none of them")
    section = f"{begin}\n\n{text.strip()}\n\n{end}"
    if begin not in document:
        return f"{document.rstrip()}\n\n{section}\n"
    before, _, rest = document.partition(begin)
    return f"{before}{section}{rest.partition(end)[2]}"


def reasons_on(processor: str) -> dict[str, str]:
    """The reasons that hold on every machine, then those of `processor` in their place."""
    tables = tomllib.loads(REASONS.read_text(encoding="utf-8"))
    return tables["any"] | tables.get(processor, {})


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("results", type=Path, help="what python -m benchmarks wrote")
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    options = parser.parse_args(arguments)
    results = json.loads(options.results.read_text())
    processor = results["machine"]["llvm_processor"]
    text = body(results, reasons_on(processor))
    document = options.document.read_text(encoding="utf-8")
    options.document.write_text(rewritten(document, processor, text), encoding="utf-8")
    print(f"{options.document}: rewritten")
    return 0


if __name__ == "__main__":
    sys.exit(main())
