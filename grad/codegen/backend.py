"""What a backend gives the engine: compiled kernels and a way to run a list of them.

`grad/engine` works against these two classes only; `codegen/llvm/cpu.py` and `codegen/reference.py`
are the backends. `grad/device.py` opens them by name.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from grad.runtime.comparisons import Comparison, FirstDifference

if TYPE_CHECKING:  # a backend that runs plans which were kept on disk needs no kernels
    from grad.kernel.ir import Kernel


@dataclass(frozen=True, slots=True)
class CompiledPhase:
    """One phase of a kernel, ready to run.

    Attributes:
        entry: what the backend runs; a number or an object that only the backend understands.
        arguments: for each argument word (parameter, offset in bytes): the parameter's value plus
            the offset, or the offset itself for parameter -1, or the scratch of the phase plus
            the offset for parameter -2.
        items: items to share out; grain: items a thread takes at a time.
        scratch_bytes: scratch that every worker needs.
        nanoseconds: about how long one thread takes for all items; infinite where nobody knows.
        code_key: under what name the code is kept on disk, for `Backend.reopened`; empty where it
            is not.
    """

    entry: object
    arguments: tuple[tuple[int, int], ...]
    items: int
    grain: int
    scratch_bytes: int = 0
    nanoseconds: float = math.inf
    code_key: str = ""


CONSTANT = -1
SCRATCH = -2


@dataclass(frozen=True, slots=True)
class Launch:
    """A phase in a plan: slots (of the plan) for its argument words."""

    phase: CompiledPhase
    arguments: tuple[tuple[int, int], ...]
    label: str


class Runnable(Protocol):
    """A list of steps that can be run with one call."""

    def run(self, slots: Sequence[int]) -> None: ...

    def run_steps(self, first: int, end: int, slots: Sequence[int]) -> None: ...


class Backend(Protocol):
    """The code generator and runtime of one sort of device.

    `open_sizes`: whether it compiles kernels of which sizes are not fixed.
    """

    name: str
    open_sizes: bool

    def identity(self) -> tuple[str, ...] | None:
        """All that compiled code depends on besides the kernel and the source of this library; None
        where code cannot be kept on disk.
        """
        ...

    def compile(self, kernel: Kernel) -> tuple[CompiledPhase, ...]: ...

    def reopened(self, code_key: str) -> object | None:
        """The `CompiledPhase.entry` of code that is kept; None where it is not there any more."""
        ...

    def code(self, kernel: Kernel) -> str: ...

    def assembly(self, kernel: Kernel) -> str: ...

    def link(self, steps: Sequence[Sequence[Launch]], slot_count: int) -> Runnable: ...

    def workers(self) -> int: ...

    def set_workers(self, count: int) -> None: ...

    def first_difference(self, rows: Sequence[Comparison]) -> FirstDifference:
        """A function that compares what Python objects hold with what they held."""
        ...
