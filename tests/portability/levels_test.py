"""Lesser CPUs of this architecture: code for AVX2 and for the bare baseline computes the same.

Exact random graphs give the same bits, casts too, and everything else the same values to a few
roundings. The level is read once for each process, so each runs in one of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.portability.everything import save

pytestmark = pytest.mark.slow  # kept out of `make check`

ROOT = Path(__file__).parents[2]
LEVELS = {"avx2": 32, "generic": 16}  # bytes of a vector
STEPS = {"avx2": 1, "generic": 4}  # every how many-th op is run
EXACT = """
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


def run(level: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """A Python process at `level`."""
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "GRAD_CPU_FEATURES": level, "PYTHONPATH": str(ROOT)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


@pytest.fixture(params=LEVELS)
def level(request: pytest.FixtureRequest) -> str:
    """A level that this CPU has."""
    probe = "from grad.runtime.cpu.host import host; print(host().vector_bytes)"
    found = run(request.param, "-c", probe).stdout
    if int(found) != LEVELS[request.param]:
        pytest.skip(f"this CPU has vectors of {found.strip()} bytes at level {request.param}")
    return request.param


@pytest.fixture(scope="module")
def native_results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("levels") / "native.npz"
    assert save(path) > 500
    return path


def test_exact_graphs_give_the_same_bits(level: str) -> None:
    done = run(level, "-c", EXACT.format(vector_bytes=LEVELS[level]))
    assert done.returncode == 0, done.stderr[-3000:]


def test_everything_gives_the_same_values(level: str, native_results: Path) -> None:
    done = run(level, "-m", "tests.portability.everything", native_results, str(STEPS[level]))
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert done.stdout.startswith(f"{LEVELS[level]} bytes")
