"""What is timed: scripts, and what an iteration of each is.

A row's `drive` runs the script until `Turns` ends it. An example runs by its own `main`, with more
steps than anybody waits for; a program of tests/programs in a loop like any training script's.
"""

from __future__ import annotations

import importlib
import itertools
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.examples.names import Compile
from benchmarks.examples.turns import Turns

REPOSITORY = Path(__file__).resolve().parents[2]
FOR_EVER = "1000000"
LINES = 512

Drive = Callable[[Turns, Compile], None]


@dataclass(frozen=True, slots=True)
class Row:
    """A script to time.

    Attributes:
        name: what the table calls it.
        unit: what an iteration is.
        drive: runs it, in a process that serves one of the libraries.
    """

    name: str
    unit: str
    drive: Drive


def example(name: str, *arguments: str) -> Drive:
    """An example's own `main`, with these arguments."""

    def drive(turns: Turns, compile: Compile) -> None:
        sys.path.insert(0, str(REPOSITORY / "examples"))
        sys.argv = [name, *arguments]
        importlib.import_module(name).main()

    return drive


def embed(turns: Turns, compile: Compile) -> None:
    """All lines, again and again; the batches of a turn must be the same for all libraries."""
    sys.path.insert(0, str(REPOSITORY / "examples"))
    script = importlib.import_module("sentence_embeddings")
    vars(script)["progress"] = lambda items, *_, **__: items
    folder = script.model_folder()
    model, tokenizer = script.load_model(folder), script.load_tokenizer(folder)
    lines = script.lines_to_search(LINES)
    while True:
        script.encode(model, tokenizer, lines)
        turns.step()


def program(name: str) -> Drive:
    """A program of tests/programs, trained with AdamW."""

    def drive(turns: Turns, compile: Compile) -> None:
        sys.path.insert(0, str(REPOSITORY / "tests" / "programs"))
        training, script = importlib.import_module("training"), importlib.import_module(name)
        model, optimizer, batches = training.start(script, "AdamW")
        step = compile(training.make_step(script, model.train(), optimizer))
        for batch in itertools.cycle(batches):
            step(*batch).item()
            turns.step()

    return drive


DIGITS = str(REPOSITORY / "data" / "mnist_5k")
PROGRAMS = ("mlp", "cnn", "lstm", "transformer", "gpt", "resnet18", "unet", "vae")
_ROWS = (
    Row("mnist_cnn", "step", example("mnist_cnn", "--epochs", FOR_EVER)),
    Row("mnist_vae", "epoch", example("mnist_vae", "--epochs", FOR_EVER)),
    Row("names_lstm", "epoch", example("names_lstm", "--epochs", FOR_EVER)),
    Row("shakespeare_gpt", "step", example("shakespeare_gpt", "--steps", FOR_EVER)),
    Row("fashion_resnet", "step", example("fashion_resnet", "--epochs", "1000", "--data", DIGITS)),
    Row("sentence_embeddings", f"{LINES} sentences", embed),
    *(Row(f"programs/{name}", "step", program(name)) for name in PROGRAMS),
)
ROWS: dict[str, Row] = {row.name: row for row in _ROWS}
