"""Scripts take turns as they are asked, run with either library, and make a table."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.client import Failure
from benchmarks.examples import table
from benchmarks.examples.__main__ import DOCUMENT, LIBRARIES, ScriptClient, measured
from benchmarks.examples.rows import PROGRAMS, REPOSITORY, ROWS, Row
from benchmarks.examples.turns import Finished, Turns


def turns(*requests: dict[str, float]) -> tuple[Turns, io.StringIO]:
    answers = io.StringIO()
    text = "".join(json.dumps(request) + "\n" for request in requests)
    return Turns(io.StringIO(text), answers, settle=lambda: None), answers


def test_a_turn_ends_after_its_iterations() -> None:
    taken, answers = turns({"seconds": 0, "least": 3}, {"seconds": 0, "least": 1})
    taken.wait()
    seen = []
    with pytest.raises(Finished):
        for number in taken.progress(range(100), "training", unit="epoch"):
            seen.append(number)
    assert seen == [0, 1, 2, 3]
    counts = [len(json.loads(line)["samples"]) for line in answers.getvalue().splitlines()]
    assert counts == [3, 1]


def test_a_turn_lasts_as_long_as_was_asked() -> None:
    taken, answers = turns({"seconds": 0.01, "least": 1})
    taken.wait()
    with pytest.raises(Finished), taken.progress(total=10**9) as watched:
        while True:
            watched.update()
            watched.set_postfix(loss=object())  # which cannot be read
    assert sum(json.loads(answers.getvalue())["samples"]) >= 0.01


def test_every_script_is_there() -> None:
    examples = {path.stem for path in (REPOSITORY / "examples").glob("*.py")}
    programs = {path.stem for path in (REPOSITORY / "tests" / "programs").glob("*.py")}
    assert set(PROGRAMS) <= programs
    assert {name for name in ROWS if "/" not in name} <= examples


@pytest.fixture
def client(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ScriptClient]:
    library, row = request.param
    if library.startswith("torch"):
        pytest.importorskip("torch")
    made = ScriptClient(library, 2, str(tmp_path), row)
    yield made
    made.stop()


@pytest.mark.slow
@pytest.mark.parametrize(
    "client",
    [("grad.compile", ROWS["programs/mlp"]), ("torch", ROWS["mnist_vae"])],
    indirect=True,
)
def test_a_script_takes_turns(client: ScriptClient) -> None:
    assert len(client.turn(0, least=3)) == 3
    assert len(client.turn(0)) == 1


@pytest.mark.parametrize(
    "client", [("grad", Row("no_such_script", "step", lambda *_: None))], indirect=True
)
def test_a_script_that_fails_says_why(client: ScriptClient) -> None:
    with pytest.raises(Failure, match="KeyError: 'no_such_script'"):
        client.turn(0)


class FakeClient:
    """Answers with the next of its times; None is a failure."""

    def __init__(self, *times: float | None) -> None:
        self.times = list(times)

    def turn(self, seconds: float, least: int = 1) -> list[float]:
        found = self.times.pop(0)
        if found is None:
            raise Failure("error", "it broke")
        return [found] * least


def test_the_first_turn_does_not_count() -> None:
    clients: Any = {"grad": FakeClient(9.0, 1.0, 3.0, 2.0), "torch": FakeClient(9.0, 1.0, None)}
    figures = measured(clients, rounds=3, seconds=0.1)
    assert figures["grad"]["median"] == 2.0
    assert figures["torch"] == {"failure": "error", "reason": "it broke"}


FIGURES = {
    "grad": {"median": 0.004},
    "grad.compile": {"median": 0.002},
    "torch": {"median": 0.004},
    "torch.compile": {"failure": "error", "reason": "RuntimeError: no"},
}
RESULTS: dict[str, Any] = {
    "machine": {
        "date": "2026-01-02T03:04:05",
        "commit": "abc",
        "processor": "P",
        "python": "3.11",
        "versions": {"torch": "2"},
    },
    "threads": 2,
    "frameworks": list(LIBRARIES),
    "rows": [
        {"name": "mnist_vae", "unit": "epoch", "figures": FIGURES},
        {"name": "mnist_cnn", "unit": "step", "figures": {"torch": {"median": 1.0}}},
    ],
}


def test_the_table() -> None:
    text = table.markdown(RESULTS)
    assert "| mnist_vae | epoch | 4.00 | **2.00** | **4.00** | error | 0.50 |" in text
    assert "| mnist_cnn | step |  |  | **1000** |  |  |" in text
    assert text.endswith("* mnist_vae, torch.compile: RuntimeError: no")


def test_the_table_goes_into_the_document(tmp_path: Path) -> None:
    path = tmp_path / "performance.md"
    path.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    table.insert("new", path)
    table.insert("newer", path)
    assert path.read_text() == f"before\n{table.BEGIN}\n\nnewer\n\n{table.END}\nafter\n"
    path.write_text("no marks")
    with pytest.raises(ValueError, match="between"):
        table.insert("new", path)


def test_the_document_has_its_place() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert text.index(table.BEGIN) < text.index(table.END)
