"""The columns of the table: each framework, the module it is in, and how it is given its threads.

A process with n threads may run on n cores only, whatever the framework; the variables below tell
the same to those that ask. The caches that compilers keep on disk all go to one directory of the
run, which is empty at its start.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Framework:
    """A column.

    Attributes:
        name: what the table calls it.
        module: what to import.
        adapter: which class of benchmarks/adapters drives it (worker.py lists them).
        compiled: whether it is the framework's compiler that is timed.
        slow: whether `--quick` leaves it out.
        patience: seconds that the first calls of a workload may take.
        variables: environment variables; ``{threads}`` and ``{cache}`` are filled in.
    """

    name: str
    module: str
    adapter: str
    compiled: bool = False
    slow: bool = False
    patience: float = 60.0
    variables: Mapping[str, str] = field(default_factory=dict)

    def environment(self, threads: int, cache: str) -> dict[str, str]:
        """The variables of a process of this framework."""
        common = {"OMP_NUM_THREADS": "{threads}", "MKL_NUM_THREADS": "{threads}"}
        # Modules are imported from byte code, as they are where they have been imported before.
        common["PYTHONDONTWRITEBYTECODE"] = ""
        return {
            name: text.format(threads=threads, cache=cache)
            for name, text in (common | dict(self.variables)).items()
        }


_GRAD = {"GRAD_NUM_THREADS": "{threads}", "GRAD_CACHE_DIR": "{cache}/grad"}
_FRAMEWORKS = (
    Framework("grad", "grad", "torch_like", variables=_GRAD),
    Framework("grad.compile", "grad", "torch_like", compiled=True, variables=_GRAD),
    Framework("torch", "torch", "torch_like"),
    Framework(
        "torch.compile",
        "torch",
        "torch_like",
        compiled=True,
        slow=True,
        patience=240.0,
        variables={
            "TORCHINDUCTOR_CACHE_DIR": "{cache}/inductor",
            "TORCHINDUCTOR_FX_GRAPH_CACHE": "1",
        },
    ),
    Framework(
        "jax",
        "jax",
        "jax",
        compiled=True,
        variables={
            "JAX_PLATFORMS": "cpu",
            "JAX_COMPILATION_CACHE_DIR": "{cache}/jax",
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        },
    ),
    Framework(
        "tinygrad",
        "tinygrad",
        "tinygrad",
        compiled=True,
        slow=True,
        patience=60.0,
        variables={
            "DEV": "CPU",
            "NUM_CPU_THREADS": "{threads}",
            "CACHEDB": "{cache}/tinygrad.db",
        },
    ),
    Framework("numpy", "numpy", "numpy", variables={"OPENBLAS_NUM_THREADS": "{threads}"}),
)
FRAMEWORKS: dict[str, Framework] = {framework.name: framework for framework in _FRAMEWORKS}


def pin(threads: int) -> None:
    """Let this process run on as many cores as it has threads (where the system can)."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, cores[:threads])


def missing_tool(framework: Framework) -> str | None:
    """Why a framework that is installed cannot run here, if a tool that it starts is missing."""
    if framework.name == "torch.compile":
        compilers = (os.environ.get("CXX"), "g++", "clang++")
        if not any(name and shutil.which(name) for name in compilers):
            return "torch.compile starts a C++ compiler and there is none: install g++"
    if framework.name == "tinygrad" and not shutil.which(os.environ.get("CC", "clang")):
        return "tinygrad starts clang and there is none: install clang, or name it in CC"
    return None
