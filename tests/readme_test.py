"""The examples in the documents run, print what the documents say, and the links lead somewhere.

All ```python blocks of a document run in order in one namespace, as a reader would type them. A
```text block right after one is what it must print. README.md always runs; a file under docs/ runs
when it holds the line `<!-- runnable -->`.
"""

from __future__ import annotations

import re
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent
README = REPOSITORY / "README.md"
RUNNABLE_MARK = "<!-- runnable -->"
BLOCK = re.compile(
    r"^```python\n(?P<code>.*?)^```\n(?:\n*```text\n(?P<output>.*?)^```\n)?", re.M | re.S
)
LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")


@dataclass(frozen=True)
class Example:
    """A block of code, the line of its document it starts at, and its output where given."""

    code: str
    line: int
    output: str | None


def read_examples(text: str) -> list[Example]:
    return [
        Example(match["code"], text.count("\n", 0, match.start("code")), match["output"])
        for match in BLOCK.finditer(text)
    ]


def run_document(text: str, name: str) -> None:
    """Run the examples of a document; a traceback names the document and its line."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for example in read_examples(text):
        code = compile("\n" * example.line + example.code, name, "exec", dont_inherit=True)
        printed = StringIO()
        with redirect_stdout(printed):
            exec(code, namespace)
        if example.output is not None:
            assert printed.getvalue() == example.output, f"{name}:{example.line + 1}: output"


def documents() -> list[Path]:
    return [README, *sorted((REPOSITORY / "docs").rglob("*.md"))]


def runnable_documents() -> list[Path]:
    return [
        path
        for path in documents()
        if path == README or RUNNABLE_MARK in path.read_text(encoding="utf-8").splitlines()
    ]


def document_name(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


@pytest.mark.parametrize("path", runnable_documents(), ids=document_name)
def test_examples_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # examples may write files
    run_document(path.read_text(encoding="utf-8"), document_name(path))


@pytest.mark.parametrize("path", documents(), ids=document_name)
def test_links_lead_somewhere(path: Path) -> None:
    targets = LINK.findall(path.read_text(encoding="utf-8"))
    missing = [target for target in targets if not (path.parent / target).exists()]
    assert not missing, f"{document_name(path)}: no such files: {missing}"


def test_readme_has_examples() -> None:
    assert len(read_examples(README.read_text(encoding="utf-8"))) >= 2


def test_failing_example_fails() -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        run_document("# Title\n\n```python\nx = 1\n```\n\n```python\nx / 0\n```\n", "sample.md")
    entry = raised.traceback[-1]
    assert (str(entry.frame.code.raw.co_filename), entry.lineno + 1) == ("sample.md", 8)


def test_other_output_fails() -> None:
    with pytest.raises(AssertionError, match=r"sample\.md:2: output"):
        run_document("```python\nprint(1)\n```\n\n```text\n2\n```\n", "sample.md")


def test_right_output_passes() -> None:
    run_document("```python\nprint(1)\n```\n\n```text\n1\n```\n", "sample.md")
