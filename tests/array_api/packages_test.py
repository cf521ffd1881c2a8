"""SciPy, scikit-learn and the array-api packages on tensors: the calls of packages.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

for package in ("array_api_compat", "array_api_extra", "scipy", "sklearn"):
    pytest.importorskip(package)

HERE = Path(__file__)
ROOT = HERE.parent.parent.parent


@pytest.mark.slow
def test_calls_give_what_they_give_for_numpy() -> None:
    """In a process of its own, since the switches are read when the packages are imported."""
    environment = {**os.environ, "SCIPY_ARRAY_API": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "tests.array_api.packages"],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    outcomes = json.loads(done.stdout)
    assert len(outcomes) > 150
    wrong = [f"{name}: {text}" for name, text in outcomes.items() if text]
    assert not wrong, "\n".join(wrong)
