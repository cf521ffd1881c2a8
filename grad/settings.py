"""What the environment says about how the library runs.

`TABLE` has one row per variable: its attribute, name, default, reader and meaning; it is the whole
list. `settings` holds the values, read once at import, and may be changed while running:
``settings.debug = 2``. Read `TABLE` first; nobody else looks at ``GRAD_*``.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, NamedTuple

# When this process began to load the library. Source files that changed since then are not what it
# runs (engine/saved_plans.py).
LOADED_AT_NANOSECONDS = time.time_ns()

Backend = Literal["cpu", "reference"]
ConvolutionPrecision = Literal["highest", "high"]
CpuLevel = Literal["native", "avx512", "avx2", "generic"]


def at_least(minimum: int) -> Callable[[str], int]:
    """A reader of integers that refuses anything under `minimum`."""

    def read(text: str) -> int:
        if not text.isdecimal() or int(text) < minimum:
            raise ValueError(f"it must be a whole number, {minimum} or more")
        return int(text)

    return read


def one_of(*choices: str) -> Callable[[str], str]:
    """A reader of one word out of `choices`."""

    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(f"it must be one of {', '.join(choices)}")
        return text

    return read


def switch(text: str) -> bool:
    """A reader of on and off: 1 or 0, true or false, on or off, yes or no."""
    words = {"1": True, "true": True, "on": True, "yes": True}
    words |= {"0": False, "false": False, "off": False, "no": False, "": False}
    if text.lower() not in words:
        raise ValueError("it must be 1 or 0")
    return words[text.lower()]


def default_cache_directory() -> str:
    """``micrograd`` under $XDG_CACHE_HOME, or under ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(base, "micrograd")


class Setting(NamedTuple):
    """One row: the attribute of `settings`, its variable, default, reader and meaning."""

    name: str
    variable: str
    default: Callable[[], Any]
    read: Callable[[str], Any]
    meaning: str


TABLE: tuple[Setting, ...] = (
    Setting(
        "debug", "GRAD_DEBUG", lambda: 0, at_least(0),
        "1 plan misses, 2 kernels with time, bytes and GFLOP/s, 3 groups, 4 kernel IR, 5 code",
    ),
    Setting(
        "verify", "GRAD_VERIFY", lambda: False, switch,
        "1 checks the intermediate forms after every pass",
    ),
    Setting(
        "backend", "GRAD_BACKEND", lambda: "cpu", one_of("cpu", "reference"),
        "cpu compiles with LLVM; reference interprets kernel IR with NumPy",
    ),
    Setting(
        "num_threads", "GRAD_NUM_THREADS", lambda: None, at_least(1),
        "threads of the CPU runtime; the cores this process may use when not set",
    ),
    Setting(
        "cache_directory", "GRAD_CACHE_DIR", default_cache_directory, str,
        "where plans and compiled kernels are kept between processes",
    ),
    Setting(
        "cache", "GRAD_CACHE", lambda: True, switch,
        "0 neither reads nor writes plans and compiled kernels on disk",
    ),
    Setting(
        "cache_bytes", "GRAD_CACHE_BYTES", lambda: 1 << 30, at_least(0),
        "about what plans and compiled kernels may take on disk; those used last stay",
    ),
    Setting(
        "search", "GRAD_SEARCH", lambda: False, switch,
        "1 times a few ways to compute each matrix product, once, and keeps the fastest",
    ),
    Setting(
        "float32_convolution_precision", "GRAD_CONVOLUTION_PRECISION", lambda: "highest",
        one_of("highest", "high"),
        "high lets 3 x 3 convolutions of float32 take fewer multiplications, less exactly",
    ),
    Setting(
        "cpu_features", "GRAD_CPU_FEATURES", lambda: "native",
        one_of("native", "avx512", "avx2", "generic"),
        "the most that code may use of the CPU; avx2 hides AVX-512, generic leaves the baseline",
    ),
)  # fmt: skip


class Settings:
    """The values of `TABLE`, as attributes that may be assigned.

    Example:
        >>> with settings.override(debug=2):
        ...     settings.debug
        2
    """

    __slots__ = (*(setting.name for setting in TABLE), "observed", "timed")

    # Not from the environment: somebody is told of each step (engine/observe.py), so steps run one
    # by one and are timed, as they are when `debug` prints them.
    observed: bool
    timed: bool

    debug: int
    verify: bool
    backend: Backend
    num_threads: int | None
    cache_directory: str | os.PathLike[str]
    cache: bool
    cache_bytes: int
    search: bool
    float32_convolution_precision: ConvolutionPrecision
    cpu_features: CpuLevel

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Read every row; raises ValueError naming the variable, its value and what it may be."""
        self.observed = False
        for setting in TABLE:
            text = environment.get(setting.variable)
            if text is None or (text == "" and setting.read is not switch):
                setattr(self, setting.name, setting.default())
                continue
            try:
                setattr(self, setting.name, setting.read(text))
            except ValueError as error:
                raise ValueError(
                    f"{setting.variable}={text!r}: {error}. It means: {setting.meaning}."
                ) from None

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if name == "debug" or name == "observed":
            timed = self.observed or getattr(self, "debug", 0) >= 2
            super().__setattr__("timed", timed)

    @contextmanager
    def override(self, **values: Any) -> Iterator[Settings]:
        """Set attributes for a ``with`` block; raises AttributeError for unknown ones."""
        before = {name: getattr(self, name) for name in values}
        try:
            for name, value in values.items():
                setattr(self, name, value)
            yield self
        finally:
            for name, value in before.items():
                setattr(self, name, value)

    def __repr__(self) -> str:
        return "\n".join(f"{s.variable}={getattr(self, s.name)}  # {s.meaning}" for s in TABLE)


settings = Settings(os.environ)
