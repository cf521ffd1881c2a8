"""What the CPU is: name, features, vector width, caches and cores.

`host()` answers for this machine, at most at the level that ``GRAD_CPU_FEATURES`` allows, so that
code for a lesser CPU can be made and tested here. compiler.py compiles for it, the code generators
plan register and cache tiles by it. LLVM names the CPU and its features; the answer is kept on disk
by what the system says of the CPU, so that a process that has all its code on disk needs no LLVM.
"""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import llvmlite

from grad.device import open_assembler
from grad.runtime.disk_cache import DiskCache, digest
from grad.settings import settings

# What each level hides (a pattern of feature names) and the CPU name it is then compiled for: the
# name of a CPU implies features, so a level that hides any needs a name that lacks them.
X86_LEVELS: dict[str, tuple[str, str | None]] = {
    "native": (r"(?!)", None),
    "avx512": (r"amx.*|avx10.*", None),
    "avx2": (r"amx.*|avx10.*|avx512.*|evex512", "haswell"),
    "generic": (r"(?!(sse|sse2|fxsr|cx8|cmov|mmx|64bit)$).*", "x86-64"),
}
OTHER_LEVELS: dict[str, tuple[str, str | None]] = {
    "native": (r"(?!)", None),
    "generic": (r"(?!(neon|fp-armv8|v|m|a|f|d|c)$).*", "generic"),
}
# Features that every CPU of an architecture has, whether or not the system lists them.
ALWAYS = {
    "aarch64": frozenset({"neon", "fp-armv8"}),
    "riscv64": frozenset({"m", "a", "f", "d", "c"}),
}
CPU_INFORMATION = Path("/proc/cpuinfo")
DESCRIPTION_BYTES = 1 << 14  # of one CPU at least; of all it takes long on large machines
CHANGING = ("processor", "cpu MHz", "physical id", "core id", "apicid", "initial apicid")
VECTOR_BYTES = (("avx512f", 64), ("avx2", 32))
DEFAULT_CACHES = {1: 32 << 10, 2: 512 << 10, 3: 8 << 20}
SYSCTL_CACHES = {1: "hw.l1dcachesize", 2: "hw.l2cachesize", 3: "hw.l3cachesize"}


@dataclass(frozen=True, slots=True)
class Host:
    """A CPU to compile for.

    Attributes:
        triple: LLVM's target triple of this process.
        cpu: LLVM's name of the CPU.
        features: names of the features that are present.
        feature_string: all features in LLVM's form, ``"+avx2,-avx512f,..."``: the CPU name alone
            would imply features that a virtual machine masks.
        vector_bytes: bytes of the widest vector register.
        l1_bytes, l2_bytes, l3_bytes: data caches, of one core or of those that share it.
        cores: how many cores this process may run on.
    """

    triple: str
    cpu: str
    features: frozenset[str]
    feature_string: str
    vector_bytes: int
    l1_bytes: int
    l2_bytes: int
    l3_bytes: int
    cores: int

    @property
    def architecture(self) -> str:
        """The kind of CPU: ``"x86_64"``, ``"aarch64"``."""
        return architecture_of(self.triple)


def host() -> Host:
    """The machine that runs this process, restricted to the level in ``settings.cpu_features``."""
    return detect(settings.cpu_features)


@cache
def detect(level: str) -> Host:
    """The machine at `level`: ``native``, ``avx512``, ``avx2`` or ``generic``."""
    triple, name, available = _process_names()
    architecture = architecture_of(triple)
    levels = X86_LEVELS if architecture in ("x86_64", "i686") else OTHER_LEVELS
    hidden, lesser_cpu = levels.get(level, levels["native"])
    available |= dict.fromkeys(ALWAYS.get(architecture, ()), True)
    kept = {name: present and not re.fullmatch(hidden, name) for name, present in available.items()}
    features = frozenset(name for name, present in kept.items() if present)
    l1_bytes, l2_bytes, l3_bytes = (cache_bytes(cache_level) for cache_level in (1, 2, 3))
    return Host(
        triple=triple,
        cpu=lesser_cpu if lesser_cpu and kept != available else name,
        features=features,
        feature_string=",".join(f"{'+' if kept[name] else '-'}{name}" for name in sorted(kept)),
        vector_bytes=next((size for name, size in VECTOR_BYTES if name in features), 16),
        l1_bytes=l1_bytes,
        l2_bytes=l2_bytes,
        l3_bytes=l3_bytes,
        cores=core_count(),
    )


def _process_names() -> tuple[str, str, dict[str, bool]]:
    """LLVM's triple of this process, name of the CPU and features: from disk, or from LLVM."""
    described = _description() if settings.cache else ""
    if not described:
        return open_assembler().process_names()
    disk = DiskCache(settings.cache_directory, ".cpu", settings.cache_bytes)
    key = digest("cpu", described, sys.platform, platform.machine(), llvmlite.__version__)
    data = disk.load(key)
    if data is None:
        triple, name, features = open_assembler().process_names()
        signs = [f"{'+' if has else '-'}{feature}" for feature, has in features.items()]
        disk.store(key, "\n".join([triple, name, *signs]).encode())
        return triple, name, features
    triple, name, *signs = data.decode().split("\n")
    return triple, name, {sign[1:]: sign[0] == "+" for sign in signs}


def _description() -> str:
    """What Linux says of the first CPU, but for what changes by itself; empty elsewhere."""
    try:
        with CPU_INFORMATION.open("rb") as file:
            first = file.read(DESCRIPTION_BYTES).decode().split("\n\n")[0]
    except OSError:
        return ""
    lines = [line for line in first.splitlines() if not line.startswith(CHANGING)]
    return "\n".join(lines) if any(line.startswith("flags") for line in lines) else ""


def architecture_of(triple: str) -> str:
    """The kind of CPU that one of LLVM's triples names, by one name each."""
    name = triple.split("-")[0]
    return {"arm64": "aarch64", "amd64": "x86_64"}.get(name, name)


def other_host(triple: str, cpu: str = "generic") -> Host:
    """A CPU with the least that `triple` promises, to make code here that runs elsewhere.

    Example:
        >>> other_host("aarch64-unknown-linux-gnu").vector_bytes
        16
    """
    features = ALWAYS.get(architecture_of(triple), frozenset())
    return Host(
        triple=triple,
        cpu=cpu,
        features=features,
        feature_string=",".join(f"+{name}" for name in sorted(features)),
        vector_bytes=16,
        l1_bytes=DEFAULT_CACHES[1],
        l2_bytes=DEFAULT_CACHES[2],
        l3_bytes=DEFAULT_CACHES[3],
        cores=1,
    )


def core_count() -> int:
    """How many cores this process may use, by its affinity and its container's quota."""
    if hasattr(os, "sched_getaffinity"):
        cores = len(os.sched_getaffinity(0))
    else:
        cores = os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text().split()
    except (OSError, ValueError):
        return cores  # not in a container that has one
    return cores if quota == "max" else max(1, min(cores, -(-int(quota) // int(period))))


def cache_bytes(level: int) -> int:
    """Bytes of the data cache of `level` (1 to 3); a common size where the system does not tell."""
    if sys.platform == "darwin":
        answer = subprocess.run(
            ["sysctl", "-n", SYSCTL_CACHES[level]], capture_output=True, text=True, check=False
        )
        text = answer.stdout.strip()
        return int(text) if text.isdecimal() and int(text) else DEFAULT_CACHES[level]
    for index in sorted(Path("/sys/devices/system/cpu/cpu0/cache").glob("index*")):
        try:
            found, kind, size = ((index / name).read_text().strip() for name in CACHE_FILES)
        except OSError:
            continue  # some virtual machines list a cache without describing it
        if found == str(level) and kind != "Instruction":
            return int(size.rstrip("KMG")) << {"K": 10, "M": 20, "G": 30}.get(size[-1], 0)
    return DEFAULT_CACHES[level]


CACHE_FILES = ("level", "type", "size")
