"""What the tests against PyTorch's databases share, and print at the end of a run.

Each of them records its counts (`op_db_peer_test.py`, `modules_peer_test.py`,
`optim_db_peer_test.py`), which come here also from the processes of pytest-xdist.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

# The property that a test records: what it went through.
SECTIONS = {
    "op_db": "PyTorch's database of operators",
    "modules": "modules beside PyTorch's",
    "optimizers": "optimisers beside PyTorch's",
}


@pytest.fixture
def one_thread() -> Iterator[None]:
    """PyTorch on one thread: its threads would spin while ours run."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """The entries that differ, or, with ``-v``, all of them, and the sums."""
    for kind, title in SECTIONS.items():
        _print(terminalreporter, kind, title)


def _print(terminalreporter: Any, kind: str, title: str) -> None:
    rows = sorted(
        tuple(value)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "call"
        for name, value in report.user_properties
        if name == kind
    )
    if not rows:
        return
    terminalreporter.section(title)
    line = "{:45} {:>8} {:>8} {:>8} {:>15}".format
    terminalreporter.write_line(line("", "passed", "failed", "listed", "not comparable"))
    for row in rows:
        if terminalreporter.verbosity > 0 or row[2] or row[3]:
            terminalreporter.write_line(line(*row))
    sums = [sum(column) for column in list(zip(*rows))[1:]]
    terminalreporter.write_line(line(f"{len(rows)} entries", *sums))
