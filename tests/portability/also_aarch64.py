"""A pytest plugin: every kernel that the tests compile is also assembled for 64-bit Arm.

    .venv/bin/python -m pytest -p tests.portability.also_aarch64 tests

Each test process reports what failed at its end, as an error of the last test.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import REPOSITORY  # first: it chooses the cache of compiled code
from tests.portability.cross import MACHINES, CrossChecks

assert REPOSITORY.is_dir()


@pytest.fixture(scope="session", autouse=True)
def also_aarch64() -> Iterator[None]:
    """Listen for the whole session."""
    with CrossChecks(MACHINES["aarch64"]).listening() as checks:
        yield
    print(f"{len(checks.kernels)} kernels assembled for {checks.machine.triple}")
    assert not checks.failures, "\n\n".join(checks.failures[:5])
