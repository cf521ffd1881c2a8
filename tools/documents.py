"""Run the examples in the documents, and write down what they print.

All ```python blocks of a document run in order in one namespace, as a reader would type them. A
```text block right after one is what it must print. README.md always runs; a file under docs/ runs
when it holds the line `<!-- runnable -->`. tests/readme_test.py compares; after a change that is
meant, ``python -m tools.documents`` writes the text blocks anew: the diff is then part of the
review.

A ```py block after the line `<!-- from FILE -->` quotes that file and does not run; the test looks
whether it is still there.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
README = REPOSITORY / "README.md"
RUNNABLE_MARK = "<!-- runnable -->"
BLOCK = re.compile(
    r"^```python\n(?P<code>.*?)^```\n(?:\n*```text\n(?P<output>.*?)^```\n)?", re.M | re.S
)
QUOTATION = re.compile(
    r"(?:^<!-- from (?P<file>\S+) -->\n)?^```py\n(?P<code>.*?)^```\n", re.M | re.S
)


@dataclass(frozen=True)
class Example:
    """A block of code, and the output that the document shows.

    Attributes:
        line: the line of the document before the first line of code.
        output: None where the document shows none.
        span: where `output` is in the text of the document.
    """

    code: str
    line: int
    output: str | None
    span: tuple[int, int]


def documents() -> list[Path]:
    """README.md, then everything under docs."""
    return [README, *sorted((REPOSITORY / "docs").rglob("*.md"))]


def runnable_documents() -> list[Path]:
    return [
        path
        for path in documents()
        if path == README or RUNNABLE_MARK in path.read_text(encoding="utf-8").splitlines()
    ]


def document_name(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


def read_examples(text: str) -> list[Example]:
    return [
        Example(
            match["code"],
            text.count("\n", 0, match.start("code")),
            match["output"],
            match.span("output"),
        )
        for match in BLOCK.finditer(text)
    ]


def read_quotations(text: str) -> list[tuple[str | None, str]]:
    """The file that each quotation names, if it does, and what is quoted."""
    return [(match["file"], match["code"]) for match in QUOTATION.finditer(text)]


def run_examples(text: str, name: str) -> Iterator[tuple[Example, str]]:
    """Run the examples of a document; yields each with what it printed.

    A traceback names the document and its line.
    """
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for example in read_examples(text):
        code = compile("\n" * example.line + example.code, name, "exec", dont_inherit=True)
        printed = StringIO()
        with redirect_stdout(printed):
            exec(code, namespace)
        yield example, printed.getvalue()


def refreshed(text: str, name: str) -> str:
    """The document with the outputs that its examples have now."""
    results = list(run_examples(text, name))
    for example, printed in reversed(results):
        if example.output is not None:
            start, end = example.span
            text = text[:start] + printed + text[end:]
    return text


def main() -> None:
    with tempfile.TemporaryDirectory() as directory:
        os.chdir(directory)  # examples may write files
        for path in runnable_documents():
            before = path.read_text(encoding="utf-8")
            after = refreshed(before, document_name(path))
            if after != before:
                path.write_text(after, encoding="utf-8")
                print(f"{document_name(path)}: rewritten")
        os.chdir(REPOSITORY)


if __name__ == "__main__":
    main()
