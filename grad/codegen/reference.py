"""The reference backend: kernels are interpreted with NumPy (``GRAD_BACKEND=reference``).

Everything up to kernel IR is the same as on the CPU backend, so comparing the two tells whether a
wrong number comes from code generation or from what is above it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np

from grad.buffer import Buffer
from grad.codegen.arguments import argument_words
from grad.codegen.backend import CompiledPhase, Launch
from grad.errors import DeviceError
from grad.kernel.interpret import interpret
from grad.kernel.ir import (
    Attention,
    HostCall,
    Kernel,
    Load,
    Nest,
    Parameter,
    Recurrence,
    Statement,
    Store,
    scratch_layout,
    statements_inside,
)
from grad.kernel.ir_contraction import Contraction
from grad.kernel.ir_convolution import (
    Convolution,
    ConvolutionWeight,
)
from grad.runtime.comparisons import Comparison, FirstDifference, interpreted


class ReferenceBackend:
    """Runs kernel IR as it is written."""

    name = "reference"
    open_sizes = False

    def identity(self) -> None:
        """Kernels are Python objects, which are not kept."""

    def reopened(self, code_key: str) -> None:
        """Nothing is kept."""

    def compile(self, kernel: Kernel) -> tuple[CompiledPhase, ...]:
        words = argument_words(kernel.parameters)
        _, scratch_bytes = scratch_layout(kernel.parameters)
        phases = []
        for phase in kernel.phases:
            alone = Kernel(kernel.name, kernel.parameters, (phase,))
            phases.append(CompiledPhase(alone, words, 1, 1, scratch_bytes))
        return tuple(phases)

    def code(self, kernel: Kernel) -> str:
        """What is interpreted: the kernel as it is."""
        return str(kernel)

    def assembly(self, kernel: Kernel) -> str:
        raise DeviceError(
            "the reference backend interprets kernels, it makes no machine code; set "
            "grad.settings.backend = 'cpu' (GRAD_BACKEND=cpu)."
        )

    def link(self, steps: Sequence[Sequence[Launch]], slot_count: int) -> _Steps:
        return _Steps(steps)

    def workers(self) -> int:
        return 1

    def set_workers(self, count: int) -> None:
        """It computes on one thread whatever is asked for."""

    def first_difference(self, rows: Sequence[Comparison]) -> FirstDifference:
        return interpreted(rows)


class _Steps:
    """The steps of a plan, run one kernel after another."""

    def __init__(self, steps: Sequence[Sequence[Launch]]) -> None:
        self.steps = steps

    def run(self, slots: Sequence[int]) -> None:
        self.run_steps(0, len(self.steps), slots)

    def run_steps(self, first: int, end: int, slots: Sequence[int]) -> None:
        for launch in chain.from_iterable(self.steps[first:end]):
            kernel = launch.phase.entry
            assert isinstance(kernel, Kernel)
            arrays = []
            for parameter, (slot, offset) in zip(kernel.parameters, launch.arguments, strict=True):
                arrays.append(_array(kernel, parameter, slots[slot] + offset))
            interpret(kernel, arrays)


def _array(kernel: Kernel, parameter: Parameter, word: int) -> np.ndarray[Any, Any]:
    """The memory of a parameter (as far as the kernel reaches), or the number in a scalar's
    word.
    """
    dtype = parameter.dtype.numpy
    if parameter.scalar:
        raw = (word & (2**64 - 1)).to_bytes(8, "little")[: dtype.itemsize]
        return np.frombuffer(raw, dtype)
    size = reach(kernel, parameter.number)
    memory = Buffer.external(word, size * dtype.itemsize, None)
    return memory.numpy(dtype, (size,), (dtype.itemsize,), 0)


def reach(kernel: Kernel, parameter: int) -> int:
    """One more than the largest element that the kernel may touch."""
    size = 0
    stack: list[Statement] = [s for phase in kernel.phases for s in phase]
    while stack:
        s = stack.pop()
        if isinstance(s, Nest):
            stack.extend(statements_inside(s))
        if isinstance(s, Attention | Recurrence):
            every = (rows for _, rows in (*s.operands, *s.results) if rows.parameter == parameter)
            size = max([size, *(rows.reach for rows in every)])
        if isinstance(s, HostCall):
            every = (rows for rows in (*s.operands, s.result) if rows.parameter == parameter)
            size = max([size, *(rows.reach for rows in every)])
        if isinstance(s, Contraction):
            operands = ((o.parameter, o.index) for o in (s.a, s.b))
            size = max([size, *(index.high + 1 for p, index in operands if p == parameter)])
        elif isinstance(s, Convolution):
            operands = ((s.image_parameter, s.image), (s.weight_parameter, s.weight))
            size = max([size, *(index.high + 1 for p, index in operands if p == parameter)])
        elif isinstance(s, ConvolutionWeight):
            operands = (
                (s.image_parameter, s.image),
                (s.gradient_parameter, s.gradient),
                (s.target_parameter, s.target),
            )
            size = max([size, *(index.high + 1 for p, index in operands if p == parameter)])
        elif isinstance(s, Load | Store) and s.parameter == parameter:
            size = max(size, s.index.high + 1)
    return size


def open_backend() -> ReferenceBackend:
    """The reference backend, for `grad.device.open_backend`."""
    return ReferenceBackend()
