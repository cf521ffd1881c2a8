"""The examples in the documents run, print what the documents say, and the links lead somewhere.

tools/documents.py finds and runs the examples. The lists that documents give are complete: the
index of docs, and the settings.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from grad.settings import TABLE
from tools.documents import (
    README,
    REPOSITORY,
    document_name,
    documents,
    read_examples,
    read_quotations,
    refreshed,
    run_examples,
    runnable_documents,
)

LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)")


def check_document(text: str, name: str) -> None:
    for example, printed in run_examples(text, name):
        if example.output is not None:
            assert printed == example.output, f"{name}:{example.line + 1}: output"


@pytest.mark.parametrize("path", runnable_documents(), ids=document_name)
def test_examples_run(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # examples may write files
    check_document(path.read_text(encoding="utf-8"), document_name(path))


@pytest.mark.parametrize("path", documents(), ids=document_name)
def test_quotations_are_true(path: Path) -> None:
    for file, code in read_quotations(path.read_text(encoding="utf-8")):
        assert file is not None, f"{document_name(path)}: which file is quoted?\n{code}"
        assert code in (REPOSITORY / file).read_text(encoding="utf-8"), f"not in {file}:\n{code}"


@pytest.mark.parametrize("path", documents(), ids=document_name)
def test_links_lead_somewhere(path: Path) -> None:
    targets = LINK.findall(path.read_text(encoding="utf-8"))
    missing = [target for target in targets if not (path.parent / target).exists()]
    assert not missing, f"{document_name(path)}: no such files: {missing}"


def test_documents_are_in_the_index() -> None:
    index = (REPOSITORY / "docs" / "README.md").read_text(encoding="utf-8")
    pages = {path.relative_to(REPOSITORY / "docs").as_posix() for path in documents()[1:]}
    assert pages - {"README.md"} == {link for link in LINK.findall(index) if link[:3] != "../"}


def test_settings_are_documented() -> None:
    page = (REPOSITORY / "docs" / "debugging.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `(GRAD_\w+)` \|", page, re.M))
    assert documented == {setting.variable for setting in TABLE}


def test_readme_has_examples() -> None:
    assert len(read_examples(README.read_text(encoding="utf-8"))) >= 2


def test_quotations_are_found() -> None:
    text = "<!-- from a.py -->\n```py\nx = 1\n```\n\n```py\ny = 2\n```\n"
    assert read_quotations(text) == [("a.py", "x = 1\n"), (None, "y = 2\n")]


def test_failing_example_fails() -> None:
    with pytest.raises(ZeroDivisionError) as raised:
        check_document("# Title\n\n```python\nx = 1\n```\n\n```python\nx / 0\n```\n", "sample.md")
    entry = raised.traceback[-1]
    assert (str(entry.frame.code.raw.co_filename), entry.lineno + 1) == ("sample.md", 8)


def test_other_output_fails() -> None:
    with pytest.raises(AssertionError, match=r"sample\.md:2: output"):
        check_document("```python\nprint(1)\n```\n\n```text\n2\n```\n", "sample.md")


def test_right_output_passes() -> None:
    check_document("```python\nprint(1)\n```\n\n```text\n1\n```\n", "sample.md")


def test_outputs_are_written_anew() -> None:
    text = "```python\nprint(1)\n```\n\n```text\n2\n```\n\n```python\nprint(3)\n```\n"
    assert refreshed(text, "sample.md") == text.replace("2", "1")


def test_what_debugging_shows_is_what_is_printed() -> None:
    page = (REPOSITORY / "docs" / "debugging.md").read_text(encoding="utf-8")
    program, *shown = re.findall(
        r"```(?:python|text)\n(.*?)```", page.split("## The ladder")[1], re.S
    )
    environment = {**os.environ, "GRAD_DEBUG": "4", "PYTHONPATH": str(REPOSITORY)}
    command = [sys.executable, "-c", program]
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    # Times differ, and the lines on numbers and sizes that vary are of other programs.
    lines = [
        line
        for line in "".join(shown).splitlines()
        if line.strip() != "..." and (line[:5] != "grad:" or "new graph" in line)
    ]
    assert len(lines) >= 20
    assert not [line for line in lines if line not in printed.stderr.splitlines()]
