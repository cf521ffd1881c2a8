"""The results as a picture: for each target a bar, our time over the best peer's (log scale)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib import pyplot
from matplotlib.figure import Figure

from benchmarks.scores import Score

REACHED, NOT_REACHED, UNDECIDED = "#2a9d5c", "#c8553d", "#999999"
COLOURS = {True: REACHED, False: NOT_REACHED, None: UNDECIDED}
INCHES_PER_BAR = 0.22


def draw(scores: Sequence[Score], path: Path, title: str) -> None:
    """Draw the scores that are ratios to a peer; shorter bars are better."""
    shown = [score for score in scores if score.ratio is not None and score.peer]
    pyplot.switch_backend("agg")
    figure: Figure = pyplot.figure(figsize=(10, 1.5 + INCHES_PER_BAR * max(len(shown), 4)))
    axes = figure.add_subplot()
    places = range(len(shown))
    ratios = [score.ratio or 0.0 for score in shown]
    axes.barh(places, ratios, color=[COLOURS[score.reached] for score in shown], height=0.7)
    for place, score in zip(places, shown):
        axes.plot(
            [score.target.reach] * 2, [place - 0.45, place + 0.45], color="black", linewidth=2
        )
        axes.text(score.ratio or 0.0, place, f" {score.ratio:.2f}", va="center", fontsize=7)
    names = [f"{score.name} (against {score.peer})" for score in shown]
    axes.set_yticks(places, names, fontsize=7)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("{x:g}")
    axes.tick_params(axis="x", which="both", labelsize=7)
    axes.axvline(1.0, color="grey", linewidth=0.8)
    axes.invert_yaxis()
    axes.set_xlabel("ours / best peer, less is better; black marks: what is to be reached")
    axes.set_title(title, fontsize=9)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=120, bbox_inches="tight")
    pyplot.close(figure)
