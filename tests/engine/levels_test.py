"""Exact random graphs on lesser CPUs: code for AVX2 and the bare architecture gives the same bits.

The level is read once for each process, so each runs in one of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow  # kept out of `make check`

ROOT = Path(__file__).parents[2]
SCRIPT = """
from tests.codegen import conversions_test
from tests.engine.exact_graphs_test import check
from grad.dtype import ALL_DTYPES
from grad.runtime.cpu.host import host
assert host().vector_bytes == {vector_bytes}, host()
for seed in range(40):
    check(seed, "cpu")
for seed in range(2000, 2004):
    check(seed, "cpu", "large")
for dtype in ALL_DTYPES:
    conversions_test.test_casts(dtype, "cpu")
"""


@pytest.mark.parametrize(("level", "vector_bytes"), [("avx2", 32), ("generic", 16)])
def test_lesser_cpus_give_the_same_values(level: str, vector_bytes: int) -> None:
    from_here = {**os.environ, "GRAD_CPU_FEATURES": level, "PYTHONPATH": str(ROOT)}
    probe = "from grad.runtime.cpu.host import host; print(host().vector_bytes)"
    found = subprocess.run(
        [sys.executable, "-c", probe], env=from_here, capture_output=True, text=True, check=True
    )
    if int(found.stdout) != vector_bytes:
        pytest.skip(f"this CPU has vectors of {found.stdout.strip()} bytes at level {level}")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(vector_bytes=vector_bytes)],
        env=from_here,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
