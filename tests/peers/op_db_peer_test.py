"""PyTorch's own database of operators, run on ours: one test for each entry whose name we have.

Run all of it in two processes, or one operator, with

    python -m pytest -n 2 tests/peers/op_db_peer_test.py
    python -m pytest tests/peers/op_db_peer_test.py -k cumsum

and read what was compared in the summary at the end (``-v`` lists every entry). A difference fails
the test unless it is a row of op_db_differences.py, and so does a row whose difference is gone.
`op_db_names.py` says what answers to what, `op_db_checks.py` what is compared, `op_db_values.py`
when two results are the same.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("expecttest")

from tests.peers.op_db_checks import Finding, run  # noqa: E402
from tests.peers.op_db_differences import DIFFERENCES  # noqa: E402
from tests.peers.op_db_names import entries, present, title  # noqa: E402

PRESENT = [entry for entry in entries() if present(entry)]
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "differences.md"


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("entry", PRESENT, ids=title)
def test_as_pytorch(entry: Any, record_property: Callable[[str, Any], None]) -> None:
    tally = run(entry)
    rows = [row for row in DIFFERENCES if tally.name in row.entries]
    new = [found for found in tally.findings if not any(_says(row, found) for row in rows)]
    stale = [row for row in rows if not any(_says(row, found) for found in tally.findings)]
    skipped = sum(tally.not_comparable.values())
    listed = len(tally.findings) - len(new)
    record_property("op_db", (tally.name, tally.passed, len(new), listed, skipped))
    assert not new, f"{len(new)} differences:\n" + "\n".join(map(str, new[:20]))
    assert not stale, "op_db_differences.py lists what is the same by now: " + str(stale)


def _says(row: Any, found: Finding) -> bool:
    return re.search(row.pattern, str(found)) is not None


@pytest.mark.parametrize("row", DIFFERENCES, ids=lambda row: row.pattern)
def test_differences_are_documented(row: Any) -> None:
    assert row.documented in DOCUMENT.read_text()
    assert set(row.entries) <= set(map(title, PRESENT))
