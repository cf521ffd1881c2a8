"""What the tests against PyTorch's databases print at the end of a run.

Each of them records its counts (`op_db_peer_test.py`, `modules_peer_test.py`,
`optim_db_peer_test.py`), which come here also from the processes of pytest-xdist.
"""

from __future__ import annotations

from typing import Any

# The property that a test records: what it went through.
SECTIONS = {
    "op_db": "PyTorch's database of operators",
    "modules": "modules beside PyTorch's",
    "optimizers": "optimisers beside PyTorch's",
}


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
