"""Where and with what the figures were made: machine, versions, sizes on disk, commit, date."""

from __future__ import annotations

import datetime
import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

from grad.runtime.cpu.host import host

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGES = ("torch", "jax", "jaxlib", "tinygrad", "numpy", "llvmlite")
IMPORT_TRIES = 5


def describe() -> dict[str, Any]:
    """The machine and the software, as JSON."""
    machine = host()
    return {
        "date": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
        "commit": _commit(),
        "processor": _processor_name(),
        "llvm_processor": machine.cpu,
        "cores": machine.cores,
        "vector_bits": 8 * machine.vector_bytes,
        "cache_bytes": [machine.l1_bytes, machine.l2_bytes, machine.l3_bytes],
        "memory_bytes": _memory_bytes(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "load": list(os.getloadavg()) if hasattr(os, "getloadavg") else [],
        "versions": {name: version for name in PACKAGES if (version := _version(name))},
    }


def _commit() -> str:
    command = ["git", "-C", str(REPOSITORY), "rev-parse", "--short", "HEAD"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"  # not a git checkout


def _processor_name() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        match = re.search(r"^model name\s*: (.*)$", information.read_text(), re.M)
        if match:
            return match[1]
    return platform.processor() or platform.machine()


def _memory_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def installed_bytes(package: str) -> int:
    """Bytes on disk of a package and of all that it requires, extras left out."""
    return sum(_distribution_bytes(name) for name in _required(package))


def _required(package: str) -> set[str]:
    found: set[str] = set()
    pending = [package]
    while pending:
        name = pending.pop()
        if name in found or _version(name) is None:
            continue
        found.add(name)
        for requirement in metadata.requires(name) or ():
            text, _, marker = requirement.partition(";")
            match = re.match(r"[\w.-]+", text)
            if match and "extra" not in marker:
                pending.append(re.sub(r"[-_.]+", "-", match[0]).lower())
    return found


def _distribution_bytes(package: str) -> int:
    # In a checkout micrograd is installed by reference, so its files are those of the repository.
    if package == "micrograd":
        return _bytes(
            path for path in (REPOSITORY / "grad").rglob("*") if "__pycache__" not in path.parts
        )
    files = metadata.files(package) or ()
    return _bytes(Path(str(file.locate())) for file in files)


def _bytes(paths: Iterable[Path]) -> int:
    return sum(path.stat().st_size for path in paths if path.is_file())


def import_seconds(module: str) -> float | None:
    """The shortest of several imports, each in a new process; None where it cannot be imported."""
    code = f"import time; t = time.perf_counter(); import {module}; print(time.perf_counter() - t)"
    times = []
    for _ in range(IMPORT_TRIES):
        finished = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            cwd=REPOSITORY,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": ""},
        )
        if finished.returncode:
            return None
        times.append(float(finished.stdout.split()[-1]))
    return min(times)
