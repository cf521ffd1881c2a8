"""What compiling a program gives, before it is linked: plain data, which can be kept on disk.

assembly.py makes an `UnlinkedPlan` of a program, saved_plans.py keeps it, and `linked` makes a Plan
of it (plan.py).
"""

from __future__ import annotations

from typing import NamedTuple

from grad.codegen.backend import Backend, Launch
from grad.dtype import DType
from grad.engine.plan import Output, Plan, Work
from grad.engine.words import word_packer


class UnlinkedPlan(NamedTuple):
    """Compiled steps and the layout of their slots; what is not explained here is in `Plan`.

    Attributes:
        launches: the phases of each step. works: what each of them does.
        slot_count: how many slots there are.
        scalars: element types of the numbers that a run is given, in order.
    """

    launches: tuple[tuple[Launch, ...], ...]
    works: tuple[tuple[Work, ...], ...]
    slot_count: int
    scalars: tuple[DType, ...]
    outputs: tuple[Output, ...]
    fresh: tuple[int, ...]
    arena_bytes: int
    scratch_bytes: int
    kernel_count: int
    first_write: int


def linked(unlinked: UnlinkedPlan, backend: Backend) -> Plan:
    """The plan that can be run."""
    in_order = tuple(Output(nbytes, slot) for slot, nbytes in enumerate(unlinked.fresh))
    return Plan(
        backend.link(unlinked.launches, unlinked.slot_count),
        tuple(map(word_packer, unlinked.scalars)),
        unlinked.outputs,
        unlinked.fresh,
        unlinked.arena_bytes,
        unlinked.scratch_bytes,
        unlinked.works,
        unlinked.kernel_count,
        unlinked.outputs == in_order,
        unlinked.first_write,
    )
