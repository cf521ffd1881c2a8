"""What every adapter does: make a workload into a call, and its result into NumPy arrays."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.workload import Arrays, Sizes, Workload

Call = Callable[[], Any]


class Unsupported(Exception):
    """The framework does not have this workload; the message says why."""


class Adapter(ABC):
    """A framework at work in this process.

    Attributes:
        family: which of a workload's functions it takes.
        library: the framework's module, which these functions get.
    """

    family: str
    library: Any

    @abstractmethod
    def __init__(self, module: str, compiled: bool, threads: int) -> None: ...

    @abstractmethod
    def call(self, workload: Workload, sizes: Sizes, arrays: Arrays) -> Call:
        """The call to time. When it returns, its result has been computed.

        Raises:
            Unsupported: when the framework cannot do it.
        """

    @abstractmethod
    def array(self, value: Any) -> np.ndarray:
        """One part of a result as a NumPy array."""

    def arrays(self, result: Any) -> list[np.ndarray]:
        """A result, one or several values, as NumPy arrays."""
        return [self.array(value) for value in parts(result)]

    def function(self, workload: Workload) -> Callable[..., Any]:
        """The workload in this framework."""
        if self.family not in workload.functions:
            raise Unsupported(f"the workload is not written for {self.family}")
        return workload.functions[self.family]


def parts(result: Any) -> tuple[Any, ...]:
    """The values of a result: of a function with several outputs, or with one."""
    return tuple(result) if isinstance(result, tuple | list) else (result,)
