"""The argument words of a kernel that takes its parameters as they are; for code generators."""

from __future__ import annotations

from collections.abc import Sequence

from grad.codegen.backend import SCRATCH
from grad.kernel.ir import Parameter, scratch_layout


def argument_words(parameters: Sequence[Parameter]) -> tuple[tuple[int, int], ...]:
    """`CompiledPhase.arguments` of a phase that takes a kernel's parameters, one word each."""
    offsets, _ = scratch_layout(parameters)
    return tuple((SCRATCH, offsets[p.number]) if p.elements else (p.number, 0) for p in parameters)
