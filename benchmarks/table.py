"""The table in the terminal: a line for each target, at most 140 columns wide."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.scores import Score

NAME_WIDTH = 44
COLUMN_WIDTH = 10
# Names of columns and failures that do not fit in one.
TITLES = {"grad.compile": "g.compile", "torch.compile": "t.compile"}
FAILURES = {"not installed": "none"}
MARKS = {True: "yes", False: "no", None: "-"}


def header(names: Sequence[str], threads: int) -> str:
    """The heading of the lines with `threads` threads."""
    unit = f"milliseconds, {threads} thread{'s' if threads > 1 else ''}"
    titles = "".join(f"{TITLES.get(name, name):>{COLUMN_WIDTH}}" for name in names)
    text = f"{unit:{NAME_WIDTH}}{titles}{'ratio':>7}{'reach':>6}{'met':>5}{'limit':>7}"
    return f"{text}\n{'-' * len(text)}"


def line(score: Score, names: Sequence[str]) -> str:
    """One target: a figure for each framework, our ratio, and what share of the limit we get."""
    cells = "".join(f"{_cell(score, name):>{COLUMN_WIDTH}}" for name in names)
    ratio = "" if score.ratio is None else f"{score.ratio:.2f}"
    share = "" if score.limit_share is None else f"{100 * score.limit_share:.0f} %"
    return (
        f"{score.name[:NAME_WIDTH]:{NAME_WIDTH}}{cells}{ratio:>7}{score.target.reach:>6}"
        f"{MARKS[score.reached]:>5}{share:>7}"
    )


def _cell(score: Score, name: str) -> str:
    if name in score.values:
        return amount(score.values[name], score.target.quantity)
    failure = score.failures.get(name, "")
    return FAILURES.get(failure, failure)


def amount(value: float, quantity: str) -> str:
    """Milliseconds with three significant digits, or mebibytes."""
    if quantity == "peak":
        return f"{value / (1 << 20):.1f} M"
    milliseconds = value * 1e3
    if milliseconds < 1:
        return f"{milliseconds:.4f}"
    return f"{milliseconds:.{max(0, 3 - len(str(int(milliseconds))))}f}"
